"""Weights from the web: whole, checked, gone on with, never unasked."""

import hashlib
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from monobody import download as download_module
from monobody import hub
from monobody.cli import main
from monobody.download import download
from monobody.errors import UserError

CONTENT = random.Random(0).randbytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT from 127.0.0.1 and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self.cut_after = len(CONTENT)
        """Connections break after so many bytes, as long as `breaks` lasts."""
        self.breaks = 0
        self.ranges = True
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/files/own.safetensors"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        if "missing" in self.path:
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.breaks:
            self.server.breaks -= 1
            body = body[: self.server.cut_after]
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MONOBODY_OFFLINE", raising=False)
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.shutdown()


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_file_arrives_whole_and_once(server: Server, tmp_path: Path) -> None:
    target, told = tmp_path / "w" / "a.bin", []
    assert download(server.url, target, SHA256.upper(), report=lambda *each: told.append(each)) == target
    assert target.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert left(target.parent) == ["a.bin"]
    download(server.url, target, SHA256)
    assert server.asked == [None]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_connection_is_gone_on_with(server: Server, tmp_path: Path, ranges: bool) -> None:
    server.breaks, server.cut_after, server.ranges = 2, 1_000_000, ranges
    download(server.url, tmp_path / "a.bin", SHA256)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert server.asked[0] is None
    assert all(asked and asked.startswith("bytes=") for asked in server.asked[1:])
    assert len(server.asked) == 3


def test_what_has_arrived_is_kept_for_the_next_time(server: Server, tmp_path: Path) -> None:
    server.breaks, server.cut_after = 100, 0
    part = tmp_path / f"a.bin.{SHA256[:12]}.part"
    part.write_bytes(CONTENT[:700_000])
    with pytest.raises(UserError, match="check the connection; what has arrived is kept"):
        download(server.url, tmp_path / "a.bin", SHA256)
    assert part.read_bytes() == CONTENT[:700_000]
    server.breaks = 0
    download(server.url, tmp_path / "a.bin", SHA256)
    assert server.asked[-1] == "bytes=700000-"
    assert left(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("length", [1000, 3_000_000, 3_000_100])
def test_a_beginning_of_another_file_is_thrown_away(server: Server, tmp_path: Path, length: int) -> None:
    (tmp_path / f"a.bin.{SHA256[:12]}.part").write_bytes(bytes(length))
    download(server.url, tmp_path / "a.bin", SHA256)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_another_file_than_published_is_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not the file that was published"):
        download(server.url, tmp_path / "a.bin", "0" * 64)
    assert not (tmp_path / "a.bin").exists()
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("url", "sha256", "sentence"),
    [
        ("file:///etc/passwd", SHA256, "must begin with https"),
        ("https://", SHA256, "must begin with https"),
        ("http://127.0.0.1:1/a", SHA256, "cannot be fetched"),
        ("http://127.0.0.1:notaport/a", SHA256, "cannot be fetched|no address"),
        ("MISSING", SHA256, "answers 404"),
        ("OWN", "abc", "is no SHA-256"),
    ],
)
def test_what_cannot_be_fetched_is_said(server: Server, tmp_path: Path, url: str, sha256: str, sentence: str) -> None:
    url = {"MISSING": server.url.replace("own", "missing"), "OWN": server.url}.get(url, url)
    with pytest.raises(UserError, match=sentence):
        download(url, tmp_path / "a.bin", sha256)
    assert not (tmp_path / "a.bin").exists()


def test_a_full_disk_leaves_no_file(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download_module, "_copy", full)
    with pytest.raises(UserError, match="No space left"):
        download(server.url, tmp_path / "a.bin", SHA256)
    assert not (tmp_path / "a.bin").exists()


def test_two_at_once_do_not_mix(server: Server, tmp_path: Path) -> None:
    import fcntl

    with (tmp_path / f"a.bin.{SHA256[:12]}.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="Another process is fetching"):
            download(server.url, tmp_path / "a.bin", SHA256)


def test_offline_means_offline(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="this is offline"):
        download(server.url, tmp_path / "a.bin", SHA256, offline=True)
    monkeypatch.setenv("MONOBODY_OFFLINE", "1")
    with pytest.raises(UserError, match="this is offline"):
        download(server.url, tmp_path / "a.bin", SHA256)
    (tmp_path / "a.bin").write_bytes(CONTENT)
    assert download(server.url, tmp_path / "a.bin", SHA256).exists()
    assert server.asked == []


# The models


def offer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, sha256: str) -> None:
    """As if the package said that hmr-resnet50 can be fetched."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "SHA256SUMS").write_text((hub.WEIGHTS / "SHA256SUMS").read_text())
    (folder / "DOWNLOADS").write_text(f"# name  sha256  bytes  url\nhmr-resnet50  {sha256}  3000000  {url}\n")
    monkeypatch.setattr(hub, "WEIGHTS", folder)


def test_weights_are_fetched_on_the_users_word_alone(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(monkeypatch, tmp_path, server.url, SHA256)
    assert "3 MB to fetch" in hub.table()
    with pytest.raises(
        UserError, match=r"\(3 MB\) are not here: fetch them with `monobody models --fetch hmr-resnet50"
    ):
        hub.find_weights("hmr-resnet50")
    assert server.asked == []
    assert main(["models", "--fetch", "hmr-resnet50", "--offline"]) == 2
    assert server.asked == []
    assert main(["models", "--fetch", "hmr-resnet50"]) == 0
    path = tmp_path / "cache" / "monobody" / "weights" / "hmr-resnet50.safetensors"
    assert str(path) in capsys.readouterr().out
    assert hub.find_weights("hmr-resnet50") == path
    assert "3 MB, cached" in hub.table()
    path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(UserError, match="damaged: fetch it again"):
        hub.find_weights("hmr-resnet50")


def test_anybodys_weights_come_with_their_sha256(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "--fetch", server.url]) == 2
    assert "Give --sha256" in capsys.readouterr().err
    assert server.asked == []
    assert main(["models", "--fetch", server.url, "--sha256", SHA256]) == 0
    assert hub.find_weights("own").read_bytes() == CONTENT
    assert "own " in hub.table()


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("nobody", "There is no model"),
        ("hmr-resnet18", "has no weights to fetch"),
        ("http://127.0.0.1/a.pkl", "is not the address of a .safetensors file"),
        ("http://127.0.0.1/..", "is not the address of a .safetensors file"),
        ("http://127.0.0.1/lift.safetensors", "is the name of another model"),
    ],
)
def test_what_is_no_models_weights_is_refused(
    server: Server, word: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "--fetch", word, "--sha256", SHA256]) == 2
    errors = capsys.readouterr().err
    assert sentence in errors
    assert errors.count("\n") == 1


def test_shipped_weights_need_no_fetching(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--fetch", "lift"]) == 0
    assert str(hub.WEIGHTS / "lift.safetensors") in capsys.readouterr().out
