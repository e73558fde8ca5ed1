"""What the detector said about people whose joints or bodies are known, kept in one file to train a lifter on.

`scripts/read_landmarks.py` makes it. Every row is one person in the frame of the crop that the detector chose; the
arrays are named as in a training batch.
"""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from monobody.body.landmarks import FLIP
from monobody.body.skeleton import SKELETONS
from monobody.errors import UserError
from monobody.files import atomic_write

TURN_RAD = 0.25
"""Deviation of the angle by which drawn rows are turned in the picture's plane."""
SIGNS = np.array([-1.0, 1.0, 1.0], np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Readings:
    """n people: the lifter's input, then what is known. Crop coordinates; metres in the crop's camera frame."""

    image: np.ndarray
    """n, 35, 2."""
    score: np.ndarray
    """n, 35."""
    world_m: np.ndarray
    """n, 35, 3."""
    world_score: np.ndarray
    """n, 35."""
    keypoints_2d: np.ndarray
    """n, 14, 2: LSP's joints."""
    visible: np.ndarray
    """n, 14."""
    joints_3d: np.ndarray
    """n, 14, 3."""
    has_joints_3d: np.ndarray
    """n."""
    rotations: np.ndarray
    """n, 24, 3, 3."""
    betas: np.ndarray
    """n, 10."""
    has_body: np.ndarray
    """n."""

    @staticmethod
    def load(path: str | Path) -> "Readings":
        """Read a file of readings.

        Raises:
            UserError: it is missing or no such file.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                return Readings(**{field.name: file[field.name].astype(np.float32) for field in fields(Readings)})
        except Exception as error:  # Archives of damaged bytes raise nearly anything.
            raise UserError(f"{path} holds no readings: {error}. Make it with scripts/read_landmarks.py.") from error

    def save(self, path: str | Path) -> None:
        """Write the readings as one compressed npz file."""
        with atomic_write(path, suffix=".npz") as temporary:
            np.savez_compressed(temporary, allow_pickle=False, **self._arrays())

    def __len__(self) -> int:
        return len(self.image)

    def all(self) -> dict[str, Tensor]:
        """Return every row."""
        return {name: torch.from_numpy(array) for name, array in self._arrays().items()}

    def sample(self, n: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """Draw rows, half of the people of 3D truth where there are any; mirror half of them and turn all a little."""
        known = np.flatnonzero(self.has_body > 0)
        others = np.flatnonzero(self.has_body == 0)
        pools = [pool for pool in (known, others) if len(pool)]
        chosen = np.concatenate(
            [rng.choice(pool, n // len(pools) + (i < n % len(pools))) for i, pool in enumerate(pools)]
        )
        rows = {name: array[chosen] for name, array in self._arrays().items()}
        swapped, swap = mirrored(rows), rng.random(n) < 0.5
        rows = {
            name: np.where(swap.reshape(-1, *[1] * (array.ndim - 1)), swapped[name], array)
            for name, array in rows.items()
        }
        rows = turned(rows, TURN_RAD * rng.normal(size=n))
        return {name: torch.from_numpy(array) for name, array in rows.items()}

    def _arrays(self) -> dict[str, np.ndarray]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def concatenate(parts: list[Readings]) -> Readings:
    """Return several files' readings as one."""
    return Readings(
        **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Readings)}
    )


def mirrored(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the rows that the mirrored pictures would have given."""
    flip, lsp = list(FLIP), list(SKELETONS["lsp14"].flip)
    body = list(SKELETONS["smpl24"].flip)
    return rows | {
        "image": rows["image"][:, flip] * SIGNS[:2],
        "score": rows["score"][:, flip],
        "world_m": rows["world_m"][:, flip] * SIGNS,
        "world_score": rows["world_score"][:, flip],
        "keypoints_2d": rows["keypoints_2d"][:, lsp] * SIGNS[:2],
        "visible": rows["visible"][:, lsp],
        "joints_3d": rows["joints_3d"][:, lsp] * SIGNS,
        "rotations": rows["rotations"][:, body] * SIGNS[:, None] * SIGNS,
    }


def turned(rows: dict[str, np.ndarray], angle_rad: np.ndarray) -> dict[str, np.ndarray]:
    """Return the rows as crops turned by the negative of these angles would have had them."""
    cos, sin, zero = np.cos(angle_rad), np.sin(angle_rad), np.zeros_like(angle_rad)
    turn = np.stack([cos, -sin, zero, sin, cos, zero, zero, zero, zero + 1], -1).reshape(-1, 3, 3).astype(np.float32)
    plane, space = turn[:, :2, :2].transpose(0, 2, 1), turn.transpose(0, 2, 1)
    rotations = rows["rotations"].copy()
    rotations[:, 0] = turn @ rotations[:, 0]
    return rows | {
        "image": rows["image"] @ plane,
        "keypoints_2d": rows["keypoints_2d"] @ plane,
        "world_m": rows["world_m"] @ space,
        "joints_3d": rows["joints_3d"] @ space,
        "rotations": rotations,
    }
