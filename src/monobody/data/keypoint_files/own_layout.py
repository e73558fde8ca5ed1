"""The project's own people files: pictures by name, and what is known of each person.

    {"NAME.jpg": [{"box": [x0, y0, x1, y1]},
                  {"keypoints": [[x, y, confidence], ...], "set": "coco17", "score": 0.9}]}

In pixels of the upright picture, the middle of the first one at 0.5; ``score`` may be left out, ``set`` is any joint
set of ``body/skeleton.py`` and ``coco17`` where left out, and a joint of confidence 0 is unknown.
"""

from pathlib import Path
from typing import Any

from monobody.body.skeleton import HUMAN_SETS
from monobody.data.keypoint_files.entry import Entry
from monobody.data.keypoint_files.known_people import KnownPeople, KnownPerson


def read(path: Path, content: dict[str, Any]) -> KnownPeople:
    """Return the people of every picture.

    Raises:
        UserError: an entry is malformed.
    """
    return KnownPeople(
        path=path,
        layout="people by picture",
        pictures={name: _picture(path, name, entries) for name, entries in content.items()},
    )


def _picture(path: Path, name: str, entries: Any) -> list[KnownPerson]:
    if not isinstance(entries, list):
        raise Entry(path, f'"{name}"').refuse("it must be a list of people")
    return [_person(Entry(path, f'person {number} of "{name}"'), one) for number, one in enumerate(entries)]


def _person(entry: Entry, person: Any) -> KnownPerson:
    if not isinstance(person, dict) or ("box" in person) == ("keypoints" in person):
        raise entry.refuse('it must be an object with either "box" or "keypoints"')
    score = entry.score(person.get("score", 1.0))
    if "box" in person:
        return KnownPerson(box_px=entry.box(person["box"]), score=score)
    set_name = person.get("set", "coco17")
    if not isinstance(set_name, str) or set_name not in HUMAN_SETS:
        raise entry.refuse(f'there is no joint set "{set_name}", only {", ".join(HUMAN_SETS)}')
    joints, rows = HUMAN_SETS[set_name].joints, person["keypoints"]
    if not isinstance(rows, list) or len(rows) != len(joints):
        raise entry.refuse(f"{set_name} has {len(joints)} keypoints")
    return entry.person([entry.numbers(row) for row in rows], joints, score=score)
