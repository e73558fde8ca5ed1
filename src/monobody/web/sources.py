"""What a page shows: a scene or motion from its file, or predicted from a photo or clip; and the pixels behind it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from monobody.errors import UserError
from monobody.motion import Motion
from monobody.predict.frames import is_video
from monobody.scene import Scene

if TYPE_CHECKING:
    from monobody.body.model import Body


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A result with what it was made of."""

    result: Scene | Motion
    picture: UInt8[np.ndarray, "h w 3"] | None = None
    """The photo."""
    clip: Path | None = None
    """The clip's file."""

    @property
    def count(self) -> int:
        """How many people there are."""
        return len(self.result.people if isinstance(self.result, Scene) else self.result.tracks)


def open_result(
    file: Path,
    picture: Path | None = None,
    *,
    model: str | None = None,
    lift: bool = False,
    body: Path | None = None,
    device: str = "auto",
) -> Found:
    """Return the result that a .npz file holds, or what a model predicts of a photo or clip.

    Args:
        file: any of these.
        picture: the photo or clip that the .npz file was made of.
        model, lift, body, device: as :func:`monobody.load` takes them.

    Raises:
        UserError: a file is missing, damaged, or does not go with the other.
    """
    if file.suffix.lower() == ".npz":
        from monobody.body.model import Body

        result = read_result(file, None if body is None else Body.load(body))
        if picture is None:
            return Found(result=result)
        if is_video(picture):
            return Found(result=result, clip=picture)
        from monobody.image import read_image

        return Found(result=result, picture=read_image(picture).rgb)
    if picture is not None:
        raise UserError(f"{file} is shown on itself: leave --picture out.")
    if not file.exists():
        raise UserError(f"There is no file {file}: check the path.")
    from monobody.predict.predictor import load

    result = load(model, device=device, body=body, lift=lift)(file)
    if isinstance(result, Motion):
        return Found(result=result, clip=file)
    return Found(result=result, picture=result.picture)


def read_result(path: Path, body: "Body | None" = None) -> Scene | Motion:
    """Read a scene or a motion, whichever a .npz file holds.

    Raises:
        UserError: the file is missing, damaged, or neither.
    """
    from monobody.export.motion_npz import motion_from
    from monobody.export.npz import FORMAT, scene_from
    from monobody.export.safe_npz import damaged, facts_in, read_arrays

    arrays = read_arrays(path, "scene or motion")
    try:
        known = facts_in(dict(arrays)).get("format")
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(path, "scene or motion") from error
    return scene_from(arrays, path, body) if known == FORMAT else motion_from(arrays, path, body)
