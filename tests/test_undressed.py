"""People painted by body parts, of clay, and on black: the same people, whose colours say which part is seen."""

import colorsys
from dataclasses import replace

import numpy as np
import pytest

from monobody.data.curated_poses import CuratedPoses
from monobody.data.known import SyntheticSample
from monobody.data.synthetic import PLAIN, SyntheticPeople
from monobody.data.undressed import cut_out, part_colours

NUMBERS = (0, 1, 5)


@pytest.fixture(scope="module")
def people() -> dict[str, list[SyntheticSample]]:
    setting = replace(PLAIN, size=120, unusual=0, occluders=0)
    shares = {"dressed": {}, "parts": {"parts": 1.0}, "clay": {"clay": 1.0}, "black": {"parts": 1.0, "black": 1.0}}
    stream = SyntheticPeople(4, CuratedPoses(), setting=setting)
    found = {}
    for name, share in shares.items():
        stream.setting = replace(setting, **share)
        found[name] = [stream[number] for number in NUMBERS]
    return found


def test_looks_change_pixels_and_nothing_else(people: dict[str, list[SyntheticSample]]) -> None:
    for name in ("parts", "clay", "black"):
        for other, dressed in zip(people[name], people["dressed"], strict=True):
            np.testing.assert_array_equal(other.theta, dressed.theta)
            np.testing.assert_array_equal(other.keypoints["xas18"][0], dressed.keypoints["xas18"][0])
            assert other.mask is not None
            assert dressed.mask is not None
            # Clothes and hair stand off the skin.
            assert (other.mask > 127).sum() <= (dressed.mask > 127).sum()
            inside = other.mask > 250
            assert (other.image[inside] != dressed.image[inside]).any(1).mean() > 0.9
            if name != "black":
                outside = (other.mask == 0) & (dressed.mask == 0)
                np.testing.assert_array_equal(other.image[outside], dressed.image[outside])


def test_a_part_has_its_colour(people: dict[str, list[SyntheticSample]]) -> None:
    colours = part_colours()
    right = []
    for sample in people["parts"]:
        assert sample.parts is not None
        assert sample.mask is not None
        for y, x in zip(*np.nonzero((sample.parts > 0) & (sample.mask == 255)), strict=True):
            pixel = sample.image[y, x].astype(float)
            if pixel.max() < 60 or np.ptp(pixel) < 40:
                continue  # Too dark, or too bright, to tell a hue.
            hue, wanted = (colorsys.rgb_to_hsv(*rgb / 255.0)[0] for rgb in (pixel, colours[sample.parts[y, x]]))
            right.append(abs((hue - wanted + 0.5) % 1 - 0.5) < 0.12)
    assert len(right) > 300
    assert np.mean(right) > 0.8


def test_left_and_right_parts_differ() -> None:
    colours = part_colours().astype(int)
    assert len({tuple(colour) for colour in colours}) == 25
    # smpl24: hips, knees, ankles, feet, collars, shoulders, elbows, wrists, hands; parts count from 1.
    for left in (1, 4, 7, 10, 13, 16, 18, 20, 22):
        assert np.abs(colours[left + 1] - colours[left + 2]).max() > 90


def test_clay_is_grey_and_black_is_black(people: dict[str, list[SyntheticSample]]) -> None:
    for clay, black in zip(people["clay"], people["black"], strict=True):
        assert clay.mask is not None
        assert black.mask is not None
        assert not black.image[black.mask == 0].any()
        assert black.image[black.mask == 255].any(1).mean() > 0.9
        again = cut_out(replace(black, mask=None))
        np.testing.assert_array_equal(again.image, black.image)
        # One albedo: what colour there is comes from the light.
        chroma = np.ptp(clay.image[clay.mask == 255].astype(float), axis=1) / 255
        assert np.median(chroma) < 0.25


def test_shares_are_kept() -> None:
    from monobody.data.undressed import sample_look

    rng = np.random.default_rng(0)
    looks = [sample_look(rng, parts=0.3, clay=0.2) for _ in range(4000)]
    assert looks.count("parts") / 4000 == pytest.approx(0.3, abs=0.03)
    assert looks.count("clay") / 4000 == pytest.approx(0.2, abs=0.03)
