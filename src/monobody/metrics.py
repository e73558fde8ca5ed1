"""The field's measures of pose error: MPJPE, PA-MPJPE and PCK, for any batch.

3D points are in metres, errors in millimetres. HMR's protocol takes 3D errors over the 14 LSP joints after the middle
of the hips is laid upon its target. Errors come per joint or per person, so that the caller decides what to average.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

LSP_HIPS = (2, 3)
"""The hips among the joints of the set ``lsp14``."""


def joint_errors_mm(
    predicted_m: Float[Tensor, "*b k 3"], target_m: Float[Tensor, "*b k 3"], *, root: Sequence[int] = LSP_HIPS
) -> Float[Tensor, "*b k"]:
    """Return each joint's distance in mm after the mean of the ``root`` joints was moved to the origin."""
    predicted_m, target_m = (
        points - points[..., list(root), :].mean(-2, keepdim=True) for points in (predicted_m, target_m)
    )
    return 1000 * (predicted_m - target_m).norm(dim=-1)


def mpjpe(
    predicted_m: Float[Tensor, "*b k 3"], target_m: Float[Tensor, "*b k 3"], *, root: Sequence[int] = LSP_HIPS
) -> Float[Tensor, "*b"]:
    """Return the mean per-joint position error of each person, in mm."""
    return joint_errors_mm(predicted_m, target_m, root=root).mean(-1)


def pa_mpjpe(predicted_m: Float[Tensor, "*b k 3"], target_m: Float[Tensor, "*b k 3"]) -> Float[Tensor, "*b"]:
    """Return the mean per-joint error of each person in mm that the best similarity transform leaves.

    This Procrustes-aligned error judges the pose apart from where the person is, how large, and which way it faces.
    """
    return 1000 * (align(predicted_m, target_m) - target_m).norm(dim=-1).mean(-1)


def align(source: Float[Tensor, "*b k 3"], target: Float[Tensor, "*b k 3"]) -> Float[Tensor, "*b k 3"]:
    """Return ``source`` moved, turned and scaled to be nearest to ``target`` in the sense of least squares.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns" (PAMI 1991). Mirroring
    is not allowed. A source without extent can only be moved; points on a line or plane leave part of the turn
    open, which does not change the error.
    """
    source_mean, target_mean = source.mean(-2, keepdim=True), target.mean(-2, keepdim=True)
    # In double precision, so that a perfect match is zero to well below a micrometre.
    x, y = (source - source_mean).double(), (target - target_mean).double()
    u, singular, vt = torch.linalg.svd(y.mT @ x)
    signs = torch.ones_like(singular)
    signs[..., 2] = torch.where(torch.linalg.det(u @ vt) < 0, -1.0, 1.0)
    rotation = (u * signs[..., None, :]) @ vt
    spread = x.square().sum((-2, -1))
    scale = (singular * signs).sum(-1) / spread.clamp_min(torch.finfo(x.dtype).tiny)
    aligned = scale[..., None, None] * (x @ rotation.mT)
    return (aligned + target_mean).to(source.dtype)


def pck(
    predicted: Float[Tensor, "*b k 2"],
    target: Float[Tensor, "*b k 2"],
    visible: Bool[Tensor, "*b k"],
    *,
    threshold: float,
    counted: Bool[Tensor, "*b k"] | None = None,
) -> Float[Tensor, ""]:
    """Return the per cent of all visible joints that lie within ``threshold`` of the person's size from their target.

    A person's size is the larger side of the box about the visible target joints. Where only some of these are to be
    judged, ``counted`` marks them. The result is NaN where nothing is visible.
    """
    counted = visible if counted is None else counted & visible
    hidden = ~visible[..., None]
    low = target.masked_fill(hidden, torch.inf).amin(-2)
    high = target.masked_fill(hidden, -torch.inf).amax(-2)
    size = (high - low).amax(-1, keepdim=True)
    correct = (predicted - target).norm(dim=-1) <= threshold * size
    return 100 * (correct & counted).sum() / counted.sum()
