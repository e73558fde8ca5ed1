"""Synchronised views: samples of one moment, seen by several cameras, stand together in a set's order.

    people = Moments(samples, [[0, 40, 80, 120], [1, 41, 81, 121], ...])
    people[0], ..., people[3]      # one moment in four cameras

Training keeps what stands together in one run of rows (`data/order.py`), so that a batch is all views of some moments;
which moment a row is of follows from its number. Which frames of a recording are taken is drawn from the recording's
name alone: the same everywhere, whatever else is on disk, and without a file that remembers a draw.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int

from monobody.data.sample import Sample
from monobody.errors import UserError

SEED = 0


class Moments(Sequence[Sample]):
    """Some of a set's samples, moment after moment.

    Args:
        samples: the set.
        moments: the numbers of each moment's samples, one from each camera, of all moments equally many.
        left_out: what was not taken, by reason, besides what the set says.

    Raises:
        UserError: there is no moment.
    """

    def __init__(
        self, samples: Sequence[Sample], moments: Sequence[Sequence[int]], left_out: Mapping[str, int] | None = None
    ) -> None:
        if not moments:
            raise UserError("There is no moment that all cameras saw: check that the set was unpacked whole.")
        self.samples = samples
        self.moments: Int[np.ndarray, "m v"] = np.array(moments, np.int64)
        self.together = self.moments.shape[1]
        """How many samples a moment has."""
        self.left_out = Counter(getattr(samples, "left_out", {})) + Counter(left_out or {})

    def __len__(self) -> int:
        return self.moments.size

    def __getitem__(self, index: int) -> Sample:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.samples[self._origin(index)]

    def name(self, index: int) -> str:
        """Return what the set calls a sample."""
        named = getattr(self.samples, "name", None)
        origin = self._origin(index)
        return f"{origin:08d}" if named is None else str(named(origin))

    def _origin(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        return int(self.moments.ravel()[index])


def drawn_frames(recording: str, frames: Sequence[int], count: int) -> list[int]:
    """Return `count` of a recording's frames in rising order (all where there are fewer), always the same ones."""
    digest = hashlib.sha256(recording.encode()).digest()
    rng = np.random.default_rng([SEED, *np.frombuffer(digest[:16], "<u4").tolist()])
    ordered = sorted(frames)
    return [ordered[i] for i in sorted(rng.permutation(len(ordered))[:count].tolist())]
