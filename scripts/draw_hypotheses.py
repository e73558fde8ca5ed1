"""Draw what a detector holds possible, beside the truth from a second view, and one joint's depth.

    python scripts/draw_hypotheses.py --model xas-mini -o docs/results/hypotheses.png

The people are the shipped rendered ones (`evaluate/hypotheses_figure.py` says which and how). Or, of a photo, the
likeliest skeleton over it and the first ones from the side:

    python scripts/draw_hypotheses.py --model xas --photo samples/camera.jpg -o docs/hypotheses.jpg
"""

import argparse
from pathlib import Path

from PIL import Image

from monobody.evaluate.hypotheses_ablation import Ruler, load_detector
from monobody.evaluate.hypotheses_figure import draw_figure
from monobody.evaluate.hypotheses_runs import Settings
from monobody.files import atomic_write
from monobody.hub import find_weights
from monobody.predict.predictor import load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="xas-mini", help="name or weights file")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--people", type=int, default=5)
    parser.add_argument("--photo", type=Path, help="a photo in place of rendered people")
    arguments = parser.parse_args()
    if arguments.photo is not None:
        draw_photo(arguments.photo, arguments.model, arguments.output, count=arguments.people)
        return
    detector, hypotheses = load_detector(find_weights(arguments.model))
    ruler = Ruler(None, Settings(), size=detector.input_size)
    print("people", draw_figure(arguments.output, detector, ruler, people=arguments.people, hypotheses=hypotheses))


def draw_photo(photo: Path, model: str, path: Path, *, count: int, height: int = 280) -> None:
    """Write the overlay and the side views as one JPEG."""
    scene = load(model, hypotheses=count)(photo)
    pictures = [Image.fromarray(picture) for picture in (scene.overlay(), scene.side())]
    pictures = [picture.resize((picture.width * height // picture.height, height)) for picture in pictures]
    sheet = Image.new("RGB", (sum(picture.width for picture in pictures), height))
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (number * pictures[0].width, 0))
    with atomic_write(path, suffix=".jpg") as temporary:
        sheet.save(temporary, quality=85)


if __name__ == "__main__":
    main()
