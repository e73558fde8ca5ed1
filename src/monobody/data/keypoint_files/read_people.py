"""Read a file of people, whatever program wrote it: recognised by what is in it, never by its name."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from monobody.data.keypoint_files import coco_people, lsp_mat, mediapipe, mmpose, openpose, own_layout, table
from monobody.data.keypoint_files.entry import Entry
from monobody.data.keypoint_files.known_people import KnownPeople, KnownPerson
from monobody.errors import UserError

LARGEST_BYTES = 512 * 2**20
"""COCO's largest file of people has half of that; more would not fit into the memory of small machines."""
_MATLAB = (b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file")
_OF_PICTURE = ("{}_keypoints.json", "{}.json", "{}.predictions.json", "{}.csv")
"""What files of single pictures are called: by OpenPose, mmpose, OpenPifPaf, and by hand."""


class People(Protocol):
    """A file, or a folder of files, that says who is in pictures."""

    @property
    def path(self) -> Path: ...
    def in_picture(self, name: str | None, width_px: int, height_px: int) -> list[KnownPerson]:
        """Return the people of a picture, in its pixels."""
        ...

    def check_pictures(self, names: Sequence[str]) -> None:
        """Refuse pictures that it cannot tell apart."""
        ...


def read_people(path: str | Path) -> People:
    """Read a file of any layout that this folder knows, or a folder with such a file for each picture.

    Raises:
        UserError: it is missing, too large, damaged, of an unknown layout, or an entry is malformed.
    """
    path = Path(path)
    return PeopleFolder(path) if path.is_dir() else read_file(path)


def read_file(path: Path) -> KnownPeople:
    """Read one file.

    Raises:
        UserError: as :func:`read_people`.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_BYTES:
            raise UserError(f"{path} has {size / 2**20:.0f} MiB; at most {LARGEST_BYTES // 2**20} are read: split it.")
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"There is no file {path} to read people from.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    if raw.startswith(_MATLAB):
        return lsp_mat.read(path)
    try:
        text = raw.decode("utf-8-sig")
        head = text[:1000].strip()
        is_table = bool(head) and table.is_table(head.splitlines()[0])
        content = None if is_table else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path} is not a JSON file of people, nor LSP's .mat, nor a table of keypoints: {error}."
        ) from error
    return table.read(path, text) if is_table else _read_json(path, content)


class PeopleFolder:
    """A folder with a file for each picture, called after it, as OpenPose and mmpose write."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def in_picture(self, name: str | None, width_px: int, height_px: int) -> list[KnownPerson]:
        """Return the people of a picture, from its own file.

        Raises:
            UserError: there is no file for the picture, or it cannot be read.
        """
        if name is None:
            raise UserError(f"{self.path} has a file for each picture: give the picture as a file with a name.")
        wanted = [form.format(stem) for form in _OF_PICTURE for stem in (Path(name).stem, Path(name).name)]
        for candidate in wanted:
            if (self.path / candidate).is_file():
                return read_file(self.path / candidate).in_picture(name, width_px, height_px)
        raise UserError(f'The folder {self.path} has no file for "{name}": it should be called {wanted[0]}.')

    def check_pictures(self, names: Sequence[str]) -> None:
        """A folder tells pictures apart."""


def _read_json(path: Path, content: Any) -> KnownPeople:
    if openpose.is_openpose(content):
        return openpose.read(path, content)
    if coco_people.is_annotations(content):
        return coco_people.read_annotations(path, content)
    if mmpose.is_mmpose(content):
        return mmpose.read(path, content)
    if mediapipe.is_mediapipe(content):
        return mediapipe.read(path, content)
    if isinstance(content, dict):
        return own_layout.read(path, content)
    if isinstance(content, list):
        return coco_people.read_results(path, content)
    raise Entry(path, "the file").refuse("it must hold an object of pictures or a list of COCO results")
