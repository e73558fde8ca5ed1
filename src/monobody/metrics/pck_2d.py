"""2D PCK: the per cent of joints that lie near their target, where near is a share of the person's size.

The size is that of the box about the person (Yang & Ramanan, PAMI 2013), of the head (PCKh: Andriluka et al., CVPR
2014) or of the torso (Sapp & Taskar, CVPR 2013). Points are in any unit, commonly pixels.

``pck``, ``pckh`` and ``torso_pck`` pool all judged joints of all people, as the data sets do: a person with many
visible joints weighs more. ``hits`` gives the outcome of each joint, to average otherwise.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from monobody.metrics.tensors import Either, Kind, answer, length, mask_for, pair, real, truth

LSP_NECK_AND_HEAD_TOP = (12, 13)
"""The ends of the head among the joints of the set ``lsp14``."""
LSP_TORSO = (9, 2)
"""The left shoulder and the right hip among the joints of the set ``lsp14``, the torso's diagonal."""


def pck(
    predicted: Float[Kind, "*b k 2"],
    target: Float[Kind, "*b k 2"],
    visible: Bool[Either, "*b k"],
    *,
    threshold: float,
    counted: Bool[Either, "*#b k"] | None = None,
) -> Float[Kind, ""]:
    """Return the per cent of all visible joints that lie within ``threshold`` of the person's size from their target.

    A person's size is the larger side of the box about the visible target joints. Where only some of these are to be
    judged, ``counted`` marks them. The result is NaN where nothing is visible, and where a judged prediction is NaN.
    """
    judged = _both(visible, counted)
    size = box_side(real(target), visible)
    return answer(_pooled(hits(real(predicted), real(target), judged, within=threshold * size), judged), predicted)


def pckh(
    predicted: Float[Kind, "*b k 2"],
    target: Float[Kind, "*b k 2"],
    visible: Bool[Either, "*b k"],
    *,
    threshold: float = 0.5,
    head: tuple[int, int] = LSP_NECK_AND_HEAD_TOP,
    head_length: Float[Either, "*b"] | None = None,
    counted: Bool[Either, "*#b k"] | None = None,
) -> Float[Kind, ""]:
    """Return the per cent of visible joints within ``threshold`` head lengths of their target.

    The head's length is the distance of the two ``head`` joints, or ``head_length`` where the data set has its own
    (MPII: 0.6 times the diagonal of the annotated head box; NaN where it has none). People whose head is not visible
    take no part. How many that are, the caller knows from ``visible``, and has to say.
    """
    if head_length is None:
        size, known = segment_length(real(target), visible, head), truth(visible)[..., list(head)].all(-1)
    else:
        size, known = real(head_length), ~real(head_length).isnan()
    judged = _both(visible, counted) & known[..., None]
    return answer(_pooled(hits(real(predicted), real(target), judged, within=threshold * size), judged), predicted)


def torso_pck(
    predicted: Float[Kind, "*b k 2"],
    target: Float[Kind, "*b k 2"],
    visible: Bool[Either, "*b k"],
    *,
    threshold: float = 0.2,
    torso: tuple[int, int] = LSP_TORSO,
    counted: Bool[Either, "*#b k"] | None = None,
) -> Float[Kind, ""]:
    """Return the per cent of visible joints within ``threshold`` torso lengths of their target.

    The torso's length goes from the left shoulder to the right hip (Toshev & Szegedy, CVPR 2014). People
    of whom one of these is not visible take no part: say how many.
    """
    size = segment_length(real(target), visible, torso)
    judged = _both(visible, counted) & truth(visible)[..., list(torso)].all(-1, keepdim=True)
    return answer(_pooled(hits(real(predicted), real(target), judged, within=threshold * size), judged), predicted)


def hits(
    predicted: Float[Kind, "*b k 2"],
    target: Float[Kind, "*b k 2"],
    judged: Bool[Either, "*b k"],
    *,
    within: Float[Either, "*b"],
) -> Float[Kind, "*b k"]:
    """Return 1 for joints no farther than ``within`` from their target, 0 for others.

    NaN stands where a joint is not judged, where the prediction is NaN, and where the person's size is not known.
    """
    first, second = pair(predicted, target)
    distance = length(first - second)
    limit = real(within)[..., None]
    known = mask_for(distance, judged) & ~(distance + limit).isnan()
    return answer(torch.where(known, (distance <= limit).double(), torch.nan), predicted)


def box_side(target: Float[Kind, "*b k 2"], visible: Bool[Either, "*b k"]) -> Float[Kind, "*b"]:
    """Return the larger side of the box about each person's visible joints; NaN where there are none."""
    return answer(_box(target, visible).amax(-1), target)


def box_diagonal(target: Float[Kind, "*b k 2"], visible: Bool[Either, "*b k"]) -> Float[Kind, "*b"]:
    """Return the diagonal of the box about each person's visible joints; NaN where there are none."""
    return answer(length(_box(target, visible)), target)


def segment_length(
    target: Float[Kind, "*b k 2"], visible: Bool[Either, "*b k"], ends: tuple[int, int]
) -> Float[Kind, "*b"]:
    """Return the distance of two joints of each person; NaN where one of them is not visible."""
    points = real(target)
    distance = length(points[..., ends[0], :] - points[..., ends[1], :])
    return answer(torch.where(truth(visible)[..., list(ends)].all(-1), distance, torch.nan), target)


def _box(target: Either, visible: Either) -> Float[Tensor, "*b 2"]:
    points = real(target)
    hidden = ~mask_for(points[..., 0], visible)[..., None]
    size = points.masked_fill(hidden, -torch.inf).amax(-2) - points.masked_fill(hidden, torch.inf).amin(-2)
    return torch.where(size < 0, torch.nan, size)


def _both(visible: Either, counted: Either | None) -> Bool[Tensor, "*b k"]:
    return truth(visible) if counted is None else truth(visible) & truth(counted)


def _pooled(outcomes: Float[Tensor, "*b k"], judged: Either) -> Float[Tensor, ""]:
    mask = mask_for(outcomes, judged)
    return 100 * torch.where(mask, outcomes, 0.0).sum() / mask.sum()
