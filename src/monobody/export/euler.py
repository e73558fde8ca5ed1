"""Rotations as three angles, for files that know nothing better; without jumps from frame to frame."""

import numpy as np
from jaxtyping import Float


def euler_degrees(rotations: Float[np.ndarray, "f *b 3 3"], axes: str) -> Float[np.ndarray, "f *b 3"]:
    """Return the angles a, b, c in degrees with R = R_first(a) R_second(b) R_third(c).

    Of the two triples for each rotation, and of angles a full turn apart, the one nearest to the frame before is
    taken. At the gimbal lock, where only a + c or a - c is determined, a is the frame's before.

    Args:
        rotations: time first.
        axes: such as "ZXY", each axis once; the first named acts last.
    """
    i, j, k = ("XYZ".index(axis) for axis in axes)
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    r = rotations.astype(np.float64)
    middle = np.arcsin(np.clip(sign * r[..., i, k], -1, 1))
    first = np.arctan2(-sign * r[..., j, k], r[..., k, k])
    last = np.arctan2(-sign * r[..., i, j], r[..., i, i])
    locked = np.hypot(r[..., i, i], r[..., i, j]) < 1e-6
    # Locked, R = R_i(a) R_j(±90°) R_k(c) depends on a ± c alone.
    together = np.arctan2(r[..., k, j], r[..., j, j])
    angles = np.stack([np.where(locked, together, first), middle, np.where(locked, 0.0, last)], axis=-1)
    chosen = np.empty_like(angles)
    chosen[0] = angles[0]
    for frame in range(1, len(angles)):
        before = chosen[frame - 1]
        a, b, c = np.moveaxis(angles[frame], -1, 0)
        # At the lock a change of the first angle is made up for by the last.
        shift = np.where(locked[frame], before[..., 0] - a, 0.0)
        same = np.stack([a + shift, b, c - np.sign(b) * shift], axis=-1)
        other = np.stack([a + np.pi, np.pi - b, c + np.pi], axis=-1)
        same, other = _near(same, before), _near(other, before)
        nearer = np.abs(other - before).sum(-1) < np.abs(same - before).sum(-1)
        chosen[frame] = np.where((nearer & ~locked[frame])[..., None], other, same)
    return np.rad2deg(chosen)


def _near(angles: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Add full turns until angles are within half a turn of what was before."""
    return angles + 2 * np.pi * np.round((before - angles) / (2 * np.pi))
