"""The people of a test set as a protocol wants them seen: fewer of them, or in another crop than the reader's."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from monobody.data.crop import Crop
from monobody.data.sample import Sample
from monobody.evaluate.protocol import EvaluationSet

CropRule = Callable[[int, Sample], Crop]
"""Gives the crop of a person by its number and sample."""


class Chosen(Sequence[Sample]):
    """Some of a set's samples, read when asked for, each in the crop that the protocol states.

    Args:
        samples: the data set's.
        numbers: which of them, in which order; all where left out.
        crop: the rule of the crop; the reader's regions where left out.
    """

    def __init__(
        self, samples: Sequence[Sample], numbers: Sequence[int] | None = None, *, crop: CropRule | None = None
    ) -> None:
        self.samples = samples
        self.numbers = range(len(samples)) if numbers is None else numbers
        self.crop = crop

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Sample:  # pyright: ignore[reportIncompatibleMethodOverride]
        number = self.numbers[index]
        sample = self.samples[number]
        return sample if self.crop is None else replace(sample, crop=self.crop(number, sample))


def first(people: EvaluationSet, count: int) -> EvaluationSet:
    """Return the first people of a set."""
    return replace(
        people,
        samples=Chosen(people.samples, range(count)),
        names=people.names[:count],
        truth={name: np.asarray(array)[:count] for name, array in people.truth.items()},
        groups={name: labels[:count] for name, labels in people.groups.items()},
        boxes_px=None if people.boxes_px is None else people.boxes_px[:count],
    )
