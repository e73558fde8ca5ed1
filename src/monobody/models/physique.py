"""The physique network: from the mask of a skeleton to the mask of the person whose skeleton it is.

A small convolutional autoencoder (arXiv:2411.13026; arXiv:2312.07051) that learns beside the detector how much flesh
and clothing people carry round their limbs. It sees nothing but the skeleton's mask, so it cannot draw limbs that the
detector did not find.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (32, 64, 128)


def _block(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.01))


class Physique(nn.Module):
    """Masks of skeletons in, masks of people out."""

    def __init__(self) -> None:
        super().__init__()
        low, middle, high = WIDTHS
        self.down = nn.Sequential(
            _block(1, low),
            _block(low, middle, stride=2),
            _block(middle, middle),
            _block(middle, high, stride=2),
            _block(high, high),
        )
        self.up_1 = nn.Sequential(_block(high, middle), _block(middle, middle))
        self.up_2 = _block(middle, low)
        self.last = nn.Conv2d(low, 1, 3, padding=1)

    def forward(self, skeleton: Float[Tensor, "b s s"]) -> Float[Tensor, "b s s"]:
        """Return the probability of every pixel to be the person's; the sides are multiples of four."""
        x = self.down(skeleton[:, None])
        x = self.up_1(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))
        x = self.up_2(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))
        return torch.sigmoid(self.last(x))[:, 0]
