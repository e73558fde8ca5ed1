"""What a method has to offer to be trained: the one loop of `train/engine.py` knows nothing else about it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

Batch = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What a validation found."""

    numbers: Mapping[str, float]
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Pictures to look at, (height, width, 3) uint8."""
    headline: str | None = None
    """Which of the numbers decides whether this is the best model so far; smaller is better."""


class Task(Protocol):
    """A method in training: modules, their optimisers, an endless stream of batches, and what to minimise."""

    modules: dict[str, nn.Module]
    """The modules that learn; what `losses` does with them is up to the task (see `train/step.py`)."""
    optimisers: dict[str, torch.optim.Optimizer]
    """Each with the learning rates it should have at the height of the schedule."""

    def batches(self, first: int, *, process: int, processes: int) -> Iterator[Batch]:
        """Yield batch number `first`, `first + 1`, ... of one of the processes.

        The content of a batch depends on the task's seed, its number and the process alone: this is what makes an
        interrupted run continue exactly as if it had not been.
        """
        ...

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the weighted terms whose sum is minimised: always the same ones, on every process alike.

        Gradients are averaged over processes. A mean over what has a label so has to be divided by the count of labels
        in the batches of all processes, as `monobody.losses` does.
        """
        ...

    def validate(self) -> Findings:
        """Measure the modules as they are; called in evaluation mode, with averaged weights, on one process."""
        ...
