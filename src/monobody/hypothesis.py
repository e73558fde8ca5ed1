"""One possible pose of a person: joints before the picture's camera, a weight, and a posed body where there is one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from monobody.errors import UserError

Kept = Literal["all", "best"] | int
"""How many hypotheses a person is to have: all that count, the best, or so many."""
MOST_KEPT = 48
"""Whoever asks for more has mistyped; no model gives so many."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Hypothesis:
    """One possible pose of one person, in the picture's camera frame (x right, y down, z forward, metres).

    ``theta``, ``rotations`` and ``translation_m`` are a posed body's; a skeleton has none of the three.
    """

    joints_cam_m: Mapping[str, Float[np.ndarray, "k 3"]]
    """For each joint set, the joints in front of the picture's camera. NaN where the body has no such joint."""
    joints_px: Mapping[str, Float[np.ndarray, "k 2"]]
    """The same joints projected into the picture, in pixels."""
    weight: float = 1.0
    """How much the model believes in it; the weights of a person add up to 1."""
    theta: Float[np.ndarray, "85"] | None = None
    """HMR's numbers: weak-perspective camera s, tx, ty of the person's upright crop; 24 axis-angles; 10 betas."""
    rotations: Float[np.ndarray, "24 3 3"] | None = None
    """The 24 rotations of ``theta`` as matrices; the first takes the body frame to the camera frame."""
    translation_m: Float[np.ndarray, "3"] | None = None
    """Added to the posed body, it puts the body where the picture's camera sees it."""

    def __post_init__(self) -> None:
        missing = [value is None for value in (self.theta, self.rotations, self.translation_m)]
        if any(missing) and not all(missing):
            raise ValueError("A body is theta, rotations and translation_m together; a skeleton has none of them.")
        if all(missing) and not self.joints_cam_m:
            raise ValueError("A hypothesis without a body needs joints.")

    @property
    def has_body(self) -> bool:
        """Whether it is a posed body; else it is a skeleton, of the one set in ``joints_cam_m``."""
        return self.theta is not None

    @property
    def camera_weak(self) -> Float[np.ndarray, "3"]:
        """(s, tx, ty): a body point X falls on ``s * (X_xy + t)`` in the upright crop's [-1, 1] coordinates."""
        return of_body(self.theta)[:3]

    @property
    def betas(self) -> Float[np.ndarray, "10"]:
        """The ten shape coefficients."""
        return of_body(self.theta)[75:]


def of_body(value: np.ndarray | None) -> np.ndarray:
    """Return a number of a hypothesis's body.

    Raises:
        UserError: it has no body.
    """
    if value is None:
        raise UserError(
            "The model gives skeletons, and this needs bodies: predict with --lift (lift=True), which fits them."
        )
    return value


def skeleton_of(hypothesis: Hypothesis) -> tuple[str, Float[np.ndarray, "k 3"]]:
    """Return the joint set of a hypothesis without a body, and its joints before the picture's camera."""
    return next(iter(hypothesis.joints_cam_m.items()))


def checked_kept(hypotheses: Kept | str) -> Kept:
    """Return which hypotheses are kept, a number also from its digits.

    Raises:
        UserError: it is neither "all" nor "best" nor a number from 1 on.
    """
    if hypotheses == "all" or hypotheses == "best":
        return hypotheses
    try:
        count = int(hypotheses)
    except (TypeError, ValueError):
        count = 0
    if not 1 <= count <= MOST_KEPT:
        raise UserError(f"There are no hypotheses {hypotheses!r}: say all, best, or how many, from 1 to {MOST_KEPT}.")
    return count
