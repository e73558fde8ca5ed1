"""In which order training visits the samples of several sources: row n is sample k of source j; nothing is remembered.

Sources take turns by a rotation about the golden ratio, so that every short run of rows holds nearly their exact
shares. The ratio is that of two neighbouring Fibonacci numbers: the turns repeat after 46,368 rows, which makes the
number of earlier visits to a source known for any row. A source of n samples is gone through in passes; each pass is
a permutation drawn from (seed, source, pass) and gives every sample once, over all processes and workers that share
the rows among them. Samples that stand together, such as the views of one moment, stay together in a pass.
"""

from collections.abc import Sequence

import numpy as np

from monobody.errors import UserError

STEP, PERIOD = 28_657, 46_368
"""Neighbouring Fibonacci numbers: their ratio is the golden ratio's 0.618034 to nine digits."""


class Order:
    """Tells which sample a row is.

    Args:
        shares: how often each source is visited, relative to the others; all above 0.
        lengths: how many samples each source has; None for an endless one, whose samples come one after the other.
        seed: names the permutations.
        together: how many neighbouring samples of each source are visited one after the other; 1 each where left out.

    Raises:
        UserError: there is no source, one of them is empty, or one does not consist of such groups.
    """

    def __init__(
        self,
        shares: Sequence[float],
        lengths: Sequence[int | None],
        *,
        seed: int,
        together: Sequence[int] | None = None,
    ) -> None:
        if not shares or 0 in lengths:
            raise UserError("There is nothing to train on: a source of samples is empty. Check the data folder.")
        self.together = [1] * len(lengths) if together is None else list(together)
        for length, group in zip(lengths, self.together, strict=True):
            if length is not None and (group < 1 or length % group):
                raise UserError(
                    f"A source of {length} samples does not consist of groups of {group}: prepare it again."
                )
        self.lengths = list(lengths)
        self.seed = seed
        counts = np.maximum(np.round(np.asarray(shares) / np.sum(shares) * PERIOD).astype(int), 1)
        counts[counts.argmax()] += PERIOD - counts.sum()
        self.counts = counts
        turns = np.arange(PERIOD) * STEP % PERIOD
        self.sources = np.searchsorted(np.cumsum(counts), turns, side="right")
        self.earlier = np.empty(PERIOD, int)
        for source, count in enumerate(counts):
            self.earlier[self.sources == source] = np.arange(count)
        self._passes: dict[int, tuple[int, np.ndarray]] = {}

    def __getitem__(self, row: int) -> tuple[int, int]:
        """Return the number of the source, and which of its samples the row is."""
        round_, turn = divmod(row, PERIOD)
        source = int(self.sources[turn])
        visit = round_ * int(self.counts[source]) + int(self.earlier[turn])
        length = self.lengths[source]
        if length is None:
            return source, visit
        number, place = divmod(visit, length)
        return source, int(self._pass(source, number, length)[place])

    def _pass(self, source: int, number: int, length: int) -> np.ndarray:
        # Rows are asked for in rising order, so the last pass of each source is all that is worth keeping.
        kept = self._passes.get(source)
        if kept is None or kept[0] != number:
            group = self.together[source]
            groups = np.random.default_rng((self.seed, source, number)).permutation(length // group)
            kept = number, (groups[:, None] * group + np.arange(group)).ravel()
            self._passes[source] = kept
        return kept[1]
