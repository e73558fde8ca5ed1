"""Resample a picture under a similarity: the compiled loops behind :func:`monobody.data.crop.extract`.

Shrinking goes in two steps. First the part of the picture that is needed is averaged over whole blocks of k x k
pixels, k the integer part of the shrink factor; then the remaining factor below two is resampled bilinearly, with four
samples a pixel where it is well above one. Every picture pixel so enters with about the same weight, at the cost of
one pass over the source.
"""

import numpy as np
from jaxtyping import Float, UInt8

from monobody.jit import SAFE_FASTMATH, compiled


def warp_similarity(
    image: UInt8[np.ndarray, "h w 3"],
    corner_px: Float[np.ndarray, "2"],
    axes_px: Float[np.ndarray, "2 2"],
    out_size: int,
) -> UInt8[np.ndarray, "s s 3"]:
    """Resample the square with its first corner at ``corner_px`` and its sides in the columns of ``axes_px``."""
    step = axes_px / out_size
    shrink = float(np.hypot(step[0, 0], step[1, 0]))
    out = np.empty((out_size, out_size, 3), np.uint8)
    block = max(1, int(shrink))
    x0, y0 = 0, 0
    source = image
    if block > 1:
        corners = corner_px + np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) @ axes_px.T
        # One block of margin all round, so that bilinear sampling at the rim finds its neighbours.
        x0, y0 = (np.floor(corners.min(axis=0) / block) * block - block).astype(int)
        x1, y1 = np.ceil(corners.max(axis=0)).astype(int) + 2 * block
        height, width = image.shape[:2]
        # Beyond the picture there is only repetition of its edge, which clamping reproduces.
        x0, x1 = (int(np.clip(x, -block, width + block)) // block * block for x in (x0, x1))
        y0, y1 = (int(np.clip(y, -block, height + block)) // block * block for y in (y0, y1))
        source = np.empty((max((y1 - y0) // block, 1), max((x1 - x0) // block, 1), 3), np.uint8)
        _average_blocks(image, x0, y0, block, source)
    origin_x, origin_y = (corner_px[0] - x0) / block, (corner_px[1] - y0) / block
    step = step / block
    samples = 2 if shrink / block > 1.2 else 1
    _sample(source, origin_x, origin_y, step[0, 0], step[1, 0], step[0, 1], step[1, 1], samples, out)
    return out


@compiled()
def _average_blocks(image, x0, y0, block, out):
    """Average k x k blocks of the picture, starting at (x0, y0), repeating edge pixels outside."""
    height, width = image.shape[:2]
    area = block * block
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            red = green = blue = 0
            for dy in range(block):
                y = min(max(y0 + row * block + dy, 0), height - 1)
                for dx in range(block):
                    x = min(max(x0 + column * block + dx, 0), width - 1)
                    red += image[y, x, 0]
                    green += image[y, x, 1]
                    blue += image[y, x, 2]
            out[row, column, 0] = (red + area // 2) // area
            out[row, column, 1] = (green + area // 2) // area
            out[row, column, 2] = (blue + area // 2) // area


@compiled(fastmath=SAFE_FASTMATH)
def _sample(image, origin_x, origin_y, right_x, right_y, down_x, down_y, samples, out):
    """Sample bilinearly at origin + column * right + row * down, pixel centres at one half; s x s samples a pixel."""
    height, width = image.shape[:2]
    weight = np.float32(1.0 / (samples * samples))
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            red = green = blue = np.float32(0.0)
            for k in range(samples):
                v = row + (k + 0.5) / samples
                for j in range(samples):
                    u = column + (j + 0.5) / samples
                    # Clamping the position repeats the edge pixels.
                    x = min(max(origin_x + u * right_x + v * down_x - 0.5, 0.0), width - 1.0)
                    y = min(max(origin_y + u * right_y + v * down_y - 0.5, 0.0), height - 1.0)
                    # Unsigned: numba need not ask whether an index counts from the end.
                    left, top = np.uint32(x), np.uint32(y)
                    right = min(left + np.uint32(1), np.uint32(width - 1))
                    bottom = min(top + np.uint32(1), np.uint32(height - 1))
                    fx, fy = np.float32(x - left), np.float32(y - top)
                    w11 = fx * fy
                    w01 = fx - w11
                    w10 = fy - w11
                    w00 = np.float32(1.0) - fx - w10
                    red += w00 * image[top, left, 0] + w01 * image[top, right, 0]
                    red += w10 * image[bottom, left, 0] + w11 * image[bottom, right, 0]
                    green += w00 * image[top, left, 1] + w01 * image[top, right, 1]
                    green += w10 * image[bottom, left, 1] + w11 * image[bottom, right, 1]
                    blue += w00 * image[top, left, 2] + w01 * image[top, right, 2]
                    blue += w10 * image[bottom, left, 2] + w11 * image[bottom, right, 2]
            out[row, column, 0] = np.uint8(red * weight + np.float32(0.5))
            out[row, column, 1] = np.uint8(green * weight + np.float32(0.5))
            out[row, column, 2] = np.uint8(blue * weight + np.float32(0.5))
