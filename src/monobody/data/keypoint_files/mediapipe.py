"""MediaPipe's pose landmarks, as people write them to JSON: 33 of x, y, z, visibility, as shares of the picture.

What is recognised, for one picture:

    [{"x": 0.51, "y": 0.32, "z": -0.1, "visibility": 0.99}, ...]        33 landmarks of one person, or a list of people
    [[0.51, 0.32, -0.1, 0.99], ...]                                     the same as rows of numbers
    {"landmark": [...]}                                                 a landmark list of the older Python API
    {"pose_landmarks": ..., "pose_world_landmarks": ...}                a result of either API, or of JavaScript
                                                                        (``landmarks``, ``poseLandmarks``)

and an object of such by the picture's name. A landmark's confidence is its visibility, times ``presence`` where given.
"""

from pathlib import Path
from typing import Any

from monobody.body.skeleton import SKELETONS
from monobody.data.keypoint_files.entry import Entry
from monobody.data.keypoint_files.known_people import KnownPeople, KnownPerson

LAYOUT = "MediaPipe"
_HOLDERS = ("pose_landmarks", "poseLandmarks", "landmarks", "landmark")
FARTHEST = 3.0
"""Landmarks may lie outside of the picture, but not all of them as far as this."""
_JOINTS = SKELETONS["blazepose33"].joints


def is_mediapipe(content: Any) -> bool:
    """Tell MediaPipe's landmarks from other layouts."""
    if _is_picture(content):
        return True
    by_name = list(content.values()) if isinstance(content, dict) else []
    return any(map(_is_picture, by_name)) and all(value == [] or _is_picture(value) for value in by_name)


def read(path: Path, content: Any) -> KnownPeople:
    """Return the people of one picture, or of pictures by name.

    Raises:
        UserError: there are not 33 landmarks, or one is malformed.
    """
    if isinstance(content, dict) and not _is_picture(content):
        pictures = {name: _people(path, value, f' of "{name}"') for name, value in content.items()}
    else:
        pictures = {"": _people(path, content, "")}
    return KnownPeople(path=path, layout=LAYOUT, pictures=pictures)


def _is_picture(value: Any) -> bool:
    """Tell whether a value is the landmarks of one picture's people."""
    if isinstance(value, dict):
        return any(name in value for name in _HOLDERS)
    return isinstance(value, list) and bool(value) and (_is_person(value) or _is_picture(value[0]))


def _is_person(value: Any) -> bool:
    """Tell whether a value is a list of landmarks."""
    if not (isinstance(value, list) and value):
        return False
    first = value[0]
    if isinstance(first, dict):
        return "x" in first and "y" in first
    return isinstance(first, list) and len(value) == len(_JOINTS) and all(isinstance(v, int | float) for v in first)


def _people(path: Path, value: Any, of: str) -> list[KnownPerson]:
    while isinstance(value, dict):
        value = next((value[name] for name in _HOLDERS if name in value), None)
    if value is None:  # What the older API gives where nobody was found.
        return []
    if not isinstance(value, list):
        raise Entry(path, f"the landmarks{of}").refuse("they must be a list")
    people = [value] if _is_person(value) else value
    return [_person(Entry(path, f"person {number}{of}"), one) for number, one in enumerate(people)]


def _person(entry: Entry, landmarks: Any) -> KnownPerson:
    if isinstance(landmarks, dict):
        landmarks = next((landmarks[name] for name in _HOLDERS if name in landmarks), None)
    if not isinstance(landmarks, list) or len(landmarks) != len(_JOINTS):
        count = len(landmarks) if isinstance(landmarks, list) else "no"
        raise entry.refuse(f"it has {count} landmarks; MediaPipe's pose has {len(_JOINTS)}")
    rows = [_row(entry, landmark) for landmark in landmarks]
    if all(max(abs(x), abs(y)) > FARTHEST for x, y, _ in rows):
        raise entry.refuse("its landmarks are no shares of the picture (0 to 1) as MediaPipe gives them")
    return entry.person(rows, _JOINTS, relative=True)


def _row(entry: Entry, landmark: Any) -> list[float]:
    if isinstance(landmark, dict):
        certain = entry.score(landmark.get("visibility", 1.0)) * entry.score(landmark.get("presence") or 1.0)
        return [entry.score(landmark.get("x")), entry.score(landmark.get("y")), certain]
    numbers = entry.numbers(landmark)
    if len(numbers) not in (3, 4, 5):
        raise entry.refuse("each landmark must be x, y, z, visibility")
    return [*numbers[:2], numbers[3] if len(numbers) > 3 else 1.0]
