"""Which of a person's hypotheses counts: the one that the model believes in, or those that an oracle picks."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from monobody.evaluate.predictions import Predictions
from monobody.evaluate.protocol import Choice
from monobody.metrics import pose_errors_mm


@dataclass(frozen=True, kw_only=True, slots=True)
class Pick:
    """A choice of one hypothesis for every person, or for every joint of every person."""

    choice: Choice
    of_joint: Int[np.ndarray, "n k"]
    of_person: Int[np.ndarray, " n"] | None
    """None where the joints of one person come from several hypotheses: such a person has no one body."""

    def joints(self, values: Float[np.ndarray, "n h k *d"]) -> Float[np.ndarray, "n k *d"]:
        """Return every joint's value by the hypothesis picked for it."""
        rows, columns = np.indices(self.of_joint.shape)
        return values[rows, self.of_joint, columns]

    def bodies(self, values: np.ndarray) -> np.ndarray:
        """Return every person's value (n, h, ...) by the hypothesis picked for them.

        Raises:
            ValueError: joints were picked one by one.
        """
        if self.of_person is None:
            raise ValueError("Joints of several hypotheses are no body.")
        return values[np.arange(len(values)), self.of_person]


def picks(
    predictions: Predictions, errors: Float[np.ndarray, "n h k"], *, counted: Bool[np.ndarray, "n k"] | None = None
) -> list[Pick]:
    """Return the choices that a table has rows for: one of a model with one answer, else confident and the oracles'.

    Args:
        predictions: whose weights say what the model believes in; of equal weights the first counts.
        errors: of every hypothesis and joint, by which the oracle chooses; may be NaN where not counted.
        counted: which joints have a truth; all where left out.
    """
    people, hypotheses, joints = errors.shape
    if hypotheses == 1:
        return [_whole("only", np.zeros(people, np.int64), joints)]
    known = errors if counted is None else np.where(counted[:, None], errors, 0)
    weights = np.full((people, hypotheses), 1 / hypotheses) if predictions.weights is None else predictions.weights
    best = pose_errors_mm(known, counted=counted).argmin(1)
    return [
        _whole("confident", weights.argmax(1), joints),
        _whole("best whole pose", best, joints),
        Pick(choice="best per joint", of_joint=known.argmin(1), of_person=None),
    ]


def _whole(choice: Choice, of_person: Int[np.ndarray, " n"], joints: int) -> Pick:
    return Pick(choice=choice, of_joint=np.repeat(of_person[:, None], joints, axis=1), of_person=of_person)
