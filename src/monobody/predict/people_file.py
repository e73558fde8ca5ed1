"""The detector that looks people up in a file: boxes or keypoints that another program found.

The layouts are those of ``data/keypoint_files/``; the landmarks are read in the picture all the same.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from monobody.data.keypoint_files.read_people import read_people
from monobody.errors import UserError
from monobody.predict.blaze_detector import BlazeDetector
from monobody.predict.detection import Detection
from monobody.predict.given_keypoints import detection_from_keypoints


class PeopleFile:
    """Finds whom a file lists, or a folder with a file for each picture.

    Raises:
        UserError: the file is missing, of no known layout, or an entry is malformed.
    """

    SUFFIXES = (".json", ".mat", ".csv")
    """A file that is not there is asked for by these; one that is there is recognised by what is in it."""

    def __init__(self, path: str | Path) -> None:
        self.people = read_people(path)

    def __call__(
        self,
        rgb: UInt8[np.ndarray, "h w 3"],
        box: Sequence[Sequence[float]] | Sequence[float] | None = None,
        *,
        name: str | None = None,
    ) -> list[Detection]:
        """Return the people the file lists for the picture ``name``; given boxes take precedence.

        Raises:
            UserError: the file does not speak of that picture, or somebody is not in it.
        """
        blaze = BlazeDetector()
        if box is not None:
            return blaze(rgb, box)
        found = []
        for person in self.people.in_picture(name, rgb.shape[1], rgb.shape[0]):
            if flaw := person.flaw(rgb.shape[1], rgb.shape[0]):
                raise UserError(flaw)
            if person.keypoints is not None:
                found.append(detection_from_keypoints(rgb, person.keypoints, person.set_name, score=person.score))
            else:
                assert person.box_px is not None
                found += blaze(rgb, person.box_px)
        return found
