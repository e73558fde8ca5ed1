"""SURREAL as X as Supervision takes it: synthetic pairs, of pictures with masks and joints of which all is known.

Of at most 20,000 clips of the training split (none whose name has `ung_`), five frames each, drawn from the clip's
name: frames whose pelvis is near the picture's middle and whose joints are well inside. A pair of which more than 4
joints lie beside the person in the picture is a fault (some of the set's bodies are twisted). Nothing is cut or scaled
at the picture's border. The people's shape is told in the shipped body's terms (`data/own_shape.py`), whose joints the
networks learn.
"""

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from monobody.data.datasets.surreal import PRINCIPAL_PX, SIZE, Surreal, clip_labels
from monobody.data.moments import drawn_frames
from monobody.data.own_shape import betas_of_joints
from monobody.data.sample import Sample
from monobody.errors import UserError

MOST_CLIPS, PER_CLIP = 20_000, 5
NEAR_PX, RIM_PX = 10, 40
"""How far the pelvis may be from the picture's middle, and how far joints stay from its left and right border."""
MOST_BESIDE = 4


class SurrealPairs(Surreal):
    """The pairs, clip by clip.

    Args:
        root: as of :class:`Surreal`.

    Raises:
        UserError: the folder holds no clip of the split, or none with a frame to take.
    """

    def __init__(self, root: str | Path) -> None:
        super().__init__(root, "train", every=1)
        clips = [path for path in self.clips if "ung_" not in path.parent.name]
        # A draw that does not depend on which other clips are on disk.
        clips = sorted(sorted(clips, key=lambda path: _digest(path))[:MOST_CLIPS])
        chosen, torn, beside = [], 0, 0
        for path in clips:
            try:
                frames, fewer = _frames(path)
            except UserError:
                torn += 1
                continue
            beside += fewer
            if frames:
                chosen.append((path, frames))
        if not chosen:
            raise UserError(f"{root} has no clip with somebody in the middle of the picture.")
        self._take([path for path, _ in chosen], [frames for _, frames in chosen])
        counted = {"frames whose person is not in the middle": beside, "clips that cannot be read": torn}
        self.left_out = dict(Counter(self.left_out) + Counter(counted))

    def sample(self, part: int, place: int) -> Sample:
        """Return a pair."""
        sample = super().sample(part, place)
        if sample.mask is None or sample.joints_cam_m is None or sample.rotations is None:
            raise UserError(f"{self.clips[part]}: frame {self.frames[part][place]} has no mask: unpack *_segm.mat too.")
        joints_cam_m, seen_px = self.joints(part, place)
        x, y = np.clip(seen_px.astype(int), 0, np.array(SIZE) - 1).T
        beside = int((sample.mask[y, x] == 0).sum())
        if beside > MOST_BESIDE:
            raise UserError(
                f"{self.clips[part]}: {beside} joints of frame {self.frames[part][place]} lie beside the body."
            )
        betas = betas_of_joints(joints_cam_m, sample.rotations)
        return replace(sample, betas=betas, shape_space="monobody")


def _frames(path: Path) -> tuple[list[int], int]:
    """Return the frames that are taken of a clip, and how many do not show the person in the middle."""
    seen = clip_labels(path)["joints2D"]
    x, y = seen[0], seen[1]
    near = (np.abs(x[0] - PRINCIPAL_PX[0]) <= NEAR_PX) & (np.abs(y[0] - PRINCIPAL_PX[1]) <= NEAR_PX)
    inside = (x >= RIM_PX).all(0) & (x <= SIZE[0] - RIM_PX).all(0) & (y >= 0).all(0) & (y < SIZE[1]).all(0)
    good = np.flatnonzero(near & inside)
    return drawn_frames(path.parent.name + "/" + path.name, good.tolist(), PER_CLIP), len(x[0]) - len(good)


def _digest(path: Path) -> bytes:
    return hashlib.sha256("/".join(path.parts[-3:]).encode()).digest()
