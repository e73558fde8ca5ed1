"""HMR in training: crops in, bodies out, losses, and a critic that learns beside the network.

Each batch carries whatever labels its rows have: synthetic people all of them, photos 2D joints only; and, for the
critic, as many real bodies as the network's iterations will make. What it all costs: `train/terms.py`.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from monobody.body.kinematics import JointBody
from monobody.data.mix import fixed_rows
from monobody.data.sample import Sample
from monobody.errors import UserError
from monobody.metrics import mpjpe, pa_mpjpe, pck
from monobody.models.critic import Critic
from monobody.models.hmr import HMR, BlazeEncoder
from monobody.models.output import HMROutput
from monobody.train.conditioning import condition
from monobody.train.dense_heads import heat_map_loss
from monobody.train.landmark_loss import landmark_losses
from monobody.train.log import draw_joints
from monobody.train.task import Batch, Findings
from monobody.train.terms import LossWeights, adversarial_losses, body_losses, projected

RealBodySource = Callable[[int, int], tuple[np.ndarray, np.ndarray]]
"""(number of the batch, bodies) -> rotations of joints 1 to 23 (n, 23, 3, 3) and betas (n, 10), always the same ones;
see `data/real_bodies.py`."""
BatchStream = Callable[[int, int, int], Iterator[Batch]]
"""(first batch, process, processes) -> endless batches."""


class HMRTask:
    """An HMR network and perhaps its critic, their optimisers, their data and the network's validation.

    Args:
        model: the network.
        body: whose joints it poses.
        stream: batches of labelled crops.
        validation: what is measured now and then.
        weights: of the losses; a critic learns where `adversarial` is positive.
        regressor_rate: learning rate of the regressor.
        encoder_rate: learning rate of the encoder.
        decoder_rate: learning rate of the encoder's decoder of heat maps, where it has one.
        conditioned: whether the encoder learns in units of its channels; see `train/conditioning.py`.
        weight_decay: of the network; with 0 its optimiser is Adam, as HMR's. The critic's always is.
        bodies: the real bodies that the critic compares with.
        critic_rate: learning rate of the critic.

    Raises:
        UserError: a critic is asked for without real bodies.
    """

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
        decoder_rate: float = 1e-3,
        conditioned: bool = False,
        weight_decay: float = 1e-4,
        bodies: RealBodySource | None = None,
        critic_rate: float = 1e-4,
    ) -> None:
        # Channels-last convolutions are a third faster on processors, and suit tensor cores.
        self.modules: dict[str, nn.Module] = {"model": model.to(memory_format=torch.channels_last)}  # pyright: ignore
        self.body = body
        self.stream = stream
        self.validation = validation
        self.weights = weights
        self.full_image = model.full_image
        decoder = model.encoder.backbone.decoder if isinstance(model.encoder, BlazeEncoder) else None
        if conditioned:
            # Maps of keypoints that BlazePose does not have begin at nothing, and would be held there by their units.
            kept = None if decoder is None else decoder.maps
            convolutions = [m for m in model.encoder.modules() if isinstance(m, nn.Conv2d) and m.groups == 1]
            convolutions = [m for m in convolutions if m is not kept]
            convolutions = [m for m in convolutions if m.weight.requires_grad]
            images = as_input(next(stream(0, 0, 1))["images"].cpu())
            condition(convolutions, lambda: model.encoder(images))
        mapped = [] if decoder is None else list(decoder.parameters())
        known = {id(p) for p in mapped}
        groups = [
            {"params": list(model.regressor.parameters()), "lr": regressor_rate},
            {
                "params": [p for p in model.encoder.parameters() if p.requires_grad and id(p) not in known],
                "lr": encoder_rate,
            },
            {"params": mapped, "lr": decoder_rate},
        ]
        groups = [group for group in groups if group["params"]]
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "model": torch.optim.AdamW(groups, weight_decay=weight_decay, fused=True)
        }
        self.critic: Critic | None = None
        if weights.adversarial > 0:
            if bodies is None:
                raise UserError("A critic needs real bodies to compare with: give --data a folder with pose_bank.npz.")
            self.critic = Critic()
            self.bodies, self.fakes = bodies, model.regressor.iterations
            self.modules["critic"] = self.critic
            self.optimisers["critic"] = torch.optim.Adam(self.critic.parameters(), lr=critic_rate, fused=True)

    def batches(self, first: int, *, process: int, processes: int) -> Iterator[Batch]:
        stream = self.stream(first, process, processes)
        if self.critic is None:
            yield from stream
            return
        for number, batch in enumerate(stream, first):
            # As many as the network's iterations make of these pictures; processes see different ones.
            rotations, betas = self.bodies(number * processes + process, self.fakes * len(batch["images"]))
            yield batch | {"real_rotations": torch.from_numpy(rotations), "real_betas": torch.from_numpy(betas)}

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        self.body.to(batch["images"].device)
        outputs, maps = self._forward(batch)
        losses = body_losses(outputs, batch, self.body, self.weights, full_image=self.full_image)
        if maps is not None:
            losses["heat_maps"] = self.weights.heat_maps * heat_map_loss(maps, batch)
        seen = outputs[-1].landmarks
        if self.weights.landmarks > 0 and seen is not None:
            losses |= landmark_losses(seen, batch, self.body, self.weights.landmarks)
        if self.critic is not None:
            losses |= adversarial_losses(outputs, batch, self.critic, self.weights.adversarial)
        return losses

    def _forward(self, batch: Batch) -> tuple[list[HMROutput], Tensor | None]:
        """Return the bodies and, where they are taught, the encoder's heat maps."""
        model, images = self.modules["model"], as_input(batch["images"])
        assert isinstance(model, HMR)
        if self.weights.heat_maps > 0 and isinstance(model.encoder, BlazeEncoder):
            features = model.encoder.backbone(images)
            return model.regressor(model.encoder.flatten(features)), features.maps
        return model(images, batch["view"] if self.full_image else None), None

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
        decoder = set(trunk.decoder.modules())
        kept += [m for m in trunk.modules() if isinstance(m, nn.Conv2d) and m.groups > 1 and m not in decoder]
    for module in kept:
        module.requires_grad_(False)


class Validation:
    """Measure a network on fixed rows: 3D errors on synthetic people, 2D joints on photos.

    The regions of interest are those of the samples; finding people is not part of this.
    """

    def __init__(
        self,
        *,
        synthetic: Sequence[Sample],
        photos: Sequence[Sample],
        size: int,
        batch: int = 50,
        shape_space: str = "monobody",
    ) -> None:
        self.synthetic = fixed_rows(synthetic, size, shape_space=shape_space) if synthetic else None
        self.photos = fixed_rows(photos, size, shape_space=shape_space) if photos else None
        self.batch = batch

    def __call__(self, model: nn.Module, body: JointBody) -> Findings:
        numbers: dict[str, float] = {}
        pictures: dict[str, np.ndarray] = {}
        headline = None
        if self.synthetic is not None:
            rows = self.synthetic
            keypoints_m, keypoints = self._predict(model, body, rows)
            joints_m = keypoints_m[:, :14]
            numbers["synthetic_mpjpe_mm"] = float(mpjpe(joints_m, rows["joints_3d"]).mean())
            numbers["synthetic_pa_mpjpe_mm"] = float(pa_mpjpe(joints_m, rows["joints_3d"]).mean())
            numbers["synthetic_pck_0.1"] = _pck(keypoints, rows, 0.1)
            pictures["synthetic"] = _drawn(rows, keypoints)
            headline = "synthetic_pa_mpjpe_mm"
        if self.photos is not None:
            rows = self.photos
            _, keypoints = self._predict(model, body, rows)
            numbers["real_pck_0.1"] = _pck(keypoints, rows, 0.1)
            numbers["real_pck_0.05"] = _pck(keypoints, rows, 0.05)
            pictures["photos"] = _drawn(rows, keypoints)
        return Findings(numbers=numbers, pictures=pictures, headline=headline)

    def _predict(self, model: nn.Module, body: JointBody, rows: Batch) -> tuple[Tensor, Tensor]:
        """Return all keypoints in metres and in crop coordinates."""
        device = next(model.parameters()).device
        body.to(device)
        full_image = isinstance(model, HMR) and model.full_image
        metres, crop = [], []
        for start in range(0, len(rows["images"]), self.batch):
            part = {name: value[start : start + self.batch].to(device) for name, value in rows.items()}
            images = as_input(part["images"])
            output = (model(images, part["view"]) if full_image else model(images))[-1]
            keypoints_m = body(output.rotations, output.betas)["cocoplus19"]
            metres.append(keypoints_m.cpu())
            crop.append(projected(keypoints_m, output.camera, part if full_image else None).cpu())
        return torch.cat(metres), torch.cat(crop)


def _pck(keypoints: Tensor, rows: Batch, threshold: float) -> float:
    return float(pck(keypoints[:, :14], rows["keypoints_2d"][:, :14], rows["visible"][:, :14] > 0, threshold=threshold))


def _drawn(rows: Batch, keypoints: Tensor, count: int = 24) -> np.ndarray:
    size = rows["images"].shape[-1]
    spread = torch.linspace(0, len(keypoints) - 1, min(count, len(keypoints))).long()
    true, predicted = ((points[spread].numpy() + 1) * size / 2 for points in (rows["keypoints_2d"], keypoints))
    crops = rows["images"][spread].permute(0, 2, 3, 1).numpy()
    return draw_joints(crops, true, rows["visible"][spread].numpy(), predicted)
