"""Human3.6M as X as Supervision takes it: some frames of every recording in all four cameras, and masks beside them.

    ROOT/../sam_masks/hm36/s_01_act_02_subact_01_ca_01/s_01_act_02_subact_01_ca_01_000001.png ...   from 1
    (or in ROOT/sam_masks/, or named h36m)

    train_selected    S1, S5 to S8, 200 frames of each recording; not Eating, Phoning, Sitting and Smoking
    valid             S9, S11, 40 frames of each recording of all fifteen actions

Masks belong to the pictures as the lenses bend them, and are rectified like these. The published frames were drawn
without a seed and remembered in a file that is not public; ours are drawn from each recording's name. One recording of
S11 has no fourth view, as its video is corrupt: 2,360 moments are in `valid`, where 2,400 are published.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from monobody.data.datasets.h36m_clip import ACTIONS, Clip
from monobody.data.datasets.h36m_folders import CAMERAS
from monobody.data.lens import Lens, rectified
from monobody.data.mask import read_mask
from monobody.data.moments import Moments, drawn_frames
from monobody.data.sample import Sample
from monobody.data.video_frames import VideoFrames

PER_RECORDING = {"train_selected": 200, "valid": 40}
NOT_SELECTED = frozenset({"Eating", "Phoning", "Sitting", "Smoking"})


def moments_of(people: Sequence[Sample], clips: Sequence[Clip], split: str) -> Moments:
    """Return the moments of a split: frames of a recording that all four cameras have.

    Args:
        people: the samples of all frames of the clips, one clip after the other.
        clips: the clips.
        split: "train_selected" or "valid".

    Raises:
        UserError: there is no recording with four cameras.
    """
    starts = np.concatenate([[0], np.cumsum([len(clip.frames) for clip in clips])])
    recordings: dict[tuple[int, str, int | None], dict[str, int]] = {}
    for number, clip in enumerate(clips):
        if split == "valid" or clip.action not in NOT_SELECTED:
            recordings.setdefault((clip.subject, clip.recording, clip.trial), {})[clip.camera] = number
    moments, fewer = [], 0
    for (subject, recording, _), views in sorted(recordings.items(), key=lambda each: str(each[0])):
        if set(views) != set(CAMERAS):
            fewer += 1
            continue
        places = [{frame: place for place, frame in enumerate(clips[views[camera]].frames)} for camera in CAMERAS]
        common = set.intersection(*(set(each) for each in places))
        name = f"S{subject}/{clips[views[CAMERAS[0]]].action}/{recording}"
        for frame in drawn_frames(name, list(common), PER_RECORDING[split]):
            moments.append([int(starts[views[c]]) + at[frame] for c, at in zip(CAMERAS, places, strict=True)])
    reasons = {"recordings without all four cameras": fewer} if fewer else {}
    return Moments(people, moments, reasons)


def masks_home(root: Path) -> Path | None:
    """Return the folder of masks that belongs to a folder of Human3.6M, None where there is none."""
    places = [base / "sam_masks" / name for base in (root, root.parent) for name in ("hm36", "h36m")]
    return next((place for place in places if place.is_dir()), None)


def mask_file(home: Path, clip: Clip, place: int) -> Path | None:
    """Return where the mask of a clip's kept frame lies or should; None where the clip's numbers are not known."""
    if clip.trial is None or clip.action not in ACTIONS or clip.camera not in CAMERAS:
        return None
    action, camera = 2 + ACTIONS.index(clip.action), 1 + CAMERAS.index(clip.camera)
    name = f"s_{clip.subject:02d}_act_{action:02d}_subact_{clip.trial + 1:02d}_ca_{camera:02d}"
    # Videos count frames from 0, files from 1.
    return home / name / f"{name}_{clip.frames[place] + isinstance(clip.pictures, VideoFrames):06d}.png"


def rectified_mask(path: Path, image: UInt8[np.ndarray, "h w 3"], lens: Lens) -> UInt8[np.ndarray, "h w"] | None:
    """Return a mask where the rectified picture shows the person; None where there is no file.

    Raises:
        UserError: it is damaged, or of another size than the picture.
    """
    if not path.is_file():
        return None
    mask = read_mask(path, path, height=image.shape[0], width=image.shape[1])
    bent = rectified(np.repeat(mask[..., None], 3, axis=2), lens)[..., 0]
    return np.where(bent > 127, np.uint8(255), np.uint8(0))
