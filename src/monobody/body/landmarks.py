"""What a lifter is given: landmarks in the crop and, where known, in metres, under one set of names.

The set is BlazePose's 33 landmarks, then the neck and the top of the head, which other joint sets have. Any other set
takes its places by name; what it lacks has score zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from monobody.body.skeleton import SKELETONS

NAMES = (*SKELETONS["blazepose33"].joints, "neck", "head_top")
COUNT = len(NAMES)
FLIP = (*SKELETONS["blazepose33"].flip, 33, 34)


class Window(Protocol):
    """A crop: what brings picture points to coordinates from -1 to 1."""

    def to_crop(self, points_px: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "k 2"]:
        """Return picture points in crop coordinates."""
        ...


class Detected(Protocol):
    """A person as a landmark detector reports it; see `predict/detection.py`."""

    @property
    def crop(self) -> Window: ...
    @property
    def landmarks_px(self) -> Float[np.ndarray, "33 2"]: ...
    @property
    def landmarks_score(self) -> Float[np.ndarray, "33"]: ...
    @property
    def world_m(self) -> Float[np.ndarray, "33 3"]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Landmarks:
    """Landmarks of people, each in the frame of the person's own crop."""

    image: Float[Tensor, "*b 35 2"]
    """Crop coordinates from -1 to 1, x right and y down."""
    score: Float[Tensor, "*b 35"]
    """How sure each one is, 0 to 1; at 0 it is unknown and its coordinates mean nothing."""
    world_m: Float[Tensor, "*b 35 3"]
    """Metres about any origin: x right, y down, z away from the viewer."""
    world_score: Float[Tensor, "*b 35"]
    """As `score`, for `world_m`."""

    @staticmethod
    def from_detections(detections: Sequence[Detected]) -> "Landmarks":
        """Take what a detector says about the people it found."""
        image = np.stack([d.crop.to_crop(np.asarray(d.landmarks_px, np.float64)) for d in detections])
        score = np.stack([d.landmarks_score for d in detections])
        world = np.stack([d.world_m for d in detections])
        return Landmarks.from_joints("blazepose33", _tensor(image), _tensor(score), world_m=_tensor(world))

    @staticmethod
    def from_joints(
        set_name: str,
        image: Float[Tensor, "*b k 2"],
        score: Float[Tensor, "*b k"],
        *,
        world_m: Float[Tensor, "*b k 3"] | None = None,
    ) -> "Landmarks":
        """Take joints of any set, in crop coordinates, with or without 3D.

        Raises:
            KeyError: there is no joint set of that name.
        """
        pairs = [(NAMES.index(j), i) for i, j in enumerate(SKELETONS[set_name].joints) if j in NAMES]
        into, source = [a for a, _ in pairs], [b for _, b in pairs]

        def spread(values: Tensor, *width: int) -> Tensor:
            result = values.new_zeros(*score.shape[:-1], COUNT, *width)
            result[(..., into, *[slice(None)] * len(width))] = values[(..., source, *[slice(None)] * len(width))]
            return result

        known = spread(score)
        if world_m is None:
            return Landmarks(
                image=spread(image, 2),
                score=known,
                world_m=image.new_zeros(*known.shape, 3),
                world_score=torch.zeros_like(known),
            )
        return Landmarks(image=spread(image, 2), score=known, world_m=spread(world_m, 3), world_score=known)


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.asarray(array, np.float32))
