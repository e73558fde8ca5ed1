"""Read .npz files that strangers may have made: no pickles, no more memory than the file is worth, no surprises.

Sizes are taken from the archive's own table and from each array's header before anything is unpacked, so that a few
kilobytes which claim to hold terabytes cost nothing.
"""

import json
import math
import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.lib import format as npy

from monobody.errors import UserError

MOST_BYTES = 4 << 30
"""More than this unpacked is no scene and no motion: an hour of ten people in full is 2 GB."""
MOST_ARRAYS = 100_000
_MOST_FACTS = 1 << 24


def read_arrays(path: str | Path, kind: str, *, most_bytes: int = MOST_BYTES) -> dict[str, np.ndarray]:
    """Return the arrays of a .npz file by name.

    Args:
        path: the file.
        kind: what it should be, for the sentences: "scene" or "motion".
        most_bytes: refuse more than this, unpacked.

    Raises:
        UserError: the file is missing, damaged, too large unpacked, or holds anything but plain arrays.
    """
    try:
        with ZipFile(path) as archive:
            return _read(archive, path, most_bytes)
    except FileNotFoundError:
        raise UserError(f"There is no {kind} file {path}.") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, SyntaxError, RuntimeError, NotImplementedError,
            MemoryError, OverflowError, BadZipFile, zlib.error) as error:  # fmt: skip
        raise damaged(path, kind) from error


def damaged(path: str | Path, kind: str) -> UserError:
    """The sentence for a file that cannot be what it should be."""
    return UserError(f"{path} is damaged or no {kind}: write it anew with `monobody predict --save npz`.")


def facts_in(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Take the JSON text out of the arrays and return what it says.

    Raises:
        ValueError: there is none, or it is not an object.
    """
    text = arrays.pop("facts")
    if text.dtype.kind != "U" or text.ndim != 0 or text.nbytes > _MOST_FACTS:
        raise ValueError("facts are no text")
    facts = json.loads(str(text), parse_constant=_refuse)
    if not isinstance(facts, dict):
        raise ValueError("facts are no object")
    return facts


def typed(facts: dict[str, Any], **kinds: type | tuple[type, ...]) -> dict[str, Any]:
    """Return the named facts, each of its kind.

    Raises:
        KeyError: one is missing.
        TypeError: one is of another kind.
    """
    for name, kind in kinds.items():
        value = facts[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise TypeError(f"{name} is {type(value).__name__}")
    return {name: facts[name] for name in kinds}


def _read(archive: ZipFile, path: str | Path, most_bytes: int) -> dict[str, np.ndarray]:
    entries = archive.infolist()
    total = sum(entry.file_size for entry in entries)
    if total > most_bytes or len(entries) > MOST_ARRAYS:
        raise UserError(f"{path} would unpack to {total / 1e9:.1f} GB in {len(entries)} arrays: it is not read.")
    arrays: dict[str, np.ndarray] = {}
    for entry in entries:
        name = entry.filename.removesuffix(".npy")
        if name == entry.filename or name in arrays:
            raise ValueError("not an archive of arrays")
        with archive.open(entry) as file:
            version = npy.read_magic(file)
            read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
            shape, fortran, dtype = read_header(file)
            if dtype.kind not in "fiubU" or math.prod(shape) * dtype.itemsize > entry.file_size:
                raise ValueError("not a plain array of the size that the archive says")
            content = file.read()
        if len(content) != math.prod(shape) * dtype.itemsize:
            raise ValueError("an array is cut short")
        arrays[name] = np.frombuffer(bytearray(content), dtype).reshape(shape, order="F" if fortran else "C")
    return arrays


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no number")
