"""A detection from 2D keypoints that somebody else found."""

import numpy as np
from jaxtyping import Float, UInt8

from monobody.body.skeleton import correspondence
from monobody.data.crop import Crop
from monobody.data.region import region_from_joints
from monobody.errors import UserError
from monobody.predict.detection import Detection, inside_picture
from monobody.predict.landmarks import read_region

BOX_MARGIN = 0.1
"""Widening of the keypoints' box to the body's outline, over its longer side."""


def detection_from_keypoints(
    rgb: UInt8[np.ndarray, "h w 3"], keypoints: Float[np.ndarray, "k 3"], set_name: str, *, score: float = 1.0
) -> Detection:
    """Return a detection whose region follows from keypoints (x, y, confidence) of a joint set.

    BlazePose reads that region for what the keypoints do not tell (3D, the joints missing from the set); where a
    landmark is a given keypoint, the given one takes its place, as it is what the user wants to be followed.

    Raises:
        UserError: fewer than two of the keypoints are joints of the trunk, the limbs or the head.
    """
    reading = read_region(rgb, region_of(keypoints, set_name))
    given, is_given = mapped(keypoints, set_name, "blazepose33")
    return Detection(
        box_px=box_about(rgb, keypoints),
        score=score,
        crop=reading.crop,
        landmarks_px=np.where(is_given[:, None], given[:, :2], reading.landmarks_px),
        landmarks_score=np.where(is_given, np.clip(given[:, 2], 0, 1), reading.scores),
        world_m=reading.world_m,
    )


def region_of(keypoints: Float[np.ndarray, "k 3"], set_name: str) -> Crop:
    """Return the region of interest of a person with these keypoints.

    Raises:
        UserError: fewer than two of them are joints of the trunk, the limbs or the head.
    """
    joints, known = mapped(keypoints, set_name, "lsp14")
    if known.sum() < 2:
        raise UserError(f"A person needs at least two known joints; these {set_name} keypoints give {known.sum()}.")
    return region_from_joints(joints[:, :2], known)


def box_about(rgb: UInt8[np.ndarray, "h w 3"], keypoints: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "4"]:
    """Return the box about a person with these keypoints, inside the picture."""
    points_px = keypoints[keypoints[:, 2] > 0, :2]
    margin = BOX_MARGIN * float(np.ptp(points_px, axis=0).max())
    return inside_picture(np.concatenate([points_px.min(0) - margin, points_px.max(0) + margin]), rgb)


def mapped(
    keypoints: Float[np.ndarray, "k 3"], source: str, target: str
) -> tuple[Float[np.ndarray, "n 3"], np.ndarray]:
    """Return the keypoints in the target's order, and which of the target's joints are known."""
    index = np.array(correspondence(source, target))
    mapped = np.where(index[:, None] >= 0, keypoints[index], 0.0)
    return mapped, mapped[:, 2] > 0
