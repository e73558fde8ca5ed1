"""COCO's two forms of people: annotation files, and lists of results (COCO, AlphaPose, OpenPifPaf, old mmpose).

    {"images": [{"id", "file_name", "width", "height"}], "annotations": [{"image_id", "keypoints", "bbox"}], ...}
    [{"image_id": 397133, "category_id": 1, "keypoints": [x, y, c, ...], "bbox": [x, y, width, height], "score": 0.9}]

Annotations are read by ``datasets/coco_json.py``; their flags 1 (hidden) and 2 (seen) both count as known. In results
``image_id`` (or ``file_name``) names the picture; a list without it, as OpenPifPaf writes, is about one picture.
``category_id`` other than 1 is no person. In both, pixels are counted from 0 at the middle of the first one.
"""

from pathlib import Path
from typing import Any

from monobody.data.datasets.coco_json import Person, read_coco
from monobody.data.keypoint_files.entry import Entry
from monobody.data.keypoint_files.joint_orders import Order, order_of_names
from monobody.data.keypoint_files.known_people import KnownPeople, KnownPerson

COCO_PERSON = 1


def is_annotations(content: Any) -> bool:
    """Tell COCO's annotation files from others."""
    return isinstance(content, dict) and isinstance(content.get("annotations"), list) and "images" in content


def read_annotations(path: Path, content: dict[str, Any]) -> KnownPeople:
    """Return the people of an annotation file, by the names of its pictures; crowds are left out.

    Raises:
        UserError: it is damaged, or its keypoints are none that we know.
    """
    file = read_coco(path)
    order = order_of_names(file.joints)
    sizes = dict(_picture(Entry(path, f"image {n}"), picture) for n, picture in enumerate(content["images"]))
    people: dict[str, list[KnownPerson]] = {name: [] for name in sizes}
    for person in file.people:
        if not person.crowd:
            people[person.file].append(_annotated(Entry(path, f"annotation {person.number}"), person, order))
    return KnownPeople(path=path, layout="COCO annotations", pictures=people, sizes_px=sizes)


def read_results(path: Path, results: list[Any]) -> KnownPeople:
    """Return the people of a list of results.

    Raises:
        UserError: an entry is malformed.
    """
    people: dict[str, list[KnownPerson]] = {}
    named = [isinstance(entry, dict) and ("image_id" in entry or "file_name" in entry) for entry in results]
    for number, result in enumerate(results):
        entry = Entry(path, f"result {number}")
        if not isinstance(result, dict):
            raise entry.refuse("it must be an object")
        picture = result.get("file_name", result.get("image_id", None if any(named) else ""))
        if not isinstance(picture, str | int):
            raise entry.refuse('it must name its picture by "image_id" or "file_name", as others do')
        if result.get("category_id", COCO_PERSON) == COCO_PERSON:
            people.setdefault(str(picture), []).append(_result(entry, result))
    return KnownPeople(path=path, layout="COCO results", pictures=people, skips_empty=True)


def _picture(entry: Entry, picture: dict[str, Any]) -> tuple[str, tuple[int, int]]:
    """Return a picture's name, and its width and height, 0 where they are not told."""
    if "file_name" not in picture:
        raise entry.refuse('it must have a "file_name"')
    width, height = (int(entry.score(picture.get(side) or 0)) for side in ("width", "height"))
    return str(picture["file_name"]), (width, height)


def _annotated(entry: Entry, person: Person, order: Order | None) -> KnownPerson:
    if not (person.keypoints[:, 2:] > 0).any():
        if person.box_px is None:
            raise entry.refuse("it has neither keypoints nor a box")
        return KnownPerson(box_px=entry.box(list(person.box_px), width_and_height=True))
    rows = [entry.numbers([float(x), float(y), float(flag > 0)]) for x, y, flag in person.keypoints]
    if order is None:
        raise entry.refuse("its categories name keypoints that are not known here")
    return entry.person(rows, order)


def _result(entry: Entry, result: dict[str, Any]) -> KnownPerson:
    score = entry.score(result.get("score", 1.0))
    if "keypoints" in result:
        rows = entry.triplets(result["keypoints"])
        return entry.person(rows, entry.order(len(rows)), score=score, from_zero=True)
    if "bbox" not in result:
        raise entry.refuse('it must have "keypoints" or "bbox"')
    return KnownPerson(box_px=entry.box(result["bbox"], width_and_height=True), score=score)
