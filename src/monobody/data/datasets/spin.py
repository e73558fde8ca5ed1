"""SPIN's tables (Kolotouros et al., ICCV 2019): one .npz a set, beside its pictures; many projects share this form.

    ROOT/coco_2014_train.npz ...     columns of N people
    ROOT/train2014/....jpg ...       `imgname` is relative to ROOT, or to ROOT/images

| column | shape | what |
|---|---|---|
| imgname | N texts | the picture |
| center, scale | N x 2, N | middle of the person's box in pixels; its side in units of 200 pixels |
| part | N x 24 x 3 | x, y in pixels, confidence: LSP's 14 joints, pelvis, thorax, spine, jaw, head, nose, eyes, ears |
| openpose | N x 25 x 3 | OpenPose's joints, which fill in for what `part` lacks where their confidence is 0.2 or more |
| S | N x 24 x 4 | x, y, z in metres from the pelvis, camera axes, and confidence, in the order of `part` |
| pose, shape, has_smpl | N x 72, N x 10, N | SMPL, the root to the camera; 1 where known (everywhere if left out) |
| gender | N texts | "m" or "f" where the shape belongs to that SMPL, not the neutral one |

Only imgname, center, scale and one of part and openpose must be there. Pixels are counted from 0 at the middle of the
first. The head's top is the 14th joint of `part`, or the 19th (Human3.6M's), whichever is known.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from monobody.data.chained import Chained
from monobody.data.crop import Crop
from monobody.data.region import region_from_joints
from monobody.data.sample import Sample
from monobody.data.staging import to_matrices
from monobody.errors import UserError

LICENCE = "That of the pictures and labels in the tables; SPIN's own fits are for non-commercial research."
GET_IT = (
    "Write such tables yourself, or take SPIN's: https://github.com/nkolot/SPIN (fetch_data.sh gets dataset_extras/); "
    "put them into one folder with the pictures they name."
)
EXPECTED = {"all": 0}
"""Whatever the tables in the folder hold."""

LEAST_CONFIDENCE = 0.2
"""Of OpenPose's joints, as HMR's demo has it."""
PART = (*range(14), 19, 20, 21, 22, 23)
"""Which of `part`'s 24 are cocoplus19."""
HEAD_TOP, HEAD_H36M, PELVIS = 13, 18, 14
OPENPOSE = (11, 10, 9, 12, 13, 14, 4, 3, 2, 5, 6, 7, -1, -1, 0, 16, 15, 18, 17)
"""Which of OpenPose's 25 are cocoplus19; its neck lies elsewhere than LSP's."""
_SHAPES = {"center": (2,), "scale": (), "part": (24, 3), "openpose": (25, 3), "S": (24, 4), "pose": (72,)}
_SHAPES |= {"shape": (10,), "has_smpl": ()}


class Spin(Chained):
    """The people of one table or several, in their order; a picture is read when it is asked for.

    Args:
        tables: .npz files.
        images: what `imgname` is relative to; each table's folder, or `images` in it, where left out.

    Raises:
        UserError: a file is no such table.
    """

    def __init__(self, *tables: str | Path, images: str | Path | None = None) -> None:
        self.tables = [Path(table) for table in tables]
        self.columns = [read_table(table) for table in self.tables]
        self.images = [Path(images) if images is not None else table.parent for table in self.tables]
        super().__init__(len(columns["imgname"]) for columns in self.columns)

    def name(self, index: int) -> str:
        """Return where a sample comes from: table, row and picture."""
        table, row = self.find(index)
        return f"{self.tables[table].stem}/{row:06d} ({self.columns[table]['imgname'][row]})"

    def picture(self, index: int) -> Path:
        """Return the picture's path."""
        return self._picture(*self.find(index))

    def _picture(self, table: int, row: int) -> Path:
        places = [folder / str(self.columns[table]["imgname"][row]) for folder in _folders(self.images[table])]
        return next((place for place in places if place.is_file()), places[0])

    def sample(self, part: int, place: int) -> Sample:
        """Return the person of a table's row."""
        from PIL import Image, UnidentifiedImageError

        row = {name: column[place] for name, column in self.columns[part].items()}
        try:
            with Image.open(self._picture(part, place)) as image:
                rgb = np.asarray(image.convert("RGB"))
        except (OSError, UnidentifiedImageError) as error:
            raise UserError(f"Row {place} of {self.tables[part]}: its picture cannot be read ({error}).") from error
        keypoints, visible = _keypoints(row)
        if visible[:14].sum() >= 2:
            crop = region_from_joints(keypoints[:14], visible[:14] > 0)
        else:
            x, y = (float(value) + 0.5 for value in row["center"])
            crop = Crop((x, y), 200 * float(row["scale"]))
        known = "pose" in row and bool(row.get("has_smpl", 1))
        return Sample(
            image=rgb,
            crop=crop,
            keypoints_px=keypoints,
            visible=visible,
            joints_cam_m=_joints(row),
            rotations=to_matrices(row["pose"].reshape(24, 3)) if known else None,
            betas=row["shape"].astype(np.float32) if known and "shape" in row else None,
            shape_space={"m": "smpl-male", "f": "smpl-female"}.get(str(row.get("gender", ""))[:1], "smpl"),
        )


def read_table(path: str | Path) -> dict[str, NDArray]:
    """Return the columns of a table that are understood here, as float64 and texts.

    Raises:
        UserError: the file is damaged, lacks a column, or has one of another shape or with numbers that are not finite.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in ("imgname", "gender", *_SHAPES) if name in file}
    except Exception as error:  # Damaged archives raise nearly anything.
        raise UserError(f"{path} is not a table in SPIN's form: {error}. See {__name__} for the columns.") from error
    for name in ("imgname", "center", "scale"):
        if name not in found:
            raise UserError(f"{path} has no column {name}, which every table in SPIN's form has.")
    if not {"part", "openpose"} & found.keys():
        raise UserError(f"{path} has neither of the columns part and openpose: it knows no joints.")
    count = len(found["imgname"])
    for name, column in found.items():
        if name in ("imgname", "gender"):
            text = [value.decode() if isinstance(value, bytes) else str(value) for value in column.ravel().tolist()]
            found[name] = np.array(text)
            continue
        found[name] = np.asarray(column, np.float64)
        if found[name].size != count * int(np.prod(_SHAPES[name])):
            raise UserError(f"{path}: {name} is {column.shape}, not {(count, *_SHAPES[name])}.")
        if not np.isfinite(found[name]).all():
            raise UserError(f"{path}: {name} holds numbers that are not finite; repair or drop those rows.")
        found[name] = found[name].reshape(count, *_SHAPES[name])
    return found


def tables(root: str | Path) -> list[Path]:
    """Return the tables in a folder, sorted; other .npz files are not meant."""
    found = []
    for path in sorted(Path(root).glob("*.npz")):
        try:
            with np.load(path, allow_pickle=False) as file:
                found += [path] if {"imgname", "center", "scale"} <= set(file.files) else []
        except Exception:  # Damaged archives raise nearly anything.
            continue
    return found


def samples(root: str | Path, split: str = "all") -> Spin:
    """Return all tables of a folder, or ROOT/SPLIT.npz alone.

    Raises:
        UserError: there is no such table.
    """
    found = [path for path in tables(root) if split in ("all", path.stem)]
    if not found:
        wanted = "no table (*.npz)" if split == "all" else f"no table {split}.npz"
        raise UserError(f"{root} holds {wanted} in SPIN's form. {GET_IT}")
    return Spin(*found)


def check(root: str | Path, split: str | None = None) -> list[str]:
    """Return what is missing, in words; nothing where every picture that the tables name is there."""
    found = tables(root)
    if not found:
        return [f"{root} holds no table (*.npz) in SPIN's form. {GET_IT}"]
    words = []
    for path in found:
        try:
            people = Spin(path)
        except UserError as error:
            words.append(str(error))
            continue
        paths = {people.picture(index) for index in range(len(people))}
        lost = sorted(path for path in paths if not path.is_file())
        if lost:
            words.append(f"{path.name}: {len(lost)} of {len(paths)} pictures are missing, such as {lost[0]}.")
    return words


def _folders(root: Path) -> tuple[Path, Path]:
    """Return where pictures may be that are named relative to a folder."""
    return root, root / "images"


def _keypoints(row: dict[str, NDArray]) -> tuple[Float[NDArray, "19 2"], Float[NDArray, "19"]]:
    """Return cocoplus19 in our pixels and which are known."""
    keypoints, visible = np.zeros((19, 2)), np.zeros(19)
    if "openpose" in row:
        theirs = row["openpose"][list(OPENPOSE)] * (np.array(OPENPOSE) >= 0)[:, None]
        known = theirs[:, 2] >= LEAST_CONFIDENCE
        keypoints[known], visible[known] = theirs[known, :2] + 0.5, 1
    if "part" in row:
        theirs = _with_head_top(row["part"])[list(PART)]
        known = theirs[:, 2] > 0
        keypoints[known], visible[known] = theirs[known, :2] + 0.5, 1
    return keypoints.astype(np.float32), visible.astype(np.float32)


def _joints(row: dict[str, NDArray]) -> Float[NDArray, "14 3"] | None:
    """Return lsp14 in metres where all fourteen are known."""
    if "S" not in row:
        return None
    joints = _with_head_top(row["S"])[:14]
    return joints[:, :3].astype(np.float32) if (joints[:, 3] > 0).all() else None


def _with_head_top(points: Float[NDArray, "24 c"]) -> Float[NDArray, "24 c"]:
    """Put Human3.6M's head in the place of an unknown head top."""
    points = points.copy()
    if not points[HEAD_TOP, -1] > 0:
        points[HEAD_TOP] = points[HEAD_H36M]
    return points
