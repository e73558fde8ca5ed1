"""Which of several poses a person took over time: the path that is likely at every moment and moves least (Viterbi).

A model that answers with several poses and a weight for each may give the right one most weight in most frames; where
it does not, the frames before and after tell. The path minimises

    Σ_t  -log w_t(h_t)  +  Σ_t  CHANGE * d(h_t-1, h_t)² / (σ² Δt² + σ_0²)

with d the root mean square distance of the two poses' joints, about the pelvis. Neither where a person stands counts
nor how bones are turned about themselves: of both a model of single pictures knows least, and where they did, they
chose for their noise (``benchmarks/video_hypotheses.py``).
"""

import numpy as np
from jaxtyping import Float, Int

SPEED = 1.0
"""How far joints move in a second, root mean square, metres: sigma of the motion."""
WAVERING = 0.02
"""How far apart two estimates of one pose are, metres: sigma_0."""


def likeliest_path(
    joints_m: Float[np.ndarray, "f h k 3"],
    weight: Float[np.ndarray, "f h"],
    times_s: Float[np.ndarray, " f"],
    *,
    change: float = 1.0,
) -> Int[np.ndarray, " f"]:
    """Return which hypothesis to take in each frame.

    Args:
        joints_m: of each frame's hypotheses, the pelvis first.
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
    about_m = joints_m - joints_m[:, :, :1]
    best, before = unlikely[0], np.zeros((frames, several), np.int64)
    for frame in range(1, frames):
        moved = ((about_m[frame, None, :] - about_m[frame - 1, :, None]) ** 2).sum(axis=3).mean(axis=2)
        passed_s = float(times_s[frame] - times_s[frame - 1])
        cost = best[:, None] + change * moved / ((SPEED * passed_s) ** 2 + WAVERING**2)
        before[frame] = cost.argmin(axis=0)
        best = cost.min(axis=0) + unlikely[frame]
    path = np.empty(frames, np.int64)
    path[-1] = int(best.argmin())
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = before[frame, path[frame]]
    return path
