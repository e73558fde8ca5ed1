"""The detector of X as Supervision: a picture to a volume of probabilities for every joint.

"X as Supervision" (arXiv:2411.13026): a ResNet without its pooling, three transposed convolutions and a pointwise one
give each of the 18 joints of the set `xas18` one number for every cell of a cube before the camera (integral
regression, Sun et al., ECCV 2018, arXiv:1711.08229). A softmax over the whole cube makes them probabilities. Where
along the line of sight a joint lies is often undecided, and then the cube has several modes:
:mod:`monobody.models.decode` reads them.

The cube spans the crop: x to the right and y down from -1 to 1, and depth from -`depth_range` to `depth_range` away
from the viewer, in the same unit (half a crop), from the depth of the root. Cell i of n has its centre at (2 i + 1) / n
- 1.

Shapes: b crops, k joints, d h w cells.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from monobody.models.backbone import ResNet

JOINTS = 18


class HypothesisDetector(nn.Module):
    """Crops in, volumes of logits out.

    Args:
        depth: of the ResNet: 50 is the published one, 18 the small one.
        width: channels of the transposed convolutions: 256, and 128 in the small one.
        joints: how many.
        bins: slices of the volume; its height and width are a quarter of the crop's.
        depth_range: how far the volume reaches before and behind the root, in halves of the crop.
        lateral: whether each transposed convolution is told what the ResNet saw at its size (a pointwise convolution
            that is added). The published network has none; from scratch it learns places much faster with them.
        first: channels that the ResNet begins with: 64 is the published one.
        input_size: side of the crops that it is meant for, in pixels; it takes others too.
        joint_set: whose joints they are.
    """

    def __init__(
        self,
        depth: Literal[18, 34, 50] = 50,
        *,
        width: int = 256,
        joints: int = JOINTS,
        bins: int = 64,
        depth_range: float = 1.0,
        lateral: bool = False,
        first: int = 64,
        input_size: int = 256,
        joint_set: str = "xas18",
    ) -> None:
        super().__init__()
        self.joints, self.bins, self.depth_range = joints, bins, depth_range
        self.input_size, self.joint_set = input_size, joint_set
        self.backbone = ResNet(depth, first=first)
        channels, layers, beside = self.backbone.output_size, [], []
        for stage in (3, 2, 1):
            up = nn.ConvTranspose2d(channels, width, 4, stride=2, padding=1, bias=False)
            layers += [up, nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
            seen = self.backbone.output_size >> (4 - stage)
            beside.append(nn.Sequential(nn.Conv2d(seen, width, 1, bias=False), nn.BatchNorm2d(width)))
        self.up = nn.Sequential(*layers)
        self.beside = nn.ModuleList(beside) if lateral else None
        self.volume = nn.Conv2d(width, joints * bins, 1)
        for module in self.up:
            if isinstance(module, nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        # The volume begins level, without opinions.
        nn.init.normal_(self.volume.weight, std=1e-2)
        assert self.volume.bias is not None
        nn.init.zeros_(self.volume.bias)

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b k d h w"]:
        """Look at RGB crops with values in [0, 1], their sides a multiple of 32."""
        *finer, x = self.backbone.maps(images)
        for number, seen in enumerate(reversed(finer)):
            x = self.up[3 * number + 1](self.up[3 * number](x))
            x = self.up[3 * number + 2](x if self.beside is None else x + self.beside[number](seen))
        return volume_of(x, self.volume, self.joints)


def volume_of(features: Float[Tensor, "b c h w"], head: nn.Conv2d, joints: int) -> Float[Tensor, "b k d h w"]:
    """Return a pointwise convolution of a map as a volume for each joint, one after the other in memory.

    As a convolution it would keep the map's order, channels last, in which a softmax over cells takes five times as
    long.
    """
    assert head.bias is not None
    weight = head.weight.flatten(1).expand(features.shape[0], -1, -1)
    flat = torch.baddbmm(head.bias[:, None], weight, features.flatten(2))
    return flat.view(features.shape[0], joints, -1, *features.shape[2:])
