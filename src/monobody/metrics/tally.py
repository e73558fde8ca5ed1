"""What was measured of each sample of a data set, from any number of processes, and exact sums of it.

Samplers that share a set over processes repeat some samples to give everybody equally many. A tally keeps values by
the number of the sample in its set, counts every sample once, knows which are missing, and adds up with a single
rounding at the end: the result has the same bits however the samples were ordered, batched and shared.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor, distributed

from monobody.errors import UserError


class Tally:
    """Values of samples 0 ... ``samples`` - 1 of a data set, as they come."""

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self._parts: list[tuple[np.ndarray, dict[str, np.ndarray]]] = []

    def add(self, index: Sequence[int] | np.ndarray | Tensor, **values: np.ndarray | Tensor) -> None:
        """Note the values of some samples: each an array (n, ...) beside the n numbers of the samples in their set.

        Add measures rather than decisions that hang on a threshold: a repeated sample may differ in its last bits, and
        what falls on the other side then is refused. Decisions can be taken of :attr:`Total.values`.

        Raises:
            UserError: a number is outside of the set, a value has another length than the numbers, or other names than
                before.
        """
        numbers = np.asarray(_numpy(index), dtype=np.int64).reshape(-1)
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < self.samples:
            wrong = numbers[(numbers < 0) | (numbers >= self.samples)][0]
            raise UserError(f"There is no sample {wrong}: the set has samples 0 to {self.samples - 1}.")
        arrays = {name: _numpy(given) for name, given in values.items()}
        for name, array in arrays.items():
            if array.ndim == 0 or len(array) != len(numbers):
                raise UserError(f"{name} has the shape {array.shape}, but {len(numbers)} samples were named.")
        if self._parts and self._parts[0][1].keys() != arrays.keys():
            raise UserError(f"Every sample needs the same values: {_names(self._parts[0][1])}, not {_names(arrays)}.")
        self._parts.append((numbers, arrays))

    def total(self) -> "Total":
        """Return every sample once, from all processes where several have met (then all have to call this).

        Raises:
            UserError: a sample came twice with different values, or processes measured different things.
        """
        parts = self._parts
        if distributed.is_available() and distributed.is_initialized():
            everybody: list = [None] * distributed.get_world_size()
            distributed.all_gather_object(everybody, (self.samples, self._parts))
            if len({samples for samples, _ in everybody}) > 1:
                raise UserError("The processes evaluate sets of different sizes.")
            parts = [part for _, theirs in everybody for part in theirs]
        return _merged(self.samples, parts)


@dataclass(frozen=True, slots=True)
class Total:
    """The values of every sample that was measured, each once, in the order of the data set."""

    samples: int
    """How many the set has."""
    index: np.ndarray
    """The numbers of those measured, ascending."""
    values: Mapping[str, np.ndarray]

    def sum(self, name: str) -> np.ndarray:
        """Return the sum over all samples, rounded once; of whole numbers exactly. NaN where any value is NaN."""
        return exact_sum(self.values[name])

    def mean(self, name: str) -> np.ndarray:
        """Return the mean over all samples; NaN where any value is NaN, or there are no samples."""
        return np.asarray(self.sum(name) / len(self.index) if len(self.index) else np.nan)

    @property
    def missing(self) -> np.ndarray:
        """The numbers of the samples that were not measured."""
        return np.setdiff1d(np.arange(self.samples), self.index)

    def whole(self) -> "Total":
        """Return this total if every sample of the set is in it.

        Raises:
            UserError: some are missing.
        """
        if len(self.missing):
            some = ", ".join(map(str, self.missing[:5])) + (", ..." if len(self.missing) > 5 else "")
            raise UserError(f"Only {len(self.index)} of {self.samples} samples were measured; missing: {some}.")
        return self


def exact_sum(values: np.ndarray | Tensor) -> np.ndarray:
    """Return the sum over the first axis, rounded once, so that the order of the terms does not show."""
    terms = _numpy(values)
    if terms.dtype.kind in "biu":
        return terms.sum(0, dtype=np.int64)
    sums = np.zeros(terms.shape[1:])
    for place in np.ndindex(sums.shape):
        sums[place] = _fsum(terms[(slice(None), *place)].astype(np.float64))
    return sums


def _fsum(terms: np.ndarray) -> float:
    # fsum refuses to add infinities of both signs.
    both = np.isposinf(terms).any() and np.isneginf(terms).any()
    return math.nan if both else math.fsum(terms.tolist())


def _merged(samples: int, parts: list[tuple[np.ndarray, dict[str, np.ndarray]]]) -> Total:
    if not parts:
        return Total(samples, np.zeros(0, np.int64), {})
    names = parts[0][1].keys()
    if any(values.keys() != names for _, values in parts):
        raise UserError("The processes measured different things of their samples.")
    numbers = np.concatenate([index for index, _ in parts])
    order = np.argsort(numbers, kind="stable")
    index, first = np.unique(numbers[order], return_index=True)
    ends = np.append(first[1:], len(order))
    values = {name: np.concatenate([values[name] for _, values in parts])[order] for name in names}
    rows = first.copy()
    for place in np.flatnonzero(ends - first > 1):
        rows[place] = _chosen(int(index[place]), range(first[place], ends[place]), values)
    return Total(samples, index, {name: array[rows] for name, array in values.items()})


def _chosen(sample: int, rows: range, values: dict[str, np.ndarray]) -> int:
    """Return the row to keep of a sample that came several times: the smallest one, whoever brought it."""
    for name, array in values.items():
        if array.dtype.kind == "f" and not np.allclose(array[rows], array[rows[0]], 1e-3, 1e-3, equal_nan=True):
            raise UserError(f"Sample {sample} was measured twice, and {name} is not the same: is the numbering wrong?")
    return min(rows, key=lambda row: [np.nan_to_num(array[row]).ravel().tolist() for array in values.values()])


def _numpy(given: Sequence[int] | np.ndarray | Tensor) -> np.ndarray:
    return given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)


def _names(values: Mapping[str, np.ndarray]) -> str:
    return ", ".join(values)
