"""Bar charts as SVG inside a page: every joint's error, every activity's.

Bars begin at zero and are as long as their numbers. Each carries its number, and the title says of what and of how
many people. Colours come from the page, so that they are right in dark and in light.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monobody.evaluate.page import text
from monobody.evaluate.protocol import Column, Result
from monobody.evaluate.rows import joint_means, shown

WIDTH, NUMBERS = 400, 82
"""Of the drawing, and of the room for numbers on its right, in its own units."""
BAR, TOP, LETTER = 14, 30, 8.2
ROW_BESIDE, ROW_ABOVE = 22, 38
BESIDE, LONGEST = 16, 46
"""Letters of a name that fit beside a bar; where any is longer, names stand above their bars. Cut beyond the second."""
SLICES = 20


@dataclass(frozen=True, slots=True)
class Bar:
    """One number with its name."""

    name: str
    value: float
    """NaN where there is none; the bar then is missing and a dash stands for the number."""
    count: int | None = None
    """Of people behind the number."""


def bar_chart(title: str, bars: Sequence[Bar], *, unit: str, digits: int = 1) -> str:
    """Return a chart of horizontal bars, in the given order, as one SVG element.

    Args:
        title: what and of how many; above the bars, and what a screen reader says.
        bars: from top to bottom; negative values are not for bars.
        unit: of the values, such as "mm".
        digits: after the point.
    """
    longest = max((bar.value for bar in bars if math.isfinite(bar.value)), default=0.0)
    names = [_short(bar.name) for bar in bars]
    longest_name = max(map(len, names), default=0)
    above = longest_name > BESIDE
    left, row = (1, ROW_ABOVE) if above else (round(LETTER * longest_name) + 10, ROW_BESIDE)
    plot = WIDTH - left - NUMBERS
    height = TOP + row * len(bars) + 6
    spoken = "; ".join(f"{bar.name} {_number(bar.value, digits)} {unit}" for bar in bars)
    lines = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{text(f"{title}: {spoken}")}" '
        'font-family="system-ui, sans-serif" font-size="14">',
        f'<text x="0" y="14" fill="var(--ink)" font-weight="600">{text(title)}</text>',
    ]
    for number, (bar, name) in enumerate(zip(bars, names, strict=True)):
        y = TOP + row * number + (row - ROW_BESIDE)
        middle = y + BAR - 3
        length = plot * bar.value / longest if longest > 0 and math.isfinite(bar.value) else 0.0
        people = "" if bar.count is None else f", {bar.count:,} people"
        lines += [
            f"<g><title>{text(f'{bar.name}: {_number(bar.value, digits)} {unit}{people}')}</title>",
            _label(name, left, y - 5 if above else middle, beside=not above),
            f'<rect x="{left}" y="{y}" width="{length:.2f}" height="{BAR}" rx="2" fill="var(--bar)"/>',
            f'<text x="{left + length + 6:.2f}" y="{middle}" fill="var(--ink)">{_number(bar.value, digits)}'
            f"{_small(bar.count)}</text></g>",
        ]
    if not above:
        lines.append(f'<path d="M{left} {TOP - 4}V{height - 4}" stroke="var(--faint)"/>')
    return "\n".join([*lines, "</svg>"])


def result_charts(result: Result) -> list[str]:
    """Return the charts of a result: how the headline's numbers are spread, joints, and every kind of group."""
    charts = []
    column = headline(result)
    unit = unit_of(column)
    values = result.errors.get(column.key)
    if values is not None and np.isfinite(values).any():
        charts.append(spread_chart(column, values))
    joints = joint_means(result)
    if joints:
        people = max(count for _, count in joints.values())
        bars = [
            Bar(name.replace("_", " "), mean, count if count < people else None)
            for name, (mean, count) in joints.items()
        ]
        title = f"Mean error of each joint, {result.joint_unit} (n = {people:,})"
        charts.append(bar_chart(title, bars, unit=result.joint_unit))
    for kind, groups in result.breakdown.items():
        bars = [
            Bar(name, float(group.get(column.key, math.nan)), int(group["count"]) if "count" in group else None)
            for name, group in groups.items()
        ]
        if any(math.isfinite(bar.value) for bar in bars):
            people = f" (n = {sum(bar.count or 0 for bar in bars):,})" if all(bar.count for bar in bars) else ""
            charts.append(bar_chart(f"{column.heading} by {kind}{people}", bars, unit=unit, digits=column.digits))
    return charts


def spread_chart(column: Column, values: np.ndarray) -> str:
    """Return how many people have which number, in slices of equal width."""
    known = np.asarray(values, np.float64)[np.isfinite(values)]
    width = _round_step((float(known.max()) - min(float(known.min()), 0.0)) / SLICES)
    first, last = math.floor(float(known.min()) / width), math.floor(float(known.max()) / width)
    counts = np.bincount(np.floor(known / width).astype(int) - first, minlength=last - first + 1)
    digits = max(0, -math.floor(math.log10(width)))
    bars = [
        Bar(f"{(first + i) * width:.{digits}f} to {(first + i + 1) * width:.{digits}f}", float(count))
        for i, count in enumerate(counts)
    ]
    without = len(values) - len(known)
    missing = f", {without:,} without" if without else ""
    return bar_chart(f"People by {column.heading} (n = {len(known):,}{missing})", bars, unit="people", digits=0)


def headline(result: Result) -> Column:
    """Return the column by which people are sorted."""
    return next(column for column in result.protocol.columns if column.key == result.protocol.headline)


def unit_of(column: Column) -> str:
    """Return the last word of a heading: its unit."""
    return column.heading.rsplit(" ", 1)[-1] if " " in column.heading else ""


def with_unit(value: float, column: Column) -> str:
    """Return a number between its name and its unit, such as "MPJPE 93.1 mm"."""
    unit = unit_of(column)
    return f"{column.heading.removesuffix(unit).strip()} {shown(value, column)} {unit}".strip()


def _round_step(width: float) -> float:
    """Return the next larger one of 1, 2, 5, 10, 20, ...: edges that can be read."""
    if width <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(width))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= width * (1 - 1e-9))


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _label(name: str, left: int, y: int, *, beside: bool) -> str:
    place = f'x="{left - 8}" y="{y}" text-anchor="end"' if beside else f'x="{left}" y="{y}"'
    return f'<text {place} fill="var(--ink)">{text(name)}</text>'


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}" if math.isfinite(value) else "-"


def _small(count: int | None) -> str:
    return "" if count is None else f'<tspan font-size="11" fill="var(--faint)" dx="4">n {count:,}</tspan>'
