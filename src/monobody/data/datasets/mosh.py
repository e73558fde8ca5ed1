"""HMR's motion capture: clips fitted with the neutral SMPL by MoSh (Loper et al. 2014); bodies without pictures.

    ROOT/neutrSMPL_CMU/01/01_01.pkl ...           `poses` (N, 72), `betas` (10)
    ROOT/neutrSMPL_H3.6/S1/Directions 1.pkl ...   the same; folders of S9 and S11, which Human3.6M tests on, are skipped
    ROOT/neutrSMPL_jointLim/...                   `new_poses` (N, 72) where there are no `poses`

The pickles are Python 2's and are read by `body/unpickle.py`, which runs nothing that is in them. HMR uses every
frame; neighbours hardly differ, so every n-th is kept here. MoSh's world is z up. That is known of the CMU part;
HMR drops the root, and so does its critic.
"""

from pathlib import Path
from typing import Any

import numpy as np

from monobody.body.unpickle import read_nested
from monobody.data.fitted_motion import Clip, FittedMotion, Source, write_bank, y_up
from monobody.errors import UserError

LICENCE = "MoSh data: research only, under SMPL's and each motion capture's own terms; no redistribution."
GET_IT = (
    "HMR's authors gave this data to those who had registered at https://mosh.is.tue.mpg.de. It is no longer handed "
    "out; AMASS holds the same and more."
)
EVERY = {"neutrSMPL_CMU": 24, "neutrSMPL_H3.6": 10, "neutrSMPL_jointLim": 4}
"""Every n-th frame is kept: five a second of CMU (120) and Human3.6M (50); the joint limits, which show what limbs
can do, more often."""
EXPECTED = {"neutrSMPL_CMU": 3_934_267, "neutrSMPL_H3.6": 1_559_985, "neutrSMPL_jointLim": 181_968}
"""Frames on disk, without S9 and S11 (HMR, `src/datasets`)."""
_TESTED_ON = ("S9", "S11")


def clips(root: str | Path) -> list[Clip]:
    """Return all clips but those of S9 and S11, sorted."""
    root = Path(root)
    found = []
    for source in EVERY:
        for path in sorted((root / source).glob("**/*.pkl")):
            inner = path.relative_to(root)
            if any(subject in part for part in inner.parts[1:] for subject in _TESTED_ON):
                continue
            found.append(
                Clip(path=path, source=source, name=inner.with_suffix("").as_posix(), subject=inner.parent.as_posix())
            )
    return found


def check(root: str | Path) -> list[str]:
    """Return what is missing, in words; nothing where all three parts are there."""
    missing = [name for name in EVERY if not any((Path(root) / name).glob("**/*.pkl"))]
    if len(missing) == len(EVERY):
        return [f"{root} holds none of {', '.join(EVERY)}. {GET_IT}"]
    return [f"{Path(root) / name} is missing or holds no *.pkl; the bank will lack it." for name in missing]


def write(root: str | Path, out: str | Path, *, workers: int = 2) -> dict[str, Any]:
    """Write `OUT/bank.npz` and its manifest, which is returned.

    Raises:
        UserError: the folder holds no clip that can be used, or nothing can be written.
    """
    found = clips(root)
    if not found:
        raise UserError(check(root)[0])
    source = Source(
        name="mosh",
        licence=LICENCE,
        get_it=GET_IT,
        expected=EXPECTED,
        thinning=", ".join(f"every {every}th of {name}" for name, every in EVERY.items()),
        clips=found,
        read=read_clip,
    )
    return write_bank(source, out, workers=workers)


def read_clip(clip: Clip) -> FittedMotion:
    """Return a clip's kept poses and shape.

    Raises:
        UserError: the pickle asks for more than arrays, is damaged, or holds no poses and betas.
    """
    content = read_nested(clip.path)
    content = content if isinstance(content, dict) else {}
    poses = content.get("poses", content.get("new_poses"))
    betas = content.get("betas")
    if not isinstance(poses, np.ndarray) or poses.ndim != 2 or poses.shape[1] != 72:
        raise UserError(f"{clip.path} holds no poses (N, 72): it is no clip of HMR's motion capture.")
    if not isinstance(betas, np.ndarray) or betas.size < 10:
        raise UserError(f"{clip.path} holds no ten betas: it is no clip of HMR's motion capture.")
    kept = poses[:: EVERY[clip.source]].reshape(-1, 24, 3)
    return FittedMotion(
        rotations_aa=y_up(kept), betas=betas.ravel()[:10].astype(np.float32), shape_space="smpl", frames=len(poses)
    )
