"""Draw the bodies as seen from the side: how far from the camera they stand, and how they lean.

The photo's camera is off to the left, depth runs to the right. The ground is level with the lowest body, its grid has
squares of one metre.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, UInt8

from monobody.camera import Camera, project
from monobody.render.overlay import COLOURS, draw_overlay
from monobody.render.raster import raster_one

PITCH_RAD = math.radians(9)
"""The viewer looks down by this, to see the ground as a plane."""
_FOV_RAD = math.radians(24)
_BACKDROP, _GROUND, _LINE = (
    np.array(colour, np.float32) for colour in ((236, 237, 240), (214, 216, 220), (188, 191, 197))
)
_MARGIN = 1.14
_HEIGHTS_PX = (480, 1440)


def draw_side(
    rgb: UInt8[np.ndarray, "h w 3"],
    people: Sequence[Float[np.ndarray, "v 3"]],
    faces: Int[np.ndarray, "f 3"],
    camera: Camera,
    *,
    colours: UInt8[np.ndarray, "n 3"] = COLOURS,
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Return a picture of the bodies from their side, about as high as the photo, as wide as they are spread in depth.

    Args:
        rgb: the photo; only its size is used.
        people: each one's vertices before the photo's camera, metres (x right, y down, z forward).
        faces: the triangles that all of them share.
        camera: the photo's; unused, so that every view takes the same arguments.
        colours: sRGB, given out in turn as in the overlay.
    """
    height = min(max(rgb.shape[0], _HEIGHTS_PX[0]), _HEIGHTS_PX[1])
    turned = [_from_the_side(np.asarray(person, np.float64)) for person in people]
    everybody = np.concatenate(turned) if turned else np.array([[-0.5, -1.7, -0.5], [0.5, 0.0, 0.5]])
    floor = everybody[:, 1].max()
    centre = (everybody.min(axis=0) + everybody.max(axis=0)) / 2
    spread = np.ptp(everybody, axis=0)
    aspect = float(np.clip(spread[0] / max(spread[1], 0.1), 0.75, 2.0))
    width = round(height * aspect)

    # Far enough back for the tallest and the most spread at half the depth of the group.
    half = _MARGIN / 2 * max(spread[1], spread[0] / aspect, 0.5)
    distance = half / math.tan(_FOV_RAD / 2) + spread[2] / 2
    view = Camera(focal_px=height / 2 / math.tan(_FOV_RAD / 2), principal_px=(width / 2, height / 2), source="default")
    cos, sin = math.cos(PITCH_RAD), math.sin(PITCH_RAD)
    look_down = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])

    def seen(points: np.ndarray) -> np.ndarray:
        return (points - centre) @ look_down.T + [0, 0, distance]

    canvas = _ground(height, width, view, look_down, floor - centre[1], distance, centre)
    if turned:
        canvas = _shadow(canvas, [seen(_dropped(points, floor)) for points in turned], faces, view)
    picture = draw_overlay(
        canvas.round().astype(np.uint8), [seen(points) for points in turned], faces, view, opacity=1.0, colours=colours
    )
    return picture


def _from_the_side(points_m: Float[np.ndarray, "v 3"]) -> Float[np.ndarray, "v 3"]:
    """Turn the camera's axes so that depth runs to the right, down stays down, and left is away."""
    return np.stack([points_m[:, 2], points_m[:, 1], -points_m[:, 0]], axis=-1)


def _dropped(points_m: Float[np.ndarray, "v 3"], floor_m: float) -> Float[np.ndarray, "v 3"]:
    """Drop points to the ground along a light from above, the left and the front."""
    fall = floor_m - points_m[:, 1]
    return np.stack([points_m[:, 0] + 0.18 * fall, np.full_like(fall, floor_m), points_m[:, 2] + 0.12 * fall], axis=-1)


def _ground(
    height: int,
    width: int,
    view: Camera,
    look_down: Float[np.ndarray, "3 3"],
    floor_m: float,
    distance_m: float,
    centre: Float[np.ndarray, "3"],
) -> Float[np.ndarray, "h w 3"]:
    """Paint the plane y = floor (relative to what is looked at) with its grid, fading into the backdrop."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32) + 0.5
    ray = np.stack(
        [(columns - view.principal_px[0]) / view.focal_px, (rows - view.principal_px[1]) / view.focal_px], axis=-1
    )
    ray = np.concatenate([ray, np.ones((height, width, 1), np.float32)], axis=-1) @ look_down.astype(np.float32)
    eye = -distance_m * look_down[2]
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = (floor_m - eye[1]) / ray[..., 1]
    reach = np.where(ray[..., 1] > 1e-4, reach, np.inf).astype(np.float32)
    # Ground coordinates in the photo's metres, so that the lines lie at whole metres of depth.
    on_ground = np.where(np.isinf(reach), 0, reach)  # Rays that miss it are faded out below.
    across = eye[0] + on_ground * ray[..., 0] + centre[0]
    along = eye[2] + on_ground * ray[..., 2] + centre[2]
    line = np.maximum(_lines(across, axis=1), _lines(along, axis=0))
    visible = np.exp(-((np.maximum(reach - distance_m, 0) / (0.9 * distance_m)) ** 2))[..., None]
    ground = _GROUND + (_LINE - _GROUND) * line[..., None]
    return _BACKDROP + (ground - _BACKDROP) * visible


def _lines(metres: Float[np.ndarray, "h w"], axis: int) -> Float[np.ndarray, "h w"]:
    """Cover pixels with lines at whole metres, one pixel and a half wide, fading where they would crowd."""
    per_pixel = np.maximum(np.abs(np.gradient(metres, axis=axis)), 1e-6)
    off = np.abs(metres - np.round(metres)) / per_pixel
    return np.clip(1.25 - off, 0, 1) * np.clip(1 - 6 * per_pixel, 0, 1)


def _shadow(
    canvas: Float[np.ndarray, "h w 3"],
    dropped: Sequence[Float[np.ndarray, "v 3"]],
    faces: Int[np.ndarray, "f 3"],
    view: Camera,
) -> Float[np.ndarray, "h w 3"]:
    """Darken the ground under the bodies, with a soft edge."""
    from PIL import Image, ImageFilter

    height, width = canvas.shape[:2]
    covered = np.zeros((height, width), np.uint8)
    corners = np.asarray(faces, np.int32)
    depth, triangle = np.empty((height, width), np.float32), np.empty((height, width), np.int32)
    for points in dropped:
        flat = np.concatenate([project(points, view.focal_px, view.principal_px), points[:, 2:]], axis=-1)
        raster_one(flat.astype(np.float32), corners, depth, triangle, np.empty((0, 0, 3), np.float32))
        covered[triangle >= 0] = 255
    blurred = Image.fromarray(covered).filter(ImageFilter.GaussianBlur(height / 110))
    return canvas * (1 - 0.26 * np.asarray(blurred, np.float32)[..., None] / 255)
