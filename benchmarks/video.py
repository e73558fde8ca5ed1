"""Frames a second from a video's file to its motion, for 1, 2 and 5 people and for longer films, and the memory used.

    python benchmarks/video.py [--frames 48] [--json FILE] [--films]

Films are of synthetic people who stand and sway (``data/clip_scenes.py``), 640 x 360; ``--films`` times the overlay
and the side view of the same motion too. Memory is the largest that the process ever had, after each film: the films
come in the order of their length, so growth with length would show.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import monobody
from monobody.data.clip_scenes import Cast, group
from monobody.export.films import overlay_film, side_film
from monobody.render.film import film

FPS = 25.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=48, help="of the films with 1, 2 and 5 people")
    parser.add_argument("--longer", type=int, nargs="*", default=[2, 4], help="times that for one person")
    parser.add_argument("--model", default="lift")
    parser.add_argument("--films", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    predictor = monobody.load(options.model)
    cast, rows = Cast.of(0), []
    with tempfile.TemporaryDirectory() as folder:
        warm = _film(cast, 1, 2, Path(folder) / "warm.mp4")
        overlay_film(predictor.video(warm), warm, Path(folder) / "warm_overlay.mp4")
        for people, frames in [
            *((n, options.frames) for n in (1, 2, 5)),
            *((1, k * options.frames) for k in options.longer),
        ]:
            path = _film(cast, people, frames, Path(folder) / f"{people}_{frames}.mp4")
            rows.append(_measured(predictor, path, people, frames, films=options.films))
            print(json.dumps(rows[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"model": options.model, "rows": rows}, indent=1) + "\n", encoding="utf-8")


def _measured(predictor: Any, path: Path, people: int, frames: int, *, films: bool) -> dict[str, float]:
    began, busy = time.perf_counter(), time.process_time()
    motion = predictor.video(path)
    took, worked = time.perf_counter() - began, time.process_time() - busy
    row = {
        "people": people,
        "found": len(motion.tracks),
        "frames": frames,
        "frames a second": frames / took,
        "processor seconds a frame": worked / frames,
        "largest memory MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    if films:
        for name, draw in (
            ("overlay", lambda out: overlay_film(motion, path, out)),
            ("side", lambda out: side_film(motion, out)),
        ):
            busy = time.process_time()
            draw(path.with_suffix(f".{name}.mp4"))
            row[f"{name}: processor seconds a frame"] = (time.process_time() - busy) / frames
    return {key: round(value, 4) for key, value in row.items()}


def _film(cast: Cast, people: int, frames: int, path: Path) -> Path:
    clip = group(cast, people=people, seconds=frames / FPS, fps=FPS)
    with film(path, clip.width_px, clip.height_px, FPS) as writing:
        for time_s, rgb in zip(clip.times_s, clip.pictures(oversampling=1), strict=True):
            writing.add(rgb, float(time_s))
    return path


if __name__ == "__main__":
    main()
