"""Whether the weights of hypotheses are probabilities of being the best one: reliability, its error, and log score.

For one person the event is "hypothesis h has the least mean error of all". A network is calibrated when, of all
hypotheses with a weight of 0.3, three in ten are their person's best (Guo et al., ICML 2017, section 2, which looks at
the greatest weight alone). The log score is proper: in expectation nothing but the true probabilities makes it least.
"""

from dataclasses import dataclass
from typing import Generic

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from monobody.metrics.hypotheses import normalised
from monobody.metrics.tensors import Either, Kind, answer, integers, real


@dataclass(frozen=True, slots=True)
class Calibration(Generic[Kind]):
    """Hypotheses in bins of equal width over [0, 1], by weight; every field adds up over parts of a data set."""

    count: Int[Kind, "bins"]
    """Hypotheses in each bin."""
    weights: Float[Kind, "bins"]
    """The sum of their weights."""
    best: Int[Kind, "bins"]
    """How many of them were their person's best."""

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of weight and share of best, bins weighted by their count."""
        return float(abs(real(self.weights) - real(self.best)).sum() / real(self.count).sum())


def calibration(
    weights: Float[Kind, "*b h"], best: Int[Either, "*b"], *, bins: int = 10, greatest_only: bool = False
) -> Calibration[Kind]:
    """Return how often hypotheses of each weight were best (:func:`monobody.metrics.best_pose`).

    A bin has its upper edge, not its lower; the first has both. Weights are brought to a sum of one.

    Args:
        greatest_only: look at every person's most confident hypothesis alone, as Guo et al. do.

    Raises:
        ValueError: a weight is negative or NaN, or a person's best hypothesis is not among them (-1: an error was NaN).
    """
    shares, first = normalised(real(weights)), _whole(best)
    hypotheses = shares.shape[-1]
    if shares.isnan().any() or (first < 0).any() or (first >= hypotheses).any():
        raise ValueError("A person has weights or errors that are no numbers: nothing can be said of the calibration.")
    outcome = first[..., None] == torch.arange(hypotheses, device=shares.device)
    if greatest_only:
        number = shares.argmax(-1, keepdim=True)
        shares, outcome = shares.gather(-1, number), outcome.gather(-1, number)
    shares, outcome = shares.flatten(), outcome.flatten()
    place = ((shares * bins).ceil().long() - 1).clamp(0, bins - 1)
    total = torch.zeros(bins, dtype=shares.dtype, device=shares.device).index_add(0, place, shares)
    return Calibration(
        count=integers(torch.bincount(place, minlength=bins), weights),
        weights=answer(total, weights),
        best=integers(torch.bincount(place[outcome], minlength=bins), weights),
    )


def log_score(weights: Float[Kind, "*b h"], best: Int[Either, "*b"]) -> Float[Kind, "*b"]:
    """Return minus the natural logarithm of the weight that each person's best hypothesis has.

    Equal weights of H hypotheses score ln H; a weight of zero for the best scores infinity. NaN where ``best`` is -1.
    """
    shares, first = normalised(real(weights)), _whole(best)
    chosen = torch.take_along_dim(shares, first.clamp_min(0)[..., None], dim=-1)[..., 0]
    return answer(torch.where(first < 0, torch.nan, -chosen.log()), weights)


def _whole(numbers: Either) -> Int[Tensor, "*b"]:
    return (numbers if isinstance(numbers, Tensor) else torch.from_numpy(np.array(numbers))).long()
