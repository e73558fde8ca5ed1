"""A result for readers: a table in the terminal, JSON, Markdown, and one HTML page with figures.

Whatever the form, it begins with what the numbers mean: whose people and how many, who was left out and why, joints,
regressor, root, alignment, boxes. Our rows come first, then those that others have published, with their source. A
number that is not there is a dash (null in JSON), never a zero.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monobody.errors import UserError
from monobody.evaluate.predictions import Predictions
from monobody.evaluate.protocol import Column, Result, Row
from monobody.files import atomic_write

if TYPE_CHECKING:
    from rich.console import Console

    from monobody.body.model import Body
    from monobody.data.sample import Sample

MISSING = "-"


@dataclass(frozen=True, slots=True)
class TextTable:
    """A result's rows as text, the same in every form."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    ours: tuple[bool, ...]
    values: tuple[tuple[float | None, ...], ...]
    """What cells are sorted by; None where a cell is no number, or has none."""


def print_result(result: Result, console: "Console | None" = None) -> None:
    """Print the protocol's statement, then the table: our rows first, published ones below a line."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = console or Console()
    console.print(f"[bold]{escape(result.protocol.title)}[/bold] ({escape(result.protocol.name)})", highlight=False)
    stated = Table.grid(padding=(0, 2))
    for name, meaning in statement(result).items():
        stated.add_row(f"  [dim]{escape(name)}[/dim]", escape(meaning))
    console.print(stated, highlight=False)
    if result.partial:
        console.print(f"[bold]{escape(result.partial)}[/bold]", highlight=False)
    text = text_table(result)
    table = Table(box=box.SIMPLE_HEAD)
    for number, heading in enumerate(text.headings):
        table.add_column(escape(heading), justify="right" if _is_numeric(result, number) else "left", overflow="fold")
    for number, row in enumerate(text.rows):
        last_of_ours = text.ours[number] and number + 1 < len(text.rows) and not text.ours[number + 1]
        table.add_row(*map(escape, row), style="bold" if text.ours[number] else None, end_section=last_of_ours)
    console.print(table)
    for kind in result.breakdown:
        headings, rows = breakdown_table(result, kind)
        table = Table(box=box.SIMPLE_HEAD)
        for number, heading in enumerate(headings):
            table.add_column(escape(heading), justify="right" if number else "left")
        for row in rows:
            table.add_row(*map(escape, row))
        console.print(table)
    for note in result.protocol.notes:
        console.print(f"  {escape(note)}", highlight=False)


def write_report(
    result: Result,
    folder: str | Path,
    *,
    samples: "Sequence[Sample] | None" = None,
    predictions: Predictions | None = None,
    body: "Body | None" = None,
    gallery: bool = True,
    tell: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write result.json, result.md and report.html; with people to draw also percentiles.png and gallery.html.

    Numbers are written first: whatever goes wrong with a picture, they are there.

    Args:
        result: what was measured.
        folder: made where it does not exist.
        samples: the people's pictures, in the order of the result.
        predictions: what the result's first row answered for them.
        body: what the predictions pose; the shipped body where left out and the predictions are of that.
        gallery: whether to draw everybody; their pictures go to `gallery/` beside the page.
        tell: called with how many of the gallery's people are drawn, and of how many.

    Raises:
        UserError: the folder cannot be written, or samples and predictions are not of the result's people.
    """
    from monobody.evaluate.report_page import report_page

    folder = Path(folder)
    written = [
        _write(folder / "result.json", json.dumps(to_json(result), indent=1, allow_nan=False, ensure_ascii=False)),
        _write(folder / "result.md", to_markdown(result)),
    ]
    if samples is not None and predictions is not None and result.errors:
        from monobody.evaluate.gallery import write_gallery
        from monobody.evaluate.percentiles import choose, draw_percentiles
        from monobody.evaluate.portrait import Portraits

        portraits = Portraits.of(result, samples, predictions, body)
        picks = choose(result)
        if picks:
            written.append(draw_percentiles(folder / "percentiles.png", result, picks, portraits))
        if gallery:
            written.append(write_gallery(folder / "gallery.html", result, portraits, tell=tell))
        page = report_page(result, picks=picks, portraits=portraits, gallery=gallery)
    else:
        page = report_page(result)
    return [*written, _write(folder / "report.html", page)]


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


def to_json(result: Result) -> dict[str, Any]:
    """Return everything as plain numbers and text; what is not there, or no number, is None.

    `people` has every person's numbers in the order of their names, `joints` every joint's mean and over how many.
    """
    protocol = result.protocol
    return _plain(
        {
            "protocol": protocol.name,
            "title": protocol.title,
            "statement": statement(result),
            "notes": protocol.notes,
            "count": result.count,
            "expected": protocol.expected,
            "partial": result.partial,
            "left_out": result.left_out,
            "headline": protocol.headline,
            "columns": [
                {"key": column.key, "heading": column.heading, "better": column.better, "digits": column.digits}
                for column in protocol.columns
            ],
            "rows": [
                {
                    "method": row.method,
                    "ours": row.ours,
                    "numbers": {column.key: number_of(row, column) for column in protocol.columns}
                    | {key: value for key, value in row.numbers.items() if value is not None},
                    "hypotheses": row.hypotheses,
                    "choice": row.choice,
                    "oracle": row.oracle,
                    "source": row.source,
                }
                for row in all_rows(result)
            ],
            "breakdown": result.breakdown,
            "joints": {
                name: {"mean": mean, "count": count, "unit": result.joint_unit}
                for name, (mean, count) in joint_means(result).items()
            },
            "people": {"names": result.names, "errors": result.errors, "groups": result.groups},
            "facts": result.facts,
        }
    )


def to_markdown(result: Result) -> str:
    """Return the statement, the table, and the numbers of each group as Markdown."""
    protocol = result.protocol
    lines = [f"# {_cell(protocol.title)}", "", f"`monobody evaluate {_cell(protocol.name)}`", ""]
    lines += [f"- **{_cell(name)}**: {_cell(text)}" for name, text in statement(result).items()]
    if result.partial:
        lines += ["", f"**{_cell(result.partial)}**"]
    text = text_table(result)
    rows = [
        (f"**{_cell(row[0])}**" if ours else _cell(row[0]), *map(_cell, row[1:]))
        for row, ours in zip(text.rows, text.ours, strict=True)
    ]
    aligned = ["---:" if _is_numeric(result, number) else "---" for number in range(len(text.headings))]
    lines += ["", *_markdown_table([*map(_cell, text.headings)], aligned, rows)]
    lines += [f"- {_cell(note)}" for note in protocol.notes] + [""] * bool(protocol.notes)
    for kind, groups in result.breakdown.items():
        headings, cells = breakdown_table(result, kind)
        lines += [f"## By {_cell(kind)} ({len(groups)})", ""]
        rows = [(_cell(row[0]), *row[1:]) for row in cells]
        lines += _markdown_table([*map(_cell, headings)], ["---", *["---:"] * (len(headings) - 1)], rows)
    if result.facts:
        lines += ["## What else decided the numbers", ""]
        lines += [f"- {_cell(name)}: {_cell(fact(value))}" for name, value in result.facts.items()] + [""]
    return "\n".join(lines)


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
    plain = _plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def check_people(result: Result, *others: Sequence[Any]) -> None:
    """Make sure that samples, names or predictions are as many as the result's people.

    Raises:
        UserError: they are not.
    """
    for other in others:
        if len(other) != len(result.names):
            raise UserError(
                f"The result has {len(result.names)} people and what is to be drawn {len(other)}: "
                "give the pictures and predictions that the result was measured on."
            )


def _people(group: Mapping[str, float]) -> str:
    return f"{int(group['count']):,}" if "count" in group else MISSING


def _is_numeric(result: Result, number: int) -> bool:
    return 1 <= number <= len(result.protocol.columns)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; numbers that are none become None."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def _cell(text: str) -> str:
    """Return text that neither ends a Markdown cell nor begins a tag."""
    one_line = " ".join(text.split())
    return one_line.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def _markdown_table(headings: Sequence[str], aligned: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (headings, aligned, *rows)] + [""]


def _write(path: Path, text: str) -> Path:
    with atomic_write(path) as temporary:
        temporary.write_text(text + "\n" * (not text.endswith("\n")), encoding="utf-8")
    return path
