"""The way of a body over its footprints: moved so that feet stay where they stand, as little from where it was seen.

What a single camera sees of a place is sure across the line of sight and unsure along it. With s(t) the move of the
body, b(t) where a standing foot was seen, and P_k the footprint of the k-th stand, the sum of

    |s(t)|² / seen²  +  Σ_k |b(t) + s(t) - P_k|² / standing²  +  |(p + s)''(t)|² / calm²

is made least, each axis for itself, by conjugate gradients: nothing in it is larger than the film is long.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

SEEN_M = np.array([0.05, 0.05, 0.08])
"""How far off a place is that was seen: to the right, down, and away from the camera."""
STANDING_M = 0.04
"""How far the legs may reach beside their pose: what the body does not follow, they make up for. With 0.01 the way
would be the feet's alone, and drift as steps come out too short or too long."""
CALM_M_S2 = 6.0
"""How fast walking bodies speed up and slow down."""
_STEPS = 300


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Stand:
    """One stand of one foot: from a frame to before another, and where the foot was seen in these."""

    start: int
    end: int
    place_m: Float[np.ndarray, "n 3"]


def carried(
    pelvis_m: Float[np.ndarray, "f 3"], times_s: Float[np.ndarray, " f"], stands: Sequence[Stand]
) -> tuple[Float[np.ndarray, "f 3"], list[Float[np.ndarray, "3"]]]:
    """Return where the body goes, and the footprint of each stand; places are before the camera."""
    frames = len(pelvis_m)
    moved = np.zeros_like(pelvis_m)
    if stands and frames > 2:
        before, after = np.diff(times_s)[:-1, None], np.diff(times_s)[1:, None]

        def bend(way: Float[np.ndarray, "f 3"]) -> Float[np.ndarray, "f-2 3"]:
            step = np.diff(way, axis=0)
            return (step[1:] / after - step[:-1] / before) / (0.5 * (before + after))

        def unbend(force: Float[np.ndarray, "f-2 3"]) -> Float[np.ndarray, "f 3"]:
            force = force / (0.5 * (before + after))
            result = np.zeros_like(pelvis_m)
            result[2:] += force / after
            result[1:-1] -= force / after + force / before
            result[:-2] += force / before
            return result

        def pulled(way: Float[np.ndarray, "f 3"]) -> Float[np.ndarray, "f 3"]:
            total = way / SEEN_M**2 + unbend(bend(way)) / CALM_M_S2**2
            for stand in stands:
                part = way[stand.start : stand.end]
                total[stand.start : stand.end] += (part - part.mean(axis=0)) / STANDING_M**2
            return total

        wanted = -unbend(bend(pelvis_m)) / CALM_M_S2**2
        for stand in stands:
            wanted[stand.start : stand.end] -= (stand.place_m - stand.place_m.mean(axis=0)) / STANDING_M**2
        moved = _solved(pulled, wanted, _diagonal(frames, times_s, stands))
    prints = [stand.place_m.mean(axis=0) + moved[stand.start : stand.end].mean(axis=0) for stand in stands]
    return pelvis_m + moved, prints


def _diagonal(frames: int, times_s: Float[np.ndarray, " f"], stands: Sequence[Stand]) -> Float[np.ndarray, "f 3"]:
    """Return about the diagonal of what is solved: it makes the steps of different parts alike."""
    standing: Bool[np.ndarray, " f"] = np.zeros(frames, bool)
    for stand in stands:
        standing[stand.start : stand.end] = True
    step_s = float(np.median(np.diff(times_s)))
    return 1 / SEEN_M**2 + standing[:, None] / STANDING_M**2 + 6 / step_s**4 / CALM_M_S2**2


def _solved(pulled, wanted: Float[np.ndarray, "f 3"], diagonal: Float[np.ndarray, "f 3"]) -> Float[np.ndarray, "f 3"]:
    """Return the way that is pulled as wanted (conjugate gradients, three axes side by side)."""
    way, rest = np.zeros_like(wanted), wanted.copy()
    eased = rest / diagonal
    direction, strength = eased.copy(), (rest * eased).sum(axis=0)
    first = np.maximum(strength, 1e-30)
    for _ in range(_STEPS):
        if (strength <= 1e-14 * first).all():
            break
        force = pulled(direction)
        share = strength / np.maximum((direction * force).sum(axis=0), 1e-30)
        way += share * direction
        rest -= share * force
        eased = rest / diagonal
        fresh = (rest * eased).sum(axis=0)
        direction = eased + fresh / np.maximum(strength, 1e-30) * direction
        strength = fresh
    return way
