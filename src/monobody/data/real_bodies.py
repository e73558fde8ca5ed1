"""Real bodies for HMR's critic: poses and shapes that people have had, unpaired with any picture (section 3.3).

    bodies = RealBodies(banks=[PoseBank.load("pose_bank.npz")])
    rotations, betas = bodies(number=17, count=192)      # the 17th batch, always the same

A batch depends on its number and the seed alone, so a resumed training sees the bodies it would have seen. Poses are
drawn by the bank's weights, half of them mirrored; the root is left out, as the critic never sees it.

A shape comes with its pose where the bank has it in the shape space of the body that is trained, else it is drawn as
the shapes of synthetic people are (``staging.py``). HMR draws every frame of every bank alike, which makes two thirds
of its real bodies walkers; shares and weights say otherwise here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from monobody.data.pose_bank import PoseBank, mirrored
from monobody.data.staging import sample_betas, to_matrices
from monobody.errors import UserError


@dataclass(frozen=True, kw_only=True)
class RealBodies:
    """A function from a batch's number to real bodies: ``(number, count) -> rotations, betas``.

    Raises:
        UserError: no bank, not one share for each, or a bank without poses to draw.
    """

    banks: Sequence[PoseBank]
    shares: Sequence[float] | None = None
    """How often each bank is drawn from; in proportion to the banks' poses where left out."""
    shape_space: str = "monobody"
    """The shape space of the body that is trained; betas of other spaces are not used."""
    held_out: bool = False
    """Draw held-out poses, and no others, instead of training ones."""
    unusual: float = 0.3
    """Share of the draws that favour tilted trunks and wide limbs; 0 for everyday poses."""
    seed: int = 0

    def __post_init__(self) -> None:
        shares = [1.0] * len(self.banks) if self.shares is None else list(self.shares)
        if not shares or len(shares) != len(self.banks) or min(shares) < 0 or sum(shares) <= 0:
            raise UserError(f"Real bodies need pose banks and a share for each: {len(self.banks)} banks, {shares}.")

    def __call__(self, number: int, count: int) -> tuple[Float[NDArray, "n 23 3 3"], Float[NDArray, "n 10"]]:
        """Return ``count`` bodies of batch ``number``: rotations of joints 1 to 23 and shape coefficients, float32."""
        rng = np.random.default_rng((self.seed, number))
        origin = self._origins(rng, count)
        poses, betas = np.empty((count, 24, 3), np.float32), np.empty((count, 10), np.float32)
        for which, (bank, (members, cumulative)) in enumerate(zip(self.banks, self._chances, strict=True)):
            mine = np.flatnonzero(origin == which)
            index = members[np.searchsorted(cumulative, rng.random(len(mine)), side="right")]
            poses[mine] = bank.rotations_aa[index]
            known = bank.has_shape(self.shape_space)[index]
            if bank.betas is not None:
                betas[mine[known]] = bank.betas[index[known]]
            betas[mine[~known]] = sample_betas(rng, int((~known).sum()))
        swap = rng.random(count) < 0.5
        poses[swap] = mirrored(poses[swap])
        return to_matrices(poses[:, 1:]), betas

    @cached_property
    def _chances(self) -> list[tuple[Int[NDArray, " m"], Float[NDArray, " m"]]]:
        return [bank.chances(held_out=self.held_out, unusual=self.unusual) for bank in self.banks]

    def _origins(self, rng: np.random.Generator, count: int) -> Int[NDArray, " n"]:
        """Draw the bank that each body comes from."""
        shares = [len(members) for members, _ in self._chances] if self.shares is None else self.shares
        return rng.choice(len(shares), size=count, p=np.array(shares, np.float64) / sum(shares))
