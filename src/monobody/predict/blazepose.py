"""Finding people with BlazePose: windows of the picture -> candidates -> regions -> landmarks.

Stage one looks for heads, hip centres and full-body points in square windows of the picture (any place, size and
turn); stage two reads 33 landmarks in the region that each candidate defines.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from monobody.data.crop import Crop, extract
from monobody.data.region import region_from_points
from monobody.predict import anchors
from monobody.predict.blaze_networks import DETECTOR_SIZE_PX, blaze_networks
from monobody.predict.landmarks import Reading, read_region

FIRST_THRESHOLD = 0.3
"""Score of a candidate worth reading; MediaPipe's own 0.5 misses a third more people."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A person guessed by stage one."""

    score: float
    hip_px: Float[np.ndarray, "2"]
    full_body_px: Float[np.ndarray, "2"]

    def region(self) -> Crop:
        """Return the region of interest for stage two."""
        return region_from_points(self.hip_px, self.full_body_px)


def find_candidates(
    rgb: UInt8[np.ndarray, "h w 3"], windows: Sequence[Crop], threshold: float = FIRST_THRESHOLD
) -> list[Candidate]:
    """Return the people that stage one sees in any of the windows, each once, best first."""
    boxes, points, scores = [], [], []
    for window in windows:
        found, found_scores = anchors.decode(*blaze_networks().detect(_black_outside(rgb, window)), threshold)
        # A turned window turns the box as well; its square hull keeps centre and size.
        half = found[:, 1].max(axis=1) * window.size_px / 4
        places = window.to_picture(found[:, [0, 2, 3]].reshape(-1, 2)).reshape(-1, 3, 2)
        boxes.append(np.concatenate([places[:, 0] - half[:, None], places[:, 0] + half[:, None]], axis=1))
        points.append(places[:, 1:])
        scores.append(found_scores)
    merged, best = anchors.weighted_suppression(np.concatenate(boxes), np.concatenate(points), np.concatenate(scores))
    return [
        Candidate(score=float(s), hip_px=p[0], full_body_px=p[1])
        for p, s in zip(merged, best, strict=True)
        if np.linalg.norm(p[1] - p[0]) > 1.0
    ]


def whole_window(rgb: UInt8[np.ndarray, "h w 3"], angle_rad: float = 0.0) -> Crop:
    """Return the smallest square about the whole picture, turned."""
    height, width = rgb.shape[:2]
    return Crop(centre_px=(width / 2, height / 2), size_px=float(max(height, width)), angle_rad=angle_rad)


def read_candidates(rgb: UInt8[np.ndarray, "h w 3"], candidates: Sequence[Candidate]) -> list[Reading]:
    """Return the landmark network's reading of each candidate's region."""
    return [read_region(rgb, candidate.region()) for candidate in candidates]


def _black_outside(rgb: UInt8[np.ndarray, "h w 3"], window: Crop) -> UInt8[np.ndarray, "224 224 3"]:
    """Return the window's pixels, black where it leaves the picture, as the detector was trained."""
    square = extract(rgb, window, DETECTOR_SIZE_PX)
    steps = (np.arange(DETECTOR_SIZE_PX) + 0.5) / (DETECTOR_SIZE_PX / 2) - 1.0
    grid = np.stack(np.meshgrid(steps, steps), axis=-1)
    places = window.to_picture(grid.reshape(-1, 2)).reshape(grid.shape)
    height, width = rgb.shape[:2]
    inside = np.all((places >= 0) & (places <= (width, height)), axis=-1)
    return square * inside[..., None].astype(np.uint8)
