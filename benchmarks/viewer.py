"""How large the viewer's pages are and how far off their bodies: ``python benchmarks/viewer.py``.

People of the samples' predictions where a photo is shown; a motion is one of them who turns. The page's bodies are
read back from the page, as its script does it, in numpy.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import monobody
from monobody.body.rotation import rotation_about
from monobody.export.skin import Y_UP
from monobody.motion import Motion
from monobody.scene import Scene
from monobody.web.viewer import viewer_page

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from page_reader import PageReader  # noqa: E402  # pyright: ignore[reportMissingImports]

PHOTOS = ("synthetic_one_b", "synthetic_group_b", "synthetic_group_c")
FRAMES = (30, 300)


def main() -> None:
    """Print everything."""
    model = monobody.load()
    print(f"{'':32}{'page':>9}{'with files':>12}{'seconds':>9}{'mean off':>11}{'most off':>11}")
    scene = None
    for name in PHOTOS:
        scene = model(ROOT / "samples" / f"{name}.jpg")
        count = len(scene.people)
        told(f"{name}, {count} {'person' if count == 1 else 'people'}", scene, scene)
    first = model(ROOT / "samples" / f"{PHOTOS[0]}.jpg")
    for frames in FRAMES:
        told(f"one person turning, {frames} frames", turning(first, frames), None)


def told(what: str, result: Scene | Motion, scene: Scene | None) -> None:
    """Print a row."""
    start = time.perf_counter()
    bare = viewer_page(result, save=())
    seconds = time.perf_counter() - start
    whole = viewer_page(result)
    row = f"{what:32}{len(bare) / 1e6:>6.2f} MB{len(whole) / 1e6:>9.2f} MB{seconds:>9.2f}"
    if scene is not None:
        page = PageReader.of(bare)
        off = [
            np.linalg.norm(page.vertices(n, 0, 0) - scene.vertices_cam_m(person) @ Y_UP.T, axis=1)
            for n, person in enumerate(scene.people)
        ]
        row += f"{1000 * np.mean(off):>8.3f} mm{1000 * np.max(off):>8.2f} mm"
    print(row, flush=True)


def turning(scene: Scene, frames: int) -> Motion:
    """Return a scene's first person turning about."""
    motion = Motion.from_scene(scene)
    track = motion.tracks[0]
    turns = rotation_about("y", torch.linspace(0, 6.28, frames, dtype=torch.float64)).numpy()
    rotations = np.repeat(track.rotations.astype(np.float64), frames, axis=0)
    rotations[:, 0] = turns @ rotations[:, 0]
    moving = replace(
        track,
        frames=np.arange(frames),
        rotations=rotations,
        translation_m=np.repeat(track.translation_m, frames, axis=0),
        seen=np.ones(frames, bool),
        score=np.ones(frames),
    )
    return replace(motion, times_s=np.arange(frames) / 30, tracks=(moving,))


if __name__ == "__main__":
    main()
