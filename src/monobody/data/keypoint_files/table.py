"""Keypoints as a table in a text file (CSV): one line a joint, in pixels of the upright picture.

    picture,person,joint,x,y,confidence
    a.jpg,0,left_shoulder,312.5,208.0,0.9

``joint`` is any name of ``body/skeleton.py`` (or OpenPose's, COCO's or MediaPipe's for it); ``picture``, ``person`` and
``confidence`` may be left out: one picture, one person, sure. What is not in the table is unknown.
"""

import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from monobody.data.keypoint_files.entry import Entry
from monobody.data.keypoint_files.joint_orders import joints_called
from monobody.data.keypoint_files.known_people import KnownPeople, KnownPerson

NEEDED = {"joint", "x", "y"}


def is_table(first_line: str) -> bool:
    """Tell a table of keypoints by its first line."""
    return {name.strip().lower() for name in first_line.split(",")} >= NEEDED


def read(path: Path, text: str) -> KnownPeople:
    """Return the people of every picture in the table.

    Raises:
        UserError: a line is malformed, or a joint is unknown or given twice.
    """
    grouped: defaultdict[str, defaultdict[str, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(dict))
    table = csv.DictReader(text.splitlines(), skipinitialspace=True)
    table.fieldnames = [name.strip().lower() for name in table.fieldnames or []]
    for line in _lines(path, table):
        entry = Entry(path, f"line {table.line_num}")
        joint = (line["joint"] or "").strip().lower()
        named = grouped[(line.get("picture") or "").strip()][(line.get("person") or "0").strip()]
        if joint in named:
            raise entry.refuse(f'"{joint}" is given twice for one person')
        named[joint] = [_number(entry, line[axis]) for axis in ("x", "y")]
        named[joint].append(_number(entry, line.get("confidence") or "1"))
    if len(grouped) > 1 and "" in grouped:
        raise Entry(path, "the column picture").refuse("it is empty in some lines and not in others")
    people = {
        picture: [_person(Entry(path, f"person {person}"), rows) for person, rows in persons.items()]
        for picture, persons in grouped.items()
    }
    return KnownPeople(path=path, layout="table", pictures=people)


def _lines(path: Path, table: csv.DictReader) -> Iterator[dict[str, str | None]]:
    try:
        yield from table
    except csv.Error as error:
        raise Entry(path, f"line {table.line_num}").refuse(f"it is no line of a table ({error})") from error


def _number(entry: Entry, text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        raise entry.refuse(f'"{text}" should be a number') from None
    return entry.score(value)


def _person(entry: Entry, rows: dict[str, list[float]]) -> KnownPerson:
    # Whoever has too few joints stands in nobody's way: they are refused when they are asked for.
    order = joints_called(list(rows))
    for name, known in zip(rows, order, strict=True):
        if known is None:
            raise entry.refuse(f'"{name}" is no joint of any set')
    return entry.person(list(rows.values()), order)
