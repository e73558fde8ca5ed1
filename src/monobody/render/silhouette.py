"""The silhouette of a closed mesh as exact pixel coverage, differentiable with respect to its vertices.

On a closed mesh, triangles that face the camera end where those that turn away begin. That outline, walked with the
visible side on its left, bounds the projected area: the coverage of a pixel is the signed area between the outline
and the pixel's right border, summed over the outline from the left, as renderers of fonts have it. Inside of a body
with an arm before it the sum is two, so it is cut at one. Where two outlines cross inside one pixel, the pixel gets the
sum of their coverages instead of the union; everywhere else the value is the area itself, and its gradient exact.

Nothing is rasterised, so this costs a fraction of a z-buffer. Gradients exist where the outline passes, that is
within one pixel: start a fit that is far off with a small picture, or with keypoints.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Outline:
    """Where a closed mesh may have its outline: every edge with its two triangles. Make it once per mesh."""

    faces: Int[Tensor, "f 3"]
    edges: Int[Tensor, "e 2"]
    """Vertices in the order of the first triangle."""
    sides: Int[Tensor, "e 2"]
    """The triangles left and right of the edge."""

    @staticmethod
    def of(faces: Int[np.ndarray, "f 3"] | Int[Tensor, "f 3"], device: torch.device | str = "cpu") -> "Outline":
        """Find the edges of a mesh.

        Raises:
            ValueError: the mesh has a border, or more than two triangles at an edge.
        """
        corners = np.asarray(faces.cpu() if isinstance(faces, Tensor) else faces, np.int64)
        directed = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
        owner = np.tile(np.arange(len(corners)), 3)
        count = int(corners.max()) + 1
        key = directed[:, 0] * count + directed[:, 1]
        opposite = directed[:, 1] * count + directed[:, 0]
        order = np.argsort(key)
        place = np.searchsorted(key[order], opposite).clip(max=len(key) - 1)
        if len(np.unique(key)) != len(key) or not np.array_equal(key[order][place], opposite):
            raise ValueError("A silhouette needs a closed mesh whose triangles all have the same sense of rotation.")
        once = directed[:, 0] < directed[:, 1]
        sides = np.stack([owner, owner[order][place]], axis=-1)[once]
        return Outline(*(torch.from_numpy(part).to(device) for part in (corners, directed[once], sides)))


def silhouette(
    vertices_px: Float[Tensor, "b v _"], outline: Outline, height: int, width: int
) -> Float[Tensor, "b h w"]:
    """Return which part of each pixel the mesh covers, from 0 to 1.

    Args:
        vertices_px: x and y in pixels (the first pixel's centre is 0.5); further columns, such as depth, are ignored.
            All vertices must be before the camera.
        outline: of the mesh, from :meth:`Outline.of`.
        height: of the picture, pixels.
        width: of the picture, pixels.
    """
    xy = vertices_px[..., :2]
    with torch.no_grad():
        a, b, c = xy[:, outline.faces].unbind(2)
        front = (b - a)[..., 0] * (c - a)[..., 1] - (c - a)[..., 0] * (b - a)[..., 1] < 0
        left, right = front[:, outline.sides[:, 0]], front[:, outline.sides[:, 1]]
        picture, edge = (left != right).nonzero(as_tuple=True)
        forward = left[picture, edge]
    start, end = (xy[picture, outline.edges[edge, side]] for side in (0, 1))
    # Walked with the visible side on the left, the outline runs down on the left of the body, up on its right.
    downward = start[:, 1] <= end[:, 1]
    sign = torch.where(forward == downward, 1.0, -1.0).to(xy.dtype)
    upper, lower = torch.where(downward[:, None], start, end), torch.where(downward[:, None], end, start)

    piece, row, top, bottom = _cut(upper[:, 1], lower[:, 1], height)
    inside = (row >= 0) & (row < height)
    piece, row, top, bottom = piece[inside], row[inside], top[inside], bottom[inside]
    x_top, x_bottom = _between(upper[piece], lower[piece], top), _between(upper[piece], lower[piece], bottom)
    rise = (bottom - top) * sign[piece]
    near, far = torch.minimum(x_top, x_bottom), torch.maximum(x_top, x_bottom)

    part, column, begin, finish = _cut(near, far, width)
    span = (far - near)[part]
    share = torch.where(span > 1e-3, (finish - begin) / span.clamp_min(1e-3), 1.0)
    weight = rise[part] * share
    # How far right in its pixel the piece lies: what is right of it is covered, and so are all pixels further right.
    offset = ((begin + finish) / 2 - column).clamp(0, 1)
    offset = torch.where(column < 0, 1.0, offset)
    flat = (picture[piece][part] * height + row[part]) * (width + 2) + column + 1
    change = xy.new_zeros(len(xy) * height * (width + 2))
    change = change.index_add(0, flat, weight * (1 - offset))
    on_the_right = flat + 1
    inside = column < width
    change = change.index_add(0, on_the_right[inside], (weight * offset)[inside])
    coverage = change.view(len(xy), height, width + 2).cumsum(-1)[..., 1:-1]
    return coverage.clamp(0, 1)


def _cut(
    low: Float[Tensor, "n"], high: Float[Tensor, "n"], limit: int
) -> tuple[Int[Tensor, "m"], Int[Tensor, "m"], Float[Tensor, "m"], Float[Tensor, "m"]]:
    """Cut intervals at whole numbers from 0 to ``limit``.

    Returns for each piece the interval's number, the unit it lies in (-1 and ``limit`` hold all that is outside), and
    the piece's two ends.
    """
    with torch.no_grad():
        first = low.floor().clamp(-1, limit).long()
        last = high.floor().clamp(-1, limit).long()
        # Hair's breadths are not cut: their two ends would be the quotient of rounding errors.
        last = torch.where(high - low > 1e-3, last, first)
        count = last - first + 1
        owner = torch.repeat_interleave(count)
        unit = torch.arange(len(owner), device=low.device) - (count.cumsum(0) - count)[owner] + first[owner]
        begins, ends = unit > first[owner], unit < last[owner]
    begin = torch.where(begins, unit.to(low.dtype), low[owner])
    end = torch.where(ends, (unit + 1).to(low.dtype), high[owner])
    return owner, unit, begin, end


def _between(upper: Float[Tensor, "n 2"], lower: Float[Tensor, "n 2"], y: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Return x where a segment passes height ``y``, exactly at its ends."""
    height = lower[:, 1] - upper[:, 1]
    share = (y - upper[:, 1]) / height.clamp_min(1e-6)
    inner = upper[:, 0] + share * (lower[:, 0] - upper[:, 0])
    return torch.where(y <= upper[:, 1], upper[:, 0], torch.where(y >= lower[:, 1], lower[:, 0], inner))
