"""TikTok (Jafarian & Park, CVPR 2021): people who dance before their phones, frame by frame, with masks.

    TikTok_dataset/00001/images/0001.png ...     frames
    TikTok_dataset/00001/masks/0001.png ...      the dancer, 0 and 255
    TikTok_dataset/00001/densepose/...           not read

(ROOT may be `TikTok_dataset` or the folder around it.) There are no joints and no cameras. The first and the last 20
frames of a video, in which people come and go and titles are shown, are left out. Splits are by video, so that nobody
is in two of them: 00326 is kept for validation, all others are trained on. The published loader cuts 20 pixels about
the mask's box; here the region of interest is that of all photos with masks, `data/region.py`.
"""

from pathlib import Path
from typing import Literal

from monobody.data.datasets.masked_folder import NO_MASK, SUFFIXES
from monobody.data.masked import MaskedPhotos
from monobody.errors import UserError

LICENCE = "The terms on the data set's page; the videos are those of the people in them."
GET_IT = "https://www.yasamin.page/hdnet_tiktok: TikTok_dataset, unpacked whole"
EXPECTED = {"train": 0, "validation": 0, "all": 0}
Split = Literal["train", "validation", "all"]
VALIDATION_VIDEOS = frozenset({"00326"})
ENDS = 20
"""How many frames are dropped at either end of a video."""


def samples(root: str | Path, split: Split = "train") -> MaskedPhotos:
    """Return the kept frames of a split, video by video.

    Raises:
        UserError: the folder holds no videos of the split.
    """
    folders = [folder for folder in _videos(Path(root)) if _is_of(folder.name, split)]
    rows: list[tuple[str, Path, Path]] = []
    dropped = bare = 0
    for folder in folders:
        frames = sorted(path for path in (folder / "images").iterdir() if path.suffix.lower() in SUFFIXES)
        masks = {path.stem: path for path in (folder / "masks").iterdir()}
        kept = frames[ENDS:-ENDS]
        dropped += len(frames) - len(kept)
        rows += [(f"{folder.name}/{path.stem}", path, masks[path.stem]) for path in kept if path.stem in masks]
        bare += sum(path.stem not in masks for path in kept)
    if not rows:
        raise UserError(f"{root} holds no frames of TikTok's split {split}. {GET_IT}")
    left_out = {f"the first or last {ENDS} frames of a video": dropped, NO_MASK: bare}
    return MaskedPhotos(
        [photo for _, photo, _ in rows],
        [mask for _, _, mask in rows],
        names=[name for name, _, _ in rows],
        left_out={reason: count for reason, count in left_out.items() if count},
    )


def check(root: str | Path, split: Split | None = None) -> list[str]:
    """Return what is missing below a folder, in words."""
    root = Path(root)
    home = _home(root)
    numbered = sorted(path for path in home.glob("[0-9]*") if path.is_dir()) if home.is_dir() else []
    if not numbered:
        return [f"{home} holds no folders 00001, 00002, ..."]
    bare = [path.name for path in numbered if path not in _videos(root)]
    missing = [f"{len(bare)} of {len(numbered)} videos lack images/ or masks/ ({', '.join(bare[:3])})."] if bare else []
    if split is not None and not any(_is_of(folder.name, split) for folder in numbered):
        missing.append(f"No video is of the split {split} ({', '.join(sorted(VALIDATION_VIDEOS))} is kept apart).")
    return missing


def _videos(root: Path) -> list[Path]:
    folders = sorted(_home(root).glob("[0-9]*"))
    return [folder for folder in folders if (folder / "images").is_dir() and (folder / "masks").is_dir()]


def _home(root: Path) -> Path:
    return root / "TikTok_dataset" if (root / "TikTok_dataset").is_dir() else root


def _is_of(video: str, split: Split) -> bool:
    return split == "all" or (video in VALIDATION_VIDEOS) == (split == "validation")
