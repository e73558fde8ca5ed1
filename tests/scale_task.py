"""A small HMR network with its critic, in training: run by torchrun on half a batch a process, or alone on a whole one.

python scale_task.py OUT ROWS STEPS SLOW_S
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.models.hmr import HMR, IterativeRegressor
from monobody.train.engine import fit
from monobody.train.hmr_task import HMRTask, LossWeights
from monobody.train.plan import Plan
from monobody.train.task import Batch, Findings

SIZE = 16
PLAN = Plan(
    steps=6, warmup_steps=2, log_every=2, clip_norm=1.0, checkpoint_minutes=None, checkpoint_steps=2, device="cpu"
)


class Still(HMR):
    """A network whose batch norms and dropout stay as in evaluation: what they do depends on the rows of a process."""

    def train(self, mode: bool = True) -> "Still":
        return super().train(False)


def row(number: int) -> dict[str, torch.Tensor]:
    """Return the row of that number; labels are rare in some stretches and dense in others."""
    g = torch.Generator().manual_seed(number)
    dense = 0.95 if number // 3 % 2 else 0.3
    return {
        "images": torch.randint(0, 256, (3, SIZE, SIZE), generator=g, dtype=torch.uint8),
        "keypoints_2d": torch.rand(19, 2, generator=g) * 2 - 1,
        "visible": (torch.rand(19, generator=g) < dense).float(),
        "joints_3d": torch.randn(14, 3, generator=g),
        "has_joints_3d": (torch.rand((), generator=g) < dense).float(),
        "rotations": torch.linalg.qr(torch.randn(24, 3, 3, generator=g)).Q,
        "betas": torch.randn(10, generator=g),
        "has_body": (torch.rand((), generator=g) < dense).float(),
        "has_betas": (torch.rand((), generator=g) < dense).float(),
    }


def stream(size: int, slow_s: float):
    """Return batches of `size` rows: batch n of process p of P begins with row (n P + p) size."""

    def endless(first: int, process: int, processes: int) -> Iterator[Batch]:
        number = first
        while True:
            time.sleep(slow_s)
            start = (number * processes + process) * size
            rows = [row(index) for index in range(start, start + size)]
            yield {name: torch.stack([each[name] for each in rows]) for name in rows[0]}
            number += 1

    return endless


def bodies(number: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the real bodies from `number * count` on, each the same whoever asks."""
    rngs = [np.random.default_rng(index) for index in range(number * count, (number + 1) * count)]
    rotations = np.stack([np.linalg.qr(rng.normal(size=(23, 3, 3)))[0] for rng in rngs])
    return rotations.astype(np.float32), np.stack([rng.normal(size=10) for rng in rngs]).astype(np.float32)


def task_of(size: int, slow_s: float = 0.0) -> HMRTask:
    """Return the task with batches of `size` rows."""
    torch.manual_seed(3)
    encoder = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
    )
    encoder.append(nn.Linear(32, 16))
    model = Still("still", encoder, IterativeRegressor(16, hidden=32), input_size=SIZE)
    # A head that nothing looks at, as BlazePose's trunk has them.
    model.encoder.register_parameter("unused", nn.Parameter(torch.ones(3)))
    task = HMRTask(
        model,
        JointBody.from_body(Body.load(), ("cocoplus19",)),
        stream(size, slow_s),
        lambda model, body: Findings(numbers={"weights": float(sum(p.double().sum() for p in model.parameters()))}),  # pyright: ignore
        weights=LossWeights(earlier=0.3, adversarial=1.0),
        regressor_rate=1e-3,
        encoder_rate=1e-3,
        bodies=bodies,
    )
    # Adam divides gradients by their size: what is nearly zero, and so mere rounding, would make whole steps.
    for name in task.optimisers:
        parameters = [parameter for parameter in task.modules[name].parameters() if parameter.requires_grad]
        task.optimisers[name] = torch.optim.SGD(parameters, lr=0.05, momentum=0.9)
    return task


if __name__ == "__main__":
    from dataclasses import replace

    out, rows, steps, slow = sys.argv[1:]
    torch.set_num_threads(1)
    fit(task_of(int(rows), float(slow)), replace(PLAN, steps=int(steps)), Path(out), resume=True)
