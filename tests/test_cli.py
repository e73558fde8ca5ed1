"""The command line: what it writes, what it skips, what it says."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scenes import load_body_once

from monobody.cli import UNREAD, main
from monobody.errors import UserError
from monobody.predict.batch import OUTPUTS, Job, collect_jobs, parse_box, parse_kinds, run_jobs

WHOLE = ["--model", "mean-pose", "--detector", "whole"]


@pytest.fixture(autouse=True)
def _one_body(monkeypatch: pytest.MonkeyPatch) -> None:
    load_body_once(monkeypatch)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of two pictures of noise."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate(("a.png", "b.jpg")):
        pixels = np.random.default_rng(number).integers(0, 255, (96, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


def test_predict_writes_everything_that_was_asked_for(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    everything = ",".join(OUTPUTS)
    assert main(["predict", str(photos / "a.png"), "-o", str(out), "--save", everything, *WHOLE]) == 0
    assert {path.name for path in out.iterdir()} == {f"a{ending}" for ending in OUTPUTS.values()}
    assert all(path.stat().st_size > 500 for path in out.iterdir())


def test_second_folder_run_skips_what_is_done(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["predict", str(photos), "-o", str(tmp_path / "out"), "--save", "json", *WHOLE]
    assert main(command) == 0
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    (tmp_path / "out" / "b.json").unlink()
    assert main(command) == 0
    assert "done before" in capsys.readouterr().out
    now = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert now[tmp_path / "out" / "a.json"] == written[tmp_path / "out" / "a.json"]
    assert (tmp_path / "out" / "b.json").exists()
    assert main([*command, "--overwrite"]) == 0
    assert (tmp_path / "out" / "a.json").stat().st_mtime_ns > now[tmp_path / "out" / "a.json"]


def test_a_picture_counts_as_done_only_with_all_its_results(photos: Path, tmp_path: Path) -> None:
    command = ["predict", str(photos), "-o", str(tmp_path / "out"), *WHOLE]
    assert main([*command, "--save", "json"]) == 0
    assert main([*command, "--save", "json,npz"]) == 0
    assert (tmp_path / "out" / "a.npz").exists()


def test_several_boxes_are_several_people(photos: Path, tmp_path: Path) -> None:
    import json

    out = tmp_path / "out"
    boxes = ["--box", "0,0,30,90", "--box", "30,0,64,90"]
    assert main(["predict", str(photos / "a.png"), "-o", str(out), "--model", "mean-pose", *boxes]) == 0
    assert len(json.loads((out / "a.json").read_text())["people"]) == 2


def test_focal_length_is_said_and_stored(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    out = tmp_path / "out"
    assert main(["predict", str(photos / "a.png"), "-o", str(out), "--fov", "60", *WHOLE]) == 0
    assert "as given" in capsys.readouterr().out
    camera = json.loads((out / "a.json").read_text())["camera"]
    assert camera["focal_source"] == "user"
    assert camera["focal_px"] == pytest.approx(32 / np.tan(np.pi / 6), abs=1e-3)


def test_jobs_of_files_folders_and_patterns_come_once(photos: Path, tmp_path: Path) -> None:
    jobs = collect_jobs([str(photos / "b.jpg"), str(photos), str(photos / "*.png")], tmp_path / "out")
    assert [job.name for job in jobs] == ["b", "a"]


def test_pictures_of_one_name_do_not_overwrite_each_other(photos: Path, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(photos / "a.jpg")
    names = [job.name for job in collect_jobs([str(photos)], tmp_path)]
    assert sorted(names) == ["a_jpg", "a_png", "b"]


def test_pictures_of_one_name_in_two_folders_do_not_either(photos: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    Image.new("RGB", (64, 64)).save(other / "a.png")
    names = [job.name for job in collect_jobs([str(photos), str(other)], tmp_path / "out")]
    assert sorted(names) == ["b", "other_a_png", f"{photos.name}_a_png"]


def test_a_pattern_of_folders_alone_is_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No file matches"):
        collect_jobs([str(photos.parent / "*")], tmp_path / "out")


def test_results_beside_the_photos_are_not_photos(photos: Path) -> None:
    Image.new("RGB", (64, 64)).save(photos / "a_overlay.png")
    assert [job.name for job in collect_jobs([str(photos)], photos)] == ["a", "b"]
    assert len(collect_jobs([str(photos)], photos / "elsewhere")) == 3


def test_a_full_disk_ends_the_run(tmp_path: Path) -> None:
    """What fails for one picture will fail for the next: it is said once, not for every picture."""
    calls = []

    class Unwritable:
        people = (1,)

        def save(self, path: Path) -> None:
            calls.append(path)
            raise UserError("Cannot write")

    jobs = [Job(Path("a.png"), "a"), Job(Path("b.png"), "b")]
    with pytest.raises(UserError):
        run_jobs(jobs, tmp_path, ["json"], lambda path: Unwritable(), overwrite=False)  # pyright: ignore
    assert len(calls) == 1


@pytest.mark.parametrize("text", ["overlay, glb", "glb,glb,json", "side"])
def test_kinds_are_parsed(text: str) -> None:
    kinds = parse_kinds(text)
    assert set(kinds) <= set(OUTPUTS)
    assert len(set(kinds)) == len(kinds)


def test_box_is_parsed() -> None:
    assert parse_box("1,2.5,-3,4e1") == (1.0, 2.5, -3.0, 40.0)


def test_models_lists_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    said = capsys.readouterr().out
    for name in ("hmr-small", "lift", "hmr-resnet18", "hmr-resnet50", "mean-pose"):
        assert name in said


def test_doctor_finds_the_installation_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "torch" in said
    assert "BROKEN" not in said


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from monobody import __version__

    assert main(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    "verb", ["predict", "fit", "export-onnx", "synthesize", "train", "evaluate", "body", "models", "doctor"]
)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    assert "usage: monobody" in capsys.readouterr().out


def test_wrong_usage_is_code_two(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["predict", "a.png", "--colour", "blue"])
    assert stop.value.code == 2
    assert "--colour" in capsys.readouterr().err


def test_every_shipped_weights_file_has_its_sha256() -> None:
    """Mend with: cd src/monobody/weights && sha256sum *.safetensors > SHA256SUMS"""
    from monobody.files import sha256_of
    from monobody.hub import WEIGHTS, published_sha256

    for file in WEIGHTS.glob("*.safetensors"):
        assert published_sha256(file.name) == sha256_of(file), file.name


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_seen_enough_is_no_failure(unbuffered: str) -> None:
    command = [sys.executable, "-m", "monobody.cli", "prepare", "--list"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"PYTHONUNBUFFERED": unbuffered}
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == UNREAD
