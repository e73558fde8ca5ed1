"""Legs that reach: hip, knee and ankle turned so that the ankle is at a place and the foot as it was (two bones).

Shapes: f frames. Everything is in one frame, that of the root's rotation; the knee keeps the plane in which it bends.
"""

import numpy as np
from jaxtyping import Float

from monobody.body.skeleton import SKELETONS

SIDES = ("left", "right")
_SMPL = SKELETONS["smpl24"]
CHAINS = tuple(tuple(_SMPL.index(f"{side}_{name}") for name in ("hip", "knee", "ankle", "foot")) for side in SIDES)
"""Hip, knee, ankle and ball of each leg."""
_STRETCH = 0.9995
"""Legs are not stretched beyond this share of their length: a straight knee has no plane to bend in."""
_STRAIGHT = 0.05


def leg_joints(
    rotations: Float[np.ndarray, "f 24 3 3"],
    rest_m: Float[np.ndarray, "24 3"],
    pelvis_m: Float[np.ndarray, "f 3"],
    side: int,
) -> tuple[list[Float[np.ndarray, "f 3 3"]], list[Float[np.ndarray, "f 3"]]]:
    """Return the orientations of hip, knee and ankle, and the places of hip, knee, ankle and ball of the foot."""
    hip, knee, ankle, ball = CHAINS[side]
    turns, places = [rotations[:, 0]], [pelvis_m]
    for joint, above in ((hip, 0), (knee, hip), (ankle, knee), (ball, ankle)):
        places.append(places[-1] + turns[-1] @ (rest_m[joint] - rest_m[above]))
        turns.append(turns[-1] @ rotations[:, joint])
    return turns[1:4], places[1:]


def reach(
    rotations: Float[np.ndarray, "f 24 3 3"],
    rest_m: Float[np.ndarray, "24 3"],
    pelvis_m: Float[np.ndarray, "f 3"],
    side: int,
    ankle_m: Float[np.ndarray, "f 3"],
    foot: Float[np.ndarray, "f 3 3"] | None = None,
) -> Float[np.ndarray, "f 24 3 3"]:
    """Return the rotations with one leg reaching for a place.

    Args:
        rotations: relative to the parent, the root's first.
        rest_m: joints of the shape at rest.
        pelvis_m: where the root is.
        side: 0 left, 1 right.
        ankle_m: where the ankle is to be; places out of reach are reached for.
        foot: how the ankle is to be oriented; as it was where left out.
    """
    rotations = np.array(rotations, np.float64)
    hip, knee, ankle, _ = CHAINS[side]
    if foot is None:
        foot = leg_joints(rotations, rest_m, pelvis_m, side)[0][2]
    # The bend is exact for a bent knee; once more settles what is left of a straight one.
    for _ in range(2):
        turns, places = leg_joints(rotations, rest_m, pelvis_m, side)
        upper, lower = places[1] - places[0], places[2] - places[1]
        a, b = np.linalg.norm(upper, axis=1), np.linalg.norm(lower, axis=1)
        wanted = ankle_m - places[0]
        far = np.clip(np.linalg.norm(wanted, axis=1), np.abs(a - b) * 1.001 + 1e-6, (a + b) * _STRETCH)
        bend = np.pi - np.arccos(np.clip((a * a + b * b - far * far) / (2 * a * b), -1, 1))
        side_axis = np.cross(upper, lower) / (a * b)[:, None]
        now = np.arctan2(np.linalg.norm(side_axis, axis=1), (upper * lower).sum(axis=1) / (a * b))
        hinge = turns[0] @ np.array([1.0, 0, 0])
        hinge -= (hinge * upper).sum(axis=1, keepdims=True) * upper / (a * a)[:, None]
        straight = np.linalg.norm(side_axis, axis=1) < _STRAIGHT
        axis = np.where(straight[:, None], hinge, side_axis)
        bent = turning(axis, bend - now)
        aim = shortest_turn(places[1] + np.einsum("fab,fb->fa", bent, lower) - places[0], wanted)
        above = rotations[:, 0]
        rotations[:, hip] = np.swapaxes(above, -1, -2) @ aim @ turns[0]
        rotations[:, knee] = np.swapaxes(turns[0], -1, -2) @ bent @ turns[1]
        rotations[:, ankle] = np.swapaxes(aim @ bent @ turns[1], -1, -2) @ foot
    return rotations


def turning(axis: Float[np.ndarray, "f 3"], angle_rad: Float[np.ndarray, " f"]) -> Float[np.ndarray, "f 3 3"]:
    """Return the rotations about axes of any length by angles (Rodrigues)."""
    x, y, z = (axis / np.maximum(np.linalg.norm(axis, axis=1, keepdims=True), 1e-12)).T
    zero = np.zeros_like(x)
    cross = np.stack([np.stack([zero, -z, y], 1), np.stack([z, zero, -x], 1), np.stack([-y, x, zero], 1)], axis=1)
    sine, versine = np.sin(angle_rad)[:, None, None], (1 - np.cos(angle_rad))[:, None, None]
    return np.eye(3) + sine * cross + versine * (cross @ cross)


def shortest_turn(source: Float[np.ndarray, "f 3"], target: Float[np.ndarray, "f 3"]) -> Float[np.ndarray, "f 3 3"]:
    """Return the smallest rotations that bring directions to others."""
    axis = np.cross(source, target)
    return turning(axis, np.arctan2(np.linalg.norm(axis, axis=1), (source * target).sum(axis=1)))
