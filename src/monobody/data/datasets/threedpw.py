"""3DPW (von Marcard et al., ECCV 2018): people out of doors before a moving phone, bodies from inertial sensors.

    imageFiles/courtyard_arguing_00/image_00000.jpg ...
    sequenceFiles/train/  validation/  test/
      courtyard_arguing_00.pkl      pickled by Python 2; lists have one entry for each of one or two people
        poses [(F, 72)]  betas [(10,)]  genders ["m"]      SMPL, world frame
        jointPositions [(F, 72)]                           SMPL's 24 joints in metres, world frame
        poses2d [(F, 3, 18)]                               OpenPose's joints: x, y, confidence
        campose_valid [(F,)]                               where the camera was aligned
        cam_poses (F, 4, 4)  cam_intrinsics (3, 3)         world to camera

Samples are people in frames with a valid camera and at least six detected joints. Their rotations are known, the root's
in the camera frame, and their 2D joints where OpenPose was sure. LSP's joints in 3D are read from SMPL's and the pose
(`data/marks.py`): SMPL has no top of the head, and its hips and neck lie elsewhere. The camera sees them near what
OpenPose found, not exactly there; published figures regress their joints from the mesh of the person's own shape. The
betas are of SMPL's male or female shape space and marked so: they mean other shapes than the neutral body's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int

from monobody.body.rotation import axis_angle_to_matrix
from monobody.body.skeleton import SKELETONS
from monobody.body.unpickle import read_nested
from monobody.data.chained import Chained
from monobody.data.datasets.numbered_files import NumberedFiles
from monobody.data.marks import marks_from_joints
from monobody.data.region import region_from_joints
from monobody.data.sample import Sample
from monobody.errors import UserError

LICENCE = "3DPW licence: non-commercial scientific research only, no redistribution."
GET_IT = "Accept the licence at https://virtualhumans.mpi-inf.mpg.de/3DPW; unpack imageFiles.zip and sequenceFiles.zip."
EXPECTED = {"train": 0, "validation": 0, "test": 0}
"""Its authors count sequences (SEQUENCES), not people in frames."""

Split = Literal["train", "validation", "test"]
SEQUENCES: dict[Split, int] = {"train": 24, "validation": 12, "test": 24}
DETECTED = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear",
)  # fmt: skip
"""OpenPose's 18 joints in the order of `poses2d`."""
LEAST_DETECTED, SURE = 6, 0.2
GENDERS: dict[str, Literal["male", "female"]] = {"m": "male", "f": "female"}


@dataclass(frozen=True, kw_only=True)
class Person:
    """One person's kept frames in one sequence."""

    name: str
    """Such as "courtyard_arguing_00/1"."""
    frames: Int[np.ndarray, "n"]
    pictures: NumberedFiles
    gender: Literal["male", "female"]
    rotations: Float[np.ndarray, "n 24 3 3"]
    """SMPL's, the root's into the camera frame."""
    betas: Float[np.ndarray, "10"]
    joints_cam_m: Float[np.ndarray, "n 24 3"]
    """SMPL's joints."""
    detected_px: Float[np.ndarray, "n 18 3"]
    """x, y, confidence."""
    intrinsics_px: Float[np.ndarray, "3 3"]
    unaligned: int
    """How many frames have no valid camera."""
    undetected: int
    """How many of the others have too few detected joints."""


class ThreeDPW(Chained):
    """The people of one split, frame by frame.

    Args:
        root: holds `imageFiles` and `sequenceFiles`.
        split: "train", "validation" or "test".

    Raises:
        UserError: the split's sequences are missing, damaged, or ask for what no data needs.
    """

    def __init__(self, root: str | Path, split: Split = "train") -> None:
        root = Path(root)
        paths = sorted((root / "sequenceFiles" / split).glob("*.pkl"))
        people = [person for path in paths for person in _people(root, path)]
        self.people = [person for person in people if len(person.frames)]
        if not self.people:
            raise UserError(f"{root / 'sequenceFiles' / split} holds no sequences of 3DPW. {GET_IT}")
        left_out = {
            "the camera was not aligned": sum(person.unaligned for person in people),
            f"fewer than {LEAST_DETECTED} joints detected": sum(person.undetected for person in people),
        }
        self.left_out = {reason: count for reason, count in left_out.items() if count}
        super().__init__(len(person.frames) for person in self.people)

    def name(self, index: int) -> str:
        """Return where a sample comes from: sequence, person and frame."""
        part, place = self.find(index)
        person = self.people[part]
        return f"{person.name}/{person.frames[place]:05d}"

    def sample(self, part: int, place: int) -> Sample:
        """Return a person's sample."""
        person = self.people[part]
        keypoints, visible = np.zeros((19, 2), np.float32), np.zeros(19, np.float32)
        for joint, name in enumerate(SKELETONS["cocoplus19"].joints):
            # OpenPose's neck is the middle of the shoulders, which LSP's is not.
            if name in DETECTED and name != "neck":
                x, y, confidence = person.detected_px[place, DETECTED.index(name)]
                visible[joint] = confidence > SURE
                keypoints[joint] = (x, y) if visible[joint] else 0
        k = person.intrinsics_px
        marks = marks_from_joints(person.joints_cam_m[place], person.rotations[place])[:14]
        return Sample(
            image=person.pictures[int(person.frames[place])],
            crop=region_from_joints((marks @ k.T)[:, :2] / marks[:, 2:]),
            keypoints_px=keypoints,
            visible=visible,
            joints_cam_m=marks.astype(np.float32),
            rotations=person.rotations[place].astype(np.float32),
            betas=person.betas.astype(np.float32),
            shape_space=f"smpl-{person.gender}",
            focal_px=0.5 * float(k[0, 0] + k[1, 1]),
            principal_px=(float(k[0, 2]), float(k[1, 2])),
        )


def samples(root: str | Path, split: Split = "train") -> ThreeDPW:
    """Return the people of a split."""
    return ThreeDPW(root, split)


def check(root: str | Path, split: Split | None = None) -> list[str]:
    """Return what a split lacks, or all of them where none is named, in words; an empty list where all is there."""
    root = Path(root)
    problems = []
    for each in SEQUENCES if split is None else (split,):
        paths, count = sorted((root / "sequenceFiles" / each).glob("*.pkl")), SEQUENCES[each]
        if len(paths) < count:
            problems.append(f"{root / 'sequenceFiles' / each} holds {len(paths)} of {count} sequences.")
        lost = [path.stem for path in paths if not (root / "imageFiles" / path.stem / "image_00000.jpg").is_file()]
        if lost:
            named = ", ".join(lost[:3]) + (", ..." if len(lost) > 3 else "")
            problems.append(f"{root / 'imageFiles'} lacks the pictures of {len(lost)} {each} sequences ({named}).")
    return problems


def _people(root: Path, path: Path) -> Iterator[Person]:
    """Yield the one or two people of a sequence."""
    content = read_nested(path)
    try:
        cameras = _shaped(content["cam_poses"], (-1, 4, 4))
        intrinsics = _shaped(content["cam_intrinsics"], (3, 3))
        frames = len(cameras)
        for number in range(len(content["poses"])):
            detected = _shaped(content["poses2d"][number], (frames, 3, 18)).transpose(0, 2, 1)
            aligned = _shaped(content["campose_valid"][number], (frames,)) > 0
            found = (detected[..., 2] > 0).sum(1) >= LEAST_DETECTED
            kept = np.flatnonzero(aligned & found)
            poses = _shaped(content["poses"][number], (frames, 24, 3))[kept]
            rotations = axis_angle_to_matrix(torch.from_numpy(poses)).numpy()
            turn, shift = cameras[kept, :3, :3], cameras[kept, None, :3, 3]
            rotations[:, 0] = turn @ rotations[:, 0]
            joints = _shaped(content["jointPositions"][number], (frames, 24, 3))[kept]
            yield Person(
                name=f"{path.stem}/{number}",
                frames=kept,
                pictures=NumberedFiles(folder=f"{root}/imageFiles/{path.stem}", name="image_%05d.jpg"),
                gender=GENDERS[content["genders"][number]],
                rotations=rotations,
                betas=_shaped(content["betas"][number], (-1,))[:10],
                joints_cam_m=joints @ turn.swapaxes(1, 2) + shift,
                detected_px=detected[kept],
                intrinsics_px=intrinsics,
                unaligned=int((~aligned).sum()),
                undetected=int((aligned & ~found).sum()),
            )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not a sequence of 3DPW ({error!r}): unpack sequenceFiles.zip again.") from error


def _shaped(array: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of that shape; (F, 72) may be asked for as (F, 24, 3)."""
    return np.asarray(array, np.float64).reshape(shape)
