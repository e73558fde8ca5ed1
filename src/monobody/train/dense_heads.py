"""Teach the encoder of `hmr-small` where joints are, map by map.

A keypoint's label is shared out among the four cells of a heat map about it, so that the mean over the cells is the
keypoint; the map, as a distribution, is held to it by cross-entropy. Every cell of the trunk's maps is so told what is
there and what is not, where an error of coordinates tells a whole crop one number for each joint. Compare "Integral
Human Pose Regression" (Sun et al., ECCV 2018, arXiv:1711.08229), which found both together better than either.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor


def heat_map_loss(maps: Float[Tensor, "b k s s"], batch: Mapping[str, Tensor]) -> Float[Tensor, ""]:
    """Return the mean cross-entropy, in nats, of maps of logits against a batch's visible keypoints inside the crop."""
    keypoints = batch["keypoints_2d"]
    inside = (keypoints.abs() < 1).all(-1)
    weight = batch["visible"] * inside
    # Keypoints without a label may be NaN.
    target = shared_out(torch.where(inside[..., None], keypoints, 0.0), maps.shape[-1])
    nats = -(target * maps.flatten(2).log_softmax(-1)).sum(-1)
    return (weight * nats).sum() / weight.sum().clamp_min(1)


def shared_out(points: Float[Tensor, "b k 2"], side: int) -> Float[Tensor, "b k cells"]:
    """Share each point (crop coordinates) out among the four cells whose centres are about it, row after row."""
    cell = ((points + 1) * side / 2 - 0.5).clamp(0, side - 1)
    low = cell.floor().clamp_max(side - 2)
    past = cell - low
    shares = torch.zeros(*points.shape[:2], side * side, device=points.device)
    for right in (0, 1):
        for below in (0, 1):
            share = (past[..., 0] if right else 1 - past[..., 0]) * (past[..., 1] if below else 1 - past[..., 1])
            place = (low[..., 1] + below) * side + low[..., 0] + right
            shares.scatter_add_(2, place.long()[..., None], share[..., None])
    return shares
