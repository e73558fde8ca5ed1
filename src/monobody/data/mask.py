"""Masks of people as others store them, to the one form that samples have: 255 where the person is, 0 elsewhere.

Files say "person" with 1, 255, a palette's number, a colour or a probability; masks are stored on their sides as phones
store photos; two people share one mask. What cannot be a person's silhouette (nothing, or all of the picture) is named.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from monobody.errors import UserError
from monobody.image import MAX_PIXELS

Segmenter = Callable[[UInt8[np.ndarray, "h w 3"]], Any]
"""Anything that gives the mask of a picture: (h, w), with True, 1, 255 or more than a half where the person is."""
FULL_SHARE = 0.97
"""A mask that covers more of its picture than this is no silhouette."""
SMALLEST_SIDE_PX = 8
"""Somebody whose mask's longer side is shorter than this is too small to learn from."""
CELLS = 100
"""Pieces of a mask that are less than two cells apart, of so many along its longer side, are pieces of one person."""
_ORIENTATION = 0x0112


def as_mask(values: Any, *, height: int, width: int, name: str = "The mask") -> UInt8[np.ndarray, "h w"]:
    """Return a mask of any of the usual kinds as 0 and 255.

    Numbers with a point count from a half (of 255, where some exceed 1); whole numbers up to 127 are labels, all of
    which but 0 are the person; of others the upper half is. Of colours the strongest channel counts, so that masks with
    three equal channels and coloured ones come out alike, and alpha does not.

    Raises:
        UserError: it has not the size of its picture, or is no plane of numbers.
    """
    plane: np.ndarray = np.asarray(values)
    if plane.ndim == 3 and plane.shape[2] == 1:
        plane = plane[..., 0]
    elif plane.ndim == 3 and plane.shape[0] == 1:
        plane = plane[0]
    elif plane.ndim == 3 and plane.shape[2] in (3, 4):
        plane = plane[..., :3].max(2)
    if plane.ndim != 2 or plane.dtype.kind not in "buif":
        raise UserError(f"{name} has the shape {plane.shape} and type {plane.dtype}: a mask is one plane of numbers.")
    if plane.shape != (height, width):
        raise UserError(
            f"{name} has {plane.shape[1]} x {plane.shape[0]} pixels where its picture has {width} x {height}: "
            "make it again at the picture's size."
        )
    if plane.dtype.kind == "b":
        inside = plane
    elif plane.dtype.kind == "f":
        inside = np.nan_to_num(plane) > (0.5 if np.nanmax(plane, initial=0.0) <= 1 else 127.5)
    else:
        largest = int(plane.max(initial=0))
        inside = plane > (0 if largest < 128 else 127 if largest < 256 else largest // 2)
    return np.where(inside, np.uint8(255), np.uint8(0))


def read_mask(path: str | Path, photo: str | Path, *, height: int, width: int) -> UInt8[np.ndarray, "h w"]:
    """Return a photo's mask from a file.

    Args:
        path: the mask; anything Pillow reads.
        photo: the photo's file. Where the mask has its size as stored, not as seen upright, it is turned like it.
        height: of the upright photo.
        width: of the upright photo.

    Raises:
        UserError: the file is missing, damaged, or of another size than the photo.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as mask:
            if mask.width * mask.height > MAX_PIXELS:
                raise UserError(f"{path} has {mask.width} x {mask.height} pixels: make it smaller, and its photo.")
            mask.load()
            plane = mask if mask.mode in ("1", "L", "F", "RGB") or mask.mode[0] == "I" else mask.convert("RGB")
            if mask.mode == "P":  # Black is nobody; palettes of labels have darker colours than half for some.
                plane = Image.fromarray(np.asarray(plane).any(2))
        if plane.size == (height, width) and height != width:
            with Image.open(photo) as image:
                plane.getexif()[_ORIENTATION] = image.getexif().get(_ORIENTATION, 1)
            plane = ImageOps.exif_transpose(plane)
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{path}, the mask of {Path(photo).name}, is missing.") from error
    except Exception as error:  # A damaged file makes decoders raise nearly anything.
        raise UserError(f"{path} is damaged or no picture ({error}): make the mask again.") from error
    return as_mask(np.asarray(plane), height=height, width=width, name=str(path))


def one_person(mask: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """Return the largest person of a mask.

    Pieces are told apart on a coarse grid, so that a belt, a bag's strap or a lamp post, which cuts a silhouette in
    two, does not take the legs away.
    """
    try:
        from scipy.ndimage import binary_dilation, label
    except ImportError as error:
        raise UserError("Reading masks needs scipy: pip install 'monobody[train]'.") from error
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return mask
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    inside: np.ndarray = mask[window] > 0
    step = max(max(inside.shape) // CELLS, 1)
    high, wide = -(-inside.shape[0] // step), -(-inside.shape[1] // step)
    padded = np.zeros((high * step, wide * step), bool)
    padded[: inside.shape[0], : inside.shape[1]] = inside
    count = padded.reshape(high, step, wide, step).sum(3).sum(1)
    around = np.ones((3, 3), bool)
    labels: np.ndarray = np.empty(count.shape, np.int32)
    pieces = label(binary_dilation(count > 0, around), around, output=labels)
    if pieces == 1:
        return mask
    largest = 1 + int(np.bincount(labels.ravel(), count.ravel())[1:].argmax())
    mine = np.repeat(np.repeat(labels == largest, step, 0), step, 1)[: inside.shape[0], : inside.shape[1]]
    kept = np.zeros_like(mask)
    kept[window] = np.where(inside & mine, np.uint8(255), np.uint8(0))
    return kept


def box_of(mask: UInt8[np.ndarray, "h w"]) -> Float[np.ndarray, "4"]:
    """Return x0, y0, x1, y1 of a mask that is not empty, in pixels."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)


def fault_of_mask(mask: UInt8[np.ndarray, "h w"], name: str = "its mask") -> str | None:
    """Say why a mask, called `name`, is no silhouette of anybody; None where it may be one."""
    share = np.count_nonzero(mask) / max(mask.size, 1)
    if share == 0:
        return f"{name} is empty"
    if share > FULL_SHARE:
        return f"{name} covers {100 * share:.0f} % of the picture"
    x0, y0, x1, y1 = box_of(mask)
    side = max(x1 - x0, y1 - y0)
    return f"{name} is {side:.0f} pixels large" if side < SMALLEST_SIDE_PX else None
