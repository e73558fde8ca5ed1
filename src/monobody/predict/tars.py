"""Pictures in tars, as WebDataset lays them out: where each one lies, read from there, under names that are safe.

A tar is looked through once for its headers. One that is cut short, damaged or goes on after its end is refused: no
picture in it would be missed by itself. Links are never followed, and a member's name never becomes a path.
"""

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from monobody.errors import UserError

LARGEST_BYTES = 200_000_000
"""Of one picture in a tar; no camera writes larger ones."""
LONGEST_NAME = 120
"""In bytes: file systems allow 255, and temporary names are longer."""
_BLOCK = 512
_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """One picture in a tar."""

    member: str
    """Its name there."""
    offset: int
    size: int


def pictures_in(path: Path, suffixes: frozenset[str]) -> tuple[list[Member], int]:
    """Return a tar's pictures in order, and how many more of its pictures belong to one of these.

    WebDataset calls everything up to the first dot the key of a sample. Beside ``KEY.jpg`` a ``KEY.mask.png`` is
    something else than a photo and left out; it counts where there is no ``KEY.jpg``.

    Raises:
        UserError: the tar is missing, compressed, damaged, or holds no picture.
    """
    found: list[Member] = []
    plain: set[str] = set()
    for info in _members(path):
        name = info.name
        key, _, extension = _split(name)
        if not (info.isreg() and not info.issparse() and Path(name).suffix.lower() in suffixes):
            continue
        if Path(name).name.startswith("._"):  # What macOS adds to a tar beside every file.
            continue
        found.append(Member(name, info.offset_data, info.size))
        if f".{extension.lower()}" in suffixes:
            plain.add(key)
    kept = [each for each in found if "." not in _split(each.member)[2] or _split(each.member)[0] not in plain]
    if not kept:
        raise UserError(f"{path} holds no picture: give a tar with .jpg, .png or the like in it.")
    return kept, len(found) - len(kept)


def read_member(path: Path, member: Member) -> bytes:
    """Return a picture's bytes.

    Raises:
        UserError: the tar cannot be read, has changed, or the picture is enormous.
    """
    if member.size > LARGEST_BYTES:
        raise UserError(f"{path}/{member.member} has {member.size / 1e6:.0f} MB: at most {LARGEST_BYTES / 1e6:.0f}.")
    try:
        with path.open("rb") as file:
            file.seek(member.offset)
            content = file.read(member.size)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(content) != member.size:
        raise UserError(f"{path} became shorter while it was read: run again when it is whole.")
    return content


def safe_name(text: str) -> str:
    """Return a file name made of a path in a tar, or of any other text: no folders, no dots at the start, not too long.

    >>> safe_name("../../etc/passwd"), safe_name("a b/c:d")
    ('etc_passwd', 'a_b_c_d')
    """
    parts = [part for part in re.split(r"[/\\\\]+", text) if part.strip(". ")]
    name = "_".join(re.sub(r"[^\w.+=@-]+", "_", part) for part in parts).strip("._ ")
    return name.encode()[:LONGEST_NAME].decode(errors="ignore") or "picture"


def _split(name: str) -> tuple[str, str, str]:
    """Return WebDataset's key of a member, the dot, and what it calls its extension."""
    folder, slash, file = name.rpartition("/")
    stem, dot, extension = file.partition(".")
    return folder + slash + stem, dot, extension


def _members(path: Path) -> Iterator[tarfile.TarInfo]:
    if path.name.lower().endswith((".gz", ".tgz", ".bz2", ".xz", ".zst")):
        raise UserError(f"{path} is compressed, and pictures are so already: unpack it to a plain .tar first.")
    try:
        total = path.stat().st_size
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            while (info := tar.next()) is not None:
                tar.members.clear()  # pyright: ignore[reportAttributeAccessIssue]  # Else it would keep every header.
                if info.offset_data + info.size > total:
                    raise UserError(f"{path} is cut short at {info.name}: copy or download it again.")
                yield info
            file.seek(tar.offset)
            if len(mark := file.read(_BLOCK)) < _BLOCK or any(mark):
                raise UserError(f"{path} is cut short or damaged at byte {tar.offset:,}: copy or download it again.")
            while chunk := file.read(_AT_ONCE):
                if chunk.strip(b"\0"):
                    raise UserError(
                        f"{path} goes on after its end, as several tars in one file do: unpack and pack it anew."
                    )
    except (tarfile.TarError, ValueError, OverflowError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is no whole tar ({error}): copy or download it again.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
