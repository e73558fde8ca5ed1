"""HTML pages that need nothing but themselves: no server, no script or font or picture from anywhere else.

A page refuses to load anything from outside (its content security policy), is readable in dark and in light and on a
phone, and its tables are sorted by a click on a heading. Every text that comes from data is escaped here or in
:func:`text`.
"""

import base64
import html
import json
from collections.abc import Sequence
from typing import Any

STYLE = """
:root { color-scheme: light dark; --paper: #fbfbfa; --ink: #1c1e21; --faint: #5d636b; --line: #d9dbdf;
  --panel: #ffffff; --accent: #1f5fa8; --bar: #2f74c0; --second: #b8500f; --shade: #eef2f8; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181b; --ink: #e7e8ea; --faint: #a2a8b0; --line: #363a40;
  --panel: #1e2125; --accent: #8ab8f0; --bar: #6fa8e8; --second: #f0a060; --shade: #232a34; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem clamp(.8rem, 3vw, 2.5rem) 3rem; max-width: 76rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.55rem; line-height: 1.25; margin: .2rem 0 .3rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
p, figcaption, .faint { color: var(--faint); }
p { max-width: 46rem; margin: .4rem 0 .8rem; }
a { color: var(--accent); }
code { font: .9em ui-monospace, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.warning { border-left: 4px solid var(--second); padding: .5rem .9rem; background: var(--panel); color: var(--ink); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: .6rem 0; }
dt { color: var(--faint); }
dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; background: var(--panel); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .94rem; }
th, td { padding: .45rem .7rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
tbody tr:last-child td { border-bottom: 0; }
td.number, th.number { text-align: right; white-space: nowrap; }
tr.ours td { background: var(--shade); font-weight: 600; }
td.long { color: var(--faint); font-weight: 400; min-width: 18rem; }
td:first-child { min-width: 8rem; }
td:first-child, th:first-child { position: sticky; left: 0; background: var(--panel); }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:hover { color: var(--accent); }
button:focus-visible, a:focus-visible, input:focus-visible, select:focus-visible, [tabindex]:focus-visible {
  outline: 2px solid var(--accent); outline-offset: 2px; }
th[aria-sort=ascending] button::after { content: " \\25b2"; font-size: .7em; }
th[aria-sort=descending] button::after { content: " \\25bc"; font-size: .7em; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1.2rem; }
.charts figure, .person { margin: 0; border: 1px solid var(--line); border-radius: 8px; background: var(--panel);
  padding: .8rem; }
svg { display: block; width: 100%; max-width: 27rem; height: auto; }
.people { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 9.5rem), 1fr)); gap: .8rem; }
.person img { display: block; width: 100%; height: auto; border-radius: 4px; }
.person figcaption { overflow-wrap: anywhere; font-size: .9rem; margin-top: .4rem; }
.person b { color: var(--ink); font-size: 1.1rem; }
img.figure { max-width: 100%; height: auto; background: #fff; border-radius: 8px; }
@media (max-width: 34rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; }
  th, td { padding: .4rem .5rem; } }
@media print { body { max-width: none; } th button { cursor: auto; } }
"""

SORT = """
for (const heading of document.querySelectorAll("table.sortable th")) {
  heading.querySelector("button").addEventListener("click", () => {
    const table = heading.closest("table"), rows = [...table.tBodies[0].rows], place = heading.cellIndex;
    const up = heading.getAttribute("aria-sort") !== "ascending";
    const key = row => row.cells[place].dataset.value ?? row.cells[place].textContent.trim().toLowerCase();
    const numeric = heading.classList.contains("number");
    rows.sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (numeric && (x === "" || y === "")) return (x === "") - (y === "");   // What has no number stays below.
      return (numeric ? x - y : x.localeCompare(y)) * (up ? 1 : -1);
    });
    for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    table.tBodies[0].append(...rows);
  });
}
"""


def page(title: str, content: str, *, script: str = "", style: str = "", pictures_beside: bool = False) -> str:
    """Return a whole page.

    Args:
        title: plain text.
        content: HTML of the body.
        script: what runs after the tables have become sortable.
        style: more rules.
        pictures_beside: whether pictures may also lie in files beside the page.
    """
    pictures = "data: 'self' file:" if pictures_beside else "data:"
    policy = f"default-src 'none'; img-src {pictures}; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{text(title)}</title>
<style>{STYLE}{style}</style>
</head>
<body>
{content}
<script>{SORT}{script}</script>
</body>
</html>
"""


def text(plain: str) -> str:
    """Return plain text as it stands in HTML, also inside an attribute."""
    return html.escape(plain, quote=True)


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numeric: Sequence[bool],
    values: Sequence[Sequence[float | None]] | None = None,
    ours: Sequence[bool] | None = None,
) -> str:
    """Return a sortable table of plain text.

    Args:
        headings: of the columns.
        rows: cells.
        numeric: which columns are numbers.
        values: what those are sorted by where the text is not the number; the text where left out.
        ours: which rows stand out.
    """
    head = "".join(
        f'<th scope="col"{_class("number" * is_number)}><button type="button">{text(heading)}</button></th>'
        for heading, is_number in zip(headings, numeric, strict=True)
    )
    body = []
    for number, row in enumerate(rows):
        cells = []
        for place, (cell, is_number) in enumerate(zip(row, numeric, strict=True)):
            if is_number:
                value = _parsed(cell) if values is None else values[number][place]
                cells.append(
                    f'<td class="number" data-value="{"" if value is None else repr(value)}">{text(cell)}</td>'
                )
            else:
                cells.append(f"<td{_class('long' * (len(cell) > 40))}>{text(cell)}</td>")
        body.append(f"<tr{_class('ours' * bool(ours and ours[number]))}>{''.join(cells)}</tr>")
    whole = f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody>"
    return f'<div class="wide"><table class="sortable">{whole}</table></div>'


def definitions(pairs: dict[str, str]) -> str:
    """Return names and what they mean, side by side."""
    return "<dl>" + "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in pairs.items()) + "</dl>"


def embedded(name: str, value: Any) -> str:
    """Return data for a script, which finds it by its id; nothing in it can end the element."""
    plain = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    safe = plain.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return f'<script type="application/json" id="{name}">{safe}</script>'


def data_uri(content: bytes, kind: str) -> str:
    """Return a picture as an address that holds it; `kind` is "png" or "jpeg"."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def _parsed(cell: str) -> float | None:
    try:
        return float(cell.replace(",", ""))
    except ValueError:
        return None
