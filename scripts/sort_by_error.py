"""Overlays of validation photos, sorted by how far the body's joints lie from the clicked ones: to see what goes wrong.

    python scripts/sort_by_error.py --data DATA [--model hmr-small] [--count 100] -o sheets

Every n-th of the 500 validation photos of LSP Extended, best ones first, in sheets of 20. Each tile shows the photo,
cut to the person, with the clicked joints in green, the body's in red, and the body; above it the photo's name and its
mean error in hundredths of the person's size (the larger side of the box about the clicked joints, as in PCK).
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

import monobody
from monobody.data.datasets.lsp_extended import LspExtended
from monobody.data.sample import Sample
from monobody.evaluate.quick import joints_box

TILE_PX, COLUMNS, ROWS = 240, 5, 4
CAPTION_PX = 14


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """One photo and how well its person was found."""

    name: str
    error: float
    """Mean distance of the visible joints over the person's size."""
    tile: UInt8[np.ndarray, "h w 3"]


def judge(model: monobody.Predictor, name: str, sample: Sample) -> Judged:
    """Predict the person in the box of the clicked joints, as the quick evaluation does."""
    box = joints_box(sample)
    scene = model(sample.image, boxes=[box.tolist()])
    predicted = scene.people[0].joints_px["lsp14"]
    known = sample.visible[:14] > 0
    clicked = sample.keypoints_px[:14]
    size = float((clicked[known].max(0) - clicked[known].min(0)).max())
    error = float(np.linalg.norm(predicted - clicked, axis=1)[known].mean()) / size
    return Judged(name=name, error=error, tile=_tile(scene.overlay(), box, clicked[known], predicted[known]))


def _tile(
    overlay: UInt8[np.ndarray, "h w 3"], box: Float[np.ndarray, "4"], clicked: np.ndarray, predicted: np.ndarray
) -> UInt8[np.ndarray, "h w 3"]:
    """Cut out the square about the person and mark the joints."""
    centre, side = (box[:2] + box[2:]) / 2, 1.15 * float((box[2:] - box[:2]).max())
    low = centre - side / 2
    left, top, right, bottom = (round(float(value)) for value in (*low, *(low + side)))
    square = (
        Image.fromarray(overlay).crop((left, top, right, bottom)).resize((TILE_PX, TILE_PX), Image.Resampling.BICUBIC)
    )
    pen = ImageDraw.Draw(square)
    for points, colour in ((clicked, (60, 230, 60)), (predicted, (240, 50, 50))):
        for x, y in (points - low) * TILE_PX / side:
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), outline=(0, 0, 0), fill=colour)
    return np.asarray(square)


def sheet(judged: list[Judged]) -> Image.Image:
    """Tile photos with their captions."""
    picture = Image.new("RGB", (COLUMNS * TILE_PX, ROWS * (TILE_PX + CAPTION_PX)), (255, 255, 255))
    pen = ImageDraw.Draw(picture)
    for place, one in enumerate(judged):
        left, top = place % COLUMNS * TILE_PX, place // COLUMNS * (TILE_PX + CAPTION_PX)
        pen.text((left + 4, top + 1), f"{one.name}  {100 * one.error:.1f}", fill=(0, 0, 0))
        picture.paste(Image.fromarray(one.tile), (left, top + CAPTION_PX))
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with lsp_extended/")
    parser.add_argument("--model", help="name or weights file; the default model where left out")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the sheets")
    arguments = parser.parse_args()
    photos = LspExtended(arguments.data / "lsp_extended", "validation")
    numbers = np.linspace(0, len(photos) - 1, min(arguments.count, len(photos))).round().astype(int).tolist()
    model = monobody.load(arguments.model)
    with torch.inference_mode():
        judged = sorted((judge(model, photos.names[i], photos[i]) for i in numbers), key=lambda one: one.error)
    arguments.output.mkdir(parents=True, exist_ok=True)
    per_sheet = COLUMNS * ROWS
    for first in range(0, len(judged), per_sheet):
        sheet(judged[first : first + per_sheet]).save(arguments.output / f"{first:03d}.png")
    errors = np.array([one.error for one in judged])
    shares = "  ".join(f"{q} %: {100 * np.percentile(errors, q):.1f}" for q in (10, 25, 50, 75, 90))
    print(f"{len(judged)} photos, mean joint error in hundredths of the person's size: {shares}")


if __name__ == "__main__":
    main()
