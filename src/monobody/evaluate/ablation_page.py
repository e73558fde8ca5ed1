"""An ablation as one HTML page: the table, the monsters, two charts, and what differs by more than seeds do."""

from collections.abc import Mapping
from typing import Any

from monobody.evaluate.ablation import COLUMNS, table_rows
from monobody.evaluate.charts import Bar, bar_chart
from monobody.evaluate.page import data_uri, definitions, page, table, text

_CHARTS = ("mpjpe_mm", "impossible_joints_percent")


def ablation_page(report: Mapping[str, Any], figure_png: bytes) -> str:
    """Return the page.

    Args:
        report: what `evaluate_ablation` returns, or its JSON file holds.
        figure_png: the picture of `ablation_figure`.
    """
    rows = table_rows(report)
    cells = [[name, *(f"{row[key]:.1f}" if key in row else "-" for key in COLUMNS)] for name, row in rows.items()]
    people, photos = report["held_out_people"], report["held_out_photos"]
    stated = {
        "compared": f"where every run's 2D error first meets {report['target_2d_px']:.1f} px of a crop of 224",
        "measured": f"{people:,} held-out people in 3D and 2D, {photos:,} held-out photos in 2D",
        "seeds": f"{len(report['seeds'])} of each variant; rows are their means",
        "steps": f"{report['steps']:,}",
        "command": str(report["command"]),
        "commit": str(report["commit"] or "unknown"),
    }
    charts = []
    for key in _CHARTS:
        bars = [Bar(name.replace("_", " "), float(row[key])) for name, row in rows.items() if key in row]
        unit = COLUMNS[key].rsplit(" ", 1)[-1]
        charts.append(f"<figure>{bar_chart(f'{COLUMNS[key]} (n = {people:,})', bars, unit=unit)}</figure>")
    parts = [
        "<h1>What 3D labels and the critic are worth</h1>",
        definitions(stated),
        "<h2>At equal 2D error</h2>",
        table(["", *COLUMNS.values()], cells, numeric=[False] + [True] * len(COLUMNS)),
        "<h2>The same people under every supervision</h2>",
        "<p>Green: known joints; red: predicted ones; then the body from the camera's side and from its own. Bodies "
        "that lie on all joints and are none from the side are monsters.</p>",
        f'<img class="figure" src="{data_uri(figure_png, "png")}" alt="Bodies by variant, front and side">',
        "<h2>In bars</h2>",
        f'<div class="charts">{"".join(charts)}</div>',
        "<h2>More than seeds?</h2>",
        "<ul>" + "".join(f"<li>{text(verdict)}</li>" for verdict in report["verdicts"]) + "</ul>",
    ]
    return page("What 3D labels and the critic are worth", "\n".join(parts))
