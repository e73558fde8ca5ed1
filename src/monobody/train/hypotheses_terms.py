"""How much each loss of X as Supervision counts, and their sum's parts for a batch.

Pairs, masks, the body's build and the critic are those of :mod:`monobody.train.pretext`; the published weights are
:data:`PUBLISHED`. What is ours is the dense part: where a joint is known, its place and its depth are held to it cell
by cell, as distributions. From scratch this learns many times faster than an error of coordinates, and it leaves a
depth that cannot be known as undecided as it is (docs/log.md).

Shapes: b rows, m hypotheses, k joints.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from monobody.data.geodesic import GeodesicWeights
from monobody.losses import weighted_mean
from monobody.models.depth_modes import DepthModes
from monobody.models.marginals import Marginals
from monobody.models.pose_graph import PoseGraphCritic
from monobody.models.skeleton_mask import Limbs, skeleton_mask
from monobody.train.dense_heads import shared_out
from monobody.train.pretext import (
    WINNER_SHARE,
    cross_entropy,
    limb_ratio_losses,
    midpoint_losses,
    over_hypotheses,
    pair_losses,
    physique_loss,
    skeleton_loss,
    symmetry_losses,
)
from monobody.train.task import Batch


@dataclass(frozen=True, kw_only=True, slots=True)
class HypothesesWeights:
    """Weights of the losses; 0 leaves one out."""

    plane: float = 1.0
    """Cross-entropy of the joints' places, in nats."""
    depth: float = 1.0
    """Cross-entropy of their depths."""
    pairs: float = 10.0
    """Squared error of the winning hypothesis, in halves of the crop."""
    skeleton: float = 0.0
    physique: float = 0.0
    symmetry: float = 0.0
    """Left bones as long as right ones."""
    midpoints: float = 0.0
    adversarial: float = 0.0
    """With it there is a critic."""
    winner_share: float = WINNER_SHARE
    released: bool = False
    """Teach the detector what the released code teaches it where that is something else (docs/released-faults.md)."""

    @property
    def looks_at_masks(self) -> bool:
        return self.skeleton > 0 or self.physique > 0

    @property
    def looks_at_build(self) -> bool:
        return self.symmetry > 0 or self.midpoints > 0


PUBLISHED = HypothesesWeights(
    plane=0, depth=0, pairs=1.0, skeleton=0.02, physique=0.02, symmetry=0.1, midpoints=0.1, adversarial=0.5
)
"""Stage 2 on Human3.6M with rendered pairs; stage 1 has the pairs alone."""


def dense_losses(said: Marginals, labels: Mapping[str, Tensor], *, depth_range: float) -> Batch:
    """Return the mean cross-entropies of places and depths of all known joints."""
    known, joints = labels["known"], labels["joints"]
    place = shared_out(joints[..., :2], said.plane.shape[-1])
    depth = _shared_depth(joints[..., 2] / depth_range, said.depth.shape[-1])
    return {
        "plane": weighted_mean(cross_entropy(said.plane.flatten(2), place), known),
        "depth": weighted_mean(cross_entropy(said.depth, depth), known),
    }


def _shared_depth(depth: Float[Tensor, "b k"], bins: int) -> Float[Tensor, "b k d"]:
    """Share each depth (-1 to 1) out among the two slices whose middles are about it."""
    place = ((depth + 1) * bins / 2 - 0.5).clamp(0, bins - 1)
    low = place.floor().clamp_max(bins - 2)
    past = (place - low)[..., None]
    first = F.one_hot(low.long(), bins)
    return first * (1 - past) + first.roll(1, -1) * past


def pair_loss(
    joints: Float[Tensor, "b m k 3"],
    valid: Bool[Tensor, "b m"],
    labels: Mapping[str, Tensor],
    weights: HypothesesWeights,
) -> Float[Tensor, ""]:
    """Return the squared distance of the winning hypothesis from the rendered person's joints."""
    errors = pair_losses(joints, labels["joints"], labels["known"])
    return _winning(errors, valid, labels["has_joints"], weights)


def build_losses(
    joints: Float[Tensor, "b m k 3"], valid: Bool[Tensor, "b m"], rows: Float[Tensor, "b"], weights: HypothesesWeights,
    joint_set: str,
) -> Batch:  # fmt: skip
    """Return how lopsided bodies are, and how far their middles are from the middle."""
    sides = limb_ratio_losses if weights.released else symmetry_losses
    terms = {"symmetry": sides(joints, joint_set)}
    if weights.midpoints > 0:
        terms["midpoints"] = midpoint_losses(joints, joint_set)
    return {name: _winning(errors, valid, rows, weights) for name, errors in terms.items()}


def _winning(
    errors: Float[Tensor, "b m"], valid: Bool[Tensor, "b m"], rows: Float[Tensor, "b"], weights: HypothesesWeights
) -> Float[Tensor, ""]:
    if weights.released:
        # One hypothesis wins for the whole batch.
        return (errors * rows[:, None]).sum(0).min() / rows.sum().clamp_min(1)
    return weighted_mean(over_hypotheses(errors, valid, winner_share=weights.winner_share), rows)


def mask_losses(
    where: Float[Tensor, "b k 2"],
    labels: Mapping[str, Tensor],
    limbs: Limbs,
    physique: Callable[[Tensor], Tensor],
    *,
    size: int,
    released: bool,
    geodesic: GeodesicWeights | None = None,
) -> Batch:
    """Return what the skeletons, and the people drawn about them, have wrong of the masks.

    Photos with masks alone are drawn, where the batch has any; else all rows with masks. With `geodesic` hands and
    feet count more than the trunk, in both losses (Mask as Supervision).
    """
    masked = labels["has_mask"] > 0
    photos = masked & (labels["has_joints"] == 0)
    there = photos if bool(photos.any()) else masked
    if not there.any():
        nothing = where.sum() * 0
        return {"skeleton": nothing, "physique": nothing + physique(where.new_zeros(1, size, size)).sum() * 0}
    masks = F.adaptive_avg_pool2d(labels["mask"][there].float()[:, None] / 255, size)[:, 0]
    drawn = skeleton_mask(where[there], limbs, size)
    weight = None
    if geodesic is not None:
        weight = torch.from_numpy(geodesic((255 * masks).round().to(torch.uint8).cpu().numpy())).to(masks)
    return {
        "skeleton": skeleton_loss(drawn, masks, weight, released=released),
        "physique": physique_loss(physique(drawn), masks, weight),
    }


def adversarial_losses(
    joints: Float[Tensor, "b m k 3"],
    valid: Bool[Tensor, "b m"],
    judged: Float[Tensor, "b"],
    real: Float[Tensor, "n k 3"],
    critic: PoseGraphCritic,
    weights: HypothesesWeights,
) -> Batch:
    """Return the two sides' losses: `adversarial` moves what made the poses, `critic` the critic, neither the other.

    Both are judged in one frame, root at the origin (the critic sees to that). The released code cuts the poses from
    the graph on both sides; so does `weights.released`.

    Args:
        joints: hypotheses.
        valid: which of them there are.
        judged: 1 for rows that are judged, the photos.
        real: poses that bodies have had.
        critic: the critic.
        weights: of the losses; those of hypotheses are shared out as elsewhere.
    """
    hypotheses = joints.shape[1]
    frozen = {name: parameter.detach() for name, parameter in critic.named_parameters()}
    made = joints.detach() if weights.released else joints
    scores: Tensor = functional_call(critic, frozen, (made.flatten(0, 1),)).unflatten(0, (-1, hypotheses))
    both = critic(torch.cat([real, joints.detach().flatten(0, 1)]))
    true, false = both[: len(real)], both[len(real) :].unflatten(0, (-1, hypotheses))
    plain = replace(weights, released=False)
    # A batch without a whole rendered pose has nothing real to show.
    genuine = (true - 1).square().sum() / max(len(real), 1)
    return {
        "adversarial": _winning((scores - 1).square(), valid, judged, plain),
        "critic": 0.5 * genuine + 0.5 * _winning(false.square(), valid, judged, plain),
    }


def usable_hypotheses(found: DepthModes) -> Bool[Tensor, "b m"]:
    """Return which joint-wise hypotheses there are: those in which any joint has a mode of its own."""
    return found.valid.any(-1)
