"""Where joints are in the picture: the soft-argmax over the probabilities of all cells, or of those about the peak.

Shapes: b crops, k joints, h w cells, n cells of a window.
"""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from monobody.models.marginals import centres


def places(plane: Float[Tensor, "b k h w"], *, window: int | None = None) -> Float[Tensor, "b k 2"]:
    """Return each joint's x and y in crop coordinates.

    Args:
        plane: probabilities of the cells.
        window: expect over the cells within this many of the most probable one, in both directions; over all where left
            out, as published. Gradients go through the probabilities, not through which cell is the most probable.
    """
    height, width = plane.shape[-2:]
    if window is None:
        x = (plane.sum(2) * centres(width, like=plane)).sum(2)
        y = (plane.sum(3) * centres(height, like=plane)).sum(2)
        return torch.stack([x, y], dim=2)
    if plane.device.type == "cpu" and not plane.requires_grad:
        # A compiled loop: numba takes half a second to import.
        from monobody.models.soft_argmax import fill_soft_argmax

        place = plane.new_empty(*plane.shape[:2], 2)
        fill_soft_argmax(plane.contiguous().numpy(), window, place.numpy())
        return place
    likeliest, near = about_peak(plane, window)
    middle = torch.from_numpy(_middles(height, width)).to(plane)[likeliest]
    sums = near @ torch.from_numpy(_moments(window, height, width)).to(plane)
    return middle + sums[..., 1:] / sums[..., :1].clamp_min(torch.finfo(plane.dtype).tiny)


def about_peak(plane: Float[Tensor, "b k h w"], reach: int) -> tuple[Int[Tensor, "b k"], Float[Tensor, "b k n"]]:
    """Return the most probable cell's number, and the square that reaches so many cells from it; 0 beyond the edge."""
    width = plane.shape[-1]
    likeliest = plane.flatten(2).argmax(2)
    # Every row is longer with cells beyond the edge.
    first = likeliest + 2 * reach * (likeliest // width)
    window = torch.from_numpy(_window(width + 2 * reach, reach)).to(plane.device)
    return likeliest, F.pad(plane, (reach,) * 4).flatten(2).gather(2, first[..., None] + window)


@cache
def _window(width: int, reach: int) -> Int[np.ndarray, " n"]:
    """Return the numbers of a square's cells in rows of so many, from its first one on."""
    beside = np.arange(2 * reach + 1)
    return (width * beside[:, None] + beside).ravel()


@cache
def _moments(reach: int, height: int, width: int) -> Float[np.ndarray, "n 3"]:
    """Return 1, and how far in x and y the cells of a square are from its middle."""
    step = np.arange(-reach, reach + 1)
    y, x = np.meshgrid(step * 2 / height, step * 2 / width, indexing="ij")
    return np.stack([np.ones_like(x), x, y], axis=-1).reshape(-1, 3).astype(np.float32)


@cache
def _middles(height: int, width: int) -> Float[np.ndarray, "n 2"]:
    """Return x and y of every cell."""
    y, x = np.divmod(np.arange(height * width), width)
    return np.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], axis=-1).astype(np.float32)
