"""glTF's binary part: arrays one after the other, described by views and accessors; and the container of a GLB."""

import json
import struct
from typing import Any

import numpy as np

FLOAT, UNSIGNED_BYTE, UNSIGNED_SHORT, UNSIGNED_INT = 5126, 5121, 5123, 5125
VERTICES, TRIANGLES = 34962, 34963


class Buffer:
    """Arrays one after the other, with the views and accessors that describe them."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add(self, array: np.ndarray, target: int | None = None, *, bounds: bool = False) -> int:
        """Append an array and return its accessor's index.

        Matrices are (n, 4, 4), vectors (n, k), numbers (n,), indices (f, 3) with ``target`` TRIANGLES. Numbers with a
        fraction are stored in single precision. ``bounds``: say the least and the largest of each component.
        """
        if array.dtype.kind == "f":
            array = array.astype(np.float32)
        kinds = {"f4": FLOAT, "u1": UNSIGNED_BYTE, "u2": UNSIGNED_SHORT, "u4": UNSIGNED_INT}
        if target == TRIANGLES:
            array = array.reshape(-1)
        kind = {1: "SCALAR", 2: f"VEC{array.shape[-1]}", 3: "MAT4"}[array.ndim]
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.data), "byteLength": array.nbytes}
        if target is not None:
            view["target"] = target
        self.data += np.ascontiguousarray(array).tobytes()
        self.data += b"\0" * (-len(self.data) % 4)
        accessor: dict[str, Any] = {
            "bufferView": append(self.views, view),
            "componentType": kinds[array.dtype.str[1:]],
            "count": len(array),
            "type": kind,
        }
        if bounds:
            table = array.reshape(len(array), -1)
            accessor |= {"min": table.min(axis=0).tolist(), "max": table.max(axis=0).tolist()}
        return append(self.accessors, accessor)


def append(items: list[dict[str, Any]], item: dict[str, Any]) -> int:
    """Append and return the index, by which glTF's parts refer to each other."""
    items.append(item)
    return len(items) - 1


def container(document: dict[str, Any], binary: bytes) -> bytes:
    """Return header, JSON chunk and binary chunk, each padded to four bytes."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    if binary:
        chunks += struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
