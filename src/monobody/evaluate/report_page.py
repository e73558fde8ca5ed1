"""A result as one HTML page: what was measured, the table, who stands where among the errors, and the charts."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from monobody.evaluate.charts import headline, result_charts, with_unit
from monobody.evaluate.page import data_uri, definitions, page, table, text
from monobody.evaluate.protocol import Result
from monobody.evaluate.rows import breakdown_table, fact, statement, text_table

if TYPE_CHECKING:
    from monobody.evaluate.percentiles import Pick
    from monobody.evaluate.portrait import Portraits

FIGURE_PX = 320


def report_page(
    result: Result,
    *,
    picks: "Sequence[Pick]" = (),
    portraits: "Portraits | None" = None,
    gallery: bool = False,
) -> str:
    """Return the whole page, pictures and all.

    Args:
        result: what was measured.
        picks: the people of the percentile figure.
        portraits: draws them.
        gallery: whether gallery.html lies beside the page.
    """
    protocol = result.protocol
    parts = [
        f"<h1>{text(protocol.title)}</h1>",
        f"<p><code>{text(result.command)}</code></p>",
        f'<p class="warning"><b>{text(result.partial)}</b></p>' if result.partial else "",
        definitions(statement(result)),
        "<h2>Numbers</h2>",
        _rows(result),
    ]
    if protocol.notes:
        parts.append("<ul>" + "".join(f"<li>{text(note)}</li>" for note in protocol.notes) + "</ul>")
    if picks and portraits is not None:
        parts.append(_people(result, picks, portraits, gallery))
    charts = result_charts(result)
    if charts:
        drawn = "".join(f"<figure>{chart}</figure>" for chart in charts)
        parts += [
            "<h2>Where the error is</h2>",
            f'<p>Of {text(result.rows[0].method)}.</p><div class="charts">{drawn}</div>',
        ]
    for kind in result.breakdown:
        headings, rows = breakdown_table(result, kind)
        parts += [f"<h2>By {text(kind)}</h2>", table(headings, rows, numeric=[False] + [True] * (len(headings) - 1))]
    if result.facts:
        parts += ["<h2>What else decided the numbers</h2>"]
        parts.append(definitions({name: fact(value) for name, value in result.facts.items()}))
    return page(f"{protocol.title} - {result.rows[0].method}", "\n".join(part for part in parts if part))


def _rows(result: Result) -> str:
    rows = text_table(result)
    columns = len(result.protocol.columns)
    numeric = [1 <= place <= columns for place in range(len(rows.headings))]
    return table(rows.headings, rows.rows, numeric=numeric, values=rows.values, ours=rows.ours)


def _people(result: Result, picks: "Sequence[Pick]", portraits: "Portraits", gallery: bool) -> str:
    """Return the percentile figure as pictures that wrap where the page is narrow."""
    from monobody.evaluate.percentiles import caption

    column = headline(result)
    figures = []
    for pick in picks:
        portrait = portraits(pick.index, FIGURE_PX)
        strip = np.concatenate(portrait.tiles(), axis=0)
        name, number = text(result.names[pick.index]), text(with_unit(pick.value, column))
        figures.append(
            f'<figure class="person"><img width="{strip.shape[1]}" height="{strip.shape[0]}" '
            f'src="{data_uri(_jpeg(strip), "jpeg")}" alt="{name}: picture, overlay, side view">'
            f"<figcaption><b>{number}</b><br>at {text(pick.label)}: {name}</figcaption></figure>"
        )
    link = '<p><a href="gallery.html">Everybody, sorted: gallery.html</a></p>' if gallery else ""
    notes = "".join(f"<p>{text(note)}</p>" for note in portraits.notes)
    return (
        f"<h2>From good to bad: people by {text(column.heading)}</h2><p>{text(caption(result, picks))}</p>{notes}"
        f'<div class="people">{"".join(figures)}</div>{link}'
    )


def _jpeg(pixels: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
