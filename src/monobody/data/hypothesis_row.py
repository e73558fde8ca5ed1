"""One row that X as Supervision trains on: a crop, the mask in it, and joints in the crop's cube where they are known.

Rows of people are made of rows of `data/sample.py`, batch by batch (`train/hypotheses_labels.py`); animals come so.
"""

from typing import TypedDict

import numpy as np
from jaxtyping import Float, UInt8


class HypothesisRow(TypedDict):
    """The fields of one row, without the batch axis."""

    images: UInt8[np.ndarray, "3 s s"]
    mask: UInt8[np.ndarray, "s s"]
    """255 where the person or animal is seen."""
    has_mask: np.float32
    joints: Float[np.ndarray, "k 3"]
    """x to the right and y down, -1 to 1 across the crop; z from the root's depth, away from the viewer, in the same
    unit: halves of the crop at the root's depth."""
    known: Float[np.ndarray, "k"]
    """1 where the joint is known and lies in the cube."""
    has_joints: np.float32
