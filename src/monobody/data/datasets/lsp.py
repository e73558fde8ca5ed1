"""Leeds Sports Pose (Johnson & Everingham, BMVC 2010): 2,000 sports photos, 14 joints clicked with care.

    lsp/
      images/im0001.jpg ... im2000.jpg
      joints.mat            `joints`, 3 x 14 x 2000: x, y, flag, in LSP's order, left and right the person's own
    upi-s1h/data/lsp/       beside it or inside; needed to measure segmentation alone
      im1001_segmentation.png        0 beside the person
      im1001_part_segmentation.png   1 head, 2 torso, 3 right arm, 4 left arm, 5 right leg, 6 left leg, 255 unknown

The flag is 1 where the joint is **hidden** (in LSP Extended it is 1 where it is visible). Hidden joints were guessed
by the annotators; as HMR does, they are not used. The first thousand photos are for training, the others for testing.
The masks are of UPi-S1h (Lassner et al., CVPR 2017), as large as the photos.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int, UInt8

from monobody.data.clicked import ClickedPhotos
from monobody.errors import UserError

LICENCE = "None stated, a citation is asked for: research use."
GET_IT = "lsp_dataset.zip (or lsp_dataset_original.zip): http://sam.johnson.io/research/lsp.html"
GET_MASKS = "UPi-S1h: http://files.is.tuebingen.mpg.de/classner/up/"
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


def masks(root: str | Path, names: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """Return the files of photos' masks, and of their maps of six parts.

    Raises:
        UserError: some are missing.
    """
    root = Path(root)
    folders = [root, root / "data" / "lsp", root / "upi-s1h" / "data" / "lsp", root.parent / "upi-s1h" / "data" / "lsp"]
    best: list[Path] = []
    for folder in folders:
        files = [folder / f"{name}_{kind}.png" for kind in ("segmentation", "part_segmentation") for name in names]
        missing = [file for file in files if not file.is_file()]
        if not missing:
            return files[: len(names)], files[len(names) :]
        if not best or len(missing) < len(best):
            best = missing
    raise UserError(
        f"{len(best):,} masks of LSP's photos are missing, {best[0]} first; they may lie in any of "
        f"{', '.join(map(str, folders))}. Get them: {GET_MASKS}."
    )


def checked_sizes(photos: Sequence[Path], masks: Sequence[Path], parts: Sequence[Path]) -> Int[np.ndarray, "n 2"]:
    """Return the width and height of each photo.

    Raises:
        UserError: a mask has another size: it is of another edition of LSP, whose photos come in two.
    """
    from PIL import Image

    sizes = []
    for trio in zip(photos, masks, parts, strict=True):
        found = []
        for file in trio:
            try:
                with Image.open(file) as picture:
                    found.append(picture.size)
            except Exception as error:  # Damaged bytes make decoders raise nearly anything.
                raise UserError(f"{file} is no picture, or damaged ({error}): copy it again.") from error
        for file, size in zip(trio[1:], found[1:], strict=True):
            if size != found[0]:
                raise UserError(
                    f"{file} has {size[0]} x {size[1]} pixels, its photo {trio[0]} has {found[0][0]} x {found[0][1]}: "
                    "the masks are of the other edition of LSP (lsp_dataset.zip or lsp_dataset_original.zip)."
                )
        sizes.append(found[0])
    return np.array(sizes, np.int64).reshape(-1, 2)


def read_mask(path: str | Path) -> UInt8[np.ndarray, "h w"]:
    """Return a mask's numbers.

    Raises:
        UserError: the file is damaged.
    """
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("L"))
    except Exception as error:  # Damaged bytes make decoders raise nearly anything.
        raise UserError(f"{path} is no picture, or damaged ({error}): copy it again.") from error


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
