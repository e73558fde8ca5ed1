"""SURREAL (Varol et al., CVPR 2017): SMPL bodies rendered before photos of rooms, moving as CMU's actors did.

    ROOT/cmu/{train,val,test}/run{0,1,2}/01_01/01_01_c0001.mp4          T frames (mostly 100), 320 x 240
                                               01_01_c0001_info.mat     pose, shape, joints, camera (MATLAB v5)
                                               01_01_c0001_segm.mat     segm_1 ... segm_T: body parts (may be missing)

(ROOT may also be the folder around `data` or `SURREAL`.) In `_info.mat`: `pose` (72, T), `shape` (10, T), `zrot`
(T), `joints3D` (3, 24, T) in metres, `joints2D` (2, 24, T) in whole pixels, `camLoc` (3), `gender` (T; 0 female, 1
male).

Two things to know:

- **The pictures are mirror images.** The camera that rendered them has the axes (0, 0, -1), (0, 1, 0), (-1, 0, 0) in
  the world, a reflection. `joints2D` belongs to the mirrored picture, so a right hand is where the body's left hand is
  named. Here every frame is mirrored back, as are the parts, so that the camera becomes a true one: x = z_world,
  y = y_world, z = -x_world, which looks along -x; and left is left.
- `pose` has the root in the motion capture's z-up world. The body stands before the camera with
  ``Rx(90 deg) Rz(zrot) R_root``: SURREAL's world has y down.

The focal length is 600 pixels (60 mm on a 32 mm sensor). Shapes belong to the female or male SMPL, so their space is
"smpl-female" or "smpl-male" and no neutral body is trained on them. Runs differ in how much their clips overlap (50, 30
and 70 %), so neighbouring clips of one run repeat each other; every tenth frame is kept.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, UInt8

from monobody.camera import project
from monobody.data.chained import Chained
from monobody.data.marks import marks_from_joints
from monobody.data.region import region_from_joints
from monobody.data.sample import Sample
from monobody.data.staging import rotation_x, rotation_z, to_matrices
from monobody.data.video_frames import VideoFrames
from monobody.errors import UserError

LICENCE = "SURREAL licence: non-commercial research only, no redistribution."
GET_IT = (
    "Accept the licence at https://www.di.ens.fr/willow/research/surreal/data/ and unpack SURREAL_v1.tar.gz (86 GB), "
    "or take the *.mp4, *_info.mat and *_segm.mat alone with its download script."
)
EVERY = 10
EXPECTED = {"train": 534_209, "val": 0, "test": 119_466, "pairs": 0}
"""A tenth of the paper's 5,342,090 and 1,194,662 frames, and some more: a clip's first frame always counts. How many
there are in val is nowhere written."""

Split = Literal["train", "val", "test"]
"""Besides "pairs", which are those of `surreal_pairs.py`."""
FOCAL_PX, PRINCIPAL_PX, SIZE = 600.0, (160.0, 120.0), (320, 240)
CAMERA_FROM_WORLD = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
"""Of the pictures as they are mirrored back here."""
LARGEST_MISMATCH_PX = 1.5
"""`joints2D` are rounded to whole pixels."""


class Surreal(Chained):
    """The kept frames of one split, clip by clip. Read them in order: a video starts over when asked to go back.

    Args:
        root: holds `cmu/`, or `data/cmu/`.
        split: "train", "val" (a small part of "test") or "test".
        every: keep every n-th frame of the videos.

    Raises:
        UserError: the folder holds no clip of the split.
    """

    def __init__(self, root: str | Path, split: Split = "train", *, every: int = EVERY) -> None:
        folder = _home(Path(root)) / split
        self.clips = sorted(path for path in folder.glob("run*/*/*_info.mat") if _video(path).is_file())
        if not self.clips:
            raise UserError(f"{folder} holds no run*/CLIP/*_info.mat with its video. {GET_IT}")
        self._take(self.clips, [range(0, _frame_count(path), every) for path in self.clips])

    def _take(self, clips: list[Path], frames: Sequence[Sequence[int]]) -> None:
        """Be the given frames of the given clips."""
        self.clips, self.frames = clips, list(frames)
        super().__init__([len(each) for each in self.frames])
        bare = sum(len(kept) for path, kept in zip(clips, self.frames, strict=True) if not _parts_file(path).is_file())
        self.left_out = {"masks and parts, of samples whose clips have no *_segm.mat": bare} if bare else {}
        self._open: tuple[int, dict[str, Any], VideoFrames] | None = None

    def name(self, index: int) -> str:
        """Return where a sample comes from: run, clip and frame."""
        clip, place = self.find(index)
        return f"{self.clips[clip].parts[-3]}/{_video(self.clips[clip]).stem}/{self.frames[clip][place]:03d}"

    def sample(self, part: int, place: int) -> Sample:
        """Return a clip's sample; the clip stays open for as long as it is wanted."""
        labels, video = self._opened(part)
        frame = self.frames[part][place]
        return _sample(video[frame], labels, frame, str(self.clips[part]))

    def joints(self, part: int, place: int) -> tuple[Float[np.ndarray, "24 3"], Float[np.ndarray, "24 2"]]:
        """Return SMPL's joints of a sample: metres in the camera frame, and pixels of the picture mirrored back."""
        labels, _ = self._opened(part)
        world = labels["joints3D"][..., self.frames[part][place]].T
        joints = (world - labels["camLoc"]) @ CAMERA_FROM_WORLD.T
        return joints, project(joints, FOCAL_PX, PRINCIPAL_PX)

    def _opened(self, part: int) -> tuple[dict[str, Any], VideoFrames]:
        if self._open is None or self._open[0] != part:
            path = self.clips[part]
            self._open = (part, clip_labels(path, self.frames[part]), VideoFrames(_video(path)))
        return self._open[1], self._open[2]


def samples(root: str | Path, split: Literal["train", "val", "test", "pairs"] = "train") -> Surreal:
    """Return every tenth frame of a split, or the pairs."""
    if split == "pairs":
        from monobody.data.datasets.surreal_pairs import SurrealPairs

        return SurrealPairs(root)
    return Surreal(root, split)


def check(root: str | Path, split: Literal["train", "val", "test", "pairs"] | None = None) -> list[str]:
    """Return what a split lacks, or train and test where none is named, in words; masks and parts may be missing."""
    home, words = _home(Path(root)), []
    split = "train" if split == "pairs" else split
    for each in ("train", "test") if split is None else (split,):
        found = sorted((home / each).glob("run*/*/*_info.mat"))
        if not found:
            words.append(f"{home / each} holds no run*/CLIP/*_info.mat. {GET_IT}")
            continue
        mute = [path for path in found if not _video(path).is_file()]
        if mute:
            words.append(f"{each}: {len(mute)} of {len(found)} clips lack their video, such as {_video(mute[0])}.")
    return words


def camera_root(root_aa: Float[np.ndarray, "3"], zrot_rad: float) -> Float[np.ndarray, "3 3"]:
    """Return the rotation of the body into the camera of the pictures mirrored back, from `pose[:3]` and `zrot`."""
    in_world = rotation_x(np.pi / 2) @ rotation_z(zrot_rad) @ to_matrices(root_aa)
    return CAMERA_FROM_WORLD @ in_world


def _sample(image: UInt8[np.ndarray, "h w 3"], labels: dict[str, Any], frame: int, name: str) -> Sample:
    """Return one frame's sample, mirrored back.

    Raises:
        UserError: the frame has no joints (SURREAL has some such), or its picture is not 320 x 240.
    """
    if image.shape[:2] != SIZE[::-1]:
        raise UserError(f"{name}: the video is {image.shape[1]} x {image.shape[0]} pixels, not 320 x 240.")
    joints_world, seen = labels["joints3D"][..., frame].T, labels["joints2D"][..., frame].T
    if not joints_world.any() or not np.isfinite(joints_world).all():
        raise UserError(f"{name}: frame {frame} has no joints.")
    rotations = to_matrices(labels["pose"][:, frame].reshape(24, 3))
    rotations[0] = camera_root(labels["pose"][:3, frame], float(labels["zrot"][frame]))
    joints_cam = (joints_world - labels["camLoc"]) @ CAMERA_FROM_WORLD.T
    in_mirror = project(joints_cam, FOCAL_PX, PRINCIPAL_PX) * (-1, 1) + (SIZE[0], 0)
    miss = float(np.median(np.abs(in_mirror - seen)))
    if not miss <= LARGEST_MISMATCH_PX:
        raise UserError(f"{name}: in frame {frame} joints2D are {miss:.1f} pixels from where joints3D are seen.")
    marks = marks_from_joints(joints_cam, rotations)
    keypoints = project(marks, FOCAL_PX, PRINCIPAL_PX).astype(np.float32)
    parts = labels.get(f"segm_{frame + 1}")
    parts = None if parts is None else np.ascontiguousarray(np.asarray(parts, np.uint8)[:, ::-1])
    return Sample(
        image=np.ascontiguousarray(image[:, ::-1]),
        crop=region_from_joints(keypoints[:14]),
        keypoints_px=keypoints,
        visible=np.asarray(((keypoints >= 0) & (keypoints < SIZE)).all(-1), np.float32),
        joints_cam_m=marks[:14].astype(np.float32),
        rotations=rotations.astype(np.float32),
        betas=labels["shape"][:, frame].astype(np.float32),
        shape_space="smpl-male" if labels["gender"][frame] else "smpl-female",
        focal_px=FOCAL_PX,
        principal_px=PRINCIPAL_PX,
        mask=None if parts is None else np.where(parts > 0, np.uint8(255), np.uint8(0)),
        parts=parts,
    )


def clip_labels(path: Path, frames: Sequence[int] = ()) -> dict[str, Any]:
    """Return a clip's labels, with the parts of some frames where there are any.

    Raises:
        UserError: a file is damaged, or lacks something.
    """
    wanted = ("pose", "shape", "joints2D", "joints3D", "zrot", "camLoc", "gender")
    labels = _load(path, wanted)
    count = labels["pose"].shape[-1] if "pose" in labels and labels["pose"].ndim == 2 else 1
    # MATLAB drops trailing axes of one: a clip of a single frame has joints (3, 24).
    shapes = {"pose": (72, count), "shape": (10, count), "joints2D": (2, 24, count), "joints3D": (3, 24, count)}
    shapes |= {"zrot": (count,), "gender": (count,), "camLoc": (3,)}
    for name, shape in shapes.items():
        if name not in labels or labels[name].size != np.prod(shape):
            raise UserError(f"{path} has no usable {name}: unpack it again.")
        labels[name] = np.asarray(labels[name], np.float64).reshape(shape)
    if frames and _parts_file(path).is_file():
        labels |= _load(_parts_file(path), tuple(f"segm_{frame + 1}" for frame in frames))
    return labels


def _load(path: Path, names: tuple[str, ...]) -> dict[str, Any]:
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise UserError("Reading SURREAL needs scipy: pip install 'monobody[data]'.") from error
    try:
        return loadmat(path, variable_names=list(names))
    except Exception as error:  # A torn file fails in whatever way scipy's reader can fail.
        raise UserError(f"{path} is damaged or no MATLAB file ({error}): unpack it again.") from error


def _frame_count(path: Path) -> int:
    """Return how many frames a clip has without reading it."""
    try:
        from scipy.io import whosmat
    except ImportError as error:
        raise UserError("Reading SURREAL needs scipy: pip install 'monobody[data]'.") from error
    try:
        return next(shape[1] for name, shape, _ in whosmat(path) if name == "pose")
    except Exception:
        # One sample, which says what is wrong when it is read, and is counted as skipped then.
        return 1


def _home(root: Path) -> Path:
    """Return the folder with the splits."""
    places = (root / "cmu", root / "data" / "cmu", root / "SURREAL" / "data" / "cmu", root)
    return next((place for place in places if place.is_dir() and place.name == "cmu"), root / "cmu")


def _video(info: Path) -> Path:
    return info.with_name(info.name.removesuffix("_info.mat") + ".mp4")


def _parts_file(info: Path) -> Path:
    return info.with_name(info.name.removesuffix("_info.mat") + "_segm.mat")
