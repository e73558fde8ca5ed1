"""The depths that stand for equal shares of what a detector holds possible for a joint.

Of three, the first is the middle one: nearer than half of the probability. The others are in the middle of the nearest
and of the farthest third. Where a depth is certain they lie together; where it is not, as far apart as the network is
unsure; of two peaks each gets as many as it is probable. They need no threshold and no window, and the best of them is
nearer to the truth than the best of modes (`models/depth_modes.py`; docs/results.md).

Shapes: b people, m hypotheses, k joints, d slices, n levels.
"""

import numpy as np
from jaxtyping import Float
from torch import Tensor


def share_levels(count: int) -> list[float]:
    """Return at which levels of a distribution the middles of so many equal shares are, the middle one first.

    Of an even number, the next odd number's farthest is left out.
    """
    odd = count | 1
    return sorted(((2 * rank + 1) / (2 * odd) for rank in range(odd)), key=lambda level: abs(level - 0.5))[:count]


def depth_at(
    probability: Float[Tensor, "b k d"], level: Float[np.ndarray, "n k"], *, depth_range: float = 1.0
) -> Float[Tensor, "b n k"]:
    """Return quantiles: the depths than which each joint is nearer with the probability `level`, for n sets of levels.

    Within a slice the probability is spread evenly, so that depths change smoothly with it. No gradient goes through.

    Args:
        probability: of the slices; each joint's add up to 1.
        level: from 0, the nearest, to 1, the farthest.
        depth_range: half the depth of the volume.
    """
    from monobody.models.quantiles import fill_quantiles  # A compiled loop: numba takes half a second to import.

    rows = probability.detach().cpu().contiguous()
    depth = rows.new_empty(rows.shape[0], *level.shape)
    fill_quantiles(rows.numpy(), level, depth.numpy(), depth_range)
    return depth.to(probability.device)
