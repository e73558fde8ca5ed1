"""Motion capture of any kind as one thing: points and orientations under the body's joint names.

Every source has its own skeleton, names and rest pose. Reading ends here, with what they share: where fifteen points
are in a y-up world, and how the bones under (some of) the 24 joints are turned, each relative to an unknown rest of
its own. ``retarget.py`` takes it from there.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from monobody.body.skeleton import SKELETONS
from monobody.data.asf_amc import read_asf_amc
from monobody.data.bvh import SkeletonMotion, read_bvh
from monobody.errors import UserError

JOINTS = SKELETONS["smpl24"].joints
POINTS = (
    "head",
    *(f"{side}_{place}" for side in ("left", "right") for place in ("shoulder", "elbow", "wrist")),
    *(f"{side}_{place}" for side in ("left", "right") for place in ("hip", "knee", "ankle", "foot")),
)

# What the bone that moves with each joint is called: CMU's own names (ASF), then BVH, FBX and game rigs. Where one
# word means different bones in different rigs, the more telling names stand before it. Left stands for both sides.
_NAMES = {
    "pelvis": "root Hips Neo_Hips hip DEF-hips pelvis",
    "spine1": "lowerback LowerBack Neo_Spine abdomen DEF-spine.001 spine_01 spine04",
    "spine2": "upperback Chest Spine Neo_Spine1 DEF-spine.002 spine_02 spine02",
    "spine3": "thorax Chest2 Spine1 Neo_Spine2 chest DEF-spine.003 spine_03 spine01",
    "neck": "upperneck Neck1 Neck Neo_Neck neck DEF-neck neck_01 neck02",
    "head": "head Head Neo_Head DEF-head neck",
    "left_collar": "lclavicle LeftCollar LeftShoulder Neo_LeftShoulder lCollar DEF-shoulder.L clavicle_l clavicle.L",
    "left_shoulder": "lhumerus LeftArm LeftShoulder Neo_LeftArm lShldr left_shoulder DEF-upper_arm.L upperarm_l "
    "upperarm01.L",
    "left_elbow": "lradius LeftForeArm LeftElbow Neo_LeftForeArm lForeArm left_elbow DEF-forearm.L lowerarm_l "
    "lowerarm01.L",
    "left_wrist": "lhand LeftFingerBase LeftHand LeftWrist Neo_LeftHand lHand left_wrist DEF-hand.L hand_l wrist.L",
    "left_hip": "lfemur LeftUpLeg LeftHip Neo_LeftUpLeg lThigh left_hip DEF-thigh.L thigh_l upperleg01.L",
    "left_knee": "ltibia LeftLeg LeftKnee Neo_LeftLeg lShin left_knee DEF-shin.L calf_l lowerleg01.L",
    "left_ankle": "lfoot LeftFoot LeftAnkle Neo_LeftFoot lFoot left_ankle DEF-foot.L foot_l foot.L",
    "left_foot": "ltoes LeftToeBase LeftToe Neo_LeftToeBase DEF-toe.L ball_l toe2-1.L",
}
# Where the bone that starts at a joint is not the one whose turn counts: CMU's forearm twists in a bone of its own
# between wrist and hand.
_STARTS = {"left_wrist": f"lwrist LeftWrist {_NAMES['left_wrist']}"}
_POOL_POINT = {"foot": "toe"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Motion:
    """One clip: points and bone orientations in a y-up world, right-handed; lengths are the source's own."""

    source: str
    clip: str
    """Unique: the source, a slash, the take."""
    action: str
    points: Float[NDArray, "t 15 3"]
    """In the order of ``POINTS``."""
    orientations: Float[NDArray, "t 24 3 3"]
    """World rotation of the bone under each joint, relative to a rest that only the source knows."""
    has_orientation: Bool[NDArray, "24"]


def read_motions(folder: str | Path) -> list[Motion]:
    """Read all motion capture under a folder: ``*_15fps.npz`` pools, ``*.bvh``, and ``*.amc`` beside their ``*.asf``.

    A BVH or AMC file whose name is that of a take in a pool is that take, and is left out.

    Raises:
        UserError: there is none, or a file is damaged.
    """
    root = Path(folder)
    motions = [motion for path in sorted(root.rglob("*_15fps.npz")) for motion in read_pool(path)]
    takes = {motion.clip.rsplit("/", 1)[-1] for motion in motions}
    for path in sorted(root.rglob("*.bvh")):
        if path.stem not in takes:
            # MakeHuman's poses are written by Blender, whose world is z-up.
            up: Literal["y", "z"] = "z" if path.parent.name == "makehuman_poses" else "y"
            motions.append(from_skeleton(read_bvh(path), source=path.parent.name, take=path.stem, up=up))
    for path in sorted(root.rglob("*.amc")):
        # The database names the skeleton of subject 07 "07.asf" and its takes "07_01.amc".
        skeleton = path.with_name(f"{path.stem.rsplit('_', 1)[0]}.asf")
        if path.stem not in takes and skeleton.exists():
            motions.append(from_skeleton(read_asf_amc(skeleton, path), source=path.parent.name, take=path.stem))
    if not motions:
        raise UserError(f"No motion capture under {root}: expected *_15fps.npz, *.bvh, or *.amc with *.asf.")
    return motions


def read_pool(path: str | Path) -> list[Motion]:
    """Read a pool: npz of many clips on one skeleton, ``joints`` (N, 19, 3) and ``local_quat_xyzw`` (N, J, 4).

    Raises:
        UserError: the file is no such pool, or is damaged.
    """
    source = Path(path).name.removesuffix("_15fps.npz")
    try:
        with np.load(path, allow_pickle=False) as file:
            places = [str(name) for name in file["canon_names"]]
            names, parents = [str(name) for name in file["skel_names"]], file["skel_parents"].tolist()
            joints, clip_index = file["joints"].astype(np.float64), file["clip"]
            world = _world(_quaternions_to_matrices(file["local_quat_xyzw"].astype(np.float64)), parents)
            meta = json.loads(str(file["meta"]))
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise UserError(f"{path} is no pool of motion capture, or is damaged ({error}): fetch it again.") from error
    points = joints[:, [places.index(_pool_place(point)) for point in POINTS]]
    orientations, known = _under_joints(world, names)
    motions = []
    for i, entry in enumerate(meta):
        rows = clip_index == i
        if rows.any():
            motions.append(
                Motion(
                    source=source,
                    clip=f"{source}/{entry['clip']}",
                    action=action_of(entry["label"]),
                    points=points[rows],
                    orientations=orientations[rows],
                    has_orientation=known,
                )
            )
    return motions


def from_skeleton(
    motion: SkeletonMotion, *, source: str, take: str, action: str | None = None, up: Literal["y", "z"] = "y"
) -> Motion:
    """Bring a BVH or ASF/AMC motion under the body's joint names, at no more than 15 frames a second.

    Raises:
        UserError: the skeleton lacks one of ``POINTS`` under any name that is known here.
    """
    rotations, positions = motion.world()
    stride = max(1, round(motion.fps / 15))
    rotations, positions = rotations[::stride], positions[::stride]
    if up == "z":
        to_y_up = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
        rotations, positions = to_y_up @ rotations @ to_y_up.T, positions @ to_y_up.T
    names = [name.split(":")[-1] for name in motion.names]
    bones = {joint: _bone_of(joint, names, _NAMES | _STARTS) for joint in POINTS}
    missing = [joint for joint, bone in bones.items() if bone is None]
    if missing:
        raise UserError(
            f"{source}/{take}: no bone of this skeleton is known as {', '.join(missing)}. Rename its bones."
        )
    orientations, known = _under_joints(rotations, names)
    return Motion(
        source=source,
        clip=f"{source}/{take}",
        action=action or action_of(take),
        points=np.stack([positions[:, bone] for bone in bones.values() if bone is not None], 1),
        orientations=orientations,
        has_orientation=known,
    )


def action_of(label: str) -> str:
    """Reduce a clip's label to what is done in it: "humanoid3d_long_walk1" and "walking_extra" are both "walk"."""
    words = re.sub(r"[\d_]+", " ", label.split("|")[0].lower().replace("humanoid3d", " ")).split()
    words = [word for word in words if word not in ("loop", "rm", "extra", "long", "normal")]
    return "walk" if words and words[0] in ("walk", "walking") else " ".join(words) or "unnamed"


def _bone_of(joint: str, names: list[str], known: dict[str, str] = _NAMES) -> int | None:
    """Find the source's bone under a joint of the body, by the first of its known names."""
    candidates = known[joint.replace("right_", "left_")].split()
    if joint.startswith("right_"):
        candidates = [_other_side(name) for name in candidates]
    return next((names.index(name) for name in candidates if name in names), None)


def _other_side(name: str) -> str:
    """Turn the name of a left bone into that of its right twin, in each of the ways in which rigs tell them apart."""
    for left, right in (("Left", "Right"), ("left_", "right_"), (".L", ".R"), ("_l", "_r")):
        if left in name:
            return name.replace(left, right)
    return "r" + name[1:]


def _pool_place(point: str) -> str:
    side, _, place = point.rpartition("_")
    return f"{side[0]}_{_POOL_POINT.get(place, place)}" if side else place


def _under_joints(
    world: Float[NDArray, "t j 3 3"], names: list[str]
) -> tuple[Float[NDArray, "t 24 3 3"], Bool[NDArray, "24"]]:
    bones = [_bone_of(joint, names) if joint.replace("right_", "left_") in _NAMES else None for joint in JOINTS]
    known = np.array([bone is not None for bone in bones])
    orientations = np.tile(np.eye(3), (len(world), len(JOINTS), 1, 1))
    orientations[:, known] = world[:, [bone for bone in bones if bone is not None]]
    return orientations, known


def _world(local: Float[NDArray, "t j 3 3"], parents: list[int]) -> Float[NDArray, "t j 3 3"]:
    """Chain local rotations; parents may stand after their children, as glTF allows."""
    world: dict[int, NDArray] = {-1: np.tile(np.eye(3), (len(local), 1, 1))}

    def of(joint: int) -> NDArray:
        if joint not in world:
            world[joint] = of(parents[joint]) @ local[:, joint]
        return world[joint]

    return np.stack([of(joint) for joint in range(len(parents))], 1)


def _quaternions_to_matrices(xyzw: Float[NDArray, "*b 4"]) -> Float[NDArray, "*b 3 3"]:
    vector, w = xyzw[..., :3], xyzw[..., 3:, None]
    vector, w = (each / np.linalg.norm(xyzw, axis=-1)[..., None, None] for each in (vector[..., None], w))
    cross = np.cross(np.eye(3), vector[..., None, :, 0])
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross
