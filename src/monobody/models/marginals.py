"""From a volume of logits to the probabilities of places and of depths: a softmax over all cells of a joint.

A volume has 262,144 cells a joint. On a processor a compiled loop raises e to each of them and adds it to its
place and to its depth: quicker than a softmax and two sums, and without another volume.

Shapes: b crops, k joints, d h w cells.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

CELLS_A_THREAD = 1 << 21
"""Less than a millisecond's work, for which another thread is not worth its beginning."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Marginals:
    """What the volume says about a joint's place in the picture, and about its depth."""

    plane: Float[Tensor, "b k h w"]
    """Probabilities of the cells of the picture."""
    depth: Float[Tensor, "b k d"]
    """Probabilities of the slices, the nearest first."""


def marginals(volume: Float[Tensor, "b k d h w"]) -> Marginals:
    """Return the probabilities of places and of depths; NaN for joints whose logits are no numbers.

    In single precision whatever the network computes in: sums of 262,144 small numbers are not for half precision.
    """
    if volume.device.type == "cpu" and not volume.requires_grad:
        return _added_up(volume.float().contiguous())
    with torch.autocast(volume.device.type, enabled=False):
        probability = volume.float().flatten(2).softmax(dim=2).view(volume.shape)
        return Marginals(plane=probability.sum(2), depth=probability.sum((3, 4)))


def centres(cells: int, *, like: Tensor, reach: float = 1.0) -> Float[Tensor, " n"]:
    """Return where the cells of an axis have their middles, from -`reach` to `reach`."""
    return reach * ((2 * torch.arange(cells, device=like.device, dtype=like.dtype) + 1) / cells - 1)


def _added_up(volume: Float[Tensor, "b k d h w"]) -> Marginals:
    from monobody.models.cell_sums import add_up  # A compiled loop: numba takes half a second to import.

    *people, slices, height, width = volume.shape
    cells = volume.view(-1, slices, height * width)
    plane, depth = (torch.empty(cells.shape[0], count) for count in (height * width, slices))
    arrays = cells.numpy(), plane.numpy(), depth.numpy()
    threads = min(torch.get_num_threads(), max(cells.numel() // CELLS_A_THREAD, 1), max(cells.shape[0], 1))
    if threads == 1:
        add_up(*arrays)
    else:
        # The loop lets go of Python's lock.
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(add_up, *(np.array_split(each, threads) for each in arrays)))
    return Marginals(plane=plane.view(*people, height, width), depth=depth.view(*people, slices))
