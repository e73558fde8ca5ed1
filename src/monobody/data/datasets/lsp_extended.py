"""Leeds Sports Pose Extended (Johnson & Everingham, CVPR 2011): sports photos, 14 joints clicked by crowd workers.

    lsp_extended/
      images/im00001.jpg ...
      joints.mat            `joints`, 14 x 3 x N: x, y, flag, in LSP's order, left and right the person's own

The flag is 1 where the joint is visible. (In the older, smaller LSP it is 1 where the joint is hidden.) Expect some
joints that were clicked wrongly, and some people with left and right exchanged.

500 photos are kept from training, to validate with: `assets/lsp_extended_validation.txt`.
"""

from pathlib import Path
from typing import Literal

import numpy as np

from monobody.data.clicked import ClickedPhotos
from monobody.data.datasets.lsp import as_cocoplus19, matlab_joints
from monobody.errors import UserError

LICENCE = "None stated, a citation is asked for: research use."
GET_IT = "hr-lspet (High Resolution LSP Extended, or lspet_dataset.zip): http://sam.johnson.io/research/lspet.html"
EXPECTED = {"train": 9_500, "validation": 500, "all": 10_000}

VALIDATION_LIST = Path(__file__).parents[2] / "assets" / "lsp_extended_validation.txt"
Split = Literal["train", "validation", "all"]


class LspExtended(ClickedPhotos):
    """The photos of one split in the order of their names; a photo is read when it is asked for.

    Args:
        folder: holds `images/` and `joints.mat`; a set with fewer photos than the original is fine.
        split: "validation" for the photos kept from training, "train" for the others.

    Raises:
        UserError: the folder is not LSP Extended.
    """

    def __init__(self, folder: str | Path, split: Split = "all") -> None:
        joints = _read_joints(Path(folder) / "joints.mat")
        held_out = set(VALIDATION_LIST.read_text().split())
        names = np.array([f"im{number:05d}" for number in range(1, len(joints) + 1)])
        chosen = [i for i, name in enumerate(names) if split == "all" or (name in held_out) == (split == "validation")]
        keypoints, visible = as_cocoplus19(joints[chosen, :, :2], joints[chosen, :, 2])
        super().__init__(Path(folder), [f"images/{name}.jpg" for name in names[chosen]], keypoints, visible)
        self.joints = joints[chosen][self.chosen]


def samples(root: str | Path, split: Split = "train") -> LspExtended:
    """Return a split's photos."""
    return LspExtended(root, split)


def check(root: str | Path, split: Split | None = None) -> list[str]:
    """Return what is missing below a folder, in words; every split needs the same files."""
    root = Path(root)
    missing = [] if (root / "joints.mat").is_file() else [f"{root / 'joints.mat'} is missing."]
    if not any(root.glob("images/im*.jpg")):
        missing.append(f"{root / 'images'} holds no im00001.jpg ...")
    return missing


def _read_joints(path: Path) -> np.ndarray:
    """Return (N, 14, 3): x, y in pixels, and 1 for visible."""
    joints = matlab_joints(path, "LSP Extended")
    if joints.ndim != 3 or joints.shape[:2] != (14, 3):
        raise UserError(f"{path} holds joints of shape {joints.shape}, not 14 x 3 x N: is it the older LSP?")
    return np.ascontiguousarray(joints.transpose(2, 0, 1))
