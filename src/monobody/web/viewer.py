"""The viewer: one HTML file that shows a scene or motion in 3D, on its photo or on a turntable, and holds its files.

It needs no server and no network, and refuses to load anything from anywhere: three.js, the mesh, the motion, the photo
and the files to download are all inside.
"""

import base64
import io
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from monobody.errors import UserError
from monobody.evaluate.page import data_uri, embedded, text
from monobody.export.options import KNOWN
from monobody.files import atomic_write
from monobody.motion import Motion
from monobody.scene import Scene
from monobody.web.shipped import asset
from monobody.web.viewer_block import packed
from monobody.web.viewer_data import viewer_data

PHOTO_SIDE_PX = 1600
"""Photos are made smaller than this for the page."""
FILES = ("glb", "bvh", "npz")
"""What a page offers to download unless something else is asked for."""
SKELETON_FILES = ("glb", "npz", "json")
"""The same where people are skeletons without bodies."""


def write_viewer(result: Scene | Motion, path: str | Path, **options: Any) -> Path:
    """Write :func:`viewer_page` of a result, whole or not at all.

    Raises:
        UserError: as there, or the file cannot be written.
    """
    content = viewer_page(result, **options)
    with atomic_write(path, suffix=".html") as temporary:
        temporary.write_text(content, encoding="utf-8")
    return Path(path)


def viewer_page(
    result: Scene | Motion,
    *,
    picture: UInt8[np.ndarray, "h w 3"] | None = None,
    clip: Path | None = None,
    save: Sequence[str] | None = None,
    linked: Mapping[str, tuple[str, int]] | None = None,
) -> str:
    """Return the page as text.

    Args:
        result: what is shown.
        picture: the photo; a scene's own where left out. Without one there is the turntable alone.
        clip: the clip's file, instead of a photo.
        save: formats of the files that the page holds: glb, fbx, bvh, obj, csv, json, npz, smpl.npz.
        linked: files that lie elsewhere, by name: address and size in bytes.

    Raises:
        UserError: photo or clip are not the result's, or a format is unknown.
    """
    if save is None:
        save = FILES if isinstance(result, Motion) or result.has_bodies else SKELETON_FILES
    if picture is None and isinstance(result, Scene):
        picture = result.picture
    header, block = viewer_data(result)
    held = files_of(result, save)
    elements = []
    header["files"] = []
    for number, (name, content) in enumerate(held.items()):
        header["files"].append({"name": name, "bytes": len(content), "element": f"file-{number}"})
        elements.append(f'<script type="text/plain" id="file-{number}">{packed(content)}</script>')
    for name, (address, size) in (linked or {}).items():
        header["files"].append({"name": name, "bytes": size, "href": address})
    behind = ""
    if clip is not None:
        behind = _clip(clip, result)
    elif picture is not None:
        behind = _photo(picture, result)
    return _filled(
        title=text(result.name),
        photo=behind,
        head=embedded("head", header),
        block=block.text(),
        files="\n".join(elements),
        style=asset("viewer.css"),
        three=asset("three.min.js"),
        figures=asset("figures.js"),
        stage=asset("stage.js"),
        viewer=asset("viewer.js"),
    )


def files_of(result: Scene | Motion, save: Sequence[str]) -> dict[str, bytes]:
    """Return a result's files by name; formats that hold one person give several.

    Raises:
        UserError: a format is unknown.
    """
    unknown = [kind for kind in save if f".{kind}" not in KNOWN]
    if unknown:
        known = ",".join(suffix[1:] for suffix in KNOWN)
        raise UserError(f'A page cannot hold "{",".join(unknown)}": choose from {known}.')
    people = result.tracks if isinstance(result, Motion) else result.people
    with tempfile.TemporaryDirectory() as folder:
        for kind in save if people else ():
            result.save(Path(folder) / f"{plain_name(result.name)}.{kind}")
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def plain_name(name: str) -> str:
    """Return a name that is safe as a file's on any system; the given one may come from a stranger."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:60] or "result"


def jpeg(picture: UInt8[np.ndarray, "h w 3"], most_px: int = PHOTO_SIDE_PX) -> bytes:
    """Return a photo as JPEG, no side longer than ``most_px``."""
    from PIL import Image

    image = Image.fromarray(picture)
    image.thumbnail((most_px, most_px))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=86)
    return content.getvalue()


def _photo(picture: UInt8[np.ndarray, "h w 3"], result: Scene | Motion) -> str:
    _check_size("picture", picture.shape[1], picture.shape[0], result)
    return f'<img id="photo" alt="" src="{data_uri(jpeg(picture), "jpeg")}">'


def _clip(path: Path, result: Scene | Motion) -> str:
    from monobody.predict.frames import open_source
    from monobody.web.clip import small_clip

    source = open_source(path)
    _check_size("clip", source.width_px, source.height_px, result)
    end_s = float(result.times_s[-1]) if isinstance(result, Motion) else 0.0
    content = base64.b64encode(small_clip(source, end_s)).decode()
    return f'<video id="photo" muted loop playsinline preload="auto" src="data:video/mp4;base64,{content}"></video>'


def _check_size(what: str, width: int, height: int, result: Scene | Motion) -> None:
    asked = (result.width_px, result.height_px)
    if all(asked) and asked != (width, height):
        raise UserError(
            f"The {what} has {width} x {height} pixels, the result was made of one with {asked[0]} x {asked[1]}: give "
            "that one, or none."
        )


def _filled(**parts: str) -> str:
    """Return the page; placeholders are looked for in the template alone, not in what fills them."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], asset("viewer.html"))
