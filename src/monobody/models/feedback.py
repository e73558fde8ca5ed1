"""A regressor that is told what is wrong with its estimate: where its body's landmarks fall, and where they should.

HMR's regressor corrects its own numbers without seeing what they look like. This one also starts from a trainable mean
and corrects itself with one set of weights, but before each correction it poses a body with its estimate and is shown
the difference between the landmarks a detector gave and its body's own, in the picture and in metres. It learns the
steps that an optimiser behind the landmarks would take, prior included (compare "Human Body Model Fitting by Learned
Gradient Descent", Song et al., ECCV 2020, arXiv:2008.08474). Features of the picture may be given beside them.

Points are moved and scaled to a common frame first, so the answer moves along with the crop, exactly.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from monobody.body.kinematics import JointBody
from monobody.body.landmarks import COUNT, Landmarks
from monobody.body.model import Body
from monobody.body.rotation import axis_angle_to_matrix, matrix_to_rotation_6d, rotation_6d_to_matrix
from monobody.camera import project_weak
from monobody.models.output import BETAS, JOINTS, HMROutput, standing_pose

ROTATION_NUMBERS = JOINTS * 6
STATE = 3 + ROTATION_NUMBERS + BETAS
LARGEST_ERROR = 2.0
"""Differences between landmarks are cut here (in spreads of the person, and metres): outliers must not shout."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A body, and where it has its joints in metres and the crop's camera frame."""

    output: HMROutput
    points_m: Float[Tensor, "b 35 3"]
    """The landmarks."""
    joints_m: Float[Tensor, "b 14 3"]
    """The set lsp14."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """The common frame: x_crop = centre + spread * x."""

    centre: Float[Tensor, "b 1 2"]
    spread: Float[Tensor, "b 1 1"]


class ResidualBlock(nn.Module):
    """Two layers with a normalised input, added to it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "b w"]) -> Float[Tensor, "b w"]:
        return x + self.outer(F.gelu(self.inner(self.norm(x))))


class FeedbackRegressor(nn.Module):
    """Landmarks in, posed bodies out: 1.4 million parameters, and `width` more for each feature of the picture.

    Args:
        body: whose joints are compared with the landmarks; not part of the weights.
        features: how many numbers about the picture come with the landmarks.
        width: of the hidden layers.
        iterations: corrections of the mean.
    """

    def __init__(self, body: Body, *, features: int = 0, width: int = 512, iterations: int = 3) -> None:
        super().__init__()
        self.iterations = iterations
        self.joint_body = JointBody.from_body(body, ("blazepose33", "lsp14"))
        pose = matrix_to_rotation_6d(axis_angle_to_matrix(standing_pose()))
        # In the common frame a person's landmarks have a spread of one; in metres it is about half.
        log_scale, shift = torch.tensor([0.7]), torch.zeros(2)
        self.mean = nn.Parameter(torch.cat([log_scale, shift, pose.flatten(), torch.zeros(BETAS)]))
        given, wrong = COUNT * (2 + 1 + 3 + 1), COUNT * (2 + 3)
        self.input = nn.Linear(given + wrong + STATE, width)
        self.look = nn.Linear(features, width, bias=False) if features else None
        if self.look is not None:
            # A regressor that learnt from landmarks alone goes on from where it stands.
            nn.init.zeros_(self.look.weight)
        self.blocks = nn.Sequential(ResidualBlock(width), ResidualBlock(width), nn.LayerNorm(width))
        self.correction = nn.Linear(width, STATE)
        nn.init.xavier_uniform_(self.correction.weight, gain=0.1)
        nn.init.zeros_(self.correction.bias)

    def forward(self, landmarks: Landmarks, features: Float[Tensor, "b f"] | None = None) -> list[Estimate]:
        """Return the estimate after every iteration, in the frame of each person's crop; the last is the result."""
        frame = common_frame(landmarks)
        image = (landmarks.image - frame.centre) / frame.spread
        score, world_score = landmarks.score[..., None], landmarks.world_score[..., None]
        known, world_known = (score > 0).float(), (world_score > 0).float()
        image, world = image * known, _centred(landmarks.world_m, world_score) * world_known
        given = torch.cat([image, score, world, world_score], dim=-1).flatten(1)
        seen = self.look(features) if self.look is not None and features is not None else 0.0

        state = self.mean[None]
        estimate = self._estimate(state)
        estimates = []
        for _ in range(self.iterations):
            wrong_image = _cut(image - project_weak(estimate.points_m, estimate.output.camera)) * known
            wrong_world = _cut(world - _centred(estimate.points_m, world_score)) * world_known
            wrong = torch.cat([wrong_image, wrong_world], dim=-1).flatten(1)
            state = state.expand(given.shape[0], -1)
            h = self.input(torch.cat([given, wrong, state], dim=1)) + seen
            state = state + self.correction(self.blocks(h))
            estimate = self._estimate(state)
            estimates.append(replace(estimate, output=_into_crop(estimate.output, frame)))
        return estimates

    def _estimate(self, state: Float[Tensor, "b n"]) -> Estimate:
        output = self._output(state)
        sets = self.joint_body(output.rotations, output.betas)
        points = torch.cat([sets["blazepose33"], sets["lsp14"][:, 12:]], dim=1)
        return Estimate(output=output, points_m=points, joints_m=sets["lsp14"])

    @staticmethod
    def _output(state: Float[Tensor, "b n"]) -> HMROutput:
        camera, pose, betas = state.split([3, ROTATION_NUMBERS, BETAS], dim=1)
        # The logarithm keeps the scale positive; the shift is in metres, as HMR has it.
        camera = torch.cat([camera[:, :1].clamp(-4, 4).exp(), camera[:, 1:]], dim=1)
        return HMROutput(camera=camera, rotations=rotation_6d_to_matrix(pose.unflatten(1, (JOINTS, 6))), betas=betas)


def common_frame(landmarks: Landmarks) -> Frame:
    """Find the frame in which the known landmarks are centred with a mean square of one, the sure ones counting most.

    Without two known places it is the crop's own.
    """
    weight = landmarks.score[..., None] / landmarks.score.sum(-1)[..., None, None].clamp_min(1e-6)
    centre = (weight * landmarks.image).sum(-2, keepdim=True)
    square = (weight * (landmarks.image - centre).square()).sum((-2, -1), keepdim=True)
    usable = square > 1e-8
    return Frame(centre=centre, spread=torch.where(usable, square, torch.ones_like(square)).sqrt())


def _into_crop(output: HMROutput, frame: Frame) -> HMROutput:
    """Return the output with its camera in crop coordinates: c + m s (X + t) = s' (X + t')."""
    scale = output.camera[:, :1] * frame.spread[:, 0]
    shift = output.camera[:, 1:] + frame.centre[:, 0] / scale
    return HMROutput(camera=torch.cat([scale, shift], dim=1), rotations=output.rotations, betas=output.betas)


def _centred(points: Float[Tensor, "b k 3"], weight: Float[Tensor, "b k 1"]) -> Float[Tensor, "b k 3"]:
    return points - (weight * points).sum(-2, keepdim=True) / weight.sum(-2, keepdim=True).clamp_min(1e-6)


def _cut(difference: Tensor) -> Tensor:
    return difference.clamp(-LARGEST_ERROR, LARGEST_ERROR)
