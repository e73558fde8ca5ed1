"""Colour what the rasteriser found: normals, body parts, texture and light, in one compiled pass.

Light is irradiance as a quadratic polynomial of the unit normal (x, y, z),

    E(n) = c0 + c1 x + c2 y + c3 z + c4 xy + c5 yz + c6 zx + c7 (xx - yy) + c8 (3 zz - 1),

which holds any distant light on a matt surface to about one per cent, a lamp and a whole panorama alike (Ramamoorthi
and Hanrahan, "An efficient representation for irradiance environment maps", SIGGRAPH 2001).

:mod:`monobody.render.shade_torch` does the same for batches on any device.
"""

import numpy as np
from jaxtyping import Float, Int

from monobody.jit import SAFE_FASTMATH, compiled


def irradiance(
    directions: Float[np.ndarray, "n 3"],
    colours: Float[np.ndarray, "n 3"],
    ambient: Float[np.ndarray, "3"] | float = 0.0,
) -> Float[np.ndarray, "9 3"]:
    """Return the coefficients of distant lights that shine from ``directions`` with ``colours``.

    A light of colour 1 gives a surface that faces it irradiance 1. A panorama is one light a pixel, its colour times
    the pixel's solid angle over pi. ``ambient`` reaches every normal alike.
    """
    directions = np.asarray(directions, np.float64)
    x, y, z = (directions / np.linalg.norm(directions, axis=-1, keepdims=True)).T
    # max(0, c) = 1/4 + c/2 + 5/32 (3 cc - 1) + ..., with c the cosine between normal and direction.
    second = 15 / 32
    basis = np.stack(
        [
            np.full_like(x, 0.25),
            x / 2,
            y / 2,
            z / 2,
            second * 2 * x * y,
            second * 2 * y * z,
            second * 2 * z * x,
            second * (x * x - y * y) / 2,
            second * (3 * z * z - 1) / 6,
        ]
    )
    coefficients = basis @ np.asarray(colours, np.float64)
    coefficients[0] += ambient
    return coefficients.astype(np.float32)


def vertex_normals(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> Float[np.ndarray, "v 3"]:
    """Return unit normals, the mean of the adjacent triangles' weighted by area.

    Triangles are counter-clockwise as seen from outside. A vertex without triangles gets zeros.
    """
    normals = np.empty((len(vertices), 3), np.float32)
    sum_normals(np.ascontiguousarray(vertices, np.float32), np.ascontiguousarray(faces, np.int32), normals)
    return normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-30)


@compiled(nogil=True, fastmath=SAFE_FASTMATH)
def sum_normals(points, faces, normals):
    """Write each vertex' sum of the adjacent triangles' cross products into ``normals`` (V, 3) float32."""
    normals[:] = 0.0
    for k in range(faces.shape[0]):
        a, b, c = np.uint32(faces[k, 0]), np.uint32(faces[k, 1]), np.uint32(faces[k, 2])
        ux, uy, uz = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1], points[b, 2] - points[a, 2]
        vx, vy, vz = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1], points[c, 2] - points[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in (a, b, c):
            normals[corner, 0] += nx
            normals[corner, 1] += ny
            normals[corner, 2] += nz


@compiled(nogil=True, fastmath=SAFE_FASTMATH, inline="always")
def normal_at(normals, a, b, c, w0, w1, w2):
    """Return the unit normal between three corners."""
    x = w0 * normals[a, 0] + w1 * normals[b, 0] + w2 * normals[c, 0]
    y = w0 * normals[a, 1] + w1 * normals[b, 1] + w2 * normals[c, 1]
    z = w0 * normals[a, 2] + w1 * normals[b, 2] + w2 * normals[c, 2]
    scale = np.float32(1.0) / np.sqrt(max(x * x + y * y + z * z, np.float32(1e-30)))
    return x * scale, y * scale, z * scale


@compiled(nogil=True, fastmath=SAFE_FASTMATH, inline="always")
def irradiance_at(light, channel, x, y, z):
    """Evaluate one colour of the irradiance polynomial; never negative."""
    three = np.float32(3.0)
    linear = light[0, channel] + light[1, channel] * x + light[2, channel] * y + light[3, channel] * z
    mixed = light[4, channel] * (x * y) + light[5, channel] * (y * z) + light[6, channel] * (z * x)
    square = light[7, channel] * (x * x - y * y) + light[8, channel] * (three * z * z - np.float32(1.0))
    return max(linear + mixed + square, np.float32(0.0))


@compiled(nogil=True, fastmath=SAFE_FASTMATH)
def shade_one(faces, triangle, barycentrics, normals, uv, uv_faces, texture, labels, light, rgb, part, normal):
    """Shade one picture in place, where a triangle is seen; meant to be called from other compiled loops too.

    Args:
        faces: (F, 3) int32.
        triangle: (H, W) int32 and
        barycentrics: (H, W, 3) float32, as :func:`monobody.render.raster.raster_one` wrote them.
        normals: (V, 3) float32 in the frame of ``light``; those of :func:`vertex_normals`, or the sums of
            :func:`sum_normals` as they are, which lean a little towards the larger triangles.
        uv: (T, 2) float32 texture coordinates, v up, and
        uv_faces: (F, 3) int32, the corners' rows of ``uv``.
        texture: (h, w, 3) uint8, sampled bilinearly, repeated beyond its borders.
        labels: (V,) uint8, the part of each vertex; a pixel takes the label of the nearest corner.
        light: (9, 3) float32 from :func:`irradiance`.
        rgb: (H, W, 3) uint8, written over the background.
        part: (H, W) uint8, written.
        normal: (H, W, 3) float32, written; of shape (0, 0, 3) it is not.
    """
    rows, columns = texture.shape[0], texture.shape[1]
    for y in range(triangle.shape[0]):
        for x in range(triangle.shape[1]):
            k = triangle[y, x]
            if k < 0:
                continue
            w0, w1, w2 = barycentrics[y, x, 0], barycentrics[y, x, 1], barycentrics[y, x, 2]
            a, b, c = np.uint32(faces[k, 0]), np.uint32(faces[k, 1]), np.uint32(faces[k, 2])
            nx, ny, nz = normal_at(normals, a, b, c, w0, w1, w2)
            if normal.shape[0] > 0:
                normal[y, x, 0], normal[y, x, 1], normal[y, x, 2] = nx, ny, nz
            part[y, x] = labels[a if (w0 >= w1) & (w0 >= w2) else (b if w1 >= w2 else c)]
            a, b, c = np.uint32(uv_faces[k, 0]), np.uint32(uv_faces[k, 1]), np.uint32(uv_faces[k, 2])
            u = (w0 * uv[a, 0] + w1 * uv[b, 0] + w2 * uv[c, 0]) * columns - np.float32(0.5)
            v = (np.float32(1.0) - (w0 * uv[a, 1] + w1 * uv[b, 1] + w2 * uv[c, 1])) * rows - np.float32(0.5)
            left, top = np.int32(np.floor(u)), np.int32(np.floor(v))
            fu, fv = u - left, v - top
            left, right = np.uint32(left % columns), np.uint32((left + 1) % columns)
            top, bottom = np.uint32(top % rows), np.uint32((top + 1) % rows)
            for channel in range(3):
                above = texture[top, left, channel] * (np.float32(1.0) - fu) + texture[top, right, channel] * fu
                below = texture[bottom, left, channel] * (np.float32(1.0) - fu) + texture[bottom, right, channel] * fu
                albedo = above + (below - above) * fv
                lit = albedo * irradiance_at(light, channel, nx, ny, nz) + np.float32(0.5)
                rgb[y, x, channel] = np.uint8(min(lit, np.float32(255.0)))
