"""The viewer's page: it holds the result, within a millimetre or so; it loads nothing; strangers' words are words."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from motions import waving_motion
from page_reader import PageReader, element, unpacked
from scenes import posed_scene
from test_stick_figures import skeleton_scene

from monobody.cli import main
from monobody.errors import UserError
from monobody.export.glb import glb_bytes
from monobody.export.skin import Y_UP
from monobody.motion import Motion
from monobody.scene import Scene
from monobody.web.viewer import plain_name, viewer_page, write_viewer
from monobody.web.viewer_block import Block


@pytest.fixture(scope="module")
def scene() -> Scene:
    return posed_scene(people=2, seed=3)


@pytest.fixture(scope="module")
def motion() -> Motion:
    return waving_motion(people=2, frames=9, several=2)


@pytest.fixture(scope="module")
def scene_page(scene: Scene) -> str:
    return viewer_page(scene, save=("glb",))


def test_a_scene_s_bodies_are_in_its_page(scene: Scene, scene_page: str) -> None:
    page = PageReader.of(scene_page)
    for place, person in enumerate(scene.people):
        off_m = np.linalg.norm(page.vertices(place, 0, 0) - scene.vertices_cam_m(person) @ Y_UP.T, axis=1)
        # Where a vertex hangs from more than four joints, as few do, the page forgets the weakest.
        assert off_m.max() < 2e-2
        assert off_m.mean() < 1e-4


def test_a_motion_s_answers_are_in_its_page_at_all_frames(motion: Motion) -> None:
    page = PageReader.of(viewer_page(motion, save=()))
    body = motion.with_body()
    import torch

    for place, track in enumerate(motion.tracks):
        takes = track.takes()
        assert len(page.head["people"][place]["takes"]) == len(takes) == 2
        for number, take in enumerate(takes):
            for frame in (0, 4, 8):
                rotations, betas = (torch.from_numpy(a).float() for a in (take.rotations[frame], take.betas))
                true_m = body(rotations, betas).vertices_m.numpy() + take.translation_m[frame]
                off_m = np.linalg.norm(page.vertices(place, number, frame) - true_m @ Y_UP.T, axis=1)
                assert off_m.mean() < 1e-3
                assert off_m.max() < 2e-2
    weights = [page.read(take["weight"]) for take in page.head["people"][0]["takes"]]
    assert (weights[0] > weights[1]).all()
    np.testing.assert_allclose(page.read(page.head["times"]), motion.times_s, atol=1e-6)


def test_people_who_are_not_always_there_and_a_camera_that_stands_elsewhere() -> None:
    motion = waving_motion(people=1, frames=6)
    track = motion.tracks[0]
    keep = np.array([0, 1, 4])
    track = replace(
        track, frames=keep, rotations=track.rotations[keep], translation_m=track.translation_m[keep],
        seen=np.array([True, False, True]), score=track.score[keep],
    )  # fmt: skip
    turn = np.array([[0.0, 0, 1], [0, -1, 0], [1, 0, 0]])
    world = np.eye(4)
    world[:3, :3], world[:3, 3] = turn, (1.0, 2.0, 3.0)
    page = PageReader.of(viewer_page(replace(motion, tracks=(track,), T_world_camera=world), save=()))
    person = page.head["people"][0]
    assert page.read(person["frames"]).tolist() == [0, 1, 4]
    assert page.read(person["seen"]).tolist() == [1, 0, 1]
    level = PageReader.of(viewer_page(replace(motion, tracks=(track,)), save=()))
    from_camera = level.vertices(0, 0, 2) @ Y_UP
    np.testing.assert_allclose(page.vertices(0, 0, 2), from_camera @ turn.T + world[:3, 3], atol=2e-4)


def test_skeletons_are_stick_figures_with_their_weights() -> None:
    scene = skeleton_scene()
    page = PageReader.of(viewer_page(scene))
    takes = page.head["people"][0]["takes"]
    assert page.head["mesh"] is None
    assert [take["kind"] for take in takes] == ["sticks"] * 3
    assert [float(page.read(take["weight"])[0]) for take in takes] == pytest.approx([0.7, 0.2, 0.1])
    best = scene.people[0].best.joints_cam_m["xas18"] @ Y_UP.T
    np.testing.assert_allclose(page.read(takes[0]["points"]), best, atol=1e-6)
    assert {file["name"].rpartition(".")[2] for file in page.head["files"]} == {"glb", "npz", "json"}


def test_the_page_holds_its_files_and_is_small(scene: Scene, scene_page: str) -> None:
    (file,) = PageReader.of(scene_page).head["files"]
    content = unpacked(element(scene_page, file["element"]))
    assert content == glb_bytes(Motion.from_scene(scene))
    assert file["bytes"] == len(content)
    assert len(scene_page) - len(element(scene_page, file["element"])) < 3e6


def test_the_page_asks_for_nothing_from_outside(scene_page: str) -> None:
    without_data = re.sub(
        r'(<script type="(?:text/plain|application/json)".*?</script>)', "", scene_page, flags=re.DOTALL
    )
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"'`)]*", without_data))
    # A name space, which nobody loads, and what the notice says of three.js.
    assert all(one.startswith(("http://www.w3.org", "https://threejs.org")) for one in addresses), addresses
    assert "default-src 'none'" in scene_page
    assert "connect-src" not in scene_page


def test_words_of_strangers_stay_words(scene: Scene) -> None:
    evil = "</script><script>alert(1)</script>{{three}}"
    page = viewer_page(replace(scene, name=evil, model=evil, terms=evil, notes=(evil,)), save=("npz",))
    assert "<script>alert(1)" not in page
    assert page.count("var THREE=") == 1
    head = PageReader.of(page).head
    assert head["model"] == evil
    assert re.fullmatch(r"[\w.-]+", head["files"][0]["name"])


@pytest.mark.parametrize(
    ("name", "safe"),
    [("../../etc/passwd", "etc_passwd"), ("a b", "a_b"), ("", "result"), ("..", "result"), ("x" * 200, "x" * 60),
     ("C:\\con\0", "C_con"), ("ü", "result")],
)  # fmt: skip
def test_names_of_files_are_plain(name: str, safe: str) -> None:
    assert plain_name(name) == safe


def test_quantised_numbers_come_back() -> None:
    generator = np.random.default_rng(0)
    block = Block()
    for kind, steps in (("uint16", 65535), ("int16", 32767), ("int8", 127)):
        values = generator.normal(size=(50, 3)) * [1, 10, 100]
        described = block.add_quantised(values, kind)
        back = PageReader({}, bytes(block.data)).read(described)
        span = np.ptp(values, axis=0).max() if kind == "uint16" else np.abs(values).max()
        np.testing.assert_allclose(back, values, atol=span / steps / 2 * 1.001)
    assert block.add_quantised(np.zeros((2, 3)), "int8")["scale"] == 1.0


def test_the_command_makes_a_page_of_a_file(scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = scene.save(tmp_path / "scene.npz")
    assert main(["view", str(path), "-o", str(tmp_path / "page.html"), "--save", "none"]) == 0
    page = (tmp_path / "page.html").read_text()
    assert PageReader.of(page).head["files"] == []
    assert '<img id="photo"' not in page  # A file holds no pixels.
    assert "2 people" in capsys.readouterr().out


def test_a_failed_page_leaves_the_old_one(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    with pytest.raises(UserError, match="320 x 240"):
        write_viewer(scene, path, picture=np.zeros((240, 320, 3), np.uint8))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
