"""Training the lifter: endless posed bodies without pictures, and the detector's readings of real and rendered people.

A body from the pose bank is turned before a random camera, its landmarks are projected and misread
(`landmark_noise.py`), and the lifter has to give the body back. Readings (`fit/readings.py`) are what the detector
really said about photos with clicked joints and about rendered people; photos contribute their 2D joints only.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from monobody.body.kinematics import JointBody
from monobody.body.landmarks import Landmarks
from monobody.body.rotation import axis_angle_to_matrix, rotation_about
from monobody.camera import project_weak
from monobody.data.pose_bank import PoseBank
from monobody.fit.lift import Lift
from monobody.fit.readings import Readings
from monobody.losses import joint_l1_loss, keypoint_loss, parameter_loss
from monobody.metrics import mpjpe, pa_mpjpe, pck
from monobody.models.feedback import Estimate
from monobody.train.landmark_noise import Mistakes, misread
from monobody.train.task import Batch, Findings

EARLIER_WEIGHTS = (0.2, 0.4, 1.0)
"""Weights of the losses after each iteration: the first corrections are trained too, the last one decides."""
VALIDATION_PEOPLE = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class LiftSettings:
    """What the lifter is trained on, and how errors weigh against each other."""

    batch_size: int = 256
    learning_rate: float = 1e-3
    seed: int = 0
    readings_share: float = 0.5
    """Share of each batch that are readings, where there are any."""
    keypoint_weight: float = 6.0
    joint_weight: float = 10.0
    parameter_weight: float = 6.0
    mistakes: Mistakes = field(default_factory=Mistakes)


class LiftTask:
    """`lift` as the training loop wants it."""

    def __init__(
        self,
        lift: Lift,
        bank: PoseBank,
        settings: LiftSettings,
        *,
        readings: Readings | None = None,
        held_out_readings: Readings | None = None,
    ) -> None:
        self.modules: dict[str, nn.Module] = {"lift": lift}
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "lift": torch.optim.AdamW(lift.parameters(), lr=settings.learning_rate, weight_decay=1e-4)
        }
        self.joint_body = lift.joint_body
        self.bank = bank
        self.settings = settings
        self.readings = readings
        self.held_out_readings = held_out_readings

    def batches(self, first: int, *, process: int, processes: int) -> Iterator[Batch]:
        number = first
        while True:
            yield self.batch(number, process)
            number += 1

    def batch(self, number: int, process: int = 0) -> Batch:
        """Make one batch: the same for the same seed, number and process."""
        seeds = np.random.SeedSequence([self.settings.seed, number, process])
        rng = np.random.default_rng(seeds)
        read = round(self.settings.batch_size * self.settings.readings_share) if self.readings is not None else 0
        batch = self.bodies(self.settings.batch_size - read, rng)
        if self.readings is not None:
            rows = self.readings.sample(read, rng)
            batch = {name: torch.cat([batch[name], rows[name]]) for name in batch}
        return batch

    def bodies(self, count: int, rng: np.random.Generator, *, held_out: bool = False) -> Batch:
        """Pose bodies before random cameras and let a detector misread them."""
        generator = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
        poses = self.bank.sample(count, rng, held_out=held_out)
        betas = torch.randn(count, 10, generator=generator)
        return posed_batch(self.joint_body, torch.from_numpy(poses), betas, self.settings.mistakes, generator)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        zero = batch["image"].new_zeros(())
        terms = {"keypoints": zero, "joints": zero, "parameters": zero}
        for weight, estimate in zip(EARLIER_WEIGHTS, self.modules["lift"](landmarks_of(batch)), strict=True):
            each = self._terms(estimate, batch)
            terms = {name: terms[name] + weight * each[name] for name in terms}
        return terms

    def _terms(self, estimate: Estimate, batch: Batch) -> Batch:
        s, output = self.settings, estimate.output
        projected = project_weak(estimate.joints_m, output.camera)
        return {
            "keypoints": s.keypoint_weight * keypoint_loss(projected, batch["keypoints_2d"], batch["visible"]),
            "joints": s.joint_weight * joint_l1_loss(estimate.joints_m, batch["joints_3d"], batch["has_joints_3d"]),
            "parameters": s.parameter_weight
            * parameter_loss(output.rotations, output.betas, batch["rotations"], batch["betas"], batch["has_body"]),
        }

    def validate(self) -> Findings:
        lift = self.modules["lift"]
        assert isinstance(lift, Lift)
        batch = self.bodies(VALIDATION_PEOPLE, np.random.default_rng([self.settings.seed, 1]), held_out=True)
        numbers = judge(lift, batch, "bodies_")
        if self.held_out_readings is not None:
            numbers |= judge(lift, self.held_out_readings.all(), "readings_")
        return Findings(numbers=numbers, headline="bodies_pa_mpjpe_mm")


def posed_batch(
    joint_body: JointBody,
    poses: Float[Tensor, "b 24 3"],
    betas: Float[Tensor, "b 10"],
    mistakes: Mistakes,
    generator: torch.Generator,
) -> Batch:
    """Place bodies of a y-up world before cameras, turn the crop as the detector would, and misread the landmarks."""
    count = len(poses)
    rotations = axis_angle_to_matrix(poses)
    rotations[:, 0] = random_views(count, generator) @ rotations[:, 0]
    sets = joint_body(rotations, betas)
    points = torch.cat([sets["blazepose33"], sets["lsp14"][:, 12:]], dim=1)

    # The crop's up is the body's axis in the picture, as far as the detector can tell; now and then it cannot.
    axis = points[:, [11, 12], :2].mean(1) - points[:, [23, 24], :2].mean(1)
    angle = torch.atan2(axis[:, 0], -axis[:, 1]) + 0.2 * torch.randn(count, generator=generator)
    lost = torch.rand(count, generator=generator) < 0.1
    angle = torch.where(lost, 2 * torch.pi * torch.rand(count, generator=generator), angle)
    turn = axis_angle_to_matrix(torch.stack([torch.zeros_like(angle), torch.zeros_like(angle), -angle], dim=-1))
    rotations[:, 0] = turn @ rotations[:, 0]
    hips = points[:, [23, 24]].mean(1, keepdim=True)
    points = (points - hips) @ turn.mT
    joints = (sets["lsp14"] - hips) @ turn.mT

    # A pinhole at two to twelve metres; the crop holds the person with some room.
    distance = 2 * 6 ** torch.rand(count, 1, 1, generator=generator)
    reach = points[..., :2].norm(dim=-1).amax(1)[:, None, None]
    zoom = 1 / (reach * (1.1 + 0.3 * torch.rand(count, 1, 1, generator=generator)))
    shift = 0.1 * torch.randn(count, 1, 2, generator=generator)

    def project(p: Float[Tensor, "b k 3"]) -> Float[Tensor, "b k 2"]:
        return zoom * p[..., :2] * distance / (distance + p[..., 2:]).clamp_min(0.5) + shift

    seen = misread(project(points), points, mistakes, generator)
    ones = torch.ones(count)
    return {
        "image": seen.image,
        "score": seen.score,
        "world_m": seen.world_m,
        "world_score": seen.world_score,
        "keypoints_2d": project(joints),
        "visible": torch.ones(count, 14),
        "joints_3d": joints,
        "has_joints_3d": ones,
        "rotations": rotations,
        "betas": betas,
        "has_body": ones,
    }


def random_views(count: int, generator: torch.Generator) -> Float[Tensor, "b 3 3"]:
    """Draw rotations from the y-up world to a camera: any direction round the body, mostly level, sometimes steep."""
    yaw = 2 * torch.pi * torch.rand(count, generator=generator)
    pitch = torch.randn(count, generator=generator) * 0.2
    steep = torch.rand(count, generator=generator) < 0.15
    pitch = torch.where(steep, 0.6 * torch.randn(count, generator=generator), pitch)
    zero = torch.zeros(count)
    turned = axis_angle_to_matrix(torch.stack([zero, yaw, zero], dim=-1))
    tilted = axis_angle_to_matrix(torch.stack([pitch, zero, zero], dim=-1))
    return rotation_about("x", torch.pi) @ tilted @ turned


def landmarks_of(batch: Batch) -> Landmarks:
    """Return the lifter's input of a batch."""
    return Landmarks(
        image=batch["image"], score=batch["score"], world_m=batch["world_m"], world_score=batch["world_score"]
    )


def judge(lift: Lift, batch: Batch, prefix: str) -> dict[str, float]:
    """Measure a lifter on a batch: 3D errors where bodies are known, correct joints where clicks are."""
    estimate = lift(landmarks_of(batch))[-1]
    joints, projected = estimate.joints_m, project_weak(estimate.joints_m, estimate.output.camera)
    numbers = {}
    known = batch["has_joints_3d"] > 0
    if known.any():
        numbers["mpjpe_mm"] = float(mpjpe(joints[known], batch["joints_3d"][known]).mean())
        numbers["pa_mpjpe_mm"] = float(pa_mpjpe(joints[known], batch["joints_3d"][known]).mean())
    for threshold in (0.1, 0.05):
        correct = pck(projected, batch["keypoints_2d"], batch["visible"] > 0, threshold=threshold)
        numbers[f"pck_{threshold}"] = float(correct)
    return {prefix + name: value for name, value in numbers.items()}
