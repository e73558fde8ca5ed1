"""Rebuild docs/overview.jpg, the README's picture: samples above, the same with the bodies that were found below.

python scripts/make_overview.py [MODEL]
"""

import sys
from pathlib import Path

from PIL import Image

import monobody
from monobody.image import read_image

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("camera", "astronaut", "synthetic_group_a", "synthetic_one_a", "synthetic_group_c")
SIDE_PX = 320


def main() -> None:
    """Predict, draw, tile."""
    model = monobody.load(sys.argv[1] if len(sys.argv) > 1 else None)
    tiled = Image.new("RGB", (SIDE_PX * len(NAMES), 2 * SIDE_PX))
    for column, name in enumerate(NAMES):
        photo = read_image(ROOT / "samples" / f"{name}.jpg")
        for row, pixels in enumerate((photo.rgb, model(photo).overlay())):
            tile = Image.fromarray(pixels).resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
            tiled.paste(tile, (column * SIDE_PX, row * SIDE_PX))
    tiled.save(ROOT / "docs" / "overview.jpg", quality=88)


if __name__ == "__main__":
    main()
