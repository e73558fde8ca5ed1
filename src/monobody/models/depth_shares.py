"""The depths that stand for equal shares of what a detector holds possible for a joint.

Of three, the first is the middle one: nearer than half of the probability. The others are in the middle of the nearest
and of the farthest third. Where a depth is certain they lie together; where it is not, as far apart as the network is
unsure; of two peaks each gets as many as it is probable. They need no threshold and no window, and the best of them is
nearer to the truth than the best of modes (`models/depth_modes.py`; docs/results.md).

Shapes: b people, m hypotheses, k joints, d slices, n levels.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from monobody.models.depth_modes import DepthModes


def depth_shares(probability: Float[Tensor, "b k d"], *, count: int = 3, depth_range: float = 1.0) -> DepthModes:
    """Read so many depths from the probabilities of slices, the middle one first; each is as probable as the others.

    Args:
        probability: of the slices; each joint's add up to 1.
        count: depths wanted; an odd number, of an even one the next odd number's farthest is left out.
        depth_range: half the depth of the volume.
    """
    odd = count | 1
    levels = sorted(((2 * rank + 1) / (2 * odd) for rank in range(odd)), key=lambda level: abs(level - 0.5))[:count]
    level = torch.tensor(levels, dtype=probability.dtype, device=probability.device)
    depth = depth_at(probability, level[:, None].expand(-1, probability.shape[1]), depth_range=depth_range)
    return DepthModes(
        depth=depth,
        probability=torch.full_like(depth, 1 / count),
        valid=torch.ones_like(depth, dtype=torch.bool),
    )


def depth_at(
    probability: Float[Tensor, "b k d"], level: Float[Tensor, "n k"], *, depth_range: float = 1.0
) -> Float[Tensor, "b n k"]:
    """Return the depths than which each joint is nearer with the probability `level`, for each of n sets of levels.

    Within a slice the probability is spread evenly, so that depths change smoothly with it.
    """
    slices = probability.shape[-1]
    below = probability.cumsum(-1)
    wanted = level.to(below).mT.expand(len(probability), -1, -1).contiguous()
    place = torch.searchsorted(below, wanted).clamp_max(slices - 1)
    here = probability.gather(-1, place)
    before = below.gather(-1, place) - here
    within = ((wanted - before) / here.clamp_min(torch.finfo(here.dtype).tiny)).clamp(0, 1)
    return (depth_range * (2 * (place + within) / slices - 1)).mT
