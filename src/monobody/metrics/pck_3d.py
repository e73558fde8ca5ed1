"""3D PCK and its area under the curve as MPI-INF-3DHP counts them (Mehta et al., 3DV 2017).

Both start from joint errors in mm (:func:`monobody.metrics.joint_errors_mm`), absolute, root-aligned or after
alignment, of whichever joints the protocol counts, and give the per cent of each person's joints.
"""

import torch
from jaxtyping import Bool, Float

from monobody.metrics.tensors import Either, Kind, answer, mean_of, real

AUC_THRESHOLDS_MM = tuple(5.0 * number for number in range(31))
"""The 31 thresholds of the area under the curve."""


def pck_3d(
    errors_mm: Float[Kind, "*b k"], threshold_mm: float = 150.0, *, counted: Bool[Either, "*#b k"] | None = None
) -> Float[Kind, "*b"]:
    """Return the per cent of each person's joints whose error is strictly below the threshold.

    An error of NaN is not a joint that missed: where it is counted, the person's result is NaN.
    """
    errors = real(errors_mm)
    return answer(100 * mean_of(_below(errors, threshold_mm), counted), errors_mm)


def auc_3d(errors_mm: Float[Kind, "*b k"], *, counted: Bool[Either, "*#b k"] | None = None) -> Float[Kind, "*b"]:
    """Return the mean of :func:`pck_3d` over the thresholds 0, 5, ..., 150 mm.

    Nothing is strictly below 0 mm, so that perfect joints have 100 * 30 / 31 = 96.77 %.
    """
    errors = real(errors_mm)
    share = mean_of(torch.stack([_below(errors, threshold) for threshold in AUC_THRESHOLDS_MM], dim=-1))
    return answer(100 * mean_of(share, counted), errors_mm)


def _below(errors: Float[torch.Tensor, "*b k"], threshold: float) -> Float[torch.Tensor, "*b k"]:
    return torch.where(errors.isnan(), errors, (errors < threshold).double())
