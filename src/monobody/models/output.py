"""What every body network answers with, and the pose it starts from."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from monobody.body.landmarks import Landmarks
from monobody.body.rotation import matrix_to_axis_angle

JOINTS, BETAS = 24, 10
LEFT_SHOULDER, RIGHT_SHOULDER = 16, 17


@dataclass(frozen=True, kw_only=True, slots=True)
class HMROutput:
    """A posed body per crop, seen by a weak-perspective camera.

    A point X of the body, in metres and the crop's camera frame (x right, y down, z forward), appears at
    s (X_xy + t) in crop coordinates from -1 to 1.
    """

    camera: Float[Tensor, "*b 3"]
    """s, tx, ty."""
    rotations: Float[Tensor, "*b 24 3 3"]
    """Joint rotations; the first takes the body's frame to the camera's."""
    betas: Float[Tensor, "*b 10"]
    landmarks: Landmarks | None = None
    """What the body was made to fit, from networks whose encoder finds landmarks."""

    def theta(self) -> Float[Tensor, "*b 85"]:
        """Return HMR's vector: camera, 24 axis-angle rotations, betas."""
        pose = matrix_to_axis_angle(self.rotations).flatten(-2)
        return torch.cat([self.camera, pose, self.betas], dim=-1)


def standing_pose() -> Float[Tensor, "24 3"]:
    """Return, as axis-angle, a person standing upright before the camera with the arms hanging down a little apart."""
    pose = torch.zeros(JOINTS, 3)
    pose[0, 0] = torch.pi  # The body's y points up, the camera's down.
    pose[LEFT_SHOULDER, 2], pose[RIGHT_SHOULDER, 2] = -1.1, 1.1
    return pose
