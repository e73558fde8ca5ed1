"""Blender itself opens our files and agrees on joints, rate, scale and mesh.

Blender is Python's `bpy`, far too heavy for a dependency; here or in the Python that MONOBODY_BLENDER_PYTHON names. It
runs in a process of its own and nothing of it is imported.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from motions import waving_motion
from scenes import posed_scene

from monobody.export.armature import posed_joints_m
from monobody.export.rigs import RIGS
from monobody.export.skin import Y_UP
from monobody.motion import Motion

FRAMES = (0, 3, 8)


def blender_reads(path: Path, kind: str, times_s: list[float]) -> dict[str, Any]:
    """What Blender makes of a file; the test is skipped where there is no Blender."""
    python = os.environ.get("MONOBODY_BLENDER_PYTHON") or (sys.executable if find_spec("bpy") else None)
    if python is None:
        pytest.skip("Blender is not installed: pip install bpy, or name a Python that has it: MONOBODY_BLENDER_PYTHON")
    script = Path(__file__).with_name("blender_reads.py")
    command = [python, str(script), str(path), kind, ",".join(map(str, times_s))]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert "READ " in result.stdout, result.stdout[-2000:] + result.stderr[-2000:]
    line = next(line for line in result.stdout.splitlines() if line.startswith("READ "))
    return json.loads(line.removeprefix("READ "))


def in_our_world(places: Any) -> np.ndarray:
    """Blender's world has z up."""
    x, y, z = np.moveaxis(np.array(places, float), -1, 0)
    return np.stack([x, z, -y], axis=-1)


@pytest.fixture(scope="module")
def motion() -> Motion:
    return waving_motion(people=2, frames=9)


CASES: list[tuple[str, dict[str, Any]]] = [
    ("glb", {}), ("glb", {"rig": "ue5", "correctives": True}), ("bvh", {}), ("bvh", {"rig": "mixamo", "rest": "a"}),
    ("fbx", {}), ("fbx", {"rig": "mixamo"}), ("fbx", {"rig": "ue5", "up": "z", "unit": "m"}), ("fbx_old", {}),
    ("fbx_old", {"rig": "mixamo", "rest": "a"}), ("fbx_old", {"rig": "unity", "up": "z", "unit": "m"}),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "choice"), CASES, ids=str)
def test_blender_sees_what_we_see(motion: Motion, kind: str, choice: dict[str, Any], tmp_path: Path) -> None:
    suffix = kind.removesuffix("_old")
    paths = motion.save(tmp_path / f"clip.{suffix}", **choice)
    read = blender_reads(paths[0], kind, [float(motion.times_s[frame]) for frame in FRAMES])
    if suffix != "glb":  # GLB has seconds, not frames; Blender shows them at whatever rate its scene has.
        assert read["fps"] == pytest.approx(25, abs=1e-3)
    (armatures, count) = (read["joints"], 1 if suffix == "bvh" else 2)
    assert len(armatures) == count
    for number, found in enumerate(armatures[name] for name in sorted(armatures)):
        namesake = number if suffix == "fbx" else 0
        names = RIGS[choice.get("rig", "smpl")].named(namesake)
        theirs = in_our_world([[row[name] for name in names] for row in found])
        ours = posed_joints_m(motion.tracks[number], motion)[list(FRAMES)]
        assert np.linalg.norm(theirs - ours, axis=-1).max() < 1e-3  # Metres: scale and axes agree as well.
    for number, name in enumerate(sorted(read["meshes"])):
        one, body = motion.tracks[number], motion.with_body()
        posed = body(torch.from_numpy(one.rotations[8]).float(), torch.from_numpy(one.betas).float())
        ours = (posed.vertices_m.double().numpy() + one.translation_m[8]) @ Y_UP.T
        theirs = in_our_world(read["meshes"][name])
        # Vertices may be in another order; without correctives the skin is some millimetres off.
        assert np.abs(theirs.min(0) - ours.min(0)).max() < 0.03
        assert np.abs(theirs.max(0) - ours.max(0)).max() < 0.03
        assert np.abs(theirs[: len(ours)].mean(0) - ours.mean(0)).max() < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["glb", "fbx", "bvh"])
def test_blender_opens_a_still_scene(suffix: str, tmp_path: Path) -> None:
    scene = posed_scene(people=1, seed=3)
    read = blender_reads(scene.save(tmp_path / f"scene.{suffix}"), suffix, [0.0])
    (found,) = read["joints"].values()
    theirs = in_our_world([found[0][name] for name in RIGS["smpl"].joints])
    ours = scene.people[0].joints_cam_m["smpl24"] @ Y_UP.T
    assert np.linalg.norm(theirs - ours, axis=-1).max() < 1e-3
