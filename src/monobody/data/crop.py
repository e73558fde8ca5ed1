"""Square, possibly turned, windows of a picture: the frame in which a network sees one person.

A crop is a similarity: the picture point ``p`` (pixels; the centre of the first pixel is 0.5) and the crop coordinate
``u`` in [-1, 1]^2 (u right, v down) belong together by

    p = centre + size / 2 * R(a) u,        R(a) = [[cos a, -sin a], [sin a, cos a]].

Turning the crop turns the camera about its axis, so a rotation into the crop's camera frame becomes one into the
picture's by ``R_picture = Rz(a) @ R_crop`` (:func:`turn_back`).

Rules for placing crops: HMR's 150 pixel diagonal (Kanazawa et al., CVPR 2018, section 4) and SPIN's square box.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from monobody.arrays import Array, constant_like
from monobody.errors import UserError

HMR_CROP_TO_DIAGONAL = 224 / 150
"""HMR scales a person to a diagonal of 150 pixels and cuts 224 pixels around its centre."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A square window of a picture.

    Raises:
        UserError: a number is not finite or the size is not positive.
    """

    centre_px: tuple[float, float]
    """(x, y) of the centre in the picture, pixels."""
    size_px: float
    """Side of the square in the picture, pixels."""
    angle_rad: float = 0.0
    """Turn of the crop's axes in the picture, from x (right) to y (down): clockwise as seen."""

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (*self.centre_px, self.size_px, self.angle_rad))) or self.size_px <= 0:
            raise UserError(f"A crop needs finite numbers and a positive size, not {self}.")

    def axes(self) -> Float[np.ndarray, "2 2"]:
        """R(a): the crop's right and down axes as columns, in the picture."""
        cos, sin = math.cos(self.angle_rad), math.sin(self.angle_rad)
        return np.array([[cos, -sin], [sin, cos]])

    def to_crop(self, points_px: Array) -> Array:
        """Turn picture points (*b, 2) in pixels into crop coordinates in [-1, 1]; numpy or torch."""
        axes, centre = constant_like(points_px, self.axes()), constant_like(points_px, np.asarray(self.centre_px))
        return (points_px - centre) @ axes * (2 / self.size_px)

    def to_picture(self, points_ndc: Array) -> Array:
        """Turn crop coordinates (*b, 2) into picture points in pixels; the exact inverse of :meth:`to_crop`."""
        axes, centre = constant_like(points_ndc, self.axes()), constant_like(points_ndc, np.asarray(self.centre_px))
        return centre + (points_ndc @ axes.T) * (self.size_px / 2)

    def corners_px(self) -> Float[np.ndarray, "4 2"]:
        """The crop's corners in the picture: top left, top right, bottom right, bottom left as the crop sees them."""
        return self.to_picture(np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]))


def extract(image: UInt8[np.ndarray, "h w 3"], crop: Crop, out_size: int) -> UInt8[np.ndarray, "s s 3"]:
    """Resample a crop of a picture to ``out_size`` x ``out_size`` pixels.

    Bilinear where it enlarges, averaging over the pixel's footprint where it shrinks, so that it does not alias.
    Outside of the picture the nearest edge pixel is repeated, as HMR pads.
    """
    from monobody.data.warp import warp_similarity  # Compiled loops: numba takes half a second to import.

    return warp_similarity(image, crop.to_picture(np.array([-1.0, -1.0])), crop.axes() * crop.size_px, out_size)


def hmr_crop(
    points_px: Float[np.ndarray, "k 2"] | Sequence[float], visible: Bool[np.ndarray, "k"] | None = None
) -> Crop:
    """Place HMR's crop: the diagonal of the tight box of the visible points fills 150 of 224 pixels.

    Args:
        points_px: keypoints, or a box (x0, y0, x1, y1), whose two corners are such points.
        visible: which points count; all where left out.

    Raises:
        UserError: no point is visible, or all fall together.
    """
    points = np.asarray(points_px, dtype=np.float64).reshape(-1, 2)
    if visible is not None:
        points = points[np.asarray(visible, dtype=bool)]
    if len(points) == 0:
        raise UserError("No visible keypoint to place a crop on: give a box instead.")
    low, high = points.min(axis=0), points.max(axis=0)
    centre = (low + high) / 2
    diagonal = float(np.linalg.norm(high - low))
    return Crop((float(centre[0]), float(centre[1])), diagonal * HMR_CROP_TO_DIAGONAL)


def square_box_crop(box_px: Sequence[float], scale: float = 1.2) -> Crop:
    """Place a square of ``scale`` times the longer side on the centre of the box (x0, y0, x1, y1); SPIN's rule."""
    x0, y0, x1, y1 = (float(value) for value in box_px)
    return Crop(((x0 + x1) / 2, (y0 + y1) / 2), max(x1 - x0, y1 - y0) * scale)


def turn_back(rotation_root: Array, angle_rad: float) -> Array:
    """Take root rotations (*b, 3, 3) from the crop's camera frame to the upright picture's: Rz(a) @ R.

    With ``-angle_rad`` it takes a picture's rotation into the crop. numpy or torch.
    """
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    return constant_like(rotation_root, turn) @ rotation_root


def checked_box(box_px: Sequence[float], width_px: int, height_px: int) -> tuple[float, float, float, float]:
    """Return a user's box (x0, y0, x1, y1), cut at the picture's borders.

    Raises:
        UserError: the box is not four finite numbers, is empty, or lies outside of the picture.
    """
    box = tuple(float(value) for value in box_px)
    shown = ",".join(f"{value:g}" for value in box)
    if len(box) != 4 or not all(map(math.isfinite, box)):
        raise UserError(f"The box {shown} is not four finite numbers: give X0,Y0,X1,Y1 in pixels.")
    x0, y0, x1, y1 = box
    if x1 <= x0 or y1 <= y0:
        raise UserError(f"The box {shown} is empty: X1 must exceed X0 and Y1 must exceed Y0.")
    x0, y0, x1, y1 = max(x0, 0.0), max(y0, 0.0), min(x1, float(width_px)), min(y1, float(height_px))
    if x1 - x0 < 1 or y1 - y0 < 1:
        raise UserError(f"The box {shown} lies outside of the picture, which has {width_px} x {height_px} pixels.")
    return x0, y0, x1, y1
