"""HMR (Kanazawa et al., CVPR 2018): an encoder, then a regressor that corrects its own estimate three times.

    state_0 = mean                                   (trainable)
    state_t = state_{t-1} + f([features | state_{t-1}])      t = 1, 2, 3, one f for all        (section 3.2)

The state is [s, tx, ty | pose | 10 betas]. By default the pose is 24 rotations of 6 numbers (Zhou et al., 2019,
arXiv:1812.07035): 157 numbers in all; with ``rotation="axis-angle"`` it is HMR's own 72 and the state its 85-vector.

`hmr-resnet18` and `hmr-resnet50` are that. `hmr-small` has an encoder that finds landmarks already, so its f is also
told how far the body of state_{t-1} is from them (`models/feedback.py`).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from monobody.body.landmarks import COUNT, Landmarks
from monobody.body.model import Body
from monobody.body.rotation import axis_angle_to_matrix, matrix_to_rotation_6d, rotation_6d_to_matrix
from monobody.body.skeleton import SKELETONS, correspondence
from monobody.errors import UserError
from monobody.models.backbone import resnet18, resnet34, resnet50
from monobody.models.blaze import INPUT_SIZE, LANDMARKS, BlazeBackbone, BlazeFeatures, scale_landmarks
from monobody.models.feedback import FeedbackRegressor
from monobody.models.heat_maps import KEYPOINTS, Peaks, find_peaks
from monobody.models.output import BETAS, JOINTS, HMROutput, standing_pose

Rotation = Literal["6d", "axis-angle"]
RESNETS = {"hmr-resnet18": (resnet18, 512), "hmr-resnet34": (resnet34, 512), "hmr-resnet50": (resnet50, 1024)}
"""Encoder and width of the regressor of each."""
HMR_MODELS = ("hmr-small", *RESNETS)
VIEW_NUMBERS = 3
_LANDMARK_OF = correspondence("blazepose33", "cocoplus19")
_MAPS = [i for i, landmark in enumerate(_LANDMARK_OF) if landmark >= 0]
_LANDMARKS = [_LANDMARK_OF[i] for i in _MAPS]
_MAPS_ALONE = [SKELETONS["cocoplus19"].joints.index(name) for name in ("neck", "head_top")]
"""Which heat maps are of which landmarks, and which of the two joints that BlazePose does not have."""


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
        state = self.mean.expand(features.shape[0], -1)
        outputs = []
        for _ in range(self.iterations):
            h = self.dropout(F.relu(self.fc1(torch.cat([features, state], dim=1))))
            h = self.dropout(F.relu(self.fc2(h)))
            state = state + self.correction(h)
            outputs.append(self.output(state))
        return outputs

    def output(self, state: Float[Tensor, "*b n"]) -> HMROutput:
        """Return the body that a state stands for; that of ``mean`` is what the regressor believes before it looks."""
        camera, pose, betas = state.split([3, state.shape[-1] - 3 - BETAS, BETAS], dim=-1)
        pose = pose.unflatten(-1, (JOINTS, -1))
        rotations = rotation_6d_to_matrix(pose) if self.rotation == "6d" else axis_angle_to_matrix(pose)
        return HMROutput(camera=camera, rotations=rotations, betas=betas)


class BlazeEncoder(nn.Module):
    """BlazePose as an encoder: its last map, all that its heads say about the 39 landmarks, the peaks of its heat maps.

    Landmarks and peaks carry most of what a body needs; the map carries the rest (facing, twists, shape).
    """

    output_size = BlazeBackbone.pooled_size + LANDMARKS * (5 + 3) + 1 + KEYPOINTS * 3

    def __init__(self, backbone: BlazeBackbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Float[Tensor, "b 3 256 256"]) -> Float[Tensor, "b {self.output_size}"]:
        return self.flatten(self.backbone(images))

    @staticmethod
    def flatten(features: BlazeFeatures) -> Float[Tensor, "b f"]:
        landmarks = scale_landmarks(features.landmarks).flatten(1)
        presence = features.presence.sigmoid()[:, None]
        # Heat maps are taught where joints are, and are not to say something else because it suits the regressor.
        peaks = find_peaks(features.maps.detach())
        seen = (features.pooled, landmarks, features.world.flatten(1), presence, peaks.image.flatten(1), peaks.score)
        return torch.cat(seen, dim=1)


class BlazeRegressor(nn.Module):
    """The regressor of `hmr-small`: told, before each correction, how far its body is from the encoder's landmarks.

    Where a heat map is sure, its peak takes the place of the landmark in the picture: maps err by less, by a tenth of
    the person's size half as often as heads do. Neck and top of the head have peaks alone.
    """

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.feedback = FeedbackRegressor(body, features=BlazeBackbone.pooled_size)
        self.iterations = self.feedback.iterations

    def forward(self, features: Float[Tensor, "b f"]) -> list[HMROutput]:
        """Return the estimate after every iteration; the last is the result. Takes what :class:`BlazeEncoder` gives."""
        sizes = [BlazeBackbone.pooled_size, LANDMARKS * 5, LANDMARKS * 3, 1, KEYPOINTS * 2, KEYPOINTS]
        pooled, landmarks, world, _, places, sure = features.split(sizes, dim=1)
        # The first 33 of the network's 39 are the body's; neck and top of the head are not among them.
        landmarks, world = landmarks.unflatten(1, (LANDMARKS, 5))[:, :33], world.unflatten(1, (LANDMARKS, 3))[:, :33]
        rest = (0, COUNT - 33)
        score = F.pad(landmarks[..., 3] * landmarks[..., 4], rest)
        headed = Landmarks(
            image=F.pad(landmarks[..., :2], (0, 0, *rest)),
            score=score,
            world_m=F.pad(world, (0, 0, *rest)),
            world_score=score,
        )
        given = with_peaks(headed, Peaks(image=places.unflatten(1, (KEYPOINTS, 2)), score=sure))
        # Values from 0 to 6, most of them small.
        return [replace(estimate.output, landmarks=headed) for estimate in self.feedback(given, pooled / 3)]


def with_peaks(landmarks: Landmarks, peaks: Peaks) -> Landmarks:
    """Return landmarks moved to the peaks of their heat maps by how sure these are, and those that only maps know."""
    share = peaks.score[:, _MAPS, None]
    image, score = landmarks.image.clone(), landmarks.score.clone()
    image[:, _LANDMARKS] = image[:, _LANDMARKS].lerp(peaks.image[:, _MAPS], share)
    image[:, 33:], score[:, 33:] = peaks.image[:, _MAPS_ALONE], peaks.score[:, _MAPS_ALONE]
    return replace(landmarks, image=image, score=score)


Regressor = IterativeRegressor | BlazeRegressor


class HMR(nn.Module):
    """An encoder and an iterative regressor: RGB crops in, posed bodies out.

    With ``full_image`` the regressor is also told where the crop lies in its picture (CLIFF, Li et al., ECCV 2022,
    arXiv:2208.00571): a person at the picture's edge is seen from the side, and the crop alone does not show it.
    """

    def __init__(
        self, name: str, encoder: nn.Module, regressor: Regressor, *, input_size: int, full_image: bool = False
    ) -> None:
        super().__init__()
        self.name = name
        self.input_size = input_size
        self.full_image = full_image
        self.encoder = encoder
        self.regressor = regressor
        # Convolutions over channels that lie together are a fifth faster on processors.
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, images: Float[Tensor, "b 3 s s"], view: Float[Tensor, "b 3"] | None = None) -> list[HMROutput]:
        """Return the estimate after every iteration for crops of ``input_size`` pixels with values in [0, 1].

        ``view`` is wanted with ``full_image`` alone: each crop's centre from the principal point, and its size, in
        focal lengths (``data.sample.view_of``).
        """
        features = self.encoder(images)
        if not self.full_image:
            return self.regressor(features)
        if view is None:
            raise ValueError("A network that knows the full picture's camera has to be told each crop's view.")
        return self.regressor(torch.cat([features, view.to(features.dtype)], dim=1))


def build_model(
    name: str,
    *,
    body: Body | None = None,
    rotation: Rotation = "6d",
    size: int | None = None,
    full_image: bool = False,
    published: bool = True,
) -> HMR:
    """Build one of the networks by its name, without trained weights of its own.

    ``hmr-small`` starts from the published weights of BlazePose, unless ``published`` is off because a checkpoint
    will replace them; the ResNets start at random.

    Args:
        name: one of `HMR_MODELS`.
        body: whose landmarks `hmr-small` compares with the picture's; the shipped one where left out.
        rotation: how a ResNet's regressor writes rotations; `axis-angle` makes its state HMR's 85 numbers.
        size: side of a ResNet's crops in pixels, 224 where left out.
        full_image: whether a ResNet's regressor is told where the crop lies in its picture.
        published: see above.

    Raises:
        UserError: there is no network of that name, or it does not come like this.
    """
    if name == "hmr-small":
        if rotation != "6d" or size not in (None, INPUT_SIZE) or full_image:
            raise UserError(
                f"hmr-small takes crops of {INPUT_SIZE} pixels, has rotations of 6 numbers, and is not told about the "
                "full picture: choose a ResNet for anything else."
            )
        backbone = BlazeBackbone.load() if published else BlazeBackbone()
        encoder = BlazeEncoder(backbone)
        regressor = BlazeRegressor(Body.load() if body is None else body)
        return HMR(name, encoder, regressor, input_size=INPUT_SIZE)
    if name not in RESNETS:
        raise UserError(f"There is no network named {name!r}: choose one of {', '.join(HMR_MODELS)}.")
    build, hidden = RESNETS[name]
    encoder = build()
    features = encoder.output_size + (VIEW_NUMBERS if full_image else 0)
    regressor = IterativeRegressor(features, hidden=hidden, rotation=rotation)
    return HMR(name, encoder, regressor, input_size=size or 224, full_image=full_image)


def model_on_card(card: Mapping[str, Any], *, body: Body) -> HMR:
    """Build the network that a weights file's card describes, for `models.storage.load_weights` to fill.

    Raises:
        UserError: the card names no network that there is.
    """
    return build_model(
        str(card.get("model")),
        body=body,
        rotation=card.get("rotation", "6d"),
        size=card.get("size"),
        full_image=bool(card.get("full_image", False)),
        published=False,
    )
