"""Heat maps of joints beside BlazePose's trunk, and where their peaks are.

A pooled feature has to learn where things are; a map knows. BlazePose (arXiv:2006.10204, figure 3) has a small decoder
that was trained along with its trunk: each level of the trunk is brought to 48 channels, and the levels are added up
from the coarsest on. Here it ends at 32 x 32, since the next level costs more than it tells, and its last layer speaks
of the 19 keypoints of `cocoplus19`: those that BlazePose has begin with its weights, the others (neck and top of the
head) at nothing. Each map is read as a distribution over its cells.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

KEYPOINTS = 19
"""The set cocoplus19."""
SIDE = 32
WINDOW = 2
"""How many cells a peak reaches to each side of the likeliest one."""
_WIDTH = 48


@dataclass(frozen=True, kw_only=True, slots=True)
class Peaks:
    """Where a heat map is highest."""

    image: Float[Tensor, "b k 2"]
    """Crop coordinates, from -1 to 1."""
    score: Float[Tensor, "b k"]
    """The share of the map that lies within the peak's window, from 0 to 1."""


class Level(nn.Module):
    """One of the trunk's maps, filtered and brought to the decoder's width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.pointwise = nn.Conv2d(channels, _WIDTH, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 48 h w"]:
        return F.relu6(self.pointwise(F.relu6(self.depthwise(x))))


class HeatMapDecoder(nn.Module):
    """Three of the trunk's maps in, one map of logits for each keypoint out; 60,000 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.coarse, self.middle, self.fine = Level(864), Level(88), Level(32)
        self.maps = nn.Conv2d(_WIDTH, KEYPOINTS, 1)

    def forward(
        self, coarse: Float[Tensor, "b 864 8 8"], middle: Float[Tensor, "b 88 16 16"], fine: Float[Tensor, "b 32 32 32"]
    ) -> Float[Tensor, "b 19 32 32"]:
        x = _doubled(self.coarse(coarse)) + self.middle(middle)
        return self.maps(_doubled(x) + self.fine(fine))


def find_peaks(maps: Float[Tensor, "b k s s"]) -> Peaks:
    """Return the mean of each map about its likeliest cell: finer than a cell, and not drawn to other people's peaks.

    Gradients reach the maps through the mean, not through the choice of the cell.
    """
    side = maps.shape[-1]
    shares = maps.flatten(2).softmax(-1).unflatten(2, (side, side))
    best = shares.flatten(2).argmax(-1)
    cells = torch.arange(side, device=maps.device)
    rows, columns = ((cells - place[..., None]).abs() <= WINDOW for place in (best // side, best % side))
    near = shares * (rows[..., :, None] & columns[..., None, :])
    score = near.sum((-2, -1))
    centres = (2 * cells + 1) / side - 1
    image = torch.stack([near.sum(-2) @ centres, near.sum(-1) @ centres], dim=-1) / score[..., None].clamp_min(1e-6)
    return Peaks(image=image, score=score)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
