"""Compiled loops that turn a rasterised person into linear-light pixels.

A pixel's colour is its material (skin texture by UV, or the garment at its place on the T-pose) times its light:
spherical harmonics of the surroundings, dimmed in crevices (from the depth buffer), plus a sun that casts shadows
(from a depth buffer seen from the sun). All of it in the frame of the camera; colours linear.
"""

import numpy as np
from jaxtyping import Float

from monobody.data.wardrobe import (
    CHECKS,
    DOTS,
    EYES,
    HAIR,
    LOGO_SIZE,
    LOGO_X,
    LOGO_Y,
    PRINT,
    SKIN,
    SOCKS,
    STRIPES_ACROSS,
    STRIPES_ALONG,
    TOP,
    layer_at,
)
from monobody.jit import SAFE_FASTMATH, compiled

SHADOW_SIZE = 192
_ZERO, _ONE = np.float32(0), np.float32(1)
_CELLS_PER_M = np.float32(128)


def bump_volume(cells: int = 64, seed: int = 7) -> Float[np.ndarray, "c c c 4"]:
    """Make a periodic volume of smooth noise: channel 0 its value in about [-1, 1], 1 to 3 its gradient.

    Noise is band-limited white noise, shaped in the Fourier domain; a cell stands for about a centimetre of cloth.
    """
    white = np.random.default_rng(seed).normal(size=(cells,) * 3)
    frequency = np.fft.fftfreq(cells) * cells
    fx, fy, fz = np.meshgrid(frequency, frequency, frequency, indexing="ij")
    radius = np.sqrt(fx**2 + fy**2 + fz**2)
    band = np.exp(-((radius - 5) ** 2) / 18) / (radius + 1)
    spectrum = np.fft.fftn(white) * band
    value = np.fft.ifftn(spectrum).real
    gradient = [np.fft.ifftn(2j * np.pi * f / cells * spectrum).real for f in (fx, fy, fz)]
    spread = 2 * value.std()
    slope = np.std(gradient)
    return np.stack([value / spread, *(g / (3 * slope) for g in gradient)], axis=-1).astype(np.float32)


@compiled(fastmath=SAFE_FASTMATH)
def project(vertices, translation, focal_px, principal_x, principal_y, pixels):
    """Move vertices (V, 3) before the camera, in place, and project them into ``pixels`` (x, y, depth).

    Returns the lowest and highest x and y, and the least depth.
    """
    x0 = y0 = nearest = np.float32(1e9)
    x1 = y1 = np.float32(-1e9)
    for i in range(vertices.shape[0]):
        for c in range(3):
            vertices[i, c] += translation[c]
        z = vertices[i, 2]
        scale = focal_px / z
        x, y = vertices[i, 0] * scale + principal_x, vertices[i, 1] * scale + principal_y
        pixels[i, 0], pixels[i, 1], pixels[i, 2] = x, y, z
        x0, x1, y0, y1, nearest = min(x0, x), max(x1, x), min(y0, y), max(y1, y), min(nearest, z)
    return x0, y0, x1, y1, nearest


@compiled(fastmath=SAFE_FASTMATH)
def paint(
    triangle, bary, depth, focal_px, faces, template, template_normals, normals, vertices, eyes, uv, uv_faces,
    cuts, pattern, colour, scale, tile_of, grain, folds, skin, skin_gain, tiles, bumps, linear, face_texture,
    first_hair, textures, texture_gain, world_from_camera, irradiance, sun_direction, sun, shadow, shadow_frame,
    crevices, part_of, out, part,
):  # fmt: skip
    """Colour one rasterised person: premultiplied linear RGBA (H, W, 4) in ``out``; empty pixels are zeros.

    ``part`` gets the label of the seen vertex out of ``part_of``, 0 where there is nobody.
    """
    height, width = triangle.shape
    skin_height, skin_width = skin.shape[:2]
    texture_size, texture_wrap = np.float32(textures.shape[1]), textures.shape[1] - 1
    tile_size, tile_wrap, wrap = np.float32(tiles.shape[1]), tiles.shape[1] - 1, bumps.shape[0] - 1
    rgb = np.zeros(3, np.float32)
    for py in range(height):
        for px in range(width):
            k = triangle[py, px]
            if k < 0:
                part[py, px] = 0
                for c in range(4):
                    out[py, px, c] = 0
                continue
            b0, b1, b2 = bary[py, px, 0], bary[py, px, 1], bary[py, px, 2]
            i, j, m = faces[k, 0], faces[k, 1], faces[k, 2]
            nearest = i
            if b1 > b0 and b1 > b2:
                nearest = j
            elif b2 > b0:
                nearest = m
            part[py, px] = part_of[nearest]
            x = b0 * template[i, 0] + b1 * template[j, 0] + b2 * template[m, 0]
            y = b0 * template[i, 1] + b1 * template[j, 1] + b2 * template[m, 1]
            z = b0 * template[i, 2] + b1 * template[j, 2] + b2 * template[m, 2]
            nx = b0 * normals[i, 0] + b1 * normals[j, 0] + b2 * normals[m, 0]
            ny = b0 * normals[i, 1] + b1 * normals[j, 1] + b2 * normals[m, 1]
            nz = b0 * normals[i, 2] + b1 * normals[j, 2] + b2 * normals[m, 2]

            # A little noise in place makes hairlines and hems uneven.
            cx, cy, cz = int(x * _CELLS_PER_M) & wrap, int(y * _CELLS_PER_M) & wrap, int(z * _CELLS_PER_M) & wrap
            wobble = np.float32(0.006) * bumps[cx, cy, cz, 0]
            texture = face_texture[k]
            if texture >= 0:
                layer = HAIR if texture >= first_hair else SOCKS
            elif eyes[nearest] > 0:
                layer = EYES
            else:
                layer = layer_at(cuts, x, y + wobble, z)

            # Material.
            if texture >= 0 or layer == SKIN:
                u = b0 * uv[uv_faces[k, 0], 0] + b1 * uv[uv_faces[k, 1], 0] + b2 * uv[uv_faces[k, 2], 0]
                v = b0 * uv[uv_faces[k, 0], 1] + b1 * uv[uv_faces[k, 1], 1] + b2 * uv[uv_faces[k, 2], 1]
                if texture >= 0:
                    column, row = int(u * texture_size) & texture_wrap, int((_ONE - v) * texture_size) & texture_wrap
                    for c in range(3):
                        rgb[c] = linear[textures[texture, row, column, c]] * texture_gain[texture, c]
                    if nz > np.float32(0.2):  # The inside of a skirt or a sleeve.
                        nx, ny, nz = -nx, -ny, -nz
                else:
                    column = min(max(int(u * skin_width), 0), skin_width - 1)
                    row = min(max(int((_ONE - v) * skin_height), 0), skin_height - 1)
                    for c in range(3):
                        rgb[c] = linear[skin[row, column, c]] * skin_gain[c]
            elif layer == EYES:
                iris = eyes[nearest] > 1
                for c in range(3):
                    rgb[c] = np.float32(0.03) if iris else np.float32(0.55)
            else:
                ax, ay, az = (
                    abs(template_normals[nearest, 0]),
                    abs(template_normals[nearest, 1]),
                    abs(template_normals[nearest, 2]),
                )
                across, along = x, y
                if ax > ay and ax > az:
                    across = z
                elif ay > az:
                    along = z
                if y > 0.1 and abs(x) > 0.2:  # Along the arm.
                    across, along = along, across
                kind = pattern[layer]
                tile = tile_of[layer]
                size = cuts[LOGO_SIZE]
                if layer == TOP and size > 0 and z > 0.03 and y < 0.3:
                    lx, ly = (x - cuts[LOGO_X]) / size, (y - cuts[LOGO_Y]) / size
                    if abs(lx) < 1 and abs(ly) < 1:
                        kind, tile = PRINT, tile_of[SKIN]
                        across, along = np.float32(0.5) * lx / scale[layer], np.float32(0.5) * ly / scale[layer]
                u, v = across * scale[layer], along * scale[layer]
                t = tiles[tile, int(v * tile_size + 9999) & tile_wrap, int(u * tile_size + 9999) & tile_wrap]
                second = False
                if kind >= STRIPES_ACROSS:
                    u, v = 2 * u - np.floor(2 * u), 2 * v - np.floor(2 * v)
                    if kind == STRIPES_ACROSS:
                        second = v < 0.4
                    elif kind == STRIPES_ALONG:
                        second = u < 0.3
                    elif kind == CHECKS:
                        second = (u < 0.35) != (v < 0.35)
                    elif kind == DOTS:
                        second = (u - 0.5) ** 2 + (v - 0.5) ** 2 < 0.07
                if kind == PRINT:
                    for c in range(3):
                        rgb[c] = linear[t[c]]
                else:
                    bright = np.float32(int(t[0]) + int(t[1]) + int(t[2])) * np.float32(1 / 384)
                    shade = _ONE + grain[layer] * (bright - _ONE)
                    for c in range(3):
                        rgb[c] = colour[layer, 1 if second else 0, c] * shade

            # Folds of cloth tilt the normal.
            strength = folds[layer]
            nx += strength * bumps[cx, cy, cz, 1]
            ny += strength * bumps[cx, cy, cz, 2]
            nz += strength * bumps[cx, cy, cz, 3]
            inverse = _ONE / np.sqrt(nx * nx + ny * ny + nz * nz + np.float32(1e-12))
            nx, ny, nz = nx * inverse, ny * inverse, nz * inverse

            # Light of the surroundings, less of it in crevices.
            w = world_from_camera
            wx = w[0, 0] * nx + w[0, 1] * ny + w[0, 2] * nz
            wy = w[1, 0] * nx + w[1, 1] * ny + w[1, 2] * nz
            wz = w[2, 0] * nx + w[2, 1] * ny + w[2, 2] * nz
            h1, h2, h3 = np.float32(0.488603) * wy, np.float32(0.488603) * wz, np.float32(0.488603) * wx
            h4, h5 = np.float32(1.092548) * wx * wy, np.float32(1.092548) * wy * wz
            h6 = np.float32(0.315392) * (np.float32(3) * wz * wz - _ONE)
            h7, h8 = np.float32(1.092548) * wx * wz, np.float32(0.546274) * (wx * wx - wy * wy)
            open_sky = _ONE
            if crevices:
                open_sky = _openness(depth, py, px, focal_px)
            lit = max(_ZERO, nx * sun_direction[0] + ny * sun_direction[1] + nz * sun_direction[2])
            gloss = np.float32(0)
            if lit > 0:
                if shadow.shape[0] > 1:
                    qx = b0 * vertices[i, 0] + b1 * vertices[j, 0] + b2 * vertices[m, 0]
                    qy = b0 * vertices[i, 1] + b1 * vertices[j, 1] + b2 * vertices[m, 1]
                    qz = b0 * vertices[i, 2] + b1 * vertices[j, 2] + b2 * vertices[m, 2]
                    lit *= _sunlit(shadow, shadow_frame, qx, qy, qz)
                if layer in (SKIN, HAIR):
                    # Highlight of the half vector between sun and camera, which looks along +z.
                    hz = sun_direction[2] - _ONE
                    norm = np.sqrt(sun_direction[0] ** 2 + sun_direction[1] ** 2 + hz * hz) + np.float32(1e-6)
                    facing = (nx * sun_direction[0] + ny * sun_direction[1] + nz * hz) / norm
                    if facing > 0:
                        gloss = np.float32(0.12) * (facing * facing * facing) ** 8 * lit
            for c in range(3):
                e = irradiance
                around = (
                    np.float32(0.282095) * e[0, c] + h1 * e[1, c] + h2 * e[2, c] + h3 * e[3, c] + h4 * e[4, c]
                    + h5 * e[5, c] + h6 * e[6, c] + h7 * e[7, c] + h8 * e[8, c]
                )  # fmt: skip
                light = max(np.float32(0.02), around) * open_sky + sun[c] * lit
                out[py, px, c] = rgb[c] * light + gloss * sun[c]
            out[py, px, 3] = 1


@compiled(fastmath=SAFE_FASTMATH)
def _openness(depth, py, px, focal_px):
    """Return how much of the surroundings a pixel sees, from depths around it at about 3 and 8 cm."""
    height, width = depth.shape
    here = depth[py, px]
    blocked = np.float32(0)
    for ring in range(2):
        reach = np.float32(0.03) if ring == 0 else np.float32(0.08)
        step = max(1, int(reach * focal_px / here))
        diagonal = max(1, (step * 7) // 10)
        for k in range(4):
            if ring == 0:
                dx = step if k == 0 else -step if k == 1 else 0
                dy = step if k == 2 else -step if k == 3 else 0
            else:
                dx = diagonal if k % 2 == 0 else -diagonal
                dy = diagonal if k < 2 else -diagonal
            y, x = py + dy, px + dx
            if y < 0 or x < 0 or y >= height or x >= width:
                continue
            nearer = here - depth[y, x]
            if nearer > 0 and nearer < 0.4:
                blocked += min(nearer / reach, _ONE)
    return _ONE - np.float32(0.085) * blocked


@compiled(fastmath=SAFE_FASTMATH)
def _sunlit(shadow, frame, x, y, z):
    """Return the share of four shadow-map cells about a point that see the sun."""
    u = frame[0, 0] * x + frame[0, 1] * y + frame[0, 2] * z + frame[0, 3]
    v = frame[1, 0] * x + frame[1, 1] * y + frame[1, 2] * z + frame[1, 3]
    away = frame[2, 0] * x + frame[2, 1] * y + frame[2, 2] * z + frame[2, 3] - np.float32(0.03)
    column, row = int(u - 0.5), int(v - 0.5)
    if column < 0 or row < 0 or column + 1 >= shadow.shape[1] or row + 1 >= shadow.shape[0]:
        return np.float32(1)
    fu, fv = u - np.float32(0.5) - column, v - np.float32(0.5) - row
    top = (1 - fu) * (away < shadow[row, column]) + fu * (away < shadow[row, column + 1])
    bottom = (1 - fu) * (away < shadow[row + 1, column]) + fu * (away < shadow[row + 1, column + 1])
    return np.float32((1 - fv) * top + fv * bottom)
