"""`monobody export` and the writers behind it: what they write, and what they refuse in one sentence."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from motions import track, waving_motion
from scenes import load_body_once, posed_scene, shipped_body

from monobody.body.rotation import axis_angle_to_matrix
from monobody.cli import main
from monobody.errors import UserError
from monobody.export.armature import joints_cam_m_of, posed_joints_m
from monobody.motion import Motion


@pytest.fixture(scope="module")
def motion() -> Motion:
    return waving_motion(people=2, frames=5)


@pytest.fixture
def file(motion: Motion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A motion's file, in the folder where the command line runs."""
    load_body_once(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return motion.save(tmp_path / "clip.npz")[0]


def test_one_command_writes_every_format(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["a.glb", "a.fbx", "a.bvh", "a.obj", "a.csv", "a.json", "a.npz", "a.smpl.npz"]
    assert main(["export", str(file), *(word for name in names for word in ("-o", name))]) == 0
    written = sorted(path.name for path in file.parent.iterdir())
    each = [f"a_person_{n}{suffix}" for n in range(2) for suffix in (".bvh", ".smpl.npz")]
    frames = [f"a_{frame:04d}.obj" for frame in range(5)]
    assert written == sorted(["a.glb", "a.fbx", "a.csv", "a.json", "a.npz", "clip.npz", *each, *frames])
    assert "a_person_0.bvh and 1 more" in capsys.readouterr().out


def test_a_scene_is_exported_without_predicting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_body_once(monkeypatch)
    path = posed_scene(people=1, seed=0).save(tmp_path / "scene.npz")
    assert main(["export", str(path), "-o", str(tmp_path / "scene.fbx"), "--rig", "mixamo"]) == 0
    assert b"mixamorig:Hips" in (tmp_path / "scene.fbx").read_bytes()


def test_what_was_filled_in_is_said(motion: Motion, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gap = replace(motion, tracks=(track(7, np.array([0, 1, 3]), seed=0),))
    (path,) = gap.save(tmp_path / "clip.npz")
    assert main(["export", str(path), "-o", str(tmp_path / "clip.bvh")]) == 0
    assert "person 7: 1 interpolated, absent in 1 of 5 frames" in capsys.readouterr().out


REFUSALS = [
    (["-o", "a.xyz"], "Cannot write .xyz"),
    (["-o", "a"], "without extension"),
    ([], "-o FILE"),
    (["-o", "a.fbx", "--rig", "maya"], "no rig 'maya'"),
    (["-o", "a.fbx", "--rest", "z"], "no rest 'z'"),
    (["-o", "a.fbx", "--up", "x"], "no up 'x'"),
    (["-o", "a.fbx", "--unit", "inch"], "no unit 'inch'"),
    (["-o", "a.fbx", "--root", "there"], "no root 'there'"),
    (["-o", "a.fbx", "--hypotheses", "some"], "no hypotheses 'some'"),
    (["-o", "a.fbx", "--fps", "0"], "0 frames in a second"),
    (["-o", "a.fbx", "--fps", "nan"], "nan frames in a second"),
    (["-o", "a.fbx", "--fps", "1e9"], "frames in a second"),
    (["-o", "a.fbx", "--person", "9"], "no person 9"),
    (["-o", "a.glb", "--up", "z"], ".glb has no choice of up"),
    (["-o", "a.glb", "--unit", "cm"], ".glb has no choice of unit"),
    (["-o", "a.fbx", "--correctives"], ".fbx has no choice of correctives"),
    (["-o", "a.csv", "--rig", "ue5"], ".csv has no choice of rig"),
    (["-o", "a.smpl.npz", "--unit", "cm"], ".smpl.npz has no choice of unit"),
    (["-o", "clip.npz"], "choose another name"),
    (["-o", "a.glb", "-o", "b.xyz"], "Cannot write .xyz"),
]


@pytest.mark.parametrize(("words", "sentence"), REFUSALS)
def test_refusals(words: list[str], sentence: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(file), *words]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert [path.name for path in file.parent.iterdir()] == ["clip.npz"]  # Nothing was written.


@pytest.mark.parametrize("name", ["missing.npz", "text.npz", "folder.npz"])
def test_files_that_are_none(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.npz").write_text("not a zip")
    Path("folder.npz").mkdir()
    assert main(["export", name, "-o", "a.glb"]) == 2
    said = capsys.readouterr().err
    assert name in said
    assert said.count("\n") == 1


def test_unknown_options_in_python_are_named(motion: Motion, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no option 'scale'"):
        motion.save(tmp_path / "clip.fbx", scale=2)
    with pytest.raises(UserError, match="no option 'scale'"):
        posed_scene(people=1, seed=0).save(tmp_path / "scene.fbx", scale=2)


def test_names_from_a_file_stay_inside_it(motion: Motion, tmp_path: Path) -> None:
    """A clip may be called anything: files are called what the user says, and formats get no control characters."""
    evil = replace(motion, name="../../evil\x00\x01Model\n", terms="a\nv 1 2 3\nJOINT x")
    out = tmp_path / "out"
    for suffix in (".glb", ".fbx", ".bvh", ".obj", ".csv", ".json", ".npz", ".smpl.npz"):
        evil.save(out / f"a{suffix}")
    assert all(path.parent == out for path in tmp_path.rglob("*") if path.is_file())
    assert b"Model\n\x00\x01AnimStack" not in (out / "a.fbx").read_bytes()
    assert "\nv 1 2 3" not in (out / "a_0000.obj").read_text()


@pytest.mark.parametrize("suffix", [".glb", ".fbx", ".bvh", ".obj", ".csv", ".json", ".npz", ".smpl.npz"])
def test_a_full_disk_leaves_nothing(
    suffix: str, motion: Motion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UserError, match="No space left"):
        motion.save(tmp_path / f"a{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_csv_has_a_row_for_each_joint(motion: Motion, tmp_path: Path) -> None:
    (path,) = motion.save(tmp_path / "clip.csv")
    rows = list(csv.DictReader(path.open()))
    assert len(rows) == 2 * 5 * 24
    one = motion.tracks[1]
    ours = joints_cam_m_of(one, shipped_body())
    some = [row for row in rows if row["person"] == "1" and row["frame"] == "3"]
    np.testing.assert_allclose([[float(row[f"{axis}_m"]) for axis in "xyz"] for row in some], ours[3], atol=1e-5)
    assert motion.camera is not None
    x_px = ours[3, :, 0] / ours[3, :, 2] * motion.camera.focal_px + motion.camera.principal_px[0]
    np.testing.assert_allclose([float(row["x_px"]) for row in some], x_px, atol=0.01)
    assert {row["seen"] for row in rows} == {"1"}


def test_json_says_it_all(motion: Motion, tmp_path: Path) -> None:
    (path,) = motion.save(tmp_path / "clip.json", person=(1,))
    table = json.loads(path.read_text())
    (one,) = table["people"]
    assert (one["id"], one["frames"], table["times_s"][1]) == (1, [0, 1, 2, 3, 4], 0.04)
    np.testing.assert_allclose(one["joints_cam_m"], joints_cam_m_of(motion.tracks[1], shipped_body()), atol=1e-5)
    turned = axis_angle_to_matrix(torch.tensor(one["pose"], dtype=torch.float64)).numpy()
    np.testing.assert_allclose(turned, motion.tracks[1].rotations, atol=1e-5)


@pytest.mark.parametrize("up", ["y", "z"])
def test_smpl_parameters_pose_the_body_where_it_was(motion: Motion, up: str, tmp_path: Path) -> None:
    """SMPL's own recipe, body(poses, betas) + trans, gives our joints; and the motion comes back from them."""
    paths = motion.save(tmp_path / "clip.smpl.npz", up=None if up == "z" else up)
    assert [path.name for path in paths] == ["clip_person_0.smpl.npz", "clip_person_1.smpl.npz"]
    with np.load(paths[1], allow_pickle=False) as stored:
        poses, betas, trans, rate = (stored[name] for name in ("poses", "betas", "trans", "mocap_framerate"))
    rotations = axis_angle_to_matrix(torch.from_numpy(poses).reshape(-1, 24, 3)).float()
    posed = shipped_body()(rotations, torch.from_numpy(betas).float()).joints_m.numpy() + trans[:, None]
    x, y, z = np.moveaxis(posed, -1, 0)
    ours = posed_joints_m(motion.tracks[1], motion)
    np.testing.assert_allclose(np.stack([x, z, -y], -1) if up == "z" else posed, ours, atol=1e-4)
    again = Motion.from_parameters(
        poses, betas, trans, body=shipped_body(), fps=float(rate), frame="z-up" if up == "z" else "y-up"
    )
    np.testing.assert_allclose(posed_joints_m(again.tracks[0], again), ours, atol=1e-4)


def test_obj_frames_are_the_posed_mesh(motion: Motion, tmp_path: Path) -> None:
    paths = motion.save(tmp_path / "clip.obj", person=(0,), up="z", unit="cm")
    lines = paths[3].read_text().splitlines()
    vertices = np.array([line.split()[1:] for line in lines if line.startswith("v ")], float) / 100
    one = motion.tracks[0]
    posed = shipped_body()(torch.from_numpy(one.rotations[3]).float(), torch.from_numpy(one.betas).float())
    x, y, z = np.moveaxis(posed.vertices_m.numpy() + one.translation_m[3], -1, 0)
    np.testing.assert_allclose(vertices, np.stack([x, z, -y], -1), atol=1e-5)


def test_feet_are_held_where_that_is_asked_for(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(file), "-o", str(tmp_path / "held.npz"), "--foot-lock"]) == 0
    assert "feet held where they stand" in capsys.readouterr().out
    assert "feet held where they stand" in Motion.load(tmp_path / "held.npz").notes
