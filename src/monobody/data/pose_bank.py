"""The pose bank: motion capture on the 24-joint body, sampled so that rare poses are not drowned.

Motion capture is mostly people who walk upright; photos are not. Each pose therefore carries two weights, both
computed when the bank is built (:func:`balanced_weights`):

- ``balanced``: half of the mass is shared equally by named actions, half by clusters of similar poses, so that ten
  frames of a handstand weigh as much as a thousand frames of walking;
- ``unusual``: the cluster half again, times how far the trunk is from upright and how widely the limbs reach.
  Gymnastics and parkour photos look like this.

Rotations are axis-angle (24, 3) in radians; the root turns the body frame (y up, facing +z) to a y-up world. Motion
capture that was fitted with a body model (AMASS, MoSh) also knows who moved: one row of shape coefficients a pose, in
the shape space that the bank names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from monobody.body.skeleton import SKELETONS
from monobody.errors import UserError
from monobody.files import atomic_write

_FLIP = np.array(SKELETONS["smpl24"].flip)


@dataclass(frozen=True, kw_only=True, slots=True)
class PoseBank:
    """Poses of real people with their origin and sampling weights; see the module for what the weights mean."""

    rotations_aa: Float[NDArray, "n 24 3"]
    source: NDArray
    clip: NDArray
    action: NDArray
    held_out: Bool[NDArray, " n"]
    balanced: Float[NDArray, " n"]
    unusual: Float[NDArray, " n"]
    betas: Float[NDArray, "n 10"] | None = None
    """Who moved, in ``shape_space``; None where nobody knows."""
    shape_space: str = "monobody"
    """Which body's coefficients ``betas`` are: the shipped body's, or "smpl"."""
    shape_spaces: NDArray | None = None
    """The same of each pose, where a bank has people of several bodies; ``shape_space`` means nothing then."""

    @staticmethod
    def load(path: str | Path) -> "PoseBank":
        """Read a bank written by :meth:`save` (``scripts/build_pose_bank.py``).

        Raises:
            UserError: the file is missing, unreadable, or not a pose bank.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                return PoseBank(**_read(file))
        except Exception as error:  # Archives of damaged bytes raise nearly anything.
            raise UserError(f"{path} is not a pose bank: {error}. Make one with scripts/build_pose_bank.py.") from error

    def save(self, path: str | Path) -> None:
        """Write the bank as one compressed npz file."""
        with atomic_write(path, suffix=".npz") as temporary:
            columns: dict[str, Any] = self.columns()
            np.savez_compressed(temporary, **columns, shape_space=np.array(self.shape_space))

    def __len__(self) -> int:
        return len(self.rotations_aa)

    def has_shape(self, space: str) -> Bool[NDArray, " n"]:
        """Return of which poses ``betas`` has the shape in that space."""
        spaces = np.full(len(self), self.shape_space) if self.shape_spaces is None else self.shape_spaces
        return (spaces == space) & (self.betas is not None)

    def columns(self) -> dict[str, NDArray]:
        """Return what the bank knows of each pose by name: arrays with one row a pose."""
        named = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "shape_space"}
        return {name: column for name, column in named.items() if column is not None}

    def sample(
        self,
        n: int,
        rng: np.random.Generator,
        *,
        held_out: bool = False,
        unusual: float = 0.3,
        mirror: bool = True,
    ) -> Float[NDArray, "n 24 3"]:
        """Draw ``n`` poses as axis-angle rotations, float32.

        Args:
            n: how many.
            rng: the only source of chance, so that equal seeds give equal poses.
            held_out: draw from the held-out clips, and from nothing else, instead of the training clips.
            unusual: share of the draws that favour tilted trunks and wide limbs, 0 to 1.
            mirror: swap left and right in half of the draws.
        """
        index = self.sample_index(n, rng, held_out=held_out, unusual=unusual)
        poses = self.rotations_aa[index]
        if mirror:
            swap = rng.random(n) < 0.5
            poses[swap] = mirrored(poses[swap])
        return poses.astype(np.float32, copy=False)

    def sample_index(
        self, n: int, rng: np.random.Generator, *, held_out: bool = False, unusual: float = 0.3
    ) -> Int[NDArray, " n"]:
        """Draw ``n`` rows of the bank, with replacement; arguments as in :meth:`sample`."""
        members, cumulative = self.chances(held_out=held_out, unusual=unusual)
        return members[np.searchsorted(cumulative, rng.random(n), side="right")]

    def chances(
        self, *, held_out: bool = False, unusual: float = 0.3
    ) -> tuple[Int[NDArray, " members"], Float[NDArray, " members"]]:
        """Return the rows that may be drawn and the sums of their chances up to each; arguments as in :meth:`sample`.

        Raises:
            UserError: the bank has no such poses.
        """
        members = np.flatnonzero(self.held_out == held_out)
        if not len(members):
            raise UserError(f"The pose bank has no {'held-out' if held_out else 'training'} poses. Build it again.")
        balanced, strange = self.balanced[members].astype(np.float64), self.unusual[members].astype(np.float64)
        weights = (1 - unusual) * balanced / balanced.sum() + unusual * strange / strange.sum()
        cumulative = np.cumsum(weights)
        return members, cumulative / cumulative[-1]


def _read(file: Mapping[str, NDArray]) -> dict[str, Any]:
    """Return a bank's fields; the earlier ones are in every bank, betas and their space only where somebody fitted."""
    content: dict[str, Any] = {
        each.name: file[each.name] for each in fields(PoseBank) if each.name in file or each.name not in _OPTIONAL
    }
    if "shape_space" in content:
        content["shape_space"] = str(content["shape_space"])
    return content


_OPTIONAL = ("betas", "shape_space", "shape_spaces")


def mirrored(rotations_aa: Float[NDArray, "*b 24 3"]) -> Float[NDArray, "*b 24 3"]:
    """Swap left and right of poses: the axis-angle form of a reflection in the body's yz plane."""
    return rotations_aa[..., _FLIP, :] * np.array([1, -1, -1], rotations_aa.dtype)


def balanced_weights(
    joints_m: Float[NDArray, "n 24 3"],
    action: NDArray,
    held_out: Bool[NDArray, " n"],
    *,
    clusters: int = 400,
) -> tuple[Float[NDArray, " n"], Float[NDArray, " n"]]:
    """Compute the ``balanced`` and ``unusual`` sampling weights of posed joints (y-up world, metres).

    Training and held-out poses are weighted apart. Clusters are found on joint positions about the pelvis with the
    turn about the vertical taken out, so lying, sitting, bent and inverted bodies fall in clusters of their own.
    """
    balanced, unusual = np.zeros(len(joints_m)), np.zeros(len(joints_m))
    canonical = _facing_forward(joints_m)
    for part in (held_out, ~held_out):
        members = np.flatnonzero(part)
        if not len(members):
            continue
        label = _cluster(canonical[members].reshape(len(members), -1), min(clusters, len(members)))
        by_cluster = _equal_shares(label)
        by_action = _equal_shares(np.unique(action[members], return_inverse=True)[1])
        balanced[members] = 0.5 * by_cluster + 0.5 * by_action
        weight = by_cluster * _unusualness(canonical[members])
        unusual[members] = weight / weight.sum()
    return balanced.astype(np.float32), unusual.astype(np.float32)


def _facing_forward(joints_m: Float[NDArray, "n 24 3"]) -> Float[NDArray, "n 24 3"]:
    """Move the pelvis to the origin and turn about the vertical so that the hips' axis points along x."""
    relative = joints_m - joints_m[:, :1]
    hips = relative[:, 1] - relative[:, 2]
    angle = np.arctan2(-hips[:, 2], hips[:, 0])
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y, z = np.moveaxis(relative, -1, 0)
    return np.stack([cos * x - sin * z, y, sin * x + cos * z], -1)


def _unusualness(canonical: Float[NDArray, "n 24 3"]) -> Float[NDArray, " n"]:
    """Score poses from about 0 (upright, arms and legs together) to about 2 (inverted or lying, limbs far apart)."""
    trunk = canonical[:, 12]
    tilt = np.arccos(np.clip(trunk[:, 1] / np.linalg.norm(trunk, axis=1), -1, 1))
    reach = np.linalg.norm(canonical[:, 20] - canonical[:, 21], axis=1)
    stride = np.linalg.norm(canonical[:, 7] - canonical[:, 8], axis=1)
    # One radian of tilt is a deep bow; arms and legs spread to 2.2 m in sum are a jumping jack.
    return 0.02 + np.clip(tilt / 1.2, 0, 1) ** 2 + np.clip((reach + stride - 0.9) / 1.3, 0, 1) ** 2


def _equal_shares(label: Int[NDArray, " n"]) -> Float[NDArray, " n"]:
    """Give each label the same total weight, shared equally by its members; the sum is one."""
    count = np.bincount(label)
    return 1 / (count[label] * np.count_nonzero(count))


def _cluster(points: Float[NDArray, "n d"], k: int, rounds: int = 12, learn_from: int = 100_000) -> Int[NDArray, " n"]:
    """Assign points to ``k`` means spread by farthest-point seeding, which finds rare poses, and refined by Lloyd.

    The means are found on ``learn_from`` of the points, evenly spread, where there are more.
    """
    learnt = points[:: -(-len(points) // learn_from)].astype(np.float64)
    squared = (learnt**2).sum(1)
    distance = np.full(len(learnt), np.inf)
    centres = np.empty((k, points.shape[1]))
    chosen = 0
    for i in range(k):
        centres[i] = learnt[chosen]
        distance = np.minimum(distance, squared - 2 * (learnt @ centres[i]) + squared[chosen])
        chosen = int(distance.argmax())
    for _ in range(rounds - 1):
        label = _nearest(learnt, centres)
        total = np.stack([np.bincount(label, column, minlength=k) for column in learnt.T], axis=1)
        count = np.bincount(label, minlength=k)[:, None]
        centres = np.where(count > 0, total / np.maximum(count, 1), centres)
    return _nearest(points, centres)


def _nearest(
    points: Float[NDArray, "n d"], centres: Float[NDArray, "k d"], at_once: int = 50_000
) -> Int[NDArray, " n"]:
    """Return the number of the centre nearest to each point."""
    squared = (centres**2).sum(1)
    parts = (points[start : start + at_once] for start in range(0, len(points), at_once))
    return np.concatenate([(squared - 2 * part @ centres.T).argmin(1) for part in parts])
