"""NASA's Common Data Format as Human3.6M uses it: one variable, `Pose`, of one record: (1, frames, numbers)."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from monobody.errors import UserError


def pose_frames(path: str | Path) -> int:
    """Return how many frames a file has, without reading them.

    Raises:
        UserError: the file is missing or damaged, has no `Pose`, or cdflib is not installed.
    """
    return _opened(path)[1]


def read_poses(path: str | Path, per_joint: int) -> Float[np.ndarray, "frames joints numbers"]:
    """Return the points of all frames, ``per_joint`` numbers each, in the file's own units.

    Raises:
        UserError: as :func:`pose_frames`, or the numbers are no whole joints.
    """
    cdf, frames = _opened(path)
    try:
        numbers = np.asarray(cdf.varget("Pose"), np.float64)
    except Exception as error:  # Whatever a damaged file makes the reader stumble over.
        raise UserError(f"{path} is damaged: {error}. Unpack it again.") from error
    if numbers.size % (frames * per_joint):
        raise UserError(f"{path} holds {numbers.shape} numbers, not {per_joint} a joint: another kind of file?")
    return numbers.reshape(frames, -1, per_joint)


def _opened(path: str | Path) -> tuple[Any, int]:
    try:
        import cdflib
    except ImportError as error:
        raise UserError("Reading Human3.6M's .cdf files needs cdflib: pip install 'monobody[data]'.") from error
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} is missing: unpack Human3.6M's poses there.")
    try:
        cdf = cdflib.CDF(path)
        shape = [int(size) for size in cdf.varinq("Pose").Dim_Sizes]
    except Exception as error:
        raise UserError(f"{path} is no CDF file with a variable `Pose` ({error}). Unpack it again.") from error
    if len(shape) < 2 or min(shape) < 1:
        raise UserError(f"{path} holds a `Pose` of shape {shape}, not frames by numbers: another kind of file?")
    return cdf, shape[-2]
