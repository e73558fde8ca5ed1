"""Two results on the same people beside each other: who is better off with which, and how that looks.

So one sees, for example, what paired 3D supervision is worth: the same person by a network that had it and by one that
had not. People are sorted by the difference of the headline's number; the page holds everybody, the picture five of
them.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from monobody.errors import UserError
from monobody.evaluate.charts import headline, unit_of
from monobody.evaluate.gallery import draw_strips, remove_others
from monobody.evaluate.gallery_page import Item, gallery_page
from monobody.evaluate.portrait import Portraits
from monobody.evaluate.protocol import Result
from monobody.evaluate.rows import shown
from monobody.files import atomic_write

TILE_PX = 168
_PERCENTILES = (5, 25, 50, 75, 95)
_GAP_PX = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two results of one protocol on the same people."""

    first: Result
    second: Result
    gain: Float[np.ndarray, " n"]
    """How much better the second is on each person, in the headline's unit; NaN where either has no number."""

    @property
    def names(self) -> tuple[str, str]:
        """The methods; numbered where they are called the same."""
        one, two = self.first.rows[0].method, self.second.rows[0].method
        return (one, two) if one != two else (f"{one} (first)", f"{two} (second)")

    @property
    def summary(self) -> str:
        """Who is better on how many, and by how much on average."""
        known = self.gain[np.isfinite(self.gain)]
        one, two = self.names
        column = headline(self.first)
        without = len(self.gain) - len(known)
        missing = f" {without:,} have no number by one of the two." if without else ""
        if not len(known):
            return f"None of {len(self.gain):,} people has a number by both {one} and {two}."
        better, worse = int((known > 0).sum()), int((known < 0).sum())
        equal = len(known) - better - worse
        return (
            f"Of {len(known):,} people, {two} is better on {better:,}, {one} on {worse:,}, and {equal:,} are equal "
            f"({column.heading}). {two} gains {known.mean():+.{column.digits}f} on average, "
            f"{np.median(known):+.{column.digits}f} in the middle.{missing}"
        )


def compare(first: Result, second: Result) -> Comparison:
    """Return two results side by side.

    Raises:
        UserError: they are of other protocols or of other people.
    """
    for what in ("name", "variant"):
        one, two = (getattr(result.protocol, what) for result in (first, second))
        if one != two:
            raise UserError(f'One result is of "{one}" and the other of "{two}": compare results of one protocol.')
    if first.names != second.names:
        raise UserError(
            "The two results are of other people, or of the same in another order: measure both on one set."
        )
    column = headline(first)
    if any(column.key not in result.errors for result in (first, second)):
        raise UserError(f"{first.protocol.name} has no {column.heading} of single people: there is nothing to compare.")
    one, two = (np.asarray(result.errors[column.key], np.float64) for result in (first, second))
    return Comparison(first=first, second=second, gain=one - two if column.better == "lower" else two - one)


def write_side_by_side(
    folder: str | Path,
    comparison: Comparison,
    portraits: tuple[Portraits, Portraits],
) -> list[Path]:
    """Write side_by_side.html with everybody, its pictures in a folder beside it, and side_by_side.png with five.

    Args:
        folder: made where it does not exist.
        comparison: see :func:`compare`.
        portraits: draw the people by the first and by the second.
    """
    folder = Path(folder)
    column, (one, two) = headline(comparison.first), comparison.names
    keys = [f"{portraits[0].key(index)}{portraits[1].key(index)}" for index in range(len(comparison.gain))]
    names = draw_strips(folder / "side_by_side", keys, lambda index: _strip(index, portraits))
    unit = unit_of(column)
    items = []
    for index, name in enumerate(comparison.first.names):
        values = [float(result.errors[column.key][index]) for result in (comparison.first, comparison.second)]
        gain = float(comparison.gain[index])
        said = "no number" if math.isnan(gain) else f"{_sign(gain)}{shown(abs(gain), column)} {unit}".strip()
        items.append(
            Item(
                name=name,
                picture=f"side_by_side/{names[index]}",
                value=gain,
                label=f"{said}: {shown(values[0], column)} to {shown(values[1], column)}",
                numbers={
                    f"{one}, {column.heading}": shown(values[0], column),
                    f"{two}, {column.heading}": shown(values[1], column),
                },
                groups={kind: labels[index] for kind, labels in comparison.first.groups.items()},
            )
        )
    title = f"{one} and {two} on {comparison.first.protocol.title}"
    notes = list(dict.fromkeys(note for each in portraits for note in each.notes))
    page = gallery_page(
        title,
        [comparison.summary, f"Sorted by what {two} gains over {one}; a plus means that {two} is better.", *notes],
        items,
        tiles=_tiles(comparison),
        tile_px=TILE_PX,
        by=f"gain, {unit}" if unit else "gain",
        digits=column.digits,
        worst_first="down",
        only_tile=False,
    )
    path = folder / "side_by_side.html"
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    remove_others(folder / "side_by_side", names)
    figure = draw_side_by_side(folder / "side_by_side.png", comparison, portraits)
    return [path, *([figure] if figure else [])]


def draw_side_by_side(path: Path, comparison: Comparison, portraits: tuple[Portraits, Portraits]) -> Path | None:
    """Write the people at 5, 25, 50, 75 and 95 per cent of the difference as a PNG, most gained first; or nothing.

    Nothing where no person has a number by both.
    """
    from PIL import Image, ImageDraw, ImageFont

    chosen = at_percentiles(comparison)
    if not chosen:
        return None
    column = headline(comparison.first)
    unit = unit_of(column)
    rows = []
    for index in chosen:
        strip = _strip(index, portraits)
        picture = Image.new("RGB", (strip.shape[1], strip.shape[0] + 24), (255, 255, 255))
        picture.paste(Image.fromarray(strip), (0, 24))
        pen = ImageDraw.Draw(picture)
        values = [
            shown(float(result.errors[column.key][index]), column) for result in (comparison.first, comparison.second)
        ]
        words = ["", f"{values[0]} {unit}", "", f"{values[1]} {unit}", ""]
        for place, word in enumerate(words):
            left = place * (TILE_PX + _GAP_PX) + 4
            pen.text((left, 4), word, fill=(20, 22, 25), font=ImageFont.load_default(14))
        rows.append(np.asarray(picture))
    head = Image.new("RGB", (rows[0].shape[1], 26), (255, 255, 255))
    pen = ImageDraw.Draw(head)
    for place, word in ((0, column.heading), (1, comparison.names[0]), (3, comparison.names[1])):
        pen.text((place * (TILE_PX + _GAP_PX) + 4, 5), word, fill=(70, 75, 82), font=ImageFont.load_default(14))
    sheet = Image.fromarray(np.concatenate([np.asarray(head), *rows]))
    with atomic_write(path, suffix=".png") as temporary:
        sheet.quantize(256, dither=Image.Dither.NONE).save(temporary, optimize=True)
    return path


def at_percentiles(comparison: Comparison) -> list[int]:
    """Return who stands at the percentiles of the gain, most gained first, each person once."""
    known = np.flatnonzero(np.isfinite(comparison.gain))
    ranked = known[np.argsort(-comparison.gain[known], kind="stable")]
    ranks = [max(math.ceil(percentile / 100 * len(ranked)), 1) for percentile in _PERCENTILES if len(ranked)]
    return list(dict.fromkeys(int(ranked[rank - 1]) for rank in ranks))


def _tiles(comparison: Comparison) -> list[str]:
    one, two = comparison.names
    return ["picture, known joints green", one, f"{one}, side", two, f"{two}, side"]


def _strip(index: int, portraits: tuple[Portraits, Portraits]) -> UInt8[np.ndarray, "h w 3"]:
    """Return the picture, then overlay and side view by the first and by the second."""
    one, two = (each(index, TILE_PX) for each in portraits)
    tiles = [one.picture, one.overlay, one.side, two.overlay, two.side]
    return np.concatenate([np.pad(tile, ((0, 0), (0, _GAP_PX), (0, 0)), constant_values=255) for tile in tiles], axis=1)


def _sign(gain: float) -> str:
    return "+" if gain > 0 else "-" if gain < 0 else ""
