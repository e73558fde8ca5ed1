"""BlazePose's first stage: a window of the picture in, proposals of people and their regions of interest out.

It looks for heads, hip centres and full-body points in a square window of any place, size and turn. The second stage
(:mod:`~monobody.predict.landmarks`) reads 33 landmarks in the region that each candidate defines.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from monobody.data.crop import Crop, extract
from monobody.data.region import region_from_points
from monobody.predict import anchors
from monobody.predict.blaze_networks import DETECTOR_SIZE_PX, blaze_networks


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A person guessed from one window."""

    score: float
    hip_px: Float[np.ndarray, "2"]
    full_body_px: Float[np.ndarray, "2"]

    def region(self) -> Crop:
        """Return the region of interest for stage two."""
        return region_from_points(self.hip_px, self.full_body_px)


def find_candidates(rgb: UInt8[np.ndarray, "h w 3"], window: Crop, threshold: float) -> list[Candidate]:
    """Return the people that stage one sees in a window of the picture, each once, best first."""
    found, scores = anchors.decode(*blaze_networks().detect(_black_outside(rgb, window)), threshold)
    centres, halves, points = found[:, 0], found[:, 1] / 2, found[:, [anchors.HIP, anchors.FULL_BODY]]
    merged, best = anchors.weighted_suppression(np.hstack([centres - halves, centres + halves]), points, scores)
    candidates = [
        Candidate(score=float(score), hip_px=window.to_picture(hip), full_body_px=window.to_picture(full_body))
        for (hip, full_body), score in zip(merged, best, strict=True)
    ]
    # Points that coincide would define no region.
    return [c for c in candidates if np.linalg.norm(c.full_body_px - c.hip_px) > 1.0]


def distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates, best first, without those that propose nearly the same region as a better one."""
    kept: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: -c.score):
        if not any(nearly_equal(candidate.region(), other.region()) for other in kept):
            kept.append(candidate)
    return kept


def _black_outside(rgb: UInt8[np.ndarray, "h w 3"], window: Crop) -> UInt8[np.ndarray, "224 224 3"]:
    """Return the window's pixels, black where it leaves the picture, as the detector was trained."""
    square = extract(rgb, window, DETECTOR_SIZE_PX)
    steps = (np.arange(DETECTOR_SIZE_PX) + 0.5) / (DETECTOR_SIZE_PX / 2) - 1.0
    grid = np.stack(np.meshgrid(steps, steps), axis=-1)
    places = window.to_picture(grid.reshape(-1, 2)).reshape(grid.shape)
    height, width = rgb.shape[:2]
    inside = np.all((places >= 0) & (places <= (width, height)), axis=-1)
    return square * inside[..., None].astype(np.uint8)


def nearly_equal(first: Crop, second: Crop) -> bool:
    """Tell whether the landmark network would see about the same in both regions."""
    apart = math.dist(first.centre_px, second.centre_px) / second.size_px
    turn = math.remainder(first.angle_rad - second.angle_rad, 2 * math.pi)
    return apart < 0.15 and abs(math.log(first.size_px / second.size_px)) < 0.25 and abs(turn) < 0.4
