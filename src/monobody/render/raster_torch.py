"""The rasteriser in plain torch: a batch at once, on any device, with gradients; the rules are those of ``raster``.

Every triangle lists the pixels of its bounding box; those inside write one 64-bit number, 1 / depth in the upper half
and the triangle's number in the lower, and the largest stays (``scatter_reduce``). Positive floats keep their order
when their bits are read as integers, so nothing is quantised.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from monobody.render.raster import GUARD_PX, NEAR_M, SUBPIXEL_BITS

CANDIDATES_AT_ONCE = 1 << 23
"""How many pixels of bounding boxes are looked at together: bounds the memory at about a gigabyte."""


@torch.no_grad()
def visible_triangles(
    vertices_px: Float[Tensor, "b v 3"], faces: Int[Tensor, "f 3"], height: int, width: int, *, front_only: bool = False
) -> Int[Tensor, "b h w"]:
    """Return the number of the triangle seen at each pixel, int32, -1 where there is none."""
    batch = len(vertices_px)
    points = vertices_px.detach().float()
    snapped, inverse = _snap(points)
    faces = faces.long()
    x, y = snapped[:, :, 0][:, faces], snapped[:, :, 1][:, faces]  # (B, F, 3)
    last = (1 << SUBPIXEL_BITS) - 1
    left = ((x.amin(-1) + last) >> SUBPIXEL_BITS).clamp_min(0)
    top = ((y.amin(-1) + last) >> SUBPIXEL_BITS).clamp_min(0)
    right = (x.amax(-1) >> SUBPIXEL_BITS).clamp_max(width - 1)
    bottom = (y.amax(-1) >> SUBPIXEL_BITS).clamp_max(height - 1)
    area = (x[..., 1] - x[..., 0]) * (y[..., 2] - y[..., 0]) - (x[..., 2] - x[..., 0]) * (y[..., 1] - y[..., 0])
    keep = (left <= right) & (top <= bottom) & (area != 0) & (inverse[:, faces] > 0).all(-1)
    if front_only:
        keep &= area < 0
    picture, face = keep.nonzero(as_tuple=True)

    # From here on one row per triangle that is left, turned so that its area is positive.
    area = area[picture, face]
    order = torch.where((area > 0)[:, None], torch.tensor([0, 1, 2], device=area.device), area.new_tensor([0, 2, 1]))
    corners = faces[face].gather(1, order)
    x, y = snapped[picture[:, None], corners].unbind(-1)
    r0, r1, r2 = inverse[picture[:, None], corners].unbind(-1)
    left, right, top, bottom = (value[picture, face] for value in (left, right, top, bottom))
    over_area = 1.0 / area.abs().float()
    slope1, slope2 = (r1 - r0) * over_area, (r2 - r0) * over_area
    # Edge i runs from corner i + 1 to corner i + 2.
    dx, dy = x.roll(-2, 1) - x.roll(-1, 1), y.roll(-2, 1) - y.roll(-1, 1)
    bias = ((dy < 0) | ((dy == 0) & (dx > 0))).long() - 1
    start = dx * ((top << SUBPIXEL_BITS)[:, None] - y.roll(-1, 1)) - dy * (
        (left << SUBPIXEL_BITS)[:, None] - x.roll(-1, 1)
    )
    per_column, per_row = -(dy << SUBPIXEL_BITS), dx << SUBPIXEL_BITS
    columns = right - left + 1
    pixels = columns * (bottom - top + 1)
    first_pixel = (picture * height + top) * width + left

    winner = torch.zeros(batch * height * width, dtype=torch.int64, device=points.device)
    low_half = (1 << 32) - 1
    for chunk in _chunks(pixels):
        rows = torch.repeat_interleave(chunk, pixels[chunk])
        ends = pixels[chunk].cumsum(0)
        offset = torch.arange(len(rows), device=rows.device) - torch.repeat_interleave(
            ends - pixels[chunk], pixels[chunk]
        )
        down = torch.div(offset, columns[rows], rounding_mode="floor")
        across = offset - down * columns[rows]
        edge = start[rows] + across[:, None] * per_column[rows] + down[:, None] * per_row[rows]
        inside = ((edge + bias[rows]) >= 0).all(-1)
        rows, edge = rows[inside], edge[inside].float()
        pixel = first_pixel[rows] + (down[inside] * width + across[inside])
        r = r0[rows] + (edge[:, 1] * slope1[rows] + edge[:, 2] * slope2[rows])
        # A slope's rounding could push 1 / depth below zero at the horizon; such a pixel is no hit in either engine.
        key = (r.clamp_min(0).view(torch.int32).long() << 32) | (low_half - face[rows])
        key = torch.where(r > 0, key, 0)
        winner.scatter_reduce_(0, pixel, key, "amax")
    triangle = torch.where(winner == 0, -1, low_half - (winner & low_half))
    return triangle.int().view(batch, height, width)


def attributes_at(
    vertices_px: Float[Tensor, "b v 3"], faces: Int[Tensor, "f 3"], triangle: Int[Tensor, "b h w"]
) -> tuple[Float[Tensor, "b h w"], Float[Tensor, "b h w 3"]]:
    """Return depth (infinite where empty) and barycentrics (zero) of known triangles; differentiable.

    The values belong to the snapped corners, hence are never outside of a sliver; the gradient passes as if the
    corners were not snapped.
    """
    picture, row, column = (triangle >= 0).nonzero(as_tuple=True)
    corners = vertices_px[picture[:, None], faces.long()[triangle[picture, row, column].long()]]  # (N, 3, 3)
    steps = float(1 << SUBPIXEL_BITS)
    xy = corners[..., :2]
    xy = xy + ((xy.detach().float() * steps).round().to(xy.dtype) / steps - xy).detach()
    centre = torch.stack([column, row], -1).to(xy.dtype) + 0.5
    x, y = (xy - centre[:, None]).unbind(-1)
    weights = x.roll(-1, 1) * y.roll(-2, 1) - x.roll(-2, 1) * y.roll(-1, 1)
    weights = weights / weights.sum(-1, keepdim=True) / corners[..., 2]
    inverse = weights.sum(-1)
    where = (picture, row, column)
    depth = vertices_px.new_full(triangle.shape, torch.inf).index_put(where, 1.0 / inverse)
    barycentrics = vertices_px.new_zeros((*triangle.shape, 3)).index_put(where, weights / inverse[:, None])
    return depth, barycentrics


def _snap(points: Float[Tensor, "b v 3"]) -> tuple[Int[Tensor, "b v 2"], Float[Tensor, "b v"]]:
    """Return integer positions counted from the first pixel's centre, and 1 / depth, 0 if not drawable."""
    z = points[..., 2]
    good = (points[..., :2].abs() < GUARD_PX).all(-1) & (z >= NEAR_M) & (z < torch.inf)
    steps = (points[..., :2] * float(1 << SUBPIXEL_BITS)).round() - 0.0
    snapped = torch.where(good[..., None], steps, 0.0).long() - (1 << (SUBPIXEL_BITS - 1))
    return torch.where(good[..., None], snapped, 0), torch.where(good, 1.0 / z, 0.0)


def _chunks(pixels: Int[Tensor, "n"]) -> list[Int[Tensor, "m"]]:
    """Cut triangles into runs of at most about CANDIDATES_AT_ONCE pixels."""
    part = torch.div(pixels.cumsum(0), CANDIDATES_AT_ONCE, rounding_mode="floor")
    sizes = torch.bincount(part).tolist() if len(pixels) else []
    return list(torch.arange(len(pixels), device=pixels.device).split([size for size in sizes if size]))
