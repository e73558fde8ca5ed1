"""The errors of 3D joints: MPJPE about any root or none, N-MPJPE, and PA-MPJPE after the best similarity.

Points are in metres, errors in millimetres. HMR's protocol takes 3D errors over the 14 LSP joints after the middle of
the hips is laid upon its target. ``counted`` marks the joints that have a target; the others take no part in
anything. Errors come per joint or per person, so that the caller decides what to average.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float

from monobody.metrics.tensors import Either, Kind, answer, length, mask_for, mean_of, pair, real, total

LSP_HIPS = (2, 3)
"""The hips among the joints of the set ``lsp14``."""


def joint_errors_mm(
    predicted_m: Float[Kind, "*b k 3"],
    target_m: Float[Kind, "*#b k 3"],
    *,
    root: Sequence[int] | None = LSP_HIPS,
    counted: Bool[Either, "*#b k"] | None = None,
) -> Float[Kind, "*b k"]:
    """Return each joint's distance in mm after the mean of the ``root`` joints was moved to the origin.

    With ``root=None`` nothing is moved: the error in the camera's or the world's frame. Joints that are not counted,
    and all joints of a person of whom a root joint is not counted, have NaN.
    """
    predicted, target = pair(predicted_m, target_m)
    if root is not None:
        predicted, target = centred(predicted, root=root), centred(target, root=root)
    errors = 1000 * length(predicted - target)
    if counted is not None:
        mask = mask_for(errors, counted)
        if root is not None:
            mask = mask & mask[..., list(root)].all(-1, keepdim=True)
        errors = torch.where(mask, errors, torch.nan)
    return answer(errors, predicted_m)


def mpjpe(
    predicted_m: Float[Kind, "*b k 3"],
    target_m: Float[Kind, "*#b k 3"],
    *,
    root: Sequence[int] | None = LSP_HIPS,
    counted: Bool[Either, "*#b k"] | None = None,
) -> Float[Kind, "*b"]:
    """Return the mean per-joint position error of each person, in mm; the root joints are among those averaged."""
    errors = joint_errors_mm(real(predicted_m), real(target_m), root=root, counted=counted)
    return answer(mean_of(errors, counted), predicted_m)


def n_mpjpe(
    predicted_m: Float[Kind, "*b k 3"],
    target_m: Float[Kind, "*#b k 3"],
    *,
    root: Sequence[int] | None = LSP_HIPS,
    counted: Bool[Either, "*#b k"] | None = None,
) -> Float[Kind, "*b"]:
    """Return the mean per-joint error of each person in mm that the best size leaves, the roots laid upon each other.

    Rhodin, Salzmann & Fua, "Unsupervised geometry-aware representation for 3D human pose estimation" (ECCV 2018).
    With ``root=None`` people are scaled about the origin of their frame and not moved, as the code of "X as
    Supervision" does. A person of whom a root joint is not counted has NaN.
    """
    predicted, target = pair(predicted_m, target_m)
    if root is not None:
        predicted, target = centred(predicted, root=root), centred(target, root=root)
    errors = joint_errors_mm(resized(predicted, target, counted=counted), target, root=None)
    if root is not None and counted is not None:
        rooted = mask_for(errors, counted)[..., list(root)].all(-1, keepdim=True)
        errors = torch.where(rooted, errors, torch.nan)
    return answer(mean_of(errors, counted), predicted_m)


def pa_mpjpe(
    predicted_m: Float[Kind, "*b k 3"],
    target_m: Float[Kind, "*#b k 3"],
    *,
    counted: Bool[Either, "*#b k"] | None = None,
) -> Float[Kind, "*b"]:
    """Return the mean per-joint error of each person in mm that the best similarity transform leaves.

    This Procrustes-aligned error, "reconstruction error" in HMR, judges the pose apart from where the person is, how
    large, and which way it faces. One or two joints always fit: their error is zero.
    """
    aligned = align(real(predicted_m), real(target_m), counted=counted)
    errors = joint_errors_mm(aligned, real(target_m), root=None)
    return answer(mean_of(errors, counted), predicted_m)


def centred(points: Float[Kind, "*b k 3"], *, root: Sequence[int] = LSP_HIPS) -> Float[Kind, "*b k 3"]:
    """Return points with the mean of the ``root`` joints at the origin."""
    places = real(points)
    return answer(places - mean_of(places[..., list(root), :].mT)[..., None, :], points)


def resized(
    source: Float[Kind, "*b k 3"],
    target: Float[Kind, "*#b k 3"],
    *,
    counted: Bool[Either, "*#b k"] | None = None,
) -> Float[Kind, "*b k 3"]:
    """Return ``source`` times the number that brings it nearest to ``target`` in the sense of least squares.

    The number is never negative, which would turn a person inside out; published code does not look. A source that is
    all zero stays so.
    """
    x, y = pair(source, target)
    mask = mask_for(x[..., 0], counted)[..., None]
    likeness = total(torch.where(mask, x * y, 0.0).flatten(-2))
    spread = total(torch.where(mask, x * x, 0.0).flatten(-2))
    scale = likeness.clamp_min(0.0) / spread.clamp_min(torch.finfo(x.dtype).tiny)
    return answer(scale[..., None, None] * x, source)


def align(
    source: Float[Kind, "*b k 3"],
    target: Float[Kind, "*#b k 3"],
    *,
    counted: Bool[Either, "*#b k"] | None = None,
    scaled: bool = True,
) -> Float[Kind, "*b k 3"]:
    """Return ``source`` moved, turned and scaled to be nearest to ``target`` in the sense of least squares.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns" (PAMI 1991). Mirroring
    is not allowed. A source without extent can only be moved; points on a line or plane leave part of the turn
    open, which does not change the error. Joints that are not counted are moved along with the others. A person with
    a counted joint that is not finite, in source or target, becomes NaN; so does one without counted joints.

    Args:
        scaled: also change the size; else the best rigid motion.
    """
    x, y = pair(source, target)
    x, y = torch.broadcast_tensors(x, y)
    mask = mask_for(x[..., 0], counted)[..., None]
    source_mean, target_mean = (mean_of(points.mT, mask.mT)[..., None, :] for points in (x, y))
    x = x - source_mean
    # Decomposing what is not finite is an error in torch; such people are zero on the way and NaN at the end.
    finite = (source_mean + target_mean).isfinite().all(-1, keepdim=True)
    seen_x = torch.where(mask & finite, x, 0.0)
    seen_y = torch.where(mask & finite, y - target_mean, 0.0)
    # Not by products of matrices, whose order of additions is not ours to say.
    u, singular, vt = torch.linalg.svd(total(seen_y.mT[..., :, None, :] * seen_x.mT[..., None, :, :]))
    signs = torch.ones_like(singular)
    signs[..., 2] = torch.where(torch.linalg.det(u) * torch.linalg.det(vt) < 0, -1.0, 1.0)
    rotation = total((u * signs[..., None, :])[..., :, None, :] * vt.mT[..., None, :, :])
    turned = total(x[..., None, :] * rotation[..., None, :, :])
    if scaled:
        spread = total((seen_x * seen_x).flatten(-2))
        scale = total(singular * signs) / spread.clamp_min(torch.finfo(x.dtype).tiny)
        turned = scale[..., None, None] * turned
    return answer(torch.where(finite, turned + target_mean, torch.nan), source)
