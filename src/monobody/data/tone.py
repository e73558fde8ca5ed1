"""The parts of `data/augment.py` that touch every pixel by itself, compiled: tone and grain.

A row of 256 x 256 pixels is made in some milliseconds; as numpy expressions these two would take half of them.
"""

import numpy as np
from jaxtyping import Float32, UInt8, UInt16

from monobody.jit import SAFE_FASTMATH, compiled

DRAWS = np.random.default_rng(0).standard_normal(1 << 16, np.float32)
"""Normal numbers; 16 random bits choose one of them ten times as fast as a new one is drawn."""


@compiled(fastmath=SAFE_FASTMATH)
def toned(
    image: UInt8[np.ndarray, "h w 3"],
    tables: Float32[np.ndarray, "3 256"],
    mix: Float32[np.ndarray, "3 3"],
    weight_of_mean: Float32[np.ndarray, "3"],
) -> UInt8[np.ndarray, "h w 3"]:
    """Return the picture after one table a channel, then ``mix @ rgb`` plus the weighted mean of all its pixels."""
    height, width, _ = image.shape
    counts = np.zeros((3, 256), np.int64)
    for row in range(height):
        for column in range(width):
            for channel in range(3):
                counts[channel, image[row, column, channel]] += 1
    mean = 0.0
    for channel in range(3):
        for level in range(256):
            mean += weight_of_mean[channel] * counts[channel, level] * tables[channel, level]
    offset = np.float32(mean / (height * width) + 0.5)
    out = np.empty_like(image)
    for row in range(height):
        for column in range(width):
            red = tables[0, image[row, column, 0]]
            green = tables[1, image[row, column, 1]]
            blue = tables[2, image[row, column, 2]]
            for channel in range(3):
                value = mix[channel, 0] * red + mix[channel, 1] * green + mix[channel, 2] * blue + offset
                out[row, column, channel] = np.uint8(min(max(value, np.float32(0)), np.float32(255)))
    return out


@compiled(fastmath=SAFE_FASTMATH)
def grained(
    image: UInt8[np.ndarray, "h w 3"], draws: UInt16[np.ndarray, "h w c"], table: Float32[np.ndarray, "n"]
) -> UInt8[np.ndarray, "h w 3"]:
    """Return the picture with a number of the table added to every value; ``draws`` of one channel serve all three."""
    height, width, _ = image.shape
    last = draws.shape[2] - 1
    out = np.empty_like(image)
    for row in range(height):
        for column in range(width):
            for channel in range(3):
                value = image[row, column, channel] + table[draws[row, column, min(channel, last)]] + np.float32(0.5)
                out[row, column, channel] = np.uint8(min(max(value, np.float32(0)), np.float32(255)))
    return out
