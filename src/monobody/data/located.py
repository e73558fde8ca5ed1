"""Photos whose regions of interest are where the detector found the person, not where clicked joints would put them.

A network should be trained on the regions that it will be given. The detector is run once over a data set by
`scripts/locate_people.py`; where what it read contradicts the clicked joints, the region of the joints stays.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from monobody.data.crop import Crop
from monobody.data.sample import Sample
from monobody.errors import UserError


class Located(Sequence[Sample]):
    """A data set's samples, each with the detector's region where that agrees with its joints.

    Args:
        samples: the data set.
        names: the name of each sample.
        regions: what `scripts/locate_people.py` wrote.

    Raises:
        UserError: the file cannot be read.
    """

    def __init__(self, samples: Sequence[Sample], names: Sequence[str], regions: str | Path) -> None:
        self.samples = samples
        try:
            with np.load(regions, allow_pickle=False) as file:
                agrees = file["agrees"]
                known = zip(
                    *(file[name][agrees].tolist() for name in ("names", "centre_px", "size_px", "angle_rad")),
                    strict=True,
                )
                crops = {name: Crop((x, y), size, angle) for name, (x, y), size, angle in known}
        except Exception as error:  # Archives of damaged bytes raise nearly anything.
            raise UserError(f"{regions} holds no regions: {error}. Make it with scripts/locate_people.py.") from error
        self.crops = [crops.get(name) for name in names]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:  # pyright: ignore[reportIncompatibleMethodOverride]
        sample, crop = self.samples[index], self.crops[index]
        return sample if crop is None else replace(sample, crop=crop)
