"""Rasterise triangle meshes: which triangle is seen at each pixel, how far away, and where on the triangle.

Input are projected vertices: x and y in pixels (the centre of the first pixel is 0.5), and depth in metres. The rules
are those of graphics hardware and are exact, so that two engines give the same triangle at every pixel:

- Vertices snap to 1/1024 pixel. A pixel belongs to a triangle by integer edge functions at its centre and the
  top-left rule, hence triangles that share an edge cover each pixel once: no holes, no overlap.
- The nearest triangle wins, by 1 / depth, which is linear over the picture; of equals the one listed first.
- A triangle with a vertex nearer than :data:`NEAR_M`, or more than :data:`GUARD_PX` off, or not finite, is left out
  whole. Meshes that may pass the camera should be cut there beforehand.

This file has the engine for CPUs (loops compiled by numba, one picture at a time) and the front door
:func:`rasterise`; :mod:`monobody.render.raster_torch` has the engine for GPUs and gradients.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, cast

import numpy as np
from jaxtyping import Float, Int

from monobody.arrays import Array
from monobody.jit import compiled

if TYPE_CHECKING:
    from torch import Tensor

NEAR_M = 1e-3
"""Nearest depth that is drawn, metres."""
SUBPIXEL_BITS = 10
"""Vertices snap to 2**-SUBPIXEL_BITS pixel."""
GUARD_PX = 2.0**18
"""Largest coordinate in pixels for which the integer edge functions cannot overflow 64 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragments(Generic[Array]):
    """What is seen at each pixel of a batch of pictures."""

    depth: Array
    """(B, H, W) float32, metres; infinite where there is nothing."""
    triangle: Array
    """(B, H, W) int32, row of ``faces``; -1 where there is nothing."""
    barycentrics: Array
    """(B, H, W, 3) float32, perspective-correct weights of the triangle's corners; zeros where there is nothing."""


def rasterise(
    vertices_px: Array,
    faces: Array,
    height: int,
    width: int,
    *,
    engine: Literal["numba", "torch"] | None = None,
    front_only: bool = False,
) -> Fragments[Array]:
    """Return the nearest triangle, its depth and the barycentric coordinates at each pixel.

    Args:
        vertices_px: (B, V, 3) x and y in pixels, depth in metres; numpy or torch. With torch, gradients pass from
            depth and barycentrics to the vertices (not through the outline: see :mod:`monobody.render.silhouette`).
        faces: (F, 3) vertex numbers.
        height: of the pictures, pixels.
        width: of the pictures, pixels.
        engine: "numba" runs on the CPU, "torch" where the tensors are; by default numba unless they are on a GPU.
        front_only: leave out triangles that turn their back (clockwise as seen). A closed mesh looks the same, and
            is drawn in about two thirds of the time.
    """
    if engine is None:
        engine = "numba" if isinstance(vertices_px, np.ndarray) or vertices_px.device.type == "cpu" else "torch"
    if isinstance(vertices_px, np.ndarray):
        if engine == "torch":
            raise ValueError("The torch engine takes tensors: pass torch.from_numpy(vertices_px) and faces alike.")
        return _rasterise_numpy(vertices_px, np.asarray(faces), height, width, front_only)
    return _rasterise_torch(vertices_px, cast("Tensor", faces), height, width, engine, front_only)


def _rasterise_torch(
    vertices_px: "Tensor", faces: "Tensor", height: int, width: int, engine: str, front_only: bool
) -> "Fragments[Tensor]":
    import torch

    from monobody.render.raster_torch import attributes_at, visible_triangles

    if engine == "torch":
        triangle = visible_triangles(vertices_px, faces, height, width, front_only=front_only)
    else:
        on_cpu = _rasterise_numpy(vertices_px.detach().cpu().numpy(), faces.cpu().numpy(), height, width, front_only)
        depth, triangle, barycentrics = (
            torch.from_numpy(part).to(vertices_px.device)
            for part in (on_cpu.depth, on_cpu.triangle, on_cpu.barycentrics)
        )
        if not (vertices_px.requires_grad and torch.is_grad_enabled()):
            return Fragments(depth=depth, triangle=triangle, barycentrics=barycentrics)
    depth, barycentrics = attributes_at(vertices_px, faces, triangle)
    return Fragments(depth=depth, triangle=triangle, barycentrics=barycentrics)


def _rasterise_numpy(
    vertices_px: Float[np.ndarray, "b v 3"], faces: Int[np.ndarray, "f 3"], height: int, width: int, front_only: bool
) -> Fragments[np.ndarray]:
    batch = len(vertices_px)
    points = np.ascontiguousarray(vertices_px, np.float32)
    corners = np.ascontiguousarray(faces, np.int32)
    depth = np.empty((batch, height, width), np.float32)
    triangle = np.empty((batch, height, width), np.int32)
    barycentrics = np.empty((batch, height, width, 3), np.float32)
    for i in range(batch):
        raster_one(points[i], corners, depth[i], triangle[i], barycentrics[i], front_only)
    return Fragments(depth=depth, triangle=triangle, barycentrics=barycentrics)


@compiled(nogil=True)
def raster_one(points, faces, depth, triangle, barycentrics, front_only=False):
    """Rasterise one mesh into buffers that the caller keeps; meant to be called from other compiled loops too.

    Args:
        points: (V, 3) float32, x and y in pixels and depth in metres.
        faces: (F, 3) int32.
        depth: (H, W) float32, written: metres, infinite where there is nothing.
        triangle: (H, W) int32, written: row of ``faces`` or -1.
        barycentrics: (H, W, 3) float32, written; of shape (0, 0, 3) they are not computed.
        front_only: whether to leave out triangles that turn their back.
    """
    snapped, inverse = snap(points)
    depth[:] = 0.0
    triangle[:] = -1
    draw(snapped, inverse, faces, front_only, 0, depth, triangle)
    if barycentrics.shape[0] > 0:
        _weigh(snapped, inverse, faces, depth, triangle, barycentrics)
    for y in range(depth.shape[0]):
        for x in range(depth.shape[1]):
            depth[y, x] = np.float32(1.0) / depth[y, x]


@compiled(nogil=True)
def snap(points):
    """Return integer positions (V, 2), counted from the first pixel's centre, and 1 / depth (V,), 0 if not drawable."""
    count = points.shape[0]
    snapped = np.empty((count, 2), np.int32)
    inverse = np.empty(count, np.float32)
    guard, near, steps = np.float32(GUARD_PX), np.float32(NEAR_M), np.float32(1 << SUBPIXEL_BITS)
    half = np.int32(1 << (SUBPIXEL_BITS - 1))
    for i in range(count):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        # Comparisons with NaN are false, so that broken vertices are left out here too.
        good = (abs(x) < guard) & (abs(y) < guard) & (z >= near) & (z < np.float32(np.inf))
        snapped[i, 0] = np.int32(np.rint(x * steps)) - half if good else 0
        snapped[i, 1] = np.int32(np.rint(y * steps)) - half if good else 0
        inverse[i] = np.float32(1.0) / z if good else np.float32(0.0)
    return snapped, inverse


# No fast-math here: every rounding must be that of the torch engine, or ids differ where surfaces meet.
@compiled(nogil=True)
def draw(snapped, inverse, faces, front_only, first_id, inverse_depth, triangle):
    """Draw a mesh over what is there: ``inverse_depth`` (H, W) is 0 and ``triangle`` -1 where nothing is yet.

    Triangles are numbered from ``first_id``.
    """
    height, width = triangle.shape
    last = (1 << SUBPIXEL_BITS) - 1
    for k in range(faces.shape[0]):
        a, b, c = np.uint32(faces[k, 0]), np.uint32(faces[k, 1]), np.uint32(faces[k, 2])
        x0, x1, x2 = np.int64(snapped[a, 0]), np.int64(snapped[b, 0]), np.int64(snapped[c, 0])
        y0, y1, y2 = np.int64(snapped[a, 1]), np.int64(snapped[b, 1]), np.int64(snapped[c, 1])
        # Most triangles of a body in a small picture contain no pixel's centre; dismiss them before all else.
        left, right = (min(x0, x1, x2) + last) >> SUBPIXEL_BITS, max(x0, x1, x2) >> SUBPIXEL_BITS
        top, bottom = (min(y0, y1, y2) + last) >> SUBPIXEL_BITS, max(y0, y1, y2) >> SUBPIXEL_BITS
        if (left > right) | (top > bottom):
            continue
        left, right = max(left, 0), min(right, width - 1)
        top, bottom = max(top, 0), min(bottom, height - 1)
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if (left > right) | (top > bottom) | (area == 0) | (front_only and area > 0):
            continue
        r0, r1, r2 = inverse[a], inverse[b], inverse[c]
        if (r0 == 0) | (r1 == 0) | (r2 == 0):
            continue
        if area < 0:
            x1, x2, y1, y2, r1, r2, area = x2, x1, y2, y1, r2, r1, -area
        over_area = np.float32(1.0) / np.float32(area)
        slope1, slope2 = (r1 - r0) * over_area, (r2 - r0) * over_area
        # Edge i lies opposite to corner i; its function grows towards that corner, where it equals the area.
        dx0, dy0 = x2 - x1, y2 - y1
        dx1, dy1 = x0 - x2, y0 - y2
        dx2, dy2 = x1 - x0, y1 - y0
        # A centre right on an edge belongs to the triangle if the edge is a left or a top one.
        bias0 = 0 if (dy0 < 0) | ((dy0 == 0) & (dx0 > 0)) else -1
        bias1 = 0 if (dy1 < 0) | ((dy1 == 0) & (dx1 > 0)) else -1
        bias2 = 0 if (dy2 < 0) | ((dy2 == 0) & (dx2 > 0)) else -1
        px, py = left << SUBPIXEL_BITS, top << SUBPIXEL_BITS
        row0 = dx0 * (py - y1) - dy0 * (px - x1) + bias0
        row1 = dx1 * (py - y2) - dy1 * (px - x2) + bias1
        row2 = dx2 * (py - y0) - dy2 * (px - x0) + bias2
        step0, step1, step2 = dy0 << SUBPIXEL_BITS, dy1 << SUBPIXEL_BITS, dy2 << SUBPIXEL_BITS
        for y in range(top, bottom + 1):
            e0, e1, e2 = row0, row1, row2
            for x in range(left, right + 1):
                if (e0 | e1 | e2) >= 0:
                    r = r0 + (np.float32(e1 - bias1) * slope1 + np.float32(e2 - bias2) * slope2)
                    if r > inverse_depth[y, x]:
                        inverse_depth[y, x] = r
                        triangle[y, x] = first_id + k
                e0 -= step0
                e1 -= step1
                e2 -= step2
            row0 += dx0 << SUBPIXEL_BITS
            row1 += dx1 << SUBPIXEL_BITS
            row2 += dx2 << SUBPIXEL_BITS


@compiled(nogil=True)
def _weigh(snapped, inverse, faces, inverse_depth, triangle, barycentrics):
    """Write the perspective-correct barycentric coordinates of the triangle seen at each pixel."""
    height, width = triangle.shape
    for y in range(height):
        py = np.int64(y) << SUBPIXEL_BITS
        for x in range(width):
            k = triangle[y, x]
            if k < 0:
                barycentrics[y, x, 0] = barycentrics[y, x, 1] = barycentrics[y, x, 2] = 0.0
                continue
            px = np.int64(x) << SUBPIXEL_BITS
            a, b, c = np.uint32(faces[k, 0]), np.uint32(faces[k, 1]), np.uint32(faces[k, 2])
            x0, x1, x2 = snapped[a, 0] - px, snapped[b, 0] - px, snapped[c, 0] - px
            y0, y1, y2 = snapped[a, 1] - py, snapped[b, 1] - py, snapped[c, 1] - py
            w0 = np.float32(x1 * y2 - x2 * y1) * inverse[a]
            w1 = np.float32(x2 * y0 - x0 * y2) * inverse[b]
            w2 = np.float32(x0 * y1 - x1 * y0) * inverse[c]
            scale = np.float32(1.0) / (w0 + w1 + w2)
            barycentrics[y, x, 0] = w0 * scale
            barycentrics[y, x, 1] = w1 * scale
            barycentrics[y, x, 2] = w2 * scale
