"""The regressor alone in training, on features of a frozen encoder that were computed once.

An encoder that knows people already (BlazePose) need not be run again for every step of a regressor that knows nothing
yet: its features of some thousand augmented crops are kept on disk in half precision, and a step on them costs a
hundredth. What the regressor learns so, within minutes, is where training end to end begins; and minutes are few enough
to train it several times, with one kind of supervision and with another (`evaluate/ablation.py`).
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from monobody.body.kinematics import JointBody
from monobody.errors import UserError
from monobody.models.critic import Critic
from monobody.models.hmr import HMR
from monobody.train.checkpoint import differences
from monobody.train.hmr_task import (
    BatchStream,
    LossWeights,
    RealBodySource,
    adversarial_losses,
    as_input,
    body_losses,
)
from monobody.train.step import SKIPPED
from monobody.train.task import Batch, Findings

SETTINGS = "settings.json"
LABELS_3D = ("joints_3d", "rotations", "betas")
FLAGS_3D = ("has_joints_3d", "has_body", "has_betas")


def cache_features(
    model: HMR,
    stream: BatchStream,
    folder: Path,
    *,
    batches: int,
    report: Callable[[int], None] = lambda done: None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Run a frozen encoder over the first batches of a stream and keep features and labels in a folder.

    A folder that is there is complete, and is left as it is. `settings` are kept beside the features.

    Raises:
        UserError: the folder holds features of a run with other settings, or cannot be written.
    """
    if folder.is_dir():
        _refuse_others(folder, settings or {})
        return
    model.eval()
    kept: dict[str, list[np.ndarray]] = {}
    source = stream(0, 0, 1)
    with torch.no_grad():
        for number in range(batches):
            batch = next(source)
            batch.pop(SKIPPED, None)
            features = model.encoder(as_input(batch.pop("images")))
            for name, value in {**batch, "features": features.half()}.items():
                kept.setdefault(name, []).append(value.numpy())
            report(number + 1)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for name, values in kept.items():
            np.save(partial / f"{name}.npy", np.concatenate(values))
        (partial / SETTINGS).write_text(json.dumps(settings or {}, indent=1))
        partial.replace(folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise UserError(f"Cannot keep features in {folder}: {error.strerror or error}. Free some space.") from error


def _refuse_others(folder: Path, settings: Mapping[str, Any]) -> None:
    if not (folder / SETTINGS).is_file():
        return
    different = list(differences(json.loads((folder / SETTINGS).read_text()), settings))
    if different:
        raise UserError(
            f"{folder} was computed with {different[0]}: remove {folder.parent}, or choose another --out folder."
        )


class FeatureTask:
    """Train a model's regressor, and perhaps a critic, on cached features; the encoder is only used to validate.

    Args:
        model: whose regressor learns.
        body: whose joints it poses.
        folder: what :func:`cache_features` wrote.
        validation: what is measured now and then.
        weights: of the losses; a critic learns where `adversarial` is positive.
        rate: learning rate of the regressor.
        batch: rows in a batch.
        seed: names the order of the rows.
        weight_decay: of the regressor; with 0 its optimiser is Adam, as HMR's.
        look_at_3d: off, all 3D labels are NaN and said to be missing before anything else sees a batch.
        bodies: the real bodies that the critic compares with.
        critic_rate: learning rate of the critic.
        critic: the critic to teach, where it is not HMR's.

    Raises:
        UserError: a critic is asked for without real bodies.
    """

    def __init__(
        self,
        model: HMR,
        body: JointBody,
        folder: Path,
        validation: Callable[[nn.Module, JointBody], Findings],
        *,
        weights: LossWeights,
        rate: float,
        batch: int = 256,
        seed: int = 0,
        weight_decay: float = 1e-4,
        look_at_3d: bool = True,
        bodies: RealBodySource | None = None,
        critic_rate: float = 1e-4,
        critic: Critic | None = None,
    ) -> None:
        self.model = model
        self.body = body
        self.arrays = {path.stem: np.load(path, mmap_mode="r") for path in sorted(folder.glob("*.npy"))}
        self.validation = validation
        self.weights = weights
        self.batch = batch
        self.seed = seed
        self.look_at_3d = look_at_3d
        self.modules: dict[str, nn.Module] = {"regressor": model.regressor}
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "regressor": torch.optim.AdamW(model.regressor.parameters(), lr=rate, weight_decay=weight_decay, fused=True)
        }
        self.critic: Critic | None = None
        if weights.adversarial > 0:
            if bodies is None:
                raise UserError("A critic needs real bodies to compare with: give a folder with pose_bank.npz.")
            self.critic = Critic() if critic is None else critic
            self.bodies, self.fakes = bodies, model.regressor.iterations
            self.modules["critic"] = self.critic
            self.optimisers["critic"] = torch.optim.Adam(self.critic.parameters(), lr=critic_rate, fused=True)

    def batches(self, first: int, *, process: int, processes: int) -> Iterator[Batch]:
        number = first
        while True:
            rng = np.random.default_rng((self.seed, number, process))
            chosen = np.sort(rng.integers(len(self.arrays["features"]), size=self.batch))
            batch = {name: torch.from_numpy(array[chosen]) for name, array in self.arrays.items()}
            if not self.look_at_3d:
                hide_3d(batch)
            if self.critic is not None:
                rotations, betas = self.bodies(number * processes + process, self.fakes * self.batch)
                batch |= {"real_rotations": torch.from_numpy(rotations), "real_betas": torch.from_numpy(betas)}
            yield batch
            number += 1

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        self.body.to(batch["features"].device)
        outputs = self.modules["regressor"](batch["features"].float())
        losses = body_losses(outputs, batch, self.body, self.weights)
        if self.critic is not None:
            losses |= adversarial_losses(outputs, batch, self.critic, self.weights.adversarial)
        return losses

    def validate(self) -> Findings:
        self.model.eval().to(next(self.model.regressor.parameters()).device)
        return self.validation(self.model, self.body)


def hide_3d(batch: Batch) -> None:
    """Make a batch one of 2D labels alone: flags 0, and NaN where somebody might look all the same."""
    for name in LABELS_3D:
        batch[name] = torch.full_like(batch[name], torch.nan)
    for name in FLAGS_3D:
        if name in batch:
            batch[name] = torch.zeros_like(batch[name])
