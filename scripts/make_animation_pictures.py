"""Rebuild the pictures of docs/animation.md: a walk from motion capture, exported, opened and rendered by Blender.

    python scripts/make_animation_pictures.py --mocap POOL_15fps.npz --blender PYTHON_WITH_bpy

The clip is retargeted to the body; nothing of the motion capture itself goes into the pictures' folder.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch

from monobody.body.model import Body
from monobody.body.rotation import matrix_to_axis_angle
from monobody.data.mocap import POINTS, read_pool
from monobody.data.retarget import retarget
from monobody.motion import Motion

ROOT = Path(__file__).resolve().parents[1]
FPS = 15.0


def walk(pool: Path, clip: int) -> Motion:
    """Return one clip of a pool as a motion in a world whose y points up, on its own floor."""
    source, body = read_pool(pool)[clip], Body.load()
    rest_m = body.identity(torch.zeros(10)).joints_m
    found = retarget(
        torch.from_numpy(source.points).float(),
        torch.from_numpy(source.orientations).float(),
        torch.as_tensor(source.has_orientation).float(),
        rest_m,
    )
    hips = [POINTS.index(f"{side}_hip") for side in ("left", "right")]
    legs = [POINTS.index(f"{side}_ankle") for side in ("left", "right")]
    # Strides as long as our legs make them.
    theirs = np.linalg.norm(source.points[:, hips] - source.points[:, legs], axis=-1).max()
    posed = body(found.rotations)
    ours = (posed.joints_m[:, [1, 2]] - posed.joints_m[:, [7, 8]]).norm(dim=-1).max().item()
    hips_m = source.points[:, hips].mean(axis=1) * ours / theirs
    places_m = hips_m - posed.joints_m[:, [1, 2]].mean(dim=1).numpy()
    poses = matrix_to_axis_angle(found.rotations).reshape(-1, 72).numpy()
    return Motion.from_parameters(
        poses, np.zeros(10), places_m, body=body, fps=FPS, frame="y-up", model="motion capture", name="walk"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mocap", type=Path, required=True, help="a pool of clips, as data/mocap.py reads it")
    parser.add_argument("--clip", type=int, default=0)
    parser.add_argument("--blender", default="python3", help="a Python that has bpy")
    parser.add_argument("--output", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    motion = walk(options.mocap, options.clip)
    with tempfile.TemporaryDirectory() as folder:
        motion.save(Path(folder) / "walk.glb", root="origin", correctives=True, fps=30)
        motion.save(Path(folder) / "walk.fbx", root="origin", rig="mixamo", fps=30)
        motion.save(Path(folder) / "walk.bvh", root="origin", fps=30)
        script = Path(__file__).with_name("blender_pictures.py")
        subprocess.run([options.blender, str(script), folder, str(options.output)], check=True)


if __name__ == "__main__":
    main()
