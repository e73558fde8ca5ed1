"""Errors of networks that answer with several poses and a weight for each: best of H, most confident, expected.

All start from the errors of every hypothesis (*b, h, k), in mm: give the measures of ``pose`` predictions of shape
(*b, h, k, 3) and the target as (*b, 1, k, 3). Best-of-H asks an oracle which pose is best, and a table has to say so.
A hypothesis that is NaN makes its person NaN.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from monobody.metrics.tensors import Either, Kind, answer, integers, mean_of, real, total


def best_of(
    errors_mm: Float[Kind, "*b h k"], *, joint_wise: bool = False, counted: Bool[Either, "*b k"] | None = None
) -> Float[Kind, "*b"]:
    """Return each person's mean error with the best of all hypotheses.

    Whole pose ("P-Best"): the pose of the least mean error. Joint-wise ("J-Best", mode "best" of X as Supervision):
    every joint from the hypothesis that has it best, which no single pose may reach.
    """
    errors = real(errors_mm)
    best = mean_of(errors.amin(-2), counted) if joint_wise else pose_errors_mm(errors, counted=counted).amin(-1)
    return answer(best, errors_mm)


def confident(
    errors_mm: Float[Kind, "*b h k"], weights: Float[Kind, "*b h"], *, counted: Bool[Either, "*b k"] | None = None
) -> Float[Kind, "*b"]:
    """Return each person's mean error with the hypothesis of the greatest weight; of equal ones the first."""
    shares = normalised(real(weights))
    chosen = _picked(pose_errors_mm(real(errors_mm), counted=counted), shares.argmax(-1))
    return answer(torch.where(shares.isnan().any(-1), torch.nan, chosen), errors_mm)


def expected(
    errors_mm: Float[Kind, "*b h k"], weights: Float[Kind, "*b h"], *, counted: Bool[Either, "*b k"] | None = None
) -> Float[Kind, "*b"]:
    """Return each person's mean error over the hypotheses, weighted: what a draw by the weights would cost."""
    means = pose_errors_mm(real(errors_mm), counted=counted)
    return answer(total(normalised(real(weights)) * means), errors_mm)


def pose_errors_mm(
    errors_mm: Float[Kind, "*b h k"], *, counted: Bool[Either, "*b k"] | None = None
) -> Float[Kind, "*b h"]:
    """Return each hypothesis's mean error over the counted joints."""
    return answer(mean_of(real(errors_mm), None if counted is None else counted[..., None, :]), errors_mm)


def best_pose(errors_mm: Float[Kind, "*b h k"], *, counted: Bool[Either, "*b k"] | None = None) -> Int[Kind, "*b"]:
    """Return the number of each person's hypothesis of the least mean error; of equal ones the first, -1 with NaN."""
    means = pose_errors_mm(real(errors_mm), counted=counted)
    return integers(torch.where(means.isnan().any(-1), -1, means.argmin(-1)), errors_mm)


def best_joints(poses_m: Float[Kind, "*b h k 3"], errors_mm: Float[Kind, "*b h k"]) -> Float[Kind, "*b k 3"]:
    """Return poses put together of every joint's best hypothesis, to measure otherwise (X as Supervision, mode "best").

    A joint with an error of NaN is NaN. Mask joints that have no target by setting their errors to zero.
    """
    poses, errors = real(poses_m), real(errors_mm)
    number = errors.argmin(-2)[..., None, :, None]
    chosen = torch.take_along_dim(poses, number, dim=-3)[..., 0, :, :]
    return answer(torch.where(errors.isnan().any(-2)[..., None], torch.nan, chosen), poses_m)


def normalised(weights: Float[Kind, "*b h"]) -> Float[Kind, "*b h"]:
    """Return weights that sum to one; NaN for a person whose weights are all zero.

    Raises:
        ValueError: a weight is negative: logits have to pass a softmax first.
    """
    shares = real(weights)
    if (shares < 0).any():
        raise ValueError("A hypothesis has a negative weight: give probabilities, not their logarithms.")
    return answer(shares / total(shares)[..., None], weights)


def _picked(values: Float[Tensor, "*b h"], number: Int[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    return torch.take_along_dim(values, number[..., None], dim=-1)[..., 0]
