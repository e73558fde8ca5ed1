"""Pictures for people: occlusion by depth, smooth outlines, colours, and views that hold every body."""

import numpy as np
import pytest
from test_raster import sphere

from monobody.camera import Camera
from monobody.render import overlay as overlay_module
from monobody.render.overlay import COLOURS, draw_overlay
from monobody.render.side import draw_side

CAMERA = Camera(focal_px=120.0, principal_px=(60.0, 50.0), source="default")
GREY = np.full((100, 120, 3), 90, np.uint8)


def ball(x: float, y: float, z: float, radius: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    vertices, faces = sphere(24)
    return vertices * radius + [x, y, z], faces


def hue_of(pixel: np.ndarray) -> int:
    """Tell which person's colour a pixel is nearest to, whatever the light."""
    tones = COLOURS / np.linalg.norm(COLOURS, axis=1, keepdims=True)
    return int(np.argmax(tones @ (pixel / np.linalg.norm(pixel))))


def test_the_photo_stays_as_it_is_beside_the_bodies() -> None:
    photo = np.random.default_rng(0).integers(0, 256, GREY.shape, dtype=np.uint8)
    before = photo.copy()
    vertices, faces = ball(0, 0, 3)
    out = draw_overlay(photo, [vertices], faces, CAMERA)
    np.testing.assert_array_equal(photo, before)
    rows, columns = np.mgrid[:100, :120] + 0.5
    radius = np.hypot(columns - 60, rows - 50)
    np.testing.assert_array_equal(out[radius > 22], photo[radius > 22])
    assert (out[radius < 18] != photo[radius < 18]).any(axis=-1).mean() > 0.95


def test_the_nearer_person_hides_the_farther_whatever_the_order() -> None:
    near, faces = ball(0.0, 0, 2.5)
    far, _ = ball(0.0, 0, 4.0, radius=1.2)
    out = draw_overlay(GREY, [near, far], faces, CAMERA, opacity=1.0)
    assert hue_of(out[50, 60]) == 0
    assert hue_of(out[50, 32]) == 1
    swapped = draw_overlay(GREY, [far, near], faces, CAMERA, opacity=1.0)
    assert hue_of(swapped[50, 60]) == 1
    assert hue_of(swapped[50, 32]) == 0


def test_opacity_mixes_with_the_photo() -> None:
    vertices, faces = ball(0, 0, 3)
    whole = draw_overlay(GREY, [vertices], faces, CAMERA, opacity=1.0)[50, 60].astype(float)
    half = draw_overlay(GREY, [vertices], faces, CAMERA, opacity=0.5)[50, 60]
    np.testing.assert_allclose(half, (whole + 90) / 2, atol=1)


def test_outlines_are_smooth() -> None:
    vertices, faces = ball(0, 0, 3)
    black = np.zeros_like(GREY)
    out = draw_overlay(black, [vertices], faces, CAMERA, opacity=1.0).max(axis=-1)
    row = out[34].astype(int)  # near the upper rim, where the outline is nearly level
    assert len(np.unique(row[(row > 0)])) > 4


@pytest.mark.parametrize("limit", ["_SAMPLES_AT_ONCE", "_SINGLE_SAMPLE_PX"])
def test_bands_and_single_samples_show_the_same(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    vertices, faces = ball(0.1, 0.1, 2)
    whole = draw_overlay(GREY, [vertices], faces, CAMERA)
    monkeypatch.setattr(overlay_module, limit, 100)
    other = draw_overlay(GREY, [vertices], faces, CAMERA)
    difference = np.abs(whole.astype(int) - other)
    if limit == "_SAMPLES_AT_ONCE":
        assert difference.max() == 0
    else:  # Nothing but the smoothness of the outlines is missing.
        assert 0 < difference.mean() < 1.5


@pytest.mark.parametrize("place", [(0, 0, -3), (50, 0, 3), (0, -50, 3), (0, 0, 0), (np.nan, 0, 3)])
def test_bodies_out_of_sight_are_harmless(place: tuple[float, float, float]) -> None:
    vertices, faces = ball(*place)
    out = draw_overlay(GREY, [vertices], faces, CAMERA)
    assert out.shape == GREY.shape
    if place != (0, 0, 0):
        np.testing.assert_array_equal(out, GREY)


def test_nobody() -> None:
    _, faces = ball(0, 0, 3)
    np.testing.assert_array_equal(draw_overlay(GREY, [], faces, CAMERA), GREY)
    assert draw_side(GREY, [], faces, CAMERA).ndim == 3


def test_the_side_view_shows_depth_from_left_to_right() -> None:
    near, faces = ball(0.4, 0, 2.0)
    far, _ = ball(-0.4, 0, 6.0)
    out = draw_side(GREY, [near, far], faces, CAMERA).astype(float)
    saturation = out.max(axis=-1) - out.min(axis=-1)
    seen = np.stack(np.nonzero(saturation > 40), -1)
    people = (out[..., 2] > out[..., 0])[tuple(seen.T)].astype(int)  # The first is coral, the second lagoon.
    assert set(people) == {0, 1}
    assert seen[people == 0, 1].max() < seen[people == 1, 1].min()
    # Nobody is cut off.
    assert seen.min() > 0
    assert (seen.max(axis=0) < np.array(out.shape[:2]) - 1).all()


@pytest.mark.parametrize("height", [100, 900, 5000])
def test_the_side_view_keeps_a_sensible_size(height: int) -> None:
    vertices, faces = ball(0, 0, 3)
    out = draw_side(np.zeros((height, 20, 3), np.uint8), [vertices], faces, CAMERA)
    assert 480 <= out.shape[0] <= 1440
    assert out.dtype == np.uint8
