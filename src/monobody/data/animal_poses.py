"""How a quadruped stands and what shape it has: poses of its clips, varied, and blends of the animals it is made of.

Whole clips are held out for evaluation (:data:`HELD_OUT_CLIPS`), and drawn there as they are. For training, poses are
mirrored, fore and hind bodies exchanged, and necks, tails and all joints turned a little: twenty
seconds of an artist's clips are few poses.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int

from monobody.body.assets import SHIPPED_ANIMAL
from monobody.data.staging import to_matrices
from monobody.errors import UserError

HELD_OUT_CLIPS = ("Bite", "Howl", "Sneak")
_SWINGING = {"Spine_3": 0.22, "Spine_4": 0.22, "Head": 0.22, "Tail_Base": 0.35, "Tail_Mid": 0.25, "Tail_Mid.001": 0.2}
"""Joints that turn freely, with the spread of their turn in radians."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AnimalPoses:
    """Poses and shapes of one body. ``J`` joints, ``N`` poses."""

    rotations: Float32[np.ndarray, "N J 3 3"]
    """Relative to the parent; the root's to a world that is y up, the animal facing +z."""
    clip: Int[np.ndarray, " N"]
    clips: tuple[str, ...]
    flip: tuple[int, ...]
    """The joint on the other side."""
    fore: tuple[int, ...]
    """Joints before the middle of the back."""
    spread_rad: Float32[np.ndarray, " J"]
    """Of the turns by which a training pose is varied."""
    betas: Float32[np.ndarray, "A B"]
    """Of the animals that shapes are blends of."""

    @staticmethod
    def load(path: str | Path = SHIPPED_ANIMAL) -> "AnimalPoses":
        """Read the poses that lie in a quadruped's body file.

        Raises:
            UserError: the file has no poses.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                names = [str(name) for name in arrays["bones"]]
                parents = arrays["kintree_table"][0]
                fore = {names.index("Spine_2.001")}
                for joint, parent in enumerate(parents):
                    if parent in fore:
                        fore.add(joint)
                spread = np.array([_SWINGING.get(name, 0.07) for name in names], np.float32)
                spread[0] = 0.0
                return AnimalPoses(
                    rotations=_matrices(arrays["pose_rotations"] / np.float32(32767)),
                    clip=arrays["pose_clip"].astype(np.int64),
                    clips=tuple(str(name) for name in arrays["clips"]),
                    flip=tuple(int(joint) for joint in arrays["flip"]),
                    fore=tuple(sorted(fore)),
                    spread_rad=spread,
                    betas=arrays["animal_betas"],
                )
        except (OSError, KeyError, ValueError) as error:
            raise UserError(f"{path} has no poses of an animal; scripts/build_animal.py makes such a file.") from error

    def sample(self, count: int, rng: np.random.Generator, *, held_out: bool) -> Float32[np.ndarray, "n J 3 3"]:
        """Draw poses, every clip as often; those of held-out clips are not varied but by a mirror."""
        first = self._drawn(count, rng, held_out)
        if held_out:
            return first
        second = self._drawn(count, rng, held_out)
        mixed, fore = np.flatnonzero(rng.random(count) < 0.3)[:, None], list(self.fore)
        first[mixed, fore] = second[mixed, fore]
        turns = rng.normal(size=(count, len(self.flip), 3)) * self.spread_rad[:, None]
        return first @ to_matrices(turns)

    def real(self, count: int, rng: np.random.Generator) -> Float32[np.ndarray, "n J 3 3"]:
        """Draw poses of the training clips as they are, or mirrored: what a critic is to take for real."""
        return self._drawn(count, rng, held_out=False)

    def sample_betas(self, count: int, rng: np.random.Generator) -> Float32[np.ndarray, "n B"]:
        """Draw shapes: a blend of the animals, mostly of one or two of them, with its bones stretched a little."""
        share = rng.dirichlet(np.full(len(self.betas), 0.4), count)
        stretch = np.clip(rng.normal(size=(count, self.betas.shape[1])), -2, 2) * (np.abs(self.betas).max(0) == 0)
        return (share @ self.betas + stretch).astype(np.float32)

    def _drawn(self, count: int, rng: np.random.Generator, held_out: bool) -> Float32[np.ndarray, "n J 3 3"]:
        usable = [n for n, name in enumerate(self.clips) if (name in HELD_OUT_CLIPS) == held_out]
        chosen = rng.choice(usable, count)
        rows = [rng.choice(np.flatnonzero(self.clip == clip)) for clip in chosen]
        drawn = self.rotations[rows]
        mirrored = rng.random(count) < 0.5
        signs = np.array([-1, 1, 1], np.float32)
        drawn[mirrored] = (signs[:, None] * drawn * signs)[mirrored][:, list(self.flip)]
        return drawn


def _matrices(wxyz: Float[np.ndarray, "N J 4"]) -> Float32[np.ndarray, "N J 3 3"]:
    import torch

    from monobody.body.rotation import quaternion_to_matrix

    return quaternion_to_matrix(torch.from_numpy(np.asarray(wxyz, np.float32))).numpy()
