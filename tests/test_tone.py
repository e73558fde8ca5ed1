"""Tone and grain against the same in plain numpy."""

import numpy as np
import pytest

from monobody.data.tone import DRAWS, grained, toned

IMAGE = np.random.default_rng(1).integers(0, 256, (31, 44, 3), np.uint8)


@pytest.mark.parametrize("seed", range(4))
def test_tone_is_a_table_a_matrix_and_a_share_of_the_mean(seed):
    rng = np.random.default_rng(seed)
    tables = rng.uniform(-20, 300, (3, 256)).astype(np.float32)
    mix = (np.eye(3) + rng.normal(0, 0.3, (3, 3))).astype(np.float32)
    weight = rng.normal(0, 0.2, 3).astype(np.float32)
    looked_up = np.stack([tables[channel, IMAGE[..., channel]] for channel in range(3)], axis=-1).astype(np.float64)
    expected = looked_up @ mix.T.astype(np.float64) + looked_up.mean((0, 1)) @ weight
    got = toned(IMAGE, tables, mix, weight).astype(float)
    assert np.abs(got - np.clip(expected, 0, 255)).max() <= 0.51


def test_tables_of_nothing_change_nothing():
    tables = np.tile(np.arange(256, dtype=np.float32), (3, 1))
    np.testing.assert_array_equal(toned(IMAGE, tables, np.eye(3, dtype=np.float32), np.zeros(3, np.float32)), IMAGE)


def test_grain_is_normal_and_its_own_in_each_channel_or_the_same():
    grey = np.full((200, 200, 3), 128, np.uint8)
    rng = np.random.default_rng(0)
    for channels in (1, 3):
        draws = rng.integers(len(DRAWS), size=(200, 200, channels), dtype=np.uint16)
        noise = grained(grey, draws, np.float32(10) * DRAWS).astype(float) - 128
        assert abs(noise.mean()) < 0.2
        assert noise.std() == pytest.approx(10, rel=0.02)
        # Rounded, so beyond 20.5: 2.05 standard deviations.
        assert np.mean(np.abs(noise) > 20) == pytest.approx(0.0404, abs=0.004)
        correlation = np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]
        assert correlation == pytest.approx(1 if channels == 1 else 0, abs=0.02)


def test_grain_stays_within_the_range():
    draws = np.random.default_rng(0).integers(len(DRAWS), size=(*IMAGE.shape[:2], 3), dtype=np.uint16)
    out = grained(IMAGE, draws, np.float32(400) * DRAWS)
    assert (out == 0).any()
    assert (out == 255).any()
    still = IMAGE.astype(float) + 400 * DRAWS[draws]
    np.testing.assert_allclose(out, np.clip(still, 0, 255), atol=0.51)
