"""Clothing Co-Parsing (Yang, Luo & Lin, CVPR 2014; Apache-2.0): fashion photos of one standing person, and their masks.

    clothing_coparsing/
      images/0001.jpg ...
      masks/0001.png ...    1 where the person is, made from the pixel labels without bags and other accessories

There are no joints. The masks serve to judge silhouettes, and as supervision; 100 photos are kept from training:
`assets/clothing_coparsing_validation.txt`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from monobody.data.crop import Crop
from monobody.data.masked import MaskedPhotos
from monobody.data.region import region_from_mask_box
from monobody.errors import UserError

LICENCE = "Apache-2.0."
GET_IT = "https://github.com/bearpaw/clothing-co-parsing; photos/ as images/, and masks made of the pixel annotations"
EXPECTED = {"train": 0, "validation": 0, "all": 0}
"""The set has 1,004 photos with pixel labels; how many of them somebody has made masks of is theirs to know."""
Split = Literal["train", "validation", "all"]
VALIDATION_LIST = Path(__file__).parents[2] / "assets" / "clothing_coparsing_validation.txt"


def samples(
    root: str | Path,
    split: Split = "train",
    *,
    crop: Callable[[Float[np.ndarray, "4"]], Crop] = region_from_mask_box,
) -> MaskedPhotos:
    """Return the people of a split; `crop` places the region of interest on the box of a mask.

    Raises:
        UserError: the folder holds no photos.
    """
    root, names = Path(root), photo_names(root, split)
    return MaskedPhotos(
        [root / "images" / f"{name}.jpg" for name in names],
        [root / "masks" / f"{name}.png" for name in names],
        names=names,
        crop=crop,
        whole=True,
    )


def check(root: str | Path, split: Split | None = None) -> list[str]:
    """Return what is missing below a folder, in words."""
    root = Path(root)
    try:
        names = photo_names(root, split or "all")
    except UserError as error:
        return [str(error)]
    bare = [name for name in names if not (root / "masks" / f"{name}.png").is_file()]
    return [f"{len(bare)} of {len(names)} photos have no mask ({', '.join(bare[:3])} ...)."] if bare else []


def photo_names(folder: str | Path, split: Split = "all") -> list[str]:
    """Return the names of a split's photos, sorted.

    Raises:
        UserError: the folder holds no photos.
    """
    names = sorted(path.stem for path in (Path(folder) / "images").glob("*.jpg"))
    if not names:
        raise UserError(f"{folder} is not Clothing Co-Parsing: it has no images/*.jpg.")
    held_out = set(VALIDATION_LIST.read_text().split())
    return [name for name in names if split == "all" or (name in held_out) == (split == "validation")]
