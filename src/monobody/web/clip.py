"""A clip as browsers play it: H.264 in MP4, small enough to lie inside a page."""

import tempfile
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from monobody.predict.frames import Source
from monobody.render.film import film

LONGEST_SIDE_PX = 960


def small_clip(source: Source, end_s: float) -> bytes:
    """Return a clip's frames with their own times, no side longer than 960 pixels, without sound.

    Args:
        source: the clip.
        end_s: the time of the last frame that is kept.

    Raises:
        UserError: the clip cannot be read, or nothing here writes H.264.
    """
    shrink = max(1.0, max(source.width_px, source.height_px) / LONGEST_SIDE_PX)
    width, height = (max(2, round(side / shrink / 2) * 2) for side in (source.width_px, source.height_px))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        with film(path, width, height, source.rate) as writing:
            for shot in source:
                if shot.time_s > end_s + 1e-6:
                    break
                writing.add(_resized(shot.rgb, width, height), shot.time_s)
        return path.read_bytes()


def _resized(rgb: UInt8[np.ndarray, "h w 3"], width: int, height: int) -> UInt8[np.ndarray, "h2 w2 3"]:
    from PIL import Image

    if rgb.shape[:2] == (height, width):
        return rgb
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR))
