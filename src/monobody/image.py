"""Read any photo as upright 8-bit RGB, with the focal length its camera noted, or say plainly why not."""

import math
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from monobody.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

MAX_PIXELS = 120_000_000
"""Larger pictures are refused before they are decoded; the largest cameras have 102 million."""
MIN_SIDE_PX = 16
"""In a smaller picture there is nobody to be seen."""

_FOCAL_LENGTH, _FOCAL_LENGTH_35MM = 0x920A, 0xA405
_PIXEL_X_DIMENSION, _FOCAL_PLANE_X_RESOLUTION, _FOCAL_PLANE_UNIT = 0xA002, 0xA20E, 0xA210
_EXIF_FOLDER = 0x8769
_FILM_DIAGONAL_MM = math.hypot(36, 24)
_UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A photo, upright."""

    rgb: UInt8[np.ndarray, "h w 3"]
    exif_focal_px: float | None = None
    """What the camera noted; None where it did not."""
    path: Path | None = None
    notes: tuple[str, ...] = ()
    """What a user should know of how the file was read."""


def read_image(path: str | Path, content: bytes | None = None) -> Picture:
    """Read a photo: turned upright as EXIF says, transparency over white, the first frame of several.

    Args:
        path: the file; or what to call the picture,
        content: where its bytes are at hand already.

    Raises:
        UserError: the file is missing, empty, damaged, no picture, too large or too small.
    """
    from PIL import Image, UnidentifiedImageError

    path = Path(path)
    if content is None:
        _check_file(path)
    elif not content:
        raise UserError(f"{path} is empty (0 bytes): copy or download it again.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures; MAX_PIXELS decides.
            with Image.open(path if content is None else BytesIO(content)) as image:
                return _decode(image, path)
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise UserError(f"{path} is not a picture that can be read: use JPEG, PNG, WebP, TIFF, BMP or GIF.") from error
    except Image.DecompressionBombError as error:
        raise UserError(_too_large(path)) from error
    except Exception as error:  # A damaged file makes decoders raise nearly anything.
        raise UserError(f"{path} is damaged or cut short and cannot be read: save or copy it again.") from error


def _decode(image: "PillowImage", path: Path) -> Picture:
    _check_size(path, *image.size)
    frames = getattr(image, "n_frames", 1)
    # Phones store a second view behind the photo itself (MPO); nobody would call that animated.
    notes = (f"the first of its {frames} frames",) if frames > 1 and image.format != "MPO" else ()
    image.load()
    upright, focal_px = _apply_exif(image)
    return Picture(rgb=_as_rgb(upright), exif_focal_px=focal_px, path=path, notes=notes)


def picture_from_array(array: Any) -> Picture:
    """Take pixels as they are: (h, w, 3) uint8 RGB, or with alpha, or grey.

    Raises:
        UserError: another shape or type, with what to do about it.
    """
    pixels = np.asarray(array)
    if pixels.dtype != np.uint8:
        raise UserError(
            f"The picture has type {pixels.dtype}: give 8-bit RGB, (255 * x).astype('uint8') where x is in 0-1."
        )
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4):
        raise UserError(f"The picture has shape {np.shape(array)}: give (height, width, 3) in RGB order.")
    _check_size(None, pixels.shape[1], pixels.shape[0])
    if pixels.shape[2] == 4:
        alpha = pixels[..., 3:].astype(np.uint16)
        pixels = ((pixels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return Picture(rgb=np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3))))


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise UserError(f"{path} is a folder, not a picture.")
        if path.stat().st_size == 0:
            raise UserError(f"{path} is empty (0 bytes): copy or download it again.")
        path.open("rb").close()
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: check the path.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error


def _check_size(path: Path | None, width: int, height: int) -> None:
    name = "The picture" if path is None else path
    if width * height > MAX_PIXELS:
        raise UserError(_too_large(name, width, height))
    if min(width, height) < MIN_SIDE_PX:
        raise UserError(
            f"{name} has {width} x {height} pixels, too few to show a person: at least {MIN_SIDE_PX} a side."
        )


def _too_large(name: Path | str, width: int | None = None, height: int | None = None) -> str:
    size = f"{width} x {height} pixels" if width else "too many pixels"
    return f"{name} has {size}; at most {MAX_PIXELS // 10**6} million are read: make it smaller first."


def _apply_exif(image: "PillowImage") -> tuple["PillowImage", float | None]:
    """Turn a picture upright and read its focal length; without EXIF, or with damaged EXIF, it stays as it is."""
    from PIL import ImageOps

    try:
        details = dict(image.getexif().get_ifd(_EXIF_FOLDER))
        focal_px = focal_from_exif(details, image.width, image.height)
        return ImageOps.exif_transpose(image), focal_px
    except Exception:  # EXIF is free bytes written by anybody; the picture itself has been decoded.
        return image, None


def focal_from_exif(tags: dict[int, Any], width_px: int, height_px: int) -> float | None:
    """Return the focal length in pixels by the tags of EXIF's own folder, None where they do not tell.

    The 35 mm equivalent relates the diagonals. Otherwise the length in millimetres and the sensor's pixel pitch
    serve, corrected where the picture was resized since. Sizes are those before turning upright.
    """

    def number(tag: int) -> float:
        try:
            value = float(tags.get(tag, 0))
        except (TypeError, ValueError, ZeroDivisionError):
            return 0.0
        return value if math.isfinite(value) else 0.0

    focal_px = number(_FOCAL_LENGTH_35MM) / _FILM_DIAGONAL_MM * math.hypot(width_px, height_px)
    pitch = number(_FOCAL_PLANE_X_RESOLUTION) / _UNIT_MM.get(int(number(_FOCAL_PLANE_UNIT)) or 2, math.inf)
    if focal_px <= 0 and pitch > 0:
        resized = width_px / (number(_PIXEL_X_DIMENSION) or width_px)
        focal_px = number(_FOCAL_LENGTH) * pitch * resized
    # Fields of view beyond 2 or 150 degrees are typing errors of software, not lenses people are photographed with.
    longer = max(width_px, height_px)
    return focal_px if 0.13 < focal_px / longer < 30 else None


def _as_rgb(image: "PillowImage") -> UInt8[np.ndarray, "h w 3"]:
    """Convert any of Pillow's modes to 8-bit RGB."""
    from PIL import Image

    if image.mode.startswith("I"):
        return _grey_as_rgb(np.asarray(image), (65535.0,))
    if image.mode == "F":
        return _grey_as_rgb(np.asarray(image), (1.0, 255.0, 65535.0))
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        coloured = image.convert("RGBA")
        white = Image.new("RGBA", coloured.size, "white")
        image = Image.alpha_composite(white, coloured)
    return np.array(image.convert("RGB"))


def _grey_as_rgb(values: np.ndarray, ranges: tuple[float, ...]) -> UInt8[np.ndarray, "h w 3"]:
    """Scale deep grey values to 8 bits by the smallest of the usual ranges that holds them."""
    values = np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0).clip(0)
    largest = float(values.max())
    full = next((top for top in ranges if largest <= top), largest)
    grey = (values * (255.0 / full) + 0.5).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
