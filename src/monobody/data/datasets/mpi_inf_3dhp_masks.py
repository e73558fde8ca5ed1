"""MPI-INF-3DHP's masks, of the green screen and of chairs, and masks that a segmenter made of its frames.

    S1/Seq1/masks/video_0/frame_000001.jpg          red where somebody or something stands before the green
    S1/Seq1/chair_masks/video_0/frame_000001.jpg    black where the chair is
    sam_masks/mpi_inf_3dhp/S1/Seq1/masks/video_0/frame_000001.jpg     beside the data set's folder, or in it

A segmenter's masks come first: the green screen's hold the chair too. Frames are numbered from 1.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from monobody.data.mask import as_mask, read_mask
from monobody.errors import UserError

BLUR_PX = 2.0
"""Half the window over which the green screen's masks are averaged: they flicker at single pixels."""
SHRUNK = 8
"""Where only shares and places are asked for, JPEGs are decoded so many times smaller."""
ON_CHAIR, FOREGROUND = 4, 0.85
"""More joints on the chair than this, or more of the picture before the green, and a frame is not used."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Masks:
    """Where the masks of one recording's camera lie."""

    folder: Path
    chairs: Path | None
    green: bool
    """Whether they are the green screen's."""

    def __call__(self, frame: int, height: int, width: int) -> UInt8[np.ndarray, "h w"] | None:
        """Return the mask of a frame, counted from 0; None where there is no file.

        Raises:
            UserError: it is damaged, or of another size than its picture.
        """
        path = self.folder / file_name(frame)
        if not path.is_file():
            return None
        return green_mask(path, height, width) if self.green else read_mask(path, path, height=height, width=width)

    def unusable(self, frame: int, joints_px: Float[np.ndarray, "k 2"], size: tuple[int, int]) -> str | None:
        """Say why a frame is not used; None where it is. Without masks on disk every frame is."""
        chair = None if self.chairs is None else _shrunk(self.chairs / file_name(frame))
        if chair is not None and on_black(chair, joints_px, size).sum() > ON_CHAIR:
            return f"more than {ON_CHAIR} joints on the chair"
        green = _shrunk(self.folder / file_name(frame)) if self.green else None
        if green is not None and (green > 127).mean() > FOREGROUND:
            return f"more than {100 * FOREGROUND:.0f} % of the picture before the green screen"
        return None


def masks_of(root: Path, recording: Path, camera: int) -> Masks | None:
    """Return where the masks of a camera lie, None where it has none."""
    inside, view = recording.relative_to(root), f"video_{camera}"
    made = [base / "sam_masks" / "mpi_inf_3dhp" / inside / "masks" / view for base in (root, root.parent)]
    segmented = next((folder for folder in made if folder.is_dir()), None)
    green, chairs = recording / "masks" / view, recording / "chair_masks" / view
    folder = segmented or (green if green.is_dir() else None)
    if folder is None:
        return None
    return Masks(folder=folder, chairs=chairs if chairs.is_dir() else None, green=segmented is None)


def file_name(frame: int) -> str:
    """Return the name of a frame's file; frames count from 0, files from 1."""
    return f"frame_{frame + 1:06d}.jpg"


def green_mask(path: Path, height: int, width: int) -> UInt8[np.ndarray, "h w"]:
    """Return the green screen's mask: the red channel, averaged over a small square, above a half.

    Raises:
        UserError: the file is damaged, or of another size.
    """
    from PIL import Image, ImageFilter

    try:
        with Image.open(path) as image:
            red = image.convert("RGB").getchannel("R").filter(ImageFilter.BoxBlur(BLUR_PX))
    except Exception as error:  # A damaged file makes decoders raise nearly anything.
        raise UserError(f"{path} is damaged or no picture ({error}): unpack it again.") from error
    return as_mask(np.asarray(red) > 127, height=height, width=width, name=str(path))


def on_black(
    mask: UInt8[np.ndarray, "h w"], joints_px: Float[np.ndarray, "k 2"], size: tuple[int, int]
) -> Bool[np.ndarray, "k"]:
    """Return which points (pixels of a picture of that width and height) lie where a mask of any scale is black."""
    scale = np.array(mask.shape[::-1]) / np.array(size)
    x, y = np.floor(joints_px * scale).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0])
    black = np.zeros(len(joints_px), bool)
    black[inside] = mask[y[inside], x[inside]] < 128
    return black


def _shrunk(path: Path) -> UInt8[np.ndarray, "h w"] | None:
    """Return a mask's red channel, decoded small; None where there is no such file, or it is damaged."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.draft("RGB", (image.width // SHRUNK, image.height // SHRUNK))
            return np.asarray(image.convert("RGB").getchannel("R"))
    except Exception:  # What is damaged is a fault when its sample is read.
        return None
