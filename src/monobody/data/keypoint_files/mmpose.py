"""mmpose's results: what its inferencer and its demos write for one picture, and return from Python.

    [{"keypoints": [[x, y], ...], "keypoint_scores": [...], "bbox": [[x0, y0, x1, y1]], "bbox_score": 0.9}]
    {"meta_info": {"keypoint_id2name": {"0": "nose", ...}}, "instance_info": [ the same ]}
    {"predictions": [[ the same ]]}

Older versions write COCO's results (``coco_people.py``). Keypoints are what ``meta_info`` names, else what their number
tells: 17 are COCO's, 133 COCO-WholeBody's, of which the body and the feet are taken.
"""

from pathlib import Path
from typing import Any

from monobody.data.keypoint_files.entry import Entry
from monobody.data.keypoint_files.joint_orders import Order, order_of_names
from monobody.data.keypoint_files.known_people import KnownPeople, KnownPerson

LAYOUT = "mmpose"
_HOLDERS = ("instance_info", "predictions", "instances")


def is_mmpose(content: Any) -> bool:
    """Tell mmpose's results from other layouts."""
    if isinstance(content, dict):
        return any(name in content for name in _HOLDERS) or {"keypoints", "keypoint_scores"} <= content.keys()
    return isinstance(content, list) and bool(content) and is_mmpose(content[0])


def read(path: Path, content: Any) -> KnownPeople:
    """Return the people of the file's picture.

    Raises:
        UserError: it speaks of several frames, or an entry is malformed.
    """
    order = _named(content.get("meta_info")) if isinstance(content, dict) else None
    people = [
        _person(Entry(path, f"person {number}"), one, order) for number, one in enumerate(_instances(path, content))
    ]
    return KnownPeople(path=path, layout=LAYOUT, pictures={"": people})


def _instances(path: Path, content: Any) -> list[dict[str, Any]]:
    """Return the people of the one picture, out of whatever lists and objects they are in."""
    if isinstance(content, dict):
        holder = next((name for name in _HOLDERS if name in content), None)
        return [content] if holder is None else _instances(path, content[holder])
    if not isinstance(content, list) or not all(isinstance(item, dict | list) for item in content):
        raise Entry(path, "the file").refuse("mmpose's people must be a list of objects")
    frames = [item for item in content if isinstance(item, list) or "instances" in item]
    if len(frames) > 1:
        raise Entry(path, "the file").refuse(f"it speaks of {len(frames)} frames: give a file for one picture")
    return _instances(path, frames[0]) if frames else content


def _named(meta: Any) -> Order | None:
    names = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if not isinstance(names, dict) or not all(str(key).isdecimal() for key in names):
        return None
    return order_of_names([names[key] for key in sorted(names, key=int)])


def _person(entry: Entry, person: dict[str, Any], order: Order | None) -> KnownPerson:
    places, scores = person.get("keypoints"), person.get("keypoint_scores")
    if not isinstance(places, list) or not isinstance(scores, list) or len(places) != len(scores):
        raise entry.refuse('it must have as many "keypoints" as "keypoint_scores"')
    confidence = entry.numbers(scores)
    rows = [[*entry.numbers(place)[:2], score] for place, score in zip(places, confidence, strict=True)]
    score = entry.score(person.get("bbox_score", 1.0))
    return entry.person(rows, order or entry.order(len(rows)), score=score, from_zero=True)
