"""The depths at which a joint may be: the modes of its marginal distribution, with their probabilities.

The multi-hypothesis decoding of "X as Supervision" (arXiv:2411.13026), done so that it always has an answer. A mode is
a slice at least as probable as its neighbours, the first and the last slice included, that stands out from its window.
The most probable one is taken first and silences the others within its window, then the next. A mode's depth is the
expectation over the slices of its window, and its probability their sum; a slice between two windows belongs to the
nearer mode, so that nothing counts twice. Where a joint has fewer modes than asked for, the rest repeat the first and
are marked as none; where it has none at all, as on a level distribution, the first is the expectation over all slices.

Shapes: b people, m hypotheses, k joints, d slices.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from monobody.models.hypotheses import centres

LEAST = 1e-3
"""Modes whose window holds less probability are noise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthModes:
    """Up to m depths for every joint, the most probable first."""

    depth: Float[Tensor, "b m k"]
    """In halves of the crop from the root's depth, away from the viewer. Never NaN."""
    probability: Float[Tensor, "b m k"]
    """Each joint's add up to 1 over its valid hypotheses; 0 where there is none."""
    valid: Bool[Tensor, "b m k"]
    """Whether there is such a mode. The first always is."""


def depth_modes(
    probability: Float[Tensor, "b k d"], *, count: int = 3, window: int = 7, depth_range: float = 1.0
) -> DepthModes:
    """Read the modes of depth probabilities.

    Gradients go through the probabilities of a mode's window, not through which slice is its peak.

    Args:
        probability: of the slices; each joint's add up to 1.
        count: hypotheses wanted; the paper has 3.
        window: slices on either side that belong to a mode; the paper has 7 of 64.
        depth_range: half the depth of the volume.
    """
    slices = probability.shape[-1]
    peaks = chosen_peaks(probability.detach(), count=count, window=window)
    found = peaks >= 0
    place = torch.arange(slices, device=probability.device)
    # (b, k, m, d)
    distance = (place - peaks[..., None]).abs().masked_fill(~found[..., None], slices)
    rank = torch.arange(count, device=probability.device)
    mine = (distance <= window) & (distance.argmin(dim=2, keepdim=True) == rank[:, None])
    nowhere = ~found[..., 0]
    mine = mine | (nowhere[..., None, None] & (rank == 0)[:, None])
    share = probability[:, :, None] * mine
    mass = share.sum(-1)
    valid = (found & (mass >= LEAST)) | (rank == 0)
    least = torch.finfo(mass.dtype).tiny
    expected = (share * centres(slices, like=probability, reach=depth_range)).sum(-1) / mass.clamp_min(least)
    depth = torch.where(valid, expected, expected[..., :1])
    mass = mass * valid
    believed = mass / mass.sum(-1, keepdim=True).clamp_min(least)
    return DepthModes(depth=depth.mT, probability=believed.mT, valid=valid.mT)


def chosen_peaks(probability: Float[Tensor, "b k d"], *, count: int, window: int) -> Int[Tensor, "b k m"]:
    """Return the slices of the most probable peaks that are more than a window apart; -1 where there are no more."""
    beyond = torch.full_like(probability[..., :1], -1.0)
    before = torch.cat([beyond, probability[..., :-1]], dim=-1)
    after = torch.cat([probability[..., 1:], beyond], dim=-1)
    padded = F.pad(-probability, (window, window), value=-1.0)
    lowest = -F.max_pool1d(padded, 2 * window + 1, stride=1)
    peak = (probability >= before) & (probability >= after) & (probability > lowest)
    candidates = probability.masked_fill(~peak, -1.0)
    place = torch.arange(probability.shape[-1], device=probability.device)
    chosen = []
    for _ in range(count):
        height, best = candidates.max(dim=-1)
        chosen.append(torch.where(height > 0, best, -1))
        candidates = candidates.masked_fill((place - best[..., None]).abs() <= window, -1.0)
    return torch.stack(chosen, dim=-1)
