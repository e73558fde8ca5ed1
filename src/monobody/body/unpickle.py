"""Read SMPL's pickles without running anything that is in them.

A pickle is a program that may call whatever it can name. Here a name resolves to nothing real: numpy's, scipy's and
chumpy's classes are replaced by inert records of what they were given, every other name is refused, and only after
the file is read are the records turned into plain arrays, with every size and type checked. So neither numpy nor
scipy code runs while reading, and scipy and chumpy need not be installed. Files of Python 2 are read as well.
"""

import pickle
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from monobody.errors import UserError

_NUMBERS = {"b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"}
_SPARSE = {f"{layout}_{kind}" for layout in ("csr", "csc", "coo") for kind in ("matrix", "array")}
_LARGEST_DENSE = 10**8
_MOST_NESTED, _DEEPEST_NESTED = 10**6, 8


def read_pickle(path: Path) -> dict[str, np.ndarray]:
    """Return the numeric arrays of a pickled dictionary by name; entries that are no arrays of numbers are left out.

    Sparse matrices come back dense, chumpy's variables as their values.

    Raises:
        UserError: the file asks for anything but arrays (which is named), or is damaged.
    """

    def body(content: Any) -> dict[str, np.ndarray]:
        if not isinstance(content, dict):
            raise _Unusable("it holds no dictionary")
        arrays = ((name, _to_array(value)) for name, value in content.items() if isinstance(name, str))
        return {name: array for name, array in arrays if array is not None}

    with _explained(path, "a body", "Give a SMPL .npz or .pkl file."), path.open("rb") as file:
        return body(_ArraysOnly(file, encoding="latin1").load())


def read_nested(path: Path, member: str | None = None) -> Any:
    """Return what a data set's pickle holds: dictionaries, lists, texts, numbers and arrays of numbers, as they nest.

    With ``member``, the pickle inside that .npy file of an .npz archive, where numpy puts what is no array of
    numbers. Anything else than the above is None in the result.

    Raises:
        UserError: as :func:`read_pickle`, or the archive has no such member.
    """
    with _explained(path, "a data set", "Unpack or download it again."):
        if member is None:
            with path.open("rb") as file:
                return _nested(_ArraysOnly(file, encoding="latin1").load())
        with zipfile.ZipFile(path) as archive, archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            read_header = (
                np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            )
            if not read_header(file)[2].hasobject:
                raise _Unusable(f"{member} is an array of numbers, not a pickle")
            return _nested(_ArraysOnly(file, encoding="latin1").load())


@contextmanager
def _explained(path: Path, what: str, remedy: str) -> Iterator[None]:
    """Turn whatever goes wrong while reading into one sentence."""
    try:
        yield
    except _Refused as refusal:
        raise UserError(
            f"{path} is refused: it asks for {refusal}, which {what} file never needs and which may be an attack; "
            "nothing in it was run. Get the file from its official place."
        ) from None
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}.") from error
    except Exception as error:
        # A damaged or hostile file can make the reader fail in any way that the pickle machine can fail.
        reason = str(error) if isinstance(error, _Unusable) else "it is damaged or not a pickle"
        raise UserError(f"{path} cannot be read as {what}: {reason}. {remedy}") from error


class _Refused(pickle.UnpicklingError):
    """Carries the full name of what a pickle asked for and must not have."""


class _Unusable(ValueError):
    """Says what about a record is not usable."""


class _Record:
    """Stands for an object that is not made: it remembers its arguments and state and does nothing."""

    def __new__(cls, *arguments: Any) -> "_Record":
        record = object.__new__(cls)
        record.arguments = arguments
        record.state = None
        return record

    def __init__(self, *arguments: Any) -> None:
        # Defined so that the arguments, which __new__ keeps, are accepted here too.
        del arguments

    def __setstate__(self, state: Any) -> None:
        self.state = state

    arguments: tuple[Any, ...]
    state: Any


class _Array(_Record): ...


class _ArrayFromBuffer(_Record): ...


class _Scalar(_Record): ...


class _Type(_Record): ...


class _Sparse(_Record): ...


class _Chumpy(_Record): ...


class _Latin1:
    """Stands for ``_codecs.encode``, by which Python 3 writes bytes for Python 2: makes those bytes."""

    def __new__(cls, text: str, encoding: str) -> bytes:
        if encoding not in ("latin1", "latin-1"):
            raise _Unusable(f"it wants text encoded as {encoding}")
        return text.encode("latin1")


class _Bytes:
    """Stands for ``bytes`` and ``bytearray``, by which empty data is written."""

    def __new__(cls, data: bytes = b"", *_: Any) -> bytes:
        if not isinstance(data, bytes):
            raise _Unusable("it makes bytes of something else")
        return data


class _Bare:
    """Stands for ``copyreg._reconstructor``, which makes an object without its class's help: makes that record."""

    def __new__(cls, kind: type, *_: Any) -> _Record:
        if not issubclass(kind, _Record):
            raise _Unusable("it rebuilds an object of a class that it may not have")
        return kind()


class _ArraysOnly(pickle._Unpickler):
    """An unpickler for which only the names below exist.

    The reader in Python, not the one in C: that one makes a table as long as the largest number a file asks to store
    something under, so that a dozen bytes take tens of gigabytes. Body files are few large strings; both are fast.
    """

    def find_class(self, module: str, name: str) -> Any:
        root, _, rest = module.partition(".")
        if root == "numpy" and rest in ("", "core.multiarray", "_core.multiarray", "core.numeric", "_core.numeric"):
            stand_ins = {
                "ndarray": _Array,
                "_reconstruct": _Array,
                "_frombuffer": _ArrayFromBuffer,
                "scalar": _Scalar,
                "dtype": _Type,
            }
            if name in stand_ins:
                return _fresh(stand_ins[name], name)
        elif (module.startswith("scipy.sparse") and name in _SPARSE) or (root == "chumpy" and name.isidentifier()):
            return _fresh(_Sparse if root == "scipy" else _Chumpy, name)
        elif (module, name) == ("_codecs", "encode"):
            return _fresh(_Latin1, name)
        elif module in ("copyreg", "copy_reg") and name == "_reconstructor":
            return _fresh(_Bare, name)
        elif module in ("builtins", "__builtin__") and name in ("object", "bytes", "bytearray"):
            return _fresh(_Record if name == "object" else _Bytes, name)
        raise _Refused(f"{module}.{name}")


def _fresh(stand_in: type, name: str) -> type:
    """Return a new subclass, so that no file can change a class that the next file meets."""
    return type(name, (stand_in,), {})


def _to_array(value: Any) -> np.ndarray | None:
    """Turn a record into an array, or None if it is none of numbers."""
    if isinstance(value, _Array):
        if not (isinstance(value.state, tuple) and len(value.state) == 5):
            return None
        _, shape, kind, fortran, data = value.state
        return _numbers(kind, data, shape, "F" if fortran else "C")
    if isinstance(value, _ArrayFromBuffer):
        data, kind, shape, order = value.arguments
        return _numbers(kind, data, shape, order)
    if isinstance(value, _Scalar):
        kind, data = value.arguments
        return _numbers(kind, data, (), "C")
    if isinstance(value, _Sparse):
        return _dense(type(value).__name__, _attributes(value))
    if isinstance(value, _Chumpy):
        return _chumpy_value(_attributes(value))
    flat = value if isinstance(value, list) else [value]
    # Nested lists are not followed: lists of the same list twice, a few levels deep, would fill all memory.
    if flat and all(isinstance(number, int | float) for number in flat):
        array = np.array(value)
        return array if array.dtype.kind in "biuf" else None
    return None


def _nested(content: Any) -> Any:
    """Turn a tree of records into plain values; one that would unfold into endless lists is refused."""
    left = _MOST_NESTED

    def plain(value: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0 or depth > _DEEPEST_NESTED:
            raise _Unusable("it nests too many things")
        if isinstance(value, dict):
            return {key: plain(inner, depth + 1) for key, inner in value.items() if isinstance(key, str | int | tuple)}
        if isinstance(value, list | tuple):
            return [plain(inner, depth + 1) for inner in value]
        if isinstance(value, str | int | float | None):
            return value
        objects = _objects(value)
        if objects is not None:
            return plain(objects, depth + 1)
        return _to_array(value)

    return plain(content, 0)


def _objects(value: Any) -> Any:
    """Return what an array of objects holds: its only object where it has no axes, else their list; None for others."""
    if not (isinstance(value, _Array) and isinstance(value.state, tuple) and len(value.state) == 5):
        return None
    _, shape, kind, _, data = value.state
    if not (
        isinstance(kind, _Type) and kind.arguments and str(kind.arguments[0]).startswith("O") and isinstance(data, list)
    ):
        return None
    return data[0] if shape == () and len(data) == 1 else data


def _numbers(kind: Any, data: Any, shape: Any, order: str) -> np.ndarray | None:
    """Make an array from raw bytes, if its type is one of plain numbers and the bytes are as many as needed."""
    if not isinstance(kind, _Type) or not kind.arguments:
        raise _Unusable("an array has no type")
    code = str(kind.arguments[0])
    state = kind.state if isinstance(kind.state, tuple) else (0, "<")
    if code not in _NUMBERS:
        return None
    if isinstance(data, str):  # Python 2's strings are bytes.
        data = data.encode("latin1")
    array_type = np.dtype(code).newbyteorder(">" if state[1] == ">" else "<")
    sizes = [int(size) for size in shape]
    if not isinstance(data, bytes | bytearray) or min(sizes, default=0) < 0:
        raise _Unusable("an array has no data")
    if len(data) != array_type.itemsize * int(np.prod(sizes, dtype=object)):
        raise _Unusable("an array has more or less data than its shape")
    array = np.frombuffer(data, array_type).reshape(sizes, order="F" if order == "F" else "C")
    return array.astype(array_type.newbyteorder("="))


def _attributes(record: _Record) -> Mapping[str, Any]:
    state = record.state[0] if isinstance(record.state, tuple) and record.state else record.state
    return state if isinstance(state, Mapping) else {}


def _dense(layout: str, state: Mapping[str, Any]) -> np.ndarray:
    """Return the dense form of a sparse matrix's record, indices checked; doubled entries add up."""

    def get(*names: str) -> np.ndarray:
        array = next((_to_array(state[name]) for name in names if name in state), None)
        if array is None or array.ndim != 1:
            raise _Unusable(f"a sparse matrix has no usable {names[0]}")
        return array

    shape = tuple(int(size) for size in state.get("_shape", state.get("shape", ())))
    if len(shape) != 2 or min(shape) < 0 or shape[0] * shape[1] > _LARGEST_DENSE:
        raise _Unusable("a sparse matrix has no usable shape")
    data = get("data")
    if layout.startswith("coo"):
        coordinates = state.get("coords")
        pair = [_to_array(c) for c in coordinates] if isinstance(coordinates, tuple) else [get("row"), get("col")]
        rows, columns = pair
    else:
        starts, minor = get("indptr"), get("indices")
        if (np.diff(starts) < 0).any() or len(starts) != shape[layout.startswith("csc")] + 1:
            raise _Unusable("a sparse matrix has a damaged index")
        major = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        rows, columns = (minor, major) if layout.startswith("csc") else (major, minor)
    dense = np.zeros(shape, np.float64)
    if rows is None or columns is None or not len(rows) == len(columns) == len(data):
        raise _Unusable("a sparse matrix has a damaged index")
    if len(data) and (min(rows.min(), columns.min()) < 0 or rows.max() >= shape[0] or columns.max() >= shape[1]):
        raise _Unusable("a sparse matrix names places outside itself")
    np.add.at(dense, (rows, columns), data)
    return dense


def _chumpy_value(state: Mapping[str, Any]) -> np.ndarray | None:
    """Return the value of chumpy's variables (``x``) and of selections from them (``a`` at the flat ``idxs``)."""
    if "x" in state:
        return _to_array(state["x"])
    if "a" in state and "idxs" in state:
        base, index = _to_array(state["a"]), _to_array(state["idxs"])
        if base is None or index is None or index.dtype.kind not in "iu":
            return None
        if index.size and not (index.min() >= 0 and index.max() < base.size):
            raise _Unusable("a chumpy selection names places outside its variable")
        shape = state.get("preferred_shape")
        chosen = base.ravel()[index]
        return chosen if shape is None else chosen.reshape([int(size) for size in shape])
    return None
