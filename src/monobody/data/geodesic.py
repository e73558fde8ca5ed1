"""Geodesic weights of a mask (Mask as Supervision; X as Supervision, its optional weights): hands and feet count more.

The way from the middle of the person to a pixel is measured within the mask, so that a hand beside the hip is as far as
the arm is long. With d from 0 in the middle to 1 at the farthest pixel, and e from 0 at the mask's border to 1 at the
picture's farthest corner, pixels weigh

    inside   exp(2 d) + 1        2 to 8.4
    outside  3 e + 20            20 to 23

`released=True` gives what the released code computes: both formulas added everywhere, which makes 22 to 28.4 inside and
22 to 25 outside, nearly the same everywhere; and 1 everywhere where the middle of the mask's pixels lies beside it.
"""

from collections import OrderedDict

import numpy as np
from jaxtyping import Bool, Float, UInt8

from monobody.errors import UserError
from monobody.jit import compiled

STEEP, INSIDE, RISE, OUTSIDE = 2.0, 1.0, 3.0, 20.0
SWEEPS = 200
"""Rounds of four sweeps at most; a body needs about as many as its limbs have turns."""


def geodesic_weight(mask: UInt8[np.ndarray, "h w"], *, released: bool = False) -> Float[np.ndarray, "h w"]:
    """Return the weights of a mask's pixels, float32; all 1 where the mask is empty.

    Pieces that cannot be reached from the middle count as the farthest.
    """
    inside = np.asarray(mask) > 127
    start = _middle(inside, released=released)
    if start is None:
        return np.ones(inside.shape, np.float32)
    within = geodesic_distance(inside, start)
    reached = np.isfinite(within)
    farthest = max(float(within[reached].max()), 1e-6)
    d = np.where(inside, np.where(reached, within / farthest, 1.0), 0.0)
    e = _beyond(inside)
    if released:
        return (np.exp(STEEP * d) + INSIDE + RISE * e + OUTSIDE).astype(np.float32)
    return np.where(inside, np.exp(STEEP * d) + INSIDE, RISE * e + OUTSIDE).astype(np.float32)


def geodesic_distance(inside: Bool[np.ndarray, "h w"], start: tuple[int, int]) -> Float[np.ndarray, "h w"]:
    """Return how far every pixel is from one (row, column), in pixels, by ways within the region; elsewhere infinite.

    The eikonal equation, solved by fast sweeping (Zhao 2005): first order, a few per cent too long off the axes.
    """
    far = np.full((inside.shape[0] + 2, inside.shape[1] + 2), np.inf)
    far[start[0] + 1, start[1] + 1] = 0.0
    _sweep(far, np.pad(np.asarray(inside, bool), 1), SWEEPS)
    return far[1:-1, 1:-1]


class GeodesicWeights:
    """The weights of batches of masks, each computed once for as long as it is remembered.

    Args:
        released: as the released code has them.
        keep: how many masks' weights are remembered, in half precision (32 KB each at 128 pixels).
    """

    def __init__(self, *, released: bool = False, keep: int = 2000) -> None:
        self.released, self.keep = released, keep
        self._known: OrderedDict[tuple[tuple[int, ...], bytes], np.ndarray] = OrderedDict()

    def __call__(self, masks: UInt8[np.ndarray, "b h w"]) -> Float[np.ndarray, "b h w"]:
        """Return the weights of masks (255 inside), float32."""
        return np.stack([self._weight(mask) for mask in np.asarray(masks)]).astype(np.float32)

    def _weight(self, mask: UInt8[np.ndarray, "h w"]) -> np.ndarray:
        inside = mask > 127
        key = inside.shape, np.packbits(inside).tobytes()
        if key in self._known:
            self._known.move_to_end(key)
        else:
            self._known[key] = geodesic_weight(mask, released=self.released).astype(np.float16)
            if len(self._known) > self.keep:
                self._known.popitem(last=False)
        return self._known[key]


def _middle(inside: Bool[np.ndarray, "h w"], *, released: bool) -> tuple[int, int] | None:
    """Return the pixel of the mask that is nearest to the mean of its pixels; as released, that pixel or None."""
    rows, columns = np.nonzero(inside)
    if not len(rows):
        return None
    row, column = rows.mean(), columns.mean()
    if released:
        return (round(row), round(column)) if inside[round(row), round(column)] else None
    nearest = int(((rows - row) ** 2 + (columns - column) ** 2).argmin())
    return int(rows[nearest]), int(columns[nearest])


def _beyond(inside: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Return how far pixels are from the mask, 1 at the farthest; 0 inside."""
    try:
        from scipy.ndimage import distance_transform_edt
    except ImportError as error:
        raise UserError("Geodesic weights need scipy: pip install 'monobody[train]'.") from error
    away: np.ndarray = np.empty(inside.shape, np.float64)
    distance_transform_edt(~inside, distances=away)
    return away / max(float(away.max()), 1e-6)


@compiled()
def _sweep(far, inside, rounds):
    """Lower the distances of a padded plane until nothing changes, sweeping it in all four directions by turns."""
    height, width = far.shape
    for _ in range(rounds):
        changed = False
        for direction in range(4):
            down, right = direction // 2 == 0, direction % 2 == 0
            for i in range(1, height - 1):
                row = i if down else height - 1 - i
                for j in range(1, width - 1):
                    column = j if right else width - 1 - j
                    if not inside[row, column]:
                        continue
                    a = min(far[row - 1, column], far[row + 1, column])
                    b = min(far[row, column - 1], far[row, column + 1])
                    near, other = min(a, b), max(a, b)
                    if near == np.inf:
                        continue
                    # Where the front comes from one side only, or obliquely.
                    found = near + 1
                    if other - near < 1:
                        found = 0.5 * (near + other + np.sqrt(2 - (other - near) ** 2))
                    if found < far[row, column] - 1e-9:
                        far[row, column] = found
                        changed = True
        if not changed:
            return
