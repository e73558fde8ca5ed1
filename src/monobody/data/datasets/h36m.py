"""Human3.6M (Ionescu et al., PAMI 2014): actors before four calibrated cameras, joints by motion capture.

    metadata.xml                                                    file names, cameras
    S1/ S5/ S6/ S7/ S8/ S9/ S11/
      Videos/Directions 1.54138969.mp4                              50 frames a second, 1000 x 1000 or 1000 x 1002
      MyPoseFeatures/D2_Positions/Directions 1.54138969.cdf         `Pose` (1, N, 64): 32 joints, pixels
      MyPoseFeatures/D3_Positions_mono/Directions 1.54138969.cdf    `Pose` (1, N, 96): mm, camera frame

or one of the forms into which others have turned it: `h36m_exports.py`. Every fifth frame (10 a second) is what HMR
and its successors use. Protocol 1 tests on all clips of S9 and S11, protocol 2 on the first trial in the frontal
camera. `train_selected` and `valid`, and masks, are told in `h36m_moments.py`. The first camera's video of S11's second
trial of Directions is corrupt and always left out; older scripts also lack S11's "Phoning 2", which is kept here.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, overload

import numpy as np

from monobody.data.cdf import pose_frames, read_poses
from monobody.data.chained import Chained
from monobody.data.datasets import h36m_exports
from monobody.data.datasets.h36m_clip import JOINTS_17, Clip, Labels, agreeing_labels, sample_of
from monobody.data.datasets.h36m_metadata import Recording, read_metadata
from monobody.data.datasets.h36m_moments import PER_RECORDING, mask_file, masks_home, moments_of, rectified_mask
from monobody.data.lens import Lens
from monobody.data.moments import Moments
from monobody.data.sample import Sample
from monobody.data.video_frames import VideoFrames
from monobody.errors import UserError

LICENCE = "Human3.6M licence: academic research only, no redistribution, no commercial use."
GET_IT = (
    "Register at http://vision.imar.ro/human3.6m and download for each subject the videos, the 2D poses "
    "(D2_Positions) and the monocular 3D poses (D3_Positions_mono); metadata.xml comes with the data set's code."
)
EXPECTED = {"train": 312_188, "test": 0, "test_p2": 0, "train_selected": 88_000, "valid": 9_600}
"""HMR's count of training pictures, every fifth frame; others count some hundred fewer. None is known of the tests. The
last two are X as Supervision's."""

Split = Literal["train", "test", "test_p2", "train_selected", "valid"]
SUBJECTS: dict[Split, tuple[int, ...]] = {
    "train": (1, 5, 6, 7, 8),
    "test": (9, 11),
    "test_p2": (9, 11),
    "train_selected": (1, 5, 6, 7, 8),
    "valid": (9, 11),
}
FRONTAL = "60457274"
CORRUPT = {(11, name, "54138969") for name in ("Directions", "Directions-2", "act_02_subact_02")}
"""Subject, name and camera of the video that does not decode, under the names that it has in the several forms."""
KEPT_OPEN = 4
"""Clips whose labels are kept: the views of one moment."""
VIDEOS, FLAT, DEEP = "Videos/{}.mp4", "D2_Positions/{}.cdf", "D3_Positions_mono/{}.cdf"
PREFIXES = ("MyPoseFeatures/", "Poses_", "")
"""What stands before the folders of poses: as documented, and as the downloads unpack."""


class H36M(Chained):
    """The kept frames of one split, clip by clip. Read them in order: a video starts over when asked to go back.

    Args:
        root: holds metadata.xml and the subjects' folders, or one of the forms of `h36m_exports.py`.
        split: "train", "test" (protocol 1), "test_p2", or the subjects of one of the others.
        every: keep each so-manieth frame of the videos.

    Raises:
        UserError: the folder holds none of the split's recordings. What else is missing, :func:`check` tells.
    """

    def __init__(self, root: str | Path, split: Split = "train", *, every: int = 5) -> None:
        root, subjects = Path(root), SUBJECTS[split]
        exported = h36m_exports.form_of(root) is not None
        clips = list((h36m_exports.clips if exported else _original)(root, subjects, every))
        corrupt = [clip for clip in clips if (clip.subject, clip.recording, clip.camera) in CORRUPT]
        clips = [clip for clip in clips if clip not in corrupt]
        lost = sum(len(clip.frames) for clip in corrupt)
        self.left_out = {"the video is corrupt as published": lost} if lost else {}
        if split == "test_p2":
            if any(clip.trial is None for clip in clips):
                raise UserError(f"{root} does not tell first trials from second ones: put metadata.xml there.")
            clips = [clip for clip in clips if clip.trial == 0 and clip.camera == FRONTAL]
        self.clips = [clip for clip in clips if len(clip.frames)]
        if not self.clips:
            named = ", ".join(f"S{subject}" for subject in subjects)
            raise UserError(f"{root} holds no recordings of {named}. {GET_IT}")
        super().__init__(len(clip.frames) for clip in self.clips)
        self.masks = masks_home(root)
        self._open: dict[int, Labels] = {}

    def name(self, index: int) -> str:
        """Return where a sample comes from: subject, recording, camera and frame."""
        clip, place = self.find(index)
        return f"{self.clips[clip].name}/{self.clips[clip].frames[place]:06d}"

    def labels(self, part: int) -> Labels:
        """Return what is known of a clip's kept frames: all 17 joints, the lens, and where the camera stood.

        Read once for as long as the same clip is wanted, or the four of one recording by turns.
        """
        if part not in self._open:
            if len(self._open) >= KEPT_OPEN:
                del self._open[next(iter(self._open))]
            self._open[part] = self.clips[part].read_labels()
        return self._open[part]

    def sample(self, part: int, place: int) -> Sample:
        """Return a clip's sample, with its mask where there is one."""
        clip, labels = self.clips[part], self.labels(part)
        picture = clip.pictures[clip.frames[place]]
        sample = sample_of(picture, labels.joints_cam_m[place], labels.lens)
        path = None if self.masks is None else mask_file(self.masks, clip, place)
        mask = None if path is None else rectified_mask(path, picture, labels.lens)
        return sample if mask is None else replace(sample, mask=mask)


@overload
def samples(root: str | Path, split: Literal["train", "test", "test_p2"] = "train") -> H36M: ...
@overload
def samples(root: str | Path, split: Literal["train_selected", "valid"]) -> Moments: ...
def samples(root: str | Path, split: Split = "train") -> H36M | Moments:
    """Return every fifth frame of a split; of `train_selected` and `valid` the moments."""
    if split not in PER_RECORDING:
        return H36M(root, split)
    people = H36M(root, split, every=1)
    return moments_of(people, people.clips, split)


def check(root: str | Path, split: Split | None = None) -> list[str]:
    """Return what a split lacks, or all of them where none is named, in words; an empty list where all is there."""
    root = Path(root)
    subjects = sorted({subject for each in SUBJECTS if split in (each, None) for subject in SUBJECTS[each]})
    if h36m_exports.form_of(root) is not None:
        return h36m_exports.missing(root, subjects)
    try:
        metadata = read_metadata(root / "metadata.xml")
    except UserError as error:
        return [str(error)]
    problems = []
    for subject in subjects:
        if not (root / f"S{subject}").is_dir():
            problems.append(f"{root / f'S{subject}'} is missing.")
            continue
        wanted = [
            (recording, camera)
            for recording in metadata.recordings
            for camera in metadata.cameras
            if recording.subject == subject
            and (subject, recording.name, camera) not in CORRUPT
            and (split != "test_p2" or (recording.trial == 0 and camera == FRONTAL))
        ]
        for kind in (VIDEOS, FLAT, DEEP):
            lost = [f"{r.name}.{camera}" for r, camera in wanted if not _file(root, kind, r, camera).is_file()]
            if lost:
                named = ", ".join(lost[:3]) + (", ..." if len(lost) > 3 else "")
                folder = kind.split("/")[0]
                problems.append(f"S{subject}: {len(lost)} of {len(wanted)} files of {folder} are missing ({named}).")
    return problems


def _original(root: Path, subjects: tuple[int, ...], every: int) -> Iterator[Clip]:
    """Yield the clips of the data set's own layout whose three files are there."""
    metadata = read_metadata(root / "metadata.xml")
    for recording in metadata.recordings:
        for camera in metadata.cameras if recording.subject in subjects else ():
            video, flat, deep = (_file(root, kind, recording, camera) for kind in (VIDEOS, FLAT, DEEP))
            if video.is_file() and flat.is_file() and deep.is_file():
                yield Clip(
                    subject=recording.subject,
                    recording=recording.name,
                    camera=camera,
                    trial=recording.trial,
                    frames=range(0, pose_frames(deep), every),
                    pictures=VideoFrames(video),
                    read_labels=partial(
                        _read_labels,
                        flat,
                        deep,
                        every,
                        metadata.lens(camera),
                        metadata.pose(recording.subject, camera),
                    ),
                )


def _read_labels(flat: Path, deep: Path, every: int, lens: Lens, pose: tuple[np.ndarray, np.ndarray]) -> Labels:
    joints, seen = read_poses(deep, 3), read_poses(flat, 2)
    if joints.shape[1] != 32 or seen.shape[:2] != joints.shape[:2]:
        raise UserError(
            f"{deep} and {flat} hold {joints.shape[:2]} and {seen.shape[:2]} frames and joints, "
            "not as many frames of 32 joints: unpack them again."
        )
    keep = list(JOINTS_17)
    return agreeing_labels(joints[::every, keep] / 1000, seen[::every, keep], lens, str(deep), pose)


def _file(root: Path, kind: str, recording: Recording, camera: str) -> Path:
    """Return where a file of a recording lies, or where it should."""
    inside = kind.format(f"{recording.name}.{camera}")
    folder = root / f"S{recording.subject}"
    places = [folder / inside] if kind == VIDEOS else [folder / f"{prefix}{inside}" for prefix in PREFIXES]
    return next((place for place in places if place.is_file()), places[0])
