"""Which of several poses a person took over time: the path that is likely at every moment and moves least (Viterbi).

A model that answers with several poses and a weight for each may give the right one most weight in most frames; where
it does not, the frames before and after tell. The path minimises

    Σ_t  -log w_t(h_t)  +  Σ_t  CHANGE * d(h_t-1, h_t)² / (σ² Δt + σ_0²)

with d the root mean square distance of the two poses' joint turns, radians, and of their places.
"""

import numpy as np
from jaxtyping import Float, Int

TURNING = 1.5
"""How far joints turn in a second, root mean square, radians: sigma of the motion."""
WAVERING = 0.07
"""How far apart two estimates of one pose are, radians: sigma_0."""
METRE = 1.0
"""What a metre of the place counts in radians."""


def likeliest_path(
    rotations: Float[np.ndarray, "f h 24 3 3"],
    places_m: Float[np.ndarray, "f h 3"],
    weight: Float[np.ndarray, "f h"],
    times_s: Float[np.ndarray, " f"],
    *,
    change: float = 1.0,
) -> Int[np.ndarray, " f"]:
    """Return which hypothesis to take in each frame.

    Args:
        rotations: of each frame's hypotheses.
        places_m: where each stands.
        weight: how much the model believes in each; 0 for those that are none.
        times_s: when each frame was taken.
        change: what a change costs in comparison to the weights; 0 takes the heaviest of each frame.
    """
    frames, several = weight.shape
    if several == 1:
        return np.zeros(frames, np.int64)
    total = np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)
    unlikely = -np.log(np.maximum(weight / total, 1e-9))
    unlikely[weight <= 0] = 1e6
    # Half the squared change of a rotation's nine numbers is about the squared angle.
    features = np.concatenate(
        [rotations.reshape(frames, several, -1) / np.sqrt(2 * 24), METRE * np.asarray(places_m)], axis=2
    )
    best, before = unlikely[0], np.zeros((frames, several), np.int64)
    for frame in range(1, frames):
        moved = ((features[frame, None, :] - features[frame - 1, :, None]) ** 2).sum(axis=2)
        passed_s = float(times_s[frame] - times_s[frame - 1])
        cost = best[:, None] + change * moved / ((TURNING * passed_s) ** 2 + WAVERING**2)
        before[frame] = cost.argmin(axis=0)
        best = cost.min(axis=0) + unlikely[frame]
    path = np.empty(frames, np.int64)
    path[-1] = int(best.argmin())
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = before[frame, path[frame]]
    return path
