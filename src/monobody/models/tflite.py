"""Read the constants and the graph of a TensorFlow Lite file: just enough of the format to take weights out.

A .tflite is a flatbuffer (https://flatbuffers.dev/internals): a table is a list of offsets to its fields, counted
backwards in its ``vtable``; a vector is a length and its elements. Every offset is checked against the file's length.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monobody.errors import UserError

CONVOLUTIONS = frozenset([3, 4])
"""The format's numbers of CONV_2D and DEPTHWISE_CONV_2D; both take values, weights and bias."""
_DEQUANTIZE = 6
_TYPES = {0: np.dtype("<f4"), 1: np.dtype("<f2"), 2: np.dtype("<i4")}
_IDENTIFIER = b"TFL3"


@dataclass(frozen=True, slots=True)
class Operator:
    """One step of the network: which kind, and the numbers of the tensors it reads and writes."""

    kind: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class Graph:
    """The first graph of a .tflite file.

    Attributes:
        operators: in the order in which they run.
        outputs: the name of each output and its tensor's number.

    Raises:
        UserError: the file is missing, or is not a whole .tflite file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self._bytes = self.path.read_bytes()
        except OSError as error:
            raise UserError(f"Cannot read {self.path}: {error.strerror or error}.") from error
        try:
            self._read()
        except (struct.error, IndexError, UnicodeDecodeError) as error:
            raise self.damaged() from error
        self._maker = {tensor: i for i, operator in enumerate(self.operators) for tensor in operator.outputs}

    def constant(self, tensor: int) -> np.ndarray:
        """Return a constant in float32, also one that is stored in half precision and widened by an operator.

        Raises:
            UserError: the tensor is no constant, or the file ends before it.
        """
        try:
            if tensor in self._maker and self.operators[self._maker[tensor]].kind == _DEQUANTIZE:
                tensor = self.operators[self._maker[tensor]].inputs[0]
            table = self._tensors[tensor]
            shape, kind = self._integers(table, 0), _TYPES[self._number(table, 1, "<b")]
            at, length = self._vector(self._buffers[self._number(table, 2, "<I")], 0)
        except (struct.error, IndexError, KeyError) as error:
            raise self.damaged() from error
        if min(shape, default=1) < 0 or length != math.prod(shape) * kind.itemsize:
            raise self.damaged()
        return np.frombuffer(self._bytes[at : at + length], kind).reshape(shape).astype(np.float32)

    def ancestors(self, tensor: int) -> set[int]:
        """Return the places in `operators` of everything that a tensor depends on."""
        seen: set[int] = set()
        todo = [tensor]
        while todo:
            place = self._maker.get(todo.pop())
            if place is not None and place not in seen:
                seen.add(place)
                todo += self.operators[place].inputs
        return seen

    def damaged(self) -> UserError:
        return UserError(f"{self.path} is damaged: install monobody again (pip install --force-reinstall monobody).")

    def _read(self) -> None:
        if self._bytes[4:8] != _IDENTIFIER:
            raise self.damaged()
        model = self._follow(0)
        kinds = [
            max(self._number(code, 0, "<b"), self._number(code, 3, "<i")) for code in self._tables(model, 1)
        ]  # Old files have a byte, new ones an integer; the larger one is meant.
        graph = self._tables(model, 2)[0]
        self._buffers, self._tensors = self._tables(model, 4), self._tables(graph, 0)
        self.operators = [
            Operator(kinds[self._number(table, 0, "<I")], self._integers(table, 1), self._integers(table, 2))
            for table in self._tables(graph, 3)
        ]
        self.outputs = {self._name(self._tensors[tensor]): tensor for tensor in self._integers(graph, 2)}

    def _at(self, place: int, form: str) -> int:
        if place < 0:
            raise IndexError(place)
        return struct.unpack_from(form, self._bytes, place)[0]

    def _follow(self, place: int) -> int:
        return place + self._at(place, "<I")

    def _field(self, table: int, number: int) -> int | None:
        """Return where a table's field lies; None where it has its default."""
        offsets = table - self._at(table, "<i")
        if 4 + 2 * number >= self._at(offsets, "<H"):
            return None
        offset = self._at(offsets + 4 + 2 * number, "<H")
        return table + offset if offset else None

    def _number(self, table: int, number: int, form: str) -> int:
        place = self._field(table, number)
        return 0 if place is None else self._at(place, form)

    def _vector(self, table: int, number: int, *, size: int = 1) -> tuple[int, int]:
        """Return where a vector's elements begin, and how many of `size` bytes there are, all within the file."""
        place = self._field(table, number)
        if place is None:
            return 0, 0
        start = self._follow(place)
        length = self._at(start, "<I")
        if start + 4 + size * length > len(self._bytes):
            raise IndexError(length)
        return start + 4, length

    def _tables(self, table: int, number: int) -> list[int]:
        start, length = self._vector(table, number, size=4)
        return [self._follow(start + 4 * i) for i in range(length)]

    def _integers(self, table: int, number: int) -> tuple[int, ...]:
        start, length = self._vector(table, number, size=4)
        return struct.unpack_from(f"<{length}i", self._bytes, start)

    def _name(self, table: int) -> str:
        start, length = self._vector(table, 3)
        return self._bytes[start : start + length].decode()
