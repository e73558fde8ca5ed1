"""BlazePose's first stage: a window of the picture in, proposals of people and their regions of interest out.

It looks for heads, hip centres and full-body points in a square window of any place, size and turn. The second stage
(:mod:`~monobody.predict.landmarks`) reads 33 landmarks in the region that each candidate defines.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from monobody.data.crop import Crop, extract
from monobody.data.region import region_from_points
from monobody.predict import anchors
from monobody.predict.blaze_networks import DETECTOR_SIZE_PX, blaze_networks

QUARTER_TURNS = (0.0, math.pi / 2, math.pi, -math.pi / 2)
"""The detector knows upright people best; turned windows show it the others upright."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A person guessed from one window."""

    score: float
    region: Crop
    """Where the second stage should read."""


def find_candidates(rgb: UInt8[np.ndarray, "h w 3"], window: Crop, threshold: float) -> list[Candidate]:
    """Return the people that stage one sees in a window of the picture, each once, best first."""
    found, scores = anchors.decode(*blaze_networks().detect(_black_outside(rgb, window)), threshold)
    centres, halves, points = found[:, 0], found[:, 1] / 2, found[:, [anchors.HIP, anchors.FULL_BODY]]
    merged, best = anchors.weighted_suppression(np.hstack([centres - halves, centres + halves]), points, scores)
    places = window.to_picture(merged)
    # Points that coincide would define no region.
    return [
        Candidate(score=float(score), region=region_from_points(hip_px, full_body_px))
        for (hip_px, full_body_px), score in zip(places, best, strict=True)
        if np.linalg.norm(full_body_px - hip_px) > 1.0
    ]


def distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates, best first, without those that propose nearly the same region as a better one."""
    kept: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: -c.score):
        if not any(nearly_equal(candidate.region, other.region) for other in kept):
            kept.append(candidate)
    return kept


def nearly_equal(first: Crop, second: Crop) -> bool:
    """Tell whether the landmark network would see about the same in both regions."""
    apart = math.dist(first.centre_px, second.centre_px) / second.size_px
    turn = math.remainder(first.angle_rad - second.angle_rad, 2 * math.pi)
    return apart < 0.15 and abs(math.log(first.size_px / second.size_px)) < 0.25 and abs(turn) < 0.4


def _black_outside(rgb: UInt8[np.ndarray, "h w 3"], window: Crop) -> UInt8[np.ndarray, "224 224 3"]:
    """Return the window's pixels, black where it leaves the picture, as the detector was trained."""
    square = extract(rgb, window, DETECTOR_SIZE_PX)
    steps = (np.arange(DETECTOR_SIZE_PX, dtype=np.float32) + 0.5) * (window.size_px / DETECTOR_SIZE_PX)
    right, down = window.axes().T.astype(np.float32)
    left, top = window.corners_px()[0].astype(np.float32)
    x = left + steps * right[0] + steps[:, None] * down[0]
    y = top + steps * right[1] + steps[:, None] * down[1]
    height, width = rgb.shape[:2]
    square[(x < 0) | (x > width) | (y < 0) | (y > height)] = 0
    return square
