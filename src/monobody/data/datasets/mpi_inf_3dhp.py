"""MPI-INF-3DHP (Mehta et al., 3DV 2017): actors before many cameras, joints by markerless motion capture.

    S1/ ... S8/  Seq1/ Seq2/
      annot.mat                              MATLAB 5; for each of 14 cameras annot2 (N, 56) pixels, annot3 (N, 84) mm
      camera.calibration                     text: name, size, intrinsic (4 x 4), ... of each camera
      imageFrames/video_0/frame_000001.jpg   frames as the set's script unpacks them (or images/), numbered from 1,
      imageSequence/video_0.avi              or the videos as they are downloaded
    mpi_inf_3dhp_test_set/  TS1/ ... TS6/
      annot_data.mat                         MATLAB 7.3: annot2, annot3, univ_annot3 (N, 1, 17, .), valid_frame (N, 1)
      imageSequence/img_000001.jpg

Joints are in the camera frame: 28 in training, 17 in the test set. As HMR has it, training takes the cameras 0, 1, 2
and 4 to 8, keeps a frame of a camera when at least 8 of LSP's 14 joints are in the picture and some joint has moved by
200 mm since the last one kept, and leaves out S8. The test set's figures are computed on valid frames and with
`univ_annot3`, bodies scaled to one height; its cameras are found from its joints by least squares. Masks are those of
`mpi_inf_3dhp_masks.py`; the splits `train_s5` and `valid_s10` those of `mpi_inf_3dhp_moments.py`.
"""

from pathlib import Path
from typing import Literal, overload

import numpy as np

from monobody.body.skeleton import correspondence
from monobody.data.chained import Chained
from monobody.data.datasets.mpi_inf_3dhp_clips import (
    CAMERAS,
    LEAST_INSIDE,
    MOVED_M,
    frames_folder,
    in_picture,
    test_clips,
    test_folder,
    train_clips,
    video,
)
from monobody.data.datasets.mpi_inf_3dhp_moments import CHEST_HEIGHT, EVERY, moment_clips, moments_of
from monobody.data.datasets.numbered_files import NumberedFiles
from monobody.data.moments import Moments
from monobody.data.region import region_from_joints
from monobody.data.sample import Sample
from monobody.errors import UserError

LICENCE = "MPI-INF-3DHP licence: non-commercial research only, no redistribution."
GET_IT = (
    "Ask at https://vcai.mpi-inf.mpg.de/3dhp-dataset/ for the archive of scripts, choose the subjects in conf.ig, "
    "and run get_dataset.sh and get_testset.sh."
)
EXPECTED = {"train": 147_221, "validation": 0, "test": 2_929, "train_s5": 0, "valid_s10": 0}
"""HMR's count of training pictures of S1 to S7; the valid frames of TS1 to TS6 (603 + 540 + 505 + 553 + 276 + 452)."""

Split = Literal["train", "validation", "test", "train_s5", "valid_s10"]
SUBJECTS: dict[str, tuple[int, ...]] = {
    "train": (1, 2, 3, 4, 5, 6, 7),
    "validation": (8,),
    "train_s5": (1, 2, 3, 4, 5, 6),
    "valid_s10": (7, 8),
}


class MpiInf3dhp(Chained):
    """The kept frames of one split, clip by clip. Read them in order: a video starts over when asked to go back.

    Args:
        root: holds the subjects' folders, and `mpi_inf_3dhp_test_set` or its folders.
        split: "train" (S1 to S7), "validation" (S8), "test", or "train_s5" and "valid_s10", camera by camera.
        universal: whether the test set's joints are those of bodies scaled to one height, as its figures want.

    Raises:
        UserError: the folder holds no recording of the split, or a file is damaged.
    """

    def __init__(self, root: str | Path, split: Split = "train", *, universal: bool = True) -> None:
        root = Path(root)
        reasons: dict[str, int] = {}
        if split in EVERY:
            clips, reasons = moment_clips(root, SUBJECTS[split], split)
        else:
            found = test_clips(root, universal) if split == "test" else train_clips(root, SUBJECTS[split])
            clips = list(found)
        self.clips = [clip for clip in clips if len(clip.frames)]
        if not self.clips:
            raise UserError(f"{root} holds nothing of MPI-INF-3DHP's split {split}. {GET_IT}")
        left_out = {
            f"fewer than {LEAST_INSIDE} joints in the picture": sum(clip.outside for clip in clips),
            f"moved by less than {MOVED_M * 1000:.0f} mm": sum(clip.unmoved for clip in clips),
            "not among the valid frames": sum(clip.invalid for clip in clips),
        }
        self.left_out = {reason: count for reason, count in left_out.items() if count} | reasons
        super().__init__(len(clip.frames) for clip in self.clips)

    def name(self, index: int) -> str:
        """Return where a sample comes from: recording, camera and frame (from 1, as its files are numbered)."""
        part, place = self.find(index)
        clip = self.clips[part]
        return f"{clip.name}/{clip.frames[place] + 1:06d}"

    def sample(self, part: int, place: int) -> Sample:
        """Return a clip's sample, with the joints that the networks know."""
        clip = self.clips[part]
        image = clip.pictures[int(clip.frames[place]) + isinstance(clip.pictures, NumberedFiles)]
        order = list(correspondence(clip.skeleton, "lsp14"))
        keypoints, visible = np.zeros((19, 2), np.float32), np.zeros(19, np.float32)
        keypoints[:14] = clip.seen_px[place, order]
        visible[:14] = in_picture(keypoints[:14], (image.shape[1], image.shape[0]))
        mask = None if clip.masks is None else clip.masks(int(clip.frames[place]), *image.shape[:2])
        return Sample(
            image=image,
            mask=mask,
            crop=region_from_joints(keypoints[:14]),
            keypoints_px=keypoints,
            visible=visible,
            joints_cam_m=clip.joints_cam_m[place, order],
            focal_px=clip.lens.pinhole_focal_px if clip.lens else None,
            principal_px=clip.lens.principal_px if clip.lens else None,
        )


@overload
def samples(root: str | Path, split: Literal["train", "validation", "test"] = "train") -> MpiInf3dhp: ...
@overload
def samples(root: str | Path, split: Literal["train_s5", "valid_s10"]) -> Moments: ...
def samples(root: str | Path, split: Split = "train") -> MpiInf3dhp | Moments:
    """Return the kept frames of a split; of `train_s5` and `valid_s10` the moments."""
    people = MpiInf3dhp(root, split)
    return moments_of(people, people.clips) if split in EVERY else people


def check(root: str | Path, split: Split | None = None) -> list[str]:
    """Return what a split lacks, or all of them where none is named, in words; an empty list where all is there."""
    root = Path(root)
    problems = []
    cameras = CHEST_HEIGHT if split in EVERY else CAMERAS
    for subject in sorted({subject for each in SUBJECTS if split in (each, None) for subject in SUBJECTS[each]}):
        if not (root / f"S{subject}").is_dir():
            problems.append(f"{root / f'S{subject}'} is missing.")
            continue
        for sequence in (1, 2):
            folder = root / f"S{subject}" / f"Seq{sequence}"
            if not folder.is_dir():
                problems.append(f"{folder} is missing.")
                continue
            for name in ("annot.mat", "camera.calibration"):
                if not (folder / name).is_file():
                    problems.append(f"{folder / name} is missing.")
            lost = [c for c in cameras if not frames_folder(folder, c).is_dir() and not video(folder, c).is_file()]
            if lost:
                problems.append(f"{folder} has neither frames nor videos of the cameras {', '.join(map(str, lost))}.")
    for number in range(1, 7) if split in ("test", None) else ():
        folder = test_folder(root, number)
        if not (folder / "annot_data.mat").is_file() or not any((folder / "imageSequence").glob("img_*.jpg")):
            problems.append(f"{folder} lacks annot_data.mat or imageSequence/img_000001.jpg, ...")
    return problems
