"""One person in a given box, whatever their posture: BlazePose in four quarter turns.

The detector knows upright people best, and small ones better than such as fill its square, so it looks at a window
much larger than the box, turned four ways. Every place it proposes is read by the landmark network, the best two are
read again where their own auxiliary points say, and the reading whose landmarks fill the given box and are
clearly seen wins. Where the detector proposes nothing, the box itself is read in four turns.
"""

import math

import numpy as np
from jaxtyping import Float, UInt8

from monobody.data.crop import Crop
from monobody.predict.anchors import box_iou
from monobody.predict.blazepose import QUARTER_TURNS, distinct, find_candidates
from monobody.predict.landmarks import Reading, read_again, read_region

WINDOW = 1.8
"""Side of the searched window over the box's longer side. 1.0 and 1.3 find 15 and 7 % fewer joints (PCK@0.1)."""
THRESHOLD = 0.08
"""Score of a candidate worth reading: somebody is there for certain."""
MOST = 6
"""Candidates that are read at most."""
AGAIN, TIMES = 2, 2
"""How many of the readings are repeated in their own regions, and how often. Each time brings about 0.8 % of PCK."""
WHOLE_BOX = 1.25
"""Side of the region read where there is no candidate, over the box's longer side."""


def person_in_box(rgb: UInt8[np.ndarray, "h w 3"], box_px: Float[np.ndarray, "4"]) -> Reading:
    """Return the reading of the person whom the box (x0, y0, x1, y1) is about; there always is one."""
    centre = (float(box_px[0] + box_px[2]) / 2, float(box_px[1] + box_px[3]) / 2)
    side = float(max(box_px[2] - box_px[0], box_px[3] - box_px[1]))
    windows = [Crop(centre, WINDOW * side, angle) for angle in QUARTER_TURNS]
    candidates = [c for w in windows for c in find_candidates(rgb, w, THRESHOLD) if _is_about(c.region, box_px)]
    regions = [(c.score, c.region) for c in distinct(candidates)[:MOST]]
    if not regions:
        regions = [(1.0, Crop(centre, WHOLE_BOX * side, angle)) for angle in QUARTER_TURNS]

    def fit(pair: tuple[float, Reading]) -> float:
        return math.sqrt(pair[0]) * _agreement(pair[1], box_px)

    readings = sorted(((score, read_region(rgb, region)) for score, region in regions), key=fit, reverse=True)[:AGAIN]
    for _ in range(TIMES):
        readings = [(score, read_again(rgb, reading)) for score, reading in readings]
    return max(readings, key=fit)[1]


def _is_about(region: Crop, box_px: Float[np.ndarray, "4"]) -> bool:
    """Tell whether the hips that a region is centred on lie in the box: neighbours' do not."""
    x, y = region.centre_px
    return bool(box_px[0] <= x <= box_px[2] and box_px[1] <= y <= box_px[3])


def _agreement(reading: Reading, box_px: Float[np.ndarray, "4"]) -> float:
    """Return how well the landmarks fill the box, times how clearly they are seen."""
    extent = np.concatenate([reading.landmarks_px.min(axis=0), reading.landmarks_px.max(axis=0)])
    return float(box_iou(extent, box_px)) * float(reading.scores.mean())
