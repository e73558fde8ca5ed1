"""Whole poses along the ways in which joints' depths go wrong together.

What a detector says of each joint alone does not tell which depths of two joints belong together. A skeleton does: an
arm that reaches farther forward than believed takes its hand along. Each bone's depth errs by itself and in proportion
to its length, and a joint's error is the sum of its bones' from the root on; the bones of a pair that leave the spine
at one place (hips, shoulders) err in opposite directions, since a trunk turns. The correlation matrix that follows has
no number that was fitted; how well it agrees with what is measured stands in docs/results.md. Its largest
principal directions are the trunk with head and arms leaning to and fro, and one leg coming nearer while the other goes
farther. A whole pose takes every joint at the level of its own distribution (`models/depth_shares.py`) that a direction
names, so that it moves as far as the network is unsure of that very joint. Levels and weights are the skeleton's, the
same for everybody. Two directions make five poses; with a third the one in the middle would no longer be the heaviest.

Shapes: b people, n m poses, k joints.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

MOST = 5
"""Whole poses there are at most."""
STEP = 1.4
"""How far along a direction a pose lies, in its standard deviations: a little farther than where five points stand best
for a normal distribution, so that the one in the middle is the heaviest."""
SAME = 0.1
"""Poses none of whose depths differ by so much, in halves of the crop, are one: 10 cm in a crop of two metres."""
_DRAWS = 20_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Ways:
    """At which level of its distribution each joint is, in each of n poses."""

    level: Float[np.ndarray, "n k"]
    """From 0, the nearest, to 1, the farthest. The first pose has every joint in the middle."""
    weight: Float[np.ndarray, " n"]
    """How probable it is that the truth is nearest to this pose, were depths to err so; the heaviest first."""


def poses_along_ways(
    where: Float[Tensor, "b k 2"], depth: Float[Tensor, "b n k"], weight: Float[Tensor, " n"], *, count: int
) -> tuple[Float[Tensor, "b m k 3"], Float[Tensor, "b m"]]:
    """Return whole poses, the heaviest first, and their weights.

    A pose that is nearly the middle one gives it its weight, and comes at the end with weight 0 and the first one's
    joints; as do those beyond the n that there are.

    Args:
        where: x and y of every joint.
        depth: of every joint in each pose, read at the levels of :class:`Ways`.
        weight: as :class:`Ways` has them.
        count: poses wanted, m.
    """
    weights = weight.expand(depth.shape[0], -1)
    same = (depth[:, 1:] - depth[:, :1]).abs().amax(-1) < SAME
    if same.any():
        own = weights[:, 1:].masked_fill(same, 0.0)
        weights, order = torch.cat([1 - own.sum(1, keepdim=True), own], dim=1).sort(descending=True, stable=True)
        order = torch.where(weights > 0, order, order[:, :1])
        depth = depth.gather(1, order[..., None].expand(-1, -1, depth.shape[2]))
    short = count - depth.shape[1]
    if short > 0:
        depth = torch.cat([depth, depth[:, :1].expand(-1, short, -1)], dim=1)
        weights = torch.nn.functional.pad(weights, (0, short))
    return torch.cat([where[:, None].expand(-1, count, -1, -1), depth[..., None]], dim=-1), weights


@cache
def ways_of(parents: tuple[int, ...], flip: tuple[int, ...], usual_m: tuple[float, ...], count: int) -> Ways:
    """Return the ways of a skeleton: its middle, and a step to either side along each of the largest directions.

    Args:
        parents: of every joint, -1 for the root.
        flip: each joint's partner on the other side, itself on the middle line.
        usual_m: length of the bone between each joint and its parent, in any unit.
        count: poses wanted; there are at most `MOST`, and fewer are returned then.
    """
    correlation = errors_together(parents, flip, usual_m)
    size, direction = np.linalg.eigh(correlation)
    along = np.sqrt(np.maximum(size, 0)) * direction  # (k, directions), the largest last
    along *= np.sign(along[np.abs(along).argmax(0), np.arange(along.shape[1])])
    largest = along[:, ::-1].T[: int((size > 1e-6).sum())]
    score = [np.zeros(len(parents)), *(sign * STEP * one for one in largest for sign in (1, -1))][: min(count, MOST)]
    centres = np.stack(score)
    drawn = np.random.default_rng(0).standard_normal((_DRAWS, along.shape[1])) @ along.T
    nearest = (np.square(centres).sum(1) - 2 * drawn @ centres.T).argmin(1)
    level = torch.special.ndtr(torch.from_numpy(centres)).float().numpy()
    weight = np.bincount(nearest, minlength=len(centres)) / _DRAWS
    # The two sides of a direction differ by chance alone.
    for side in range(1, len(centres) - 1, 2):
        weight[side : side + 2] = weight[side : side + 2].mean()
    return Ways(level=level, weight=weight.astype(np.float32))


def errors_together(parents: Sequence[int], flip: Sequence[int], usual_m: Sequence[float]) -> Float[np.ndarray, "k k"]:
    """Return how joints' depth errors correlate, 0 for the root, whose depth is where all are measured from."""
    moved = np.zeros((len(parents), len(parents)))
    for joint, parent in enumerate(parents):
        if parent < 0:
            continue
        # The two bones of a pair are one cause, with opposite signs.
        pair = flip[joint] != joint and parents[flip[joint]] == parent
        cause, sign = (min(joint, flip[joint]), 1 if joint < flip[joint] else -1) if pair else (joint, 1)
        moved[_under(joint, parents), cause] += sign * usual_m[joint]
    covariance = moved @ moved.T
    spread = np.sqrt(np.diag(covariance))
    spread[spread == 0] = np.inf
    return covariance / spread[:, None] / spread


def _under(joint: int, parents: Sequence[int]) -> list[int]:
    """Return a joint and all that hang from it."""
    under = [joint]
    for each in under:
        under += [child for child, parent in enumerate(parents) if parent == each]
    return under
