"""Endless training rows from several sources of samples, the same ones whenever they are asked for.

Row number i is a function of (seed, i) alone: which source it comes from, which sample, how that is moved and coloured.
A loader therefore needs no state to go on after an interruption, and may read rows in any order and any process.
A sample that cannot be used is passed over for another one, which is a function of the row's number too; each row says
how often that happened, and the process that trains counts (`data/faults.py`).
"""

import atexit
import os
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from ctypes import c_bool
from dataclasses import dataclass
from functools import partial
from multiprocessing.sharedctypes import RawValue
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from monobody.data.crop import Crop
from monobody.data.faults import Fault, Samples, Tally, read_sample
from monobody.data.order import Order
from monobody.data.sample import NO_AUGMENT, Augment, Sample, TrainingRow, training_row
from monobody.errors import UserError

ATTEMPTS = 10
"""How many bad samples a row may meet one after the other; then it is a row without picture and labels."""
_NOBODY = Sample(
    image=np.zeros((8, 8, 3), np.uint8),
    crop=Crop((4.0, 4.0), 8.0),
    keypoints_px=np.zeros((19, 2), np.float32),
    visible=np.zeros(19, np.float32),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One source of a mix."""

    samples: Samples
    share: float
    """How often this source is drawn, relative to the others."""
    augment: Augment
    """How its samples are moved and coloured."""


class MixedRow(TrainingRow):
    """A row of a mix."""

    skipped: np.float32
    """How many bad samples were passed over for it."""


class Mix(Dataset[MixedRow]):
    """Draw rows from several sources in fixed proportion.

    Every short run of rows, and every batch, holds nearly exact shares of the sources; a source of finite length is
    gone through in passes that give each sample once (`data/order.py`).
    """

    def __init__(
        self, parts: Sequence[Part], *, size: int, seed: int, shape_space: str = "monobody", masks: bool = False
    ) -> None:
        self.parts = [part for part in parts if part.share > 0]
        lengths = [len(part.samples) if isinstance(part.samples, Sized) else None for part in self.parts]
        together = [getattr(part.samples, "together", 1) for part in self.parts]
        self.order = Order([part.share for part in self.parts], lengths, seed=seed, together=together)
        self.size = size
        self.seed = seed
        self.shape_space = shape_space
        self.masks = masks

    def __getitem__(self, number: int) -> MixedRow:
        for attempt in range(ATTEMPTS):
            sample, rng, augment = self._drawn(number, attempt)
            if isinstance(sample, Sample):
                break
        else:
            sample, rng, augment, attempt = _NOBODY, np.random.default_rng(0), NO_AUGMENT, ATTEMPTS
        row = training_row(sample, rng, self.size, augment, shape_space=self.shape_space, masks=self.masks)
        return MixedRow(**row, skipped=np.float32(attempt))

    def faults(self, number: int) -> Iterator[Fault]:
        """Yield the bad samples that are passed over for a row."""
        for attempt in range(ATTEMPTS):
            sample, _, _ = self._drawn(number, attempt)
            if not isinstance(sample, Fault):
                return
            yield sample

    def _drawn(self, number: int, attempt: int) -> tuple[Sample | Fault, np.random.Generator, Augment]:
        """Return the sample of a row, or another one in its place at every further attempt."""
        source, index = self.order[number]
        rng = np.random.default_rng((self.seed, number, attempt) if attempt else (self.seed, number))
        if attempt:
            length = self.order.lengths[source]
            index = int(rng.integers(2**40 if length is None else length))
        return read_sample(self.parts[source].samples, index), rng, self.parts[source].augment


def batches(
    rows: Mix, *, size: int, first: int, process: int = 0, processes: int = 1, workers: int = 0
) -> Iterator[dict[str, Tensor]]:
    """Yield batch `first`, `first + 1`, ... of endless rows, for one of several training processes.

    Batch n of process p holds the rows from (n * processes + p) * size on. With `workers`, rows are made in so many
    processes of one thread each.

    Raises:
        UserError: while it is read: more of the samples are bad than can be accepted, or a loading process was killed.
    """
    numbers = _Numbers(size=size, first=first, process=process, processes=processes)
    over = RawValue(c_bool, False)
    atexit.register(_end, over)
    loader = DataLoader(
        rows,
        batch_sampler=numbers,
        num_workers=workers,
        collate_fn=collate,
        prefetch_factor=3 if workers else None,
        worker_init_fn=partial(_leave_signals, over),
        pin_memory=torch.cuda.is_available(),
    )
    return _counted(iter(loader), numbers, rows, over)


def _counted(
    loaded: Iterator[dict[str, Tensor]], numbers: Iterable[list[int]], rows: Mix, over: Any
) -> Iterator[dict[str, Tensor]]:
    """Yield batches as they come, and refuse to when too many of the samples are bad."""
    tally = Tally()
    try:
        for batch_numbers in numbers:
            with loaders_watched():
                batch = next(loaded)
            skipped = batch["skipped"].tolist()
            faults = (
                fault
                for number, count in zip(batch_numbers, skipped, strict=True)
                if count
                for fault in rows.faults(number)
            )
            tally.add(len(skipped) + int(sum(skipped)), int(sum(skipped)), faults)
            yield batch
    finally:
        _end(over)


@contextmanager
def loaders_watched() -> Iterator[None]:
    """Say in one sentence that a loading process was killed.

    Torch raises that wherever the program is by then, and once more for every worker that ends after it; or else the
    worker's last batch breaks off.
    """
    try:
        yield
    except (RuntimeError, ConnectionError, EOFError) as error:
        if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
            raise
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        raise UserError(
            "A process that loads training data was killed, most likely for want of memory: go on with --resume where "
            "more of it is free."
        ) from error


def collate(rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
    """Stack rows into a batch of tensors."""
    return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}


def fixed_rows(
    samples: Sequence[Sample], size: int, *, shape_space: str = "monobody", masks: bool = False
) -> dict[str, Tensor]:
    """Return all samples, each cut to exactly its own region, as one batch to validate with."""
    rng = np.random.default_rng(0)
    rows = (training_row(each, rng, size, NO_AUGMENT, shape_space=shape_space, masks=masks) for each in samples)
    return collate(list(rows))


def _end(over: Any) -> None:
    """Let loaders go: from now on SIGTERM ends them."""
    over.value = True


def _leave_signals(over: Any, worker: int) -> None:
    """Leave Ctrl-C and SIGTERM, which a terminal or a cluster sends to loaders too, to the process that trains.

    It still needs rows for the step it is in; its loaders end when it does. The SIGTERM that it then sends itself, at
    its very exit at the latest, comes when it has said that no more rows are needed.
    """

    def obey(number: int, frame: FrameType | None) -> None:
        if over.value:
            os._exit(0)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, obey)


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
