"""What a model answered for the people of a test set, whoever's model it was; kept in one file.

A file of predictions (.npz, no pickles) lets anybody measure another model by our protocols, and lets a measurement be
repeated without the network. Shapes: n people, h hypotheses, k joints of one set.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """Answers in the order of the test set's people; what a model does not give is None."""

    model: str
    terms: str
    """On what terms the answers may be used."""
    names: tuple[str, ...]
    """Of the people, as the test set calls them."""
    joint_set: str
    """Which of `body.skeleton.SKELETONS` the joints belong to."""
    joints_cam_m: Float[np.ndarray, "n h k 3"] | None = None
    """Metres, in the picture's camera frame; where the person stands may be unknown (see `absolute`)."""
    absolute: bool = False
    """Whether `joints_cam_m` are where the model believes the person stands before the camera."""
    joints_px: Float[np.ndarray, "n h k 2"] | None = None
    """In pixels of the upright picture."""
    weights: Float[np.ndarray, "n h"] | None = None
    """How much the model believes in each hypothesis; each person's add up to 1. None where there is one."""
    rotations: Float[np.ndarray, "n h 24 3 3"] | None = None
    """Bodies: the joints' rotations, the root's into the picture's camera frame."""
    betas: Float[np.ndarray, "n h 10"] | None = None
    translation_m: Float[np.ndarray, "n h 3"] | None = None
    """Where the posed body stands before the picture's camera."""
    focal_px: Float[np.ndarray, " n"] | None = None
    principal_px: Float[np.ndarray, "n 2"] | None = None
    body_digest: str = ""
    """Which body `rotations` and `betas` belong to."""

    @property
    def hypotheses(self) -> int:
        """How many hypotheses each person has."""
        arrays = (self.joints_cam_m, self.joints_px, self.rotations)
        return next(array.shape[1] for array in arrays if array is not None)
