"""A result in the terminal: what was measured, the table in as many parts as its width asks for, the sources."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from monobody.evaluate.protocol import Result
from monobody.evaluate.rows import all_rows, answers, breakdown_table, statement, text_table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def print_result(result: Result, console: "Console | None" = None) -> None:
    """Print the protocol's statement, then the table: our rows first, published ones below a line, then the sources.

    A table that is wider than the terminal is printed in parts, each with the methods' names.
    """
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
    numbers = len(result.protocol.columns)
    for start, end in _fitting(text.headings, text.rows, range(1, 1 + numbers), console.width):
        table = _terminal_table(text.headings, start, end)
        for number, row in enumerate(text.rows):
            ends = text.ours[number] and number + 1 < len(text.rows) and not text.ours[number + 1]
            shown_cells = map(escape, (row[0], *row[start:end]))
            table.add_row(*shown_cells, style="bold" if text.ours[number] else None, end_section=ends)
        console.print(table)
    for row, cells in zip(all_rows(result), text.rows, strict=True):
        several = "" if row.hypotheses == 1 else f"; {answers(row)}"
        console.print(f"  [dim]{escape(row.method)}: {escape(cells[-1] + several)}[/dim]", highlight=False)
    for kind in result.breakdown:
        headings, rows = breakdown_table(result, kind)
        (start, end), *more = _fitting(headings, rows, range(1, len(headings)), console.width)
        table = _terminal_table(headings, start, end)
        for row in rows:
            table.add_row(*map(escape, (row[0], *row[start:end])))
        console.print(table)
        if more:
            console.print(f"  [dim]and {len(headings) - end} more columns in result.md[/dim]", highlight=False)
    for note in result.protocol.notes:
        console.print(f"  {escape(note)}", highlight=False)


def _fitting(
    headings: Sequence[str], rows: Sequence[Sequence[str]], columns: range, width: int
) -> list[tuple[int, int]]:
    """Return from where to where columns fit into a line beside the first one; at least one at a time."""

    def needs(column: int) -> int:
        return max(len(cells[column]) for cells in (headings, *rows)) + 3

    parts, start, used = [], columns.start, needs(0)
    for column in columns:
        if used + needs(column) > width - 2 and column > start:
            parts.append((start, column))
            start, used = column, needs(0)
        used += needs(column)
    return [*parts, (start, columns.stop)]


def _terminal_table(headings: Sequence[str], start: int, end: int) -> "Table":
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column(escape(headings[0]), overflow="fold")
    for heading in headings[start:end]:
        table.add_column(escape(heading), justify="right", no_wrap=True)
    return table
