"""MPI-INF-3DHP as X as Supervision takes it: frames that five cameras at chest height saw whole.

    train_s5     S1 to S6, every fifth frame
    valid_s10    S7 and S8 **of the training set**, every tenth frame; the official test set is the split `test`

A moment is left out when in any view a joint leaves the picture, more than 4 of the 28 joints lie on the chair, or more
than 85 % of the picture is before the green screen. The latter two hold where there are such masks
(`mpi_inf_3dhp_masks.py`), each of which is looked at once when the set is opened.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from monobody.data.datasets.mpi_inf_3dhp_clips import (
    Clip,
    Seen,
    frames_folder,
    in_picture,
    pictures_of,
    read_annotations,
    read_calibration,
    seen_by,
    video,
)
from monobody.data.datasets.mpi_inf_3dhp_masks import masks_of
from monobody.data.moments import Moments
from monobody.data.sample import Sample

CHEST_HEIGHT = (0, 2, 4, 7, 8)
EVERY = {"train_s5": 5, "valid_s10": 10}
OUTSIDE = "a joint outside a picture"
NOT_ALL = "recordings without the five cameras"


def moment_clips(root: Path, subjects: tuple[int, ...], split: str) -> tuple[list[Clip], dict[str, int]]:
    """Return the clips of all recordings, the five of one after the other with the same frames, and what was left out.

    Raises:
        UserError: a file is damaged, or two are not of one recording.
    """
    clips: list[Clip] = []
    left_out: Counter[str] = Counter()
    for folder in (root / f"S{subject}" / f"Seq{sequence}" for subject in subjects for sequence in (1, 2)):
        if not (folder / "annot.mat").is_file():
            continue
        if not all(frames_folder(folder, c).is_dir() or video(folder, c).is_file() for c in CHEST_HEIGHT):
            left_out[NOT_ALL] += 1
            continue
        annotations, cameras = read_annotations(folder / "annot.mat"), read_calibration(folder / "camera.calibration")
        views = [seen_by(folder, camera, annotations, cameras) for camera in CHEST_HEIGHT]
        masks = [masks_of(root, folder, camera) for camera in CHEST_HEIGHT]
        kept = []
        for frame in range(0, min(len(view.seen_px) for view in views), EVERY[split]):
            reason = _unseen(views, frame)
            for view, mask in zip(views, masks, strict=True):
                if reason is None and mask is not None:
                    reason = mask.unusable(frame, view.seen_px[frame], view.size)
            if reason is None:
                kept.append(frame)
            else:
                left_out[reason] += 1
        clips += [
            Clip(
                name=f"{folder.parent.name}/{folder.name}/video_{camera}",
                frames=np.array(kept, np.int64),
                pictures=pictures_of(folder, camera),
                skeleton="mpi_inf_3dhp28",
                joints_cam_m=view.joints_cam_m[kept].astype(np.float32),
                seen_px=view.seen_px[kept].astype(np.float32),
                lens=view.lens,
                masks=mask,
            )
            for camera, view, mask in zip(CHEST_HEIGHT, views, masks, strict=True)
            if kept
        ]
    return clips, dict(left_out)


def moments_of(people: Sequence[Sample], clips: Sequence[Clip]) -> Moments:
    """Return the samples of the clips of :func:`moment_clips`, moment after moment."""
    views, moments, start = len(CHEST_HEIGHT), [], 0
    for first in range(0, len(clips), views):
        count = len(clips[first].frames)
        moments += [[start + view * count + place for view in range(views)] for place in range(count)]
        start += views * count
    return Moments(people, moments)


def _unseen(views: list[Seen], frame: int) -> str | None:
    inside = all(in_picture(view.seen_px[frame], view.size).all() for view in views)
    return None if inside else OUTSIDE
