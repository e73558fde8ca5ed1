"""Pictures in files whose names hold the frame's number."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from monobody.image import read_image


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberedFiles:
    """``files[n]`` is the picture with number n, RGB."""

    folder: str
    name: str
    """With one %d of any width; other signs % doubled."""

    def __getitem__(self, number: int) -> UInt8[np.ndarray, "h w 3"]:
        """Return a picture.

        Raises:
            UserError: it is missing or damaged.
        """
        return read_image(f"{self.folder}/{self.name % number}").rgb
