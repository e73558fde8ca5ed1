"""People who walk or stand and sway, by formula: feet that stand do not move, so that sliding can be measured.

The world is y up with its floor at y = 0; people face along their way. Legs reach for footprints (``body/legs.py``).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from monobody.body.legs import reach, turning
from monobody.body.skeleton import SKELETONS

STANCE = 0.6
"""The share of a stride in which a foot stands."""
LIFT_M, STEP_ASIDE_M = 0.09, 0.09
_SMPL = SKELETONS["smpl24"]
Path = Callable[[np.ndarray], np.ndarray]
"""Where somebody is at given times: (f) seconds to (f, 2) metres, x and z."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Act:
    """What somebody does: f frames in the world."""

    times_s: Float[np.ndarray, " f"]
    rotations: Float[np.ndarray, "f 24 3 3"]
    pelvis_m: Float[np.ndarray, "f 3"]
    standing: Bool[np.ndarray, "f 2"]
    """Which of the feet (left, right) stand."""


def walk(
    rest_m: Float[np.ndarray, "24 3"],
    floor_m: float,
    path: Path,
    times_s: Float[np.ndarray, " f"],
    *,
    stride_s: float = 0.95,
    phase: float = 0.0,
) -> Act:
    """Walk along a path.

    Args:
        rest_m: joints of the shape at rest, y up.
        floor_m: how high the soles are at rest.
        path: the way of the pelvis.
        times_s: of the frames.
        stride_s: how long two steps take.
        phase: where in a stride the first frame is, 0 to 1.
    """
    cycle = times_s / stride_s + phase
    ahead = path(times_s + 0.02) - path(times_s - 0.02)
    heading = np.unwrap(np.arctan2(ahead[:, 0], ahead[:, 1]))
    swing = np.sin(2 * np.pi * cycle)
    rotations = _upper_body(len(times_s), heading, swing)
    at = path(times_s)
    height = _pelvis_height(rest_m, floor_m, 0.92) + 0.015 * np.cos(4 * np.pi * cycle)
    pelvis_m = np.stack([at[:, 0], height, at[:, 1]], axis=1)
    standing = np.empty((len(times_s), 2), bool)
    for side in (0, 1):
        own = cycle + 0.5 * side
        number, share = np.floor(own), own % 1.0
        standing[:, side] = share < STANCE
        place = _footprint(path, (number - 0.5 * side - phase + STANCE / 2) * stride_s, side)
        following = _footprint(path, (number + 1 - 0.5 * side - phase + STANCE / 2) * stride_s, side)
        moved = np.clip((share - STANCE) / (1 - STANCE), 0, 1)
        eased = moved * moved * (3 - 2 * moved)
        ankle_m = place[0] + eased[:, None] * (following[0] - place[0])
        ankle_m[:, 1] = _ankle_height(rest_m, floor_m, side) + LIFT_M * np.sin(np.pi * moved) ** 2
        yaw = place[1] + eased * (following[1] - place[1])
        pitch = 0.5 * np.sin(np.pi * moved) ** 2
        foot = _yaw(yaw) @ turning(np.tile([1.0, 0, 0], (len(yaw), 1)), pitch)
        rotations = reach(rotations, rest_m, pelvis_m, side, ankle_m, foot)
    return Act(times_s=times_s, rotations=rotations, pelvis_m=pelvis_m, standing=standing)


def sway(
    rest_m: Float[np.ndarray, "24 3"],
    floor_m: float,
    place_m: tuple[float, float],
    heading_rad: float,
    times_s: Float[np.ndarray, " f"],
    *,
    seed: int = 0,
) -> Act:
    """Stand at a place, shift one's weight and wave one's arms; both feet stay where they are."""
    generator = np.random.default_rng(seed)
    speed, start = generator.uniform(1.2, 2.2, 6), generator.uniform(0, 2 * math.pi, 6)
    waves = np.sin(speed * times_s[:, None] + start)
    heading = np.full(len(times_s), heading_rad)
    rotations = _upper_body(len(times_s), heading + 0.15 * waves[:, 0], 0.3 * waves[:, 1])
    for column, (name, sign) in enumerate((("left", -1.0), ("right", 1.0))):
        lifted = 1.2 - 0.8 * (1 + waves[:, 2 + column]) / 2
        rotations[:, _SMPL.index(f"{name}_shoulder")] = _about("z", sign * lifted)
        rotations[:, _SMPL.index(f"{name}_elbow")] = _about("y", sign * (0.7 + 0.5 * waves[:, 4 + column]))
    side = _yaw(heading)[:, :, 0]
    height = _pelvis_height(rest_m, floor_m, 0.93) + 0.015 * waves[:, 2]
    pelvis_m = np.stack([np.full(len(times_s), place_m[0]), height, np.full(len(times_s), place_m[1])], axis=1)
    pelvis_m = pelvis_m + 0.04 * waves[:, 1:2] * side
    for foot in (0, 1):
        ankle_m = np.array([place_m[0], 0.0, place_m[1]]) + (1, -1)[foot] * 1.3 * STEP_ASIDE_M * side
        ankle_m[:, 1] = _ankle_height(rest_m, floor_m, foot)
        rotations = reach(rotations, rest_m, pelvis_m, foot, ankle_m, _yaw(heading + (0.2, -0.2)[foot]))
    return Act(times_s=times_s, rotations=rotations, pelvis_m=pelvis_m, standing=np.ones((len(times_s), 2), bool))


def straight(start_m: tuple[float, float], end_m: tuple[float, float], seconds: float) -> Path:
    """Return the way from one place to another at constant speed, and on."""
    first, last = np.array(start_m), np.array(end_m)
    return lambda times_s: first + np.asarray(times_s)[:, None] / seconds * (last - first)


def circle(centre_m: tuple[float, float], radius_m: float, seconds: float, start_rad: float = 0.0) -> Path:
    """Return the way round a circle."""
    middle = np.array(centre_m)

    def path(times_s: np.ndarray) -> np.ndarray:
        angle = start_rad + 2 * math.pi * np.asarray(times_s) / seconds
        return middle + radius_m * np.stack([np.sin(angle), np.cos(angle)], axis=1)

    return path


def _footprint(path: Path, times_s: np.ndarray, side: int) -> tuple[Float[np.ndarray, "f 3"], Float[np.ndarray, " f"]]:
    """Return where a foot stands whose stance has its middle at these times, and which way it points."""
    at, ahead = path(times_s), path(times_s + 0.02) - path(times_s - 0.02)
    yaw = np.unwrap(np.arctan2(ahead[:, 0], ahead[:, 1]))
    aside = _yaw(yaw)[:, :, 0] * (STEP_ASIDE_M, -STEP_ASIDE_M)[side]
    return np.stack([at[:, 0], np.zeros(len(at)), at[:, 1]], axis=1) + aside, yaw


def _upper_body(frames: int, heading: np.ndarray, swing: np.ndarray) -> Float[np.ndarray, "f 24 3 3"]:
    """Return somebody upright whose arms swing against their legs; knees a little bent, so that they know how to."""
    rotations = np.tile(np.eye(3), (frames, 24, 1, 1))
    rotations[:, 0] = _yaw(heading)
    for name, sign in (("left", 1.0), ("right", -1.0)):
        down = _about("z", np.full(frames, -1.2 * sign))
        rotations[:, _SMPL.index(f"{name}_shoulder")] = _about("x", sign * 0.45 * swing) @ down
        rotations[:, _SMPL.index(f"{name}_elbow")] = _about("y", -sign * (0.35 + 0.15 * sign * swing))
        rotations[:, _SMPL.index(f"{name}_hip")] = _about("x", np.full(frames, -0.3))
        rotations[:, _SMPL.index(f"{name}_knee")] = _about("x", np.full(frames, 0.6))
    rotations[:, _SMPL.index("spine2")] = _about("y", 0.12 * swing)
    rotations[:, _SMPL.index("spine1")] = _about("x", np.full(frames, 0.05))
    return rotations


def _pelvis_height(rest_m: np.ndarray, floor_m: float, share: float) -> float:
    """Return how high the pelvis is when the legs are so far stretched."""
    hip, ankle = (rest_m[_SMPL.index(f"left_{name}"), 1] for name in ("hip", "ankle"))
    return float(rest_m[0, 1] - hip + share * (hip - ankle) + ankle - floor_m)


def _ankle_height(rest_m: np.ndarray, floor_m: float, side: int) -> float:
    return float(rest_m[_SMPL.index(("left_ankle", "right_ankle")[side]), 1] - floor_m)


def _about(axis: str, angle_rad: np.ndarray) -> Float[np.ndarray, "f 3 3"]:
    return turning(np.tile(np.array([float(axis == name) for name in "xyz"]), (len(angle_rad), 1)), angle_rad)


def _yaw(angle_rad: np.ndarray) -> Float[np.ndarray, "f 3 3"]:
    return _about("y", np.asarray(angle_rad, np.float64))
