"""One clip of Human3.6M, in whatever form it is on disk: frames, joints, lens; and what becomes of them.

The cameras bend straight lines. Pictures are therefore resampled as an ideal pinhole would have taken them
(`data/lens.py`), and the 2D joints are the 3D joints projected through that pinhole.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float, UInt8

from monobody.body.skeleton import correspondence
from monobody.camera import project
from monobody.data.lens import Lens, rectified, seen_at
from monobody.data.region import region_from_joints
from monobody.data.sample import Sample
from monobody.errors import UserError

JOINTS_17 = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
"""Which of the 32 joints (many of which repeat others) make the set h36m17."""
ACTIONS = (
    "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Posing", "Purchases", "Sitting", "SittingDown",
    "Smoking", "TakingPhoto", "Waiting", "Walking", "WalkDog", "WalkTogether",
)  # fmt: skip
"""The fifteen actions by their numbers, which begin at 2, spelled as in HMR's tables."""
SPELLED = {"Photo": "TakingPhoto", "WalkingDog": "WalkDog", "WakingDog": "WalkDog", "WalkingTogether": "WalkTogether"}
"""Other names of actions in files."""
LARGEST_MISMATCH_PX = 3.0
LARGEST_PICTURE_PX = 1002
LEAST_IN_PICTURE = 0.9


class Pictures(Protocol):
    """Frames by number."""

    def __getitem__(self, number: int, /) -> UInt8[np.ndarray, "h w 3"]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """What is known of a clip's kept frames."""

    joints_cam_m: Float[np.ndarray, "n 17 3"]
    lens: Lens
    pose: tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]] | None = None
    """Rotation and shift (m) of the camera, X_camera = R X_world + t; None where the form does not tell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """One recording by one camera, of which some frames are kept."""

    subject: int
    recording: str
    """Such as "Directions 1"."""
    camera: str
    """Serial number."""
    trial: int | None
    """Which of the subject's two performances of the action, 0 or 1; None where the form does not tell."""
    frames: Sequence[int]
    """The numbers by which ``pictures`` knows the kept frames."""
    pictures: Pictures
    read_labels: Callable[[], Labels]
    """Reads what is known of the kept frames; raises UserError where the files are damaged or contradict each other."""

    @property
    def name(self) -> str:
        """Such as "S1/Directions 1.54138969"."""
        return f"S{self.subject}/{self.recording}.{self.camera}"

    @property
    def action(self) -> str:
        """One of ACTIONS; the recording's own word where it is none of them."""
        if match := re.match(r"act_(\d\d)_", self.recording):
            return ACTIONS[int(match[1]) - 2] if 2 <= int(match[1]) < 2 + len(ACTIONS) else self.recording
        word = re.split(r"[\s_-]", self.recording)[0]
        return SPELLED.get(word, word)


def sample_of(image: UInt8[np.ndarray, "h w 3"], joints_cam_m: Float[np.ndarray, "17 3"], lens: Lens) -> Sample:
    """Return the sample of a picture taken through a lens: the picture rectified, and LSP's joints in it."""
    joints = joints_cam_m[list(correspondence("h36m17", "lsp14"))]
    height, width = image.shape[:2]
    focal, principal = lens.pinhole_focal_px, lens.principal_px
    keypoints, visible = np.zeros((19, 2), np.float32), np.zeros(19, np.float32)
    keypoints[:14] = project(joints, focal, principal)
    visible[:14] = ((keypoints[:14] >= 0) & (keypoints[:14] < (width, height))).all(-1)
    return Sample(
        image=rectified(image, lens),
        crop=region_from_joints(keypoints[:14]),
        keypoints_px=keypoints,
        visible=visible,
        joints_cam_m=joints.astype(np.float32),
        focal_px=focal,
        principal_px=principal,
    )


def seen_labels(
    joints_cam_m: Float[np.ndarray, "n 17 3"],
    lens: Lens,
    name: str,
    pose: tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]] | None = None,
) -> Labels:
    """Return the labels of a clip that has no 2D joints, if its 3D joints are in the picture, as all of the set's are.

    Raises:
        UserError: they are not, so that the camera is not theirs.
    """
    seen = seen_at(joints_cam_m, lens)
    inside = (joints_cam_m[..., 2] > 0) & (seen > 0).all(-1) & (seen < LARGEST_PICTURE_PX).all(-1)
    if not inside.mean() >= LEAST_IN_PICTURE:
        raise UserError(
            f"{name}: only {100 * inside.mean():.0f} % of the 3D joints lie in the picture, so the camera "
            "is not theirs: download the labels again."
        )
    return Labels(joints_cam_m=joints_cam_m, lens=lens, pose=pose)


def agreeing_labels(
    joints_cam_m: Float[np.ndarray, "n 17 3"],
    seen_px: Float[np.ndarray, "n 17 2"],
    lens: Lens,
    name: str,
    pose: tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]] | None = None,
) -> Labels:
    """Return the labels of a clip whose 2D joints lie where its 3D joints are seen.

    Raises:
        UserError: they do not, so that joints, camera or frames are mixed up.
    """
    miss = float(np.median(np.linalg.norm(seen_at(joints_cam_m, lens) - seen_px, axis=-1)))
    if not miss <= LARGEST_MISMATCH_PX:
        raise UserError(
            f"{name}: the 3D joints are seen {miss:.0f} pixels from the 2D joints, so the files are not of one "
            "recording, or the camera is not theirs: unpack them again."
        )
    return Labels(joints_cam_m=joints_cam_m, lens=lens, pose=pose)
