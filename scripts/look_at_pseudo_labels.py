"""Pictures of pseudo-labels, kept and dropped, to look at: a page to scroll, and sheets.

    python scripts/look_at_pseudo_labels.py DATA/lsp_extended OUT -o LOOK [--count 40]

Of the fits that `scripts/make_pseudo_labels.py` keeps in `OUT/fits/`, so many of those kept and so many of those that
were fitted and dropped, spread evenly over how far apart the fits from the two starts are. Each has the photo with its
clicks, the body over it, and the body from its side. The pictures are of the photos' terms: they do not belong into a
repository.
"""

import argparse
from pathlib import Path

import numpy as np
from make_pseudo_labels import open_set
from PIL import Image, ImageDraw

from monobody.body.model import Body
from monobody.data.sample import Sample, camera_of
from monobody.evaluate.gallery import TILE_PX, draw_strips
from monobody.evaluate.gallery_page import Item, gallery_page
from monobody.evaluate.portrait import Portraits
from monobody.evaluate.predictions import Predictions
from monobody.files import atomic_write
from monobody.fit.kept import Judged, Thresholds

ROWS, COLUMNS, CAPTION_PX = 7, 3, 14
_SHORT = ("exchanged", "somebody else", "marked", "mean", "worst", "nats", "limits", "overlap", "apart")


def spread(places: np.ndarray, fits: Judged, count: int) -> list[int]:
    """Return so many of the places, evenly over `apart_mm`."""
    ordered = places[np.argsort(fits.apart_mm[places], kind="stable")]
    return ordered[np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int)].tolist()


def portraits_of(fits: Judged, chosen: list[int], samples: list[Sample], body: Body) -> Portraits:
    """Return what draws some of the fits."""
    cameras = [camera_of(sample) for sample in samples]
    predictions = Predictions(
        model="pseudo-labels",
        terms="",
        names=tuple(fits.names[chosen].tolist()),
        joint_set="lsp14",
        joints_cam_m=fits.joints_cam_m[chosen][:, None],
        rotations=fits.rotations[chosen][:, None],
        betas=fits.betas[chosen][:, None],
        translation_m=fits.translation_m[chosen][:, None],
        focal_px=np.array([focal for focal, _ in cameras]),
        principal_px=np.array([principal for _, principal in cameras]),
        body_digest=body.digest,
    )
    return Portraits(samples, predictions, body)


def write_sheets(folder: Path, strips: list[Path], captions: list[str], name: str) -> None:
    """Tile strips with their captions."""
    for first in range(0, len(strips), ROWS * COLUMNS):
        sheet = Image.new("RGB", (COLUMNS * 3 * TILE_PX, ROWS * (TILE_PX + CAPTION_PX)), (255, 255, 255))
        pen = ImageDraw.Draw(sheet)
        for place, number in enumerate(range(first, min(first + ROWS * COLUMNS, len(strips)))):
            left, top = place % COLUMNS * 3 * TILE_PX, place // COLUMNS * (TILE_PX + CAPTION_PX)
            pen.text((left + 4, top + 1), captions[number], fill=(0, 0, 0))
            sheet.paste(Image.open(strips[number]), (left, top + CAPTION_PX))
        sheet.save(folder / f"{name}_{first:03d}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path, help="what the labels were made for")
    parser.add_argument("labels", type=Path, help="what make_pseudo_labels.py wrote")
    parser.add_argument("--count", type=int, default=40, help="so many of each kind")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    fits = Judged.together([Judged.load(path) for path in sorted((options.labels / "fits").glob("*.npz"))])
    thresholds, body, photos = Thresholds(), Body.load(), open_set(options.set)
    kept, fitted, reasons = thresholds.kept(fits), np.isfinite(fits.reprojection), thresholds.first_reasons(fits)
    table = thresholds.reasons(fits)
    items: list[Item] = []
    for kind, places in (("kept", np.flatnonzero(kept)), ("dropped", np.flatnonzero(fitted & ~kept))):
        chosen = spread(places, fits, options.count)
        samples = [photos[int(fits.index[i])] for i in chosen]
        portraits = portraits_of(fits, chosen, samples, body)
        folder = options.output / kind
        strips = draw_strips(
            folder,
            [portraits.key(number) for number in range(len(chosen))],
            lambda number, drawn=portraits: np.concatenate(drawn(number, TILE_PX).tiles(), axis=1),
        )
        short = [", ".join(s for s, applies in zip(_SHORT, table.values(), strict=True) if applies[i]) for i in chosen]
        captions = [
            f"{fits.names[i]} {fits.apart_mm[i]:.0f} mm, {100 * fits.reprojection[i]:.1f}/{100 * fits.worst[i]:.0f} %, "
            f"{fits.prior_nats[i]:.0f} nats {why}"
            for i, why in zip(chosen, short, strict=True)
        ]
        write_sheets(options.output, [folder / strip for strip in strips], captions, kind)
        items += [
            Item(
                name=str(fits.names[i]),
                picture=f"{kind}/{strip}",
                value=float(fits.apart_mm[i]),
                label=f"{fits.apart_mm[i]:.0f} mm",
                numbers={
                    "mean distance %": f"{100 * fits.reprojection[i]:.1f}",
                    "worst %": f"{100 * fits.worst[i]:.1f}",
                    "nats": f"{fits.prior_nats[i]:.0f}",
                    "in itself cm": f"{100 * fits.overlap_m[i]:.1f}",
                },
                groups={"kept": kind, "first reason": reasons[i] or "none"},
            )
            for i, strip in zip(chosen, strips, strict=True)
        ]
    page = gallery_page(
        "Pseudo-labels, kept and dropped",
        [
            f"{int(kept.sum()):,} of {len(fits):,} photos are kept. Shown are {options.count} of them, and as many of "
            "those that were fitted and dropped, spread evenly over how far apart their two fits are."
        ],
        items,
        tiles=("photo and clicks", "fit", "from its side"),
        tile_px=TILE_PX,
        by="two starts apart, mm",
        digits=0,
        worst_first="down",
        only_tile=True,
    )
    with atomic_write(options.output / "index.html") as temporary:
        temporary.write_text(page, encoding="utf-8")
    print(f"{options.output / 'index.html'}: {len(items)} people")


if __name__ == "__main__":
    main()
