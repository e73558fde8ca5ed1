"""Human3.6M's `metadata.xml`: which files belong to which action and trial, and the cameras.

    <mapping>     a table: action, trial, then one file name for each subject; the first row names the subjects
    <dbcameras>   <index2id>: the four cameras' serial numbers in their order
    <w0>          300 numbers in brackets: for each camera and each of 11 subjects three angles and a position (mm),
                  then for each camera f (2), c (2), k (3), p (2)

A world point X (mm) lies at R (X - T) before the camera, R = Rx(a1) Ry(a2) Rz(a3).
"""

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float

from monobody.data.lens import Lens
from monobody.errors import UserError

SUBJECTS = 11
ACTIONS = range(2, 17)
"""The numbers of the fifteen actions; 1 is the pseudo-action `_ALL`, and other rows are no recordings."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """One performance of one action by one subject, filmed by all four cameras."""

    subject: int
    action: int
    """2 to 16."""
    trial: int
    """0 or 1."""
    name: str
    """What the files are called, such as "Directions 1"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """What the file says."""

    recordings: tuple[Recording, ...]
    cameras: tuple[str, ...]
    """Serial numbers; a camera's place in here is its index in the protocols."""
    numbers: tuple[float, ...]

    def lens(self, camera: str) -> Lens:
        """Return the inner half of a camera, which is the same for all subjects."""
        start = 6 * SUBJECTS * len(self.cameras) + 9 * self.cameras.index(camera)
        fx, fy, cx, cy, k1, k2, k3, p1, p2 = self.numbers[start : start + 9]
        return Lens(focal_px=(fx, fy), principal_px=(cx, cy), radial=(k1, k2, k3), tangential=(p1, p2))

    def to_camera_m(self, points_world_m: Float[np.ndarray, "*b 3"], subject: int, camera: str) -> np.ndarray:
        """Return world points before a camera, as it stood while a subject was recorded; metres both."""
        rotation, shift_m = self.pose(subject, camera)
        return points_world_m @ rotation.T + shift_m

    def pose(self, subject: int, camera: str) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]:
        """Return the rotation and shift (m) of a camera as it stood while a subject was recorded.

        X_camera = R X_world + t.
        """
        start = 6 * (SUBJECTS * self.cameras.index(camera) + subject - 1)
        rotation = _rotation(*self.numbers[start : start + 3])
        return rotation, -rotation @ np.array(self.numbers[start + 3 : start + 6]) / 1000


def read_metadata(path: str | Path) -> Metadata:
    """Read `metadata.xml`.

    Raises:
        UserError: the file is missing, or is not Human3.6M's.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} is missing: it comes with Human3.6M's code and belongs beside the folders S1, S5, ...")
    try:
        root = ElementTree.parse(path).getroot()
        rows = [[cell.text or "" for cell in row] for row in root.iterfind("mapping/*")]
        cameras = tuple((cell.text or "").strip() for cell in root.iterfind("dbcameras/index2id/*"))
        numbers = tuple(float(number) for number in (root.findtext("w0") or "").strip(" \n[]").split())
    except (ElementTree.ParseError, ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read as Human3.6M's metadata ({error}): get it again.") from error
    if not rows or not cameras or len(numbers) != (6 * SUBJECTS + 9) * len(cameras):
        raise UserError(f"{path} lacks its file names, its cameras or some of w0's numbers: get it again.")
    subjects = [cell.strip().removeprefix("S") for cell in rows[0][2:]]
    return Metadata(
        recordings=tuple(
            Recording(subject=int(subject), action=int(row[0]), trial=int(row[1]) - 1, name=name.strip())
            for row in rows[1:]
            if len(row) > 2 and row[0].strip().isdigit() and row[1].strip().isdigit() and int(row[0]) in ACTIONS
            for subject, name in zip(subjects, row[2:], strict=False)
            if subject.isdigit() and name.strip()
        ),
        cameras=cameras,
        numbers=numbers,
    )


def _rotation(a1: float, a2: float, a3: float) -> Float[np.ndarray, "3 3"]:
    (c1, c2, c3), (s1, s2, s3) = np.cos([a1, a2, a3]), np.sin([a1, a2, a3])
    x = np.array([[1, 0, 0], [0, c1, -s1], [0, s1, c1]])
    y = np.array([[c2, 0, s2], [0, 1, 0], [-s2, 0, c2]])
    z = np.array([[c3, -s3, 0], [s3, c3, 0], [0, 0, 1]])
    return x @ y @ z
