"""Everything that users get wrong: one clear sentence, the right exit code, no traceback, nothing half-written.

The mean pose stands in for a network, so that this tests the way there and not the weights.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scenes import load_body_once

from monobody.cli import main
from monobody.hub import WEIGHTS

WHOLE = ("--model", "mean-pose", "--detector", "whole")


@pytest.fixture(autouse=True)
def _one_body(monkeypatch: pytest.MonkeyPatch) -> None:
    load_body_once(monkeypatch)


def photo(path: Path, *, width: int = 120, height: int = 160, **options: object) -> Path:
    """Write a picture with something in it."""
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=2).astype(np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def truncated(path: Path) -> None:
    photo(path, width=400, height=400, quality=95)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def huge(path: Path) -> None:
    """The header of a PNG of 30,000 x 30,000 pixels with nothing behind it: only its size can be read."""
    photo(path)
    data = bytearray(path.read_bytes())
    data[16:24] = (30000).to_bytes(4, "big") * 2
    import zlib

    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)


# Name of the file, how to make it, a word that the sentence must hold.
REFUSED_FILES: list[tuple[str, Callable[[Path], object], str]] = [
    ("text.jpg", lambda path: path.write_text("This is no picture."), "picture"),
    ("truncated.jpg", truncated, "damaged"),
    ("empty.png", lambda path: path.write_bytes(b""), "empty"),
    ("missing.jpg", lambda path: None, "no file"),
    ("folder", lambda path: path.mkdir(), "no picture"),
    ("dot.png", lambda path: photo(path, width=1, height=1), "1 x 1"),
    ("huge.png", huge, "pixels"),
]


@pytest.mark.parametrize(("name", "make", "word"), REFUSED_FILES, ids=[row[0] for row in REFUSED_FILES])
def test_one_bad_input_alone(
    name: str,
    make: Callable[[Path], object],
    word: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make(tmp_path / name)
    out = tmp_path / "out"
    assert main(["predict", str(tmp_path / name), "-o", str(out), *WHOLE]) == 2
    assert_one_sentence(capsys.readouterr().err, word)
    assert not out.exists() or not list(out.iterdir())


def assert_one_sentence(stderr: str, word: str) -> None:
    """One line, which names the program and holds the word; no traceback."""
    lines = stderr.strip().splitlines()
    assert len(lines) == 1, stderr
    assert lines[0].startswith("monobody: ")
    assert word in lines[0]
    assert "Traceback" not in stderr


def sixteen_bit(path: Path) -> None:
    Image.fromarray((np.arange(120 * 160).reshape(160, 120) * 3).astype(np.uint16)).save(path)


def converted(mode: str) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        photo(path.with_suffix(".ppm"))
        Image.open(path.with_suffix(".ppm")).convert(mode).save(path)
        path.with_suffix(".ppm").unlink()

    return make


def animated(path: Path) -> None:
    frames = [Image.new("RGB", (120, 160), colour) for colour in ("red", "green", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)


def turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera was held on its side.
    photo(path, width=160, height=120, exif=exif)


ODD_BUT_FINE: list[tuple[str, Callable[[Path], object]]] = [
    ("sixteen_bit.png", sixteen_bit),
    ("cmyk.jpg", converted("CMYK")),
    ("palette.png", converted("P")),
    ("alpha.png", converted("RGBA")),
    ("grey.jpg", converted("L")),
    ("animated.gif", animated),
    ("turned.jpg", turned),
]


@pytest.mark.parametrize(("name", "make"), ODD_BUT_FINE, ids=[row[0] for row in ODD_BUT_FINE])
def test_odd_pictures_are_read(
    name: str, make: Callable[[Path], object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / name)
    out = tmp_path / "out"
    assert main(["predict", str(tmp_path / name), "-o", str(out), *WHOLE]) == 0
    stem = Path(name).stem
    assert sorted(path.name for path in out.iterdir()) == [f"{stem}.glb", f"{stem}.json", f"{stem}_overlay.png"]
    # Turned upright, all of these are 120 wide and 160 high.
    assert json.loads((out / f"{stem}.json").read_text())["picture"]["width_px"] == 120
    with Image.open(out / f"{stem}_overlay.png") as overlay:
        assert overlay.size == (120, 160)
    if name == "animated.gif":
        assert "first" in capsys.readouterr().out


def test_a_folder_with_some_bad_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "photos", tmp_path / "out"
    folder.mkdir()
    photo(folder / "good.png")
    photo(folder / "fine.jpg")
    truncated(folder / "cut.jpg")
    (folder / "fake.png").write_text("no picture")
    (folder / "notes.txt").write_text("not even called a picture")
    assert main(["predict", str(folder), "-o", str(out), "--save", "json", *WHOLE]) == 1
    said = capsys.readouterr()
    assert sorted(path.name for path in out.iterdir()) == ["fine.json", "good.json"]
    assert len(said.err.strip().splitlines()) == 2
    assert "cut.jpg" in said.err
    assert "fake.png" in said.err
    assert "notes.txt" not in said.err + said.out


BOXES = [
    ("10,10,10,50", "empty"),
    ("50,10,20,60", "empty"),
    ("500,500,600,600", "outside"),
    ("-90,-90,-10,-10", "outside"),
    ("nan,0,50,50", "finite"),
    ("0,0,inf,50", "finite"),
    ("1,2,3", "four numbers"),
    ("a,b,c,d", "four numbers"),
    ("", "four numbers"),
]


@pytest.mark.parametrize(("box", "word"), BOXES)
def test_impossible_boxes(box: str, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture, out = photo(tmp_path / "a.png"), tmp_path / "out"
    assert main(["predict", str(picture), "-o", str(out), "--model", "mean-pose", f"--box={box}"]) == 2
    assert_one_sentence(capsys.readouterr().err, word)
    assert not out.exists() or not list(out.iterdir())


OPTIONS: list[tuple[list[str], str]] = [
    (["--model", "hmr-enormous"], "hmr-small"),
    (["--model", "hmr-resnet50"], "train"),
    (["--detector", "crystal-ball"], "blazepose"),
    (["--detector", "missing.json"], "missing.json"),
    (["--save", "overlay,fbx"], "fbx"),
    (["--save", ""], "overlay"),
    (["--focal-px", "-5"], "focal"),
    (["--focal-px", "nan"], "focal"),
    (["--fov", "180"], "field of view"),
    (["--fov", "50", "--focal-px", "500"], "not both"),
    (["--device", "warp-drive"], "device"),
    (["--body", "missing.npz"], "missing.npz"),
]


@pytest.mark.parametrize(("options", "word"), OPTIONS, ids=[" ".join(row[0]) for row in OPTIONS])
def test_impossible_options(options: list[str], word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture, out = photo(tmp_path / "a.png"), tmp_path / "out"
    usual = [] if "--model" in options else ["--model", "mean-pose"]
    assert main(["predict", str(picture), "-o", str(out), *usual, *options]) == 2
    assert_one_sentence(capsys.readouterr().err, word)
    assert not out.exists() or not list(out.iterdir())


def test_pattern_without_matches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(tmp_path / "*.jpg"), "-o", str(tmp_path / "out")]) == 2
    assert_one_sentence(capsys.readouterr().err, "No file matches")


def test_nothing_to_predict(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict"]) == 2
    assert_one_sentence(capsys.readouterr().err, "Nothing to predict")


def test_no_person_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (200, 200), "white").save(tmp_path / "blank.png")
    out = tmp_path / "out"
    assert main(["predict", str(tmp_path / "blank.png"), "-o", str(out), "--model", "mean-pose"]) == 1
    assert_one_sentence(capsys.readouterr().err, "--detector whole")
    assert not list(out.iterdir())


def test_output_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = photo(tmp_path / "a.png")
    assert main(["predict", str(picture), "-o", str(picture), *WHOLE]) == 2
    assert_one_sentence(capsys.readouterr().err, "Cannot write")


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc").is_dir(), reason="nothing is unwritable for root here")
def test_unwritable_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = photo(tmp_path / "a.png")
    if os.geteuid() == 0:
        out = Path("/proc/monobody-out")  # Not even root makes folders there.
    else:
        out = tmp_path / "locked" / "out"
        out.parent.mkdir(mode=0o500)
    assert main(["predict", str(picture), "-o", str(out), *WHOLE]) == 2
    assert_one_sentence(capsys.readouterr().err, "Cannot write")


def test_full_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A limit on the size of files stands in for a full disk: writing fails half-way, for real."""
    picture, out = photo(tmp_path / "a.png"), tmp_path / "out"
    command = ["predict", str(picture), "-o", str(out), "--save", "glb", *WHOLE]
    assert main(command) == 0  # Compiles what has to be compiled, which writes files of its own.
    (out / "a.glb").unlink()
    capsys.readouterr()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        code = main(command)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 2
    assert_one_sentence(capsys.readouterr().err, "Cannot write")
    assert list(out.iterdir()) == []


def damaged(path: Path) -> None:
    """A real weights file, cut off."""
    path.write_bytes((WEIGHTS / "lift.safetensors").read_bytes()[:5000])


def foreign(path: Path) -> None:
    """A real safetensors file that is not ours."""
    import torch
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(3)}, path)


def of_another_body(path: Path) -> None:
    from monobody.models.hmr import build_model
    from monobody.models.storage import save_weights

    card = {"model": "hmr-resnet18", "body_digest": "0" * 64, "terms": "test"}
    save_weights(build_model("hmr-resnet18"), path, card=card)


WEIGHT_FILES: list[tuple[str, Callable[[Path], object], str]] = [
    ("damaged.safetensors", damaged, "damaged"),
    ("text.safetensors", lambda path: path.write_text("no weights"), "damaged"),
    ("empty.safetensors", lambda path: path.write_bytes(b""), "damaged"),
    ("foreign.safetensors", foreign, "card"),
    ("folder.safetensors", lambda path: path.mkdir(), "folder"),
    ("missing.safetensors", lambda path: None, "no model"),
    ("other_body.safetensors", of_another_body, "body"),
]


@pytest.mark.parametrize(("name", "make", "word"), WEIGHT_FILES, ids=[row[0] for row in WEIGHT_FILES])
def test_bad_weights(
    name: str, make: Callable[[Path], object], word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / name)
    picture, out = photo(tmp_path / "a.png"), tmp_path / "out"
    command = ["predict", str(picture), "-o", str(out), "--detector", "whole", "--model", str(tmp_path / name)]
    assert main(command) == 2
    assert_one_sentence(capsys.readouterr().err, word)
    assert not out.exists() or not list(out.iterdir())


def test_damaged_shipped_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A single changed byte in the middle is noticed by its SHA-256."""
    import shutil

    from monobody import hub

    shutil.copytree(WEIGHTS, tmp_path / "weights")
    monkeypatch.setattr(hub, "WEIGHTS", tmp_path / "weights")
    file = tmp_path / "weights" / f"{hub.DEFAULT_MODEL}.safetensors"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert main(["predict", str(photo(tmp_path / "a.png")), "-o", str(tmp_path / "out"), "--detector", "whole"]) == 2
    assert_one_sentence(capsys.readouterr().err, "damaged")


def test_interrupt_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from monobody.predict.predictor import Predictor

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Predictor, "__call__", interrupt)
    assert main(["predict", str(photo(tmp_path / "a.png")), "-o", str(tmp_path / "out"), *WHOLE]) == 130
    assert_one_sentence(capsys.readouterr().err, "interrupted")


def test_the_real_program_says_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "monobody.cli", "predict", "missing.jpg"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 2
    assert_one_sentence(result.stderr, "missing.jpg")
    assert list(tmp_path.iterdir()) == []
