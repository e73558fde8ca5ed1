"""People from a JSON file: boxes or keypoints that another program found.

Two layouts are read. The project's own names pictures and lists what is known of each person,

    {"NAME.jpg": [{"box": [x0, y0, x1, y1]},
                  {"keypoints": [[x, y, confidence], ...], "set": "coco17", "score": 0.9}]}

in pixels of the upright picture; ``score`` may be left out, ``set`` is any joint set of ``monobody.body.skeleton`` and
``coco17`` where left out, and a joint of confidence 0 is unknown. COCO's result lists,

    [{"image_id": 397133, "category_id": 1, "keypoints": [x, y, v, ...], "bbox": [x, y, width, height], "score": 0.9}]

are read as well: ``image_id`` (or ``file_name``) names the picture, ``category_id`` other than 1 is no person.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from monobody.body.skeleton import SKELETONS
from monobody.errors import UserError
from monobody.predict.blaze_detector import BlazeDetector
from monobody.predict.detection import Detection
from monobody.predict.given_keypoints import detection_from_keypoints

COCO_PERSON = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownPerson:
    """One entry of the file: a box, or keypoints (x, y, confidence) of a joint set."""

    box_px: tuple[float, ...] | None = None
    keypoints: Float[np.ndarray, "k 3"] | None = None
    set_name: str = "coco17"
    score: float = 1.0


LARGEST = 1e9
"""No coordinate or score is as large; infinities and NaN are not smaller either."""


class PeopleFile:
    """A detector that looks people up in a JSON file; the landmarks are read in the picture all the same.

    Raises:
        UserError: the file is missing, is not JSON, or an entry is malformed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise UserError(f"There is no file {self.path} to read people from.") from error
        except (OSError, ValueError) as error:
            raise UserError(f"{self.path} is not a JSON file of people: {error}.") from error
        if isinstance(content, dict):
            self.is_coco = False
            self.people = {name: self._own_entries(name, entries) for name, entries in content.items()}
        elif isinstance(content, list):
            self.is_coco = True
            self.people = self._coco_entries(content)
        else:
            raise self._malformed("the file", "it must hold an object of pictures or a list of COCO results")

    def __call__(
        self,
        rgb: UInt8[np.ndarray, "h w 3"],
        box: Sequence[Sequence[float]] | Sequence[float] | None = None,
        *,
        name: str | None = None,
    ) -> list[Detection]:
        """Return the people the file lists for the picture ``name``; given boxes take precedence."""
        blaze = BlazeDetector()
        if box is not None:
            return blaze(rgb, box)
        found = []
        for person in self.listed(name):
            if person.keypoints is not None:
                found.append(detection_from_keypoints(rgb, person.keypoints, person.set_name, score=person.score))
            else:
                assert person.box_px is not None
                found += blaze(rgb, person.box_px)
        return found

    def listed(self, name: str | None) -> list[KnownPerson]:
        """Return the entries of a picture, found by its file name with or without ending, or by COCO's number.

        Raises:
            UserError: the file does not speak of that picture.
        """
        if name is None:
            if len(self.people) == 1:
                return next(iter(self.people.values()))
            raise UserError(f"{self.path} lists {len(self.people)} pictures: give the picture as a file with a name.")
        stem = Path(name).stem
        keys = [name, stem]
        if stem.split("_")[-1].isdigit():
            keys.append(str(int(stem.split("_")[-1])))  # COCO numbers: 000000397133.jpg, COCO_val2014_000000397133.jpg
        for key in keys:
            if key in self.people:
                return self.people[key]
        if self.is_coco:
            return []  # A list of results has no line for a picture without people.
        raise UserError(f'{self.path} has no entry for "{name}": add one, an empty list if nobody is in it.')

    def _own_entries(self, name: str, entries: Any) -> list[KnownPerson]:
        if not isinstance(entries, list):
            raise self._malformed(f'"{name}"', "it must be a list of people")
        people = []
        for number, entry in enumerate(entries):
            where = f'person {number} of "{name}"'
            if not isinstance(entry, dict) or ("box" in entry) == ("keypoints" in entry):
                raise self._malformed(where, 'it must be an object with either "box" or "keypoints"')
            score = self._numbers([entry.get("score", 1.0)], where)[0]
            if "box" in entry:
                people.append(KnownPerson(box_px=self._box(entry["box"], where), score=score))
            else:
                set_name = entry.get("set", "coco17")
                people.append(self._keypoints(entry["keypoints"], set_name, score, where))
        return people

    def _coco_entries(self, results: list[Any]) -> dict[str, list[KnownPerson]]:
        people: dict[str, list[KnownPerson]] = {}
        for number, entry in enumerate(results):
            where = f"result {number}"
            if not isinstance(entry, dict):
                raise self._malformed(where, "it must be an object")
            picture = entry.get("file_name", entry.get("image_id"))
            if not isinstance(picture, str | int):
                raise self._malformed(where, 'it must name its picture by "image_id" or "file_name"')
            if entry.get("category_id", COCO_PERSON) != COCO_PERSON:
                continue
            score = self._numbers([entry.get("score", 1.0)], where)[0]
            if "keypoints" in entry:
                flat = self._numbers(entry["keypoints"], where)
                if len(flat) % 3:
                    raise self._malformed(where, "COCO keypoints are x, y, visibility, one joint after the other")
                person = self._keypoints([flat[i : i + 3] for i in range(0, len(flat), 3)], "coco17", score, where)
            elif "bbox" in entry:
                x, y, width, height = self._four(entry["bbox"], where)
                person = KnownPerson(box_px=self._box([x, y, x + width, y + height], where), score=score)
            else:
                raise self._malformed(where, 'it must have "keypoints" or "bbox"')
            people.setdefault(str(picture), []).append(person)
        return people

    def _keypoints(self, rows: Any, set_name: Any, score: float, where: str) -> KnownPerson:
        if not isinstance(set_name, str) or set_name not in SKELETONS:
            raise self._malformed(where, f'there is no joint set "{set_name}", only {", ".join(SKELETONS)}')
        count = len(SKELETONS[set_name].joints)
        if not isinstance(rows, list) or len(rows) != count:
            raise self._malformed(where, f"{set_name} has {count} keypoints")
        points = [self._numbers(row, where) for row in rows]
        if any(len(point) not in (2, 3) for point in points):
            raise self._malformed(where, "each keypoint must be [x, y] or [x, y, confidence]")
        table = np.array([(*point, 1.0)[:3] for point in points], np.float64)
        if (table[:, 2] > 0).sum() < 2:
            raise self._malformed(where, "at least two keypoints must have a confidence above 0")
        return KnownPerson(keypoints=table, set_name=set_name, score=score)

    def _box(self, box: Any, where: str) -> tuple[float, ...]:
        x0, y0, x1, y1 = self._four(box, where)
        if x1 <= x0 or y1 <= y0:
            raise self._malformed(where, "its box is empty: x1 must exceed x0 and y1 must exceed y0")
        return x0, y0, x1, y1

    def _four(self, values: Any, where: str) -> list[float]:
        numbers = self._numbers(values, where)
        if len(numbers) != 4:
            raise self._malformed(where, "a box is four numbers")
        return numbers

    def _numbers(self, values: Any, where: str) -> list[float]:
        good = isinstance(values, list) and all(
            isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < LARGEST for v in values
        )
        if not good:
            raise self._malformed(where, f"{json.dumps(values)[:60]} should be finite numbers")
        return [float(v) for v in values]

    def _malformed(self, where: str, why: str) -> UserError:
        return UserError(f"{self.path}, {where}: {why}. See monobody.predict.people_file for the two layouts.")
