"""The regressor alone in training, on features of a frozen encoder that were computed once.

An encoder that knows people already (BlazePose) need not be run again for every step of a regressor that knows nothing
yet: its features of some thousand augmented crops are kept on disk in half precision, and a step on them costs a
hundredth. What the regressor learns so, within minutes, is where training end to end begins.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from monobody.body.kinematics import JointBody
from monobody.errors import UserError
from monobody.models.hmr import HMR
from monobody.train.hmr_task import BatchStream, LossWeights, Validation, as_input, body_losses
from monobody.train.task import Batch, Findings


def cache_features(
    model: HMR,
    stream: BatchStream,
    folder: Path,
    *,
    batches: int,
    report: Callable[[int], None] = lambda done: None,
) -> None:
    """Run a frozen encoder over the first batches of a stream and keep features and labels in a folder.

    A folder that is there is complete, and is left as it is.
    """
    if folder.is_dir():
        return
    model.eval()
    kept: dict[str, list[np.ndarray]] = {}
    source = stream(0, 0, 1)
    with torch.no_grad():
        for number in range(batches):
            batch = next(source)
            features = model.encoder(as_input(batch.pop("images")))
            for name, value in {"features": features.half(), **batch}.items():
                kept.setdefault(name, []).append(value.numpy())
            report(number + 1)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for name, values in kept.items():
            np.save(partial / f"{name}.npy", np.concatenate(values))
        partial.replace(folder)
    except OSError as error:
        raise UserError(f"Cannot keep features in {folder}: {error.strerror or error}. Free some space.") from error


class FeatureTask:
    """Train a model's regressor on cached features; the model's encoder is only used to validate."""

    def __init__(
        self,
        model: HMR,
        body: JointBody,
        folder: Path,
        validation: Validation,
        *,
        weights: LossWeights,
        rate: float,
        batch: int = 256,
        seed: int = 0,
        weight_decay: float = 1e-4,
    ) -> None:
        self.model = model
        self.body = body
        self.arrays = {path.stem: np.load(path, mmap_mode="r") for path in sorted(folder.glob("*.npy"))}
        self.validation = validation
        self.weights = weights
        self.batch = batch
        self.seed = seed
        self.modules: dict[str, nn.Module] = {"regressor": model.regressor}
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "regressor": torch.optim.AdamW(model.regressor.parameters(), lr=rate, weight_decay=weight_decay, fused=True)
        }

    def batches(self, first: int, *, process: int, processes: int) -> Iterator[Batch]:
        number = first
        while True:
            rng = np.random.default_rng((self.seed, number, process))
            chosen = np.sort(rng.integers(len(self.arrays["features"]), size=self.batch))
            yield {name: torch.from_numpy(array[chosen]) for name, array in self.arrays.items()}
            number += 1

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        self.body.to(batch["features"].device)
        outputs = self.modules["regressor"](batch["features"].float())
        return body_losses(outputs, batch, self.body, self.weights)

    def validate(self) -> Findings:
        self.model.eval().to(next(self.model.regressor.parameters()).device)
        return self.validation(self.model, self.body)
