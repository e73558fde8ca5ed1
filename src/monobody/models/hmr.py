"""HMR (Kanazawa et al., CVPR 2018): an encoder, then a regressor that corrects its own estimate three times.

    state_0 = mean                                   (trainable)
    state_t = state_{t-1} + f([features | state_{t-1}])      t = 1, 2, 3, one f for all        (section 3.2)

The state is [s, tx, ty | pose | 10 betas]. By default the pose is 24 rotations of 6 numbers (Zhou et al., 2019,
arXiv:1812.07035): 157 numbers in all; with ``rotation="axis-angle"`` it is HMR's own 72 and the state its 85-vector.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from monobody.body.rotation import (
    axis_angle_to_matrix,
    matrix_to_axis_angle,
    matrix_to_rotation_6d,
    rotation_6d_to_matrix,
)
from monobody.errors import UserError
from monobody.models.backbone import resnet18, resnet50
from monobody.models.blaze import INPUT_SIZE, LANDMARKS, BlazeBackbone, BlazeFeatures, scale_landmarks

Rotation = Literal["6d", "axis-angle"]
JOINTS, BETAS = 24, 10
LEFT_SHOULDER, RIGHT_SHOULDER = 16, 17

HMR_MODELS = ("hmr-small", "hmr-resnet18", "hmr-resnet50")


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


class IterativeRegressor(nn.Module):
    """The regressor with error feedback (section 3.2), and its trainable mean."""

    def __init__(
        self,
        features: int,
        *,
        hidden: int = 1024,
        dropout: float = 0.5,
        iterations: int = 3,
        rotation: Rotation = "6d",
    ) -> None:
        super().__init__()
        self.rotation: Rotation = rotation
        self.iterations = iterations
        pose = standing_pose()
        pose = matrix_to_rotation_6d(axis_angle_to_matrix(pose)) if rotation == "6d" else pose
        self.mean = nn.Parameter(torch.cat([torch.tensor([0.9, 0.0, 0.0]), pose.flatten(), torch.zeros(BETAS)]))
        self.fc1 = nn.Linear(features + len(self.mean), hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.correction = nn.Linear(hidden, len(self.mean))
        self.dropout = nn.Dropout(dropout)
        # The last layer starts small, so that training starts from bodies near the mean (section 3.2 of HMR's code).
        for layer, gain in ((self.fc1, 1.0), (self.fc2, 1.0), (self.correction, 0.1)):
            nn.init.xavier_uniform_(layer.weight, gain=gain)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Float[Tensor, "b f"]) -> list[HMROutput]:
        """Return the estimate after every iteration; the last is the result."""
        state = self.mean.expand(len(features), -1)
        outputs = []
        for _ in range(self.iterations):
            h = self.dropout(F.relu(self.fc1(torch.cat([features, state], dim=1))))
            h = self.dropout(F.relu(self.fc2(h)))
            state = state + self.correction(h)
            outputs.append(self.output(state))
        return outputs

    def mean_output(self) -> HMROutput:
        """Return what the regressor believes before it looks, without a batch dimension."""
        return self.output(self.mean)

    def output(self, state: Float[Tensor, "*b n"]) -> HMROutput:
        camera, pose, betas = state.split([3, state.shape[-1] - 3 - BETAS, BETAS], dim=-1)
        pose = pose.unflatten(-1, (JOINTS, -1))
        rotations = rotation_6d_to_matrix(pose) if self.rotation == "6d" else axis_angle_to_matrix(pose)
        return HMROutput(camera=camera, rotations=rotations, betas=betas)


class BlazeEncoder(nn.Module):
    """BlazePose as an encoder: its last map and, beside it, all that its heads say about the 39 landmarks.

    The landmarks carry most of what a body needs; the map carries the rest (facing, twists, shape).
    """

    output_size = BlazeBackbone.pooled_size + LANDMARKS * (5 + 3) + 1

    def __init__(self, backbone: BlazeBackbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Float[Tensor, "b 3 256 256"]) -> Float[Tensor, "b {self.output_size}"]:
        return self.flatten(self.backbone(images))

    @staticmethod
    def flatten(features: BlazeFeatures) -> Float[Tensor, "b f"]:
        landmarks = scale_landmarks(features.landmarks).flatten(1)
        presence = features.presence.sigmoid()[:, None]
        return torch.cat([features.pooled, landmarks, features.world.flatten(1), presence], dim=1)


class HMR(nn.Module):
    """An encoder and an iterative regressor: RGB crops in, posed bodies out."""

    def __init__(self, name: str, encoder: nn.Module, regressor: IterativeRegressor, *, input_size: int) -> None:
        super().__init__()
        self.name = name
        self.input_size = input_size
        self.encoder = encoder
        self.regressor = regressor

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> list[HMROutput]:
        """Return the estimate after every iteration for crops of ``input_size`` pixels with values in [0, 1]."""
        return self.regressor(self.encoder(images))


def build_model(name: str, *, rotation: Rotation = "6d", published: bool = True) -> HMR:
    """Build one of the networks by its name, without trained weights of its own.

    ``hmr-small`` starts from the published weights of BlazePose, unless ``published`` is off because a checkpoint
    will replace them; the ResNets start at random.

    Raises:
        UserError: there is no network of that name.
    """
    if name == "hmr-small":
        backbone = BlazeBackbone.load() if published else BlazeBackbone()
        encoder = BlazeEncoder(backbone)
        # Half of a landmark's coordinates are no landmark: this input is worth nothing under HMR's dropout of 0.5.
        regressor = IterativeRegressor(encoder.output_size, dropout=0.1, rotation=rotation)
        return HMR(name, encoder, regressor, input_size=INPUT_SIZE)
    if name == "hmr-resnet18":
        encoder, hidden = resnet18(), 512
    elif name == "hmr-resnet50":
        encoder, hidden = resnet50(), 1024
    else:
        raise UserError(f"There is no network named {name!r}: choose one of {', '.join(HMR_MODELS)}.")
    regressor = IterativeRegressor(encoder.output_size, hidden=hidden, rotation=rotation)
    return HMR(name, encoder, regressor, input_size=224)
