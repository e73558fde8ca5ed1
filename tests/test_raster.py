"""The rasteriser: two engines with one answer, exact coverage, and analytic surfaces."""

import numpy as np
import pytest
import torch

from monobody.body.assets import load_body_data
from monobody.render import raster_torch
from monobody.render.raster import rasterise
from monobody.render.silhouette import Outline


def both(vertices_px, faces, height, width, **options):
    """Rasterise with both engines, insist on one answer, and return it."""
    vertices_px, faces = np.asarray(vertices_px, np.float32), np.asarray(faces, np.int32)
    numba = rasterise(vertices_px, faces, height, width, engine="numba", **options)
    torched = rasterise(
        torch.from_numpy(vertices_px), torch.from_numpy(faces), height, width, engine="torch", **options
    )
    np.testing.assert_array_equal(numba.triangle, torched.triangle.numpy())
    np.testing.assert_allclose(numba.depth, torched.depth.numpy(), rtol=2e-5)
    hit = numba.triangle >= 0
    assert np.isinf(numba.depth[~hit]).all()
    assert np.isfinite(numba.depth[hit]).all()
    if hit.any():
        np.testing.assert_allclose(numba.barycentrics[hit], torched.barycentrics.numpy()[hit], atol=2e-3)
        np.testing.assert_allclose(numba.barycentrics[hit].sum(-1), 1, atol=1e-5)
        assert numba.barycentrics[hit].min() >= -1e-5
    assert (numba.barycentrics[~hit] == 0).all()
    return numba


def triangle_soup(rng, batch, count, size, spread, depth=(0.5, 3.0)):
    """Separate triangles of about ``spread`` pixels."""
    centres = rng.uniform(-0.2 * size, 1.2 * size, (batch, count, 1, 2))
    xy = centres + rng.normal(0, spread, (batch, count, 3, 2))
    z = rng.uniform(*depth, (batch, count, 3, 1))
    return np.concatenate([xy, z], -1).reshape(batch, count * 3, 3), np.arange(count * 3).reshape(count, 3)


@pytest.mark.parametrize("spread", [0.3, 2, 20, 500, 20_000])
@pytest.mark.parametrize("front_only", [False, True])
def test_engines_agree_on_random_triangles(spread: float, front_only: bool) -> None:
    vertices, faces = triangle_soup(np.random.default_rng(int(spread)), 3, 400, 61, spread)
    fragments = both(vertices, faces, 61, 47, front_only=front_only)
    assert (fragments.triangle >= 0).any()


def test_engines_agree_on_slivers_and_coinciding_triangles() -> None:
    rng = np.random.default_rng(0)
    vertices, faces = triangle_soup(rng, 2, 300, 50, 10)
    vertices = vertices.reshape(2, 300, 3, 3)
    vertices[:, :100, 2, :2] = vertices[:, :100, 1, :2] + rng.normal(0, 0.01, (2, 100, 2))  # slivers
    vertices[:, 100:200] = vertices[:, 200:300]  # the same triangle twice: the first listed must win
    fragments = both(vertices.reshape(2, 900, 3), faces, 50, 50)
    assert not np.isin(fragments.triangle, np.arange(200, 300)).any()


def test_engines_agree_where_surfaces_cross_and_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raster_torch, "CANDIDATES_AT_ONCE", 1000)
    vertices, faces = triangle_soup(np.random.default_rng(5), 2, 200, 64, 30, depth=(1.0, 1.001))
    both(vertices, faces, 64, 64)


def test_order_of_corners_does_not_matter_but_tells_the_front() -> None:
    vertices, faces = triangle_soup(np.random.default_rng(6), 1, 100, 64, 15)
    there, back = both(vertices, faces, 64, 64), both(vertices, faces[:, ::-1], 64, 64)
    np.testing.assert_array_equal(there.triangle, back.triangle)
    front = both(vertices, faces, 64, 64, front_only=True).triangle
    behind = both(vertices, faces[:, ::-1], 64, 64, front_only=True).triangle
    np.testing.assert_array_equal((front >= 0) | (behind >= 0), there.triangle >= 0)
    assert not np.intersect1d(front[front >= 0], behind[behind >= 0]).size


@pytest.mark.parametrize("snap_to_centres", [False, True])
def test_a_tessellated_square_covers_each_pixel_exactly_once(snap_to_centres: bool) -> None:
    # Each triangle alone; the counts must add up to one inside whatever edges run through pixel centres.
    rng = np.random.default_rng(7)
    n, size = 9, 40
    grid = np.stack(np.meshgrid(np.linspace(0, size, n), np.linspace(0, size, n)), -1)
    grid[1:-1, 1:-1] += rng.uniform(-1.5, 1.5, (n - 2, n - 2, 2))
    if snap_to_centres:
        grid[1:-1, 1:-1] = np.floor(grid[1:-1, 1:-1]) + 0.5
    vertices = np.concatenate([grid.reshape(-1, 2), np.ones((n * n, 1))], -1)
    corner = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).ravel()
    faces = np.concatenate(
        [
            np.stack([corner, corner + 1, corner + n], -1),
            np.stack([corner + 1, corner + n + 1, corner + n], -1)[:, [1, 0, 2]],
        ]
    )
    count = sum((both(vertices[None], face[None], size, size).triangle >= 0).astype(int) for face in faces)
    np.testing.assert_array_equal(count, 1)


def test_a_closed_mesh_looks_the_same_without_its_back() -> None:
    vertices, faces = sphere(24)
    vertices = np.stack([40 + 30 * vertices[:, 0], 40 + 30 * vertices[:, 1], 5 + vertices[:, 2]], -1)[None]
    whole, front = both(vertices, faces, 80, 80), both(vertices, faces, 80, 80, front_only=True)
    np.testing.assert_array_equal(whole.triangle, front.triangle)
    assert (whole.triangle >= 0).sum() == pytest.approx(np.pi * 30**2, rel=0.02)


def test_the_shipped_body_is_closed_and_faces_outwards() -> None:
    data = load_body_data()
    upright = data.v_template * [1, -1, -1] + [0, 0, 10]
    points = np.concatenate([upright[:, :2] / upright[:, 2:] * 900 + [64, 50], upright[:, 2:]], -1)[None]
    whole, front = both(points, data.faces, 128, 128), both(points, data.faces, 128, 128, front_only=True)
    np.testing.assert_array_equal(whole.triangle, front.triangle)
    assert (whole.triangle >= 0).sum() > 1500
    Outline.of(data.faces)


def sphere(rings: int) -> tuple[np.ndarray, np.ndarray]:
    """A unit sphere whose triangles are counter-clockwise as seen from outside, in a y-down, z-forward frame."""
    theta, phi = np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False)
    t, p = np.meshgrid(theta, phi, indexing="ij")
    vertices = np.stack([np.sin(t) * np.cos(p), np.cos(t), np.sin(t) * np.sin(p)], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(rings), np.arange(2 * rings), indexing="ij")
    a, b = i * 2 * rings + j, i * 2 * rings + (j + 1) % (2 * rings)
    faces = np.concatenate([np.stack([a, b, a + 2 * rings], -1), np.stack([b, b + 2 * rings, a + 2 * rings], -1)])
    return vertices, faces.reshape(-1, 3)


def test_depth_of_a_sphere_in_perspective() -> None:
    vertices, faces = sphere(120)
    focal, size, distance = 300.0, 200, 4.0
    points = vertices + np.array([0.1, -0.2, distance])
    projected = np.concatenate([points[:, :2] / points[:, 2:] * focal + size / 2, points[:, 2:]], -1)[None]
    fragments = both(projected, faces, size, size, front_only=True)
    v, u = np.mgrid[:size, :size] + 0.5
    ray = np.stack([(u - size / 2) / focal, (v - size / 2) / focal, np.ones_like(u)], -1)
    # |z ray - centre| = 1 is a quadratic in the depth z.
    centre = np.array([0.1, -0.2, distance])
    a, b, c = (ray**2).sum(-1), -2 * ray @ centre, centre @ centre - 1
    root = b * b - 4 * a * c
    inside = root > 0
    assert (inside != (fragments.triangle[0] >= 0)).sum() < 0.01 * inside.sum()
    well_inside = root > 0.1 * root.max()
    depth = (-b - np.sqrt(np.maximum(root, 0))) / (2 * a)
    np.testing.assert_allclose(fragments.depth[0][well_inside], depth[well_inside], atol=2e-3)


def test_barycentrics_are_correct_in_perspective() -> None:
    # A slanted plane z = 2 + x seen by a pinhole: the interpolated 3D point must lie on the pixel's ray.
    points = np.array([[-1.0, -1.0, 1.0], [3.0, -1.0, 5.0], [-1.0, 2.0, 1.0]])
    focal, size = 40.0, 64
    projected = np.concatenate([points[:, :2] / points[:, 2:] * focal + 32, points[:, 2:]], -1)[None]
    fragments = both(projected, [[0, 1, 2]], size, size)
    row, column = np.nonzero(fragments.triangle[0] == 0)
    assert len(row) > 500
    seen = fragments.barycentrics[0, row, column] @ points
    np.testing.assert_allclose(seen[:, 0] / seen[:, 2] * focal + 32, column + 0.5, atol=5e-3)
    np.testing.assert_allclose(seen[:, 1] / seen[:, 2] * focal + 32, row + 0.5, atol=5e-3)
    np.testing.assert_allclose(fragments.depth[0, row, column], seen[:, 2], rtol=1e-4)


@pytest.mark.parametrize("bad", [-1.0, 0.0, 5e-4, np.nan, np.inf])
def test_triangles_at_or_behind_the_camera_are_left_out(bad: float) -> None:
    vertices = np.array([[[1, 1, 2], [30, 1, 2], [1, 30, 2], [1, 1, bad], [30, 1, 1], [1, 30, 1]]])
    fragments = both(vertices, [[3, 4, 5], [0, 1, 2]], 32, 32)
    assert set(np.unique(fragments.triangle)) == {-1, 1}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e6, -1e30])
def test_broken_positions_are_left_out(bad: float) -> None:
    vertices = np.array([[[bad, 1, 2], [30, 1, 2], [1, 30, 2]]])
    assert (both(vertices, [[0, 1, 2]], 32, 32).triangle == -1).all()


def test_huge_triangles_cover_the_whole_picture() -> None:
    far = 2e5
    vertices = np.array([[[-far, -far, 1], [far, -far, 2], [0, far, 3]]])
    assert (both(vertices, [[0, 1, 2]], 33, 65).triangle == 0).all()


def test_nothing_to_draw() -> None:
    fragments = both(np.zeros((2, 0, 3)), np.zeros((0, 3)), 4, 5)
    assert fragments.triangle.shape == (2, 4, 5)
    assert (fragments.triangle == -1).all()


@pytest.mark.parametrize("engine", ["numba", "torch"])
def test_gradients_of_depth_and_barycentrics(engine: str) -> None:
    vertices, faces = triangle_soup(np.random.default_rng(8), 1, 6, 20, 8)
    start = torch.from_numpy(vertices)  # float64: finite differences need it; ids are found in float32.
    corners = torch.from_numpy(faces)
    weights = torch.from_numpy(np.random.default_rng(9).normal(size=(1, 20, 20, 4)))

    def value(points: torch.Tensor) -> torch.Tensor:
        fragments = rasterise(points, corners, 20, 20, engine=engine)
        depth = torch.where(fragments.triangle >= 0, fragments.depth, 0.0)
        return (torch.cat([depth[..., None], fragments.barycentrics], -1) * weights).sum()

    points = start.clone().requires_grad_()
    value(points).backward()
    assert points.grad.abs().max() > 0.1
    # Move by whole subpixels, so that snapping changes nothing else; depth may move freely.
    triangle = rasterise(start, corners, 20, 20, engine=engine).triangle
    compared = 0
    for index in range(start.shape[1]):
        for axis, step in ((0, 2.0**-10), (1, 2.0**-10), (2, 1e-4)):
            low, high = start.clone(), start.clone()
            snapped = (start[0, index, axis] * 1024).round() / 1024 if axis < 2 else start[0, index, axis]
            low[0, index, axis], high[0, index, axis] = snapped - step, snapped + step
            with torch.no_grad():
                if any(
                    not torch.equal(rasterise(p, corners, 20, 20, engine="torch").triangle, triangle)
                    for p in (low, high)
                ):
                    continue  # The outline moved over a pixel's centre: not differentiable here.
            with torch.enable_grad():
                numeric = (value(high.requires_grad_()) - value(low.requires_grad_())).item() / (2 * step)
            assert numeric == pytest.approx(float(points.grad[0, index, axis]), rel=2e-2, abs=2e-2)
            compared += 1
    assert compared > start[0].numel() // 2


def test_engine_must_fit_the_arrays() -> None:
    with pytest.raises(ValueError, match="tensors"):
        rasterise(np.zeros((1, 3, 3)), np.zeros((1, 3), int), 4, 4, engine="torch")
