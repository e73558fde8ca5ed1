"""Where each joint set's points lie on a body: linear regressors (rows of weights over the vertices).

Two kinds of places exist. *Joints* are the centres that the skeleton turns about (the rows of ``J_regressor``);
motion capture sets (h36m17, mpi_inf_3dhp, xas18) are built from them. *Marks* are what people click in pictures:
the picture sets (coco17, lsp14, cocoplus19, mpii16, blazepose33) are built from marks, and from joints where no
mark of that name is known; openpose25 is made of two of these. A place that a body does not have is a row of zeros.
"""

from collections.abc import Mapping
from typing import SupportsInt

import numpy as np
from jaxtyping import Float, UInt8

from monobody.body.skeleton import SKELETONS

Row = Float[np.ndarray, " V"]

_PICTURE_SETS = ("coco17", "lsp14", "cocoplus19", "mpii16", "blazepose33")
_MOTION_CAPTURE_SETS = ("h36m17", "mpi_inf_3dhp17", "mpi_inf_3dhp28", "xas18")
OUTWARD = 2.0
"""How much more a vertex's place outside counts than its place in front, for the tip of the small toe."""
_MIRRORED_LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")


def compose_regressors(
    joints: Float[np.ndarray, "24 V"], marks: Mapping[str, Row]
) -> dict[str, Float[np.ndarray, "K V"]]:
    """Return the regressor of every joint set from the skeleton's joints and a picture's marks.

    ``marks`` are named as in ``skeleton.py``: the limbs as clicked, nose, eyes, ears, head_top, toes, heels, fingers.
    """
    bones = dict(zip(SKELETONS["smpl24"].joints, joints, strict=True))
    mid_hip = _middle(bones, "hip")
    thorax = 0.7 * bones["neck"] + 0.3 * _middle(bones, "shoulder")
    clicked = {"pelvis": mid_hip, "thorax": thorax, "neck": 0.75 * bones["neck"] + 0.25 * bones["head"]} | dict(marks)
    captured = dict(marks) | bones
    captured |= {"pelvis": mid_hip, "neck": thorax, "torso": 0.5 * (mid_hip + thorax)}
    captured |= {"spine4": 0.5 * (bones["spine3"] + bones["neck"]), "thorax": _middle(bones, "shoulder")}
    if {"nose", "left_ear", "right_ear"} <= marks.keys():
        captured["head"] = 0.5 * (marks["nose"] + _middle(marks, "ear"))
        # Human3.6M's and the motion capture's "nose" lies inside the face, behind its tip.
        captured["nose"] = 0.6 * marks["nose"] + 0.4 * bones["head"]

    def stack(set_name: str, places: Mapping[str, Row]) -> np.ndarray:
        missing = np.zeros(joints.shape[1])
        return np.stack([places.get(name, missing) for name in SKELETONS[set_name].joints]).astype(np.float32)

    regressors = {"smpl24": np.asarray(joints, dtype=np.float32)}
    regressors |= {name: stack(name, bones | clicked) for name in _PICTURE_SETS}
    regressors |= {name: stack(name, captured) for name in _MOTION_CAPTURE_SETS}
    return regressors


def openpose_regressor(
    regressors: Mapping[str, Float[np.ndarray, "K V"]],
    vertices_m: Float[np.ndarray, "V 3"],
    part24: UInt8[np.ndarray, " V"],
) -> Float[np.ndarray, "25 V"]:
    """Return OpenPose's BODY_25 from the regressors of COCO's and MediaPipe's points, which it is made of.

    Its neck is the middle of COCO's shoulders and its mid-hip that of the hips, as in its training data. The small toe
    is the vertex of the foot that is farthest in front and outside, on a template in T-pose (y up, facing +z).
    """
    missing = np.zeros(len(vertices_m))
    places = {name: missing for name in SKELETONS["openpose25"].joints}
    for source in ("blazepose33", "coco17"):
        if source in regressors:
            places |= dict(zip(SKELETONS[source].joints, regressors[source], strict=True))
    for name, limb in (("thorax", "shoulder"), ("pelvis", "hip")):
        if places[f"left_{limb}"].any() and places[f"right_{limb}"].any():
            places[name] = _middle(places, limb)
    for side, sign, joints in (("left", 1, (7, 10)), ("right", -1, (8, 11))):
        foot = np.flatnonzero(np.isin(part24, joints))
        if len(foot):
            corner = foot[(OUTWARD * sign * vertices_m[foot, 0] + vertices_m[foot, 2]).argmax()]
            places[f"{side}_small_toe"] = np.eye(1, len(vertices_m), int(corner))[0]
    return np.stack([places[name] for name in SKELETONS["openpose25"].joints]).astype(np.float32)


def substitute_marks(
    vertices_m: Float[np.ndarray, "V 3"], joints: Float[np.ndarray, "24 V"], part24: UInt8[np.ndarray, " V"]
) -> dict[str, Row]:
    """Return marks found by the geometry of any template in T-pose (y up, facing +z), for bodies without their own.

    Limbs are the joints themselves, which lie deeper than what people click (by centimetres at the hips); the face,
    fingers and feet are single vertices found by where they lie on an adult. HMR's own face points are single
    vertices too.
    """
    at = dict(zip(SKELETONS["smpl24"].joints, joints @ vertices_m, strict=True))
    scale = np.ptp(vertices_m[:, 1]) / 1.7
    bones = dict(zip(SKELETONS["smpl24"].joints, joints, strict=True))
    marks = {f"{side}_{limb}": bones[f"{side}_{limb}"] for side in ("left", "right") for limb in _MIRRORED_LIMBS}

    def single(vertex: SupportsInt) -> Row:
        return np.eye(1, len(vertices_m), int(vertex))[0]

    def foremost(region: np.ndarray, x: float, y: float) -> Row:
        """The vertex of a region nearest to a line along z, of two equally near ones that in front."""
        distance = np.hypot(vertices_m[region, 0] - x, vertices_m[region, 1] - y)
        near = region[distance < distance.min() + 0.004 * scale]
        return single(near[vertices_m[near, 2].argmax()])

    head = np.flatnonzero(part24 == 15)
    top = head[np.argsort(-vertices_m[head, 1])[: max(1, len(head) // 150)]]
    marks["head_top"] = np.bincount(top, minlength=len(vertices_m)) / len(top)
    nose = head[vertices_m[head, 2].argmax()]
    nose_y = vertices_m[nose, 1]
    marks["nose"] = single(nose)
    for side, sign, hand, foot in (("left", 1, (20, 22), (7, 10)), ("right", -1, (21, 23), (8, 11))):
        for eye, x in (("eye", 0.032), ("eye_inner", 0.018), ("eye_outer", 0.046)):
            marks[f"{side}_{eye}"] = foremost(head, sign * x * scale, nose_y + 0.04 * scale)
        marks[f"{side}_mouth"] = foremost(head, sign * 0.025 * scale, nose_y - 0.04 * scale)
        marks[f"{side}_ear"] = single(head[(sign * vertices_m[head, 0]).argmax()])
        palm = np.flatnonzero(np.isin(part24, hand))
        for finger, z in (("index", 0.03), ("pinky", -0.03)):
            goal = at[f"{side}_hand"] + [0, 0, z * scale]
            marks[f"{side}_{finger}"] = single(palm[np.linalg.norm(vertices_m[palm] - goal, axis=1).argmin()])
        marks[f"{side}_thumb"] = single(palm[vertices_m[palm, 2].argmax()])
        sole = np.flatnonzero(np.isin(part24, foot))
        marks[f"{side}_toe"] = single(sole[vertices_m[sole, 2].argmax()])
        marks[f"{side}_heel"] = single(sole[vertices_m[sole, 2].argmin()])
    return marks


def _middle(rows: Mapping[str, Row], joint: str) -> Row:
    return 0.5 * (rows[f"left_{joint}"] + rows[f"right_{joint}"])
