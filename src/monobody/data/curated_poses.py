"""Poses without motion capture: a hand-written distribution of joint angles (X as Supervision, its synthetic people).

    poses = CuratedPoses()
    people = SyntheticPeople(seed=0, poses=poses)          # wherever a pose bank is taken
    rotations_aa, betas = poses.sample(n, rng), poses.sample_betas(n, rng)

Every component of a joint's axis-angle vector is 0 with probability 0.4; else it goes to one of its two sides, as far
as a normal distribution whose 1.96 sigma is that side's limit, cut off there. The table was written for SMPL, whose
axes the shipped body shares: bent knees turn about +x, hips forward about -x, elbows forward about -y (left) and +y
(right), arms hang 60 degrees below the T-pose's.

As published, the root's row is for a world whose z is up (its mean turns the body from y up); here the world is y up
and that mean is 0, so that people stand. `released=True` gives the published distribution, turned into this world: all
frames of a clip of ten share which components are 0 and on which side the others are, all shape coefficients share one
sign and one draw a clip, and the tilts of the root are those of its axis-angle vector before the turn.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

ZERO_SHARE = 0.4
"""How often a component is 0. The root's never is."""
SIGMAS = 1.96
"""A side's limit is as many standard deviations."""
LARGEST_BETA = 1.5
CLIP = 10
"""Frames of a published clip."""
Row = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
LIMITS_DEG: dict[int, Row] = {
    0: ((10, 10), (120, 120), (45, 45)),
    1: ((45, 60), (10, 10), (30, 0)),
    2: ((45, 60), (10, 10), (0, 30)),
    3: ((60, 20), (30, 30), (30, 30)),
    4: ((70, 0), (20, 20), (10, 10)),
    5: ((70, 0), (20, 20), (10, 10)),
    6: ((20, 10), (0, 0), (15, 15)),
    15: ((15, 15), (50, 50), (15, 15)),
    16: ((90, 90), (50, 120), (150, 30)),
    17: ((90, 90), (120, 50), (30, 150)),
    18: ((60, 60), (0, 120), (15, 15)),
    19: ((60, 60), (120, 0), (15, 15)),
}
"""By joint of smpl24: how far x, y and z go on their positive and negative sides. Other joints do not move."""
MEANS_DEG = {16: (0.0, 0.0, -60.0), 17: (0.0, 0.0, 60.0)}
"""About which mean a component goes to its sides, where that is not 0."""
RELEASED_ROOT_MEAN_DEG = 90.0
"""About x, in a world whose z is up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CuratedPoses:
    """The distribution; drawn from as a :class:`~monobody.data.pose_bank.PoseBank` is, and without end."""

    released: bool = False
    """As published, with what hangs together there: see the module."""

    def sample(
        self, n: int, rng: np.random.Generator, *, held_out: bool = False, unusual: float = 0.0, mirror: bool = False
    ) -> Float[NDArray, "n 24 3"]:
        """Draw ``n`` poses as axis-angle rotations, float32; the root turns the body frame to a y-up world.

        ``held_out``, ``unusual`` and ``mirror`` are what a pose bank is asked for, and change nothing: the distribution
        is endless, of one kind, and its own mirror image.
        """
        positive, negative, mean = _table()
        clips = -(-n // CLIP) if self.released else n
        frames = n if not self.released else clips * CLIP
        still = (rng.random((clips, 24, 3)) < ZERO_SHARE) & (np.arange(24) > 0)[:, None]
        towards_positive = rng.random((clips, 24, 3)) < 0.5
        if self.released:
            still, towards_positive = (np.repeat(each, CLIP, axis=0) for each in (still, towards_positive))
        limit = np.where(towards_positive, positive, negative)
        reach = np.minimum(np.abs(rng.normal(size=(frames, 24, 3)) * limit / SIGMAS), limit)
        drawn = np.where(towards_positive, reach, -reach) + mean
        poses = np.radians(np.where(still, 0.0, drawn))[:n]
        if self.released:
            poses[:, 0] = _stood_up(poses[:, 0])
        return poses.astype(np.float32)

    def sample_betas(self, n: int, rng: np.random.Generator) -> Float[NDArray, "n 10"]:
        """Draw ``n`` rows of shape coefficients, each of a normal distribution that is cut off at 1.5."""
        if not self.released:
            drawn = rng.normal(size=(n, 10)) * LARGEST_BETA / SIGMAS
            return np.clip(drawn, -LARGEST_BETA, LARGEST_BETA).astype(np.float32)
        clips = -(-n // CLIP)
        size = np.minimum(np.abs(rng.normal(size=(clips, 10)) * LARGEST_BETA / SIGMAS), LARGEST_BETA)
        sign = np.where(rng.random((clips, 1)) < 0.5, 1.0, -1.0)
        return np.repeat(sign * size, CLIP, axis=0)[:n].astype(np.float32)


def _table() -> tuple[Float[NDArray, "24 3"], Float[NDArray, "24 3"], Float[NDArray, "24 3"]]:
    """Return the limits of the positive and negative sides, and the means, in degrees."""
    positive, negative, mean = np.zeros((24, 3)), np.zeros((24, 3)), np.zeros((24, 3))
    for joint, row in LIMITS_DEG.items():
        positive[joint], negative[joint] = np.array(row).T
    for joint, row in MEANS_DEG.items():
        mean[joint] = row
    return positive, negative, mean


def _stood_up(root_deviation: Float[NDArray, "n 3"]) -> Float[NDArray, "n 3"]:
    """Return the published roots (radians about their mean, z up) in the y-up world."""
    import torch

    from monobody.body.rotation import axis_angle_to_matrix, matrix_to_axis_angle, rotation_about

    mean = np.array([np.radians(RELEASED_ROOT_MEAN_DEG), 0.0, 0.0])
    in_z_up = axis_angle_to_matrix(torch.from_numpy(root_deviation + mean))
    return matrix_to_axis_angle(rotation_about("x", -np.pi / 2).to(in_z_up) @ in_z_up).numpy()
