"""Where joints are in the picture: the soft-argmax over the probabilities of all cells, or of those about the peak.

Shapes: b crops, k joints, h w cells.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from monobody.models.marginals import centres


def places(plane: Float[Tensor, "b k h w"], *, window: int | None = None) -> Float[Tensor, "b k 2"]:
    """Return each joint's x and y in crop coordinates.

    Args:
        plane: probabilities of the cells.
        window: expect over the cells within this many of the most probable one, in both directions; over all where left
            out, as published. Gradients go through the probabilities, not through which cell is the most probable.
    """
    height, width = plane.shape[-2:]
    if window is not None:
        if plane.device.type == "cpu" and not plane.requires_grad:
            # A compiled loop: numba takes half a second to import.
            from monobody.models.soft_argmax import fill_soft_argmax

            place = plane.new_empty(*plane.shape[:2], 2)
            fill_soft_argmax(plane.contiguous().numpy(), window, place.numpy())
            return place
        plane = plane * about_peak(plane, window)
        plane = plane / plane.sum((2, 3), keepdim=True).clamp_min(torch.finfo(plane.dtype).tiny)
    x = (plane.sum(2) * centres(width, like=plane)).sum(2)
    y = (plane.sum(3) * centres(height, like=plane)).sum(2)
    return torch.stack([x, y], dim=2)


def about_peak(plane: Float[Tensor, "b k h w"], reach: int) -> Bool[Tensor, "b k h w"]:
    """Return which cells are within so many rows and columns of the most probable one."""
    height, width = plane.shape[-2:]
    likeliest = plane.flatten(2).argmax(2)[..., None]
    rows = (torch.arange(height, device=plane.device) - likeliest // width).abs() <= reach
    columns = (torch.arange(width, device=plane.device) - likeliest % width).abs() <= reach
    return rows[..., :, None] & columns[..., None, :]
