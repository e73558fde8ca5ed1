"""Calm motion: rotations smoothed on SO(3), places before the camera by bearing and depth; one knob, in seconds.

A local quadratic is fitted about every frame, with weights that fall off as a Gaussian over time (Savitzky and Golay's
filter, for frames at any times). Rotations are fitted as matrices and brought back to the nearest rotation. A quadratic
keeps the height of gestures that a mean over the same time would flatten. Depth is what a single camera sees worst: it
is smoothed over a longer time than bearing.
"""

import numpy as np
from jaxtyping import Float

DEPTH_FACTOR = 2.0
"""How much longer the depth is smoothed over than everything else."""
_FARTHEST = 3.0
"""Frames farther away than so many standard deviations do not count."""


def smoothed(
    values: Float[np.ndarray, "f d"], times_s: Float[np.ndarray, " f"], seconds: float, weight: Float[np.ndarray, " f"]
) -> Float[np.ndarray, "f d"]:
    """Return values smoothed over time.

    Args:
        values: any numbers.
        times_s: when each was taken, ascending.
        seconds: standard deviation of the weights over time; 0 changes nothing.
        weight: how much each frame counts, above 0.
    """
    if seconds <= 0 or len(values) < 3:
        return values.copy()
    first = np.searchsorted(times_s, times_s - _FARTHEST * seconds, side="left")
    last = np.searchsorted(times_s, times_s + _FARTHEST * seconds, side="right")
    result = np.empty_like(values, np.float64)
    for frame in range(len(values)):
        near = slice(first[frame], last[frame])
        off = (times_s[near] - times_s[frame]) / seconds
        pull = weight[near] * np.exp(-0.5 * off**2)
        # A touch of regularisation takes over where a few frames do not tell a quadratic.
        powers = np.stack([np.ones_like(off), off, off**2])
        normal = (powers * pull) @ powers.T + np.diag([0.0, 1e-3, 1e-2]) * pull.sum()
        filter_ = np.linalg.solve(normal, powers * pull)[0]
        result[frame] = filter_ @ values[near]
    return result


def smoothed_rotations(
    rotations: Float[np.ndarray, "f j 3 3"],
    times_s: Float[np.ndarray, " f"],
    seconds: float,
    weight: Float[np.ndarray, " f"],
) -> Float[np.ndarray, "f j 3 3"]:
    """Return rotations smoothed over time, as :func:`smoothed` has it."""
    flat = rotations.reshape(len(rotations), -1)
    if seconds <= 0 or len(flat) < 3:
        return rotations.astype(np.float64)
    return nearest_rotations(smoothed(flat, times_s, seconds, weight).reshape(rotations.shape))


def smoothed_places(
    places_m: Float[np.ndarray, "f 3"],
    times_s: Float[np.ndarray, " f"],
    seconds: float,
    weight: Float[np.ndarray, " f"],
) -> Float[np.ndarray, "f 3"]:
    """Return places before a camera smoothed over time: the bearing by ``seconds``, the depth by twice as much."""
    depth = np.maximum(places_m[:, 2], 1e-3)
    bearing = smoothed(places_m[:, :2] / depth[:, None], times_s, seconds, weight)
    far = np.exp(smoothed(np.log(depth)[:, None], times_s, DEPTH_FACTOR * seconds, weight))
    return np.concatenate([bearing * far, far], axis=1)


def doubts(
    values: Float[np.ndarray, "f d"], calm: Float[np.ndarray, "f d"], weight: Float[np.ndarray, " f"]
) -> Float[np.ndarray, " f"]:
    """Return the weights without most of what lies far from the calm motion: single frames that went wrong."""
    off = np.linalg.norm(values - calm, axis=1)
    usual = 3 * np.median(off) + 1e-9
    return weight / (1 + (off / usual) ** 2)


def nearest_rotations(matrices: Float[np.ndarray, "*b 3 3"]) -> Float[np.ndarray, "*b 3 3"]:
    """Return the rotation nearest to each matrix (Kabsch)."""
    u, _, vt = np.linalg.svd(matrices)
    u[..., :, 2] *= np.linalg.det(u @ vt)[..., None]
    return u @ vt


class Calmed:
    """The same for frames as they come, without those that are still to come: each answer follows the new one.

    Args:
        seconds: how long a change takes to be followed by two thirds.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._last: tuple[float, np.ndarray, np.ndarray] | None = None

    def __call__(
        self, time_s: float, rotations: Float[np.ndarray, "24 3 3"], place_m: Float[np.ndarray, "3"]
    ) -> tuple[Float[np.ndarray, "24 3 3"], Float[np.ndarray, "3"]]:
        """Return the calmed pose and place of a frame."""
        if self._last is not None and self.seconds > 0 and time_s > self._last[0]:
            share = 1 - np.exp(-(time_s - self._last[0]) / self.seconds)
            rotations = nearest_rotations(self._last[1] + share * (rotations - self._last[1]))
            place_m = self._last[2] + share * (place_m - self._last[2])
        self._last = (time_s, np.asarray(rotations, np.float64), np.asarray(place_m, np.float64))
        return self._last[1], self._last[2]
