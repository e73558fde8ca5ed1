"""What a prediction is given or has to assume: the picture, its camera, the device, and the versions that matter."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from monobody.camera import Camera, default_focal_px, focal_from_fov
from monobody.errors import UserError
from monobody.image import Picture, picture_from_array, read_image


def choose_device(name: str) -> torch.device:
    """Return the device of that name.

    Raises:
        UserError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(f'There is no device "{name}" here: choose cpu, or leave it out.') from error
    return device


def choose_camera(
    width_px: int,
    height_px: int,
    *,
    focal_px: float | None = None,
    fov_deg: float | None = None,
    exif_focal_px: float | None = None,
) -> Camera:
    """Return the picture's camera from what is known, the user's word first.

    Raises:
        UserError: focal length and field of view are both given, or one is impossible.
    """
    principal = (width_px / 2, height_px / 2)
    if focal_px is not None and fov_deg is not None:
        raise UserError("Give the focal length or the field of view, not both: one follows from the other.")
    if focal_px is not None:
        if not (np.isfinite(focal_px) and focal_px > 0):
            raise UserError(f"A focal length of {focal_px:g} pixels is impossible: it must be a positive number.")
        return Camera(focal_px=float(focal_px), principal_px=principal, source="user")
    if fov_deg is not None:
        return Camera(focal_px=focal_from_fov(fov_deg, width_px), principal_px=principal, source="user")
    if exif_focal_px is not None:
        return Camera(focal_px=float(exif_focal_px), principal_px=principal, source="exif")
    return Camera(focal_px=default_focal_px(width_px, height_px), principal_px=principal, source="default")


def versions() -> dict[str, str]:
    """Return the versions a result depends on."""
    from importlib.metadata import version

    return {name: version(name) for name in ("monobody", "torch", "numpy")}


def as_picture(picture: str | Path | UInt8[np.ndarray, "h w 3"] | Picture) -> Picture:
    """Read a file; take pixels as they are."""
    if isinstance(picture, Picture):
        return picture
    if isinstance(picture, str | Path):
        return read_image(picture)
    return picture_from_array(picture)
