"""What a detector gives for each person: the one small interface between finding people and posing them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float, UInt8

from monobody.data.crop import Crop


@dataclass(frozen=True, kw_only=True, slots=True)
class Detection:
    """One person found in a picture.

    Landmarks are MediaPipe's 33 (``SKELETONS["blazepose33"]``). A detector that has none leaves the scores at zero.
    """

    box_px: Float[np.ndarray, "4"]
    """Tight box x0, y0, x1, y1 about the whole person, inside the picture, never empty."""
    score: float
    """Confidence that this is a person, 0 to 1."""
    crop: Crop
    """Region of interest for the networks: hips in the middle, body axis up."""
    landmarks_px: Float[np.ndarray, "33 2"]
    landmarks_score: Float[np.ndarray, "33"]
    """Visibility times presence, 0 to 1."""
    world_m: Float[np.ndarray, "33 3"]
    """Metres from the hip centre in the crop's turned frame: x right, y down, z away from the camera."""


class Detector(Protocol):
    """Anything that finds people: called with a picture, and with boxes when these are known already."""

    def __call__(
        self,
        rgb: UInt8[np.ndarray, "h w 3"],
        box: Sequence[Sequence[float]] | Sequence[float] | None = None,
        *,
        name: str | None = None,
    ) -> list[Detection]:
        """Return the people of a picture, best first; or, given boxes, exactly one person for each box, in order.

        ``name`` is the picture's file name, for detectors that look people up.
        """
        ...


def inside_picture(box_px: Float[np.ndarray, "4"], rgb: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "4"]:
    """Return the box cut at the picture's borders, at least one pixel wide and high."""
    height, width = rgb.shape[:2]
    limits = np.array([width, height], np.float64)
    low = np.clip(box_px[:2], 0, limits - 1)
    return np.concatenate([low, np.clip(box_px[2:], low + 1, limits)])
