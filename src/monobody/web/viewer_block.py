"""Numbers for a page's script: arrays in one block, quantised, with a description of each."""

import base64
import zlib
from typing import Any

import numpy as np

_RANGES = {"uint16": (0, 65535), "int16": (-32767, 32767), "int8": (-127, 127)}


class Block:
    """Arrays one after the other; each ``add`` returns what the script needs to read the array back.

    A description has ``at`` (offset in bytes), ``type``, ``shape`` and, for quantised numbers, ``scale`` and ``shift``:
    the value is ``scale * stored + shift[last axis]``.
    """

    def __init__(self) -> None:
        self.data = bytearray()

    def add(self, array: np.ndarray) -> dict[str, Any]:
        """Append numbers as they are; numbers with a fraction in single precision."""
        array = np.ascontiguousarray(array, np.float32 if array.dtype.kind == "f" else array.dtype)
        described = {"at": len(self.data), "type": array.dtype.name, "shape": list(array.shape)}
        self.data += array.tobytes()
        self.data += b"\0" * (-len(self.data) % 4)
        return described

    def add_quantised(self, array: np.ndarray, kind: str) -> dict[str, Any]:
        """Append numbers as uint16, each last axis from its least on, or as int16 or int8, which keep zero as zero."""
        array = np.asarray(array, np.float64)
        low, high = _RANGES[kind]
        if low == 0:
            shift = array.reshape(-1, array.shape[-1]).min(axis=0)
            scale = float((array - shift).max(initial=0.0)) / high
        else:
            shift = np.zeros(array.shape[-1])
            scale = float(np.abs(array).max(initial=0.0)) / high
        scale = scale or 1.0
        described = self.add(np.rint((array - shift) / scale).clip(low, high).astype(kind))
        return described | {"scale": scale, "shift": shift.tolist()}

    def text(self) -> str:
        """Return the block deflated (zlib) in base64."""
        return packed(bytes(self.data))


def packed(content: bytes) -> str:
    """Return bytes deflated (zlib) in base64: what the pages' script unpacks."""
    return base64.b64encode(zlib.compress(content, 9)).decode()
