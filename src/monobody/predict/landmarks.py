"""Reading a region with BlazePose's landmark network: 33 landmarks, two auxiliary points, 3D, person mask.

The decoding is that of MediaPipe's ``pose_landmark_by_roi`` graph: coordinates in pixels of the 256 px square,
refined by the heat maps where these are sure, visibility and presence through a sigmoid.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from monobody.data.crop import Crop, extract
from monobody.data.region import region_from_points
from monobody.predict.blaze_networks import LANDMARK_SIZE_PX, blaze_networks

COUNT = 33
"""Landmarks of the body; two auxiliary points (hip centre, full-body point) and four hand points follow them."""
HEAT_WINDOW = 3
"""Cells to each side of a landmark that its heat map is averaged over (MediaPipe's kernel of 7)."""
HEAT_MIN_CONFIDENCE = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What the landmark network sees in one region."""

    crop: Crop
    landmarks_px: Float[np.ndarray, "33 2"]
    """Places in the picture."""
    scores: Float[np.ndarray, "33"]
    """Visibility times presence of each landmark, 0 to 1."""
    auxiliary_px: Float[np.ndarray, "2 2"]
    """Hip centre and full-body point: they define the region that a further reading should use."""
    world_m: Float[np.ndarray, "33 3"]
    """Metres from the hip centre, in the region's own (turned) frame: x right, y down, z away."""
    presence: float
    """Probability that the region holds a person at all."""
    mask: Float[np.ndarray, "256 256"]
    """Probability of "person" for each pixel of the region's square."""


def read_region(rgb: UInt8[np.ndarray, "h w 3"], crop: Crop) -> Reading:
    """Return what the landmark network reads in the region ``crop`` of a picture."""
    square = extract(rgb, crop, LANDMARK_SIZE_PX)
    raw, presence, mask, heat, world = blaze_networks().landmarks(square)
    places = refine(raw[:, :2] / LANDMARK_SIZE_PX, heat)
    places_px = crop.to_picture(2.0 * places - 1.0)
    return Reading(
        crop=crop,
        landmarks_px=places_px[:COUNT],
        scores=np.prod(_sigmoid(raw[:COUNT, 3:5]), axis=1),
        auxiliary_px=places_px[COUNT : COUNT + 2],
        world_m=world[:COUNT],
        presence=presence,
        mask=_sigmoid(mask),
    )


def read_again(rgb: UInt8[np.ndarray, "h w 3"], reading: Reading) -> Reading:
    """Return a second reading in the region that the first one's auxiliary points define, as when MediaPipe tracks."""
    hip_px, full_body_px = reading.auxiliary_px
    if np.linalg.norm(full_body_px - hip_px) < 1e-3 * reading.crop.size_px:
        return reading  # The points define no region: whatever is there is no person.
    return read_region(rgb, region_from_points(hip_px, full_body_px))


def refine(places: Float[np.ndarray, "39 2"], heat: Float[np.ndarray, "64 64 39"]) -> Float[np.ndarray, "39 2"]:
    """Return places (fractions of the square) moved to the mean of their heat map's window, where it is sure."""
    refined = places.copy()
    side = heat.shape[0]
    for i, place in enumerate(places):
        column, row = (int(np.floor(c * side)) for c in place)
        if not (0 <= column < side and 0 <= row < side):
            continue
        rows = np.arange(max(row - HEAT_WINDOW, 0), min(row + HEAT_WINDOW + 1, side))
        columns = np.arange(max(column - HEAT_WINDOW, 0), min(column + HEAT_WINDOW + 1, side))
        weights = _sigmoid(heat[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, i])
        if weights.max() >= HEAT_MIN_CONFIDENCE:
            refined[i] = (weights.sum(0) @ columns, weights.sum(1) @ rows)
            refined[i] /= weights.sum() * side
    return refined


def _sigmoid(values: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    return 1.0 / (1.0 + np.exp(-np.clip(values, -60.0, 60.0)))
