"""In which order other programs list a person's keypoints, and which of our joint sets holds them.

A foreign order is a tuple of our names; None is a point that no set of ours has. Orders that are sets of ours already
(coco17, lsp14, mpii16, openpose25, blazepose33) are not repeated here.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from monobody.body.skeleton import HUMAN_SETS

Order = tuple[str | None, ...]

_LIMBS = ("shoulder", "elbow", "wrist")
_LEGS = ("hip", "knee", "ankle")
_OPENPOSE_LIMBS = (
    *(f"right_{joint}" for joint in _LIMBS),
    *(f"left_{joint}" for joint in _LIMBS),
    *(f"right_{joint}" for joint in _LEGS),
    *(f"left_{joint}" for joint in _LEGS),
)
# OpenPose's neck is the middle of the shoulders, which is called thorax here.
OPENPOSE_COCO18: Order = ("nose", "thorax", *_OPENPOSE_LIMBS, "right_eye", "left_eye", "right_ear", "left_ear")
# OpenPose's MPI model gives MPII's joints: the top of the head, the upper neck, limbs, and a chest of its own.
OPENPOSE_MPI15: Order = ("head_top", "neck", *_OPENPOSE_LIMBS, None)
_TOES = ("toe", "small_toe", "heel")
# COCO's 17 joints and Halpe's nine more (AlphaPose); where its head and neck are clicked is not stated.
HALPE26: Order = (
    *HUMAN_SETS["coco17"].joints,
    *(None, None, "pelvis"),
    *(f"{side}_{joint}" for joint in _TOES for side in ("left", "right")),
)
# COCO-WholeBody: COCO's 17 joints, six of the feet, then 68 points of the face and 21 of each hand.
WHOLEBODY133: Order = (
    *HUMAN_SETS["coco17"].joints,
    *(f"{side}_{joint}" for side in ("left", "right") for joint in _TOES),
    *(None,) * 110,
)

BY_COUNT: dict[int, Order] = {
    14: HUMAN_SETS["lsp14"].joints,
    16: HUMAN_SETS["mpii16"].joints,
    17: HUMAN_SETS["coco17"].joints,
    19: HUMAN_SETS["cocoplus19"].joints,
    25: HUMAN_SETS["openpose25"].joints,
    26: HALPE26,
    33: HUMAN_SETS["blazepose33"].joints,
    133: WHOLEBODY133,
}
"""What people's keypoints are, by how many there are, in files that do not name them."""
COUNTS = "14 (LSP), 16 (MPII), 17 (COCO), 19 (HMR), 25 (OpenPose), 26 (Halpe), 33 (MediaPipe) or 133 (COCO-WholeBody)"

_OTHER_NAMES = {
    "root": "pelvis",
    "hip": "pelvis",
    "mid_hip": "pelvis",
    "head": "head_top",
    "top_head": "head_top",
    "upper_neck": "neck",
    "left_big_toe": "left_toe",
    "right_big_toe": "right_toe",
    "left_foot_index": "left_toe",
    "right_foot_index": "right_toe",
    "mouth_left": "left_mouth",
    "mouth_right": "right_mouth",
}
_KNOWN = {joint for skeleton in HUMAN_SETS.values() for joint in skeleton.joints}


def order_of_names(names: Sequence[object]) -> Order | None:
    """Return the order that a file's own names of its keypoints spell; None where fewer than two are known to us."""
    order = joints_called(names)
    return order if len({name for name in order if name}) >= 2 else None


def joints_called(names: Sequence[object]) -> Order:
    """Return which of our joints a file's own names mean; None for those that mean none."""
    plain = [str(name).lower().replace(" ", "_").replace("-", "_") for name in names]
    return tuple(name if name in _KNOWN else _OTHER_NAMES.get(name) for name in plain)


def in_our_set(rows: Float[np.ndarray, "k 3"], order: Order) -> tuple[Float[np.ndarray, "n 3"], str]:
    """Return keypoints in the set of ours that holds most of an order's joints (the smallest of those), and its name.

    Joints that the order lacks have confidence 0.
    """
    names = {name for name in order if name}
    set_name = max(HUMAN_SETS, key=lambda one: (len(names & set(HUMAN_SETS[one].joints)), -len(HUMAN_SETS[one].joints)))
    joints = HUMAN_SETS[set_name].joints
    placed = np.zeros((len(joints), 3))
    for row, name in zip(rows, order, strict=True):
        if name in joints:
            placed[joints.index(name)] = row
    return placed, set_name
