"""Photos whose regions of interest are where the detector found the person, not where clicked joints would put them.

A network should be trained on the regions that it will be given. The detector is run once over a data set by
`scripts/locate_people.py`; where what it found cannot be the clicked person, the region of the joints stays.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from monobody.data.crop import Crop
from monobody.data.sample import Sample
from monobody.errors import UserError

LARGEST_SHIFT = 0.25
"""Farthest that the two regions' centres may be apart, in sizes of the joints' region."""
LARGEST_RATIO = 1.6
"""Largest ratio of their sizes, either way."""
LARGEST_TURN_RAD = math.radians(60)
"""Largest angle between their axes."""


class Located(Sequence[Sample]):
    """A data set's samples, each with the detector's region where that agrees with its joints.

    Args:
        samples: the data set.
        names: the name of each sample.
        regions: npz file with `names`, and for each `centre_px`, `size_px`, `angle_rad`; NaN where nobody was found.

    Raises:
        UserError: the file cannot be read.
    """

    def __init__(self, samples: Sequence[Sample], names: Sequence[str], regions: str | Path) -> None:
        self.samples = samples
        try:
            with np.load(regions, allow_pickle=False) as file:
                found = zip(file["names"].tolist(), file["centre_px"], file["size_px"], file["angle_rad"], strict=True)
                table = {name: (centre, size, angle) for name, centre, size, angle in found}
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"{regions} holds no regions: {error}. Make it with scripts/locate_people.py.") from error
        self.crops = [_crop(*table[name]) if name in table else None for name in names]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:  # pyright: ignore[reportIncompatibleMethodOverride]
        sample, crop = self.samples[index], self.crops[index]
        return replace(sample, crop=crop) if crop is not None and agrees(crop, sample.crop) else sample


def agrees(found: Crop, true: Crop) -> bool:
    """Tell whether two regions are about the same person in the same posture."""
    shift = math.dist(found.centre_px, true.centre_px) / true.size_px
    ratio = max(found.size_px / true.size_px, true.size_px / found.size_px)
    turn = abs(math.remainder(found.angle_rad - true.angle_rad, 2 * math.pi))
    return shift <= LARGEST_SHIFT and ratio <= LARGEST_RATIO and turn <= LARGEST_TURN_RAD


def _crop(centre: np.ndarray, size: float, angle: float) -> Crop | None:
    if not (np.isfinite(centre).all() and np.isfinite(size) and np.isfinite(angle)):
        return None
    return Crop((float(centre[0]), float(centre[1])), float(size), float(angle))
