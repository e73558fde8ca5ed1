"""Depths as the released code of X as Supervision reads them: to compare with it, and for nothing else.

Its faults are kept (`models/depth_modes.py` has none of them): the first and the last slice can be no peak, a plateau
counts twice, where there are fewer peaks than hypotheses the rest are taken from slices that are none, and windows may
overlap. Cells are counted from their first edge, not from their middle. One thing is not kept: a window without any
probability gives no NaN here, since nothing could be trained behind it.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from monobody.models.depth_modes import DepthModes
from monobody.models.marginals import Marginals


def released_joints(said: Marginals, *, modes: int, depth_range: float) -> tuple[Float[Tensor, "b m k 3"], DepthModes]:
    """Return every joint's m-th peak as the m-th pose, with the single slice's probability; all count as valid."""
    depth = said.depth
    bins, (height, width) = depth.shape[-1], said.plane.shape[-2:]
    x = (said.plane.sum(2) * _edges(width, depth)).sum(-1)
    y = (said.plane.sum(3) * _edges(height, depth)).sum(-1)
    if modes == 1:
        deep, chosen = (depth * _edges(bins, depth)).sum(-1)[:, None], torch.ones_like(x)[:, None]
    else:
        inner = depth[..., 1:-1]
        peak = F.pad((inner >= depth[..., :-2]) & (inner >= depth[..., 2:]), (1, 1))
        score, place = torch.where(peak, depth, 0.0).topk(modes, dim=-1)
        window = 2 * round(7 * bins / 64) + 1
        mass, moment = (
            F.avg_pool1d(values, window, stride=1, padding=window // 2)
            for values in (depth, depth * _edges(bins, depth))
        )
        deep = (moment / mass.clamp_min(1e-12)).gather(-1, place).mT
        chosen = score.mT
    flat = torch.stack([x, y], dim=-1)[:, None].expand(-1, deep.shape[1], -1, -1)
    joints = torch.cat([flat, depth_range * deep[..., None]], dim=-1)
    found = DepthModes(depth=joints[..., 2], probability=chosen, valid=torch.ones_like(chosen, dtype=torch.bool))
    return joints, found


def _edges(cells: int, like: Tensor) -> Float[Tensor, " n"]:
    return 2 * torch.arange(cells, device=like.device, dtype=like.dtype) / cells - 1
