"""Decoding BlazePose's detector: anchors, boxes with key points, weighted non-maximum suppression.

The detector is a single-shot detector (SSD): each of 2,254 fixed anchors predicts a score, a box about the head and
four key points, of which MediaPipe uses two: the hip centre and the full-body point. The constants are those of
MediaPipe's ``pose_detection_cpu`` graph.
"""

from functools import cache

import numpy as np
from jaxtyping import Bool, Float, Int

SIZE_PX = 224
GRIDS = ((28, 2), (14, 2), (7, 6))
"""Cells a side and anchors a cell: strides 8, 16 and 32 (the last shared by three layers)."""
HIP, FULL_BODY = 2, 3
"""Which of the decoded points place the region of interest."""


@cache
def anchor_centres() -> Float[np.ndarray, "2254 2"]:
    """Return the anchors' centres (x, y) as fractions of the square, row by row, finest grid first."""
    grids = []
    for cells, copies in GRIDS:
        middle = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        y, x = np.meshgrid(middle, middle, indexing="ij")
        grids.append(np.repeat(np.stack([x, y], -1).reshape(-1, 2), copies, axis=0))
    return np.concatenate(grids)


def decode(
    raw: Float[np.ndarray, "2254 12"], raw_scores: Float[np.ndarray, "2254"], threshold: float
) -> tuple[Float[np.ndarray, "n 6 2"], Float[np.ndarray, "n"]]:
    """Return boxes with key points as points in [-1, 1]², and scores, of the anchors above ``threshold``.

    The six points are the box's centre, its extent (width, height; a length, not a place) and the four key points.
    """
    scores = 1.0 / (1.0 + np.exp(-np.clip(raw_scores, -60.0, 60.0)))
    keep = scores >= threshold
    points = raw[keep].reshape(-1, 6, 2) / (SIZE_PX / 2)
    places = [0, 2, 3, 4, 5]
    points[:, places] += 2.0 * anchor_centres()[keep][:, None] - 1.0
    return points, scores[keep]


def box_iou(first: Float[np.ndarray, "*n 4"], second: Float[np.ndarray, "*n 4"]) -> Float[np.ndarray, "*n"]:
    """Return the overlap (intersection over union) of boxes x0, y0, x1, y1, broadcast against each other."""
    low, high = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    intersection = np.prod(np.maximum(high - low, 0.0), axis=-1)
    areas = [np.prod(np.maximum(b[..., 2:] - b[..., :2], 0.0), axis=-1) for b in (first, second)]
    return intersection / np.maximum(areas[0] + areas[1] - intersection, 1e-12)


def weighted_suppression(
    boxes: Float[np.ndarray, "n 4"],
    points: Float[np.ndarray, "n k 2"],
    scores: Float[np.ndarray, "n"],
    min_iou: float = 0.3,
) -> tuple[Float[np.ndarray, "m k 2"], Float[np.ndarray, "m"]]:
    """Return one set of points per cluster of overlapping boxes, averaged by score; best first.

    Averaging instead of keeping the best steadies the points (MediaPipe's WEIGHTED algorithm).
    """
    order: Int[np.ndarray, " n"] = np.argsort(-scores, kind="stable")
    merged, best = [], []
    while len(order):
        near: Bool[np.ndarray, " n"] = box_iou(boxes[order[0]], boxes[order]) > min_iou
        near[0] = True
        cluster = order[near]
        merged.append(np.average(points[cluster], axis=0, weights=scores[cluster]))
        best.append(scores[order[0]])
        order = order[~near]
    return np.array(merged).reshape(-1, *points.shape[1:]), np.array(best)
