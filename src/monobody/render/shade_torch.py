"""Colour what the rasteriser found, in plain torch: the same pictures as :mod:`monobody.render.shade`, by batches.

Works on any device; gradients pass to vertices, texture and light.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from monobody.render.raster import Fragments


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaded:
    """A batch of shaded pictures; zeros where there is nothing."""

    rgb: Float[Tensor, "b h w 3"]
    """From 0 to 255."""
    part: UInt8[Tensor, "b h w"]
    normal: Float[Tensor, "b h w 3"]


def vertex_normals(vertices: Float[Tensor, "b v 3"], faces: Int[Tensor, "f 3"]) -> Float[Tensor, "b v 3"]:
    """Return unit normals, the mean of the adjacent triangles' weighted by area."""
    corners = faces.long().unbind(1)
    a, b, c = (vertices.index_select(1, corner) for corner in corners)
    cross = torch.linalg.cross(b - a, c - a)
    normals = torch.zeros_like(vertices)
    for corner in corners:
        normals = normals.index_add(1, corner, cross)
    return torch.nn.functional.normalize(normals, dim=-1, eps=1e-30)


def shade(
    fragments: Fragments[Tensor],
    faces: Int[Tensor, "f 3"],
    normals: Float[Tensor, "b v 3"],
    *,
    uv: Float[Tensor, "t 2"],
    uv_faces: Int[Tensor, "f 3"],
    texture: Float[Tensor, "#b th tw 3"],
    labels: UInt8[Tensor, "v"],
    light: Float[Tensor, "#b 9 3"],
) -> Shaded:
    """Shade a batch of rasterised pictures.

    Args:
        fragments: from :func:`monobody.render.raster.rasterise`.
        faces: triangles.
        normals: of the vertices, in the frame of ``light``.
        uv: texture coordinates, v up.
        uv_faces: the corners' rows of ``uv``.
        texture: from 0 to 255, one for all pictures or one each; bilinear, repeated beyond its borders.
        labels: the part of each vertex; a pixel takes the label of the nearest corner.
        light: coefficients from :func:`monobody.render.shade.irradiance`, one set for all pictures or one each.
    """
    batch = len(fragments.triangle)
    where = (fragments.triangle >= 0).nonzero(as_tuple=True)
    picture = where[0]
    triangle = fragments.triangle[where].long()
    weights = fragments.barycentrics[where]
    corners = faces.long()[triangle]
    normal = (weights[..., None] * normals[picture[:, None], corners]).sum(1)
    normal = torch.nn.functional.normalize(normal, dim=-1, eps=1e-15)
    part = labels[corners.gather(1, weights.argmax(1, keepdim=True))[:, 0]]
    place = (weights[..., None] * uv[uv_faces.long()[triangle]]).sum(1)
    albedo = _sample(texture, torch.zeros_like(picture) if len(texture) == 1 else picture, place)
    irradiance = torch.einsum("nk,nkc->nc", _basis(normal), light.expand(batch, 9, 3)[picture]).clamp_min(0)
    rgb = (albedo * irradiance).clamp_max(255)

    def spread(values: Tensor) -> Tensor:
        shape = (*fragments.triangle.shape, *values.shape[1:])
        return values.new_zeros(shape).index_put(where, values)

    return Shaded(rgb=spread(rgb), part=spread(part), normal=spread(normal))


def _basis(normal: Float[Tensor, "n 3"]) -> Float[Tensor, "n 9"]:
    x, y, z = normal.unbind(-1)
    return torch.stack([torch.ones_like(x), x, y, z, x * y, y * z, z * x, x * x - y * y, 3 * z * z - 1], dim=-1)


def _sample(texture: Float[Tensor, "k th tw 3"], which: Int[Tensor, "n"], uv: Float[Tensor, "n 2"]) -> Tensor:
    """Look up texture ``which`` at (u, v), v up."""
    height, width = texture.shape[1:3]
    x, y = uv[:, 0] * width - 0.5, (1 - uv[:, 1]) * height - 0.5
    left, top = x.detach().floor(), y.detach().floor()
    across, down = (x - left)[:, None], (y - top)[:, None]
    left, top = left.long(), top.long()

    def texel(i: Tensor, j: Tensor) -> Tensor:
        return texture[which, i % height, j % width]

    above = texel(top, left) * (1 - across) + texel(top, left + 1) * across
    below = texel(top + 1, left) * (1 - across) + texel(top + 1, left + 1) * across
    return above * (1 - down) + below * down
