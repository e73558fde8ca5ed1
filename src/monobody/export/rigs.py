"""Skeletons by the names that other programs know: SMPL's, Mixamo's, Unreal's mannequin, Unity's humanoid.

All have our 24 joints (Unreal one more, a root on the floor). What differs is how joints are called and where the axes
of a bone point at rest:

- ``smpl``: axes as the world's, as in SMPL and BVH.
- ``unity``: the names of Unity's ``HumanBodyBones``, which its avatar set-up maps by themselves; axes as the world's,
  since Unity reads them from the T-pose.
- ``mixamo``: y runs along the bone to the next joint, z is as near to forward as that allows (for feet: to up).
- ``ue5``: x runs along the bone in spine, head, left arm and right leg, against it in right arm and left leg, as in
  Unreal's mannequin, whose sides are mirrored; y is as near to forward as that allows. Rests in an A-pose.

The turn about the bone is our choice where the program's own rigs differ among each other.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from monobody.body.skeleton import SKELETONS

RigName = Literal["smpl", "mixamo", "ue5", "unity"]
BODY = SKELETONS["smpl24"]
_UP, _FORWARD = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, kw_only=True, slots=True)
class RigStyle:
    """What a program expects of a skeleton."""

    joints: tuple[str, ...]
    """Names in the order of ``smpl24``."""
    along: str
    """Which local axis runs along a bone: "x", "y", or "" for axes that are the world's."""
    mirrored: bool = False
    """Whether x runs against the bone in the right arm and the left leg."""
    rest: Literal["t", "a"] = "t"
    """How it rests where nobody says."""
    floor_root: str | None = None
    """The name of a joint above the pelvis that follows it along the floor."""
    prefix: str = ""
    """Stands before every joint's name."""

    def named(self, namesake: int) -> tuple[str, ...]:
        """Return the joints' names; the second skeleton of a file, and so on, needs names of its own."""
        if namesake == 0:
            return tuple(self.prefix + joint for joint in self.joints)
        prefix = f"{self.prefix[:-1]}{namesake}:" if self.prefix else f"person{namesake}_"
        return tuple(prefix + joint for joint in self.joints)


def _sided(middle: dict[str, str], sides: dict[str, str], left: str, right: str) -> tuple[str, ...]:
    """Return names in our order: of joints on the midline, and of the left ones with {} for the side."""
    names = dict(middle)
    for joint, pattern in sides.items():
        names |= {f"left_{joint}": pattern.format(left), f"right_{joint}": pattern.format(right)}
    return tuple(names[joint] for joint in BODY.joints)


RIGS: dict[str, RigStyle] = {
    "smpl": RigStyle(joints=BODY.joints, along=""),
    "mixamo": RigStyle(
        joints=_sided(
            {"pelvis": "Hips", "spine1": "Spine", "spine2": "Spine1", "spine3": "Spine2", "neck": "Neck",
             "head": "Head"},
            {"hip": "{}UpLeg", "knee": "{}Leg", "ankle": "{}Foot", "foot": "{}ToeBase", "collar": "{}Shoulder",
             "shoulder": "{}Arm", "elbow": "{}ForeArm", "wrist": "{}Hand", "hand": "{}HandMiddle1"},
            "Left", "Right",
        ),
        along="y",
        prefix="mixamorig:",
    ),
    "ue5": RigStyle(
        joints=_sided(
            {"pelvis": "pelvis", "spine1": "spine_01", "spine2": "spine_03", "spine3": "spine_05", "neck": "neck_01",
             "head": "head"},
            {"hip": "thigh_{}", "knee": "calf_{}", "ankle": "foot_{}", "foot": "ball_{}", "collar": "clavicle_{}",
             "shoulder": "upperarm_{}", "elbow": "lowerarm_{}", "wrist": "hand_{}", "hand": "middle_01_{}"},
            "l", "r",
        ),
        along="x",
        mirrored=True,
        rest="a",
        floor_root="root",
    ),
    "unity": RigStyle(
        joints=_sided(
            {"pelvis": "Hips", "spine1": "Spine", "spine2": "Chest", "spine3": "UpperChest", "neck": "Neck",
             "head": "Head"},
            {"hip": "{}UpperLeg", "knee": "{}LowerLeg", "ankle": "{}Foot", "foot": "{}Toes", "collar": "{}Shoulder",
             "shoulder": "{}UpperArm", "elbow": "{}LowerArm", "wrist": "{}Hand", "hand": "{}MiddleProximal"},
            "Left", "Right",
        ),
        along="",
    ),
}  # fmt: skip

_NEXT = {
    "pelvis": "spine1", "spine1": "spine2", "spine2": "spine3", "spine3": "neck", "neck": "head",
    **{f"{side}_{a}": f"{side}_{b}" for side in ("left", "right") for a, b in (
        ("hip", "knee"), ("knee", "ankle"), ("ankle", "foot"), ("collar", "shoulder"), ("shoulder", "elbow"),
        ("elbow", "wrist"), ("wrist", "hand"))},
}  # fmt: skip
"""Where the bone under each joint ends; head, hands and toes have none and go on as the bone above them."""


def rest_axes(style: RigStyle, joints_m: Float[np.ndarray, "24 3"]) -> Float[np.ndarray, "24 3 3"]:
    """Return each bone's axes at rest as columns, y up and facing +z, for joints that rest at these places."""
    if not style.along:
        return np.tile(np.eye(3), (len(joints_m), 1, 1))
    axes = np.empty((len(joints_m), 3, 3))
    for joint, name in enumerate(BODY.joints):
        if name in _NEXT:
            bone = joints_m[BODY.index(_NEXT[name])] - joints_m[joint]
        else:
            bone = joints_m[joint] - joints_m[BODY.parents[joint]]
        bone = bone / np.linalg.norm(bone)
        # Forward is across every bone but those of the feet, which point there themselves.
        aim = _UP if abs(bone @ _FORWARD) > 0.8 else _FORWARD
        if style.mirrored and _against(name):
            bone = -bone
        across = aim - (aim @ bone) * bone
        across /= np.linalg.norm(across)
        if style.along == "y":
            axes[joint] = np.stack([np.cross(bone, across), bone, across], axis=1)
        else:
            axes[joint] = np.stack([bone, across, np.cross(bone, across)], axis=1)
    return axes


def _against(name: str) -> bool:
    leg = name.endswith(("hip", "knee", "ankle", "foot"))
    return (leg and name.startswith("left")) or (not leg and name.startswith("right"))
