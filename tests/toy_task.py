"""A task small enough to train in a test: fit a noisy linear map with dropout. Also run as a program to be killed."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from monobody.train.engine import fit
from monobody.train.plan import Plan
from monobody.train.task import Batch, Findings


class ToyTask:
    """Regress y = A x; the batches depend on their number alone."""

    def __init__(self, *, slow_s: float = 0.0) -> None:
        torch.manual_seed(7)
        self.truth = torch.randn(4, 6)
        model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 4))
        self.modules: dict[str, nn.Module] = {"model": model}
        self.optimisers: dict[str, torch.optim.Optimizer] = {"model": torch.optim.AdamW(model.parameters(), lr=3e-2)}
        self.slow_s = slow_s
        self.drawn: list[int] = []

    def batches(self, first: int, *, process: int, processes: int) -> Iterator[Batch]:
        number = first
        while True:
            time.sleep(self.slow_s)
            self.drawn.append(number)
            generator = torch.Generator().manual_seed(1000 * number + process)
            x = torch.randn(32, 6, generator=generator)
            yield {"x": x, "y": x @ self.truth.T}
            number += 1

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        error = self.modules["model"](batch["x"]) - batch["y"]
        return {"square": error.square().mean(), "absolute": 0.1 * error.abs().mean()}

    @torch.no_grad()
    def validate(self) -> Findings:
        assert not self.modules["model"].training
        x = torch.randn(64, 6, generator=torch.Generator().manual_seed(1))
        error = (self.modules["model"](x) - x @ self.truth.T).square().mean()
        picture = np.full((8, 8, 3), 200, np.uint8)
        return Findings(numbers={"error": float(error)}, pictures={"grey": picture}, headline="error")


if __name__ == "__main__":
    plan = Plan(steps=int(sys.argv[2]), checkpoint_steps=10, checkpoint_minutes=None, log_every=5, device="cpu")
    fit(ToyTask(slow_s=float(sys.argv[3])), plan, Path(sys.argv[1]), resume=True)
