"""A result as Markdown: the statement, the table, and the numbers of each group."""

from collections.abc import Sequence

from monobody.evaluate.protocol import Result
from monobody.evaluate.rows import breakdown_table, fact, is_numeric, statement, text_table


def to_markdown(result: Result) -> str:
    """Return the statement, the table, and the numbers of each group as Markdown."""
    protocol = result.protocol
    lines = [f"# {_cell(protocol.title)}", "", f"`{_cell(result.command)}`", ""]
    lines += [f"- **{_cell(name)}**: {_cell(text)}" for name, text in statement(result).items()]
    if result.partial:
        lines += ["", f"**{_cell(result.partial)}**"]
    text = text_table(result)
    rows = [
        (f"**{_cell(row[0])}**" if ours else _cell(row[0]), *map(_cell, row[1:]))
        for row, ours in zip(text.rows, text.ours, strict=True)
    ]
    aligned = ["---:" if is_numeric(result, number) else "---" for number in range(len(text.headings))]
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


def _cell(text: str) -> str:
    """Return text that neither ends a Markdown cell nor begins a tag."""
    one_line = " ".join(text.split())
    return one_line.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def _markdown_table(headings: Sequence[str], aligned: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (headings, aligned, *rows)] + [""]
