"""Your own photos with masks: a folder of pictures and a folder of silhouettes beside it.

    images/0001.jpg    masks/0001.png        the same stem; also 0001_mask.png or 0001.jpg.png
    photo.jpg          photo_mask.png        or side by side
    validation.txt                           names (stems, below images/) that are kept from training

Folders may be called image, imgs, photos, ... and mask, silhouettes, segmentation, ..., may have folders within them,
and there may be several such pairs below the root (a folder a video, say). Masks have the size of their photos and
are of any kind that `data/mask.py` reads: 0/1, 0/255, labels, probabilities. Of several people the largest is taken.

Without masks on disk, give a segmenter from Python: `samples(folder, masks=segmenter)`, or the folder that it wrote.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from monobody.data.mask import Segmenter
from monobody.data.masked import MaskedPhotos
from monobody.errors import UserError

LICENCE = "Whatever yours is; --list cannot know."
GET_IT = "Put your photos into images/ and their masks, made with any segmenter, into masks/ under the same names."
EXPECTED = {"train": 0, "validation": 0, "all": 0}
Split = Literal["train", "validation", "all"]
IMAGES = ("images", "image", "imgs", "img", "photos", "pictures", "frames", "rgb", "JPEGImages")
MASKS = ("masks", "mask", "silhouettes", "segmentation", "segmentations", "SegmentationClass", "seg", "mattes", "alpha")
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
MARKS = ("_mask", "-mask", ".mask", "_seg", "_silhouette", "_matte")
"""What a mask's name may have behind its photo's."""
HELD_OUT = "validation.txt"
NO_MASK = "a photo without a mask"


def samples(root: str | Path, split: Split = "train", *, masks: str | Path | Segmenter | None = None) -> MaskedPhotos:
    """Return the people of a split, in the order of their names.

    Args:
        root: the folder.
        split: "train" (all but those of validation.txt), "validation" or "all".
        masks: a folder of masks under the photos' names, or a function that gives a picture's mask; what lies beside
            the photos where left out.

    Raises:
        UserError: there are no photos, no masks, or none of the split.
    """
    root = Path(root)
    held_out = set((root / HELD_OUT).read_text().split()) if (root / HELD_OUT).is_file() else set()
    found = _photos_alone(root) if callable(masks) else _paired(root, None if masks is None else Path(masks))
    if not found:
        raise UserError(f"{root} holds no photos with masks. {GET_IT}")
    chosen = [row for row in found if split == "all" or (row[0] in held_out) == (split == "validation")]
    left_out = Counter({NO_MASK: sum(mask is None for _, _, mask in chosen)}) if not callable(masks) else Counter()
    rows = [(name, photo, mask) for name, photo, mask in chosen if mask is not None or callable(masks)]
    if not rows:
        raise UserError(f"{root} holds no photos with masks of the split {split}: {HELD_OUT} names those kept apart.")
    return MaskedPhotos(
        [photo for _, photo, _ in rows],
        masks if callable(masks) else [mask for _, _, mask in rows if mask is not None],
        names=[name for name, _, _ in rows],
        left_out={reason: count for reason, count in left_out.items() if count},
    )


def check(root: str | Path, split: str | None = None) -> list[str]:
    """Return what is missing below a folder, in words."""
    root = Path(root)
    found = _paired(root, None)
    if not found:
        return ["There is no folder images/ with photos beside a folder masks/, nor any photo.jpg with photo_mask.png."]
    bare = [name for name, _, mask in found if mask is None]
    missing = [f"{len(bare)} of {len(found)} photos have no mask ({', '.join(bare[:3])} ...)."] if bare else []
    if split == "validation" and not (root / HELD_OUT).is_file():
        missing.append(f"There is no {HELD_OUT} with the names of photos to keep from training.")
    return missing


def folder_pairs(root: Path, images: Sequence[str] = IMAGES, masks: Sequence[str] = MASKS) -> list[tuple[Path, Path]]:
    """Return the folders of photos below a root, or the root's own, that have a folder of masks beside them."""
    places = [root, *sorted(path for path in root.rglob("*") if path.is_dir())]
    pairs = []
    for place in places:
        photos = next((place / name for name in images if (place / name).is_dir()), None)
        silhouettes = next((place / name for name in masks if (place / name).is_dir()), None)
        if photos is not None and silhouettes is not None:
            pairs.append((photos, silhouettes))
    return pairs


def _paired(root: Path, masks: Path | None) -> list[tuple[str, Path, Path | None]]:
    """Return the name, the photo and the mask (None without one) of everybody, sorted by name."""
    pairs = folder_pairs(root) if masks is None else [(_home(root), masks)]
    if not pairs:
        return _side_by_side(root)
    found = []
    for photos, silhouettes in pairs:
        by_name = {str(path.relative_to(silhouettes)): path for path in _pictures(silhouettes)}
        by_stem = {str(Path(name).with_suffix("")): path for name, path in by_name.items()}
        for photo in _pictures(photos):
            inside = photo.relative_to(photos)
            stem = str(inside.with_suffix(""))
            mask = next((by_stem[name] for name in (stem, str(inside), *_marked(stem)) if name in by_stem), None)
            found.append((_named(root, photos, stem), photo, mask))
    return sorted(found, key=lambda row: row[0])


def _side_by_side(root: Path) -> list[tuple[str, Path, Path | None]]:
    by_stem = {str(path.relative_to(root).with_suffix("")): path for path in _pictures(root)}
    masks = {name: by_stem[name] for stem in by_stem for name in _marked(stem) if name in by_stem}
    if not masks:
        return []
    found = []
    for stem, photo in sorted(by_stem.items()):
        if stem not in masks:
            found.append((stem, photo, next((masks[name] for name in _marked(stem) if name in masks), None)))
    return found


def _photos_alone(root: Path) -> list[tuple[str, Path, Path | None]]:
    home = _home(root)
    return [(str(path.relative_to(home).with_suffix("")), path, None) for path in _pictures(home)]


def _home(root: Path) -> Path:
    return next((root / name for name in IMAGES if (root / name).is_dir()), root)


def _named(root: Path, photos: Path, stem: str) -> str:
    """Return a photo's name: below its folder, and below the root where there are several folders."""
    above = photos.parent.relative_to(root)
    return stem if above == Path() else f"{above}/{stem}"


def _marked(stem: str) -> list[str]:
    return [f"{stem}{mark}" for mark in MARKS]


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
