"""What users of `monobody train` get wrong: one clear sentence on stderr and exit code 2, before minutes of work."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scenes import load_body_once

from monobody.cli import main
from monobody.data.crop import Crop
from monobody.data.packed import pack_samples
from monobody.data.sample import Sample
from monobody.data.shards import write_samples
from monobody.train.task import Findings

TINY = ("train", "tiny", "--device", "cpu")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The body is read once, and what a run would be measured on, which takes seconds to draw, is not drawn."""
    from monobody.train import run

    load_body_once(monkeypatch)
    monkeypatch.setattr(run, "validation_of", lambda *_: lambda model, body: Findings(numbers={}))


def person(seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    return Sample(
        image=rng.integers(0, 256, (60, 50, 3), np.uint8),
        crop=Crop((25.0, 30.0), 40.0),
        keypoints_px=rng.uniform(10, 40, (19, 2)).astype(np.float32),
        visible=np.ones(19, np.float32),
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a few photos, packed: enough to begin."""
    pack_samples(map(person, range(6)), tmp_path / "data/photos_train.npz", region_px=40, quality=80, megabytes=1)
    return tmp_path / "data"


def refused(capsys: pytest.CaptureFixture[str], *command: str | Path) -> str:
    """Run a command that must be refused, and return the sentence that says why."""
    assert main([str(word) for word in command]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith("monobody: "), said
    assert not any("Traceback" in line for line in said)
    return said[-1]


OPTIONS: list[tuple[tuple[str, ...], str]] = [
    (("--steps", "0"), "positive"),
    (("--minutes", "-3"), "positive"),
    (("--minutes", "nan"), "positive"),
    (("--minutes", "1", "--steps", "1"), "one of them"),
    (("--batch", "0"), "positive"),
    (("--workers", "-1"), "workers"),
    (("--device", "warp-drive"), "device"),
    (("--device", "cuda:99"), "device"),
    (("--backbone", "resnet999"), "resnet18"),
    (("--mixture", "everything"), "h36m=0.35"),
    (("--mixture", "synthetic=-1"), "h36m=0.35"),
    (("--start", "missing.safetensors"), "missing.safetensors"),
    (("--data", "nowhere"), "nowhere"),
    (("--devices", "0"), "devices"),
    (("--nodes", "0"), "nodes"),
]


@pytest.mark.parametrize(("options", "word"), OPTIONS, ids=[" ".join(row[0]) for row in OPTIONS])
def test_impossible_options(
    options: tuple[str, ...], word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = TINY[:2] if "--device" in options else TINY
    assert word in refused(capsys, *base, "--out", tmp_path / "run", *options)


def test_an_unknown_recipe_lists_the_known_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "hmr-small" in refused(capsys, "train", "hmr-enormous", "--out", tmp_path / "run")


def test_an_output_that_is_a_file(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").write_text("no folder")
    assert "Cannot write" in refused(capsys, *TINY, "--data", data, "--out", tmp_path / "run")


def test_a_folder_of_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "IMG_0001.jpg").touch()
    said = refused(capsys, *TINY, "--data", tmp_path / "holiday", "--out", tmp_path / "run")
    assert "nothing to train on" in said
    assert "lsp_extended" in said


def begun(out: Path, settings: dict[str, object]) -> Path:
    """Leave what a run is recognised by."""
    folder = out / "checkpoints" / "step_00000004"
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(json.dumps({"step": 4, "seconds": 1.0, "best": None, "settings": settings}))
    return out


RESUMED: list[tuple[dict[str, object], str]] = [
    ({"name": "hmr-paired"}, 'started with recipe "hmr-paired", not "tiny"'),
    ({"model": "hmr-resnet50"}, 'model "hmr-resnet50", not "hmr-small"'),
    ({"weights": {"joints": 30.0}}, "weights.joints 30.0, not 60.0"),
    ({"body": "0" * 64}, 'body "0000'),
    ({"batch": 7, "rotation": "axis-angle"}, "batch 7, not 4, and 1 more setting"),
    ({"mixture": {"lsp_extended": 1.0}}, "mixture.lsp_extended 1.0"),
]


@pytest.mark.parametrize(("settings", "words"), RESUMED)
def test_a_run_is_resumed_as_what_it_was(
    settings: dict[str, object], words: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = begun(tmp_path / "run", settings)
    said = refused(capsys, *TINY, "--data", data, "--out", out, "--resume")
    assert words in said
    assert "--out" in said


def test_a_run_is_not_overwritten(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = begun(tmp_path / "run", {})
    assert "--resume" in refused(capsys, *TINY, "--data", data, "--out", out)


@pytest.mark.slow
def test_a_checkpoint_without_its_tensors(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = begun(tmp_path / "run", {})
    said = refused(capsys, *TINY, "--steps", "6", "--batch", "2", "--data", data, "--out", out, "--resume")
    assert "step_00000004" in said
    assert "damaged" in said


def cut_shard(data: Path) -> None:
    write_samples(map(person, range(4)), data / "synthetic" / "a.tar")
    content = (data / "synthetic" / "a.tar").read_bytes()
    (data / "synthetic" / "a.tar").write_bytes(content[: len(content) // 2])


def lsp(data: Path, photos: int) -> None:
    savemat = pytest.importorskip("scipy.io").savemat
    joints = np.ones((14, 3, 40), np.float32)
    joints[:, :2] = np.random.default_rng(0).uniform(10, 50, (14, 2, 40))
    (data / "photos_train.npz").unlink()
    (data / "lsp_extended" / "images").mkdir(parents=True)
    savemat(data / "lsp_extended" / "joints.mat", {"joints": joints})
    for number in range(1, photos + 1):
        Image.new("RGB", (60, 80), (number, 0, 0)).save(data / "lsp_extended/images" / f"im{number:05d}.jpg")


def lsp_regions(data: Path) -> None:
    lsp(data, 40)
    (data / "lsp_extended_regions.npz").write_bytes(b"PK\x03\x04")


def lsp_matrix(data: Path) -> None:
    lsp(data, 40)
    (data / "lsp_extended" / "joints.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))


def empty_set(data: Path) -> None:
    (data / "prepared" / "lsp_extended").mkdir(parents=True)
    (data / "prepared" / "lsp_extended" / "manifest.json").touch()
    (data / "photos_train.npz").unlink()


FOLDERS: list[tuple[str, Callable[[Path], object], str]] = [
    ("shard", cut_shard, "a.tar"),
    ("pack", lambda data: (data / "photos_train.npz").write_bytes(b"PK"), "photos_train.npz"),
    ("bank", lambda data: (data / "pose_bank.npz").write_bytes(b"PK"), "pose_bank.npz"),
    ("textures", lambda data: (data / "textures").mkdir(), "textures"),
    ("half of the photos", lambda data: lsp(data, 20), "19 of 39 photos"),
    ("no photos", lambda data: lsp(data, 0), "39 of 39 photos"),
    ("regions", lsp_regions, "lsp_extended_regions.npz"),
    ("joints", lsp_matrix, "joints.mat"),
    ("manifest", empty_set, "prepared"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "spoil", "word"), FOLDERS, ids=[row[0] for row in FOLDERS])
def test_a_damaged_data_folder(
    name: str,
    spoil: Callable[[Path], object],
    word: str,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(data)
    assert word in refused(capsys, *TINY, "--data", data, "--out", tmp_path / "run")


def test_pictures_that_do_not_decode_end_the_training(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of the photos are no pictures: the run ends with a sentence that names them."""
    lsp(data, 40)
    for number in range(1, 41, 2):
        (data / "lsp_extended/images" / f"im{number:05d}.jpg").write_bytes(b"no picture")
    recipe = ("hmr-no-critic-no-3d", "--backbone", "resnet18", "--size", "64", "--mixture", "lsp_extended=1")
    small = ("--batch", "8", "--workers", "0", "--steps", "20", "--device", "cpu")
    said = refused(capsys, "train", *recipe, *small, "--data", data, "--out", tmp_path / "run")
    assert "cannot be used" in said
    assert ".jpg" in said
    assert not (tmp_path / "run" / "weights.safetensors").exists()
