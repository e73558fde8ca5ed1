"""What every measure does with its arguments: numpy or torch in, double precision inside, the same kind out.

Joints that are not counted may hold anything, NaN included: they never touch a result. NaN among what is counted is
never dropped: the result of that joint, and of that person, is NaN. So is that of a person without any counted joint.
"""

from typing import TypeAlias, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

Kind = TypeVar("Kind", np.ndarray, Tensor)
"""What is measured: the result is of the same kind."""
Either: TypeAlias = np.ndarray | Tensor
"""What goes with it: masks, weights, faces."""


def real(given: Either) -> Tensor:
    """Return numbers as a tensor in double precision."""
    # A copy: torch knows no negative strides and warns of arrays that may not be written to.
    return (given if isinstance(given, Tensor) else torch.from_numpy(np.array(given))).double()


def truth(given: Either) -> Bool[Tensor, "..."]:
    """Return a mask as a tensor.

    Raises:
        TypeError: it is not boolean. A confidence is no mask: compare it with something first.
    """
    mask = given if isinstance(given, Tensor) else torch.from_numpy(np.array(given))
    if mask.dtype != torch.bool:
        raise TypeError(f"A mask must be boolean, not {mask.dtype}: compare it with a threshold first.")
    return mask


def pair(first: Either, second: Either) -> tuple[Tensor, Tensor]:
    """Return two sets of points in double precision.

    Raises:
        ValueError: they are not equally many points of equally many coordinates. (Leading dimensions may broadcast.)
    """
    if tuple(first.shape[-2:]) != tuple(second.shape[-2:]):
        shapes = f"{tuple(first.shape)} and {tuple(second.shape)}"
        raise ValueError(f"Predicted and target points must be equally many: they have the shapes {shapes}.")
    return real(first), real(second)


def answer(result: Tensor, like: Kind) -> Kind:
    """Return a result as the kind of array, and the precision, in which ``like`` was given."""
    if isinstance(like, Tensor):
        return result.to(like.dtype) if like.is_floating_point() else result
    values = result.detach().cpu().numpy()
    return values.astype(like.dtype) if like.dtype.kind == "f" else values


def total(values: Float[Tensor, "*b n"]) -> Float[Tensor, "*b"]:
    """Return the sum over the last axis, in an order of additions that depends on nothing but its length.

    Torch's own sum takes another order for another batch or layout, and then differs in the last bit.
    """
    number = values.shape[-1]
    if number == 0:
        return values.sum(-1)
    while number > 1:
        half = number // 2
        folded = values[..., :half] + values[..., half : 2 * half]
        values = torch.cat([folded, values[..., 2 * half :]], dim=-1) if number % 2 else folded
        number -= half
    return values[..., 0]


def length(vectors: Float[Tensor, "*b d"]) -> Float[Tensor, "*b"]:
    """Return the Euclidean norm over the last axis, with :func:`total`."""
    return total(vectors * vectors).sqrt()


def mean_of(values: Float[Tensor, "*b k"], counted: Either | None = None) -> Float[Tensor, "*b"]:
    """Return the mean over the last axis of what is counted; NaN where nothing is, or something counted is NaN."""
    if counted is None:
        return total(values) / values.shape[-1] if values.shape[-1] else total(values) * torch.nan
    mask = mask_for(values, counted)
    return total(torch.where(mask, values, 0.0)) / mask.sum(-1)


def mask_for(values: Float[Tensor, "*b k"], counted: Either | None) -> Bool[Tensor, "*b k"]:
    """Return a mask in the shape of the values; all true where none is given.

    Raises:
        ValueError: its last axis has another length.
    """
    if counted is None:
        return torch.ones_like(values, dtype=torch.bool)
    if counted.shape[-1:] != values.shape[-1:]:
        raise ValueError(f"A mask of {tuple(counted.shape)} does not fit values of {tuple(values.shape)}.")
    return truth(counted).broadcast_to(values.shape)


def integers(result: Tensor, like: Kind) -> Kind:
    """Return whole numbers as the kind of array in which ``like`` was given."""
    if isinstance(like, Tensor):
        return result
    return result.cpu().numpy()
