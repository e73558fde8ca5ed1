"""The server's interface: what it takes and gives, what it refuses, who may talk to it, and that old things go."""

import asyncio
import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")
from starlette.testclient import TestClient

from monobody.errors import UserError
from monobody.web.guard import Guard
from monobody.web.jobs import Full, Jobs, _size_mb
from monobody.web.kinds import Kind, kind_of
from monobody.web.limits import Limits
from monobody.web.server import make_app
from monobody.web.serving import checked_token, is_loopback
from monobody.web.worker import Made, News

TOKEN = "a-long-enough-token"


class Quick:
    """Stands for the model's process: writes what it was given, or does what a test says."""

    def __init__(self) -> None:
        self.hold = threading.Event()
        self.hold.set()
        self.stopped = False

    def run(self, kind: Kind, source: Path, folder: Path, news: News, stopped: Callable[[], bool]) -> Made:
        news(0.5, "half")
        while not self.hold.wait(0.02):
            if stopped():
                raise UserError("Stopped.")
        content = source.read_bytes()
        if b"fail" in content:
            raise UserError("Nobody was found in the photo.")
        if b"crash" in content:
            raise RuntimeError("secret")
        (folder / "viewer.html").write_text("<p>page</p>")
        (folder / f"{kind}.glb").write_bytes(content)
        return Made(1, ("viewer.html", f"{kind}.glb"))

    def stop(self) -> None:
        self.stopped = True


class Server:
    """An app with its jobs, spoken to without a network."""

    def __init__(self, folder: Path, token: str | None = None, **limits: float) -> None:
        self.worker, self.limits = Quick(), Limits(**limits)  # type: ignore[arg-type]
        folder.mkdir(exist_ok=True)
        self.jobs = Jobs(folder, self.limits, self.worker)
        app = Guard(make_app(self.jobs, self.limits, "test"), token)
        self.client = TestClient(app, base_url="http://localhost:7860", follow_redirects=False)

    def send(self, content: bytes, **options: Any) -> Any:
        return self.client.post("/api/jobs", content=content, **options)

    def ended(self, name: str) -> dict[str, Any]:
        for _ in range(500):
            state = self.client.get(f"/api/jobs/{name}").json()
            if state["state"] in ("done", "failed"):
                return state
            time.sleep(0.01)
        raise AssertionError(state)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "jobs", upload_mb=1.0)
    yield made
    made.worker.hold.set()
    made.jobs.close()


def photo(more: bytes = b"") -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(content, "PNG")
    return content.getvalue() + more


def test_a_photo_goes_in_and_files_come_out(server: Server) -> None:
    answer = server.send(photo())
    assert answer.status_code == 202
    state = server.ended(answer.json()["id"])
    assert (state["state"], state["kind"], state["people"], state["progress"]) == ("done", "photo", 1, 1.0)
    assert [file["name"] for file in state["files"]] == ["viewer.html", "photo.glb"]
    page, glb = (server.client.get(file["url"]) for file in state["files"])
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-disposition"].startswith("inline")
    assert glb.content == photo()
    assert glb.headers["content-disposition"].startswith("attachment")
    assert glb.headers["x-content-type-options"] == "nosniff"
    kept = server.client.get(state["files"][0]["url"] + "?download=true")
    assert kept.headers["content-disposition"].startswith("attachment")
    # The upload itself is gone.
    names = {path.name for path in (server.jobs.folder / state["id"]).iterdir()}
    assert names == {"viewer.html", "photo.glb"}


def test_examples_and_pages_need_nothing_from_elsewhere(server: Server) -> None:
    about = server.client.get("/api/about").json()
    assert {each["kind"] for each in about["examples"]} == {"photo", "clip"}
    for each in about["examples"]:
        shown = server.client.get(each["url"])
        assert kind_of(shown.content) == each["kind"]
        assert shown.headers["content-type"].startswith("video" if each["kind"] == "clip" else "image")
        state = server.ended(server.client.post(f"/api/examples/{each['name']}").json()["id"])
        assert (state["state"], state["kind"]) == ("done", each["kind"])
    for path in ("/", "/api", "/static/start.js", "/static/start.css"):
        answer = server.client.get(path)
        assert answer.status_code == 200
        assert "//cdn" not in answer.text
        for attribute in ('src="http', 'href="http', "url(http"):
            assert attribute not in answer.text
    assert "default-src 'none'" in server.client.get("/").headers["content-security-policy"]
    assert "/api/jobs/{name}/files/{file}" in server.client.get("/api").text


REFUSED: list[tuple[str, bytes, int, str]] = [
    ("empty", b"", 400, "empty"),
    ("text", b"This is no picture.", 415, "no photo and no clip"),
    ("playlist", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", 415, "no photo"),
    ("concat", b"ffconcat version 1.0\nfile /etc/passwd\n", 415, "no photo"),
    ("text called ftyp", b"<!--ftypisom--><MPD></MPD>", 415, "no photo"),
    ("svg", b"<svg xmlns='http://www.w3.org/2000/svg'></svg>", 415, "no photo"),
    ("page", b"<html><script>alert(1)</script>", 415, "no photo"),
    ("zip", b"PK\3\4" + b"\0" * 40, 415, "no photo"),
    ("pickle", b"\x80\x04\x95", 415, "no photo"),
    ("program", b"\x7fELF" + b"\0" * 40, 415, "no photo"),
    ("too large", b"\xff\xd8\xff" + b"\0" * 1_000_000, 413, "1 MB"),
]


@pytest.mark.parametrize(("what", "content", "status", "word"), REFUSED, ids=[row[0] for row in REFUSED])
def test_uploads_that_are_refused_leave_nothing(
    server: Server, what: str, content: bytes, status: int, word: str
) -> None:
    for given in (content, iter([content[:100], content[100:]])):  # With a length said before, and without.
        answer = server.send(given)  # type: ignore[arg-type]
        assert answer.status_code == status
        assert word in answer.json()["detail"]
    assert list(server.jobs.folder.iterdir()) == []


@pytest.mark.parametrize(
    "path",
    ["/api/jobs/../../etc/passwd", "/api/jobs/" + "0" * 32, "/api/jobs/%2e%2e/files/x", "/static/..%2fserver.py",
     "/static/viewer.html", "/examples/..%2f..%2fassets.jpg", "/examples/none.jpg",
     "/examples/one.mp4", "/examples/one", "/docs", "/redoc"],
)  # fmt: skip
def test_paths_that_lead_nowhere(server: Server, path: str) -> None:
    assert server.client.get(path).status_code in (404, 422)


def test_files_are_those_of_the_job_alone(server: Server) -> None:
    state = server.ended(server.send(photo()).json()["id"])
    (server.jobs.folder / state["id"] / "secret.txt").write_text("x")
    for name in ("secret.txt", "..%2f..%2fetc%2fpasswd", "../x", "%2fetc%2fpasswd", "photo.glb%00", "."):
        assert server.client.get(f"/api/jobs/{state['id']}/files/{name}").status_code in (404, 422)


def test_a_job_that_fails_says_why_and_the_next_is_done(server: Server) -> None:
    failed, crashed, fine = (server.send(photo(more)).json()["id"] for more in (b"fail", b"crash", b""))
    assert server.ended(failed)["message"] == "Nobody was found in the photo."
    assert "secret" not in server.ended(crashed)["message"]
    assert server.ended(fine)["state"] == "done"


def test_jobs_wait_their_turn_and_may_be_removed(tmp_path: Path) -> None:
    server = Server(tmp_path / "jobs", waiting=2, upload_mb=1)
    server.worker.hold.clear()
    first = server.send(photo()).json()["id"]
    while server.client.get(f"/api/jobs/{first}").json()["state"] != "running":
        time.sleep(0.01)
    second, third = (server.send(photo()).json() for _ in range(2))
    assert (second["waiting_before"], third["waiting_before"]) == (1, 2)
    full = server.send(photo())
    assert full.status_code == 503
    assert full.headers["retry-after"] == "60"
    assert server.client.delete(f"/api/jobs/{second['id']}").status_code == 204
    assert server.client.get(f"/api/jobs/{third['id']}").json()["waiting_before"] == 1
    assert server.client.delete(f"/api/jobs/{first}").status_code == 204  # While it is running.
    server.worker.hold.set()
    assert server.ended(third["id"])["state"] == "done"
    assert {path.name for path in server.jobs.folder.iterdir()} == {third["id"]}
    server.jobs.close()
    assert not server.jobs.folder.exists()
    assert server.worker.stopped


def test_old_results_go_and_the_oldest_make_room(tmp_path: Path) -> None:
    server = Server(tmp_path / "jobs", upload_mb=1, disk_mb=2.5, keep_minutes=10)
    ids = [server.send(photo(bytes(500_000))).json()["id"] for _ in range(3)]
    for name in ids:
        server.ended(name)
    kept = [name for name in ids if server.jobs.get(name)]
    server.jobs.make_room()
    assert ids[-1] in kept
    again = server.send(photo(bytes(900_000))).json()["id"]
    server.ended(again)
    server.jobs.make_room()
    assert server.jobs.get(ids[0]) is None
    assert not (server.jobs.folder / ids[0]).exists()
    job = server.jobs.get(again)
    assert job is not None
    job.ended_s = time.time() - 601
    server.jobs.make_room()
    assert not job.folder.exists()
    server.jobs.close()


@pytest.mark.parametrize(("said", "fit"), [(True, 3), (False, 2)])
def test_uploads_at_once_do_not_overrun_the_disk(tmp_path: Path, said: bool, fit: int) -> None:
    """Eight of 0.8 MB begin before any ends: what fits into 2.5 MB is taken; without a length each counts for 1 MB."""
    server = Server(tmp_path / "jobs", upload_mb=1, disk_mb=2.5)
    server.worker.hold.clear()  # Nothing ends, so that nothing makes room.
    content, under_way = photo(bytes(800_000)), [0]
    answers: list[dict[str, Any]] = []

    async def send_one() -> None:
        headers = [(b"host", b"localhost"), *([(b"content-length", b"%d" % len(content))] if said else [])]
        scope = {
            "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": "/api/jobs",
            "raw_path": b"/api/jobs", "query_string": b"", "headers": headers, "server": ("localhost", 7860),
            "client": ("127.0.0.1", 1), "root_path": "",
        }  # fmt: skip
        pieces = iter([content[:1000], content[1000:], b""])

        async def receive() -> dict[str, Any]:
            piece = next(pieces)
            under_way[0] += len(piece) == 1000
            while len(piece) > 1000 and under_way[0] + len(answers) < 8:
                await asyncio.sleep(0.01)
            return {"type": "http.request", "body": piece, "more_body": bool(piece)}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answers.append(message)

        await server.client.app(scope, receive, send)  # type: ignore[arg-type]

    async def send_all() -> None:
        async with asyncio.timeout(60):
            await asyncio.gather(*(send_one() for _ in range(8)))

    asyncio.run(send_all())
    assert sorted(answer["status"] for answer in answers) == fit * [202] + (8 - fit) * [503]
    assert len(list(server.jobs.folder.iterdir())) == fit
    assert _size_mb(server.jobs.folder) <= 2.5
    server.worker.hold.set()
    server.jobs.close()


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(tmp_path / "jobs", upload_mb=1)
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 0})())
    with pytest.raises(Full, match="disk"):
        server.jobs.make_room()
    assert server.send(photo()).status_code == 503
    server.jobs.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"host": "evil.example"}, 403), ({"host": "127.0.0.1:7860"}, 200), ({"host": "[::1]:7860"}, 200),
     ({"host": "["}, 403)],
)  # fmt: skip
def test_without_a_token_only_this_machine_s_names_are_answered(
    server: Server, headers: dict[str, str], status: int
) -> None:
    assert server.client.get("/api/about", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://evil.example", 403),
        ("null", 403),
        ("http://localhost:1", 403),
        ("http://localhost:7860", 202),
        ("http://[", 403),
    ],
)
def test_other_sites_pages_cannot_send(server: Server, origin: str, status: int) -> None:
    assert server.send(photo(), headers={"origin": origin}).status_code == status


def test_a_token_is_needed_where_there_is_one(tmp_path: Path) -> None:
    server = Server(tmp_path / "jobs", token=TOKEN)
    client = server.client
    assert client.get("/api/about", headers={"host": "any.example"}).status_code == 401
    for wrong in ("", "wrong", TOKEN[:-1], "ü"):
        given = {"authorization": f"Bearer {wrong}".encode()}
        assert client.get("/api/about", headers=given).status_code == 401  # type: ignore[arg-type]
        assert client.get("/", params={"token": wrong}).status_code == 401
    assert client.get("/", headers={"cookie": "monobody=wrong"}).status_code == 401
    assert client.get("/api/about", params={"token": TOKEN}).status_code == 401  # Addresses get copied.
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert client.get("/api/about", headers=bearer).status_code == 200
    entered = client.get("/", params={"token": TOKEN})
    assert entered.status_code == 303
    assert entered.headers["location"] == "/"
    assert "HttpOnly" in entered.headers["set-cookie"]
    assert client.get("/").status_code == 200  # By the cookie.
    server.jobs.close()


@pytest.mark.parametrize(
    ("host", "token", "word"),
    [("0.0.0.0", None, "--token"), ("192.168.1.5", None, "--token"), ("::", None, "--token"),
     ("example.org", None, "--token"), ("127.0.0.1", "short", "16"),
     ("0.0.0.0", "has spaces in its middle", "letters")],
)  # fmt: skip
def test_tokens_that_will_not_do(host: str, token: str | None, word: str) -> None:
    with pytest.raises(UserError, match=word):
        checked_token(token, host)


def test_tokens_that_will_do() -> None:
    assert checked_token(None, "127.0.0.1") is None
    assert checked_token(TOKEN, "0.0.0.0") == TOKEN
    made = checked_token("auto", "0.0.0.0")
    assert made is not None
    assert checked_token(made, "0.0.0.0") == made
    assert checked_token("auto", "0.0.0.0") != made
    assert is_loopback("::1")
    assert is_loopback("127.0.0.9")
    assert not is_loopback("10.0.0.1")


@pytest.mark.parametrize("name", ["upload_mb", "waiting", "job_s"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_limits_are_positive(name: str, value: float) -> None:
    with pytest.raises(UserError, match=name):
        Limits(**{name: value})  # type: ignore[arg-type]
