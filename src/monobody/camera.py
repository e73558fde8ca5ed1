"""Cameras: HMR's weak perspective inside a crop, and the pinhole of the whole picture.

Weak perspective sees a body point X (metres, camera axes: x right, y down, z forward) at the crop coordinate

    u = s * (X_xy + t),        u in [-1, 1]^2 over the crop

(Kanazawa et al., CVPR 2018, section 3.2; the shift is in metres, added before scaling). A crop of ``size`` pixels
about ``centre`` so shows ``s * size / 2`` pixels a metre. The pinhole that does so at the body's depth has it at

    z = 2 f / (s * size),      (x, y) = t + (centre - principal) * 2 / (s * size)

as CLIFF has it (Li et al., ECCV 2022, equation 3). All functions take numpy arrays or torch tensors.
"""

import math
from dataclasses import dataclass
from typing import Literal

from monobody.arrays import Array, constant_like, joined
from monobody.data.crop import Crop
from monobody.errors import UserError

SMALLEST_SCALE = 0.01
"""Weak-perspective scales below (a body 100 times as tall as the crop, or a mirrored one) are taken as this."""

NEAREST_M = 0.1
"""No point of a body is nearer to the camera, metres."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """The pinhole that took a picture, without distortion, its pixels square."""

    focal_px: float
    principal_px: tuple[float, float]
    """Where the optical axis meets the picture, pixels; its middle, unless somebody knows better."""
    source: Literal["user", "exif", "default"]
    """Where the focal length comes from."""


def default_focal_px(width_px: int, height_px: int) -> float:
    """Return the focal length where nothing is known: the diagonal, 53 degrees from corner to corner (CLIFF)."""
    return math.hypot(width_px, height_px)


def focal_from_fov(fov_deg: float, width_px: int) -> float:
    """Return the focal length in pixels of a horizontal field of view.

    Raises:
        UserError: the angle is not between 0 and 180 degrees.
    """
    if not 0 < fov_deg < 180:
        raise UserError(f"A field of view of {fov_deg:g} degrees is impossible: give an angle between 0 and 180.")
    return width_px / (2 * math.tan(math.radians(fov_deg) / 2))


def fov_from_focal(focal_px: float, width_px: int) -> float:
    """Return the horizontal field of view in degrees; the inverse of :func:`focal_from_fov`."""
    return math.degrees(2 * math.atan(width_px / (2 * focal_px)))


def project_weak(points_m: Array, camera: Array) -> Array:
    """Project points (*b, n, 3) into crop coordinates (*b, n, 2) by weak cameras (*b, 3) of (s, tx, ty)."""
    return camera[..., None, :1] * (points_m[..., :2] + camera[..., None, 1:])


def project_through_picture(points_m: Array, camera: Array, view: Array) -> Array:
    """Project points (*b, n, 3) as the whole picture's pinhole sees them, into crop coordinates (*b, n, 2).

    The body stands where its weak camera (*b, 3) of (s, tx, ty) puts it before that pinhole, and ``view`` (*b, 3) says
    where the crop lies before it: its centre from the principal point and its size, in focal lengths, along the crop's
    axes. Points at the depth of the body's origin fall where :func:`project_weak` has them (CLIFF, section 3.2).
    """
    centre, size = view[..., None, :2], view[..., None, 2:]
    depth_m = 2 / (camera[..., None, :1].clip(SMALLEST_SCALE, None) * size)
    across = points_m[..., :2] + camera[..., None, 1:] + centre * depth_m
    # A limb that reaches behind the camera, as it may while a network is young, is taken as just before it.
    ahead = (points_m[..., 2:] + depth_m).clip(NEAREST_M, None)
    return (across / ahead - centre) * 2 / size


def project(points_cam_m: Array, focal_px: float, principal_px: tuple[float, float]) -> Array:
    """Project points (*b, 3) before a pinhole into pixels (*b, 2); the centre of the first pixel is 0.5."""
    return points_cam_m[..., :2] / points_cam_m[..., 2:] * focal_px + constant_like(points_cam_m, principal_px)


def unproject(points_px: Array, depth_m: Array, focal_px: float, principal_px: tuple[float, float]) -> Array:
    """Return the points (*b, 3) seen at pixels (*b, 2) in known depths (*b); the exact inverse of :func:`project`."""
    depth = depth_m[..., None]
    return joined([(points_px - constant_like(points_px, principal_px)) / focal_px * depth, depth])


def full_image_translation(camera: Array, crop: Crop, focal_px: float, width_px: int, height_px: int) -> Array:
    """Return where a body stands before the picture's camera, (*b, 3) metres, from its weak camera (*b, 3) in a crop.

    The crop counts as upright: where it is turned, turn the body and its shift back first. A body point at the
    body's own depth appears at the same pixel by both cameras. The principal point is the picture's middle.
    """
    metres_per_px = 2 / (camera[..., :1].clip(SMALLEST_SCALE, None) * crop.size_px)
    offset_px = constant_like(camera, (crop.centre_px[0] - width_px / 2, crop.centre_px[1] - height_px / 2))
    return joined([camera[..., 1:] + offset_px * metres_per_px, focal_px * metres_per_px])


def weak_camera(translation_cam_m: Array, crop: Crop, focal_px: float, width_px: int, height_px: int) -> Array:
    """Return the weak camera (s, tx, ty) of a place (*b, 3); the exact inverse of :func:`full_image_translation`."""
    metres_per_px = translation_cam_m[..., 2:] / focal_px
    offset_px = constant_like(translation_cam_m, (crop.centre_px[0] - width_px / 2, crop.centre_px[1] - height_px / 2))
    return joined([2 / (metres_per_px * crop.size_px), translation_cam_m[..., :2] - offset_px * metres_per_px])
