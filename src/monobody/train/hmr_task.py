"""HMR in training: crops in, bodies out, HMR's supervised losses on the last of the regressor's iterations.

Losses and weights are section 4 of "End-to-end Recovery of Human Shape and Pose" without its critic; the 3D joints are
compared by absolute differences unless the recipe asks for HMR's squares. Each batch carries whatever labels its rows
have: synthetic people all of them, photos 2D joints only.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from monobody.body.kinematics import JointBody
from monobody.camera import project_weak
from monobody.data.mix import fixed_rows
from monobody.data.sample import Sample
from monobody.losses import joint_l1_loss, joint_loss, keypoint_loss, parameter_loss
from monobody.metrics import mpjpe, pa_mpjpe, pck
from monobody.models.hmr import HMR, BlazeEncoder, HMROutput
from monobody.train.conditioning import condition
from monobody.train.log import draw_joints
from monobody.train.task import Batch, Findings

BatchStream = Callable[[int, int, int], Iterator[Batch]]
"""(first batch, process, processes) -> endless batches."""


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


def body_losses(
    outputs: Sequence[HMROutput], batch: Mapping[str, Tensor], body: JointBody, weights: LossWeights
) -> Batch:
    """Return the weighted loss terms of a regressor's iterations against a batch's labels."""
    terms: Batch = {}
    for output, share in zip(reversed(outputs), (1.0, *[weights.earlier] * (len(outputs) - 1)), strict=True):
        if share > 0:
            for name, loss in _losses_of(output, batch, body, weights).items():
                terms[name] = share * loss + terms[name] if name in terms else share * loss
    return terms


def _losses_of(output: HMROutput, batch: Mapping[str, Tensor], body: JointBody, weights: LossWeights) -> Batch:
    keypoints_m = body(output.rotations, output.betas)["cocoplus19"]
    keypoints = project_weak(keypoints_m, output.camera)
    compare = joint_loss if weights.squared_joints else joint_l1_loss
    return {
        "keypoints": weights.keypoints * keypoint_loss(keypoints, batch["keypoints_2d"], batch["visible"]),
        "joints": weights.joints * compare(keypoints_m[:, :14], batch["joints_3d"], batch["has_joints_3d"]),
        "parameters": weights.parameters
        * parameter_loss(output.rotations, output.betas, batch["rotations"], batch["betas"], batch["has_body"]),
    }


class HMRTask:
    """An HMR network, its optimiser, its data and its validation."""

    def __init__(
        self,
        model: HMR,
        body: JointBody,
        stream: BatchStream,
        validation: "Validation",
        *,
        weights: LossWeights,
        regressor_rate: float,
        encoder_rate: float,
        conditioned: bool = False,
        weight_decay: float = 1e-4,
    ) -> None:
        # Channels-last convolutions are a third faster on processors, and suit tensor cores.
        self.modules: dict[str, nn.Module] = {"model": model.to(memory_format=torch.channels_last)}  # pyright: ignore
        self.body = body
        self.stream = stream
        self.validation = validation
        self.weights = weights
        if conditioned:
            convolutions = [m for m in model.encoder.modules() if isinstance(m, nn.Conv2d) and m.weight.requires_grad]
            images = as_input(next(stream(0, 0, 1))["images"].cpu())
            condition(convolutions, lambda: model.encoder(images))
        groups = [
            {"params": list(model.regressor.parameters()), "lr": regressor_rate},
            {"params": [p for p in model.encoder.parameters() if p.requires_grad], "lr": encoder_rate},
        ]
        groups = [group for group in groups if group["params"]]
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "model": torch.optim.AdamW(groups, weight_decay=weight_decay, fused=True)
        }

    def batches(self, first: int, *, process: int, processes: int) -> Iterator[Batch]:
        return self.stream(first, process, processes)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        self.body.to(batch["images"].device)
        outputs = self.modules["model"](as_input(batch["images"]))
        return body_losses(outputs, batch, self.body, self.weights)

    def validate(self) -> Findings:
        return self.validation(self.modules["model"], self.body)


def as_input(images: Tensor) -> Tensor:
    """Turn a batch of bytes into what the networks take: numbers from 0 to 1, channels last in memory."""
    return images.to(torch.float32, memory_format=torch.channels_last) / 255


def freeze_early(model: HMR, *, residuals: int, depthwise: bool) -> None:
    """Keep parts of BlazePose's trunk as published: its first blocks, its heads, optionally all depthwise filters.

    Edges and textures are what they were, and the maps are largest there: nothing is kept for a backward pass that
    does not happen. The heads sum 1,152 inputs to metres, so that a step of Adam with any useful rate would move all
    landmarks by centimetres; the regressor behind them is linear in what they say and needs no other heads. The
    filters of the depthwise convolutions hold 4 % of the weights; their gradient takes a quarter of a step on a
    processor.
    """
    assert isinstance(model.encoder, BlazeEncoder)
    trunk = model.encoder.backbone
    kept: list[nn.Module] = [trunk.stem, trunk.stem_depthwise, trunk.stem_project, trunk.residuals[:residuals]]
    kept += [trunk.landmark_head, trunk.world_head, trunk.presence_head]
    if depthwise:
        kept += [module for module in trunk.modules() if isinstance(module, nn.Conv2d) and module.groups > 1]
    for module in kept:
        module.requires_grad_(False)


class Validation:
    """Measure a network on fixed rows: 3D errors on synthetic people, 2D joints on photos.

    The regions of interest are those of the samples; finding people is not part of this.
    """

    def __init__(self, *, synthetic: Sequence[Sample], photos: Sequence[Sample], size: int, batch: int = 50) -> None:
        self.synthetic = fixed_rows(synthetic, size) if synthetic else None
        self.photos = fixed_rows(photos, size) if photos else None
        self.batch = batch

    def __call__(self, model: nn.Module, body: JointBody) -> Findings:
        numbers: dict[str, float] = {}
        pictures: dict[str, np.ndarray] = {}
        headline = None
        if self.synthetic is not None:
            rows = self.synthetic
            keypoints_m, keypoints = self._predict(model, body, rows["images"])
            joints_m = keypoints_m[:, :14]
            numbers["synthetic_mpjpe_mm"] = float(mpjpe(joints_m, rows["joints_3d"]).mean())
            numbers["synthetic_pa_mpjpe_mm"] = float(pa_mpjpe(joints_m, rows["joints_3d"]).mean())
            numbers["synthetic_pck_0.1"] = _pck(keypoints, rows, 0.1)
            pictures["synthetic"] = _drawn(rows, keypoints)
            headline = "synthetic_pa_mpjpe_mm"
        if self.photos is not None:
            rows = self.photos
            _, keypoints = self._predict(model, body, rows["images"])
            numbers["real_pck_0.1"] = _pck(keypoints, rows, 0.1)
            numbers["real_pck_0.05"] = _pck(keypoints, rows, 0.05)
            pictures["photos"] = _drawn(rows, keypoints)
        return Findings(numbers=numbers, pictures=pictures, headline=headline)

    def _predict(self, model: nn.Module, body: JointBody, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return all keypoints in metres and in crop coordinates."""
        device = next(model.parameters()).device
        body.to(device)
        metres, crop = [], []
        for part in images.split(self.batch):
            output = model(as_input(part.to(device)))[-1]
            keypoints_m = body(output.rotations, output.betas)["cocoplus19"]
            metres.append(keypoints_m.cpu())
            crop.append(project_weak(keypoints_m, output.camera).cpu())
        return torch.cat(metres), torch.cat(crop)


def _pck(keypoints: Tensor, rows: Batch, threshold: float) -> float:
    return float(pck(keypoints[:, :14], rows["keypoints_2d"][:, :14], rows["visible"][:, :14] > 0, threshold=threshold))


def _drawn(rows: Batch, keypoints: Tensor, count: int = 24) -> np.ndarray:
    size = rows["images"].shape[-1]
    spread = torch.linspace(0, len(keypoints) - 1, min(count, len(keypoints))).long()
    true, predicted = ((points[spread].numpy() + 1) * size / 2 for points in (rows["keypoints_2d"], keypoints))
    crops = rows["images"][spread].permute(0, 2, 3, 1).numpy()
    return draw_joints(crops, true, rows["visible"][spread].numpy(), predicted)
