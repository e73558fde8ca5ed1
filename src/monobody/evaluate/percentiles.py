"""The error-percentile figure: who stands at 15, 30, 60, 90 and 95 per cent of the errors, and how that looks.

People are sorted from good to bad; at p per cent stands the first one whom at least p per cent of all people are no
worse than (the nearest rank). The figure so shows what a mean hides (Kanazawa et al., CVPR 2018, figures of section 4).
People without a number are not sorted; how many there are is said with the figure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from monobody.evaluate.charts import headline, with_unit
from monobody.evaluate.portrait import Portraits
from monobody.evaluate.protocol import Result
from monobody.files import atomic_write

PERCENTILES = (15, 30, 60, 90, 95)
TILE_PX = 184
LARGEST_BYTES = 290_000
_GAP_PX, _HEADER_PX = 6, 42


@dataclass(frozen=True, slots=True)
class Pick:
    """A person of the figure."""

    index: int
    """Among the result's people."""
    value: float
    percentiles: tuple[int, ...]
    """Several where few people were measured."""

    @property
    def label(self) -> str:
        """The percentiles for readers."""
        return " and ".join(f"{each} %" for each in self.percentiles)


def order(result: Result) -> Int[np.ndarray, " m"]:
    """Return the people from good to bad by the headline's number, ties in the order of the data set.

    Those without a number are not among them.
    """
    column = headline(result)
    values = np.asarray(result.errors[column.key], np.float64)
    known = np.flatnonzero(np.isfinite(values))
    badness = values[known] if column.better == "lower" else -values[known]
    return known[np.argsort(badness, kind="stable")]


def choose(result: Result, percentiles: Sequence[int] = PERCENTILES) -> list[Pick]:
    """Return who stands at the percentiles, each person once; nobody where no person has a number."""
    values = result.errors.get(result.protocol.headline)
    if values is None:
        return []
    ranked = order(result)
    chosen: dict[int, tuple[int, ...]] = {}
    for percentile in percentiles if len(ranked) else ():
        rank = max(math.ceil(percentile / 100 * len(ranked)), 1)
        index = int(ranked[rank - 1])
        chosen[index] = (*chosen.get(index, ()), percentile)
    return [Pick(index, float(values[index]), at) for index, at in chosen.items()]


def caption(result: Result, picks: Sequence[Pick]) -> str:
    """Say what the figure shows, of how many people, and of how many it cannot tell."""
    column = headline(result)
    values = np.asarray(result.errors[column.key], np.float64)
    known = int(np.isfinite(values).sum())
    without = len(values) - known
    missing = f" {without:,} of {len(values):,} people have no number and are not among them." if without else ""
    at = ", ".join(pick.label for pick in picks)
    return (
        f"The people at {at} of {known:,}, sorted from good to bad by {column.heading} of {result.rows[0].method}: the "
        "picture with the known joints in green, the prediction over it, and from its side with the true joints laid "
        f"upon it at the hips where they are known.{missing}"
    )


def draw_percentiles(path: Path, result: Result, picks: Sequence[Pick], portraits: Portraits) -> Path:
    """Write the figure as a PNG of less than 300 kB: a column for each person, picture, overlay and side view."""
    from PIL import Image

    columns = []
    for pick in picks:
        tiles = [_framed(tile) for tile in portraits(pick.index, TILE_PX).tiles()]
        columns.append(np.concatenate([_header(result, pick), *tiles]))
    sheet = np.concatenate(columns, axis=1)
    colours = 256
    with atomic_write(path, suffix=".png") as temporary:
        while True:
            picture = Image.fromarray(sheet).quantize(colours, dither=Image.Dither.NONE)
            picture.save(temporary, optimize=True)
            if temporary.stat().st_size < LARGEST_BYTES or colours <= 16:
                return path
            colours //= 2


def _framed(tile: UInt8[np.ndarray, "s s 3"]) -> UInt8[np.ndarray, "h w 3"]:
    return np.pad(tile, ((0, _GAP_PX), (_GAP_PX // 2, _GAP_PX // 2), (0, 0)), constant_values=255)


def _header(result: Result, pick: Pick) -> UInt8[np.ndarray, "h w 3"]:
    from PIL import Image, ImageDraw, ImageFont

    column = headline(result)
    picture = Image.new("RGB", (TILE_PX + _GAP_PX, _HEADER_PX), (255, 255, 255))
    pen = ImageDraw.Draw(picture)
    first = ", ".join(map(str, pick.percentiles)) + " %"
    pen.text((_GAP_PX, 3), first, fill=(90, 95, 102), font=ImageFont.load_default(13))
    pen.text((_GAP_PX, 19), with_unit(pick.value, column), fill=(20, 22, 25), font=ImageFont.load_default(15))
    return np.asarray(picture)
