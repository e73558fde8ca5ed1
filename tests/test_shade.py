"""Shading: normals of known surfaces, irradiance against integration, labels and texture where they belong."""

import numpy as np
import pytest
from test_raster import sphere

from monobody.render.raster import rasterise
from monobody.render.shade import irradiance, irradiance_at, shade_one, sum_normals, vertex_normals


def evaluate(light: np.ndarray, normals: np.ndarray) -> np.ndarray:
    return np.array([[irradiance_at.py_func(light, c, *normal) for c in range(3)] for normal in normals])


def random_directions(count: int, seed: int = 0) -> np.ndarray:
    directions = np.random.default_rng(seed).normal(size=(count, 3))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def test_sphere_normals_point_outwards() -> None:
    vertices, faces = sphere(40)
    normals = vertex_normals(vertices[:, [0, 2, 1]], faces)  # Swapping two axes makes the frame right-handed.
    np.testing.assert_allclose(np.abs((normals * vertices[:, [0, 2, 1]]).sum(-1))[100:-100], 1, atol=5e-3)
    assert len(np.unique(np.sign((normals * vertices[:, [0, 2, 1]]).sum(-1)))) == 1


def test_a_loose_vertex_has_no_normal() -> None:
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5]])
    np.testing.assert_allclose(vertex_normals(vertices, np.array([[0, 1, 2]]))[[0, 3]], [[0, 0, 1], [0, 0, 0]])


def test_one_lamp_is_about_the_clamped_cosine() -> None:
    direction = random_directions(1)
    light = irradiance(direction, np.ones((1, 3)))
    normals = random_directions(500, seed=1)
    exact = np.maximum(normals @ direction[0], 0)
    assert np.abs(evaluate(light, normals)[:, 0] - exact).max() < 0.1
    assert evaluate(light, direction)[0, 0] == pytest.approx(1, abs=0.07)


def test_a_smooth_panorama_is_nearly_exact() -> None:
    # Light that varies slowly: the sum of its lamps and the integral over its sky agree to a per cent.
    directions = random_directions(20_000)
    radiance = (1 + 0.6 * directions @ [0.6, -0.8, 0.0])[:, None] * [1.0, 0.7, 0.4]
    light = irradiance(directions, radiance * 4 / len(directions))  # 4 pi / N steradians a lamp, over pi
    normals = random_directions(20, seed=2)
    exact = np.maximum(normals @ directions.T, 0) @ radiance * 4 / len(directions)
    np.testing.assert_allclose(evaluate(light, normals), exact, rtol=0.02)


def test_ambient_light_reaches_everything_and_light_is_never_negative() -> None:
    light = irradiance(np.array([[0.0, 0.0, 1.0]]), np.zeros((1, 3)), ambient=0.3)
    np.testing.assert_allclose(evaluate(light, random_directions(5)), 0.3, atol=1e-6)
    lamp = irradiance(np.array([[0.0, 0.0, 1.0]]), np.ones((1, 3)))
    assert (evaluate(lamp, random_directions(300)) >= 0).all()


def test_shading_finds_texture_parts_and_normals() -> None:
    # A square facing the camera; its texture has four colours, its corners four labels.
    vertices = np.array([[2.0, 2, 1], [18, 2, 1], [2, 18, 1], [18, 18, 1]], np.float32)
    faces = np.array([[0, 2, 1], [1, 2, 3]], np.int32)
    uv = np.array([[0, 1], [1, 1], [0, 0], [1, 0]], np.float32)
    texture = np.zeros((8, 8, 3), np.uint8)
    texture[:4, :4], texture[:4, 4:], texture[4:, :4], texture[4:, 4:] = (
        [200, 0, 0],
        [0, 200, 0],
        [0, 0, 200],
        [100] * 3,
    )
    fragments = rasterise(vertices[None], faces, 20, 20)
    normals = np.empty((4, 3), np.float32)
    sum_normals(vertices, faces, normals)
    rgb, part = np.full((20, 20, 3), 7, np.uint8), np.zeros((20, 20), np.uint8)
    normal = np.zeros((20, 20, 3), np.float32)
    shade_one(
        faces,
        fragments.triangle[0],
        fragments.barycentrics[0],
        normals,
        uv,
        faces,
        texture,
        np.array([1, 2, 3, 4], np.uint8),
        irradiance(np.array([[0.0, 0.0, 1.0]]), np.zeros((1, 3)), ambient=1.0),
        rgb,
        part,
        normal,
    )
    np.testing.assert_array_equal(
        rgb[[5, 5, 14, 14], [5, 14, 5, 14]], [[200, 0, 0], [0, 200, 0], [0, 0, 200], [100] * 3]
    )
    np.testing.assert_array_equal(part[[4, 4, 15, 15], [4, 15, 4, 15]], [1, 2, 3, 4])
    np.testing.assert_array_equal(rgb[0], 7)
    np.testing.assert_allclose(normal[10, 10], [0, 0, -1], atol=1e-6)
    assert (part[0] == 0).all()
