"""Which part of a body is seen at each pixel: head, torso, arms and legs, as UP-3D has them (Lassner et al., 2017)."""

import numpy as np
from jaxtyping import Float, UInt8

from monobody.body.assets import BodyData
from monobody.body.skeleton import SKELETONS
from monobody.render.raster import rasterise

LABELS = ("background", "head", "torso", "right arm", "left arm", "right leg", "left leg")
"""What the numbers of a map mean."""
SHOULDER_CAP = 0.15
"""Skin that follows the shoulder joint is the torso's up to so far beyond the joint, in lengths of the upper arm."""
_TORSO = ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar", "neck")
_LIMBS = {"arm": ("shoulder", "elbow", "wrist", "hand"), "leg": ("hip", "knee", "ankle", "foot")}


def part_labels(body: BodyData) -> UInt8[np.ndarray, " V"]:
    """Return the number in ``LABELS`` of each vertex, by the joint that moves it most.

    The groups are UP-3D's: the neck and the caps of the shoulders belong to the torso, hands to arms, feet to legs.
    UP-3D painted its regions on SMPL's template by hand; where the cap of a shoulder ends there is ours
    (:data:`SHOULDER_CAP`, at the armpit).
    """
    of_joint = {joint: LABELS.index("torso") for joint in _TORSO} | {"head": LABELS.index("head")}
    for limb, joints in _LIMBS.items():
        for side in ("left", "right"):
            of_joint |= {f"{side}_{joint}": LABELS.index(f"{side} {limb}") for joint in joints}
    names = SKELETONS["smpl24"].joints
    labels = np.array([of_joint[name] for name in names], np.uint8)[body.part24]
    joints_m = body.J_regressor.astype(np.float64) @ body.v_template
    for side in ("left", "right"):
        shoulder, elbow = (names.index(f"{side}_{joint}") for joint in ("shoulder", "elbow"))
        upper_arm = joints_m[elbow] - joints_m[shoulder]
        along = (body.v_template - joints_m[shoulder]) @ upper_arm / (upper_arm @ upper_arm)
        labels[(body.part24 == shoulder) & (along < SHOULDER_CAP)] = LABELS.index("torso")
    return labels


def part_map(
    vertices_px: Float[np.ndarray, "V 3"], body: BodyData, labels: UInt8[np.ndarray, " V"], height: int, width: int
) -> UInt8[np.ndarray, "h w"]:
    """Return the label seen at each pixel's centre, that of the triangle's nearest corner; 0 beside the body.

    Args:
        vertices_px: x and y in pixels of the picture, depth in metres (``projected``).
        body: whose vertices they are.
        labels: one for each vertex, as of :func:`part_labels`.
        height: of the picture.
        width: of the picture.
    """
    seen = rasterise(np.asarray(vertices_px, np.float32)[None], body.faces, height, width)
    triangle = seen.triangle[0]
    corner = body.faces[triangle, seen.barycentrics[0].argmax(-1)]
    return np.where(triangle >= 0, labels[corner], 0).astype(np.uint8)


def projected(
    vertices_cam_m: Float[np.ndarray, "*b V 3"], focal_px: float, principal_px: Float[np.ndarray, "2"]
) -> Float[np.ndarray, "*b V 3"]:
    """Return vertices as the rasteriser takes them: pixels, and depth in metres."""
    depth = vertices_cam_m[..., 2:]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.concatenate([focal_px * vertices_cam_m[..., :2] / depth + principal_px, depth], axis=-1)
