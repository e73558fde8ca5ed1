"""The error of motion: how far the predicted acceleration of joints is from the true one.

Accelerations are second differences of consecutive frames, as HMMR and VIBE take them (Kanazawa et al., CVPR 2019;
Kocabas et al., CVPR 2020). Their code leaves out the time between frames, and tables call the result mm/s² all the
same; here the frame rate decides.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float

from monobody.metrics.pose import LSP_HIPS, centred, joint_errors_mm
from monobody.metrics.tensors import Either, Kind, answer, mask_for, mean_of, pair, real


def acceleration_error(
    predicted_m: Float[Kind, "*b t k 3"],
    target_m: Float[Kind, "*b t k 3"],
    *,
    fps: float | None,
    root: Sequence[int] | None = LSP_HIPS,
    counted: Bool[Either, "*b t k"] | None = None,
) -> Float[Kind, "*b t-2"]:
    """Return the mean error of the joints' acceleration at every frame but the first and the last.

    In mm/s² for frames ``fps`` a second; in mm per squared frame with ``fps=None``, as published tables have it. Each
    frame's root is at the origin first, unless ``root`` is None. A joint counts where it does in all three frames.
    """
    predicted, target = pair(predicted_m, target_m)
    if root is not None:
        predicted, target = centred(predicted, root=root), centred(target, root=root)
    errors = joint_errors_mm(acceleration(predicted, fps=fps), acceleration(target, fps=fps), root=None)
    if counted is None:
        return answer(mean_of(errors), predicted_m)
    mask = mask_for(real(target_m)[..., 0], counted)
    threefold = mask[..., :-2, :] & mask[..., 1:-1, :] & mask[..., 2:, :]
    if root is not None:
        rooted = threefold[..., list(root)].all(-1, keepdim=True)
        errors = torch.where(rooted, errors, torch.nan)
    return answer(mean_of(errors, threefold), predicted_m)


def acceleration(points_m: Float[Kind, "*b t k 3"], *, fps: float | None) -> Float[Kind, "*b t-2 k 3"]:
    """Return second differences over time: m/s² for frames ``fps`` a second, metres per squared frame with None."""
    second = points_m[..., 2:, :, :] - 2 * points_m[..., 1:-1, :, :] + points_m[..., :-2, :, :]
    return second if fps is None else second * fps**2
