"""Draw the bodies as seen from the side: how far from the camera they stand, and how they lean.

The photo's camera is off to the left, depth runs to the right. The ground is level with the lowest body, its grid has
squares of one metre.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, kw_only=True, slots=True)
class SideView:
    """From where bodies are seen from their side; :func:`side_view` chooses it."""

    width_px: int
    height_px: int
    view: Camera
    centre: Float[np.ndarray, "3"]
    """What is looked at, in turned axes (depth, down, away)."""
    distance_m: float
    floor_m: float
    """How far down the ground lies in the photo camera's frame."""

    def seen(self, turned_m: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
        """Take turned points before the viewer's own camera."""
        return (turned_m - self.centre) @ self.look_down.T + [0, 0, self.distance_m]

    def project(self, points_cam_m: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 2"]:
        """Return where points before the photo's camera fall in the side view, pixels."""
        seen = self.seen(_from_the_side(np.asarray(points_cam_m, np.float64)))
        return project(seen, self.view.focal_px, self.view.principal_px)

    @property
    def look_down(self) -> Float[np.ndarray, "3 3"]:
        """The viewer's pitch."""
        cos, sin = math.cos(PITCH_RAD), math.sin(PITCH_RAD)
        return np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])


def side_view(
    points_cam_m: Sequence[Float[np.ndarray, "k 3"]], height_px: int, aspect: float | None = None
) -> SideView:
    """Return the view that holds all points; nobody is a place where one person could stand.

    Args:
        points_cam_m: of everybody, before the photo's camera.
        height_px: of the picture.
        aspect: its width over its height; as wide as the points are spread in depth where left out.
    """
    turned = [_from_the_side(np.asarray(person, np.float64)) for person in points_cam_m]
    everybody = np.concatenate(turned) if turned else np.array([[-0.5, -1.7, -0.5], [0.5, 0.0, 0.5]])
    spread = np.ptp(everybody, axis=0)
    aspect = float(np.clip(spread[0] / max(spread[1], 0.1), 0.75, 2.0)) if aspect is None else aspect
    width_px = round(height_px * aspect)
    # Far enough back for the tallest and the most spread at half the depth of the group.
    half = _MARGIN / 2 * max(spread[1], spread[0] / aspect, 0.5)
    return SideView(
        width_px=width_px,
        height_px=height_px,
        view=Camera(
            focal_px=height_px / 2 / math.tan(_FOV_RAD / 2),
            principal_px=(width_px / 2, height_px / 2),
            source="default",
        ),
        centre=(everybody.min(axis=0) + everybody.max(axis=0)) / 2,
        distance_m=float(half / math.tan(_FOV_RAD / 2) + spread[2] / 2),
        floor_m=float(everybody[:, 1].max()),
    )


def draw_side(
    rgb: UInt8[np.ndarray, "h w 3"],
    people: Sequence[Float[np.ndarray, "v 3"]],
    faces: Int[np.ndarray, "f 3"],
    camera: Camera,
    *,
    colours: UInt8[np.ndarray, "n 3"] = COLOURS,
    side: SideView | None = None,
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Return a picture of the bodies from their side, about as high as the photo, as wide as they are spread in depth.

    Args:
        rgb: the photo; only its size is used.
        people: each one's vertices before the photo's camera, metres (x right, y down, z forward).
        faces: the triangles that all of them share.
        camera: the photo's; unused, so that every view takes the same arguments.
        colours: sRGB, given out in turn as in the overlay.
        side: from where; a view that holds everybody where left out.
    """
    side = side or side_view(people, side_height_px(rgb))
    turned = [_from_the_side(np.asarray(person, np.float64)) for person in people]
    canvas = _ground(
        side.height_px, side.width_px, side.view, side.look_down,
        side.floor_m - float(side.centre[1]), side.distance_m, side.centre,
    )  # fmt: skip
    if turned:
        dropped = [side.seen(_dropped(points, side.floor_m)) for points in turned]
        canvas = _shadow(canvas, dropped, faces, side.view)
    seen = [side.seen(points) for points in turned]
    return draw_overlay(canvas.round().astype(np.uint8), seen, faces, side.view, opacity=1.0, colours=colours)


def side_height_px(rgb: UInt8[np.ndarray, "h w 3"]) -> int:
    """Return how high a side view is beside a photo: as the photo, within limits."""
    return min(max(rgb.shape[0], _HEIGHTS_PX[0]), _HEIGHTS_PX[1])


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
    # float32 throughout: the canvas may have millions of pixels.
    rows = np.arange(height, dtype=np.float32)[:, None] + np.float32(0.5 - view.principal_px[1])
    columns = np.arange(width, dtype=np.float32) + np.float32(0.5 - view.principal_px[0])
    rows, columns = np.broadcast_arrays(rows / np.float32(view.focal_px), columns / np.float32(view.focal_px))
    ray_x, ray_y, ray_z = (
        float(axis[0]) * columns + float(axis[1]) * rows + np.float32(axis[2]) for axis in look_down.T
    )
    eye_x, eye_y, eye_z = (float(value) for value in -distance_m * look_down[2])
    with np.errstate(divide="ignore"):
        reach = np.where(ray_y > 1e-4, (floor_m - eye_y) / ray_y, np.float32(np.inf))
    near = np.minimum(reach, np.float32(1e4))
    # Ground coordinates in the photo's metres, so that the lines lie at whole metres of depth.
    across = eye_x + float(centre[0]) + near * ray_x
    along = eye_z + float(centre[2]) + near * ray_z
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
