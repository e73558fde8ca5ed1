"""What a body prediction is punished for: 2D keypoints, 3D joints, body parameters, and looking unlike real bodies.

The three supervised terms and the adversarial pair of "End-to-end Recovery of Human Shape and Pose" (CVPR 2018),
normalised as its authors' code does it, which the paper leaves open: a sum is divided by the number of entries that
have a label anywhere in the batch, never by the batch size. A batch without a single label gives an exact zero that
still hangs in the graph, so that training code need not know which labels a batch carries.

Shapes: b people, k keypoints. Keypoints are in crop coordinates [-1, 1], joints in metres.
"""

import torch
from jaxtyping import Float
from torch import Tensor, distributed

RIGHT_HIP, LEFT_HIP = 2, 3
"""Where LSP's 14 joints keep the hips; their midpoint is the origin of the 3D loss."""


def keypoint_loss(
    predicted: Float[Tensor, "b k d"], target: Float[Tensor, "b k d"], visible: Float[Tensor, "b k"]
) -> Float[Tensor, ""]:
    """Return the mean absolute error over x and y (and z) of all visible keypoints of the batch.

    `visible` may be any weight from 0 to 1; targets of weight 0 are not looked at and may be NaN.
    """
    weight = visible[..., None].expand_as(predicted)
    return weighted_mean((predicted - _known(target, weight, predicted)).abs(), weight)


def joint_loss(
    predicted: Float[Tensor, "b 14 3"], target: Float[Tensor, "b 14 3"], labelled: Float[Tensor, "b"]
) -> Float[Tensor, ""]:
    """Return half the mean squared error of LSP's 14 joints, both sides with their mid-hip at the origin."""
    weight = labelled[:, None, None].expand_as(predicted)
    difference = _from_mid_hip(predicted) - _from_mid_hip(_known(target, weight, predicted))
    return 0.5 * weighted_mean(difference.square(), weight)


def joint_l1_loss(
    predicted: Float[Tensor, "b 14 3"], target: Float[Tensor, "b 14 3"], labelled: Float[Tensor, "b"]
) -> Float[Tensor, ""]:
    """Return the mean absolute error of the mid-hip centred joints, which later work prefers to the square.

    Squares of errors below a metre fade where they still matter: at 70 mm, the 0.5 * MSE of `joint_loss` has a
    gradient of 0.07, this one of 1.
    """
    weight = labelled[:, None, None].expand_as(predicted)
    difference = _from_mid_hip(predicted) - _from_mid_hip(_known(target, weight, predicted))
    return weighted_mean(difference.abs(), weight)


def parameter_loss(
    rotations: Float[Tensor, "b 24 3 3"],
    betas: Float[Tensor, "b 10"],
    target_rotations: Float[Tensor, "b 24 3 3"],
    target_betas: Float[Tensor, "b 10"],
    labelled: Float[Tensor, "b"],
    labelled_betas: Float[Tensor, "b"] | None = None,
) -> Float[Tensor, ""]:
    """Return half the mean squared error of the body's 226 numbers: 24 rotation matrices, the root's too, and betas.

    Matrices and not axis-angle vectors: the authors' code compares them so, and two vectors may name one rotation.
    `labelled_betas` says whose betas are known where that is not the same as whose rotations are, as with rotations
    that were measured on another body's shape space.
    """
    labelled_betas = labelled if labelled_betas is None else labelled_betas
    predicted = torch.cat([rotations.flatten(1), betas], dim=1)
    target = torch.cat([target_rotations.flatten(1), target_betas], dim=1)
    weight = torch.cat([labelled[:, None].expand(-1, 216), labelled_betas[:, None].expand_as(betas)], dim=1)
    return 0.5 * weighted_mean((predicted - _known(target, weight, predicted)).square(), weight)


def adversarial_encoder_loss(scores: Float[Tensor, "n 25"]) -> Float[Tensor, ""]:
    """Return what predicted bodies cost for being told from real ones: the sum of (score - 1)^2, mean over bodies."""
    return (scores - 1).square().sum(dim=1).mean()


def critic_loss(real: Float[Tensor, "n 25"], fake: Float[Tensor, "m 25"]) -> Float[Tensor, ""]:
    """Return what the critic's mistakes cost: (score - 1)^2 of real bodies and score^2 of predicted ones.

    Both are summed over the 25 scores and averaged over their own bodies.
    """
    return (real - 1).square().sum(dim=1).mean() + fake.square().sum(dim=1).mean()


def _from_mid_hip(joints: Float[Tensor, "b 14 3"]) -> Float[Tensor, "b 14 3"]:
    return joints - joints[:, [RIGHT_HIP, LEFT_HIP]].mean(dim=1, keepdim=True)


def _known(target: Tensor, weight: Tensor, predicted: Tensor) -> Tensor:
    """Replace labels of weight zero by the prediction itself: a NaN spreads even through a product with zero."""
    return torch.where(weight > 0, target, predicted.detach())


def weighted_mean(errors: Tensor, weight: Tensor) -> Float[Tensor, ""]:
    """Return the sum of errors times weights over the sum of weights of all processes; 0 where nothing has any."""
    total = _mean_over_processes(weight.sum())
    return (errors * weight).sum() / torch.where(total > 0, total, torch.ones_like(total))


def _mean_over_processes(count: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Return the mean count of labels of all training processes' batches.

    Their gradients are averaged: divided by it, the sums of all processes come to the sum over all batches divided by
    the count over all batches. Outside of training (without gradients) a process measures for itself.
    """
    if not (distributed.is_available() and distributed.is_initialized() and torch.is_grad_enabled()):
        return count
    count = count.detach().clone()
    distributed.all_reduce(count)
    return count / distributed.get_world_size()
