"""The region of interest: MediaPipe's rule, its symmetries, and its stand-in for clicked joints."""

import math

import numpy as np
import pytest

from monobody.data.region import region_from_joints, region_from_points

STANDING = np.array(
    [
        [-8, 90], [-9, 48], [-9, 0], [9, 0], [9, 48], [8, 90], [-30, 10], [-26, -22],
        [-18, -50], [18, -50], [26, -22], [30, 10], [0, -52], [0, -78],
    ],
    np.float64,
)  # fmt: skip


def turned(points: np.ndarray, angle: float) -> np.ndarray:
    cos, sin = math.cos(angle), math.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]])


def test_upright_region_is_not_turned():
    crop = region_from_points(np.array([100.0, 120.0]), np.array([100.0, 40.0]))
    assert crop.centre_px == (100.0, 120.0)
    assert crop.size_px == pytest.approx(2 * 1.25 * 80)
    assert crop.angle_rad == pytest.approx(0)


@pytest.mark.parametrize("angle", [-2.5, -0.7, 0.3, math.pi / 2, 3.0])
def test_full_body_point_lies_above_the_centre_of_the_crop(angle: float):
    hip = np.array([50.0, 60.0])
    full_body = hip + turned(np.array([[0.0, -40.0]]), angle)[0]
    crop = region_from_points(hip, full_body)
    np.testing.assert_allclose(crop.to_crop(full_body), [0, -1 / 1.25], atol=1e-12)
    assert math.remainder(crop.angle_rad - angle, 2 * math.pi) == pytest.approx(0, abs=1e-12)


def test_coinciding_points_are_refused():
    with pytest.raises(ValueError, match="coincide"):
        region_from_points(np.array([5.0, 5.0]), np.array([5.0, 5.0]))


@pytest.mark.parametrize("angle", [-3.0, -1.0, 0.5, 2.0])
@pytest.mark.parametrize("scale", [0.3, 4.0])
def test_region_of_joints_moves_with_the_body(angle: float, scale: float):
    plain = region_from_joints(STANDING)
    moved = region_from_joints(scale * turned(STANDING, angle) + [200, 100])
    assert moved.size_px == pytest.approx(scale * plain.size_px)
    assert math.remainder(moved.angle_rad - plain.angle_rad - angle, 2 * math.pi) == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(
        moved.centre_px, scale * turned(np.array([plain.centre_px]), angle)[0] + [200, 100], atol=1e-9
    )


def test_region_of_joints_holds_the_body():
    assert np.abs(region_from_joints(STANDING).to_crop(STANDING)).max() < 1


@pytest.mark.parametrize("hidden", [[2], [2, 3], [8, 9], [12, 13], [8, 9, 12], [0, 1, 4, 5]])
def test_hidden_joints_do_not_count(hidden: list[int]):
    visible = np.ones(14, bool)
    visible[hidden] = False
    spoilt = STANDING.copy()
    spoilt[hidden] = 1e6
    crop = region_from_joints(spoilt, visible)
    assert crop.size_px < 400
    assert abs(crop.angle_rad) < 0.6


def test_one_joint_is_refused():
    with pytest.raises(ValueError, match="two"):
        region_from_joints(STANDING, np.arange(14) == 3)
