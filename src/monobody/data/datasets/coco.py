"""COCO keypoints (Lin et al., ECCV 2014): people in photos from Flickr, 17 joints, boxes and masks.

    annotations/person_keypoints_train2014.json      (val2014, train2017, val2017)
    train2014/COCO_train2014_000000000009.jpg ...    or images/train2014/...

Crowds and people without a single joint are left out, as pycocotools does. The splits "hmr" (of train2014) and
"hmr_2017" (of train2017) keep whom HMR kept: at least six joints seen, larger than 60 pixels, and something marked
besides face and shoulders. Hidden but marked joints (v = 1) count as visible, as in HMR. Neck and head top are unknown.
"""

from pathlib import Path
from typing import Literal

import numpy as np

from monobody.data.clicked import ClickedPhotos
from monobody.data.datasets.coco_json import Person, masks_of, read_coco
from monobody.errors import UserError

LICENCE = "Annotations CC BY 4.0 (COCO Consortium); each picture has its own Flickr licence, named in the annotations."
GET_IT = "https://cocodataset.org/#download: the pictures (13 GB for train2014) and annotations_trainval*.zip"
EXPECTED = {"hmr": 79_344, "hmr_2017": 0, "train2014": 0, "val2014": 0, "train2017": 0, "val2017": 0}
"""HMR's own count; 0 where none is known under these rules."""
Split = Literal["hmr", "hmr_2017", "train2014", "val2014", "train2017", "val2017"]
PARTS = ("train2014", "val2014", "train2017", "val2017")
_PICTURES = {"hmr": "train2014", "hmr_2017": "train2017"}
FEWEST_SEEN, SMALLEST_PX = 6, 60.0
_UPPER = {"nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"}


def samples(root: str | Path, split: Split = "hmr", *, masks: bool = True) -> ClickedPhotos:
    """Return the people of a split, with their masks unless these are not wanted.

    Raises:
        UserError: the split's annotations are missing or of another kind.
    """
    root, pictures = Path(root), _PICTURES.get(split, split)
    path = _annotations(root, pictures)
    if not path.is_file():
        raise UserError(" ".join([f"{path} is missing.", *_instead(root, pictures), GET_IT]))
    coco = read_coco(path)
    left_out: dict[str, int] = {}
    kept = []
    for person in coco.people:
        reason = why_not(person, coco.joints, as_hmr=split in _PICTURES)
        if reason is None:
            kept.append(person)
        else:
            left_out[reason] = left_out.get(reason, 0) + 1
    places, flags = coco.as_cocoplus19(kept)
    folder = _folder(root, pictures)
    return ClickedPhotos(
        folder,
        [person.file for person in kept],
        places,
        flags > 0,
        names=[f"{Path(person.file).stem}_{person.number}" for person in kept],
        sizes_px=[person.size_px for person in kept],
        left_out=left_out,
        mask=masks_of(kept) if masks else None,
    )


def why_not(person: Person, joints: tuple[str, ...], *, as_hmr: bool) -> str | None:
    """Return why a person is not used, None where they are."""
    flags = person.keypoints[:, 2]
    if person.crowd:
        return "a crowd"
    if not (flags > 0).any():
        return "no joint marked"
    if not as_hmr:
        return None
    if (flags == 2).sum() < FEWEST_SEEN:
        return f"fewer than {FEWEST_SEEN} joints seen"
    if person.box_px is None or max(person.box_px[2:]) <= SMALLEST_PX:
        return f"not larger than {SMALLEST_PX:g} pixels"
    upper = np.array([joint in _UPPER for joint in joints])
    return None if (flags[~upper] > 0).any() else "only face and shoulders marked"


def check(root: str | Path, split: str | None = None) -> list[str]:
    """Return what a split lacks, in words, and what could be had instead; without one, what all four parts lack."""
    root = Path(root)
    if split is not None:
        part = _PICTURES.get(split, split)
        missing = _missing(root, part)
        return [*missing, *_instead(root, part)] if missing else []
    by_part = [_missing(root, part) for part in PARTS]
    if not all(by_part):
        return []
    return [
        "One part of COCO is needed, its annotations and its pictures.",
        *(line for each in by_part for line in each),
    ]


def _missing(root: Path, part: str) -> list[str]:
    annotations, missing = _annotations(root, part), []
    if not annotations.is_file():
        missing.append(f"{annotations.relative_to(root)} is missing.")
    if not any(_folder(root, part).glob("*.jpg")):
        missing.append(f"{part}/ (or images/{part}/) holds no pictures.")
    return missing


def _instead(root: Path, part: str) -> list[str]:
    """Return a sentence about the parts that are there in another's place, none where there are none."""
    there = [other for other in PARTS if other != part and not _missing(root, other)]
    splits = [split for split in EXPECTED if _PICTURES.get(split, split) in there]
    return [f"{' and '.join(there)} would do: add --split {' or '.join(splits)}."] if there else []


def _annotations(root: Path, part: str) -> Path:
    return root / "annotations" / f"person_keypoints_{part}.json"


def _folder(root: Path, part: str) -> Path:
    return root / "images" / part if (root / "images" / part).is_dir() else root / part
