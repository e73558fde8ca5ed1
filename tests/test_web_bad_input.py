"""Mistakes with `monobody view` and `monobody serve`: one sentence, exit code 2, nothing left behind."""

import io
import json
import pickle
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scenes import load_body_once, posed_scene

from monobody.cli import main


@pytest.fixture(autouse=True)
def _one_body(monkeypatch: pytest.MonkeyPatch) -> None:
    load_body_once(monkeypatch)


@pytest.fixture(scope="module")
def scene_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("scene") / "scene.npz"
    return posed_scene(people=1, seed=1).save(path).read_bytes()


def changed(content: bytes, change: Callable[[dict[str, np.ndarray]], None]) -> bytes:
    """Return a scene's file with other arrays in it."""
    with np.load(io.BytesIO(content)) as file:
        arrays = dict(file)
    change(arrays)
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def nan(arrays: dict[str, np.ndarray]) -> None:
    arrays["rotations"][0, 0, 3, 1, 1] = np.nan


def mirrored(arrays: dict[str, np.ndarray]) -> None:
    arrays["rotations"][0, 0, 0] *= -1


def endless(arrays: dict[str, np.ndarray]) -> None:
    arrays["translation_m"][0, 0, 2] = np.inf


def other_body(arrays: dict[str, np.ndarray]) -> None:
    facts = json.loads(str(arrays["facts"]))
    arrays["facts"] = np.array(json.dumps(facts | {"body_digest": "0" * 64}))


def no_size(arrays: dict[str, np.ndarray]) -> None:
    facts = json.loads(str(arrays["facts"]))
    arrays["facts"] = np.array(json.dumps(facts | {"width_px": "wide"}))


def pickled(arrays: dict[str, np.ndarray]) -> None:
    arrays["theta"] = np.array([{"a": 1}], dtype=object)


class Runs:
    """What a pickle runs when it is loaded."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("ran"),)  # type: ignore[return-value]


def bomb(_: bytes) -> bytes:
    """A few kilobytes that claim to hold more than anybody has."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
        header += b" " * (-(len(header) + 11) % 64) + b"\n"
        content = b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header
        archive.writestr("theta.npy", content + bytes(4_000_000))
    return out.getvalue()


def escaping(content: bytes) -> bytes:
    """An archive whose entry would be written elsewhere by a careless reader."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../../escaped.npy", content[:100])
    return out.getvalue()


# What it is called, how it is made of a good file, a word of the sentence.
FILES: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("nan.npz", lambda good: changed(good, nan), "finite"),
    ("infinite.npz", lambda good: changed(good, endless), "finite"),
    ("mirrored.npz", lambda good: changed(good, mirrored), "rotation"),
    ("other_body.npz", lambda good: changed(good, other_body), "body"),
    ("no_size.npz", lambda good: changed(good, no_size), "damaged"),
    ("objects.npz", lambda good: changed(good, pickled), "damaged"),
    ("pickle.npz", lambda good: pickle.dumps(Runs()), "damaged"),
    ("bomb.npz", bomb, "damaged"),
    ("escaping.npz", escaping, "damaged"),
    ("cut.npz", lambda good: good[: len(good) // 2], "damaged"),
    ("empty.npz", lambda good: b"", "damaged"),
    ("text.npz", lambda good: b"hello", "damaged"),
    ("other_archive.npz", lambda good: changed(good, lambda arrays: arrays.pop("facts")), "damaged"),
    ("text.jpg", lambda good: b"hello", "picture"),
    ("text.mp4", lambda good: b"hello", "video"),
    ("empty.mp4", lambda good: b"", "empty"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "word"), FILES, ids=[row[0] for row in FILES])
def test_files_that_cannot_be_shown(
    name: str, make: Callable[[bytes], bytes], word: str, scene_file: bytes, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(make(scene_file))
    assert main(["view", name, "-o", "page.html", "--model", "mean-pose"]) == 2
    assert_one_sentence(capsys.readouterr().err, word)
    assert [path.name for path in tmp_path.iterdir()] == [name]  # No page, and nothing ran.


def small(path: Path) -> str:
    Image.new("RGB", (320, 240)).save(path)
    return str(path)


# The command's words, {scene} and {photo} being good files; a word of the sentence.
WORDS: list[tuple[str, list[str], str]] = [
    ("no file", ["view", "none.npz"], "none.npz"),
    ("no photo", ["view", "none.jpg"], "none.jpg"),
    ("a folder", ["view", "."], "."),
    ("not a page", ["view", "{scene}", "-o", "page.txt"], ".html"),
    ("over itself", ["view", "{scene}", "-o", "{scene}"], ".html"),
    ("unknown file", ["view", "{scene}", "--save", "exe"], "exe"),
    ("another picture", ["view", "{scene}", "--picture", "{photo}"], "320 x 240"),
    ("picture of nothing", ["view", "{scene}", "--picture", "none.jpg"], "none.jpg"),
    ("clip of nothing", ["view", "{scene}", "--picture", "none.mp4"], "none.mp4"),
    ("two pictures", ["view", "{photo}", "--picture", "{photo}"], "leave"),
    ("no such model", ["view", "{photo}", "--model", "none"], "none"),
    ("everybody may come", ["serve", "--host", "0.0.0.0", "--port", "0"], "--token"),
    ("a short token", ["serve", "--token", "abc"], "16"),
    ("no such port", ["serve", "--port", "70000"], "70000"),
    ("somebody else's address", ["serve", "--host", "203.0.113.7", "--token", "auto", "--port", "0"], "address"),
    ("no such host", ["serve", "--host", "no such host", "--token", "auto", "--port", "0"], "address"),
    ("no such model to serve", ["serve", "--model", "none", "--port", "0"], "none"),
    ("nothing is small enough", ["serve", "--upload-mb", "0", "--port", "0"], "upload_mb"),
    ("never", ["serve", "--keep-minutes", "nan", "--port", "0"], "keep_minutes"),
]


@pytest.mark.parametrize(("what", "words", "word"), WORDS, ids=[row[0] for row in WORDS])
def test_words_that_make_no_sense(
    what: str, words: list[str], word: str, scene_file: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scene.npz").write_bytes(scene_file)
    small(tmp_path / "photo.png")
    given = [each.format(scene="scene.npz", photo="photo.png") for each in words]
    assert main(given) == 2
    assert_one_sentence(capsys.readouterr().err, word)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.png", "scene.npz"]


def test_two_servers_on_one_port(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
    assert_one_sentence(capsys.readouterr().err, f"{port} is taken")


def test_nobody_in_the_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is a page, with the photo alone, and the exit code says so."""
    small(tmp_path / "wall.png")
    out = tmp_path / "page.html"
    assert main(["view", str(tmp_path / "wall.png"), "-o", str(out), "--model", "mean-pose"]) == 1
    assert "0 people" in capsys.readouterr().out
    assert '"people":[]' in out.read_text()


def assert_one_sentence(err: str, word: str) -> None:
    assert err.startswith("monobody: ")
    assert err.count("\n") == 1
    assert word in err
    assert "Traceback" not in err
