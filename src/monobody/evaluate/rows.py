"""A result's rows and what they mean as text, the same in every form: terminal, Markdown, HTML and JSON."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from monobody.evaluate.protocol import Column, Result, Row

MISSING = "-"


@dataclass(frozen=True, slots=True)
class TextTable:
    """A result's rows as text, the same in every form."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    ours: tuple[bool, ...]
    values: tuple[tuple[float | None, ...], ...]
    """What cells are sorted by; None where a cell is no number, or has none."""


def statement(result: Result) -> dict[str, str]:
    """Return what the numbers mean, by name, in the order in which it is printed; the counts come last."""
    stated = result.protocol.statement()
    stated.pop("expected", None)
    expected = result.protocol.expected
    of = "" if expected is None else f" of {expected:,} that the protocol states"
    left_out = "; ".join(f"{count:,}: {reason}" for reason, count in result.left_out.items()) or "nobody"
    return stated | {
        "measured": f"{result.count:,}{of}",
        "left out": left_out,
        "answers": "; ".join(dict.fromkeys(f"{row.method}: {answers(row)}" for row in result.rows)),
    }


def answers(row: Row) -> str:
    """Say how many answers a method gives for a person, which of them counts, and whether the truth chose it."""
    if row.hypotheses == 1:
        return "one answer a person"
    return f"{row.choice} of {row.hypotheses}" + (" (an oracle that knows the truth)" if row.oracle else "")


def all_rows(result: Result) -> list[Row]:
    """Return our rows, then the published ones."""
    return [*result.rows, *result.protocol.published]


def text_table(result: Result) -> TextTable:
    """Return the table as text: method, the columns, how many answers where any row has several, and the source."""
    rows = all_rows(result)
    columns = result.protocol.columns
    several = any(row.hypotheses != 1 for row in rows)
    headings = ("method", *(column.heading for column in columns), *["answers"] * several, "source")
    cells, values = [], []
    for row in rows:
        numbers = [number_of(row, column) for column in columns]
        counted = [answers(row) if row.hypotheses != 1 else "1"] * several
        cells.append((row.method, *map(shown, numbers, columns), *counted, row.source or MISSING))
        values.append((None, *numbers, *[float(row.hypotheses)] * several, None))
    return TextTable(headings, tuple(cells), tuple(row.ours for row in rows), tuple(values))


def number_of(row: Row, column: Column) -> float | None:
    """Return a row's number; None where it has none, or one that is no number."""
    value = row.numbers.get(column.key)
    return None if value is None or not math.isfinite(value) else float(value)


def shown(value: float | None, column: Column) -> str:
    """Return a number with its column's digits, or a dash."""
    return MISSING if value is None or not math.isfinite(value) else f"{value:.{column.digits}f}"


def breakdown_table(result: Result, kind: str) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return a breakdown's headings, and for each group its name, how many people it has, and its numbers."""
    groups = result.breakdown[kind]
    columns = [column for column in result.protocol.columns if any(column.key in group for group in groups.values())]
    headings = (kind, "people", *(column.heading for column in columns))
    rows = [
        (name, _people(group), *(shown(group.get(column.key), column) for column in columns))
        for name, group in groups.items()
    ]
    return headings, rows


def joint_means(result: Result) -> dict[str, tuple[float, int]]:
    """Return each joint's mean error and over how many people that is; NaN where it is nobody."""
    means = {}
    for name, values in result.joint_errors.items():
        known = np.asarray(values, np.float64)
        known = known[np.isfinite(known)]
        means[name] = (float(known.mean()) if len(known) else math.nan, len(known))
    return means


def fact(value: Any) -> str:
    """Return a fact in one line."""
    one = plain(value)
    return one if isinstance(one, str) else json.dumps(one, ensure_ascii=False)


def _people(group: Mapping[str, float]) -> str:
    return f"{int(group['count']):,}" if "count" in group else MISSING


def plain(value: Any) -> Any:
    """Return a value as JSON has it; numbers that are none become None."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def is_numeric(result: Result, number: int) -> bool:
    """Tell whether a column of the text table has numbers."""
    return 1 <= number <= len(result.protocol.columns)
