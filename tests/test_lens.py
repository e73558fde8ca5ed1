"""Lenses: the published formula, pictures freed of distortion, and lenses found from points."""

import numpy as np
import pytest

from monobody.data.lens import Lens, fitted_lens, rectified, seen_at

# Of the size of Human3.6M's.
LENS = Lens(
    focal_px=(1145.0, 1143.8),
    principal_px=(512.5, 515.5),
    radial=(-0.21, 0.24, -0.008),
    tangential=(-0.0009, -0.0014),
)


def points(count: int, rng: np.random.Generator) -> np.ndarray:
    rays = rng.uniform(-0.4, 0.4, (count, 2))
    return np.c_[rays, np.ones(count)] * rng.uniform(2, 6, (count, 1))


def test_a_point_worked_by_hand() -> None:
    lens = Lens(focal_px=(100, 200), principal_px=(10, 20), radial=(0.1, 0.01, 0.001), tangential=(0.02, 0.03))
    u, v = 0.5, 0.25
    r2 = 0.3125
    bend = 1 + 0.03125 + 0.01 * r2**2 + 0.001 * r2**3 + 0.02 * 0.25 + 0.03 * 0.5
    expected = [10 + 100 * (u * bend + 0.03 * r2), 20 + 200 * (v * bend + 0.02 * r2)]
    np.testing.assert_allclose(seen_at(np.array([[1.0, 0.5, 2.0]]), lens)[0], expected, rtol=1e-12)


def test_rectified_pictures_are_a_pinholes() -> None:
    """A blob where the lens shows a point lies, after rectification, where the pinhole shows that point."""
    rows, columns = np.mgrid[:1000, :1000] + 0.5
    for point in points(12, np.random.default_rng(1)):
        x, y = seen_at(point, LENS)
        if not (30 < x < 970 and 30 < y < 970):
            continue
        blob = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18)
        image = np.repeat((250 * blob).astype(np.uint8)[..., None], 3, axis=2)
        weight = rectified(image, LENS)[..., 0].astype(float)
        found = np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()
        ideal = point[:2] / point[2] * LENS.pinhole_focal_px + np.array(LENS.principal_px)
        np.testing.assert_allclose(found, ideal, atol=0.1)
    corner = np.array([0.38, 0.38, 1])
    ideal = corner[:2] * LENS.pinhole_focal_px + np.array(LENS.principal_px)
    assert np.linalg.norm(seen_at(corner, LENS) - ideal) > 10, "the test is void without distortion"


def test_a_perfect_lens_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    plain = Lens(focal_px=(60, 60), principal_px=(25, 20))
    assert np.abs(rectified(image, plain).astype(int) - image).max() <= 1


@pytest.mark.parametrize("distorted", [False, True])
def test_a_lens_is_found_from_what_it_shows(distorted: bool) -> None:
    true = LENS if distorted else Lens(focal_px=(1500, 1490), principal_px=(1024, 1040))
    seen = points(400, np.random.default_rng(2))
    found, error = fitted_lens(seen, seen_at(seen, true), distorted=distorted)
    assert error < 1e-6
    np.testing.assert_allclose(found.focal_px, true.focal_px, rtol=1e-8)
    np.testing.assert_allclose(found.radial + found.tangential, true.radial + true.tangential, atol=1e-8)
    _, misfit = fitted_lens(seen, seen_at(seen, LENS), distorted=False)
    assert misfit > 1
