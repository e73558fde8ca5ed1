"""MPII's validation people as 2D pose estimation shares them, in one JSON, and masks that a segmenter made.

    annot/mpii_valid.json (or mpii_val.json, valid.json)    a list of people: image, joints (16 x 2, from 1),
                                                            joints_vis (16), center, scale
    images/015601864.jpg ...
    sam_masks/mpii_val/015601864.jpg ...                    beside the data set's folder, or in it

A mask is a picture's. It is taken for somebody's when most of their joints lie on it, so that of several people in a
picture only the one who was cut out has one. The person's largest connected piece is kept.
"""

import json
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from monobody.body.skeleton import correspondence
from monobody.data.clicked import ClickedPhotos
from monobody.data.mask import one_person, read_mask
from monobody.errors import UserError

NAMES = ("mpii_valid.json", "mpii_val.json", "valid.json", "val.json")
LEAST_ON_MASK = 0.7
"""The share of somebody's visible joints that lie on their mask."""


def valid_people(root: Path) -> ClickedPhotos:
    """Return the people of the validation list, with masks where there are any.

    Raises:
        UserError: the list is missing or damaged.
    """
    path = annotations(root)
    if path is None:
        raise UserError(f"{root} holds no annot/{NAMES[0]}: take it from any of MPII's 2D pose code bases.")
    try:
        people = json.loads(path.read_text())
        files = [f"images/{person['image']}" for person in people]
        joints = np.array([person["joints"] for person in people], np.float64).reshape(-1, 16, 2)
        flags = np.array([person["joints_vis"] for person in people], np.float64).reshape(-1, 16) > 0
    except Exception as error:  # Somebody's own JSON may be nearly anything.
        raise UserError(f"{path} holds no list of MPII's people ({error!r}): download it again.") from error
    source = np.array(correspondence("mpii16", "cocoplus19"))
    known = source >= 0
    places, visible = joints[:, np.maximum(source, 0)] - 0.5, flags[:, np.maximum(source, 0)] & known
    home = masks_home(root)
    names = [f"{Path(file).stem}_{number}" for number, file in enumerate(files)]
    return ClickedPhotos(
        root,
        files,
        places,
        visible.astype(np.float64),
        names=names,
        mask=None if home is None else partial(_mask, home, files, places, visible),
    )


def annotations(root: Path) -> Path | None:
    """Return the list's file, None where there is none."""
    places = [root / folder / name for folder in ("annot", "annotations", ".") for name in NAMES]
    return next((place for place in places if place.is_file()), None)


def masks_home(root: Path) -> Path | None:
    """Return the folder of masks, None where there is none."""
    places = [base / "sam_masks" / "mpii_val" for base in (root, root.parent)]
    return next((place for place in places if place.is_dir()), None)


def _mask(
    home: Path,
    files: list[str],
    places: Float[np.ndarray, "n 19 2"],
    visible: np.ndarray,
    index: int,
    height: int,
    width: int,
) -> UInt8[np.ndarray, "h w"] | None:
    stem = Path(files[index]).stem
    path = next((home / f"{stem}{suffix}" for suffix in (".jpg", ".png") if (home / f"{stem}{suffix}").is_file()), None)
    if path is None:
        return None
    mask = one_person(read_mask(path, path, height=height, width=width))
    x, y = places[index][visible[index]].astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    on_mask = np.zeros(len(x), bool)
    on_mask[inside] = mask[y[inside], x[inside]] > 0
    return mask if len(x) and on_mask.mean() >= LEAST_ON_MASK else None
