"""Skeletons without a body: their scenes come back from files, are drawn, and are refused where bodies are needed."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from scenes import posed_scene
from test_animated_glb import load
from test_glb import world_matrices

from monobody.body.skeleton import SKELETONS
from monobody.cli import main
from monobody.errors import UserError
from monobody.export.skin import Y_UP
from monobody.motion import Motion
from monobody.render.stick_figure import RADIUS_M, stick_figure, stick_figure_faces
from monobody.scene import Hypothesis, Person, Scene

SET = "xas18"
XAS18 = SKELETONS[SET]


def skeleton_scene() -> Scene:
    """Two people; the first has three hypotheses, which differ in depth alone, the second one."""
    scene = posed_scene(people=2, seed=5)

    def skeletons(person: Person, weights: tuple[float, ...]) -> Person:
        joints = person.joints_cam_m[SET].astype(np.float64)
        hypotheses = []
        for number, weight in enumerate(weights):
            # Along the lines of sight, so that the picture stays as it is.
            farther = 1 + 0.02 * number * np.arange(len(joints))[:, None] / len(joints)
            placed = {SET: (joints * farther).astype(np.float32)}
            hypotheses.append(Hypothesis(joints_cam_m=placed, joints_px={SET: person.joints_px[SET]}, weight=weight))
        return replace(person, hypotheses=tuple(hypotheses))

    first, second = scene.people
    return replace(scene, people=(skeletons(first, (0.2, 0.7, 0.1)), skeletons(second, (1.0,))), model="skeletons")


@pytest.fixture(scope="module")
def scene() -> Scene:
    return skeleton_scene()


def test_npz_comes_back(scene: Scene, tmp_path: Path) -> None:
    again = Scene.load(scene.save(tmp_path / "scene.npz"))
    assert not again.has_bodies
    assert [[one.weight for one in person.hypotheses] for person in again.people] == [
        pytest.approx([0.2, 0.7, 0.1]),
        [1.0],
    ]
    for person, other in zip(scene.people, again.people, strict=True):
        for one, two in zip(person.hypotheses, other.hypotheses, strict=True):
            np.testing.assert_array_equal(one.joints_cam_m[SET], two.joints_cam_m[SET])
            np.testing.assert_array_equal(one.joints_px[SET], two.joints_px[SET])
    assert again.people[0].best.weight == pytest.approx(0.7)
    with np.load(tmp_path / "scene.npz") as file:
        assert "theta" not in file.files


def test_npz_with_a_joint_that_is_no_number_is_refused(scene: Scene, tmp_path: Path) -> None:
    path = scene.save(tmp_path / "scene.npz")
    with np.load(path) as file:
        arrays = dict(file)
    arrays[f"joints_cam_m.{SET}"][0, 0, 3] = np.nan
    np.savez(path, **arrays)
    with pytest.raises(UserError, match="not finite"):
        Scene.load(path)
    arrays[f"joints_cam_m.{SET}"] = np.zeros((2, 3, 5, 3), np.float32)
    np.savez(path, **arrays)
    with pytest.raises(UserError, match="damaged"):
        Scene.load(path)


def test_json_has_every_hypothesis(scene: Scene, tmp_path: Path) -> None:
    table = json.loads(scene.save(tmp_path / "scene.json").read_text())
    first, second = table["people"]
    assert [one["weight"] for one in first["hypotheses"]] == [0.2, 0.7, 0.1]
    assert sum(one["weight"] for one in first["hypotheses"]) == pytest.approx(1)
    for row, one in zip(first["hypotheses"], scene.people[0].hypotheses, strict=True):
        assert set(row["joints"]) == {SET}
        np.testing.assert_allclose(row["joints"][SET]["cam_m"], one.joints_cam_m[SET], atol=6e-6)
        np.testing.assert_allclose(row["joints"][SET]["px"], one.joints_px[SET], atol=0.006)
    assert first["joints"] == first["hypotheses"][1]["joints"]
    assert first["theta"] is None
    assert second["camera"]["weak_perspective"] is None
    assert table["joint_names"] == {SET: list(XAS18.joints)}


def test_json_of_bodies_has_their_hypothesis(tmp_path: Path) -> None:
    table = json.loads(posed_scene(people=1, seed=3).save(tmp_path / "scene.json").read_text())
    (person,) = table["people"]
    (only,) = person["hypotheses"]
    assert only["weight"] == 1.0
    assert only["theta"] == person["theta"]
    assert only["joints"] == person["joints"]


def test_glb_is_read_by_others(scene: Scene, tmp_path: Path) -> None:
    path = scene.save(tmp_path / "scene.glb")
    gltf = load(path)
    worlds = world_matrices(gltf)
    named = {node.name: index for index, node in enumerate(gltf.nodes)}
    ranked = sorted(scene.people[0].hypotheses, key=lambda one: -one.weight)
    for rank, one in enumerate(ranked):
        node = gltf.nodes[named[f"person_0_h{rank}"]]
        assert node.extras == {"weight": one.weight, "joint_set": SET}
        joints = {}
        stack = list(node.children or [])
        while stack:
            index = stack.pop()
            joints[gltf.nodes[index].name] = worlds[index][:3, 3]
            stack += gltf.nodes[index].children or []
        expected = one.joints_cam_m[SET] @ Y_UP.T
        np.testing.assert_allclose([joints[name] for name in XAS18.joints], expected, atol=1e-5)
    assert "person_1_h0" in named
    assert "person_1_h1" not in named
    loaded = trimesh.load(path)
    assert isinstance(loaded, trimesh.Scene)
    assert len(loaded.geometry) == 4
    ours = np.concatenate([scene.vertices_cam_m(person, one) for person in scene.people for one in person.hypotheses])
    np.testing.assert_allclose(loaded.bounds, [(ours @ Y_UP.T).min(0), (ours @ Y_UP.T).max(0)], atol=1e-4)
    only = trimesh.load(scene.save(tmp_path / "best.glb", hypotheses="best"))
    assert isinstance(only, trimesh.Scene)
    assert len(only.geometry) == 2


def test_rods_are_closed_and_turn_outwards() -> None:
    joints = np.random.default_rng(1).normal(size=(18, 3))
    joints[10] = joints[9]  # A bone without length is a ball.
    rods, faces = stick_figure(joints, SET), stick_figure_faces(SET)
    mesh = trimesh.Trimesh(rods.reshape(-1, 3), faces, process=False)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    lengths = [float(np.linalg.norm(joints[a] - joints[b])) for a, b in XAS18.bones]
    round_ends = 4 / 3 * np.pi * RADIUS_M**3
    expected = sum(np.pi * RADIUS_M**2 * length + round_ends for length in lengths)
    assert mesh.volume == pytest.approx(expected, rel=0.07)


def test_overlay_shows_the_skeletons_where_they_are(scene: Scene) -> None:
    drawn = scene.overlay()
    assert scene.picture is not None
    changed = (drawn != scene.picture).any(axis=2)
    assert 0.001 < changed.mean() < 0.3
    for person in scene.people:
        points = person.joints_px[SET]
        inside = (points > 1).all(1) & (points[:, 0] < scene.width_px - 2) & (points[:, 1] < scene.height_px - 2)
        x, y = points[inside].round().astype(int).T
        assert inside.any()
        assert changed[y, x].all()


def test_side_views_stand_beside_each_other_by_weight(scene: Scene) -> None:
    three = scene.side()
    assert three.shape[1] % 3 == 0
    first, second, third = np.split(three, 3, axis=1)
    assert (first != second).any()
    assert (second != third).any()
    alone = replace(scene, people=scene.people[1:]).side()
    assert alone.shape[1] < three.shape[1]


def test_bodies_with_several_hypotheses_get_several_side_views() -> None:
    scene = posed_scene(people=2, seed=5)
    first, second = scene.people
    two = (replace(first.best, weight=0.4), replace(second.best, weight=0.6))
    both = replace(scene, people=(replace(first, hypotheses=two),)).side()
    left, right = np.split(both, 2, axis=1)
    assert (left != right).any()


@pytest.mark.parametrize("suffix", [".obj", ".fbx", ".bvh", ".csv", ".smpl.npz"])
def test_what_needs_bodies_says_so(scene: Scene, suffix: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--lift"):
        scene.save(tmp_path / f"scene{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_skeletons_have_no_body(scene: Scene, tmp_path: Path) -> None:
    for name in ("theta", "rotations", "betas", "translation_m", "camera_weak"):
        with pytest.raises(UserError, match="skeletons"):
            getattr(scene.people[0], name)
    with pytest.raises(UserError, match="--lift"):
        Motion.from_scene(scene)
    with pytest.raises(UserError, match="rig"):
        scene.save(tmp_path / "scene.glb", rig="mixamo")
    with pytest.raises(UserError, match="some"):
        scene.save(tmp_path / "scene.glb", hypotheses="some")


def test_half_a_body_and_mixed_scenes_cannot_be(scene: Scene) -> None:
    posed = posed_scene(people=1, seed=3)
    with pytest.raises(ValueError, match="together"):
        replace(posed.people[0].best, rotations=None)
    with pytest.raises(ValueError, match="needs joints"):
        Hypothesis(joints_cam_m={}, joints_px={})
    with pytest.raises(ValueError, match="every hypothesis"):
        replace(scene, people=(*scene.people, *posed.people))


def test_export_writes_them_again(scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = scene.save(tmp_path / "scene.npz")
    command = ["export", str(file), "-o"]
    assert main([*command, str(tmp_path / "all.glb"), "--hypotheses", "all"]) == 0
    assert main([*command, str(tmp_path / "best.glb"), "-o", str(tmp_path / "again.json")]) == 0
    assert [len(load(tmp_path / f"{name}.glb").meshes) for name in ("all", "best")] == [4, 2]
    assert len(json.loads((tmp_path / "again.json").read_text())["people"]) == 2
    capsys.readouterr()
    for wrong in (["walk.bvh"], ["walk.glb", "--rig", "ue5"]):
        assert main([*command, str(tmp_path / wrong[0]), *wrong[1:]]) == 2
        assert "--lift" in capsys.readouterr().err
