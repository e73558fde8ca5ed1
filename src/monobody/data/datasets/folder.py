"""Your own photos: a folder of pictures and one annotation file in COCO's form, as most labelling tools write it.

    photos/*.jpg ...          anywhere below the folder; `file_name` is relative to it, or to images/
    annotations.json          or any one .json file beside them

Keypoints may be COCO's 17 or any others whose names the file gives (`categories[].keypoints`, in the words of
`body/skeleton.py`: left_wrist, head_top, ...). Without keypoints people need boxes; their region of interest is then
an upright square about the box, and training learns nothing from them but through what is added later.
"""

from pathlib import Path
from typing import Literal

import numpy as np

from monobody.data.clicked import FEWEST_JOINTS, ClickedPhotos
from monobody.data.crop import Crop, square_box_crop
from monobody.data.datasets.coco_json import Person, masks_of, read_coco
from monobody.data.region import region_from_joints
from monobody.errors import UserError

LICENCE = "Whatever yours is; --list cannot know."
GET_IT = "Label keypoints or boxes with any tool that exports COCO's JSON and put the file beside the pictures."
EXPECTED = {"all": 0}
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


def samples(root: str | Path, split: Literal["all"] = "all") -> ClickedPhotos:
    """Return everybody in the annotation file but crowds.

    Raises:
        UserError: there is not exactly one annotation file, or it is of another kind.
    """
    root = Path(root)
    coco = read_coco(_annotations(root))
    places, flags = coco.as_cocoplus19(coco.people)
    crops = [_crop(*each) for each in zip(coco.people, places, flags, strict=True)]
    kept = [number for number, crop in enumerate(crops) if crop is not None]
    people = [coco.people[number] for number in kept]
    crowds = sum(person.crowd for person in coco.people)
    left_out = {"a crowd": crowds, "neither two joints nor a box": len(crops) - len(kept) - crowds}
    return ClickedPhotos(
        root / "images" if _is_below_images(root, people) else root,
        [person.file for person in people],
        places[kept],
        flags[kept] > 0,
        names=[f"{Path(person.file).stem}_{person.number}" for person in people],
        sizes_px=[person.size_px for person in people],
        left_out={reason: number for reason, number in left_out.items() if number},
        mask=masks_of(people),
        crops=[crop for crop in crops if crop is not None],
    )


def check(root: str | Path, split: str | None = None) -> list[str]:
    """Return what is missing below a folder, in words; every split needs the same files."""
    root = Path(root)
    missing = []
    if len(list(root.glob("*.json"))) != 1 and not (root / "annotations.json").is_file():
        missing.append("There is no annotations.json beside the pictures, nor exactly one other .json file.")
    if not any(path.suffix.lower() in _SUFFIXES for path in root.rglob("*")):
        missing.append("There are no pictures.")
    return missing


def _annotations(root: Path) -> Path:
    if (root / "annotations.json").is_file():
        return root / "annotations.json"
    files = sorted(root.glob("*.json"))
    if len(files) != 1:
        raise UserError(f"{root} holds {len(files)} .json files: name the one with the annotations annotations.json.")
    return files[0]


def _is_below_images(root: Path, people: list[Person]) -> bool:
    """Tell whether file names are meant relative to images/."""
    return bool(people) and not (root / people[0].file).is_file() and (root / "images").is_dir()


def _crop(person: Person, places: np.ndarray, flags: np.ndarray) -> Crop | None:
    """Return the region of interest by the joints, else by the box; None for a crowd, or where there is neither."""
    if person.crowd:
        return None
    if (flags[:14] > 0).sum() >= FEWEST_JOINTS:
        return region_from_joints(places[:14], flags[:14] > 0)
    if person.box_px is None or min(person.box_px[2:]) <= 0:
        return None
    x, y, width, height = person.box_px
    return square_box_crop((x, y, x + width, y + height))
