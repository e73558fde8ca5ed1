"""COCO's annotation files: pictures, people, their keypoints, boxes and masks.

A file is one JSON object of `images` (id, file_name, width, height), `annotations` (image_id, category_id, iscrowd,
bbox, keypoints, num_keypoints, segmentation) and `categories` (name, and the keypoints' names). Keypoints are x, y, v
with v 0 = not labelled, 1 = hidden, 2 = seen; places are whole numbers, the first pixel is 0. Boxes are x, y, width,
height. A mask is a list of polygons, or run lengths down the columns: plain numbers, or packed as pycocotools does.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from monobody.body.skeleton import HUMAN_SETS
from monobody.errors import UserError

_COUNTED = {17: "coco17", 19: "cocoplus19", 14: "lsp14", 16: "mpii16"}
"""Joint sets by their size, where a file does not name its keypoints in a way that we know."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """One annotation of a person, and the picture that they are in."""

    file: str
    size_px: tuple[int, int]
    """Width and height of the picture."""
    number: int
    """The annotation's own number."""
    crowd: bool
    keypoints: Float[np.ndarray, "k 3"]
    """x, y in pixels (the first pixel's centre is 0.5) and COCO's 0, 1 or 2, in the file's order; may be empty."""
    box_px: tuple[float, float, float, float] | None
    """x, y, width, height."""
    outline: Any = field(repr=False)
    """The mask as the file has it, or None."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CocoFile:
    """The people of one annotation file, in its order of pictures and numbers."""

    people: list[Person]
    joints: tuple[str, ...]
    """What the keypoints are called, in the words of ``body/skeleton.py``."""

    def as_cocoplus19(self, people: Sequence[Person]) -> tuple[Float[np.ndarray, "n 19 2"], Float[np.ndarray, "n 19"]]:
        """Return people's places and flags (0, 1, 2) under our 19 joints."""
        places, flags = np.zeros((len(people), 19, 2), np.float32), np.zeros((len(people), 19), np.float32)
        for target, joint in enumerate(HUMAN_SETS["cocoplus19"].joints):
            if joint in self.joints:
                source = self.joints.index(joint)
                for row, person in enumerate(people):
                    if len(person.keypoints) > source:
                        places[row, target] = person.keypoints[source, :2]
                        flags[row, target] = person.keypoints[source, 2]
        return places, flags


def read_coco(path: str | Path) -> CocoFile:
    """Read an annotation file.

    Raises:
        UserError: the file is missing, no JSON, or no COCO annotations of people.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_bytes())
        pictures = {picture["id"]: picture for picture in content["images"]}
        persons = _person_categories(content)
        chosen = [one for one in content["annotations"] if one.get("category_id", 1) in persons]
        chosen.sort(key=lambda one: (str(pictures[one["image_id"]]["file_name"]), one["id"]))
        people = [_person(one, pictures[one["image_id"]]) for one in chosen]
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} holds no COCO annotations ({type(error).__name__}: {error}).") from error
    return CocoFile(people=people, joints=_joint_names(content, people, path))


def mask_of(people: Sequence[Person], index: int, height: int, width: int) -> UInt8[np.ndarray, "h w"] | None:
    """Return a person's mask, 255 inside; None where the file has none."""
    outline = people[index].outline
    if not outline:
        return None
    if isinstance(outline, dict):
        return _from_runs(outline)
    from PIL import Image, ImageDraw

    # Four times as fine, so that a pixel is in when most of it is.
    canvas = Image.new("L", (4 * width, 4 * height))
    draw = ImageDraw.Draw(canvas)
    for polygon in outline:
        if len(polygon) >= 6:
            draw.polygon([4 * value - 0.5 for value in polygon], fill=255)
    return np.where(np.asarray(canvas.reduce(4)) > 127, 255, 0).astype(np.uint8)


def masks_of(people: Sequence[Person]) -> "partial[UInt8[np.ndarray, 'h w'] | None]":
    """Return :func:`mask_of` for these people, for `ClickedPhotos`; it can be sent to other processes."""
    return partial(mask_of, people)


def _person_categories(content: dict[str, Any]) -> set[int]:
    """Return the numbers of the categories that are people; all of them where none says so."""
    categories = content.get("categories") or [{"id": 1, "name": "person"}]
    named = {each["id"] for each in categories if str(each.get("name", "")).lower() == "person"}
    return named or {each["id"] for each in categories}


def _person(annotation: dict[str, Any], picture: dict[str, Any]) -> Person:
    keypoints = np.array(annotation.get("keypoints") or [], np.float32).reshape(-1, 3)
    # Whole numbers name pixels, of which the centres are meant; boxes and polygons are places already.
    keypoints[:, :2] += 0.5
    box = annotation.get("bbox")
    if box is not None and len(box) != 4:
        raise ValueError(f"annotation {annotation['id']} has a box of {len(box)} numbers")
    return Person(
        file=str(picture["file_name"]),
        size_px=(int(picture.get("width", 0)), int(picture.get("height", 0))),
        number=int(annotation["id"]),
        crowd=bool(annotation.get("iscrowd", 0)),
        keypoints=keypoints,
        box_px=None if box is None else (float(box[0]), float(box[1]), float(box[2]), float(box[3])),
        outline=annotation.get("segmentation"),
    )


def _joint_names(content: dict[str, Any], people: list[Person], path: Path) -> tuple[str, ...]:
    """Return what the file's keypoints are called: its own names where we know them, else by how many there are."""
    known = {joint for skeleton in HUMAN_SETS.values() for joint in skeleton.joints}
    for category in content.get("categories") or []:
        listed = category.get("keypoints")
        listed = listed if isinstance(listed, list) else []
        names = tuple(str(name).lower().replace(" ", "_") for name in listed)
        if len(set(names) & known) >= 2:
            return names
    counts = {len(person.keypoints) for person in people} - {0}
    if not counts:
        return ()
    if len(counts) > 1 or not counts <= _COUNTED.keys():
        raise UserError(
            f"{path} has {sorted(counts)} keypoints a person and does not name them: name them in categories, "
            f"or give {', '.join(f'{count} ({name})' for count, name in _COUNTED.items())}."
        )
    return HUMAN_SETS[_COUNTED[counts.pop()]].joints


def _from_runs(outline: dict[str, Any]) -> UInt8[np.ndarray, "h w"]:
    """Decode run lengths: zeros first, down the columns."""
    height, width = outline["size"]
    counts = outline["counts"]
    runs = _unpacked(counts) if isinstance(counts, str | bytes) else counts
    values = np.repeat(np.arange(len(runs)) % 2 * 255, runs).astype(np.uint8)
    return np.ascontiguousarray(values.reshape(width, height).T)


def _unpacked(packed: str | bytes) -> list[int]:
    """Unpack pycocotools' strings: five bits a character, from the fourth run on differences to the last but one."""
    letters = packed.encode() if isinstance(packed, str) else packed
    runs: list[int] = []
    value = shift = 0
    for letter in letters:
        bits = letter - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    return runs
