"""Scenes: their files come back as they were, and broken ones are refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from scenes import posed_scene, shipped_body

from monobody.body.skeleton import SKELETONS
from monobody.errors import UserError
from monobody.export.skin import Y_UP
from monobody.scene import Person, Scene


@pytest.fixture(scope="module")
def scene() -> Scene:
    return posed_scene(people=2, seed=5)


def test_npz_comes_back(scene: Scene, tmp_path: Path) -> None:
    again = Scene.load(scene.save(tmp_path / "scene.npz"), body=shipped_body())
    assert len(again.people) == 2
    for name in ("width_px", "height_px", "camera", "body_digest", "model", "terms", "name", "versions", "notes"):
        assert getattr(again, name) == getattr(scene, name), name
    for person, other in zip(scene.people, again.people, strict=True):
        np.testing.assert_array_equal(person.theta, other.theta)
        np.testing.assert_array_equal(person.rotations, other.rotations)
        np.testing.assert_array_equal(person.joints_px["coco17"], other.joints_px["coco17"])
        assert person.crop == other.crop
        np.testing.assert_array_equal(scene.vertices_cam_m(person), again.vertices_cam_m(other))


def test_npz_keeps_several_hypotheses(scene: Scene, tmp_path: Path) -> None:
    first, second = scene.people
    two = (replace(first.best, weight=0.3), replace(second.best, weight=0.7))
    mixed = replace(scene, people=(replace(first, hypotheses=two), second))
    again = Scene.load(mixed.save(tmp_path / "scene.npz"))
    assert [len(person.hypotheses) for person in again.people] == [2, 1]
    assert again.people[0].best.weight == pytest.approx(0.7)
    np.testing.assert_array_equal(again.people[0].theta, second.theta)


def test_npz_of_nobody(scene: Scene, tmp_path: Path) -> None:
    assert Scene.load(replace(scene, people=()).save(tmp_path / "empty.npz")).people == ()


def test_npz_is_plain_arrays(scene: Scene, tmp_path: Path) -> None:
    with np.load(scene.save(tmp_path / "scene.npz"), allow_pickle=False) as file:
        assert file["theta"].shape == (2, 1, 85)
        assert file["joints_cam_m.lsp14"].shape == (2, 1, 14, 3)


def test_json_has_what_is_promised(scene: Scene, tmp_path: Path) -> None:
    table = json.loads(scene.save(tmp_path / "scene.json").read_text())
    assert {"picture", "camera", "model", "terms", "versions", "people"} <= table.keys()
    for row, person in zip(table["people"], scene.people, strict=True):
        assert {"box", "score", "camera", "theta", "joints"} <= row.keys()
        np.testing.assert_allclose(row["theta"], person.theta, rtol=1e-6)
        assert {"lsp14", "coco17", "smpl24"} <= row["joints"].keys()
        for name, points in row["joints"].items():
            assert len(points["px"]) == len(points["cam_m"]) == len(SKELETONS[name].joints)
        np.testing.assert_allclose(row["joints"]["lsp14"]["px"], person.joints_px["lsp14"], atol=0.006)
        np.testing.assert_allclose(row["joints"]["lsp14"]["cam_m"], person.joints_cam_m["lsp14"], atol=6e-6)


def test_obj_is_read_by_trimesh(scene: Scene, tmp_path: Path) -> None:
    loaded = trimesh.load(scene.save(tmp_path / "scene.obj"), process=False, group_material=False, split_object=True)
    meshes = list(loaded.geometry.values()) if isinstance(loaded, trimesh.Scene) else [loaded]
    faces = sum(len(mesh.faces) for mesh in meshes)
    assert faces == 2 * len(scene.faces)
    ours = np.concatenate(scene.meshes()) @ Y_UP.T
    theirs = np.concatenate([mesh.vertices for mesh in meshes])
    np.testing.assert_allclose(theirs.min(0), ours.min(0), atol=1e-4)
    np.testing.assert_allclose(theirs.max(0), ours.max(0), atol=1e-4)


def test_obj_lines_hold_vertices_and_texture_corners(scene: Scene, tmp_path: Path) -> None:
    lines = scene.save(tmp_path / "scene.obj").read_text().splitlines()
    vertices = np.array([line.split()[1:] for line in lines if line.startswith("v ")], float)
    corners = [line.split()[1:] for line in lines if line.startswith("f ")]
    np.testing.assert_allclose(vertices, np.concatenate(scene.meshes()) @ Y_UP.T, atol=1e-5)
    data = shipped_body().data
    assert corners[0] == [f"{v + 1}/{t + 1}" for v, t in zip(data.faces[0], data.ft[0], strict=True)]
    last = data.faces[-1] + 1 + len(data.v_template)
    assert corners[-1] == [f"{v}/{t + 1}" for v, t in zip(last, data.ft[-1], strict=True)]


def test_overlay_covers_the_people_and_leaves_the_rest(scene: Scene, tmp_path: Path) -> None:
    drawn = scene.overlay()
    assert scene.picture is not None
    changed = (drawn != scene.picture).any(axis=2)
    assert 0.02 < changed.mean() < 0.9
    for person in scene.people:
        x, y = person.joints_px["smpl24"][6].astype(int)  # The middle of the back is inside the body.
        assert changed[y, x]
    scene.save(tmp_path / "scene.png")
    assert (tmp_path / "scene.png").stat().st_size > 1000


def test_unknown_extension_names_the_known_ones(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\.glb"):
        scene.save(tmp_path / "scene.xyz")


def test_overlay_needs_pixels(scene: Scene) -> None:
    with pytest.raises(UserError, match="picture"):
        replace(scene, picture=None).overlay()


def test_wrong_body_is_refused(scene: Scene) -> None:
    with pytest.raises(UserError, match="body"):
        replace(scene, body_digest="0" * 64).with_body()


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04broken"])
def test_damaged_npz_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "scene.npz"
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        Scene.load(path)


def test_foreign_npz_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "foreign.npz", poses=np.zeros(3))
    with pytest.raises(UserError, match="no scene"):
        Scene.load(tmp_path / "foreign.npz")
    with pytest.raises(UserError, match="no scene file"):
        Scene.load(tmp_path / "missing.npz")


def test_a_person_has_a_body(scene: Scene) -> None:
    with pytest.raises(ValueError, match="hypothesis"):
        Person(box_px=np.zeros(4), score=1.0, crop=scene.people[0].crop, hypotheses=())


def test_failed_save_leaves_no_file(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(UserError, match="No space left"):
        scene.save(tmp_path / "scene.npz")
    assert list(tmp_path.iterdir()) == []
