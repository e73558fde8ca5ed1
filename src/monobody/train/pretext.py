"""What X as Supervision trains on in place of 3D labels: masks, the body's build, synthetic pairs, and a critic.

The losses of "X as Supervision" (arXiv:2411.13026), each as it is meant; `released=True` gives what the released code
computes where that is something else. Points are in crop coordinates, depth in the same unit.

Shapes: b people, m hypotheses, k joints, s the mask's side.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from monobody.body.skeleton import SKELETONS

SEEN = 0.1
"""Where the skeleton's mask is below this, the skeleton says nothing about a pixel."""
WINNER_SHARE = 0.9
"""How much of a loss over hypotheses the best one bears; the others share the rest, so that they are trained too."""


def skeleton_loss(
    skeleton: Float[Tensor, "b s s"],
    mask: Float[Tensor, "b s s"],
    weight: Float[Tensor, "b s s"] | None = None,
    *,
    released: bool = False,
) -> Float[Tensor, ""]:
    """Return the squared error of the skeleton's mask, where there is a skeleton.

    Away from the limbs the person's mask may be bare: only pixels with a response above `SEEN` are compared, each with
    its own weight. As released the error is averaged over all pixels and multiplied by the share of those above.
    """
    selected = (skeleton > SEEN).to(skeleton.dtype)
    error = (skeleton - mask).square()
    if released:
        return error.mean() * selected.mean()
    weight = selected if weight is None else selected * weight
    return (error * weight).sum() / weight.sum().clamp_min(1e-6)


def physique_loss(
    physique: Float[Tensor, "b s s"], mask: Float[Tensor, "b s s"], weight: Float[Tensor, "b s s"] | None = None
) -> Float[Tensor, ""]:
    """Return the mean squared error of the person's drawn mask over all pixels."""
    error = (physique - mask).square()
    return error.mean() if weight is None else (error * weight).sum() / weight.sum().clamp_min(1e-6)


def over_hypotheses(
    losses: Float[Tensor, "b m"], valid: Bool[Tensor, "b m"] | None = None, *, winner_share: float = WINNER_SHARE
) -> Float[Tensor, "b"]:
    """Return each person's loss, which the best hypothesis bears for the most part (relaxed winner takes all).

    With `winner_share` 1 only the best one learns (per person; the released code lets one win for the whole batch).
    Hypotheses that there are not neither win nor share.
    """
    if valid is None:
        valid = torch.ones_like(losses, dtype=torch.bool)
    infinite = torch.full_like(losses, torch.inf)
    best = torch.where(valid, losses, infinite).argmin(dim=1, keepdim=True)
    winner = losses.gather(1, best).squeeze(1)
    others = valid.scatter(1, best, False)
    count = others.sum(1)
    shared = (losses * others).sum(1) / count.clamp_min(1)
    return torch.where(count > 0, winner_share * winner + (1 - winner_share) * shared, winner)


def pair_losses(
    joints: Float[Tensor, "b m k 3"], target: Float[Tensor, "b k 3"], known: Float[Tensor, "b k"] | None = None
) -> Float[Tensor, "b m"]:
    """Return every hypothesis' mean squared distance from the joints of a synthetic person."""
    error = (joints - target[:, None]).square().mean(-1)
    if known is None:
        return error.mean(-1)
    return (error * known[:, None]).sum(-1) / known.sum(-1, keepdim=True).clamp_min(1)


def symmetry_losses(joints: Float[Tensor, "b m k 3"], joint_set: str = "xas18") -> Float[Tensor, "b m"]:
    """Return how unlike the two sides of a body are: squared differences of left and right bones' lengths."""
    skeleton = SKELETONS[joint_set]
    bones = [(j, p, skeleton.flip[j], skeleton.flip[p]) for j, p in enumerate(skeleton.parents) if p >= 0]
    bones = [bone for bone in bones if skeleton.joints[bone[0]].startswith("left_")]
    a, b, c, d = ([bone[i] for bone in bones] for i in range(4))

    def length(one: list[int], other: list[int]) -> Tensor:
        return (joints[:, :, one] - joints[:, :, other]).norm(dim=-1)

    return (length(a, b) - length(c, d)).square().mean(-1)


def limb_ratio_losses(joints: Float[Tensor, "b m k 3"], joint_set: str = "xas18") -> Float[Tensor, "b m"]:
    """Return what the released code calls symmetry: upper arms as long as forearms, thighs as shins, side by side."""
    names = SKELETONS[joint_set].joints
    total = joints.new_zeros(joints.shape[:2])
    for upper, middle, lower in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")):
        for side in ("left", "right"):
            a, b, c = (names.index(f"{side}_{name}") for name in (upper, middle, lower))
            first = (joints[:, :, a] - joints[:, :, b]).norm(dim=-1)
            second = (joints[:, :, b] - joints[:, :, c]).norm(dim=-1)
            total = total + (first - second).square()
    return total / 4


def midpoint_losses(joints: Float[Tensor, "b m k 3"], joint_set: str = "xas18") -> Float[Tensor, "b m"]:
    """Return how far the thorax is from between the shoulders, and the pelvis from between the hips, squared."""
    names = SKELETONS[joint_set].joints
    total = joints.new_zeros(joints.shape[:2])
    for middle, pair in (("thorax", "shoulder"), ("pelvis", "hip")):
        between = joints[:, :, [names.index(f"{side}_{pair}") for side in ("left", "right")]].mean(2)
        total = total + (joints[:, :, names.index(middle)] - between).square().mean(-1)
    return total / 2


def cross_entropy(probability: Float[Tensor, "b k n"], target: Float[Tensor, "b k n"]) -> Float[Tensor, "b k"]:
    """Return the cross-entropy, in nats, of probabilities of cells or slices against a target distribution."""
    return -(target * probability.clamp_min(1e-9).log()).sum(-1)
