"""OpenPose's JSON: one file a picture, people as flat lists of x, y, confidence.

    {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": [x, y, c, ...], "face_keypoints_2d": [...]}]}

``pose_keypoints_2d`` (called ``pose_keypoints`` before version 1.2) has 25 joints (BODY_25), 18 (COCO) or 15 (MPI), in
pixels unless it was written with ``--keypoint_scale``. Face and hands are left aside: the body has no such points. The
file is called after its picture, ``NAME_keypoints.json``; what people rename still speaks of one picture.
"""

from pathlib import Path
from typing import Any

from monobody.body.skeleton import SKELETONS
from monobody.data.keypoint_files.entry import Entry
from monobody.data.keypoint_files.joint_orders import OPENPOSE_COCO18, OPENPOSE_MPI15, Order
from monobody.data.keypoint_files.known_people import KnownPeople, KnownPerson, mean_of_sure

LAYOUT = "OpenPose"
_ORDERS: dict[int, Order] = {25: SKELETONS["openpose25"].joints, 18: OPENPOSE_COCO18, 15: OPENPOSE_MPI15}
_NAMES = ("pose_keypoints_2d", "pose_keypoints")


def is_openpose(content: Any) -> bool:
    """Tell OpenPose's files from others."""
    return (
        isinstance(content, dict)
        and isinstance(people := content.get("people"), list)
        and ("version" in content or all(isinstance(one, dict) and _points(one) is not None for one in people))
    )


def read(path: Path, content: dict[str, Any]) -> KnownPeople:
    """Return the people of the file's picture.

    Raises:
        UserError: an entry is malformed.
    """
    people = [_person(Entry(path, f"person {number}"), one) for number, one in enumerate(content["people"])]
    return KnownPeople(path=path, layout=LAYOUT, pictures={"": people})


def _points(person: dict[str, Any]) -> Any:
    return next((person[name] for name in _NAMES if name in person), None)


def _person(entry: Entry, person: Any) -> KnownPerson:
    if not isinstance(person, dict) or _points(person) is None:
        raise entry.refuse('it must be an object with "pose_keypoints_2d"')
    rows = entry.triplets(_points(person))
    if len(rows) not in _ORDERS:
        raise entry.refuse(f"it has {len(rows)} keypoints; OpenPose's people have 25 (BODY_25), 18 (COCO) or 15 (MPI)")
    known = [row for row in rows if row[2] > 0]
    if known and all(max(abs(x), abs(y)) <= 1 for x, y, _ in known):
        raise entry.refuse("its keypoints are shares of the picture: have OpenPose write pixels (--keypoint_scale 0)")
    score = min(1.0, mean_of_sure([row[2] for row in rows]))
    return entry.person(rows, _ORDERS[len(rows)], score=score, from_zero=True)
