"""Rebuild docs/video.webp: a synthetic film of two people who cross, and what monobody makes of it, side by side.

    python scripts/make_video_picture.py [--seed 0] [--keep FOLDER]

The film, its textures included, is drawn by code (``data/clip_scenes.py``); the bodies over it are the model's.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

import monobody
from monobody.data.clip_scenes import Cast, crossing
from monobody.export.films import overlay_film
from monobody.predict.frames import open_source
from monobody.predict.video import VideoOptions, predict_video
from monobody.render.film import film

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--width", type=int, default=480, help="of the film")
    parser.add_argument("--fps", type=float, default=15.0)
    parser.add_argument("--shown", type=int, default=360, help="width of each half of the picture")
    parser.add_argument("--quality", type=int, default=55)
    parser.add_argument("--keep", type=Path, help="folder for the film and what was seen in it, to go on from")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "video.webp")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        keep = options.keep or Path(folder)
        clip, path = (
            crossing(Cast.of(options.seed), fps=options.fps, width_px=options.width),
            keep / f"crossing_{options.seed}.mp4",
        )
        if not path.is_file():
            with film(path, clip.width_px, clip.height_px, options.fps) as writing:
                for time_s, rgb in zip(clip.times_s, clip.pictures(), strict=True):
                    writing.add(rgb, float(time_s))
        seen = VideoOptions(smooth_s=0, focal_px=clip.focal_px)
        motion = predict_video(
            monobody.load(), path, replace(seen, smooth_s=0.1, refine=True), journal=keep / f".{path.stem}"
        )
        overlay_film(motion, path, keep / "overlay.mp4")
        pairs = zip(open_source(path), open_source(keep / "overlay.mp4"), strict=True)
        size = (options.shown, round(options.shown * clip.height_px / clip.width_px))
        pictures = []
        for plain, drawn in pairs:
            halves = [
                np.asarray(Image.fromarray(shot.rgb).resize(size, Image.Resampling.LANCZOS)) for shot in (plain, drawn)
            ]
            pictures.append(Image.fromarray(np.concatenate(halves, axis=1)))
        pictures[0].save(
            options.output, save_all=True, append_images=pictures[1:], duration=round(1000 / options.fps), loop=0,
            quality=options.quality, method=6,
        )  # fmt: skip
    print(f"{options.output}: {options.output.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
