"""Everybody of a test set, sorted by error: a page to scroll, with small pictures in a folder beside it.

Pictures are drawn once: a gallery that was interrupted, or is written again, draws only what is not there, or has
changed.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from monobody.evaluate.charts import headline, with_unit
from monobody.evaluate.gallery_page import Item, gallery_page
from monobody.evaluate.portrait import Portraits
from monobody.evaluate.protocol import Result
from monobody.evaluate.rows import answers, shown
from monobody.files import atomic_write

TILE_PX = 168
QUALITY = 80
TILES = ("picture, known joints green", "prediction", "from its side, true joints green")
_OURS = re.compile(r"\d{6,}_[0-9a-f]+\.jpg")


def write_gallery(path: Path, result: Result, portraits: Portraits) -> Path:
    """Write the page, and the pictures into a folder of its name beside it.

    Args:
        path: of the page.
        result: whose people are shown, all of them.
        portraits: draws them.
    """
    column = headline(result)
    folder = path.with_suffix("")
    strips = draw_strips(folder, [portraits.key(index) for index in range(len(result.names))], _strip(portraits))
    values = np.asarray(result.errors[column.key], np.float64)
    others = [each for each in result.protocol.columns if each.key in result.errors]
    items = [
        Item(
            name=name,
            picture=f"{folder.name}/{strips[index]}",
            value=float(values[index]),
            label=with_unit(float(values[index]), column),
            numbers={each.heading: shown(float(result.errors[each.key][index]), each) for each in others},
            groups={kind: labels[index] for kind, labels in result.groups.items()},
        )
        for index, name in enumerate(result.names)
    ]
    row = result.rows[0]
    without = int((~np.isfinite(values)).sum())
    missing = f" {without:,} have no number: they stand at the end." if without else ""
    introduction = [
        f"{row.method} on {len(items):,} people ({answers(row)}), {column.heading}.{missing} A click shows the "
        "picture, the prediction over it and its side view; arrow keys go on.",
        *([result.partial] if result.partial else []),
        *portraits.notes,
    ]
    page = gallery_page(
        f"{result.protocol.title}: everybody",
        introduction,
        items,
        tiles=TILES,
        tile_px=TILE_PX,
        by=column.heading,
        digits=column.digits,
        worst_first="down" if column.better == "lower" else "up",
        only_tile=True,
    )
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    remove_others(folder, strips)
    return path


def draw_strips(
    folder: Path,
    keys: Sequence[str],
    draw: Callable[[int], UInt8[np.ndarray, "h w 3"]],
) -> list[str]:
    """Draw those pictures that are not in the folder, showing how far it is, and return the names of all.

    Args:
        folder: made where it does not exist.
        keys: a person's key changes when the picture has to.
        draw: gives a person's picture.
    """
    from PIL import Image

    from monobody.evaluate.answers import watched  # The predictor's libraries, which a page alone does not need.

    names = [f"{index:06d}_{key}.jpg" for index, key in enumerate(keys)]
    missing = [index for index, name in enumerate(names) if not (folder / name).is_file()]
    for place in watched(range(len(missing)), len(missing)):
        index = missing[place]
        strip = draw(index)
        with atomic_write(folder / names[index], suffix=".jpg") as temporary:
            Image.fromarray(strip).save(temporary, "JPEG", quality=QUALITY, optimize=True)
    return names


def remove_others(folder: Path, names: Sequence[str]) -> None:
    """Remove pictures of earlier predictions; files that are named otherwise stay."""
    kept = set(names)
    for path in folder.iterdir():
        if _OURS.fullmatch(path.name) and path.name not in kept:
            path.unlink()


def _strip(portraits: Portraits) -> Callable[[int], UInt8[np.ndarray, "h w 3"]]:
    return lambda index: np.concatenate(portraits(index, TILE_PX).tiles(), axis=1)
