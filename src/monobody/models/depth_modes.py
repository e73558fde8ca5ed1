"""The depths at which a joint may be: the modes of its marginal distribution, with their probabilities.

The multi-hypothesis decoding of "X as Supervision" (arXiv:2411.13026), done so that it always has an answer. The first
mode is the most probable slice that is at least as probable as its neighbours, the first and the last slice included,
and stands out from its window; the slices within the window are its own. The next is about the slice whose window holds
the most of what is left, be it a peak or not, and so on: a depth that cannot be known seldom has a second peak, its
distribution is simply wide, and what lies beyond the first window is then another answer (docs/log.md has figures). A
mode's depth is the expectation over the slices of its window, and its probability their sum; a slice between two
windows belongs to the nearer mode, so that nothing counts twice. Where a joint has fewer modes than asked for, the rest
repeat the first and are marked as none; where nothing stands out, as on a level distribution, the first and only one is
the expectation over all slices.

Shapes: b people, m hypotheses, k joints, d slices.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from monobody.models.marginals import centres

LEAST = 0.02
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
        window: slices on either side that belong to a mode; the paper has 7 of 64, over four metres.
        depth_range: half the depth of the volume.
    """
    slices = probability.shape[-1]
    peaks = chosen_slices(probability.detach(), count=count, window=window)
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


def equally_probable(depth: Float[Tensor, "b m k"]) -> DepthModes:
    """Return depths of which each is as probable as the others."""
    probability = torch.full_like(depth, 1 / depth.shape[1])
    return DepthModes(depth=depth, probability=probability, valid=torch.ones_like(depth, dtype=torch.bool))


def chosen_slices(probability: Float[Tensor, "b k d"], *, count: int, window: int) -> Int[Tensor, "b k m"]:
    """Return the slices that modes are about, more than a window apart; -1 where there are no more."""
    beyond = torch.full_like(probability[..., :1], -1.0)
    before = torch.cat([beyond, probability[..., :-1]], dim=-1)
    after = torch.cat([probability[..., 1:], beyond], dim=-1)
    padded = F.pad(-probability, (window, window), value=-1.0)
    lowest = -F.max_pool1d(padded, 2 * window + 1, stride=1)
    peak = (probability >= before) & (probability >= after) & (probability > lowest)
    height, best = probability.masked_fill(~peak, -1.0).max(dim=-1)
    chosen = [torch.where(height > 0, best, -1)]
    place, left = torch.arange(probability.shape[-1], device=probability.device), probability
    for _ in range(count - 1):
        near = (place - chosen[-1][..., None]).abs() <= window
        left = torch.where(near & (chosen[-1] >= 0)[..., None], 0.0, left)
        taken = torch.stack([(place - slice_[..., None]).abs() <= window for slice_ in chosen]).any(0)
        # Sums over windows; the ends have shorter ones.
        held = F.avg_pool1d(left, 2 * window + 1, stride=1, padding=window) * (2 * window + 1)
        # Of windows that hold nearly as much, the one about the more probable slice.
        best = (held + 0.1 * left).masked_fill(taken, -1.0).argmax(dim=-1)
        mass = held.gather(-1, best[..., None]).squeeze(-1)
        chosen.append(torch.where((mass >= LEAST) & (chosen[0] >= 0), best, -1))
    return torch.stack(chosen, dim=-1)
