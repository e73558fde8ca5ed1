"""AMASS (Mahmood et al., ICCV 2019): most public motion capture, fitted with SMPL+H or SMPL-X; bodies without pictures.

    ROOT/CMU/01/01_01_poses.npz                     SMPL+H: `poses` (F, 156), `betas` (16), `mocap_framerate`, `gender`
    ROOT/ACCAD/Female1General_c3d/A1_stageii.npz    SMPL-X: `poses` (F, 165), `betas` (16), `mocap_frame_rate`

(A data set that unpacks into a folder of its own name twice is fine.) `poses` is axis-angle; its first 22 joints are
SMPL's in both. What becomes of the rest:

- Joints 22 and 23, the 24-joint body's hands, stay at rest: AMASS turns fingers instead, and most of its hands are
  not captured anyway.
- The world is z up there, y up in the bank. Places (`trans`) are not kept.
- `betas` are the first ten. SMPL+H's are of SMPL's male or female body, as `gender` says: shape spaces "smpl-male" and
  "smpl-female", "smpl" where it is neutral. They mean other shapes than the neutral body's, to which they teach
  nothing. SMPL-X has spaces of its own, "smplx" and so on. A bank is made of clips of one of the two models.

Five poses a second are kept. AMASS' authors name six sets for validation and testing; here they are held out.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from monobody.data.fitted_motion import Clip, FittedMotion, Source, write_bank, y_up
from monobody.errors import UserError

LICENCE = "AMASS licence: non-commercial scientific research only, no redistribution; each data set in it adds its own."
GET_IT = (
    "Register at https://amass.is.tue.mpg.de and download the body data of the sets you want, SMPL+H G (or SMPL-X); "
    "unpack each into ROOT/DATASET/SUBJECT/*.npz."
)
EXPECTED = {"clips": 11_265}
"""As published in 2019; sets were added since, and nobody needs all."""
RATE_HZ = 5.0
HELD_OUT = {
    "HumanEva", "MPI_HDM05", "HDM05", "SFU", "MPI_mosh", "MoSh",
    "Transitions_mocap", "Transitions", "SSM_synced", "SSM",
}  # fmt: skip
"""The validation and test sets of AMASS' authors, under their old and new names."""

_WIDTHS = {72: "smpl", 156: "smpl", 165: "smplx"}
_BODY_JOINTS = 22


def clips(root: str | Path) -> list[Clip]:
    """Return all clips in a folder, sorted: those of SMPL+H where there are any, else those of SMPL-X."""
    root = Path(root)
    paths = sorted(root.glob("*/**/*_poses.npz")) or sorted(root.glob("*/**/*_stageii.npz"))
    found = []
    for path in paths:
        inner = path.relative_to(root)
        found.append(
            Clip(
                path=path,
                source=inner.parts[0],
                name=inner.as_posix().rsplit("_", 1)[0],
                subject=inner.parent.as_posix(),
                held_out=inner.parts[0] in HELD_OUT,
            )
        )
    return found


def check(root: str | Path) -> list[str]:
    """Return what is missing, in words. Any of AMASS' sets will do: the manifest tells which ones a bank holds."""
    root = Path(root)
    packed = sorted(path.name for path in root.glob("*.tar.bz2"))
    words = [f"{name} is packed and not unpacked." for name in packed if not (root / name.split(".")[0]).is_dir()]
    if not clips(root):
        words.append(f"{root} holds no DATASET/SUBJECT/*_poses.npz and no *_stageii.npz. {GET_IT}")
    return words


def write(root: str | Path, out: str | Path, *, workers: int = 2) -> dict[str, Any]:
    """Write `OUT/bank.npz` and its manifest, which is returned.

    Raises:
        UserError: the folder holds no clip that can be used, or nothing can be written.
    """
    found = clips(root)
    if not found:
        raise UserError(check(root)[-1])
    model = "smpl" if found[0].path.stem.endswith("_poses") else "smplx"
    source = Source(
        name="amass",
        licence=LICENCE,
        get_it=GET_IT,
        expected=EXPECTED,
        thinning=f"{RATE_HZ:g} poses a second",
        left_out=_left_out(Path(root)),
        clips=found,
        read=partial(read_clip, model=model),
    )
    return write_bank(source, out, workers=workers)


def _left_out(root: Path) -> dict[str, int]:
    """Count the clips of SMPL-X that stand back behind those of SMPL+H, which are mostly the same recordings."""
    plain, extended = (len(list(root.glob(f"*/**/*_{kind}.npz"))) for kind in ("poses", "stageii"))
    return {"SMPL-X beside SMPL+H": extended} if plain and extended else {}


def read_clip(clip: Clip, *, rate_hz: float = RATE_HZ, model: str = "smpl") -> FittedMotion:
    """Return a clip's poses at about ``rate_hz``, never more than it has.

    Raises:
        UserError: the file is damaged, of another kind, or fitted with another model.
    """
    try:
        with np.load(clip.path, allow_pickle=False) as file:
            poses, betas = file["poses"], np.asarray(file["betas"], np.float64).ravel()
            gender = str(np.asarray(file["gender"]).astype(str)) if "gender" in file else "unknown"
            recorded_hz = float(file["mocap_framerate" if "mocap_framerate" in file else "mocap_frame_rate"])
    except Exception as error:  # Damaged archives raise nearly anything.
        raise UserError(f"{clip.path} is not a clip of AMASS ({error}): unpack it again.") from error
    if poses.ndim != 2 or poses.shape[1] not in _WIDTHS or len(betas) < 10 or not recorded_hz > 0:
        raise UserError(f"{clip.path} holds {poses.shape} poses and {len(betas)} betas at {recorded_hz:g} a second.")
    if _WIDTHS[poses.shape[1]] != model:
        raise UserError(f"{clip.path} is fitted with {_WIDTHS[poses.shape[1]]}; this bank is of {model}.")
    step = max(recorded_hz / rate_hz, 1.0)
    kept = np.arange(0, len(poses), step).astype(np.int64)
    rotations = np.zeros((len(kept), 24, 3), np.float32)
    rotations[:, :_BODY_JOINTS] = poses[kept, : 3 * _BODY_JOINTS].reshape(-1, _BODY_JOINTS, 3)
    return FittedMotion(
        rotations_aa=y_up(rotations),
        betas=betas[:10].astype(np.float32),
        shape_space=model if gender == "neutral" else f"{model}-{gender}",
        frames=len(poses),
    )
