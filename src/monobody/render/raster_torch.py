"""The rasteriser in plain torch: a batch at once, on any device, with gradients; the rules are those of ``raster``.

Every triangle lists the pixels of its bounding box; those inside write one 64-bit number, 1 / depth in the upper half
and the triangle's number in the lower, and the largest stays (``scatter_reduce``). Positive floats keep their order
when their bits are read as integers, so nothing is quantised.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from monobody.render.raster import GUARD_PX, NEAR_M, SUBPIXEL_BITS

CANDIDATES_AT_ONCE = 1 << 23
"""How many pixels of bounding boxes are looked at together: bounds the memory at about a gigabyte."""
_LOW_HALF = (1 << 32) - 1


@torch.no_grad()
def visible_triangles(
    vertices_px: Float[Tensor, "b v 3"], faces: Int[Tensor, "f 3"], height: int, width: int, *, front_only: bool = False
) -> Int[Tensor, "b h w"]:
    """Return the number of the triangle seen at each pixel, int32, -1 where there is none."""
    batch, count = vertices_px.shape[:2]
    sx, sy, inverse = _snap(vertices_px.detach().float())
    # Columns of corners throughout: torch is slow along an axis of three.
    corners = faces.long().unbind(1)
    left, right = _covered([sx.index_select(1, corner) for corner in corners], width)
    top, bottom = _covered([sy.index_select(1, corner) for corner in corners], height)
    picture, face = ((left <= right) & (top <= bottom)).nonzero(as_tuple=True)

    # From here on one row per triangle whose box holds a pixel's centre.
    left, right, top, bottom = (value[picture, face].long() for value in (left, right, top, bottom))
    places = [picture * count + corner[face] for corner in corners]
    x0, x1, x2 = (sx.flatten()[place].long() for place in places)
    y0, y1, y2 = (sy.flatten()[place].long() for place in places)
    r0, r1, r2 = (inverse.flatten()[place] for place in places)
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    good = (area < 0 if front_only else area != 0) & (r0 > 0) & (r1 > 0) & (r2 > 0)
    # Turned so that the area is positive.
    (x1, x2), (y1, y2), (r1, r2) = (_swapped(area < 0, *pair) for pair in ((x1, x2), (y1, y2), (r1, r2)))
    over_area = 1.0 / area.abs().float()
    slope1, slope2 = (r1 - r0) * over_area, (r2 - r0) * over_area
    px, py = left << SUBPIXEL_BITS, top << SUBPIXEL_BITS
    edges = [_edge(*ends, px, py) for ends in ((x1, y1, x2, y2), (x2, y2, x0, y0), (x0, y0, x1, y1))]
    columns = right - left + 1
    pixels = torch.where(good, columns * (bottom - top + 1), 0)
    first_pixel = (picture * height + top) * width + left

    winner = torch.zeros(batch * height * width, dtype=torch.int64, device=vertices_px.device)
    for chunk in _chunks(pixels):
        rows = torch.repeat_interleave(chunk, pixels[chunk])
        first = pixels[chunk].cumsum(0) - pixels[chunk]
        offset = torch.arange(len(rows), device=rows.device) - torch.repeat_interleave(first, pixels[chunk])
        down = torch.div(offset, columns[rows], rounding_mode="floor")
        across = offset - down * columns[rows]
        e0, e1, e2 = (start[rows] + across * right_[rows] + down * down_[rows] for start, right_, down_, _ in edges)
        inside = (e0 | e1 | e2) >= 0
        rows, across, down = rows[inside], across[inside], down[inside]
        e1, e2 = (e[inside] - bias[rows] for e, (_, _, _, bias) in ((e1, edges[1]), (e2, edges[2])))
        r = r0[rows] + (e1.float() * slope1[rows] + e2.float() * slope2[rows])
        key = (r.view(torch.int32).long() << 32) | (_LOW_HALF - face[rows])
        # The slopes' rounding may push 1 / depth below zero at the horizon: no hit, as in the other engine.
        key = torch.where(r > 0, key, 0)
        winner.scatter_reduce_(0, first_pixel[rows] + (down * width + across), key, "amax")
    triangle = torch.where(winner == 0, -1, _LOW_HALF - (winner & _LOW_HALF))
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


def _snap(
    points: Float[Tensor, "b v 3"],
) -> tuple[Int[Tensor, "b v"], Int[Tensor, "b v"], Float[Tensor, "b v"]]:
    """Return integer x and y counted from the first pixel's centre, and 1 / depth, 0 if not drawable."""
    x, y, z = points.unbind(-1)
    good = (x.abs() < GUARD_PX) & (y.abs() < GUARD_PX) & (z >= NEAR_M) & (z < torch.inf)
    half, steps = 1 << (SUBPIXEL_BITS - 1), float(1 << SUBPIXEL_BITS)
    sx, sy = (torch.where(good, (value * steps).round(), 0.0).int() - half for value in (x, y))
    return sx, sy, torch.where(good, 1.0 / z, 0.0)


def _covered(corners: list[Int[Tensor, "b f"]], limit: int) -> tuple[Int[Tensor, "b f"], Int[Tensor, "b f"]]:
    """Return the first and the last pixel whose centre may lie in each triangle, along one axis."""
    low = torch.minimum(torch.minimum(corners[0], corners[1]), corners[2])
    high = torch.maximum(torch.maximum(corners[0], corners[1]), corners[2])
    first = ((low + (1 << SUBPIXEL_BITS) - 1) >> SUBPIXEL_BITS).clamp_min(0)
    return first, (high >> SUBPIXEL_BITS).clamp_max(limit - 1)


def _swapped(where: Bool[Tensor, "n"], a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return torch.where(where, b, a), torch.where(where, a, b)


def _edge(
    xa: Int[Tensor, "n"], ya: Int[Tensor, "n"], xb: Int[Tensor, "n"], yb: Int[Tensor, "n"], px: Tensor, py: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return an edge function at a point, its change by a pixel right and one down, and the top-left rule's bias."""
    dx, dy = xb - xa, yb - ya
    bias = ((dy < 0) | ((dy == 0) & (dx > 0))).long() - 1
    return dx * (py - ya) - dy * (px - xa) + bias, -(dy << SUBPIXEL_BITS), dx << SUBPIXEL_BITS, bias


def _chunks(pixels: Int[Tensor, "n"]) -> list[Int[Tensor, "m"]]:
    """Cut triangles into runs of at most about CANDIDATES_AT_ONCE pixels."""
    part = torch.div(pixels.cumsum(0), CANDIDATES_AT_ONCE, rounding_mode="floor")
    sizes = torch.bincount(part).tolist() if len(pixels) else []
    return list(torch.arange(len(pixels), device=pixels.device).split([size for size in sizes if size]))
