"""Endless training rows from several sources of samples, the same ones whenever they are asked for.

Row number i is a function of (seed, i) alone: which source it comes from, which sample, how that is moved and coloured.
A loader therefore needs no state to go on after an interruption, and may read rows in any order and any process.
"""

from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from monobody.data.order import Order
from monobody.data.sample import NO_AUGMENT, Augment, Sample, TrainingRow, training_row


class Samples(Protocol):
    """Samples by number: a data set (which has a length too), or an endless stream such as synthetic people."""

    def __getitem__(self, number: int, /) -> Sample: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One source of a mix."""

    samples: Samples
    share: float
    """How often this source is drawn, relative to the others."""
    augment: Augment
    """How its samples are moved and coloured."""


class Mix(Dataset[TrainingRow]):
    """Draw rows from several sources in fixed proportion.

    Every short run of rows, and every batch, holds nearly exact shares of the sources; a source of finite length is gone
    through in passes that give each sample once (`data/order.py`).
    """

    def __init__(self, parts: Sequence[Part], *, size: int, seed: int, shape_space: str = "monobody") -> None:
        self.parts = [part for part in parts if part.share > 0]
        lengths = [len(part.samples) if isinstance(part.samples, Sized) else None for part in self.parts]
        self.order = Order([part.share for part in self.parts], lengths, seed=seed)
        self.size = size
        self.seed = seed
        self.shape_space = shape_space

    def __getitem__(self, number: int) -> TrainingRow:
        rng = np.random.default_rng((self.seed, number))
        source, index = self.order[number]
        part = self.parts[source]
        return training_row(part.samples[index], rng, self.size, part.augment, shape_space=self.shape_space)


def batches(
    rows: Dataset[TrainingRow], *, size: int, first: int, process: int = 0, processes: int = 1, workers: int = 0
) -> Iterator[dict[str, Tensor]]:
    """Yield batch `first`, `first + 1`, ... of endless rows, for one of several training processes.

    Batch n of process p holds the rows from (n * processes + p) * size on. With `workers`, rows are made in so many
    processes of one thread each.
    """
    loader = DataLoader(
        rows,
        batch_sampler=_Numbers(size=size, first=first, process=process, processes=processes),
        num_workers=workers,
        collate_fn=collate,
        prefetch_factor=3 if workers else None,
        pin_memory=torch.cuda.is_available(),
    )
    return iter(loader)


def collate(rows: Sequence[TrainingRow]) -> dict[str, Tensor]:
    """Stack rows into a batch of tensors."""
    return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}


def fixed_rows(samples: Sequence[Sample], size: int, *, shape_space: str = "monobody") -> dict[str, Tensor]:
    """Return all samples, each cut to exactly its own region, as one batch to validate with."""
    rng = np.random.default_rng(0)
    return collate([training_row(sample, rng, size, NO_AUGMENT, shape_space=shape_space) for sample in samples])


class _Numbers(Sampler[list[int]]):
    """The row numbers of batch after batch, without end."""

    def __init__(self, *, size: int, first: int, process: int, processes: int) -> None:
        self.size, self.first, self.process, self.processes = size, first, process, processes

    def __iter__(self) -> Iterator[list[int]]:
        batch = self.first
        while True:
            start = (batch * self.processes + self.process) * self.size
            yield list(range(start, start + self.size))
            batch += 1
