"""The region of interest: the turned square about a person that training and prediction both cut out.

BlazePose's landmark network expects the hip centre in the middle of its square, the body's axis (hip centre to the
middle of the shoulders) pointing up, and a circle about the whole person inside. MediaPipe computes that square from
two points, the hip centre and a "full-body" point on the circle; so does :func:`region_from_points`. Photos with
clicked joints and synthetic people have neither, so :func:`region_from_joints` places the square where, on average,
the detector would have placed it.
"""

import math

import numpy as np
from jaxtyping import Bool, Float

from monobody.data.crop import Crop

MARGIN = 1.25
"""Square side over circle diameter, MediaPipe's ``RectTransformationCalculator`` of the pose graphs."""

REACH, TRUNK, DROP = 1.07, 1.6, 0.03
"""The circle's radius is ``REACH * max(farthest joint from the hips' middle, TRUNK * length of the trunk)``; the hip
centre lies ``DROP`` radii below the hips' middle, along the body's axis. Fitted to where the detector puts people whose
14 joints are known (the 85 of 360 photos of LSP Extended where it has at least 75 % of the limb joints right)."""

SCATTER_SIZE, SCATTER_ANGLE_RAD, SCATTER_ACROSS, SCATTER_ALONG = 0.10, math.radians(5), 0.04, 0.06
"""How far the detector strays from that rule on the same photos (half the 16 to 84 % range): logarithm of the size,
angle, and centre across and along the body's axis in radii."""


OF_BOX = 1.3
"""The region's side over the longer side of the box of somebody's mask: the median over synthetic people who are within
15 degrees of upright is 1.32 (16 to 84 %: 1.25 to 1.44), of those twice as tall as wide 1.28; the region's middle is
0.01 sides below the box's (16 to 84 %: 0.03 above to 0.06 below)."""
ANIMAL_MARGIN = 1.14
"""The side of an animal's upright square over the longer side of its box."""


def region_from_points(hip_px: Float[np.ndarray, "2"], full_body_px: Float[np.ndarray, "2"]) -> Crop:
    """Return MediaPipe's region: centred on the hips, its up direction towards the full-body point.

    Raises:
        ValueError: the two points coincide, so that no size and no direction follow.
    """
    across, down = np.asarray(full_body_px, np.float64) - np.asarray(hip_px, np.float64)
    radius = math.hypot(across, down)
    if not radius > 0:
        raise ValueError("The hip centre and the full-body point coincide: they define no region.")
    # The up direction of a crop turned by a is (sin a, -cos a) in the picture.
    return Crop(
        centre_px=(float(hip_px[0]), float(hip_px[1])),
        size_px=2.0 * MARGIN * radius,
        angle_rad=math.atan2(across, -down),
    )


def region_from_mask_box(box_px: Float[np.ndarray, "4"]) -> Crop:
    """Return an upright square about the box (x0, y0, x1, y1) of somebody's mask, as large as the rule would have it.

    `OF_BOX` is what :func:`region_from_joints` gives people whose masks are known, in longer sides of the masks' boxes.

    Raises:
        ValueError: the box is empty.
    """
    x0, y0, x1, y1 = (float(value) for value in box_px)
    if not (x1 > x0 and y1 > y0):
        raise ValueError("A region needs a box that is not empty.")
    return Crop(centre_px=(0.5 * (x0 + x1), 0.5 * (y0 + y1)), size_px=OF_BOX * max(x1 - x0, y1 - y0))


def region_from_joints(joints_px: Float[np.ndarray, "14 2"], visible: Bool[np.ndarray, "14"] | None = None) -> Crop:
    """Return the region that the detector would give, on average, for a person with these joints (LSP's order).

    ``visible`` marks the joints that are known; others are left out. The hips' middle and the shoulders' middle are
    used where known, else the nearest known trunk joints, else the box of the joints.

    Raises:
        ValueError: fewer than two joints are known.
    """
    joints = np.asarray(joints_px, np.float64)
    known = np.ones(14, bool) if visible is None else np.asarray(visible, bool)
    if known.sum() < 2:
        raise ValueError("A region needs at least two known joints.")
    box_middle = 0.5 * (joints[known].min(0) + joints[known].max(0))
    hips, shoulders = _middle(joints, known, (2, 3)), _middle(joints, known, (8, 9))
    if shoulders is None:
        shoulders = _middle(joints, known, (12, 13))
    centre = box_middle if hips is None else hips
    reach = float(np.linalg.norm(joints[known] - centre, axis=1).max())
    up = np.zeros(2) if shoulders is None else shoulders - centre
    trunk = float(np.linalg.norm(up))
    across, down = up / trunk if trunk > 0 else (0.0, -1.0)
    radius = REACH * max(reach, TRUNK * trunk if hips is not None else 0.0, 1.0)
    return Crop(
        centre_px=(float(centre[0] - DROP * radius * across), float(centre[1] - DROP * radius * down)),
        size_px=2.0 * MARGIN * radius,
        angle_rad=math.atan2(across, -down),
    )


def scattered(crop: Crop, rng: np.random.Generator) -> Crop:
    """Return a region as the detector might have given it where the rule says ``crop``."""
    across, along, size, angle = rng.normal(size=4)
    radii = np.array([SCATTER_ACROSS * across, SCATTER_ALONG * along])
    centre = crop.to_picture(radii / MARGIN)
    return Crop(
        centre_px=(float(centre[0]), float(centre[1])),
        size_px=crop.size_px * math.exp(SCATTER_SIZE * size),
        angle_rad=crop.angle_rad + SCATTER_ANGLE_RAD * angle,
    )


def _middle(
    joints: Float[np.ndarray, "14 2"], known: Bool[np.ndarray, "14"], pair: tuple[int, int]
) -> Float[np.ndarray, "2"] | None:
    """Return the mean of the known joints of a pair, or None where neither is known."""
    picked = [joints[i] for i in pair if known[i]]
    return np.mean(picked, axis=0) if picked else None
