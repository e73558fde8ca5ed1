"""How well label maps agree: accuracy, F1 and IoU, counted as UP-3D does for LSP (Lassner et al., CVPR 2017; SPIN).

Everything comes from whole numbers: how many pixels of which true label were given which label. Those of many pictures
are added up first, then one accuracy or F1 is taken of the whole data set. SPIN's code is the reference where the
paper is silent: pixels of the true label 255 count as background for accuracy, and not at all for F1.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from monobody.metrics.tensors import Kind, answer, integers, truth

IGNORED = 255
"""The label of pixels of which nobody said what they are."""


def segmentation_counts(
    predicted: Shaped[Kind, "*b h w"], target: Shaped[Kind, "*b h w"], *, classes: int
) -> Int[Kind, "*b {classes}+1 {classes}+1"]:
    """Return how many pixels of each true label (row) were given each label (column), for each picture.

    Label 0 is background; the last row and column are of pixels with the label 255. Boolean maps have two classes.

    Raises:
        ValueError: the maps differ in size, or have a label that is neither below ``classes`` nor 255.
    """
    if tuple(predicted.shape) != tuple(target.shape):
        raise ValueError(f"Label maps of {tuple(predicted.shape)} and {tuple(target.shape)} cannot be compared.")
    maps = [_labels(labels, classes) for labels in (predicted, target)]
    leading = maps[0].shape[:-2]
    numbers = (maps[1] * (classes + 1) + maps[0]).reshape(-1, maps[0].shape[-2] * maps[0].shape[-1])
    cells = (classes + 1) ** 2
    offsets = cells * torch.arange(len(numbers), device=numbers.device)[:, None]
    counts = torch.bincount((numbers + offsets).flatten(), minlength=cells * len(numbers))
    counts = counts.reshape(*leading, classes + 1, classes + 1)
    return integers(counts, predicted)


def segmentation_accuracy(counts: Int[Kind, "*b c c"], *, ignored_is_background: bool = True) -> Float[Kind, "*b"]:
    """Return the per cent of pixels that have their true label.

    As UP-3D counts, the label 255 is background on both sides first; else pixels whose true label is 255 are left out.
    """
    table = _tensor(counts).double()
    if ignored_is_background:
        right = table.diagonal(dim1=-2, dim2=-1).sum(-1) + table[..., 0, -1] + table[..., -1, 0]
        return _like(100 * right / table.sum((-2, -1)), counts)
    known = table[..., :-1, :]
    return _like(100 * known.diagonal(dim1=-2, dim2=-1).sum(-1) / known.sum((-2, -1)), counts)


def segmentation_f1(counts: Int[Kind, "*b c c"]) -> Float[Kind, "*b c-1"]:
    """Return each label's F1 = 2 TP / (2 TP + FP + FN), pixels whose true label is 255 left out.

    UP-3D's number is the mean over labels, background included. A label that neither map has is NaN, and so is then
    the mean, as in the published code.
    """
    hit, extra, missed = _outcomes(counts)
    return _like(2 * hit / (2 * hit + extra + missed), counts)


def segmentation_iou(counts: Int[Kind, "*b c c"]) -> Float[Kind, "*b c-1"]:
    """Return each label's intersection over union, pixels whose true label is 255 left out; NaN for absent labels."""
    hit, extra, missed = _outcomes(counts)
    return _like(hit / (hit + extra + missed), counts)


def mask_iou(predicted: Bool[Kind, "*b h w"], target: Bool[Kind, "*b h w"]) -> Float[Kind, "*b"]:
    """Return the intersection over union of two masks; NaN where both are empty."""
    first, second = truth(predicted), truth(target)
    if first.shape != second.shape:
        raise ValueError(f"Masks of {tuple(first.shape)} and {tuple(second.shape)} cannot be compared.")
    return _like((first & second).sum((-2, -1)).double() / (first | second).sum((-2, -1)), predicted)


def _outcomes(counts: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Return true positives, false positives and false negatives of each label."""
    known = _tensor(counts).double()[..., :-1, :]
    hit = known.diagonal(dim1=-2, dim2=-1)
    return hit, known.sum(-2)[..., :-1] - hit, known.sum(-1) - hit


def _labels(given: Any, classes: int) -> Int[Tensor, "*b h w"]:
    labels = _tensor(given).long()
    wrong = (labels != IGNORED) & ((labels < 0) | (labels >= classes))
    if wrong.any():
        raise ValueError(f"{int(labels[wrong][0])} is no label: there are 0 to {classes - 1}, and {IGNORED}.")
    return torch.where(labels == IGNORED, classes, labels)


def _tensor(given: Any) -> Tensor:
    return given if isinstance(given, Tensor) else torch.from_numpy(given.copy())


def _like(result: Tensor, given: Kind) -> Kind:
    return answer(result, given)
