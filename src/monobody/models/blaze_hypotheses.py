"""The detector of X as Supervision on BlazePose's trunk: practical, and not "without 3D labels".

Three maps of the trunk (`models/blaze.py`), brought to one width and added up from the coarsest on as in BlazePose's
own decoder, then a pointwise convolution to the volume of :mod:`monobody.models.hypotheses`. The trunk stays as it was
published and is read from the detector's own file, so that a weights file holds the rest alone. It was trained with
landmarks that people drew and with 3D ones: what it finds is no evidence for learning without labels.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from monobody.models.blaze import BlazeBackbone
from monobody.models.hypotheses import JOINTS, volume_of


class BlazeHypotheses(nn.Module):
    """Crops of 256 pixels in, volumes of logits out, 32 cells wide and high; 0.2 million parameters learn.

    Args:
        joints: how many.
        bins: slices of the volume.
        depth_range: how far the volume reaches before and behind the root, in halves of the crop.
        width: channels of the maps that are added up.
    """

    input_size = 256

    def __init__(
        self,
        *,
        joints: int = JOINTS,
        bins: int = 32,
        depth_range: float = 1.0,
        width: int = 96,
        joint_set: str = "xas18",
    ) -> None:
        super().__init__()
        self.joints, self.bins, self.depth_range, self.joint_set = joints, bins, depth_range, joint_set
        # In a list, so that its weights are no part of this module's.
        self._trunk = [BlazeBackbone.load().eval().requires_grad_(False).to(memory_format=torch.channels_last)]  # pyright: ignore
        self.coarse, self.middle, self.fine = (_Level(channels, width) for channels in (864, 88, 32))
        self.mixed = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.volume = nn.Conv2d(width, joints * bins, 1)
        nn.init.normal_(self.volume.weight, std=1e-3)
        assert self.volume.bias is not None
        nn.init.zeros_(self.volume.bias)

    def forward(self, images: Float[Tensor, "b 3 256 256"]) -> Float[Tensor, "b k d 32 32"]:
        """Look at RGB crops with values in [0, 1]."""
        trunk = self._trunk[0].to(images.device)
        # The trunk's numbers reach into the thousands; in half precision they would be off by pixels.
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            coarse, middle, fine = trunk.maps(images.float())
        x = _doubled(self.coarse(coarse)) + self.middle(middle)
        x = self.mixed(_doubled(x) + self.fine(fine))
        return volume_of(x, self.volume, self.joints)


class _Level(nn.Sequential):
    """One of the trunk's maps, filtered and brought to the common width."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(
            nn.Conv2d(channels, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
