"""SMPLify's own pose prior: a mixture of Gaussians over the axis-angles of the 23 joints below the root.

Its file `gmm_08.pkl` comes with SMPLify and may not be shipped with this package; who has it can use it in place of the
shipped prior. Densities here are those of the mixture itself in axis-angle space; SMPLify (section 3.2, equation 9)
takes the largest of its parts for their sum, which differs where parts overlap.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from monobody.body.rotation import matrix_to_axis_angle
from monobody.body.unpickle import read_pickle
from monobody.errors import UserError

NUMBERS = 69
_NAMES = ("means", "covars", "weights")


@dataclass(frozen=True, slots=True)
class GaussianMixture:
    """A mixture of m Gaussians over 69 numbers."""

    means: Float[Tensor, "m 69"]
    whiten: Float[Tensor, "m 69 69"]
    """The inverse of each covariance's triangular factor."""
    log_weights: Float[Tensor, " m"]

    @staticmethod
    def load(path: str | Path) -> "GaussianMixture":
        """Read `gmm_08.pkl`, or an .npz with the same three arrays: means, covars, weights.

        Nothing in a pickle is run.

        Raises:
            UserError: the file cannot be read, or holds no such mixture.
        """
        path = Path(path)
        if path.suffix == ".npz":
            try:
                with np.load(path, allow_pickle=False) as archive:
                    arrays = {name: archive[name] for name in _NAMES if name in archive}
            except (OSError, ValueError, EOFError) as error:
                raise UserError(f"Cannot read {path} as an .npz of numbers: {error}.") from error
        else:
            arrays = read_pickle(path)
        missing = [name for name in _NAMES if name not in arrays]
        if missing:
            raise UserError(f"{path} has no {' and no '.join(missing)}: it is not SMPLify's mixture of poses.")
        means, covariances, weights = (torch.from_numpy(np.asarray(arrays[name], np.float64)) for name in _NAMES)
        count = len(weights) if weights.ndim == 1 else 0
        if not count or means.shape != (count, NUMBERS) or covariances.shape != (count, NUMBERS, NUMBERS):
            raise UserError(
                f"{path} holds means of {tuple(means.shape)} and covariances of {tuple(covariances.shape)}; a mixture "
                f"of poses has {NUMBERS} numbers, three for each of 23 joints."
            )
        factor, failed = torch.linalg.cholesky_ex(covariances)
        if failed.any() or not (torch.isfinite(means).all() and (weights > 0).all()):
            raise UserError(f"{path} is no mixture: a covariance is not positive definite, or a weight not positive.")
        identity = torch.eye(NUMBERS, dtype=torch.float64).expand_as(factor)
        whiten = torch.linalg.solve_triangular(factor, identity, upper=False)
        return GaussianMixture(means.float(), whiten.float(), (weights / weights.sum()).log().float())

    def log_density(self, rotations: Float[Tensor, "*b 23 3 3"]) -> Float[Tensor, "*b"]:
        """Return the log density of poses in axis-angle space; differentiable."""
        pose = matrix_to_axis_angle(rotations).flatten(-2)
        white = torch.einsum("kij,...kj->...ki", self.whiten, pose[..., None, :] - self.means)
        log_scale = self.whiten.diagonal(dim1=-2, dim2=-1).log().sum(-1) - 0.5 * NUMBERS * math.log(2 * math.pi)
        return (self.log_weights + log_scale - 0.5 * white.square().sum(-1)).logsumexp(-1)
