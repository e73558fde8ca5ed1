"""Batches of animals to train on: rendered while training goes on, each picture seen several times.

Batch `n` depends on the seed and `n` alone, so that runs resume and processes share rows out. New pictures enter a
window of the latest ones, of which every batch is drawn: drawing takes longer than a small network's step. Every third
picture comes without its joints and stands for a photo with a mask, always.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from monobody.data.augment import Appearance, degrade
from monobody.data.hypothesis_row import HypothesisRow
from monobody.data.synthetic_animals import AnimalSample, SyntheticAnimals, animal_row

PHOTO_EVERY = 3
"""One of so many pictures has a mask and no joints."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """How often pictures are seen again."""

    fresh: int = 8
    """New pictures in a batch."""
    first: int = 512
    """Pictures of which the first batch is drawn."""
    largest: int = 2000
    """Pictures that are kept."""


def animal_batches(
    animals: SyntheticAnimals,
    batch: int,
    *,
    first: int = 0,
    process: int = 0,
    processes: int = 1,
    appearance: Appearance | None = None,
    window: Window | None = None,
) -> Iterator[dict[str, Tensor]]:
    """Yield batches with the fields of :class:`HypothesisRow`, from number ``first`` on, without an end.

    Args:
        animals: where pictures come from.
        batch: rows of each.
        first: number of the first batch.
        process: of so many ``processes``, each with rows of its own.
        processes: how many.
        appearance: what happens to colours and sharpness; a little of everything where left out.
        window: how often pictures are seen again.
    """
    window, appearance = window or Window(), appearance or Appearance()
    kept: OrderedDict[int, AnimalSample] = OrderedDict()
    number = first
    while True:
        rng = np.random.default_rng([animals.seed, 20, number, process])
        newest = window.first + window.fresh * (number + 1)
        drawn = rng.integers(max(newest - window.largest, 0), newest, batch)
        drawn[: window.fresh] = np.arange(newest - window.fresh, newest)[:batch]
        rows = []
        for index in (int(one) * processes + process for one in drawn[:batch]):
            if index not in kept:
                kept[index] = animals[index]
                if len(kept) > window.largest:
                    kept.popitem(last=False)
            labelled = (index // processes) % PHOTO_EVERY != PHOTO_EVERY - 1
            row = animal_row(kept[index], mirrored=rng.random() < 0.5, labelled=labelled)
            image = degrade(row["images"].transpose(1, 2, 0), rng, appearance)
            row["images"] = np.ascontiguousarray(image.transpose(2, 0, 1))
            rows.append(row)
        yield stacked(rows)
        number += 1


def stacked(rows: list[HypothesisRow]) -> dict[str, Tensor]:
    """Put rows into one batch."""
    names = cast("list[str]", list(rows[0]))
    return {name: torch.from_numpy(np.stack([cast("dict", row)[name] for row in rows])) for name in names}
