"""Binary FBX 7.4 as a container: a tree of named nodes with typed properties.

A node is its end's offset in the file, how many properties it has and how long they are, its name, the properties,
its children and, after these, thirteen zero bytes. Numbers are little-endian; arrays may be deflated. The file ends
with a footer whose two keys belong to the time stamp in the header; both are the constants that everybody writes.
"""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

VERSION = 7400
_MAGIC = b"Kaydara FBX Binary  \x00\x1a\x00"
_FOOTER_KEY = bytes.fromhex("fabcab09d0c8d466b176fb831cf7267e")
_FOOTER_END = bytes.fromhex("f85a8c6adef5d97eece90ce3758f290b")
FILE_ID = bytes.fromhex("28b32aebb624ccc2bfc8b02aa92bfcf1")
CREATION_TIME = "1970-01-01 10:00:00:000"
_NONE = bytes(13)
_ARRAYS = {"f4": b"f", "f8": b"d", "i4": b"i", "i8": b"l"}


@dataclass(slots=True)
class Node:
    """A named node: properties are int (32 bits), Long, float, str, bytes, bool or arrays."""

    name: str
    properties: tuple[Any, ...] = ()
    children: list["Node"] = field(default_factory=list)

    def add(self, name: str, *properties: Any) -> "Node":
        """Append a child and return it."""
        child = Node(name, properties)
        self.children.append(child)
        return child


class Long(int):
    """An integer of 64 bits: ids and times."""


def named(name: str, kind: str) -> bytes:
    """Return an object's name as binary files have it, free of the characters that part name and kind."""
    return "".join(letter for letter in name if letter.isprintable()).encode() + b"\x00\x01" + kind.encode()


def file_bytes(nodes: Iterable[Node]) -> bytes:
    """Return a file with these nodes at the top."""
    content = bytearray(_MAGIC + struct.pack("<I", VERSION))
    for node in nodes:
        _write(node, content)
    content += _NONE + _FOOTER_KEY + bytes(4)
    content += bytes(-len(content) % 16 or 16)
    content += struct.pack("<I", VERSION) + bytes(120) + _FOOTER_END
    return bytes(content)


def _write(node: Node, content: bytearray) -> None:
    start = len(content)
    properties = b"".join(_property(value) for value in node.properties)
    name = node.name.encode()
    content += struct.pack("<IIIB", 0, len(node.properties), len(properties), len(name)) + name + properties
    for child in node.children:
        _write(child, content)
    # Nodes that may have children are closed even where they have none.
    if node.children or not node.properties:
        content += _NONE
    struct.pack_into("<I", content, start, len(content))


def _property(value: Any) -> bytes:
    if isinstance(value, bool):
        return b"C" + struct.pack("<?", value)
    if isinstance(value, Long):
        return b"L" + struct.pack("<q", value)
    if isinstance(value, int):
        return b"I" + struct.pack("<i", value)
    if isinstance(value, float):
        return b"D" + struct.pack("<d", value)
    if isinstance(value, np.ndarray):
        packed = zlib.compress(np.ascontiguousarray(value).tobytes(), 6)
        return _ARRAYS[value.dtype.str[1:]] + struct.pack("<III", value.size, 1, len(packed)) + packed
    text = value if isinstance(value, bytes) else str(value).encode()
    # The key of the file is raw data, all else text.
    return (b"R" if value is FILE_ID else b"S") + struct.pack("<I", len(text)) + text
