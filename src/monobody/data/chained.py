"""Data sets that come in parts, clips or tables, as one sequence of samples."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np

from monobody.data.sample import Sample


class Chained(Sequence[Sample]):
    """Samples numbered through all parts; a subclass says what the sample at a place of a part is.

    Args:
        lengths: how many samples each part has.
    """

    def __init__(self, lengths: Iterable[int]) -> None:
        self._ends = np.cumsum(list(lengths), dtype=np.int64)

    @abstractmethod
    def sample(self, part: int, place: int) -> Sample:
        """Return a sample by the number of its part and its place there."""

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self.sample(*self.find(index))

    def find(self, index: int) -> tuple[int, int]:
        """Return the number of a sample's part, and its place there.

        Raises:
            IndexError: there is no such sample.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        index %= len(self)
        part = int(np.searchsorted(self._ends, index, side="right"))
        return part, index - (int(self._ends[part - 1]) if part else 0)
