"""The geometry that numpy and torch share: functions take either and give the same kind back."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", np.ndarray, "Tensor")


def constant_like(reference: Array, values: Sequence | np.ndarray) -> Array:
    """Return numbers as an array of the kind, precision and device of ``reference``, without importing torch."""
    if isinstance(reference, np.ndarray):
        return np.asarray(values, reference.dtype if reference.dtype.kind == "f" else np.float64)
    return reference.new_tensor(np.asarray(values).tolist())


def joined(parts: Sequence[Array]) -> Array:
    """Join arrays of one kind along their last axis."""
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts, axis=-1)
    import torch

    return torch.cat([*parts], dim=-1)  # pyright: ignore[reportArgumentType]
