"""Joint sets: their names, order, tree and mirror permutation, and the maps between them.

Left and right are the person's own. A name means the same place in every set, so that sets are matched by name;
where two data sets put the same name at places some centimetres apart (hips above all), the keypoint regressors of
the body (``assets.py``) keep them apart.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Skeleton:
    """One joint set in the order of its data set."""

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    """Index of the joint each one hangs from, -1 at the root. For all sets but ``smpl24`` a way to draw bones."""
    flip: tuple[int, ...]
    """``points[flip]`` has left and right exchanged."""

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """The (parent, joint) pairs to draw."""
        return tuple((parent, joint) for joint, parent in enumerate(self.parents) if parent >= 0)

    def index(self, joint: str) -> int:
        """Return the position of a joint by its name."""
        return self.joints.index(joint)


def correspondence(source: str, target: str) -> tuple[int, ...]:
    """Return, for every joint of ``target``, the index of the same place in ``source``, or -1 where it has none.

    Raises:
        KeyError: no joint set has that name; ``SKELETONS`` lists them.
    """
    available = SKELETONS[source].joints
    found = []
    for joint in SKELETONS[target].joints:
        candidates = [name for name in (joint, _NEARLY.get(joint)) if name in available]
        found.append(available.index(candidates[0]) if candidates else -1)
    return tuple(found)


def mirrored_name(joint: str) -> str:
    """Return the name of the joint on the other side; midline joints are their own mirror image."""
    side, _, rest = joint.partition("_")
    return {"left": f"right_{rest}", "right": f"left_{rest}"}.get(side, joint)


def _skeleton(name: str, tree: dict[str, str | None]) -> Skeleton:
    """Build a set from an ordered map joint -> parent."""
    joints = tuple(tree)
    return Skeleton(
        name=name,
        joints=joints,
        parents=tuple(-1 if parent is None else joints.index(parent) for parent in tree.values()),
        flip=tuple(joints.index(mirrored_name(joint)) for joint in joints),
    )


# Places of different names that are the same to within a few centimetres.
_NEARLY = {"torso": "spine2", "spine2": "torso", "thorax": "spine4", "spine4": "thorax"}

_SMPL24 = {
    "pelvis": None,
    "left_hip": "pelvis",
    "right_hip": "pelvis",
    "spine1": "pelvis",
    "left_knee": "left_hip",
    "right_knee": "right_hip",
    "spine2": "spine1",
    "left_ankle": "left_knee",
    "right_ankle": "right_knee",
    "spine3": "spine2",
    "left_foot": "left_ankle",
    "right_foot": "right_ankle",
    "neck": "spine3",
    "left_collar": "spine3",
    "right_collar": "spine3",
    "head": "neck",
    "left_shoulder": "left_collar",
    "right_shoulder": "right_collar",
    "left_elbow": "left_shoulder",
    "right_elbow": "right_shoulder",
    "left_wrist": "left_elbow",
    "right_wrist": "right_elbow",
    "left_hand": "left_wrist",
    "right_hand": "right_wrist",
}

_COCO17 = {
    "nose": None,
    "left_eye": "nose",
    "right_eye": "nose",
    "left_ear": "left_eye",
    "right_ear": "right_eye",
    "left_shoulder": "nose",
    "right_shoulder": "nose",
    "left_elbow": "left_shoulder",
    "right_elbow": "right_shoulder",
    "left_wrist": "left_elbow",
    "right_wrist": "right_elbow",
    "left_hip": "left_shoulder",
    "right_hip": "right_shoulder",
    "left_knee": "left_hip",
    "right_knee": "right_hip",
    "left_ankle": "left_knee",
    "right_ankle": "right_knee",
}

_LSP14 = {
    "right_ankle": "right_knee",
    "right_knee": "right_hip",
    "right_hip": "right_shoulder",
    "left_hip": "left_shoulder",
    "left_knee": "left_hip",
    "left_ankle": "left_knee",
    "right_wrist": "right_elbow",
    "right_elbow": "right_shoulder",
    "right_shoulder": "neck",
    "left_shoulder": "neck",
    "left_elbow": "left_shoulder",
    "left_wrist": "left_elbow",
    "neck": "head_top",
    "head_top": None,
}

# HMR's 19 points: LSP's 14 and COCO's five of the face.
_COCOPLUS19 = _LSP14 | {
    "nose": "head_top",
    "left_eye": "nose",
    "right_eye": "nose",
    "left_ear": "left_eye",
    "right_ear": "right_eye",
}

_H36M17 = {
    "pelvis": None,
    "right_hip": "pelvis",
    "right_knee": "right_hip",
    "right_ankle": "right_knee",
    "left_hip": "pelvis",
    "left_knee": "left_hip",
    "left_ankle": "left_knee",
    "torso": "pelvis",
    "neck": "torso",
    "nose": "neck",
    "head_top": "nose",
    "left_shoulder": "neck",
    "left_elbow": "left_shoulder",
    "left_wrist": "left_elbow",
    "right_shoulder": "neck",
    "right_elbow": "right_shoulder",
    "right_wrist": "right_elbow",
}

# X-as-Supervision adds the thorax, half-way between the shoulders.
_XAS18 = _H36M17 | {
    "neck": "thorax",
    "left_shoulder": "thorax",
    "right_shoulder": "thorax",
    "thorax": "torso",
}

_MPII16 = {
    "right_ankle": "right_knee",
    "right_knee": "right_hip",
    "right_hip": "pelvis",
    "left_hip": "pelvis",
    "left_knee": "left_hip",
    "left_ankle": "left_knee",
    "pelvis": None,
    "thorax": "pelvis",
    "neck": "thorax",
    "head_top": "neck",
    "right_wrist": "right_elbow",
    "right_elbow": "right_shoulder",
    "right_shoulder": "thorax",
    "left_shoulder": "thorax",
    "left_elbow": "left_shoulder",
    "left_wrist": "left_elbow",
}

# The data set's "spine" is named spine1 here, its clavicles are collars.
_MPI_INF_3DHP28 = {
    "spine3": "spine2",
    "spine4": "spine3",
    "spine2": "spine1",
    "spine1": "pelvis",
    "pelvis": None,
    "neck": "spine4",
    "head": "neck",
    "head_top": "head",
    "left_collar": "neck",
    "left_shoulder": "left_collar",
    "left_elbow": "left_shoulder",
    "left_wrist": "left_elbow",
    "left_hand": "left_wrist",
    "right_collar": "neck",
    "right_shoulder": "right_collar",
    "right_elbow": "right_shoulder",
    "right_wrist": "right_elbow",
    "right_hand": "right_wrist",
    "left_hip": "pelvis",
    "left_knee": "left_hip",
    "left_ankle": "left_knee",
    "left_foot": "left_ankle",
    "left_toe": "left_foot",
    "right_hip": "pelvis",
    "right_knee": "right_hip",
    "right_ankle": "right_knee",
    "right_foot": "right_ankle",
    "right_toe": "right_foot",
}

_MPI_INF_3DHP17 = {
    "head_top": "head",
    "neck": "spine1",
    "right_shoulder": "neck",
    "right_elbow": "right_shoulder",
    "right_wrist": "right_elbow",
    "left_shoulder": "neck",
    "left_elbow": "left_shoulder",
    "left_wrist": "left_elbow",
    "right_hip": "pelvis",
    "right_knee": "right_hip",
    "right_ankle": "right_knee",
    "left_hip": "pelvis",
    "left_knee": "left_hip",
    "left_ankle": "left_knee",
    "pelvis": None,
    "spine1": "pelvis",
    "head": "neck",
}

# MediaPipe's landmarks; its mouth corners and foot indices carry the side in front here.
_BLAZEPOSE33 = {
    "nose": None,
    "left_eye_inner": "nose",
    "left_eye": "left_eye_inner",
    "left_eye_outer": "left_eye",
    "right_eye_inner": "nose",
    "right_eye": "right_eye_inner",
    "right_eye_outer": "right_eye",
    "left_ear": "left_eye_outer",
    "right_ear": "right_eye_outer",
    "left_mouth": "nose",
    "right_mouth": "nose",
    "left_shoulder": "nose",
    "right_shoulder": "nose",
    "left_elbow": "left_shoulder",
    "right_elbow": "right_shoulder",
    "left_wrist": "left_elbow",
    "right_wrist": "right_elbow",
    "left_pinky": "left_wrist",
    "right_pinky": "right_wrist",
    "left_index": "left_wrist",
    "right_index": "right_wrist",
    "left_thumb": "left_wrist",
    "right_thumb": "right_wrist",
    "left_hip": "left_shoulder",
    "right_hip": "right_shoulder",
    "left_knee": "left_hip",
    "right_knee": "right_hip",
    "left_ankle": "left_knee",
    "right_ankle": "right_knee",
    "left_heel": "left_ankle",
    "right_heel": "right_ankle",
    "left_toe": "left_heel",
    "right_toe": "right_heel",
}

# OpenPose's BODY_25. Its neck is the middle of the shoulders, as the thorax is elsewhere; its big toe is the toe.
_OPENPOSE25 = {
    "nose": "thorax",
    "thorax": "pelvis",
    "right_shoulder": "thorax",
    "right_elbow": "right_shoulder",
    "right_wrist": "right_elbow",
    "left_shoulder": "thorax",
    "left_elbow": "left_shoulder",
    "left_wrist": "left_elbow",
    "pelvis": None,
    "right_hip": "pelvis",
    "right_knee": "right_hip",
    "right_ankle": "right_knee",
    "left_hip": "pelvis",
    "left_knee": "left_hip",
    "left_ankle": "left_knee",
    "right_eye": "nose",
    "left_eye": "nose",
    "right_ear": "right_eye",
    "left_ear": "left_eye",
    "left_toe": "left_ankle",
    "left_small_toe": "left_toe",
    "left_heel": "left_ankle",
    "right_toe": "right_ankle",
    "right_small_toe": "right_toe",
    "right_heel": "right_ankle",
}

# An animal on four legs. Fore legs are named as arms, hind legs as legs: a wrist is the joint above a fore paw, an
# ankle the hock. Pelvis and thorax are the middles of hips and shoulders; the tail's tip is its end.
_QUADRUPED = {
    "pelvis": None,
    "right_hip": "pelvis",
    "right_knee": "right_hip",
    "right_ankle": "right_knee",
    "right_toe": "right_ankle",
    "left_hip": "pelvis",
    "left_knee": "left_hip",
    "left_ankle": "left_knee",
    "left_toe": "left_ankle",
    "torso": "pelvis",
    "thorax": "torso",
    "neck": "thorax",
    "head": "neck",
    "nose": "head",
    "left_shoulder": "thorax",
    "left_elbow": "left_shoulder",
    "left_wrist": "left_elbow",
    "right_shoulder": "thorax",
    "right_elbow": "right_shoulder",
    "right_wrist": "right_elbow",
    "tail": "pelvis",
    "tail_tip": "tail",
}

HUMAN_SETS: dict[str, Skeleton] = {
    name: _skeleton(name, tree)
    for name, tree in {
        "smpl24": _SMPL24,
        "coco17": _COCO17,
        "lsp14": _LSP14,
        "cocoplus19": _COCOPLUS19,
        "h36m17": _H36M17,
        "mpi_inf_3dhp17": _MPI_INF_3DHP17,
        "mpi_inf_3dhp28": _MPI_INF_3DHP28,
        "mpii16": _MPII16,
        "xas18": _XAS18,
        "blazepose33": _BLAZEPOSE33,
        "openpose25": _OPENPOSE25,
    }.items()
}
"""The joint sets of people: every body of a person has them."""
SKELETONS: dict[str, Skeleton] = HUMAN_SETS | {"quadruped": _skeleton("quadruped", _QUADRUPED)}
