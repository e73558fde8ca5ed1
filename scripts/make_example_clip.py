"""Rebuild the clip among the server's examples: two people who cross, drawn by code.

    python scripts/make_example_clip.py [--seed 4]

Body, clothes, background and textures are the project's own (``data/clip_scenes.py``); nothing of it was photographed.
"""

import argparse
from fractions import Fraction
from pathlib import Path

import av

from monobody.data.clip_scenes import Cast, SyntheticClip, crossing
from monobody.files import atomic_write

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "src" / "monobody" / "web" / "examples" / "crossing.mp4"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--width", type=int, default=416)
    parser.add_argument("--crf", type=int, default=30, help="larger is smaller and worse")
    parser.add_argument("--output", type=Path, default=TARGET)
    options = parser.parse_args()
    clip = crossing(Cast.of(options.seed), seconds=options.seconds, fps=options.fps, width_px=options.width)
    write_small(clip, options.output, options.fps, options.crf)
    print(f"{options.output}: {options.output.stat().st_size / 1000:.1f} kB")


def write_small(clip: SyntheticClip, path: Path, fps: int, crf: int) -> None:
    """Write a clip as H.264, as small as x264 can; on one thread, so that it comes out the same again."""
    flags = {"movflags": "+faststart", "fflags": "+bitexact"}
    with atomic_write(path, suffix=".mp4") as temporary, av.open(str(temporary), "w", options=flags) as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": str(crf), "preset": "veryslow"})
        stream.width, stream.height, stream.pix_fmt = clip.width_px, clip.height_px, "yuv420p"
        stream.codec_context.thread_count = 1
        for number, rgb in enumerate(clip.pictures()):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


if __name__ == "__main__":
    main()
