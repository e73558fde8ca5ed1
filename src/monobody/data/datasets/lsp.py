"""Leeds Sports Pose (Johnson & Everingham, BMVC 2010): 2,000 sports photos, 14 joints clicked with care.

    lsp/
      images/im0001.jpg ... im2000.jpg
      joints.mat            `joints`, 3 x 14 x 2000: x, y, flag, in LSP's order, left and right the person's own

The flag is 1 where the joint is **hidden** (in LSP Extended it is 1 where it is visible). Hidden joints were guessed
by the annotators; as HMR does, they are not used. The first thousand photos are for training, the others for testing.
"""

from pathlib import Path
from typing import Literal

import numpy as np

from monobody.data.clicked import ClickedPhotos
from monobody.errors import UserError

LICENCE = "None stated, a citation is asked for: research use."
GET_IT = "lsp_dataset.zip (or lsp_dataset_original.zip): http://sam.johnson.io/research/lsp.html"
EXPECTED = {"train": 1_000, "test": 1_000}
Split = Literal["train", "test"]


def samples(root: str | Path, split: Split = "train") -> ClickedPhotos:
    """Return the first thousand photos, or the rest.

    Raises:
        UserError: the folder is not LSP.
    """
    path = Path(root) / "joints.mat"
    joints = matlab_joints(path, "LSP")
    if joints.ndim != 3 or joints.shape[:2] != (3, 14):
        raise UserError(f"{path} holds joints of shape {joints.shape}, not 3 x 14 x N: is it LSP Extended?")
    joints = joints.transpose(2, 1, 0)
    numbers = range(0, 1000) if split == "train" else range(1000, len(joints))
    numbers = [number for number in numbers if number < len(joints)]
    keypoints, visible = as_cocoplus19(joints[numbers, :, :2], joints[numbers, :, 2] == 0)
    return ClickedPhotos(Path(root), [f"images/im{number + 1:04d}.jpg" for number in numbers], keypoints, visible)


def check(root: str | Path, split: Split | None = None) -> list[str]:
    """Return what is missing below a folder, in words; every split needs the same files."""
    root = Path(root)
    missing = [] if (root / "joints.mat").is_file() else [f"{root / 'joints.mat'} is missing."]
    if not any(root.glob("images/im*.jpg")):
        missing.append(f"{root / 'images'} holds no im0001.jpg ...")
    return missing


def matlab_joints(path: Path, what: str) -> np.ndarray:
    """Return the array `joints` of a MATLAB file.

    Raises:
        UserError: scipy is missing, or the file is no such file.
    """
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise UserError(f"Reading {what} needs scipy: pip install 'monobody[train]'.") from error
    try:
        return np.asarray(loadmat(path)["joints"], dtype=np.float32)
    except Exception as error:  # Damaged archives raise nearly anything.
        raise UserError(
            f"{path} is not {what}'s joints.mat: {error}. `monobody prepare --list` tells where to get it."
        ) from error


def as_cocoplus19(joints_px: np.ndarray, visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return LSP's 14 joints as cocoplus19, whose points of the face nobody marked: places and visibility."""
    places = np.zeros((len(joints_px), 19, 2), np.float32)
    known = np.zeros((len(joints_px), 19), np.float32)
    places[:, :14], known[:, :14] = joints_px, visible
    return places, known
