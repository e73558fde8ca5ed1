"""What a file says about the people of pictures: boxes and keypoints, found by the picture's name."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float

from monobody.errors import UserError

SURE = 0.2
"""Points of at least this confidence decide who is best (HMR's rule for OpenPose's people)."""
FEWEST = 2
"""Fewer known keypoints than these are nobody."""
MOST_OUTSIDE = 0.5
"""Where more of a person's keypoints lie outside of the picture, they belong to another one."""
ONE_PLACE_PX = 1.0
"""Keypoints that are no farther apart than this are nobody."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownPerson:
    """One person of a picture: a box, or keypoints."""

    box_px: tuple[float, ...] | None = None
    """x0, y0, x1, y1."""
    keypoints: Float[np.ndarray, "k 3"] | None = None
    """x, y in pixels (the middle of the first one is 0.5), confidence from 0 (unknown) to 1."""
    set_name: str = "coco17"
    score: float = 1.0
    relative: bool = False
    """Whether x and y are shares of the picture's width and height instead of pixels."""
    where: str = "a person"
    """What messages call them: the file, and their number in it."""

    @property
    def known(self) -> int:
        """Number of known keypoints."""
        return 0 if self.keypoints is None else int((self.keypoints[:, 2] > 0).sum())

    def in_pixels(self, width_px: int, height_px: int) -> "KnownPerson":
        """Return the person with coordinates in pixels of a picture of that size."""
        if not self.relative or self.keypoints is None:
            return self
        return replace(self, keypoints=self.keypoints * [width_px, height_px, 1], relative=False)

    def flaw(self, width_px: int, height_px: int, *, fewest: int = FEWEST) -> str | None:
        """Return why keypoints in pixels cannot be those of a person in a picture of that size; None if they can."""
        if self.keypoints is None:
            return None
        if self.known < fewest:
            return (
                f"{self.where}: it has {self.known} known keypoints (with a confidence above 0), and needs at least "
                f"{fewest}."
            )
        points = self.keypoints[self.keypoints[:, 2] > 0, :2]
        outside = ((points < 0) | (points > [width_px, height_px])).any(1)
        if outside.mean() > MOST_OUTSIDE:
            return (
                f"{self.where}: {outside.sum()} of {len(points)} keypoints lie outside of the picture "
                f"({width_px} x {height_px} pixels): are they of another picture, or of this one in another size?"
            )
        if np.ptp(points, axis=0).max() <= ONE_PLACE_PX:
            return f"{self.where}: all its known keypoints are at one and the same place."
        return None


@dataclass(frozen=True, kw_only=True)
class KnownPeople:
    """The people of one file."""

    path: Path
    layout: str
    """Whose layout it is, such as "OpenPose"."""
    pictures: Mapping[str, Sequence[KnownPerson]]
    """By the picture's name as the file has it; the one entry "" where the file does not name its picture."""
    skips_empty: bool = False
    """Whether a picture that is not listed has nobody in it, as in COCO's lists of results."""
    sizes_px: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Width and height of the pictures, where the file tells."""

    @property
    def names_pictures(self) -> bool:
        """Whether the file says which picture it is about."""
        return "" not in self.pictures

    def listed(self, name: str | None) -> list[KnownPerson]:
        """Return the people of a picture, found by its file name with or without folder and ending, or COCO's number.

        Raises:
            UserError: the file does not speak of that picture.
        """
        key = self._find(name)
        return [] if key is None else list(self.pictures[key])

    def in_picture(self, name: str | None, width_px: int, height_px: int) -> list[KnownPerson]:
        """Return the people of a picture, in its pixels.

        Some of them may be nobody, as detectors list them too: :meth:`KnownPerson.flaw` tells.

        Raises:
            UserError: the file does not speak of that picture, or of one of another size, or nobody in it is usable.
        """
        key = self._find(name)
        if key is None:
            return []
        stated = self.sizes_px.get(key)
        if stated is not None and 0 not in stated and stated != (width_px, height_px):
            raise UserError(
                f'{self.path} speaks of "{key}" as {stated[0]} x {stated[1]} pixels, and this picture has '
                f"{width_px} x {height_px}: give the picture that the keypoints were found in."
            )
        people = [
            replace(person.in_pixels(width_px, height_px), where=f"{self.path}, person {number}")
            for number, person in enumerate(self.pictures[key])
        ]
        flaws = [person.flaw(width_px, height_px) for person in people]
        if flaws and all(flaws):
            raise UserError(str(flaws[0]))
        return people

    def check_pictures(self, names: Sequence[str]) -> None:
        """Refuse several pictures where the file speaks of one and does not say which.

        Raises:
            UserError: it does.
        """
        if not self.names_pictures and len(names) > 1:
            raise UserError(
                f"{self.path} speaks of one picture and {len(names)} are given: give one, or the folder that "
                "holds a file for each of them."
            )

    def _find(self, name: str | None) -> str | None:
        """Return the key of a picture; None where a list of results has no line for it."""
        if not self.names_pictures:
            return ""
        if name is None:
            if len(self.pictures) == 1:
                return next(iter(self.pictures))
            raise UserError(f"{self.path} lists {len(self.pictures)} pictures: give the picture as a file with a name.")
        for wanted in (name, Path(name).name, Path(name).stem, _number(name)):
            found = self._by_name.get(wanted, [])
            if len(found) > 1:
                raise UserError(f'{self.path} has {len(found)} pictures called "{wanted}": name them apart.')
            if found:
                return found[0]
        if self.skips_empty:
            return None
        examples = ", ".join(f'"{key}"' for key in list(self.pictures)[:2])
        raise UserError(
            f'{self.path} has no entry for "{name}", only for {len(self.pictures)} other '
            f"{'picture' if len(self.pictures) == 1 else 'pictures'} ({examples}): add one, an empty list if nobody "
            "is in it."
        )

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        """Keys under their whole names; under their file names and stems where no key is called so."""
        names: defaultdict[str, list[str]] = defaultdict(list)
        for key in self.pictures:
            for shorter in {Path(key).name, Path(key).stem} - {key}:
                names[shorter].append(key)
        return {**names, **{key: [key] for key in self.pictures}}


def choose_people(people: Sequence[KnownPerson], which: str, path: Path) -> list[KnownPerson]:
    """Return everybody ("all"), the best person ("best"), or one by their number in the file, counted from 0.

    The best has the highest mean confidence over the points above 0.2 (HMR's demo on OpenPose's files); where the file
    has boxes only, the highest score.

    Raises:
        UserError: there is no such person.
    """
    if which == "all":
        return list(people)
    if which == "best":
        return sorted(people, key=mean_confidence, reverse=True)[:1]
    if which.isdecimal() and int(which) < len(people):
        return [people[int(which)]]
    raise UserError(
        f"{path} has no person {which}: choose all, best, or a number"
        + (f" from 0 to {len(people) - 1}." if people else ", and nobody is in this picture.")
    )


def mean_confidence(person: KnownPerson) -> float:
    """Return how sure a person's keypoints are: the mean over those above 0.2; the score of a box."""
    if person.keypoints is None:
        return person.score
    return mean_of_sure(person.keypoints[:, 2].tolist())


def mean_of_sure(confidence: Sequence[float]) -> float:
    """Return the mean of the confidences above 0.2; 0 where there are none."""
    sure = [value for value in confidence if value > SURE]
    return sum(sure) / len(sure) if sure else 0.0


def _number(name: str) -> str:
    """Return COCO's number of a picture: 397133 of COCO_val2014_000000397133.jpg."""
    last = Path(name).stem.split("_")[-1]
    return str(int(last)) if last.isdecimal() else name
