"""Moving GLB files: pygltflib reads the numbers, forward kinematics and skinning are done anew from the file alone."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib
import pytest
import torch
from motions import track, waving_motion
from test_glb import VALIDATE, read, world_matrices

from monobody.export.armature import posed_joints_m
from monobody.export.rigs import BODY, RIGS
from monobody.export.skin import Y_UP
from monobody.motion import Motion, Track


@pytest.fixture(scope="module")
def motion() -> Motion:
    return waving_motion(people=2, frames=12)


def load(path: Path) -> pygltflib.GLTF2:
    return pygltflib.GLTF2().load(path)


def set_time(gltf: pygltflib.GLTF2, time: float) -> dict[int, np.ndarray]:
    """Put the nodes where the animation has them, as glTF prescribes; return the morph weights of nodes."""
    morphs = {}
    (animation,) = gltf.animations
    for channel in animation.channels:
        sampler = animation.samplers[channel.sampler]
        times, values = read(gltf, sampler.input)[:, 0], read(gltf, sampler.output).astype(np.float64)
        values = values.reshape(len(times), -1)
        after = int(np.searchsorted(times, time, side="right").clip(1, len(times) - 1))
        share = float(np.clip((time - times[after - 1]) / (times[after] - times[after - 1]), 0, 1))
        first, second = values[after - 1], values[after]
        if channel.target.path == "rotation":
            cosine = first @ second
            angle = np.arccos(np.clip(abs(cosine), 0, 1))
            second = second if cosine >= 0 else -second
            parts = (1 - share, share) if angle < 1e-6 else np.sin([(1 - share) * angle, share * angle]) / np.sin(angle)
            value = parts[0] * first + parts[1] * second
            gltf.nodes[channel.target.node].rotation = (value / np.linalg.norm(value)).tolist()
        elif channel.target.path == "translation":
            gltf.nodes[channel.target.node].translation = ((1 - share) * first + share * second).tolist()
        else:
            morphs[channel.target.node] = (1 - share) * first + share * second
    return morphs


def joints_m(gltf: pygltflib.GLTF2, number: int, rig: str = "smpl") -> np.ndarray:
    worlds, names = world_matrices(gltf), RIGS[rig].named(0)
    joints = {gltf.nodes[joint].name: worlds[joint][:3, 3] for joint in gltf.skins[number].joints}
    return np.stack([joints[name] for name in names])


def skinned_m(gltf: pygltflib.GLTF2, name: str, morphs: dict[int, np.ndarray]) -> np.ndarray:
    index, node = next((i, node) for i, node in enumerate(gltf.nodes) if node.name == f"{name}_body")
    primitive, skin = gltf.meshes[node.mesh].primitives[0], gltf.skins[node.skin]
    places = read(gltf, primitive.attributes.POSITION).astype(np.float64)
    for target, weight in zip(primitive.targets or [], morphs.get(index, []), strict=True):
        at = target["POSITION"] if isinstance(target, dict) else target.POSITION
        places = places + weight * read(gltf, at)
    inverse = read(gltf, skin.inverseBindMatrices).reshape(-1, 4, 4).transpose(0, 2, 1)
    worlds = world_matrices(gltf)
    joints = np.stack([worlds[joint] @ inverse[i] for i, joint in enumerate(skin.joints)])
    weights, indices = read(gltf, primitive.attributes.WEIGHTS_0), read(gltf, primitive.attributes.JOINTS_0)
    maps = np.einsum("vc,vcij->vij", weights, joints[indices])
    return np.einsum("vij,vj->vi", maps[:, :3, :3], places) + maps[:, :3, 3]


def ours_m(one: Track, motion: Motion, frame: int) -> np.ndarray:
    body = motion.with_body()
    posed = body(torch.from_numpy(one.rotations[frame]).float(), torch.from_numpy(one.betas).float())
    return (posed.vertices_m.double().numpy() + one.translation_m[frame]) @ Y_UP.T


CHOICES: list[dict[str, Any]] = [
    {}, {"rig": "mixamo"}, {"rig": "ue5"}, {"rig": "unity", "rest": "a"}, {"rig": "ue5", "rest": "t"},
]  # fmt: skip


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_joints_are_ours_at_random_frames(motion: Motion, choice: dict[str, Any], tmp_path: Path) -> None:
    (path,) = motion.save(tmp_path / "clip.glb", **choice)
    for frame in np.random.default_rng(0).choice(12, 4, replace=False):
        gltf = load(path)
        set_time(gltf, float(np.float32(motion.times_s[frame])))
        for number, one in enumerate(motion.tracks):
            theirs = joints_m(gltf, number, choice.get("rig", "smpl"))
            np.testing.assert_allclose(theirs, posed_joints_m(one, motion)[frame], atol=1e-4)


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_bind_and_rest_agree(motion: Motion, choice: dict[str, Any], tmp_path: Path) -> None:
    """With the nodes as they are in the file, skinning moves nothing: the rest pose is the bind pose."""
    gltf = load(motion.save(tmp_path / "clip.glb", **choice)[0])
    places = read(gltf, gltf.meshes[0].primitives[0].attributes.POSITION)
    np.testing.assert_allclose(skinned_m(gltf, "person_0", {}), places, atol=1e-5)
    assert places[:, 1].min() == pytest.approx(0, abs=1e-6)  # It rests on the floor.
    arms = joints_m(gltf, 0, choice.get("rig", "smpl"))
    slope = arms[BODY.index("left_elbow")] - arms[BODY.index("left_shoulder")]
    degrees = np.rad2deg(np.arctan2(slope[1], slope[0]))
    lowered = choice.get("rest") == "a" or (choice.get("rig") == "ue5" and "rest" not in choice)
    assert degrees == pytest.approx(-45 if lowered else 0, abs=8)


@pytest.mark.parametrize("rig", ["mixamo", "ue5"])
def test_bones_lie_along_the_axis_of_their_rig(motion: Motion, rig: str, tmp_path: Path) -> None:
    gltf = load(motion.save(tmp_path / "clip.glb", rig=rig)[0])
    worlds, style = world_matrices(gltf), RIGS[rig]
    nodes = {gltf.nodes[joint].name: joint for joint in gltf.skins[0].joints}

    def along(joint: str, end: str) -> np.ndarray:
        """The direction to the next joint, in the bone's own axes."""
        start, stop = (worlds[nodes[style.named(0)[BODY.index(name)]]] for name in (joint, end))
        bone = stop[:3, 3] - start[:3, 3]
        return start[:3, :3].T @ bone / np.linalg.norm(bone)

    for joint, end, sign in [
        ("left_shoulder", "left_elbow", 1), ("right_shoulder", "right_elbow", -1), ("left_hip", "left_knee", -1),
        ("right_hip", "right_knee", 1), ("spine1", "spine2", 1),
    ]:  # fmt: skip
        expected = [sign, 0, 0] if rig == "ue5" else [0, 1, 0]
        np.testing.assert_allclose(along(joint, end), expected, atol=1e-5)


def test_correctives_bring_the_mesh_nearer(motion: Motion, tmp_path: Path) -> None:
    plain, mended = (
        load(motion.save(tmp_path / f"{word}.glb", correctives=word == "mended")[0]) for word in ("plain", "mended")
    )
    frame, one = 7, motion.tracks[0]
    ours = ours_m(one, motion, frame)
    off_mm = []
    for gltf in (plain, mended):
        morphs = set_time(gltf, float(np.float32(motion.times_s[frame])))
        theirs = skinned_m(gltf, "person_0", morphs)[: len(ours)]
        off_mm.append(1000 * np.linalg.norm(theirs - ours, axis=1))
    assert off_mm[1].mean() < 0.5
    assert off_mm[1].mean() < 0.3 * off_mm[0].mean()
    assert np.quantile(off_mm[1], 0.99) < 5  # What is left are fifth weights.


def test_times_are_the_clip_s_own(motion: Motion, tmp_path: Path) -> None:
    uneven = replace(motion, times_s=3 + np.cumsum(np.linspace(0.02, 0.1, 12)))
    gltf = load(uneven.save(tmp_path / "clip.glb")[0])
    times = read(gltf, gltf.animations[0].samplers[0].input)[:, 0]
    np.testing.assert_allclose(times, uneven.times_s - uneven.times_s[0], atol=1e-6)
    gltf = load(uneven.save(tmp_path / "even.glb", fps=50)[0])
    times = read(gltf, gltf.animations[0].samplers[0].input)[:, 0]
    np.testing.assert_allclose(np.diff(times), 0.02, atol=1e-6)


def test_a_late_person_keeps_the_clip_s_time(motion: Motion, tmp_path: Path) -> None:
    late = replace(motion, tracks=(track(3, np.arange(4, 9), seed=1),))
    gltf = load(late.save(tmp_path / "clip.glb")[0])
    times = read(gltf, gltf.animations[0].samplers[0].input)[:, 0]
    np.testing.assert_allclose(times, late.times_s[4:9], atol=1e-6)
    assert "person_3" in [node.name for node in gltf.nodes]


def test_every_hypothesis_is_an_armature(tmp_path: Path) -> None:
    several = waving_motion(people=1, frames=4, several=3)
    gltf = load(several.save(tmp_path / "clip.glb", hypotheses="all")[0])
    assert [skin.name for skin in gltf.skins] == [f"person_0_h{h}_skin" for h in range(3)]
    set_time(gltf, 0.0)
    for number, take in enumerate(several.tracks[0].takes()):
        np.testing.assert_allclose(joints_m(gltf, number), posed_joints_m(take, several)[0], atol=1e-4)


def test_a_world_carries_people_and_camera(motion: Motion, tmp_path: Path) -> None:
    """With a tilted camera, what the file's camera sees is what the clip's saw."""
    tilt = np.deg2rad(20)
    turned = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    world = np.eye(4)
    world[:3, :3], world[:3, 3] = turned @ Y_UP, (0.5, 1.6, -0.2)
    tilted = replace(motion, T_world_camera=world)
    gltf = load(tilted.save(tmp_path / "clip.glb")[0])
    set_time(gltf, float(np.float32(motion.times_s[5])))
    worlds = world_matrices(gltf)
    camera = next(worlds[i] for i, node in enumerate(gltf.nodes) if node.camera is not None)
    seen = joints_m(gltf, 0) @ np.linalg.inv(camera)[:3, :3].T + np.linalg.inv(camera)[:3, 3]
    level = posed_joints_m(motion.tracks[0], motion)[5]
    np.testing.assert_allclose(seen, level, atol=1e-4)


@pytest.mark.slow
def test_khronos_validator_finds_nothing(motion: Motion, tmp_path: Path) -> None:
    """The glTF validator from npm; skipped where node or the registry is out of reach."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        pytest.skip("node and npm are not installed")
    command = [npm, "install", "--silent", "--no-audit", "--prefix", str(tmp_path), "gltf-validator@2.0.0-dev.3.10"]
    if subprocess.run(command, capture_output=True, timeout=120).returncode != 0:
        pytest.skip("npm cannot fetch gltf-validator")
    package = tmp_path / "node_modules" / "gltf-validator"
    for name, choice in {"plain": {}, "all": {"rig": "ue5", "correctives": True}}.items():
        (path,) = motion.save(tmp_path / f"{name}.glb", **choice)
        command = [node, "-e", VALIDATE, str(package), str(path)]
        issues = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"][:5]
