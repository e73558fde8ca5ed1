"""What HMR is trained to make small: the losses of its iterations with their weights, and those of its critic.

Losses and weights are those of "End-to-end Recovery of Human Shape and Pose" (CVPR 2018), section 3; the 3D joints are
compared by absolute differences unless the recipe asks for HMR's squares. The last of the regressor's iterations is
held to the labels, all of them to the critic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call

from monobody.body.kinematics import JointBody
from monobody.camera import project_through_picture, project_weak
from monobody.losses import (
    adversarial_encoder_loss,
    critic_loss,
    joint_l1_loss,
    joint_loss,
    keypoint_loss,
    parameter_loss,
)
from monobody.models.critic import Critic
from monobody.models.output import HMROutput
from monobody.train.task import Batch


@dataclass(frozen=True, kw_only=True, slots=True)
class LossWeights:
    """What each term is multiplied by; HMR's own are 60 for all three."""

    keypoints: float = 60.0
    joints: float = 60.0
    parameters: float = 60.0
    squared_joints: bool = False
    """Compare 3D joints by HMR's 0.5 * square instead of the absolute difference."""
    earlier: float = 0.0
    """Weight of the losses after each of the earlier iterations, beside 1 for the last; HMR has 0."""
    adversarial: float = 0.0
    """What it costs that the critic tells any iteration's bodies from real ones; HMR has 1, and 0 is no critic."""
    landmarks: float = 0.0
    """`hmr-small`: of the encoder's own landmarks; see `train/landmark_loss.py`."""
    heat_maps: float = 0.0
    """`hmr-small`: of the encoder's heat maps; see `train/dense_heads.py`."""


def body_losses(
    outputs: Sequence[HMROutput],
    batch: Mapping[str, Tensor],
    body: JointBody,
    weights: LossWeights,
    *,
    full_image: bool = False,
) -> Batch:
    """Return the weighted loss terms of a regressor's iterations against a batch's labels.

    A term of weight 0 is left out. With `full_image` keypoints are those that the whole picture's camera sees, which
    takes each row's `view`; they are compared in units of the crop all the same, so that large people weigh no more.
    """
    terms: Batch = {}
    for output, share in zip(reversed(outputs), (1.0, *[weights.earlier] * (len(outputs) - 1)), strict=True):
        if share > 0:
            for name, loss in _losses_of(output, batch, body, weights, full_image).items():
                terms[name] = share * loss + terms[name] if name in terms else share * loss
    return terms


def _losses_of(
    output: HMROutput, batch: Mapping[str, Tensor], body: JointBody, weights: LossWeights, full_image: bool
) -> Batch:
    keypoints_m = body(output.rotations, output.betas)["cocoplus19"]
    terms: Batch = {}
    if weights.keypoints > 0:
        keypoints = projected(keypoints_m, output.camera, batch if full_image else None)
        terms["keypoints"] = weights.keypoints * keypoint_loss(keypoints, batch["keypoints_2d"], batch["visible"])
    if weights.joints > 0:
        compare = joint_loss if weights.squared_joints else joint_l1_loss
        terms["joints"] = weights.joints * compare(keypoints_m[:, :14], batch["joints_3d"], batch["has_joints_3d"])
    if weights.parameters > 0:
        # Rows that were packed before betas had a flag of their own know them wherever they know the rotations.
        has_body = batch["has_body"]
        terms["parameters"] = weights.parameters * parameter_loss(
            output.rotations,
            output.betas,
            batch["rotations"],
            batch["betas"],
            has_body,
            batch.get("has_betas", has_body),
        )
    return terms


def projected(points_m: Tensor, camera: Tensor, rows: Mapping[str, Tensor] | None) -> Tensor:
    """Return points in crop coordinates; through the whole picture's camera where rows tell about it."""
    if rows is None:
        return project_weak(points_m, camera)
    return project_through_picture(points_m, camera, rows["view"])


def adversarial_losses(
    outputs: Sequence[HMROutput], batch: Mapping[str, Tensor], critic: Critic, weight: float
) -> Batch:
    """Return the two sides' losses: `adversarial` moves what made the bodies, `critic` the critic, neither the other.

    Both sides step after one forward pass of the network, so that each gradient must find its own way: the bodies are
    judged once by the critic as it stands, its weights cut from the graph, and once by the critic that learns, beside
    real bodies, themselves cut from the graph.

    Args:
        outputs: of all iterations; all are judged.
        batch: holds `real_rotations` (n, 23, 3, 3) and `real_betas` (n, 10).
        critic: the critic.
        weight: of the adversarial term.
    """
    rotations = torch.cat([output.rotations[:, 1:] for output in outputs])
    betas = torch.cat([output.betas for output in outputs])
    frozen = {name: parameter.detach() for name, parameter in critic.named_parameters()}
    judged: Tensor = functional_call(critic, frozen, (rotations, betas))
    real_rotations, real_betas = batch["real_rotations"], batch["real_betas"]
    scores = critic(torch.cat([real_rotations, rotations.detach()]), torch.cat([real_betas, betas.detach()]))
    real, fake = scores.split([len(real_betas), len(betas)])
    return {"adversarial": weight * adversarial_encoder_loss(judged), "critic": critic_loss(real, fake)}
