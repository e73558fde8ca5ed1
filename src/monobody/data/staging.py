"""Who stands how before which camera: poses, shapes, views and distances of synthetic people.

Poses come from motion capture (or the shipped prior, which was learnt from it), varied: the upper body of one with
the lower body of another, a little noise on every joint, and a share of wide random poses within rough joint limits,
since motion capture hardly knows gymnasts. Views are mostly level, sometimes from far above or below; a share of the
bodies is turned freely in space, because people in photos lie, fall and stand on their hands.

Frames: the world is y up; the camera looks along its +z, x right, y down.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from monobody.body.rotation import axis_angle_to_matrix
from monobody.data.curated_poses import CuratedPoses
from monobody.data.pose_bank import PoseBank

if TYPE_CHECKING:
    from monobody.body.prior import PosePrior

    Poses = PoseBank | PosePrior | CuratedPoses

_UPPER_BODY = [9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21]

_DEG = math.pi / 180
# Rough limits of the left side and the midline in degrees, (low, high) about x, y and z of the T-posed body: bending
# a hip forward is negative x, lifting the left leg sideways positive z, lowering the left arm negative z.
_WIDE_LIMITS = {
    1: ((-115, 40), (-25, 25), (-15, 50)),
    3: ((-15, 35), (-20, 20), (-15, 15)),
    4: ((0, 125), (0, 0), (0, 0)),
    6: ((-10, 20), (-15, 15), (-12, 12)),
    9: ((-5, 10), (-10, 10), (-8, 8)),
    12: ((-20, 25), (-35, 35), (-15, 15)),
    15: ((-15, 20), (-25, 25), (-12, 12)),
    16: ((-60, 60), (-100, 50), (-85, 85)),
    18: ((-25, 25), (-125, 0), (0, 0)),
}
_MIDLINE = (3, 6, 9, 12, 15)


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """A camera's place relative to a person."""

    world_from_camera: Float[np.ndarray, "3 3"]
    distance_m: float
    """From the camera to the person's hips."""
    heading_rad: float | None
    """Where the person faces: 0 towards the camera, about the vertical. None: turned freely (see ``turn``)."""
    turn: Float[np.ndarray, "3 3"]
    """Turn of the body in the world, after its pose's own."""


def sample_rotations(
    poses: "Poses", count: int, rng: np.random.Generator, *, held_out: bool
) -> Float[np.ndarray, "n 24 3 3"]:
    """Draw joint rotations; the root turns the body to the y-up world. Curated poses come as they are, not varied."""
    if isinstance(poses, CuratedPoses):
        return to_matrices(poses.sample(count, rng))
    if isinstance(poses, PoseBank):
        drawn = poses.sample(2 * count, rng, held_out=held_out)
        rotations = to_matrices(drawn)
    else:
        import torch

        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        rotations = poses.sample(2 * count, generator).numpy().astype(np.float32)
    first, second = rotations[:count], rotations[count:]
    mixed = rng.random(count) < 0.25
    for joint in _UPPER_BODY:
        first[mixed, joint] = second[mixed, joint]
    if not held_out:
        for index in np.flatnonzero(rng.random(count) < 0.2):
            first[index] = wide_pose(rng)
    spread = np.full((24, 1), 0.06)
    spread[[7, 8, 10, 11, 15, 20, 21]] = 0.14
    spread[0] = 0
    return (first @ to_matrices(spread * rng.normal(size=(count, 24, 3)))).astype(np.float32)


def wide_pose(rng: np.random.Generator) -> Float[np.ndarray, "24 3 3"]:
    """Draw a random pose within rough joint limits; each angle is near one of its limits or near rest."""
    angles = np.zeros((24, 3))
    for joint, limits in _WIDE_LIMITS.items():
        for target in (joint,) if joint in _MIDLINE else (joint, joint + 1):
            low, high = np.array(limits, float).T
            toward = np.where(rng.random(3) < 0.5, low, high)
            drawn = toward * np.abs(np.clip(rng.normal(size=3), -2, 2)) / 2 * (rng.random(3) < 0.75)
            # Arms rest at the sides, not in the T-pose, in half of the draws.
            if joint == 16 and rng.random() < 0.5:
                drawn[2] = rng.normal(-60, 15)
            angles[target] = drawn if target == joint else drawn * (1, -1, -1)
    return to_matrices(angles * _DEG)


def sample_view(rng: np.random.Generator, *, unusual: float = 0.3) -> View:
    """Draw a camera: near or far, level or from above or below, upright or rolled.

    ``unusual`` is the share of freely turned bodies, rolled cameras and steep views.
    """
    kind = rng.random() / max(unusual, 1e-9)
    roll = rng.normal(0, 4 * _DEG)
    elevation = rng.normal(7, 10) * _DEG
    turn, heading = np.eye(3), rng.uniform(-math.pi, math.pi)
    if rng.random() < 0.35:
        heading = rng.normal(0, 35 * _DEG)
    if kind < 0.45:
        turn, heading = random_rotation(rng), None
    elif kind < 0.85:
        elevation = rng.uniform(20, 80) * _DEG if rng.random() < 0.7 else -rng.uniform(10, 60) * _DEG
    elif kind < 1:
        roll = rng.uniform(-math.pi, math.pi)
    camera_from_world = rotation_z(roll) @ rotation_x(elevation) @ np.diag([1.0, -1.0, -1.0])
    return View(
        world_from_camera=camera_from_world.T.astype(np.float32),
        distance_m=math.exp(rng.uniform(math.log(2.0), math.log(12.0))),
        heading_rad=heading,
        turn=turn,
    )


def root_in_camera(root_world: Float[np.ndarray, "3 3"], view: View) -> Float[np.ndarray, "3 3"]:
    """Return the root rotation in the camera frame of a body with this orientation in the world."""
    turn = view.turn
    if view.heading_rad is not None:
        facing = root_world[:, 2]
        # A body on its back faces up; its heading is then where its head points away from.
        flat = facing if abs(facing[1]) < 0.8 else -math.copysign(1, facing[1]) * root_world[:, 1]
        turn = rotation_y(view.heading_rad - math.atan2(flat[0], flat[2]))
    return (view.world_from_camera.T @ turn @ root_world).astype(np.float32)


def sample_shapes(poses: "Poses", count: int, rng: np.random.Generator) -> Float[np.ndarray, "n 10"]:
    """Draw the shape coefficients of people who take these poses."""
    if isinstance(poses, CuratedPoses):
        return poses.sample_betas(count, rng)
    return np.stack([sample_betas(rng) for _ in range(count)])


def sample_betas(rng: np.random.Generator, *batch: int) -> Float[np.ndarray, "*batch 10"]:
    """Draw shape coefficients, a little wider than the population."""
    return np.clip(1.1 * rng.normal(size=(*batch, 10)), -3, 3).astype(np.float32)


def to_matrices(axis_angle: Float[np.ndarray, "*b 3"]) -> Float[np.ndarray, "*b 3 3"]:
    """Turn axis-angle vectors into float32 rotation matrices."""
    import torch

    return axis_angle_to_matrix(torch.from_numpy(np.asarray(axis_angle, np.float32))).numpy()


def random_rotation(rng: np.random.Generator) -> Float[np.ndarray, "3 3"]:
    """Draw a uniformly random rotation."""
    w, x, y, z = (q := rng.normal(size=4)) / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def rotation_x(angle_rad: float) -> Float[np.ndarray, "3 3"]:
    """Return the rotation about x."""
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])


def rotation_y(angle_rad: float) -> Float[np.ndarray, "3 3"]:
    """Return the rotation about y, which takes +z towards +x."""
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])


def rotation_z(angle_rad: float) -> Float[np.ndarray, "3 3"]:
    """Return the rotation about z."""
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
