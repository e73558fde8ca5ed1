"""Motions for tests: people who turn every joint smoothly and walk about, without any network."""

import numpy as np
import torch
from scenes import HEIGHT, WIDTH, shipped_body

from monobody.body.rotation import axis_angle_to_matrix
from monobody.camera import Camera
from monobody.models.hmr import standing_pose
from monobody.motion import Hypotheses, Motion, Track


def waving(frames: int, seed: int, spread_rad: float = 0.5) -> np.ndarray:
    """Smooth rotations (f, 24, 3, 3) of a person who stands before the camera."""
    generator = np.random.default_rng(seed)
    time = np.linspace(0, 2, frames)[:, None, None]
    phase, speed = generator.uniform(0, 6, (1, 24, 3)), generator.uniform(1, 4, (1, 24, 3))
    angles = torch.from_numpy(np.sin(speed * time + phase) * spread_rad)
    return (axis_angle_to_matrix(standing_pose()).double() @ axis_angle_to_matrix(angles)).numpy()


def track(person: int, frames: np.ndarray, seed: int, several: int = 1) -> Track:
    """One person who walks on a curve while waving."""
    count = len(frames)
    generator = np.random.default_rng(seed)
    time = np.linspace(0, 2, count)[:, None]
    path = np.concatenate([np.sin(time), 0.1 * np.cos(3 * time) + 0.2, 4 + time], axis=1) + generator.normal(size=3) / 5
    poses = np.stack([waving(count, seed + 10 * h) for h in range(several)])
    betas = generator.normal(size=(several, 10))
    weight = np.tile(np.linspace(1, 0.5, several)[:, None], (1, count))
    many = Hypotheses(
        rotations=poses, betas=betas, translation_m=np.stack([path + 0.01 * h for h in range(several)]),
        weight=weight / weight.sum(0),
    )  # fmt: skip
    return Track(
        id=person,
        frames=frames,
        rotations=poses[0],
        betas=betas[0],
        translation_m=path,
        seen=np.ones(count, bool),
        score=np.full(count, 0.9),
        hypotheses=many if several > 1 else None,
    )


def waving_motion(*, people: int = 2, frames: int = 12, fps: float = 25.0, several: int = 1, seed: int = 5) -> Motion:
    """A clip in which everybody is in all frames."""
    return Motion(
        times_s=np.arange(frames) / fps,
        tracks=tuple(track(person, np.arange(frames), seed + person, several) for person in range(people)),
        camera=Camera(focal_px=800.0, principal_px=(WIDTH / 2, HEIGHT / 2), source="default"),
        width_px=WIDTH,
        height_px=HEIGHT,
        body_digest=shipped_body().digest,
        model="random",
        terms="test",
        name="waving",
        versions={"monobody": "0"},
        body=shipped_body(),
    )
