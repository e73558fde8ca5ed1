"""Human3.6M in the forms into which others have turned it, each recognised by its own files below the root.

"mmpose": what `preprocess_h36m.py` of mmpose writes.

    annotation_body3d/fps10/h36m_train.npz    `imgname`, `part` (N, 17, 3): x, y, 1; `S` (N, 17, 4): metres, 1
    annotation_body3d/cameras.pkl             lenses, (subject, camera) -> f, c, k, p
    images/S1/S1_Directions_1.54138969/S1_Directions_1.54138969_000001.jpg

"h36m-fetch": what h36m-fetch's `process_all.py` writes.

    S1/Directions-1/annot.h5                  `pose/2d`, `pose/3d` (N, 32, ...), mm; `camera`, `frame`
    S1/Directions-1/imageSequence/54138969/img_000001.jpg

"VideoPose3D": its archive of world joints, beside the data set's own videos and metadata.

    data_3d_h36m.npz                          `positions_3d`: subject -> recording -> (N, 32, 3), metres, world frame
    metadata.xml  S1/Videos/...

"folders": pictures in one folder a clip, `h36m_folders.py`.

3D joints are in the camera frame but for VideoPose3D's. Frames are numbered from 1 in names of pictures. Where no lens
is given, the one that leads from the 3D joints to the 2D joints is found by least squares. Pickles are read by
`body/unpickle.py`, which runs nothing that is in them.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from monobody.body.unpickle import read_nested
from monobody.data.datasets import h36m_folders
from monobody.data.datasets.h36m_clip import JOINTS_17, Clip, Labels, agreeing_labels, seen_labels
from monobody.data.datasets.h36m_metadata import read_metadata
from monobody.data.datasets.numbered_files import NumberedFiles
from monobody.data.lens import Lens, fitted_lens
from monobody.data.video_frames import VideoFrames
from monobody.errors import UserError

Form = Literal["mmpose", "h36m-fetch", "VideoPose3D", "folders"]
MMPOSE_SUBJECTS = {"train": {1, 5, 6, 7, 8}, "test": {9, 11}}
ARCHIVE = "data_3d_h36m.npz"
RENAMED = {"Photo": "TakingPhoto", "WalkDog": "WalkingDog"}
"""VideoPose3D's names of actions that some subjects' files spell otherwise."""
_PICTURE = re.compile(r"(?:^|/)S(?P<subject>\d+)_(?P<recording>[^/]+)\.(?P<camera>\d+)_(?P<frame>\d+)\.\w+$")


def form_of(root: Path) -> Form | None:
    """Return which form a folder has, None where it is the data set's own or nothing at all."""
    if (root / "annotation_body3d").is_dir():
        return "mmpose"
    if any(root.glob("S*/*/annot.h5")):
        return "h36m-fetch"
    if (root / ARCHIVE).is_file() and not any(root.glob("S*/MyPoseFeatures")):
        return "VideoPose3D"
    return "folders" if h36m_folders.is_there(root) else None


def clips(root: Path, subjects: tuple[int, ...], every: int) -> list[Clip]:
    """Return the clips of some subjects in whichever form a folder has.

    Raises:
        UserError: a file is damaged, or lacks what its form has.
    """
    read = {"mmpose": _mmpose, "h36m-fetch": _fetched, "VideoPose3D": _videopose, "folders": h36m_folders.clips}
    form = form_of(root)
    return list(read[form](root, subjects, every)) if form else []


def missing(root: Path, subjects: Sequence[int]) -> list[str]:
    """Return what is missing of some subjects from an exported form, in words."""
    problems = []
    form = form_of(root)
    if form == "folders":
        return h36m_folders.missing(root, subjects)
    if form == "mmpose":
        for split, members in MMPOSE_SUBJECTS.items():
            if not members.isdisjoint(subjects) and not _annotations(root, split):
                problems.append(f"{root}/annotation_body3d/fps10/h36m_{split}.npz is missing.")
        if not (root / "images").is_dir():
            problems.append(f"{root}/images, the frames of the videos, is missing.")
    if form == "VideoPose3D" and not (root / "metadata.xml").is_file():
        problems.append(f"{root}/metadata.xml, which holds the cameras, is missing beside {ARCHIVE}.")
    for subject in subjects:
        if form == "h36m-fetch" and not any((root / f"S{subject}").glob("*/annot.h5")):
            problems.append(f"S{subject}: no */annot.h5.")
        if form == "VideoPose3D" and not any((root / f"S{subject}" / "Videos").glob("*.mp4")):
            problems.append(f"S{subject}: no Videos/*.mp4.")
    return problems


def _mmpose(root: Path, subjects: tuple[int, ...], every: int) -> Iterator[Clip]:
    trials = _trials(root)
    for split in ("train", "test"):
        path = _annotations(root, split)
        if path is None:
            continue
        found = [_PICTURE.search(str(name)) for name in _table(path)["imgname"]]
        rows: dict[tuple[int, str, str], list[int]] = {}
        for row, match in enumerate(found):
            if match is None:
                raise UserError(f"{path} names pictures otherwise than mmpose does (row {row}): write it again.")
            if int(match["subject"]) in subjects and (int(match["frame"]) - 1) % every == 0:
                rows.setdefault((int(match["subject"]), match["recording"], match["camera"]), []).append(row)
        for (subject, recording, camera), mine in rows.items():
            stem = f"S{subject}_{recording}.{camera}"
            # The files' spaces have become underscores: "Directions_1".
            spaced = recording.replace("_", " ")
            yield Clip(
                subject=subject,
                recording=spaced,
                camera=camera,
                trial=trials.get((subject, spaced)),
                frames=[int(match["frame"]) for match in (found[row] for row in mine) if match],
                pictures=NumberedFiles(folder=f"{root}/images/S{subject}/{stem}", name=f"{stem}_%06d.jpg"),
                read_labels=partial(_mmpose_labels, root, path, subject, camera, tuple(mine)),
            )


def _mmpose_labels(root: Path, path: Path, subject: int, camera: str, rows: tuple[int, ...]) -> Labels:
    table, keep = _table(path), list(rows)
    joints, seen = table["S"][keep, :, :3], table["part"][keep, :, :2]
    return agreeing_labels(joints, seen, _mmpose_lens(root, subject, camera) or _lens(joints, seen), str(path))


@lru_cache(maxsize=64)
def _mmpose_lens(root: Path, subject: int, camera: str) -> Lens | None:
    path = root / "annotation_body3d" / "cameras.pkl"
    if not path.is_file():
        return None
    try:
        f, c, k, p = (np.ravel(read_nested(path)[(f"S{subject}", camera)][name]) for name in "fckp")
        return Lens(
            focal_px=(f[0], f[1]), principal_px=(c[0], c[1]), radial=(k[0], k[1], k[2]), tangential=(p[0], p[1])
        )
    except (KeyError, TypeError, IndexError) as error:
        raise UserError(f"{path} lacks camera {camera} of S{subject}: write it again with mmpose.") from error


def _annotations(root: Path, split: str) -> Path | None:
    """Return mmpose's file of a split, the fewer frames a second the better."""
    found = list((root / "annotation_body3d").glob(f"fps*/h36m_{split}.npz"))
    return min(found, key=lambda path: (len(path.parent.name), path.parent.name), default=None)


@lru_cache(maxsize=2)
def _table(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as file:
            table = {name: file[name] for name in ("imgname", "part", "S")}
    except Exception as error:  # Damaged archives raise nearly anything.
        raise UserError(f"{path} is not what mmpose writes for Human3.6M: {error}. Write it again.") from error
    shapes = {name: array.shape[1:] for name, array in table.items()}
    if shapes != {"imgname": (), "part": (17, 3), "S": (17, 4)}:
        raise UserError(f"{path} holds arrays of other shapes than mmpose writes: {shapes}. Write it again.")
    return table


def _fetched(root: Path, subjects: tuple[int, ...], every: int) -> Iterator[Clip]:
    del every  # Its frames are already a choice of the videos'.
    for subject in subjects:
        for path in sorted((root / f"S{subject}").glob("*/annot.h5")):
            action, _, trial = path.parent.name.rpartition("-")
            content = _fetched_content(path)
            for camera in np.unique(content["camera"]):
                rows = np.flatnonzero(content["camera"] == camera)
                yield Clip(
                    subject=subject,
                    recording=path.parent.name,
                    camera=str(camera),
                    trial=int(trial) - 1 if action and trial.isdigit() else None,
                    frames=[int(frame) for frame in content["frame"][rows]],
                    pictures=NumberedFiles(folder=f"{path.parent}/imageSequence/{camera}", name="img_%06d.jpg"),
                    read_labels=partial(_fetched_labels, path, int(camera)),
                )


def _fetched_labels(path: Path, camera: int) -> Labels:
    content = _fetched_content(path)
    rows, keep = content["camera"] == camera, list(JOINTS_17)
    joints, seen = content["pose/3d"][rows][:, keep] / 1000, content["pose/2d"][rows][:, keep]
    return agreeing_labels(joints, seen, _lens(joints, seen), str(path))


@lru_cache(maxsize=2)
def _fetched_content(path: Path) -> dict[str, np.ndarray]:
    try:
        import h5py
    except ImportError as error:
        raise UserError("Reading .h5 files needs h5py: pip install 'monobody[data]'.") from error
    names = ("pose/2d", "pose/3d", "camera", "frame")
    try:
        with h5py.File(path) as file:
            content = {name: np.asarray(file[name]) for name in names}
    except Exception as error:  # Damaged archives raise nearly anything.
        raise UserError(f"{path} is damaged or has not all of {', '.join(names)}: process it again.") from error
    if {len(array) for array in content.values()} != {len(content["frame"])}:
        raise UserError(f"{path} has not the same frames in all of {', '.join(names)}: process it again.")
    return content


def _videopose(root: Path, subjects: tuple[int, ...], every: int) -> Iterator[Clip]:
    metadata = read_metadata(root / "metadata.xml")
    trials = _trials(root)
    positions = _positions(root / ARCHIVE)
    for subject in subjects:
        for recording, joints in positions.get(f"S{subject}", {}).items():
            action, _, number = recording.partition(" ")
            spelled = f"{RENAMED.get(action, action)} {number}".strip()
            for camera in metadata.cameras:
                videos = [root / f"S{subject}" / "Videos" / f"{name}.{camera}.mp4" for name in (spelled, recording)]
                video = next((path for path in videos if path.is_file()), None)
                if video is not None:
                    name = video.name.removesuffix(f".{camera}.mp4")
                    yield Clip(
                        subject=subject,
                        recording=name,
                        camera=camera,
                        trial=trials.get((subject, name)),
                        frames=range(0, len(joints), every),
                        pictures=VideoFrames(video),
                        read_labels=partial(_videopose_labels, root, subject, recording, camera, every),
                    )


def _videopose_labels(root: Path, subject: int, recording: str, camera: str, every: int) -> Labels:
    metadata = read_metadata(root / "metadata.xml")
    world = _positions(root / ARCHIVE)[f"S{subject}"][recording][::every][:, list(JOINTS_17)]
    return seen_labels(
        metadata.to_camera_m(world, subject, camera),
        metadata.lens(camera),
        f"{root / ARCHIVE}, {recording}",
        metadata.pose(subject, camera),
    )


@lru_cache(maxsize=1)
def _positions(path: Path) -> dict[str, dict[str, np.ndarray]]:
    content: Any = read_nested(path, "positions_3d.npy")
    for recordings in content.values() if isinstance(content, dict) else [None]:
        arrays = list(recordings.values()) if isinstance(recordings, dict) else [None]
        if not all(isinstance(array, np.ndarray) and array.shape[1:] == (32, 3) for array in arrays):
            raise UserError(
                f"{path} does not hold subjects with recordings of 32 joints: write it again with VideoPose3D."
            )
    return content


def _trials(root: Path) -> dict[tuple[int, str], int]:
    """Return which performance a recording is, by subject and name, where metadata.xml is at hand."""
    if not (root / "metadata.xml").is_file():
        return {}
    return {(r.subject, r.name): r.trial for r in read_metadata(root / "metadata.xml").recordings}


def _lens(joints_cam_m: np.ndarray, seen_px: np.ndarray) -> Lens:
    return fitted_lens(joints_cam_m.reshape(-1, 3), seen_px.reshape(-1, 2), distorted=True)[0]
