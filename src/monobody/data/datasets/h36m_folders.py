"""Human3.6M as folders of pictures, one a clip, with world joints and cameras in JSON or text.

    images/s_01_act_02_subact_01_ca_01/s_01_act_02_subact_01_ca_01_000001.jpg ...    numbered from 1, 50 a second

with the labels of 3DMPPE's release (Moon et al., ICCV 2019),

    annotations/Human36M_subject1_camera.json     camera -> R, t (mm), f, c: X_camera = R X + t
    annotations/Human36M_subject1_joint_3d.json   action -> trial -> frame, from 0 -> 17 world joints in mm

or with those that Integral Human Pose (Sun et al., ECCV 2018) and its successors read,

    annot/s_01_act_02_subact_01_ca_01/matlab_meta.txt   a count, then lines of a word and numbers: picture size, R' (9),
                                                        T (3): X_camera = R (X - T), f (2), c (2), k (3), p (2), which
                                                        17 joints, and for each frame 32 world joints in mm

3DMPPE leaves the lens's distortion out, so that its joints miss the pictures by ten pixels and more at their rims,
unless metadata.xml lies beside its folders.
"""

import json
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from jaxtyping import Float

from monobody.data.datasets.h36m_clip import JOINTS_17, Clip, Labels, seen_labels
from monobody.data.datasets.h36m_metadata import read_metadata
from monobody.data.datasets.numbered_files import NumberedFiles
from monobody.data.lens import Lens
from monobody.errors import UserError

CAMERAS = ("54138969", "55011271", "58860488", "60457274")
"""The serial numbers of the cameras 1 to 4."""
_FOLDER = re.compile(r"s_(\d\d)_act_(\d\d)_subact_(\d\d)_ca_0([1-4])$")
_HEADER = {"R": (2, 9), "T": (3, 3), "f": (4, 2), "c": (5, 2), "k": (6, 3), "p": (7, 2)}
"""The lines of matlab_meta.txt that hold the camera, and how many numbers each has."""
_FIRST_FRAME = 9


def is_there(root: Path) -> bool:
    """Return whether a folder has this form."""
    return (root / "images").is_dir() and (
        any((root / "annotations").glob("Human36M_subject*_joint_3d.json")) or any(root.glob("annot/s_*"))
    )


def clips(root: Path, subjects: tuple[int, ...], every: int) -> Iterator[Clip]:
    """Yield the clips of some subjects whose pictures and labels are there.

    Raises:
        UserError: a file of labels is damaged.
    """
    for folder in sorted((root / "images").glob("s_*")):
        match = _FOLDER.match(folder.name)
        if match is None or int(match[1]) not in subjects:
            continue
        subject, action, trial, camera = (int(number) for number in match.groups())
        text = root / "annot" / folder.name / "matlab_meta.txt"
        if text.is_file():
            count, read = _frames_in_text(text), partial(_labels_of_text, text, every)
        else:
            count, read = (
                len(_json_joints(root, subject).get((action, trial), ())),
                partial(_labels_of_json, root, subject, action, trial, camera, every),
            )
        yield Clip(
            subject=subject,
            recording=f"act_{action:02d}_subact_{trial:02d}",
            camera=CAMERAS[camera - 1],
            trial=trial - 1,
            frames=range(1, count + 1, every),
            pictures=NumberedFiles(folder=str(folder), name=f"{folder.name}_%06d.jpg"),
            read_labels=read,
        )


def missing(root: Path, subjects: Sequence[int]) -> list[str]:
    """Return which clips of some subjects are missing, in words."""
    folders = {path.name for path in (root / "images").glob("s_*")}
    wanted = {
        f"s_{subject:02d}_act_{action:02d}_subact_{trial:02d}_ca_{camera:02d}"
        for subject in subjects
        for action in range(2, 17)
        for trial in (1, 2)
        for camera in (1, 2, 3, 4)
    } - {"s_11_act_02_subact_02_ca_01"}
    lost = sorted(wanted - folders)
    return [f"{root}/images lacks {len(lost)} of {len(wanted)} clips ({', '.join(lost[:3])} ...)."] if lost else []


def _labels_of_json(root: Path, subject: int, action: int, trial: int, camera: int, every: int) -> Labels:
    path = root / "annotations" / f"Human36M_subject{subject}_camera.json"
    try:
        rotation, shift, focal, principal = (
            np.array(json.loads(path.read_text())[str(camera)][name], np.float64) for name in ("R", "t", "f", "c")
        )
        joints = (_json_joints(root, subject)[action, trial][::every] @ rotation.T + shift) / 1000
    except Exception as error:  # Damaged archives raise nearly anything.
        raise UserError(f"{path} is missing or damaged ({error!r}): download the annotations again.") from error
    metadata = root / "metadata.xml"
    lens = _lens(focal, principal, np.zeros(3), np.zeros(2))
    return seen_labels(
        joints,
        read_metadata(metadata).lens(CAMERAS[camera - 1]) if metadata.is_file() else lens,
        str(path),
        (rotation, shift / 1000),
    )


@lru_cache(maxsize=2)
def _json_joints(root: Path, subject: int) -> dict[tuple[int, int], Float[np.ndarray, "n 17 3"]]:
    """Return a subject's world joints (mm) by action and trial."""
    path = root / "annotations" / f"Human36M_subject{subject}_joint_3d.json"
    try:
        content = json.loads(path.read_text())
        return {
            (int(action), int(trial)): np.array(
                [frames[str(number)] for number in range(len(frames))], np.float64
            ).reshape(len(frames), 17, 3)
            for action, trials in content.items()
            for trial, frames in trials.items()
        }
    except Exception as error:  # Damaged archives raise nearly anything.
        raise UserError(f"{path} is missing or damaged ({error!r}): download the annotations again.") from error


def _frames_in_text(path: Path) -> int:
    with path.open() as file:
        return max(sum(1 for line in file if line.strip()) - _FIRST_FRAME, 0)


def _labels_of_text(path: Path, every: int) -> Labels:
    try:
        lines = [line.split()[1:] for line in path.read_text().splitlines() if line.strip()]
        camera = {name: np.array(lines[row][:count], np.float64) for name, (row, count) in _HEADER.items()}
        world = np.array([line[:96] for line in lines[_FIRST_FRAME::every]], np.float64).reshape(-1, 32, 3)
        rotation = camera["R"].reshape(3, 3).T
        joints = (world[:, list(JOINTS_17)] - camera["T"]) @ rotation.T / 1000
        lens = _lens(camera["f"], camera["c"], camera["k"], camera["p"])
    except Exception as error:  # Damaged archives raise nearly anything.
        raise UserError(f"{path} is damaged or of another form ({error}): write it again.") from error
    return seen_labels(joints, lens, str(path), (rotation, -rotation @ camera["T"] / 1000))


def _lens(focal: np.ndarray, principal: np.ndarray, radial: np.ndarray, tangential: np.ndarray) -> Lens:
    fx, fy, cx, cy, k1, k2, k3, p1, p2 = (float(x) for x in (*focal, *principal, *radial, *tangential))
    return Lens(focal_px=(fx, fy), principal_px=(cx, cy), radial=(k1, k2, k3), tangential=(p1, p2))
