"""The convolutional body of the BlazePose landmark network as plain, trainable torch modules.

BlazePose (Bazarevsky et al., 2020, arXiv:2006.10204; the "full" model of MediaPipe 0.10.21, Apache-2.0) looks at a
square region of interest of 256 x 256 pixels. Inverted residuals (MobileNetV2, arXiv:1801.04381) bring it down to
8 x 8, blocks of depthwise and pointwise convolutions to 2 x 2 x 288, and three linear heads read that last map:
landmarks in the picture, the same points in metres, and whether there is a person at all. The decoder for heat maps,
which feeds none of the three, is `models/heat_maps.py`; the one for the person's mask is left out.

The weights are read from MediaPipe's own file (`models/blaze_weights.py`); its batch norms were folded before they were
published, so there are none here.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from monobody.models.heat_maps import HeatMapDecoder

INPUT_SIZE = 256
LANDMARKS = 39
"""33 body landmarks (the set ``blazepose33``), then 6 auxiliary ones that MediaPipe's tracker uses."""

LARGE_MAPS = 4
"""How many of the residuals work on maps of 32 x 32 and larger: most of the time, few of the weights."""
CROPS_IN_CACHE = 4
SMALL_MAPS = 10
"""From this residual on maps are 8 x 8."""

WEIGHTS = Path(__file__).parents[1] / "assets" / "blazepose" / "pose_landmark_full.tflite"


@dataclass(frozen=True, kw_only=True, slots=True)
class BlazeFeatures:
    """What the network knows about a crop.

    Everything is as the network gives it: a consumer normalises for itself.
    """

    pooled: Float[Tensor, "b 1152"]
    """The last map, 288 x 2 x 2, flattened: values from 0 to 6."""
    landmarks: Float[Tensor, "b 39 5"]
    """x, y in pixels of the 256 px crop, z (depth, away from the viewer) in the same unit from the hips, and the
    logits of visibility and presence."""
    world: Float[Tensor, "b 39 3"]
    """The landmarks in metres about the middle of the hips: x right, y down, z away from the viewer."""
    presence: Float[Tensor, "b"]
    """The logit of a person being in the crop."""
    maps: Float[Tensor, "b 19 32 32"]
    """Logits of where each keypoint of `cocoplus19` is; a softmax over a map's cells tells how likely."""


class InvertedResidual(nn.Module):
    """Expand by a pointwise convolution, filter each channel, project back; added to its input where shapes agree."""

    def __init__(self, inputs: int, expanded: int, outputs: int, *, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.residual = stride == 1 and inputs == outputs
        self.expand = nn.Conv2d(inputs, expanded, 1)
        self.depthwise = nn.Conv2d(expanded, expanded, kernel, stride, padding=kernel // 2, groups=expanded)
        self.project = nn.Conv2d(expanded, outputs, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        y = F.relu6(self.depthwise(F.relu6(self.expand(x))))
        y = self.project(y)
        return x + y if self.residual else y


class BlazeBlock(nn.Module):
    """A depthwise and a pointwise convolution added to their input (BlazeFace, arXiv:1907.05047); ReLU6 at the end.

    With stride 2 the input takes part through a 2 x 2 maximum.
    """

    def __init__(self, channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.depthwise = nn.Conv2d(channels, channels, 3, stride, padding=2 - stride, groups=channels)
        self.pointwise = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        if self.stride == 1:
            return F.relu6(x + self.pointwise(F.relu6(self.depthwise(x))))
        # TensorFlow's "same" padding of an even map with stride 2 puts its single row and column at the far end.
        padded = F.pad(x, (0, 1, 0, 1))
        return F.relu6(F.max_pool2d(x, 2) + self.pointwise(F.relu6(self.depthwise(padded))))


class BlazeBackbone(nn.Module):
    """The trunk of the landmark network, its linear heads and its heat maps; 3.2 million parameters, all trainable."""

    pooled_size = 288 * 2 * 2

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 3, stride=2, padding=1)
        self.stem_depthwise = nn.Conv2d(24, 24, 3, padding=1, groups=24)
        self.stem_project = nn.Conv2d(24, 16, 1)
        self.residuals = nn.Sequential(
            InvertedResidual(16, 64, 24, kernel=3, stride=2),  # 64 x 64
            InvertedResidual(24, 144, 24, kernel=3),
            InvertedResidual(24, 144, 32, kernel=5, stride=2),  # 32 x 32
            InvertedResidual(32, 192, 32, kernel=5),
            InvertedResidual(32, 192, 64, kernel=3, stride=2),  # 16 x 16
            InvertedResidual(64, 384, 64, kernel=3),
            InvertedResidual(64, 384, 64, kernel=3),
            InvertedResidual(64, 384, 88, kernel=5),
            InvertedResidual(88, 528, 88, kernel=5),
            InvertedResidual(88, 528, 88, kernel=5),
            InvertedResidual(88, 528, 144, kernel=5, stride=2),  # 8 x 8
            InvertedResidual(144, 864, 144, kernel=5),
            InvertedResidual(144, 864, 144, kernel=5),
            InvertedResidual(144, 864, 144, kernel=5),
        )
        self.neck_expand = nn.Conv2d(144, 864, 1)
        self.neck_depthwise_1 = nn.Conv2d(864, 864, 3, padding=1, groups=864)
        self.neck_depthwise_2 = nn.Conv2d(864, 864, 3, padding=1, groups=864)
        self.neck_project = nn.Conv2d(864, 288, 1)
        self.blocks = nn.Sequential(
            BlazeBlock(288, stride=2),  # 4 x 4
            *(BlazeBlock(288) for _ in range(4)),
            BlazeBlock(288, stride=2),  # 2 x 2
            *(BlazeBlock(288) for _ in range(5)),
        )
        self.landmark_head = nn.Conv2d(288, LANDMARKS * 5, 2)
        self.world_head = nn.Conv2d(288, LANDMARKS * 3, 2)
        self.presence_head = nn.Conv2d(288, 1, 2)
        self.decoder = HeatMapDecoder()

    @classmethod
    def load(cls, path: str | Path = WEIGHTS) -> "BlazeBackbone":
        """Return the network with the weights of MediaPipe's file, the one that the detector runs.

        Raises:
            UserError: the file is missing or damaged.
        """
        from monobody.models.blaze_weights import blaze_state

        network = cls()
        network.load_state_dict(blaze_state(path, network.named_modules()))
        return network

    def published_state(self) -> dict[str, Tensor]:
        """Return the weights of MediaPipe's file, whatever those of this network are."""
        return type(self).load().state_dict()

    def forward(self, images: Float[Tensor, "b 3 256 256"]) -> BlazeFeatures:
        """Look at RGB crops with values in [0, 1]."""
        coarse, middle, fine = self.maps(images)
        x = F.relu6(self.neck_project(F.relu6(self.neck_depthwise_2(coarse))))
        x = self.blocks(x)
        return BlazeFeatures(
            pooled=x.flatten(1),
            landmarks=self.landmark_head(x).reshape(-1, LANDMARKS, 5),
            world=self.world_head(x).reshape(-1, LANDMARKS, 3),
            presence=self.presence_head(x).flatten(),
            maps=self.decoder(coarse, middle, fine),
        )

    def maps(
        self, images: Float[Tensor, "b 3 256 256"]
    ) -> tuple[Float[Tensor, "b 864 8 8"], Float[Tensor, "b 88 16 16"], Float[Tensor, "b 32 32 32"]]:
        """Return the maps that decoders start from, the coarsest first."""
        fine = self._large_maps(images)
        middle = self.residuals[LARGE_MAPS:SMALL_MAPS](fine)
        expanded = F.relu6(self.neck_expand(self.residuals[SMALL_MAPS:](middle)))
        return F.relu6(self.neck_depthwise_1(expanded)), middle, fine

    def _large_maps(self, images: Float[Tensor, "b 3 256 256"]) -> Float[Tensor, "b 32 32 32"]:
        """Run the part with the largest maps; where nothing in it is trained, on few crops at a time.

        On a processor a whole batch of these maps falls out of the cache, which costs twice the time.
        """
        first = (self.stem, self.stem_depthwise, self.stem_project, self.residuals[:LARGE_MAPS])
        trained = torch.is_grad_enabled() and any(p.requires_grad for module in first for p in module.parameters())
        # An exported graph has no loop over however many parts there are.
        whole = trained or images.device.type != "cpu" or torch.compiler.is_exporting()
        maps = []
        for crops in (images,) if whole else images.split(CROPS_IN_CACHE):
            x = F.relu6(self.stem(crops))
            x = self.stem_project(F.relu6(self.stem_depthwise(x)))
            maps.append(self.residuals[:LARGE_MAPS](x))
        return maps[0] if len(maps) == 1 else torch.cat(maps)


def scale_landmarks(landmarks: Float[Tensor, "b 39 5"]) -> Float[Tensor, "b 39 5"]:
    """Return landmarks in crop coordinates: x, y from -1 to 1, z in the same unit, visibility and presence from 0 to 1.

    Pixels and edges count as MediaPipe has them: 0 is the left edge of the crop, 256 the right one.
    """
    half = INPUT_SIZE / 2
    return torch.cat([landmarks[..., :2] / half - 1, landmarks[..., 2:3] / half, landmarks[..., 3:].sigmoid()], dim=-1)
