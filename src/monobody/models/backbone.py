"""ResNet-18, -34 and -50 (He et al., 2015, arXiv:1512.03385) as encoders: RGB in [0, 1] -> pooled features.

Modules carry torchvision's names, so an ImageNet checkpoint that a user has can be loaded. The bottleneck strides in
its 3 x 3 convolution, as torchvision's does ("v1.5"). ImageNet's mean and deviation are applied inside: every encoder
of this package takes the same images. HMR itself used the pre-activation variant; its numbers do not depend visibly on
that.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from monobody.errors import UserError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
LAYERS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
"""Residual blocks of the four stages; table 1 of the paper."""


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions round a shortcut."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """A 3 x 3 convolution between two pointwise ones, round a shortcut."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * 4)
        self.downsample = _shortcut(inputs, width * 4, stride)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(y)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """A ResNet without its classifier; the last map is averaged over the picture.

    `first` is the number of channels that it begins with: 64 in the paper, fewer for a narrow one.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, depth: Literal[18, 34, 50], *, first: int = 64) -> None:
        super().__init__()
        block = Bottleneck if depth == 50 else BasicBlock
        self.output_size = 8 * first * block.expansion
        self.conv1 = nn.Conv2d(3, first, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        channels, stages = first, []
        for stage, count in enumerate(LAYERS[depth]):
            width, blocks = first << stage, []
            for index in range(count):
                blocks.append(block(channels, width, stride=2 if stage > 0 and index == 0 else 1))
                channels = width * block.expansion
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b {self.output_size}"]:
        return self.map(images).mean(dim=(2, 3))

    def map(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b {self.output_size} h2 w2"]:
        """Return the last map, a thirty-second of the picture's height and width."""
        return self.maps(images)[-1]

    def maps(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b c h2 w2"]]:
        """Return the maps of all four stages: a quarter, an eighth, a sixteenth, a thirty-second of the picture."""
        x = (images - self.mean) / self.std
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), kernel_size=3, stride=2, padding=1)
        found = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            found.append(x)
        return found

    def load_imagenet(self, checkpoint: str | Path | Mapping[str, Tensor]) -> None:
        """Take over an ImageNet checkpoint (.pth or .safetensors) in torchvision's format; its classifier is ignored.

        Raises:
            UserError: the checkpoint is missing, damaged, or belongs to another network.
        """
        state = checkpoint if isinstance(checkpoint, Mapping) else _read(Path(checkpoint))
        state = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
        try:
            self.load_state_dict(state)
        except RuntimeError as error:
            reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
            raise UserError(
                f"This is no ImageNet checkpoint of torchvision's ResNet of this depth: {reason}"
            ) from error


def _read(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise UserError(f"There is no checkpoint {path}: check the path.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # A damaged file makes torch raise nearly anything.
        raise UserError(
            f"{path} is damaged or holds more than tensors: fetch torchvision's checkpoint again."
        ) from error


def resnet18() -> ResNet:
    """Return an untrained ResNet-18: 512 features."""
    return ResNet(18)


def resnet34() -> ResNet:
    """Return an untrained ResNet-34: 512 features."""
    return ResNet(34)


def resnet50() -> ResNet:
    """Return an untrained ResNet-50: 2048 features."""
    return ResNet(50)
