"""Draw bodies over the photo they were found in: matt figures, one colour a person, hiding each other by depth.

Each pixel is sampled four times (2 x 2), so outlines are smooth; once in photos so large that nobody sees the steps.
Painting goes in bands of rows, which keeps the buffers at some tens of megabytes however large the photo is.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, UInt8

from monobody.camera import Camera, project
from monobody.jit import SAFE_FASTMATH, compiled
from monobody.render.raster import raster_one
from monobody.render.shade import irradiance, irradiance_at, normal_at, vertex_normals

COLOURS = np.array(
    [
        [240, 150, 128],  # coral
        [110, 180, 196],  # lagoon
        [242, 196, 104],  # honey
        [158, 146, 214],  # lavender
        [138, 190, 132],  # sage
        [232, 148, 188],  # rose
        [128, 160, 226],  # cornflower
        [206, 176, 146],  # sand
    ],
    np.uint8,
)
"""sRGB; person i has colour i, again from the start after the last."""

_KEY = np.array([-0.55, -0.75, -0.75])
# A lamp over the viewer's left shoulder, the sky, a faint reflection of the floor, a rim from behind on the right.
_LIGHT = irradiance(
    np.array([_KEY, [0.0, -1.0, 0.0], [0.0, 1.0, -0.3], [0.9, -0.2, 0.5]]),
    np.array([[0.86, 0.84, 0.80], [0.34, 0.37, 0.42], [0.18, 0.15, 0.12], [0.26, 0.28, 0.32]]),
    ambient=0.14,
)
_HALF = _KEY / np.linalg.norm(_KEY) + np.array([0.0, 0.0, -1.0])
_HALF = (_HALF / np.linalg.norm(_HALF)).astype(np.float32)
_SAMPLES_AT_ONCE = 1 << 21
_SINGLE_SAMPLE_PX = 6_000_000


def draw_overlay(
    rgb: UInt8[np.ndarray, "h w 3"],
    people: Sequence[Float[np.ndarray, "v 3"]],
    faces: Int[np.ndarray, "f 3"],
    camera: Camera,
    *,
    opacity: float = 0.9,
    colours: UInt8[np.ndarray, "n 3"] = COLOURS,
) -> UInt8[np.ndarray, "h w 3"]:
    """Return a copy of the photo with the bodies painted over it.

    Args:
        rgb: the photo.
        people: each one's vertices before the camera, metres (x right, y down, z forward).
        faces: the triangles that all of them share.
        camera: the photo's.
        opacity: 1 hides the photo behind the bodies, 0 shows nothing of them.
        colours: sRGB, given out in turn.
    """
    painted = rgb.copy()
    if not people:
        return painted
    vertices = np.concatenate([np.asarray(person, np.float64) for person in people])
    count, per_person = len(people), len(people[0])
    corners = (np.asarray(faces)[None] + per_person * np.arange(count)[:, None, None]).reshape(-1, 3).astype(np.int32)
    normals = vertex_normals(vertices, corners)
    owners = np.repeat(np.arange(count) % len(colours), len(faces))
    albedo = (colours[:count].astype(np.float32) / 255) ** 2

    with np.errstate(divide="ignore", invalid="ignore"):  # The rasteriser leaves out what is not before the camera.
        points = np.concatenate([project(vertices, camera.focal_px, camera.principal_px), vertices[:, 2:]], axis=-1)
    visible = points[(points[:, 2] > 0) & np.isfinite(points).all(axis=-1), :2]
    height, width = rgb.shape[:2]
    if not len(visible):
        return painted
    (left, top), (right, bottom) = np.floor(visible.min(axis=0)), np.ceil(visible.max(axis=0))
    left, right = int(max(left, 0)), int(min(right, width))
    top, bottom = int(max(top, 0)), int(min(bottom, height))
    if left >= right:
        return painted

    side = 2 if (right - left) * (bottom - top) <= _SINGLE_SAMPLE_PX else 1
    rows = max(_SAMPLES_AT_ONCE // (side * side * (right - left)), 8)
    for start in range(top, bottom, rows):
        window = painted[start : min(start + rows, bottom), left:right]
        shape = (side * window.shape[0], side * window.shape[1])
        finer = ((points - [left, start, 0]) * [side, side, 1]).astype(np.float32)
        depth, triangle = np.empty(shape, np.float32), np.empty(shape, np.int32)
        barycentrics = np.empty((*shape, 3), np.float32)
        raster_one(finer, corners, depth, triangle, barycentrics)
        _paint(corners, triangle, barycentrics, normals, owners, albedo, _LIGHT, _HALF, opacity, side, window)
    return painted


@compiled(nogil=True, fastmath=SAFE_FASTMATH)
def _paint(faces, triangle, barycentrics, normals, owners, albedo, light, half, opacity, side, rgb):
    """Shade ``side`` x ``side`` samples a pixel and lay their mean over the picture, in place."""
    samples = np.empty(3, np.float32)
    for y in range(rgb.shape[0]):
        for x in range(rgb.shape[1]):
            samples[:] = 0.0
            covered = 0
            for j in range(side * side):
                row, column = side * y + j // side, side * x + j % side
                k = triangle[row, column]
                if k < 0:
                    continue
                covered += 1
                a, b, c = np.uint32(faces[k, 0]), np.uint32(faces[k, 1]), np.uint32(faces[k, 2])
                w = barycentrics[row, column]
                nx, ny, nz = normal_at(normals, a, b, c, w[0], w[1], w[2])
                shine = max(nx * half[0] + ny * half[1] + nz * half[2], np.float32(0.0))
                shine *= shine
                shine *= shine
                shine *= shine
                shine *= shine * np.float32(0.12)
                # Surfaces that turn away darken a little, which draws the limbs apart.
                away = np.float32(1.0) - min(abs(nz), np.float32(1.0))
                rim = np.float32(1.0) - np.float32(0.45) * away * away * away
                for channel in range(3):
                    lit = albedo[owners[k], channel] * irradiance_at(light, channel, nx, ny, nz) * rim + shine
                    # The square root stands for sRGB's curve, here and where the colours were made linear.
                    samples[channel] += np.sqrt(min(lit, np.float32(1.0)))
            if covered:
                hidden = np.float32(opacity * covered / (side * side))
                for channel in range(3):
                    colour = samples[channel] * np.float32(255.0 / covered)
                    mixed = rgb[y, x, channel] * (np.float32(1.0) - hidden) + colour * hidden
                    rgb[y, x, channel] = np.uint8(mixed + np.float32(0.5))
