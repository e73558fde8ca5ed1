"""The viewer and the server's page in a real browser: what is drawn is the result, and everything can be pressed."""

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib
import pytest
import torch
from browser import chromium, overflows, page_of, until
from motions import waving_motion
from PIL import Image
from scenes import posed_scene
from test_stick_figures import skeleton_scene

from monobody.camera import project
from monobody.export.armature import joints_cam_m_of
from monobody.export.glb import glb_bytes
from monobody.export.skin import Y_UP
from monobody.motion import Motion
from monobody.web.viewer import write_viewer

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
GREY = np.full((480, 640, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def motion() -> Motion:
    return waving_motion(people=2, frames=6, several=2)


@pytest.fixture(scope="module")
def page_file(motion: Motion, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("viewer")
    return write_viewer(motion, folder / "page.html", picture=GREY, save=("glb",)).as_uri()


def ready(page: Any) -> Any:
    page.locator("body[data-ready]").wait_for()
    return page


def picture(page: Any) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)


def test_the_browser_poses_bodies_as_python_does(browser: Any, page_file: str, motion: Motion) -> None:
    with page_of(browser, page_file) as page:
        ready(page)
        box = page.locator("#stage").bounding_box()
        scale = min(box["width"] / 640, box["height"] / 480)
        edge = np.array([box["width"] - 640 * scale, box["height"] - 480 * scale]) / 2
        assert motion.camera is not None
        some = [0, 1500, 5000, 9000, 13000]
        for place, rank, frame in ((0, 0, 0), (1, 1, 3), (0, 1, 5)):
            take = motion.tracks[place].takes()[rank]
            page.evaluate(f"monobody.people[{place}].chosen[{rank}] = true; monobody.seek({frame})")
            joints = joints_cam_m_of(take, motion.with_body())[frame]
            true_px = project(joints, motion.camera.focal_px, motion.camera.principal_px)
            shown_px = np.array(page.evaluate(f"monobody.joints({place}, {rank})"))
            np.testing.assert_allclose((shown_px - edge) / scale, true_px, atol=0.1)
            rotations, betas = (torch.from_numpy(a).float() for a in (take.rotations[frame], take.betas))
            vertices_m = motion.with_body()(rotations, betas).vertices_m.numpy() + take.translation_m[frame]
            shown_m = np.array(page.evaluate(f"monobody.vertices({place}, {rank}, {some})"))
            np.testing.assert_allclose(shown_m, (vertices_m @ Y_UP.T)[some], atol=5e-3)


def test_a_scene_s_bodies_have_their_correctives(browser: Any, tmp_path: Path) -> None:
    scene = posed_scene(people=2, seed=4, spread_rad=0.2)
    some = [0, 1500, 5000, 9000, 13000]
    with page_of(browser, write_viewer(scene, tmp_path / "scene.html", save=()).as_uri()) as page:
        ready(page)
        for place, person in enumerate(scene.people):
            shown_m = np.array(page.evaluate(f"monobody.vertices({place}, 0, {some})"))
            np.testing.assert_allclose(shown_m, (scene.vertices_cam_m(person) @ Y_UP.T)[some], atol=1e-3)


def test_everything_on_the_viewer_can_be_pressed(browser: Any, page_file: str, motion: Motion) -> None:
    with page_of(browser, page_file) as page:
        ready(page)
        page.evaluate("monobody.play(false); monobody.seek(0)")
        both = picture(page)
        chest_x, chest_y = (round(value) for value in page.evaluate("monobody.joints(0, 0)")[9])
        red, _, blue = both[chest_y, chest_x]
        assert red > blue + 40  # The first person is coral.
        page.get_by_role("checkbox", name="Person 0").uncheck()
        page.get_by_role("checkbox", name="Person 1").uncheck()
        page.wait_for_timeout(100)
        np.testing.assert_allclose(picture(page)[chest_y, chest_x], 128, atol=3)  # The photo behind.
        first, second = page.locator(".chips").first.locator(".chip").all()[:2]
        assert re.fullmatch(r"2 · 33 %", second.inner_text())
        second.click()
        assert page.evaluate("monobody.people[0].chosen") == [True, True]
        assert page.get_by_role("checkbox", name="Person 0").is_checked()
        first.click()
        assert page.evaluate("monobody.people[0].chosen") == [False, True]
        page.locator("#stage").click()
        for key, expected in (
            ("n", "state.names"), ("s", "state.bones"), ("t", "state.turning"), ("2", "people[1].on"),
        ):  # fmt: skip
            page.keyboard.press(key)
            assert page.evaluate(f"monobody.{expected}") is True
        page.keyboard.press("b")
        assert page.evaluate("monobody.state.body") is False
        until(page, "[...document.querySelectorAll('#labels span')].some(each => each.textContent === 'left wrist')")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        assert page.locator("#time").inner_text() == "0.08 s · 3/6"
        page.locator("#scrub").fill("5")
        assert page.evaluate("monobody.state.frame") == 5
        page.locator("#play").click()
        until(page, "monobody.state.frame !== 5")
        page.keyboard.press("v")
        assert page.evaluate("monobody.state.view") == "turntable"
        page.keyboard.press("h")
        assert page.evaluate("monobody.people[0].chosen") == [True, False]
        with page.expect_download() as kept:
            page.get_by_text("waving.glb").click()
        assert Path(kept.value.path()).read_bytes() == glb_bytes(motion)


def test_the_viewer_on_a_phone_in_the_dark(browser: Any, tmp_path: Path) -> None:
    scene = skeleton_scene()
    path = write_viewer(scene, tmp_path / "sticks.html", save=())
    phone = {"has_touch": True, "is_mobile": True, "color_scheme": "dark", "reduced_motion": "reduce"}
    with page_of(browser, path.as_uri(), width=390, height=844, **phone) as page:
        ready(page)
        assert not overflows(page)
        page.get_by_role("button", name="Turntable").tap()
        before = page.evaluate("monobody.joints(0, 0)")
        stage = page.locator("#stage").bounding_box()
        middle = (stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2)
        page.mouse.move(*middle)
        page.mouse.down()
        page.mouse.move(middle[0] + 80, middle[1] + 10, steps=4)
        page.mouse.up()
        assert np.abs(np.array(page.evaluate("monobody.joints(0, 0)")) - before).max() > 20
        chip = page.get_by_role("button", name="joints 2 · 20 %")
        chip.tap()
        assert chip.get_attribute("aria-pressed") == "true"
        paper, ink = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        )
        dark, light = (max(int(n) for n in re.findall(r"\d+", colour)[:3]) for colour in (paper, ink))
        assert dark < 60
        assert light > 180
        too_small = page.evaluate(
            "[...document.querySelectorAll('button')].filter(b => b.offsetParent && b.offsetHeight < 30).length"
        )
        assert too_small == 0


@pytest.fixture
def served_at(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str], Path]]:
    """A server of random people, its address, and the folder that its own folder lies in."""
    code = "import served\nfrom monobody.web.serving import serve\n"
    code += "serve(served.random_people, model='random', port=0, say=lambda line: print(line, flush=True))"
    paths = os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found is not None, line
        yield found[0], process, tmp_path
        process.kill()


def test_the_example_clip_becomes_a_film(browser: Any, served_at: tuple[str, subprocess.Popen[str], Path]) -> None:
    address, process, _ = served_at
    with page_of(browser, address) as page:
        example = page.get_by_role("button", name="Example: a clip of two")
        video = "document.querySelector('#examples video')"
        until(page, f"{video} !== null && {video}.readyState >= 2")
        assert page.evaluate(f"[{video}.videoWidth, {video}.videoHeight, {video}.paused]") == [416, 234, True]
        example.hover()
        until(page, f"{video}.currentTime > 0.2")
        page.mouse.move(0, 0)
        until(page, f"{video}.paused")
        page.set_viewport_size({"width": 390, "height": 844})
        assert not overflows(page)
        example.click()
        page.locator("#result").wait_for()
        assert page.locator("#found").inner_text() == "1 person found"
        assert page.locator("#overlay-title").inner_text() == "On the clip"
        until(page, "document.querySelector('#overlay video').readyState >= 2")  # Shows its first frame.
        assert page.evaluate("document.querySelector('#overlay video').duration") == pytest.approx(3.0, abs=0.1)
        viewer = page.frame_locator("#viewer")
        viewer.locator("body[data-ready]").wait_for()
        assert viewer.locator("#time").inner_text().endswith("/45")
        with page.expect_download() as kept:
            page.locator("#files a", has_text="clip.glb").click()
        glb = pygltflib.GLTF2().load_binary(str(kept.value.path()))
        assert glb is not None
        assert len(glb.animations) >= 1
        assert not overflows(page)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0


def test_upload_result_toggle_download(browser: Any, served_at: tuple[str, subprocess.Popen[str], Path]) -> None:
    address, process, folder = served_at
    with page_of(browser, address, refused=415) as page:
        page.locator("#examples img").first.wait_for()
        page.set_input_files("#file", ROOT / "samples" / "synthetic_one_c.jpg")
        page.locator("#result").wait_for()
        assert page.locator("#found").inner_text() == "2 people found"
        viewer = page.frame_locator("#viewer")
        viewer.locator("body[data-ready]").wait_for()
        chip = viewer.get_by_role("button", name="2 · 30 %").first
        assert chip.get_attribute("aria-pressed") == "false"
        chip.click()
        assert chip.get_attribute("aria-pressed") == "true"
        with page.expect_download() as kept:
            page.locator("#files a", has_text="photo.glb").click()
        assert kept.value.suggested_filename == "synthetic_one_c.glb"
        glb = pygltflib.GLTF2().load_binary(str(kept.value.path()))
        assert glb is not None
        assert len(glb.skins) == 2
        page.set_viewport_size({"width": 390, "height": 844})
        assert not overflows(page)
        (own,) = folder.glob("monobody-serve-*")
        assert len(list(own.iterdir())) == 1
        page.reload()  # The result is found again by the address.
        page.locator("#result").wait_for()
        page.get_by_role("button", name="Remove my files").click()
        page.locator("#result").wait_for(state="hidden")
        until(page, "location.hash === ''")
        assert list(own.iterdir()) == []
        page.set_input_files("#file", {"name": "x.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"})
        page.get_by_text("This is no photo and no clip").wait_for()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    assert list(folder.glob("monobody-serve-*")) == []
