"""From a volume of probabilities to poses: what a detector of several hypotheses says, in joints.

x and y are the same in all hypotheses, depth differs. There are two readings of it:

- `shares`, which is what predictions use: every joint's depths stand for equal shares of its probability
  (`models/depth_shares.py`), and whole poses lie along the ways in which depths go wrong together
  (`models/depth_ways.py`);
- `modes`, the paper's kind in narrower windows, which training looks at: the m-th pose has every joint's m-th mode
  (`models/depth_modes.py`), and whole poses put modes together that belong together (`models/whole_poses.py`).

docs/results.md compares them.

Shapes: b people, m modes, n whole poses, k joints.
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from monobody.body.skeleton import SKELETONS
from monobody.models.depth_modes import DepthModes, depth_modes, equally_probable
from monobody.models.depth_shares import depth_at, share_levels
from monobody.models.depth_ways import poses_along_ways, ways_of
from monobody.models.marginals import Marginals, centres
from monobody.models.places import places
from monobody.models.whole_poses import whole_poses

Reading = Literal["shares", "modes"]
PEAK_SHARE = 8
"""Places are expected over the cells within the map's side over this of the likeliest one, on either side."""

WINDOW = 0.19
"""To either side of a mode, in halves of the crop: 19 cm in a crop of two metres. The paper's 43 cm holds most arms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoded:
    """Poses in crop coordinates: x and y from -1 to 1, depth in the same unit from the root's, away from the viewer."""

    joint_wise: Float[Tensor, "b m k 3"]
    probability: Float[Tensor, "b m k"]
    """Of every joint's depths; they add up to 1 over m, and are 0 where there is none."""
    valid: Bool[Tensor, "b m k"]
    whole: Float[Tensor, "b n k 3"]
    """Whole poses, the heaviest first."""
    weight: Float[Tensor, "b n"]
    """Of the whole poses; they add up to 1, and are 0 where there are fewer than n."""


def decode_marginals(
    said: Marginals,
    usual_m: Float[Tensor, " k"],
    *,
    joint_set: str = "xas18",
    depth_range: float = 1.0,
    modes: int = 3,
    poses: int = 5,
    reading: Reading = "shares",
) -> Decoded:
    """Read poses from what a detector says.

    Args:
        said: probabilities of places and depths (:func:`monobody.models.marginals.marginals`).
        usual_m: length of the bone between each joint and its parent (:func:`monobody.body.bones.usual_bones_m`).
        joint_set: whose joints they are.
        depth_range: half the depth of the volume, in halves of the crop.
        modes: depths of each joint; 1 takes the expected one.
        poses: whole poses.
        reading: see above.
    """
    skeleton = SKELETONS[joint_set]
    if reading == "shares" and modes > 1:
        level, weight = _levels(joint_set, tuple(usual_m.tolist()), modes, poses)
        depth = depth_at(said.depth, level, depth_range=depth_range)
        where, found = place_of(said), equally_probable(depth[:, :modes])
        whole, weight = poses_along_ways(where, depth[:, modes:], torch.from_numpy(weight).to(depth), count=poses)
    else:
        where, found = joints_of(said, modes=modes, depth_range=depth_range)
        together = whole_poses(where, found, skeleton.parents, usual_m.to(where), count=poses)
        whole, weight = together.joints, together.weight
    return Decoded(
        joint_wise=joint_wise(where, found),
        probability=found.probability,
        valid=found.valid,
        whole=whole,
        weight=weight,
    )


def joints_of(said: Marginals, *, modes: int, depth_range: float) -> tuple[Float[Tensor, "b k 2"], DepthModes]:
    """Return each joint's place, and its depths: the modes of its distribution, or the mean where one is asked for."""
    where = place_of(said)
    bins = said.depth.shape[-1]
    if modes > 1:
        window = max(round(WINDOW * bins / (2 * depth_range)), 1)
        return where, depth_modes(said.depth, count=modes, window=window, depth_range=depth_range)
    mean = (said.depth * centres(bins, like=said.depth, reach=depth_range)).sum(-1)[:, None]
    return where, equally_probable(mean)


def place_of(said: Marginals) -> Float[Tensor, "b k 2"]:
    """Return each joint's x and y, expected about where it is the likeliest."""
    return places(said.plane, window=max(said.plane.shape[-1] // PEAK_SHARE, 1))


def joint_wise(where: Float[Tensor, "b k 2"], found: DepthModes) -> Float[Tensor, "b m k 3"]:
    """Return poses of every joint's m-th depth."""
    return torch.cat([where[:, None].expand(-1, found.depth.shape[1], -1, -1), found.depth[..., None]], dim=-1)


@cache
def _levels(
    joint_set: str, usual_m: tuple[float, ...], modes: int, poses: int
) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, " p"]]:
    """Return at which levels depths are read, those of equal shares before those of whole poses, and these' weights."""
    skeleton = SKELETONS[joint_set]
    ways = ways_of(tuple(skeleton.parents), tuple(skeleton.flip), usual_m, poses)
    shares = np.array(share_levels(modes), np.float32)[:, None].repeat(len(skeleton.joints), axis=1)
    return np.concatenate([shares, ways.level]), ways.weight
