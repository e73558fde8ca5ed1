"""The clips of MPI-INF-3DHP: its annotation files and calibrations read, and the frames chosen that are kept.

The layout on disk and the rule are told in `mpi_inf_3dhp.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from monobody.body.skeleton import correspondence
from monobody.data.datasets.mpi_inf_3dhp_masks import Masks, masks_of
from monobody.data.datasets.numbered_files import NumberedFiles
from monobody.data.lens import Lens, fitted_lens, seen_at
from monobody.data.video_frames import VideoFrames
from monobody.errors import UserError

CAMERAS = (0, 1, 2, 4, 5, 6, 7, 8)
LEAST_INSIDE = 8
MOVED_M = 0.2
LARGEST_MISMATCH_PX = 3.0
ACTIVITIES = (
    "Standing/Walking", "Exercising", "Sitting", "Reaching/Crouching", "On the floor", "Sports", "Miscellaneous",
)  # fmt: skip
"""What the test set's numbers 1 to 7 mean."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """The kept frames of one recording by one camera."""

    name: str
    """Such as "S1/Seq1/video_0" or "TS1"."""
    frames: Int[np.ndarray, "n"]
    """Numbers of the kept frames, from 0."""
    pictures: NumberedFiles | VideoFrames
    """The pictures by number: from 1 where they are files, from 0 in a video."""
    skeleton: str
    """Which joint set: "mpi_inf_3dhp28" in training, "mpi_inf_3dhp17" in the test set."""
    joints_cam_m: Float[np.ndarray, "n joints 3"]
    seen_px: Float[np.ndarray, "n joints 2"]
    lens: Lens | None
    """None where the joints are not where they were seen."""
    outside: int = 0
    """How many frames show too few of the joints."""
    unmoved: int = 0
    """How many of the others differ too little from one that is kept."""
    invalid: int = 0
    """How many frames of a test sequence are not valid."""
    activities: Int[np.ndarray, "n"] | None = None
    """What is done in each frame, 1 to 7 as in ACTIVITIES; None in training."""
    masks: Masks | None = None
    """Where the masks of its frames lie."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """All frames of a recording as one camera has them."""

    seen_px: Float[np.ndarray, "n 28 2"]
    joints_cam_m: Float[np.ndarray, "n 28 3"]
    lens: Lens
    size: tuple[int, int]
    """Width and height of the picture."""


def moved(joints_m: Float[np.ndarray, "n joints 3"], least_m: float) -> Int[np.ndarray, "m"]:
    """Return the frames to keep: the first, and each in which some joint is ``least_m`` from where it last was kept."""
    kept: list[int] = []
    for number, joints in enumerate(joints_m):
        if not kept or np.square(joints - joints_m[kept[-1]]).sum(-1).max() >= least_m**2:
            kept.append(number)
    return np.array(kept, np.int64)


def read_calibration(path: Path) -> dict[int, tuple[Lens, tuple[int, int]]]:
    """Return the lens and the picture size (width, height) of each camera of a recording.

    Raises:
        UserError: the file is missing, not of that form, or lacks one of CAMERAS.
    """
    cameras: dict[int, tuple[Lens, tuple[int, int]]] = {}
    try:
        name, size = -1, (0, 0)
        for line in path.read_text().splitlines():
            word, *values = line.split() or [""]
            if word == "name":
                name = int(values[0])
            elif word == "size":
                size = (int(values[0]), int(values[1]))
            elif word == "intrinsic":
                k = np.array(values, np.float64).reshape(4, 4)
                cameras[name] = (Lens(focal_px=(k[0, 0], k[1, 1]), principal_px=(k[0, 2], k[1, 2])), size)
    except (OSError, ValueError, IndexError) as error:
        raise UserError(f"{path} cannot be read as a camera calibration ({error}): download it again.") from error
    if not cameras.keys() >= set(CAMERAS):
        raise UserError(f"{path} lacks some of the cameras {CAMERAS}: download it again.")
    return cameras


def train_clips(root: Path, subjects: Sequence[int]) -> Iterator[Clip]:
    """Yield the kept frames of some subjects, by recording and camera."""
    to_lsp = list(correspondence("mpi_inf_3dhp28", "lsp14"))
    for folder in (root / f"S{subject}" / f"Seq{sequence}" for subject in subjects for sequence in (1, 2)):
        if not (folder / "annot.mat").is_file():
            continue
        annotations, cameras = read_annotations(folder / "annot.mat"), read_calibration(folder / "camera.calibration")
        for camera in CAMERAS:
            if not frames_folder(folder, camera).is_dir() and not video(folder, camera).is_file():
                continue
            view = seen_by(folder, camera, annotations, cameras)
            seen, joints = view.seen_px, view.joints_cam_m
            inside = np.flatnonzero(in_picture(seen[:, to_lsp], view.size).sum(1) >= LEAST_INSIDE)
            kept = inside[moved(joints[inside][:, to_lsp], MOVED_M)]
            yield Clip(
                name=f"{folder.parent.name}/{folder.name}/video_{camera}",
                frames=kept,
                pictures=pictures_of(folder, camera),
                skeleton="mpi_inf_3dhp28",
                joints_cam_m=joints[kept].astype(np.float32),
                seen_px=seen[kept].astype(np.float32),
                lens=view.lens,
                masks=masks_of(root, folder, camera),
                outside=len(seen) - len(inside),
                unmoved=len(inside) - len(kept),
            )


def seen_by(
    folder: Path,
    camera: int,
    annotations: tuple[list[np.ndarray], list[np.ndarray]],
    cameras: dict[int, tuple[Lens, tuple[int, int]]],
) -> Seen:
    """Return what is known of a recording in one camera.

    Raises:
        UserError: the 3D joints are not seen where the 2D joints are.
    """
    seen, joints = annotations[0][camera], annotations[1][camera] / 1000
    lens, size = cameras[camera]
    miss = float(np.median(np.linalg.norm(seen_at(joints, lens) - seen, axis=-1)))
    if not miss <= LARGEST_MISMATCH_PX:
        raise UserError(
            f"{folder}: camera {camera} sees the 3D joints {miss:.0f} pixels from the 2D joints, so annot.mat "
            "and camera.calibration are not of one recording: download them again."
        )
    return Seen(seen_px=seen, joints_cam_m=joints, lens=lens, size=size)


def read_annotations(path: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the joints of all cameras in a training sequence: (N, 28, 2) pixels and (N, 28, 3) mm, camera frame.

    Raises:
        UserError: the file is damaged or lacks cameras, or scipy is not installed.
    """
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise UserError("Reading MPI-INF-3DHP needs scipy: pip install 'monobody[data]'.") from error
    try:
        content: dict[str, Any] = loadmat(path, variable_names=["annot2", "annot3"])
        flat, deep = (
            [np.asarray(cell, np.float64).reshape(len(cell), 28, size) for cell in content[name].ravel()]
            for name, size in (("annot2", 2), ("annot3", 3))
        )
    except Exception as error:  # scipy raises nearly anything on a damaged file.
        raise UserError(f"{path} cannot be read as MPI-INF-3DHP's annotations ({error}): download it again.") from error
    if len(flat) <= max(CAMERAS) or [len(cell) for cell in flat] != [len(cell) for cell in deep]:
        raise UserError(f"{path} lacks cameras, or has not the same frames in annot2 and annot3: download it again.")
    return flat, deep


def test_clips(root: Path, universal: bool) -> Iterator[Clip]:
    """Yield the valid frames of the test sequences; ``universal``: see `mpi_inf_3dhp.py`."""
    try:
        import h5py
    except ImportError as error:
        raise UserError("Reading MPI-INF-3DHP's test set needs h5py: pip install 'monobody[data]'.") from error
    for number in range(1, 7):
        folder = test_folder(root, number)
        path = folder / "annot_data.mat"
        if not path.is_file():
            continue
        try:
            with h5py.File(path) as file:
                flags = np.asarray(file["valid_frame"]).ravel()
                valid = np.flatnonzero(flags == 1)
                joints = np.asarray(file["univ_annot3" if universal else "annot3"], np.float64)[valid, 0] / 1000
                seen = np.asarray(file["annot2"], np.float64)[valid, 0]
                activities = np.asarray(file["activity_annotation"]).ravel()[valid].astype(int)
            lens, error_px = fitted_lens(joints.reshape(-1, 3), seen.reshape(-1, 2), distorted=False)
        except Exception as error:  # Damaged archives raise nearly anything.
            raise UserError(
                f"{path} cannot be read as the test set's annotations ({error}): download it again."
            ) from error
        yield Clip(
            name=f"TS{number}",
            frames=valid,
            pictures=NumberedFiles(folder=f"{folder}/imageSequence", name="img_%06d.jpg"),
            skeleton="mpi_inf_3dhp17",
            joints_cam_m=joints.astype(np.float32),
            seen_px=seen.astype(np.float32),
            # Where scaling has moved the bodies out of their places, no camera sees them where the picture has them.
            lens=lens if error_px <= LARGEST_MISMATCH_PX else None,
            invalid=flags.size - valid.size,
            activities=activities,
        )


def in_picture(points_px: Float[np.ndarray, "*b 2"], size: tuple[int, int]) -> Bool[np.ndarray, "*b"]:
    """Return which points lie in a picture of that width and height."""
    return np.all((points_px >= 0) & (points_px < size), axis=-1)


def pictures_of(folder: Path, camera: int) -> NumberedFiles | VideoFrames:
    """Return the pictures of a recording's camera, files where there are any, else its video."""
    files = frames_folder(folder, camera)
    if files.is_dir():
        return NumberedFiles(folder=str(files), name="frame_%06d.jpg")
    return VideoFrames(video(folder, camera))


def frames_folder(folder: Path, camera: int) -> Path:
    """Return where the frames of a recording's camera lie."""
    places = [folder / name / f"video_{camera}" for name in ("imageFrames", "images")]
    return next((place for place in places if place.is_dir()), places[0])


def video(folder: Path, camera: int) -> Path:
    """Return where the video of a recording's camera lies."""
    return folder / "imageSequence" / f"video_{camera}.avi"


def test_folder(root: Path, number: int) -> Path:
    """Return where a test sequence lies."""
    inner = root / "mpi_inf_3dhp_test_set"
    return (inner if inner.is_dir() else root) / f"TS{number}"
