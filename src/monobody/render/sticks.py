"""Joints and the bones between them, drawn over a picture as lines and dots with smooth edges."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8

_FINER = 3
"""Drawn so many times as large, and reduced."""


def draw_sticks(
    picture: UInt8[np.ndarray, "h w 3"],
    points_px: Float[np.ndarray, "k 2"],
    bones: Sequence[tuple[int, int]],
    *,
    colour: tuple[int, int, int],
    shown: Bool[np.ndarray, " k"] | None = None,
    width_px: float = 1.3,
    radius_px: float = 2.0,
) -> UInt8[np.ndarray, "h w 3"]:
    """Return a copy of the picture with a stick figure on it.

    Args:
        picture: RGB.
        points_px: joints in its pixels.
        bones: pairs of joints.
        colour: of lines and dots, sRGB.
        shown: which joints to draw, and bones between two of them; all where left out. Joints that are not finite
            are never drawn.
        width_px: of the lines.
        radius_px: of the dots.
    """
    from PIL import Image, ImageDraw

    height, width = picture.shape[:2]
    wanted = np.ones(len(points_px), bool) if shown is None else np.asarray(shown, bool)
    drawn = np.logical_and(wanted, np.isfinite(points_px).all(axis=-1))
    enlarged = Image.fromarray(picture).resize((_FINER * width, _FINER * height), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(enlarged)
    # Far beyond the picture nothing is seen, and integers would overflow.
    limited = np.clip(np.nan_to_num(points_px), -10 * width - 1000, 10 * width + 1000)
    points = [(_FINER * float(x), _FINER * float(y)) for x, y in limited]
    for a, b in bones:
        if drawn[a] and drawn[b]:
            pen.line([points[a], points[b]], fill=colour, width=round(_FINER * width_px))
    radius = _FINER * radius_px
    for (x, y), seen in zip(points, drawn, strict=True):
        if seen:
            pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour, outline=(20, 20, 20))
    return np.asarray(enlarged.resize((width, height), Image.Resampling.LANCZOS))
