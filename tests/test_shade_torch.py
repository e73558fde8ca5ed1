"""Shading in torch: the compiled loops' pictures, and gradients to everything that makes them."""

import numpy as np
import torch
from test_raster import sphere

from monobody.render.raster import rasterise
from monobody.render.shade import irradiance, shade_one
from monobody.render.shade import vertex_normals as vertex_normals_by_loop
from monobody.render.shade_torch import shade, vertex_normals

SIZE = 48


def scene() -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    vertices, faces = sphere(16)
    points = np.stack([vertices * scale + np.array([0, 0, 4]) for scale in (1.0, 0.6)])
    projected = np.concatenate([points[..., :2] / points[..., 2:] * 80 + SIZE / 2, points[..., 2:]], -1)
    uv = rng.uniform(-0.5, 1.5, (50, 2))
    lights = [irradiance(rng.normal(size=(3, 3)), rng.uniform(0, 0.8, (3, 3)), ambient=0.2) for _ in range(2)]
    values = {
        "vertices": points.astype(np.float32),
        "projected": projected.astype(np.float32),
        "faces": faces.astype(np.int32),
        "uv": uv.astype(np.float32),
        "uv_faces": rng.integers(0, 50, faces.shape).astype(np.int32),
        "texture": rng.integers(0, 256, (2, 16, 20, 3)).astype(np.uint8),
        "labels": rng.integers(1, 9, len(vertices)).astype(np.uint8),
        "light": np.stack(lights),
    }
    return {name: torch.from_numpy(value) for name, value in values.items()}


def test_both_shadings_agree() -> None:
    s = scene()
    fragments = rasterise(s["projected"], s["faces"], SIZE, SIZE)
    normals = vertex_normals(s["vertices"], s["faces"])
    shaded = shade(
        fragments,
        s["faces"],
        normals,
        uv=s["uv"],
        uv_faces=s["uv_faces"],
        texture=s["texture"].float(),
        labels=s["labels"],
        light=s["light"],
    )
    n = {name: value.numpy() for name, value in s.items()}
    for i in range(2):
        rgb, part = np.zeros((SIZE, SIZE, 3), np.uint8), np.zeros((SIZE, SIZE), np.uint8)
        normal = np.zeros((SIZE, SIZE, 3), np.float32)
        shade_one(
            n["faces"],
            fragments.triangle[i].numpy(),
            fragments.barycentrics[i].numpy(),
            vertex_normals_by_loop(n["vertices"][i], n["faces"]),
            n["uv"],
            n["uv_faces"],
            n["texture"][i],
            n["labels"],
            n["light"][i],
            rgb,
            part,
            normal,
        )
        assert (part > 0).sum() > 200
        np.testing.assert_array_equal(part, shaded.part[i].numpy())
        np.testing.assert_allclose(normal, shaded.normal[i].numpy(), atol=1e-4)
        np.testing.assert_allclose(rgb, shaded.rgb[i].numpy(), atol=0.6)


def test_gradients_reach_vertices_texture_and_light() -> None:
    s = scene()
    texture, light = s["texture"].float().requires_grad_(), s["light"].requires_grad_()
    vertices, projected = s["vertices"].requires_grad_(), s["projected"].requires_grad_()
    fragments = rasterise(projected, s["faces"], SIZE, SIZE)
    shaded = shade(
        fragments,
        s["faces"],
        vertex_normals(vertices, s["faces"]),
        uv=s["uv"],
        uv_faces=s["uv_faces"],
        texture=texture,
        labels=s["labels"],
        light=light,
    )
    (shaded.rgb.square().mean() + shaded.normal[..., 0].sum()).backward()
    for value in (texture, light, vertices, projected):
        assert torch.isfinite(value.grad).all()
        assert value.grad.abs().max() > 0


def test_nothing_to_shade() -> None:
    s = scene()
    fragments = rasterise(s["projected"] + torch.tensor([500.0, 0, 0]), s["faces"], SIZE, SIZE)
    shaded = shade(
        fragments,
        s["faces"],
        vertex_normals(s["vertices"], s["faces"]),
        uv=s["uv"],
        uv_faces=s["uv_faces"],
        texture=s["texture"].float(),
        labels=s["labels"],
        light=s["light"],
    )
    assert (shaded.part == 0).all()
