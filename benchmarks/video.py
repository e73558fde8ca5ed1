"""Frames a second from a video's file to its motion and to its films, growth with people and length, and memory.

    python benchmarks/video.py [--frames 48] [--json FILE]
    python benchmarks/video.py --long 10 [--kill] [--keep FOLDER] [--json FILE]

Films are of synthetic people who stand and sway (``data/clip_scenes.py``), 640 x 360, 25 frames a second. The first
command predicts 1, 2 and 5 people, draws the overlay and the side view of each, then predicts one person for longer.
How much film a processor draws in a second is the real-time factor. Memory is the largest that the process ever had,
after each film: the films come in the order of their length, so growth with length would show.

The second runs `monobody predict CLIP --save glb,bvh,overlay` over a film of one person, 1280 x 720 and as many minutes
long as asked for, and prints the memory of that process and its children in each tenth of the time that it takes.
``--kill`` kills it (kill -9) when half of the film is noted, and lets the same command go on. Needs Linux.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

import monobody
from monobody.data.clip_scenes import Cast, group
from monobody.export.films import overlay_film, side_film
from monobody.render.film import film

FPS = 25.0
PIECE_S = 10.0
"""A long film is this one again and again."""
SAMPLED_EVERY_S = 0.25

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=48, help="of the films with 1, 2 and 5 people")
    parser.add_argument("--longer", type=int, nargs="*", default=[2, 4], help="times that for one person")
    parser.add_argument("--model", default="lift")
    parser.add_argument("--long", type=float, metavar="MINUTES", help="one long film in a process of its own instead")
    parser.add_argument("--kill", action="store_true", help="kill that process half way and let it go on")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for the long film and its results")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    machine = {"model": options.model, "cores": len(os.sched_getaffinity(0)), "threads": torch.get_num_threads()}
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    with tempfile.TemporaryDirectory() as folder:
        if options.long:
            found: Row = long_film(options.keep or Path(folder), options.long, options.model, kill=options.kill)
        else:
            found = {"rows": short_films(Path(folder), options)}
    if options.json:
        options.json.write_text(json.dumps(machine | found, indent=1) + "\n", encoding="utf-8")


def short_films(folder: Path, options: argparse.Namespace) -> list[Row]:
    """Measure films of 1, 2 and 5 people, and longer ones of one person."""
    predictor, cast, rows = monobody.load(options.model), Cast.of(0), []
    warm = _film(cast, 1, 2, folder / "warm.mp4")
    motion = predictor.video(warm)
    overlay_film(motion, warm, folder / "warm_overlay.mp4")
    side_film(motion, folder / "warm_side.mp4")
    print(f"{'people':>6s}{'frames':>8s}{'frames/s':>10s}{'CPU s a frame':>15s}{'MB':>7s}{'overlay':>9s}{'side':>7s}")
    for people, frames in [(1, options.frames), (2, options.frames), (5, options.frames)]:
        rows.append(_measured(predictor, cast, people, frames, folder, draw=True))
    for times in options.longer:
        rows.append(_measured(predictor, cast, 1, times * options.frames, folder, draw=False))
    print("overlay, side: seconds of film that one processor draws in a second")
    return rows


def _measured(predictor: Any, cast: Cast, people: int, frames: int, folder: Path, *, draw: bool) -> Row:
    path = _film(cast, people, frames, folder / f"{people}_{frames}.mp4")
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
    if draw:
        row["overlay: real-time factor"] = _real_time(lambda out: overlay_film(motion, path, out), path, frames)
        row["side: real-time factor"] = _real_time(lambda out: side_film(motion, out), path, frames)
    print(
        f"{people:6d}{frames:8d}{row['frames a second']:10.2f}{row['processor seconds a frame']:15.3f}"
        f"{row['largest memory MB']:7.0f}"
        + (f"{row['overlay: real-time factor']:9.2f}{row['side: real-time factor']:7.2f}" if draw else ""),
        flush=True,
    )
    return {key: round(value, 4) for key, value in row.items()}


def _real_time(draw: Callable[[Path], Any], path: Path, frames: int) -> float:
    """Return how many seconds of film a processor draws in a second."""
    busy = time.process_time()
    draw(path.with_suffix(".drawn.mp4"))
    return frames / FPS / (time.process_time() - busy)


def _film(cast: Cast, people: int, frames: int, path: Path, width_px: int = 640) -> Path:
    clip = group(cast, people=people, seconds=frames / FPS, fps=FPS, width_px=width_px)
    with film(path, clip.width_px, clip.height_px, FPS) as writing:
        for time_s, rgb in zip(clip.times_s, clip.pictures(oversampling=1), strict=True):
            writing.add(rgb, float(time_s))
    return path


def long_film(folder: Path, minutes: float, model: str, *, kill: bool) -> Row:
    """Predict one long film in a process of its own, and watch its memory."""
    folder.mkdir(parents=True, exist_ok=True)
    piece, path, out = folder / "piece.mp4", folder / f"long_{minutes:g}.mp4", folder / f"out_{minutes:g}"
    if not piece.is_file():
        _film(Cast.of(0), 1, round(PIECE_S * FPS), piece, width_px=1280)
    frames = _repeated(piece, path, max(1, round(60 * minutes / PIECE_S)))
    command = [sys.executable, "-m", "monobody.cli", "predict", str(path), "-o", str(out), "--save", "glb,bvh,overlay"]
    command += ["--model", model]
    runs = []
    if kill:
        journal = out / f".{path.stem}.monobody"
        runs.append(_watched(command, until=lambda: 60 * len(list(journal.glob("part_*.npz"))) >= frames / 2))
        print(f"killed after {runs[0]['seconds']:.0f} s")
    runs.append(_watched(command))
    last = runs[-1]
    assert last["exit code"] == 0, last
    seconds, worked = (sum(run[name] for run in runs) for name in ("seconds", "processor seconds"))
    print(f"{frames} frames, 1280 x 720: {frames / seconds:.2f} frames/s, {worked / frames:.3f} CPU s a frame")
    for run in runs:
        print("MB in each tenth of the time:", *(f"{tenth:.0f}" for tenth in run["largest MB in each tenth"]))
    return {
        "minutes": minutes,
        "frames": frames,
        "frames a second": round(frames / seconds, 3),
        "processor seconds a frame": round(worked / frames, 4),
        "results": {item.name: item.stat().st_size for item in sorted(out.iterdir())},
        "runs": runs,
    }


def _watched(command: list[str], until: Callable[[], bool] = lambda: False) -> Row:
    """Run a command, or kill it once something is true; return its time, and its memory with that of its children."""
    began, samples = time.perf_counter(), list[tuple[float, float]]()
    busy = resource.getrusage(resource.RUSAGE_CHILDREN)
    seen: dict[str, float] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                # The first line that is no news of progress says who was found.
                seen.setdefault("overlay" if ": overlay" in line else line.strip()[:40], time.perf_counter() - began)
                print(" ", line, end="", flush=True)

        reading = threading.Thread(target=read)
        reading.start()
        while process.poll() is None:
            samples.append((time.perf_counter() - began, _memory_mb(process.pid)))
            if until():
                process.kill()
                break
            time.sleep(SAMPLED_EVERY_S)
        code = process.wait()
        reading.join()
    seconds, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    tenths = [[mb for at, mb in samples if int(min(9, 10 * at / seconds)) == tenth] for tenth in range(10)]
    return {
        "exit code": code,
        "seconds": round(seconds, 1),
        "processor seconds": round(used.ru_utime + used.ru_stime - busy.ru_utime - busy.ru_stime, 1),
        "until the overlay, seconds": round(seen["overlay"], 1) if "overlay" in seen else None,
        "largest MB": round(max((mb for _, mb in samples), default=0.0), 1),
        "largest MB in each tenth": [round(max(tenth, default=0.0), 1) for tenth in tenths],
    }


def _memory_mb(parent: int) -> float:
    """Return the resident memory of a process and its children."""
    try:
        listed = [each.read_text() for each in Path(f"/proc/{parent}/task").glob("*/children")]
        pids = [str(parent), *(pid for line in listed for pid in line.split())]
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    except OSError:  # It has just ended.
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _repeated(piece: Path, path: Path, times: int) -> int:
    """Write a film several times in a row, its packets as they are, and return how many frames that makes."""
    import av

    frames = 0
    with av.open(str(path), "w") as target:
        stream: Any = None
        for time_number in range(times):
            with av.open(str(piece)) as source:
                template = source.streams.video[0]
                stream = stream or target.add_stream_from_template(template)
                assert template.time_base is not None
                shift = round(Fraction(round(time_number * PIECE_S)) / template.time_base)
                for packet in source.demux(template):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                    target.mux(packet)
                    frames += 1
    return frames


if __name__ == "__main__":
    main()
