"""Whole bodies out of every joint's possible depths: which of them go together, the most plausible first.

The released decoding of X as Supervision calls every joint's m-th mode the m-th hypothesis of the body, whether or not
these belong to one pose. Here bodies are put together along the skeleton: a joint's mode is taken with its probability,
and a bone by how well its length agrees with a body's,

    log p(body) = sum over joints log p(mode) - 1/2 sum over bones (log(length / (size * usual length)) / tolerance)^2,

where `size` is what makes the most probable body's bones fit best. A beam search keeps the most plausible parts of
bodies from the root outwards; what it returns is sorted and weighed by these plausibilities.

Shapes: b people, m modes a joint, k joints, n bodies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from monobody.models.depth_modes import DepthModes

TOLERANCE = 0.5
"""How far, in logarithms, a bone may be from its usual length: people differ, and places and depths are not exact."""
BEAM = 48


@dataclass(frozen=True, kw_only=True, slots=True)
class WholePoses:
    """Bodies, the most plausible first."""

    joints: Float[Tensor, "b n k 3"]
    """x, y and depth in halves of the crop. Where there are fewer than n bodies the rest repeat the first."""
    weight: Float[Tensor, "b n"]
    """Each person's add up to 1; 0 where there is no such body."""
    modes: Int[Tensor, "b n k"]
    """Which of its modes each joint has."""


def whole_poses(
    places: Float[Tensor, "b k 2"],
    modes: DepthModes,
    parents: Sequence[int],
    usual_m: Float[Tensor, " k"],
    *,
    count: int = 3,
    beam: int = BEAM,
    tolerance: float = TOLERANCE,
) -> WholePoses:
    """Put whole bodies together.

    Args:
        places: x and y of every joint.
        modes: its depths.
        parents: of every joint, -1 for the root; parents may come in any order.
        usual_m: length of the bone between each joint and its parent, in any unit; the root's is not looked at.
        count: bodies wanted.
        beam: parts of bodies that are kept at every joint.
        tolerance: of the bones' lengths.
    """
    points = torch.cat([places[:, None].expand(-1, modes.depth.shape[1], -1, -1), modes.depth[..., None]], dim=-1)
    points = points.transpose(1, 2)  # (b, k, m, 3)
    believed = torch.where(modes.valid, modes.probability, 0.0).log().transpose(1, 2)
    size = bone_size(points[:, :, 0], parents, usual_m)
    search = compiled_search if points.device.type == "cpu" and not points.requires_grad else batched_search
    chosen, score = search(points, believed, size[:, None] * usual_m, _outwards(tuple(parents)), beam, tolerance)
    return _bodies(points, chosen, score, count)


def compiled_search(
    points: Float[Tensor, "b k m 3"],
    believed: Float[Tensor, "b k m"],
    bones: Float[Tensor, "b k"],
    order: Sequence[tuple[int, int]],
    beam: int,
    tolerance: float,
) -> tuple[Int[Tensor, "b p k"], Float[Tensor, "b p"]]:
    """Return what :func:`batched_search` returns; for processors."""
    from monobody.models.beam import search

    where, log, long = (each.detach().numpy() for each in (points, believed, bones))
    chosen, score = search(where, log, long, np.array(order), beam=beam, tolerance=tolerance)
    return torch.from_numpy(chosen), torch.from_numpy(score)


def batched_search(
    points: Float[Tensor, "b k m 3"],
    believed: Float[Tensor, "b k m"],
    bones: Float[Tensor, "b k"],
    order: Sequence[tuple[int, int]],
    beam: int,
    tolerance: float,
) -> tuple[Int[Tensor, "b p k"], Float[Tensor, "b p"]]:
    """Return the modes and scores of the most plausible bodies, the best first; everybody's side by side.

    Args:
        points: where each mode of each joint is.
        believed: logarithm of its probability.
        bones: how long each joint's bone should be, in the unit of the points.
        order: (joint, parent) pairs, every parent before its children.
        beam: parts of bodies that are kept at every joint.
        tolerance: of the bones' lengths.
    """
    chosen = torch.zeros(len(points), 1, len(order), dtype=torch.long, device=points.device)
    score = points.new_zeros(len(points), 1)
    for joint, parent in order:
        grown = score[:, :, None] + believed[:, joint][:, None]
        if parent >= 0:
            from_parent = points[:, parent].gather(1, chosen[:, :, parent, None].expand(-1, -1, 3))
            length = (points[:, joint][:, None] - from_parent[:, :, None]).norm(dim=-1)
            off = (length.clamp_min(1e-6) / bones[:, joint, None, None]).log() / tolerance
            grown = grown - 0.5 * off.square()
        options = grown.shape[2]
        score, place = grown.flatten(1).topk(min(beam, grown[0].numel()), dim=1)
        kept = place // options
        chosen = chosen.gather(1, kept[:, :, None].expand(-1, -1, chosen.shape[2])).clone()
        chosen[:, :, joint] = place % options
    return chosen, score


def _bodies(
    points: Float[Tensor, "b k m 3"], chosen: Int[Tensor, "b p k"], score: Float[Tensor, "b p"], count: int
) -> WholePoses:
    """Return the first bodies of a beam, padded where it holds fewer."""
    there = min(count, score.shape[1])
    index = torch.arange(count, device=score.device).clamp_max(there - 1)
    chosen, score = chosen[:, index], score[:, index]
    possible: Bool[Tensor, "b n"] = score.isfinite() & (torch.arange(count, device=score.device) < there)
    chosen = torch.where(possible[..., None], chosen, chosen[:, :1])
    weight = score.masked_fill(~possible, -torch.inf).softmax(dim=1)
    joints = points[:, None].expand(-1, count, -1, -1, -1).gather(3, chosen[..., None, None].expand(-1, -1, -1, -1, 3))
    return WholePoses(joints=joints.squeeze(3), weight=weight, modes=chosen)


def bone_size(
    points: Float[Tensor, "b k 3"], parents: Sequence[int], usual_m: Float[Tensor, " k"]
) -> Float[Tensor, " b"]:
    """Return how long a unit of `usual_m` is in the crop: the median bone of a body says so."""
    joints = [joint for joint, parent in enumerate(parents) if parent >= 0]
    length = (points[:, joints] - points[:, [parents[joint] for joint in joints]]).norm(dim=-1).clamp_min(1e-6)
    return (length / usual_m[joints]).median(dim=1).values


@cache
def _outwards(parents: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return (joint, parent) pairs, every parent before its children."""
    ordered: list[tuple[int, int]] = []
    waiting = list(enumerate(parents))
    while waiting:
        known = {joint for joint, _ in ordered}
        ready = [(joint, parent) for joint, parent in waiting if parent < 0 or parent in known]
        ordered += ready
        waiting = [pair for pair in waiting if pair not in ready]
    return ordered
