"""The shadow that a person throws on the ground below them: what keeps pasted people from floating."""

import numpy as np
from jaxtyping import Float, Int
from PIL import Image, ImageFilter

from monobody.render.raster import raster_one

_LOWEST_SUN = 0.3
"""Sine of the sun's least height; lower ones would throw shadows across the whole picture."""


def ground_shadow(
    vertices_m: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "f 3"],
    up: Float[np.ndarray, "3"],
    sun_direction: Float[np.ndarray, "3"],
    focal_px: float,
    principal_px: Float[np.ndarray, "2"],
    size: int,
) -> Float[np.ndarray, "s s"] | None:
    """Return how much of the sun each pixel's ground loses, or None where the ground's shadow is not in view.

    The ground is level and touches the lowest vertex. All in the camera's frame; ``up`` and ``sun_direction`` are unit
    vectors. The camera must be above the ground.
    """
    rise = float(up @ sun_direction)
    if rise < 0.05:
        return None
    # A low sun is raised, so that the shadow stays near the feet.
    sun = sun_direction + max(_LOWEST_SUN - rise, 0) * up
    heights = vertices_m @ up
    floor = float(heights.min())
    if floor > -0.1:
        return None
    fallen = vertices_m - ((heights - floor) / float(up @ sun))[:, None] * sun
    if fallen[:, 2].min() < 0.3:
        return None
    half = size // 2
    pixels = np.empty_like(fallen, np.float32)
    pixels[:, :2] = (fallen[:, :2] / fallen[:, 2:] * focal_px + principal_px) * (half / size)
    pixels[:, 2] = fallen[:, 2]
    depth, triangle = np.empty((half, half), np.float32), np.empty((half, half), np.int32)
    raster_one(pixels, faces, depth, triangle, np.empty((0, 0, 3), np.float32))
    dark = Image.fromarray(np.where(triangle >= 0, np.uint8(255), np.uint8(0)))
    soft = dark.filter(ImageFilter.BoxBlur(0.006 * size)).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(soft, np.float32) / 255
