"""Masks of people for a fit: a picture that is white where the person is, or a folder with one for each photo."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from monobody.data.mask import as_mask, box_of, fault_of_mask
from monobody.errors import UserError
from monobody.image import read_image
from monobody.predict.batch import PICTURE_SUFFIXES


class Masks:
    """The masks that belong to photos.

    Raises:
        UserError: one mask is given for several photos.
    """

    def __init__(self, path: Path | None, photos: Sequence[Path]) -> None:
        self.path = path
        if path is not None and not path.is_dir() and len(photos) > 1:
            raise UserError(f"{path} is one mask for {len(photos)} photos: give one photo, or a folder of masks.")

    def of(self, photo: Path) -> UInt8[np.ndarray, "h w"] | None:
        """Return a photo's mask, upright, 0 to 255; None where no masks were given.

        Raises:
            UserError: the folder has none for this photo, or it cannot be read.
        """
        if self.path is None:
            return None
        file = self.path
        if file.is_dir():
            found = [each for each in sorted(file.iterdir()) if each.stem == photo.stem]
            found = [each for each in found if each.suffix.lower() in PICTURE_SUFFIXES]
            if not found:
                raise UserError(
                    f"The folder {file} has no mask for {photo.name}: it should be called {photo.stem}.png."
                )
            file = found[0]
        # Labels such as 0 and 1 would be taken for black.
        grey = read_image(file).rgb.max(axis=2)
        if grey.max() <= 127:
            raise UserError(f"The mask {file} is black: it must be white (above 127 of 255) where the person is.")
        return grey


def box_in_mask(mask: Any, width_px: int, height_px: int) -> tuple[float, float, float, float]:
    """Return the box about what a mask covers: x0, y0, x1, y1 in pixels.

    Args:
        mask: of any kind that `data.mask.as_mask` knows.
        width_px: of the picture.
        height_px: of the picture.

    Raises:
        UserError: the mask has another size, or covers nothing, next to nothing, or everything.
    """
    inside = as_mask(mask, height=height_px, width=width_px)
    fault = fault_of_mask(inside, "The mask")
    if fault is not None:
        raise UserError(f"{fault}: it must be white where the person is, and black elsewhere.")
    x0, y0, x1, y1 = box_of(inside).tolist()
    return x0, y0, x1, y1
