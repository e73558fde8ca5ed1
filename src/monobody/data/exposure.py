"""Between pictures and light: sRGB decoded to linear light, people laid over a scene, and the scene exposed again.

Averaging and blending are right in linear light only; edges of people mixed in sRGB would be too dark.
"""

import numpy as np
from jaxtyping import Float, UInt8

from monobody.data.wardrobe import to_linear
from monobody.jit import SAFE_FASTMATH, compiled

LINEAR = to_linear(np.arange(256, dtype=np.float32))
"""Linear light of the 8-bit sRGB levels."""
_STEPS = 1 << 14
_grid = np.arange(_STEPS + 1) / _STEPS
ENCODE = np.round(255 * np.where(_grid <= 0.0031308, 12.92 * _grid, 1.055 * _grid ** (1 / 2.4) - 0.055)).astype(
    np.uint8
)
"""8-bit sRGB levels of linear light in steps of 1/16384."""


@compiled(fastmath=SAFE_FASTMATH)
def lay_over(canvas, person, person_part, factor, x0, y0, coverage, parts):
    """Average ``factor`` x ``factor`` cells of a premultiplied person and lay it over the linear canvas at (x0, y0).

    ``coverage`` (H, W) gets the person's share of each pixel, ``parts`` (H, W; none if empty) a body part seen there.
    """
    weight = np.float32(1.0 / (factor * factor))
    for row in range(person.shape[0] // factor):
        for column in range(person.shape[1] // factor):
            red = green = blue = alpha = np.float32(0)
            for dy in range(factor):
                for dx in range(factor):
                    p = person[row * factor + dy, column * factor + dx]
                    red += p[0]
                    green += p[1]
                    blue += p[2]
                    alpha += p[3]
            if alpha == 0:
                continue
            y, x = y0 + row, x0 + column
            alpha *= weight
            coverage[y, x] = alpha
            if parts.shape[0] > 0:
                parts[y, x] = person_part[row * factor + factor // 2, column * factor + factor // 2]
            canvas[y, x, 0] = canvas[y, x, 0] * (1 - alpha) + red * weight
            canvas[y, x, 1] = canvas[y, x, 1] * (1 - alpha) + green * weight
            canvas[y, x, 2] = canvas[y, x, 2] * (1 - alpha) + blue * weight


@compiled(fastmath=SAFE_FASTMATH)
def encode(canvas, gain, table, out):
    """Expose a linear canvas and encode it as 8-bit sRGB; highlights roll off instead of clipping hard."""
    steps = table.shape[0] - 1
    knee = np.float32(0.7)
    for row in range(canvas.shape[0]):
        for column in range(canvas.shape[1]):
            for c in range(3):
                value = canvas[row, column, c] * gain
                if value > knee:
                    value = knee + (1 - knee) * (1 - np.exp((knee - value) / (1 - knee)))
                out[row, column, c] = table[int(min(max(value, 0.0), 1.0) * steps)]


@compiled()
def decode(picture, gain, table, out):
    """Turn an 8-bit picture into linear light times a gain a channel."""
    for row in range(picture.shape[0]):
        for column in range(picture.shape[1]):
            for c in range(3):
                out[row, column, c] = table[picture[row, column, c]] * gain[c]


def encoded(canvas: Float[np.ndarray, "h w 3"], gain: float) -> UInt8[np.ndarray, "h w 3"]:
    """Return a linear canvas as an 8-bit sRGB picture."""
    out = np.empty(canvas.shape, np.uint8)
    encode(canvas, np.float32(gain), ENCODE, out)
    return out


def finished(image: np.ndarray, grain: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blur some pictures and add noise to some, as a camera does; the noise is a random window of ``grain``."""
    if rng.random() < 0.35:
        from PIL import Image, ImageFilter

        image = np.asarray(Image.fromarray(image).filter(ImageFilter.BoxBlur(rng.uniform(0.2, 1.2))))
    if rng.random() < 0.4:
        y, x = (rng.integers(0, grain.shape[0] - size + 1) for size in image.shape[:2])
        window = grain[y : y + image.shape[0], x : x + image.shape[1]]
        image = np.clip(image + rng.uniform(1, 7) * window, 0, 255).astype(np.uint8)
    return image
