"""Cameras: exact round trips, and agreement of weak perspective and pinhole at the body's depth."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from monobody.camera import (
    default_focal_px,
    focal_from_fov,
    fov_from_focal,
    full_image_translation,
    project,
    project_through_picture,
    project_weak,
    unproject,
    weak_camera,
)
from monobody.data.crop import Crop
from monobody.errors import UserError

CROP = Crop((300.0, 120.0), 180.0)


@given(st.floats(1, 179), st.integers(16, 10_000))
def test_field_of_view_comes_back(fov_deg: float, width_px: int) -> None:
    assert fov_from_focal(focal_from_fov(fov_deg, width_px), width_px) == pytest.approx(fov_deg)


def test_field_of_view_is_horizontal() -> None:
    assert focal_from_fov(90, 640) == pytest.approx(320)
    assert default_focal_px(300, 400) == pytest.approx(500)


@pytest.mark.parametrize("fov_deg", [0, -5, 180, math.nan, math.inf])
def test_impossible_fields_of_view(fov_deg: float) -> None:
    with pytest.raises(UserError, match="field of view"):
        focal_from_fov(fov_deg, 640)


def test_projection_comes_back() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (4, 5, 3)) + np.array([0, 0, 3])
    pixels = project(points, 700.0, (320.0, 240.0))
    np.testing.assert_allclose(unproject(pixels, points[..., 2], 700.0, (320.0, 240.0)), points, atol=1e-12)
    assert project(np.array([0.0, 0.0, 2.0]), 700.0, (320.0, 240.0)).tolist() == [320, 240]


def test_weak_camera_comes_back() -> None:
    rng = np.random.default_rng(1)
    camera = np.stack([rng.uniform(0.3, 2, (2, 7)), *rng.uniform(-1, 1, (2, 2, 7))], -1)
    place = full_image_translation(camera, CROP, 900.0, 640, 480)
    np.testing.assert_allclose(weak_camera(place, CROP, 900.0, 640, 480), camera, atol=1e-12)
    as_tensor = full_image_translation(torch.from_numpy(camera), CROP, 900.0, 640, 480)
    np.testing.assert_allclose(as_tensor.numpy(), place)


def test_both_cameras_show_a_flat_body_at_the_same_pixels() -> None:
    rng = np.random.default_rng(2)
    body = rng.uniform(-1, 1, (9, 3)) * [1, 1, 0]
    camera = np.array([0.8, 0.1, -0.2])
    in_crop = project_weak(body, camera)
    place = full_image_translation(camera, CROP, 900.0, 640, 480)
    np.testing.assert_allclose(project(body + place, 900.0, (320.0, 240.0)), CROP.to_picture(in_crop), atol=1e-9)


def test_a_long_lens_makes_depth_vanish() -> None:
    rng = np.random.default_rng(3)
    body, camera = rng.uniform(-1, 1, (9, 3)), np.array([0.8, 0.1, -0.2])
    place = full_image_translation(camera, CROP, 1e7, 640, 480)
    expected = CROP.to_picture(project_weak(body, camera))
    np.testing.assert_allclose(project(body + place, 1e7, (320.0, 240.0)), expected, atol=1e-2)


def test_useless_scales_still_give_a_place_before_the_camera() -> None:
    for scale in (0.0, -1.0):
        place = full_image_translation(torch.tensor([scale, 0.0, 0.0]), CROP, 900.0, 640, 480)
        assert torch.isfinite(place).all()
        assert place[2] > 0


def test_gradients_reach_the_weak_camera() -> None:
    camera = torch.tensor([0.9, 0.0, 0.1], dtype=torch.float64, requires_grad=True)
    points = torch.randn(3, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda c: project_weak(points, c), camera)
    assert torch.autograd.gradcheck(lambda c: full_image_translation(c, CROP, 900.0, 640, 480), camera)


def test_the_whole_picture_s_projection_is_the_pinhole_s() -> None:
    """Through view and weak camera, or through the picture's pinhole and back into the crop: the same points."""
    rng = np.random.default_rng(3)
    points = rng.normal(size=(5, 19, 3)) * 0.5
    camera = np.stack([rng.uniform(0.6, 1.2, 5), *rng.uniform(-0.2, 0.2, (2, 5))], -1)
    focal_px, width, height = 700.0, 640, 480
    view = np.tile([(300 - 320) / focal_px, (120 - 240) / focal_px, 180 / focal_px], (5, 1))
    seen = project_through_picture(points, camera, view)
    place = full_image_translation(camera, CROP, focal_px, width, height)
    pixels = project(points + place[:, None], focal_px, (width / 2, height / 2))
    np.testing.assert_allclose(seen, CROP.to_crop(pixels), atol=1e-9)
    flat = points * [1, 1, 0]
    np.testing.assert_allclose(project_through_picture(flat, camera, view), project_weak(flat, camera), atol=1e-12)
    assert np.abs(seen - project_weak(points, camera)).max() > 0.05


def test_bodies_behind_the_camera_have_finite_gradients() -> None:
    points = torch.tensor([[[0.1, 0.2, -50.0], [0.0, 0.0, 0.0]]], requires_grad=True)
    camera = torch.tensor([[-1.0, 0.0, 0.0]], requires_grad=True)
    seen = project_through_picture(points, camera, torch.tensor([[0.1, 0.0, 0.3]]))
    seen.sum().backward()
    assert points.grad is not None
    assert camera.grad is not None
    assert seen.isfinite().all()
    assert points.grad.isfinite().all()
    assert camera.grad.isfinite().all()
