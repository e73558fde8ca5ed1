"""Leeds Sports Pose Extended (Johnson & Everingham, CVPR 2011): sports photos, 14 joints clicked by crowd workers.

    lsp_extended/
      images/im00001.jpg ...
      joints.mat            `joints`, 14 x 3 x N: x, y, flag, in LSP's order, left and right the person's own

The flag is 1 where the joint is visible. (In the older, smaller LSP it is 1 where the joint is hidden.) Expect some
joints that were clicked wrongly, and some people with left and right exchanged.

500 photos are kept from training, to validate with: `assets/lsp_extended_validation.txt`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, overload

import numpy as np

from monobody.data.region import region_from_joints
from monobody.data.sample import Sample
from monobody.errors import UserError

VALIDATION_LIST = Path(__file__).parents[2] / "assets" / "lsp_extended_validation.txt"
Split = Literal["train", "validation", "all"]


class LspExtended(Sequence[Sample]):
    """The photos of one split in the order of their names; a photo is read when it is asked for.

    Args:
        folder: holds `images/` and `joints.mat`; a set with fewer photos than the original is fine.
        split: "validation" for the photos kept from training, "train" for the others.

    Raises:
        UserError: the folder is not LSP Extended.
    """

    def __init__(self, folder: str | Path, split: Split = "all") -> None:
        self.folder = Path(folder)
        joints = _read_joints(self.folder / "joints.mat")
        names = [f"im{number:05d}" for number in range(1, len(joints) + 1)]
        held_out = set(VALIDATION_LIST.read_text().split())
        chosen = [i for i, name in enumerate(names) if split == "all" or (name in held_out) == (split == "validation")]
        # A photo needs two joints for a region to be placed; nobody annotated fewer than that by intention.
        chosen = [i for i in chosen if joints[i, :, 2].sum() >= 2]
        self.names = [names[i] for i in chosen]
        self.joints = joints[chosen]

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        from PIL import Image

        with Image.open(self.folder / "images" / f"{self.names[index]}.jpg") as image:
            rgb = np.asarray(image.convert("RGB"))
        keypoints, visible = np.zeros((19, 2), np.float32), np.zeros(19, np.float32)
        visible[:14] = self.joints[index, :, 2]
        keypoints[:14] = self.joints[index, :, :2] * visible[:14, None]
        crop = region_from_joints(keypoints[:14], visible[:14] > 0)
        return Sample(image=rgb, crop=crop, keypoints_px=keypoints, visible=visible)


def _read_joints(path: Path) -> np.ndarray:
    """Return (N, 14, 3): x, y in pixels, and 1 for visible."""
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise UserError("Reading LSP Extended needs scipy: pip install 'monobody[train]'.") from error
    try:
        joints = np.asarray(loadmat(path)["joints"], dtype=np.float32)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} is not LSP Extended's joints.mat: {error}. See {__name__} for the layout.") from error
    if joints.ndim != 3 or joints.shape[:2] != (14, 3):
        raise UserError(f"{path} holds joints of shape {joints.shape}, not 14 x 3 x N: is it the older LSP?")
    return np.ascontiguousarray(joints.transpose(2, 0, 1))
