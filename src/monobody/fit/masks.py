"""How well bodies fill masks: the silhouette of `render/silhouette.py` against a raster about each person.

The mask's neighbourhood is resampled to a small square once for every side that a stage asks for: a coarse raster
pulls an outline from farther away. Pixels beyond the mask's own window are unknown and do not count.
Shapes: n rows, m of them with a mask, s the side of the square.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from monobody.body.model import Body
from monobody.errors import UserError
from monobody.fit.evidence import Mask
from monobody.fit.terms import project
from monobody.fit.variables import Bodies
from monobody.render.silhouette import Outline, silhouette

MARGIN = 0.25
"""The square is wider than the mask by this share on every side."""
_FINE = 4
"""Samples across a pixel of the square."""


@dataclass(frozen=True, slots=True)
class MaskTerm:
    """The masks of a batch, beside the body that is to fill them."""

    masks: tuple[Mask | None, ...]
    body: Body
    outline: Outline
    focal_px: Float[Tensor, " n"]
    principal_px: Float[Tensor, "n 2"]

    @staticmethod
    def of(
        masks: Sequence[Mask | None], body: Body, focal_px: Float[Tensor, " n"], principal_px: Float[Tensor, "n 2"]
    ) -> "MaskTerm":
        """Get the outline's edges ready.

        Raises:
            UserError: the body's mesh is not closed, so that it has no silhouette.
        """
        try:
            outline = Outline.of(body.faces)
        except ValueError as error:
            raise UserError("This body's mesh is not closed: leave out the masks, or take another body.") from error
        return MaskTerm(tuple(masks), body, outline, focal_px, principal_px)

    def picked(self, rows: Int[Tensor, " k"]) -> "MaskTerm":
        """Return the masks of some rows."""
        masks = tuple(self.masks[row] for row in rows.tolist())
        return MaskTerm(masks, self.body, self.outline, self.focal_px[rows], self.principal_px[rows])

    def boxes(self) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n 2"]]:
        """Return the low and the high corner of each mask in the picture; NaN of rows without one."""
        nothing = (torch.full((2,), torch.nan),) * 2
        corners = [nothing if mask is None else _box(mask) for mask in self.masks]
        low, high = zip(*corners, strict=True)
        return torch.stack(low), torch.stack(high)

    def nats(
        self,
        bodies: Bodies,
        translation_m: Float[Tensor, "n 3"],
        *,
        side_px: int,
        error: float,
    ) -> Float[Tensor, " n"]:
        """Return how unlikely the masks are: the wrongly covered share of their area against ``error``."""
        wrong, _ = self._compared(bodies, translation_m, side_px)
        return wrong / error

    @torch.no_grad()
    def iou(
        self,
        bodies: Bodies,
        translation_m: Float[Tensor, "n 3"],
        *,
        side_px: int = 128,
    ) -> Float[Tensor, " n"]:
        """Return intersection over union of every row; NaN of rows without a mask."""
        found = self._compared(bodies, translation_m, side_px)[1]
        has = torch.tensor([mask is not None for mask in self.masks])
        return torch.where(has, found, torch.nan)

    def _compared(
        self, bodies: Bodies, translation_m: Tensor, side_px: int
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """Return the wrongly covered share of each mask's area, and the intersection over union; 0 without a mask."""
        rows = torch.tensor([row for row, mask in enumerate(self.masks) if mask is not None])
        rasters = [resampled(mask, side_px) for mask in self.masks if mask is not None]
        target, known, corner, size = (torch.stack(parts) for parts in zip(*rasters, strict=True))
        picked = bodies.picked(rows)
        vertices = self.body(picked.rotations, picked.betas).vertices_m + translation_m[rows, None]
        seen = project(vertices, self.focal_px[rows], self.principal_px[rows])
        inside = (seen - corner[:, None]) / size[:, None, None] * side_px
        covered = silhouette(inside, self.outline, side_px, side_px)
        wrong = (known * (covered - target).abs()).sum((1, 2)) / (known * target).sum((1, 2))
        smaller, larger = torch.minimum(covered, target), torch.maximum(covered, target)
        iou = (known * smaller).sum((1, 2)) / (known * larger).sum((1, 2))
        nothing = translation_m.new_zeros(len(self.masks))
        return nothing.index_add(0, rows, wrong), nothing.index_add(0, rows, iou)


def resampled(
    mask: Mask, side_px: int
) -> tuple[Float[Tensor, "s s"], Float[Tensor, "s s"], Float[Tensor, "2"], Float[Tensor, ""]]:
    """Return a mask over a square about it, which of that is known, and the square's corner and size in the picture."""
    coverage = mask.coverage.float()
    height, width = coverage.shape
    origin, pixel = _raster(mask)
    low, high = _box(mask)
    size = (1 + 2 * MARGIN) * (high - low).max()
    centre = (low + high) / 2 - origin
    corner = centre - size / 2
    steps = (torch.arange(side_px * _FINE) + 0.5) / (side_px * _FINE)
    column = ((corner[0] + steps * size) / pixel[0]).floor().long()
    row = ((corner[1] + steps * size) / pixel[1]).floor().long()
    known = ((row >= 0) & (row < height))[:, None] & ((column >= 0) & (column < width))
    fine = coverage[row.clamp(0, height - 1)[:, None], column.clamp(0, width - 1)] * known
    blocks = (side_px, _FINE, side_px, _FINE)
    return (
        fine.view(blocks).mean((1, 3)),
        known.float().view(blocks).mean((1, 3)),
        corner + origin,
        size,
    )


def _raster(mask: Mask) -> tuple[Float[Tensor, "2"], Float[Tensor, "2"]]:
    """Return the picture's pixel at which a mask begins, and the size of the mask's own pixels in those."""
    x0, y0, x1, y1 = mask.window_px
    height, width = mask.coverage.shape
    return torch.tensor([x0, y0]), torch.tensor([(x1 - x0) / width, (y1 - y0) / height])


def _box(mask: Mask) -> tuple[Float[Tensor, "2"], Float[Tensor, "2"]]:
    """Return the corners of what a mask covers, in the picture."""
    origin, pixel = _raster(mask)
    rows, columns = (mask.coverage > 0.5).nonzero().T
    low = torch.stack([columns.min(), rows.min()])
    high = torch.stack([columns.max(), rows.max()]) + 1
    return origin + low * pixel, origin + high * pixel
