"""MPII Human Pose (Andriluka et al., CVPR 2014): stills of everyday activities from YouTube, 16 joints clicked.

    images/015601864.jpg ...
    annotations/mpii_human_pose_v1_u12_1.mat      also found beside images/, or in the archive's own folder

The file holds one structure `RELEASE`: `annolist` (an entry for each picture: `image.name`, and `annorect` for each
person: `annopoints.point` with x, y, id and is_visible), `img_train`, and `single_person`: which people, counted from
1, stand apart from the others. As in HMR those of the training pictures are used, and every joint that was marked
counts as visible. Where MATLAB had one person or one point, there is a structure in place of a list; where it had
none, an empty matrix or nothing at all; `is_visible` is a number, a string or empty. Coordinates are MATLAB's: the
first pixel's centre is 1. The pelvis and the thorax are not among our joints; the "upper neck" is LSP's neck.

The split "hmr" leaves out, as HMR does, of whom too little is marked to tell how large a whole body would be; "train"
has them too, and HMR's crop makes portraits of them (`data/published_crop.py`). The split "valid", with masks, is that
of `mpii_valid.py`.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from monobody.body.skeleton import SKELETONS, correspondence
from monobody.data.clicked import ClickedPhotos
from monobody.data.datasets import mpii_valid
from monobody.data.published_crop import tells_size
from monobody.errors import UserError

LICENCE = "Simplified BSD for annotations and code; pictures for research only, their copyright is their authors'."
GET_IT = "Pictures (12.9 GB) and annotations (mpii_human_pose_v1_u12_2.zip): http://human-pose.mpi-inf.mpg.de"
EXPECTED = {"hmr": 16_125, "train": 0, "valid": 0}
"""As others counted them after HMR's rules; 0 where none is known."""
Split = Literal["hmr", "train", "valid"]
ANNOTATIONS = "mpii_human_pose_v1_u12_1.mat"
TOO_LITTLE = "too little marked to tell the body's size"
_PLACES = ("annotations", ".", "mpii_human_pose_v1_u12_2", "mpii_human_pose_v1_u12_1")


def samples(root: str | Path, split: Split = "hmr") -> ClickedPhotos:
    """Return the people who stand apart in the training pictures, those whom HMR kept or all; or those of "valid".

    Raises:
        UserError: the annotations are missing or of another kind.
    """
    if split == "valid":
        return mpii_valid.valid_people(Path(root))
    path = _annotations(Path(root))
    if path is None:
        raise UserError(f"{root} holds no annotations/{ANNOTATIONS}. {GET_IT}")
    release = _read(path)
    files: list[str] = []
    names: list[str] = []
    people: list[np.ndarray] = []
    numbers = enumerate(zip(_listed(release.annolist), np.atleast_1d(release.img_train), strict=True))
    apart = _listed(release.single_person)
    for number, (picture, is_train) in numbers:
        rects = _listed(getattr(picture, "annorect", None))
        for person in np.atleast_1d(apart[number]).astype(int) if is_train == 1 and number < len(apart) else ():
            if 1 <= person <= len(rects):
                files.append(f"images/{picture.image.name}")
                names.append(f"{Path(picture.image.name).stem}_{person}")
                people.append(_joints(rects[person - 1]))
    joints = np.array(people, np.float64).reshape(-1, 16, 3)
    source = correspondence("mpii16", "cocoplus19")
    known = np.array(source) >= 0
    marked = joints[:, np.maximum(source, 0)] * known[:, None]
    kept = [i for i, flags in enumerate(marked[..., 2]) if split == "train" or tells_size(flags)]
    return ClickedPhotos(
        Path(root),
        [files[i] for i in kept],
        marked[kept, :, :2] - 0.5,
        marked[kept, :, 2],
        names=[names[i] for i in kept],
        left_out={TOO_LITTLE: len(files) - len(kept)},
    )


def check(root: str | Path, split: str | None = None) -> list[str]:
    """Return what is missing below a folder, in words; every split but "valid" needs the same files."""
    root = Path(root)
    there, wanted = _annotations(root), f"annotations/{ANNOTATIONS}"
    if split == "valid":
        there, wanted = mpii_valid.annotations(root), f"annot/{mpii_valid.NAMES[0]}"
    missing = [] if there else [f"{wanted} is missing."]
    if not any((root / "images").glob("*.jpg")):
        missing.append("images/ holds no 015601864.jpg ...")
    return missing


def _annotations(root: Path) -> Path | None:
    return next((root / place / ANNOTATIONS for place in _PLACES if (root / place / ANNOTATIONS).is_file()), None)


def _read(path: Path) -> Any:
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise UserError("Reading MPII needs scipy: pip install 'monobody[train]'.") from error
    try:
        release = loadmat(path, struct_as_record=False, squeeze_me=True)["RELEASE"]
        assert all(hasattr(release, name) for name in ("annolist", "img_train", "single_person"))
    except Exception as error:  # A damaged file makes scipy raise nearly anything.
        raise UserError(f"{path} is not MPII's {ANNOTATIONS} ({error}): unpack it again.") from error
    return release


def _listed(value: Any) -> list[Any]:
    """Return MATLAB's structures as a list, whether there are none, one or many."""
    if value is None:
        return []
    return [value] if np.ndim(value) == 0 else list(value)


def _joints(person: Any) -> np.ndarray:
    """Return the 16 joints of one person as x, y and 1 where marked."""
    joints = np.zeros((len(SKELETONS["mpii16"].joints), 3))
    for points in _listed(getattr(person, "annopoints", None)):
        for point in _listed(getattr(points, "point", None)):
            joints[int(point.id)] = point.x, point.y, 1
    return joints
