"""Clothing Co-Parsing (Yang, Luo & Lin, CVPR 2014; Apache-2.0): fashion photos of one standing person, and their masks.

    clothing_coparsing/
      images/0001.jpg ...
      masks/0001.png ...    1 where the person is, made from the pixel labels without bags and other accessories

There are no joints. The masks serve to judge silhouettes; 100 photos are kept from training:
`assets/clothing_coparsing_validation.txt`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from monobody.errors import UserError

VALIDATION_LIST = Path(__file__).parents[2] / "assets" / "clothing_coparsing_validation.txt"


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskedPhoto:
    """A photo and the silhouette of the person in it."""

    image: UInt8[np.ndarray, "h w 3"]
    mask: UInt8[np.ndarray, "h w"]
    """255 where the person is, 0 elsewhere."""

    def box_px(self) -> Float[np.ndarray, "4"]:
        """Return x0, y0, x1, y1 of the silhouette."""
        rows, columns = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)


def photo_names(folder: str | Path, split: Literal["train", "validation", "all"] = "all") -> list[str]:
    """Return the names of a split's photos, sorted.

    Raises:
        UserError: the folder holds no photos.
    """
    names = sorted(path.stem for path in (Path(folder) / "images").glob("*.jpg"))
    if not names:
        raise UserError(f"{folder} is not Clothing Co-Parsing: it has no images/*.jpg.")
    held_out = set(VALIDATION_LIST.read_text().split())
    return [name for name in names if split == "all" or (name in held_out) == (split == "validation")]


def read_photo(folder: str | Path, name: str) -> MaskedPhoto:
    """Return one photo with its mask."""
    from PIL import Image

    folder = Path(folder)
    with Image.open(folder / "images" / f"{name}.jpg") as image, Image.open(folder / "masks" / f"{name}.png") as mask:
        return MaskedPhoto(
            image=np.asarray(image.convert("RGB")),
            mask=np.asarray(mask.convert("1")).astype(np.uint8) * 255,
        )
