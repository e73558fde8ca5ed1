"""Very many pictures: nothing lost and nothing twice, whoever is killed when; tars in and out; what is refused."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from monobody.cli import main
from monobody.errors import UserError
from monobody.predict import manifest as manifest_module
from monobody.predict.batch import PICTURE_SUFFIXES
from monobody.predict.gather import collect_tasks
from monobody.predict.manifest import MANIFEST, Manifest, locked, read_records
from monobody.predict.many import Settings
from monobody.predict.tars import pictures_in, read_member

PROCESS = Path(__file__).with_name("many_process.py")
PHOTO = Path(__file__).parents[1] / "samples" / "astronaut.jpg"


def start(pictures: Path, out: Path, *, pack: int = 0, workers: int = 2, seconds: float = 0.0, limit: int = 0):
    arguments = [str(pictures), str(out), str(pack), str(workers), str(seconds), *([str(limit)] if limit else [])]
    return subprocess.Popen(
        [sys.executable, str(PROCESS), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen) -> str:
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output.strip()


def folder_of(tmp_path: Path, names: list[str]) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in names:
        (folder / f"{name}.jpg").write_bytes(b"never read by the toy")
    return folder


def lines(out: Path) -> int:
    path = out / MANIFEST
    return path.read_bytes().count(b"\n") if path.exists() else 0


def results(out: Path) -> Counter[str]:
    """Count what there is of each picture, in files and in tars, as a reader of either finds it."""
    found = Counter(path.stem for path in out.glob("*.json"))
    for path in out.glob("*.tar"):
        with tarfile.open(path) as tar:
            found.update(name.removesuffix(".json") for name in tar.getnames() if name.endswith(".json"))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("pack", [0, 5])
def test_no_picture_is_lost_or_done_twice_when_the_run_is_killed_again_and_again(tmp_path: Path, pack: int) -> None:
    names = [f"p{i:02d}" for i in range(60)]
    pictures, out, chance = folder_of(tmp_path, names), tmp_path / "out", random.Random(pack)
    kills = 0
    while kills < 4:
        process = start(pictures, out, pack=pack, seconds=0.03)
        before = lines(out)
        deadline = time.monotonic() + 60
        goal = before + chance.randrange(1, 9) + 2 * (before == 0)
        while lines(out) < goal and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.06))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL  # Else it had ended before, and nothing was tested.
        kills += 1
    finish(start(pictures, out, pack=pack, seconds=0.001))
    assert results(out) == Counter(names)
    records = list(read_records(out / MANIFEST))
    assert Counter(record["name"] for record in records if "name" in record) == Counter(names)
    log = Counter(line.split()[0] for line in (tmp_path / "out.log").read_text().splitlines())
    assert set(log) == set(names)
    assert log.total() - len(names) <= kills * 2 * max(1, pack)  # Only what was under way is done again.
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]
    assert finish(start(pictures, out, pack=pack)) == "0 60 0 0"


def test_workers_that_are_killed_are_replaced(tmp_path: Path) -> None:
    names = [f"p{i:02d}" for i in range(30)]
    pictures, out = folder_of(tmp_path, names), tmp_path / "out"
    process = start(pictures, out, seconds=0.05)
    killed = 0
    while killed < 2:
        goal = lines(out) + 4
        while lines(out) < goal:
            assert process.poll() is None
            time.sleep(0.002)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        workers = [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(int(workers[killed]), signal.SIGKILL)
        killed += 1
    assert finish(process) == "30 0 0 0"
    assert results(out) == Counter(names)


@pytest.mark.parametrize("pack", [0, 4])
def test_pictures_that_kill_or_fail_do_not_end_the_run(tmp_path: Path, pack: int) -> None:
    names = ["a", "b", "failing", "killer", "m", "nobody", "z"]
    pictures, out = folder_of(tmp_path, names), tmp_path / "out"
    assert finish(start(pictures, out, pack=pack)) == "4 0 1 2"
    assert results(out) == Counter(["a", "b", "m", "z"])
    failed = {record["name"]: record["failed"] for record in read_records(out / MANIFEST) if "failed" in record}
    assert failed == {
        "killer": "worker processes died over it, most likely for want of memory.",
        "failing": "unexpected ValueError: strange",
    }
    (pictures / "killer.jpg").rename(pictures / "tame.jpg")
    (pictures / "failing.jpg").unlink()
    assert finish(start(pictures, out, pack=pack)) == "1 5 0 0"  # Failures are tried again, the rest is not.
    assert results(out) == Counter(["a", "b", "m", "tame", "z"])


@pytest.mark.parametrize("pack", [0, 4])
def test_a_full_disk_ends_the_run_and_the_next_one_goes_on(tmp_path: Path, pack: int) -> None:
    """The limit fits some results, and not the manifest of all of them, or not a whole tar."""
    names = [f"p{i:02d}" for i in range(40)]
    pictures, out = folder_of(tmp_path, names), tmp_path / "out"
    process = start(pictures, out, pack=pack, limit=9_000 if pack else 2_500)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert errors.startswith("monobody: Cannot write")
    assert errors.count("\n") == 1
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]
    assert results(out).total() < 40
    finish(start(pictures, out, pack=pack))
    assert results(out) == Counter(names)


def test_two_runs_do_not_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_module, "PATIENCE_S", 0.2)
    pictures, out = folder_of(tmp_path, [f"p{i}" for i in range(20)]), tmp_path / "out"
    process = start(pictures, out, seconds=0.2)
    while not lines(out):
        time.sleep(0.01)
    with pytest.raises(UserError, match=r"Another run is writing into .*: let it end"), locked(out):
        pass
    process.kill()
    process.communicate()
    with locked(out):
        pass


def test_a_folder_holds_the_results_of_one_run(tmp_path: Path) -> None:
    Manifest(tmp_path, {"model": "lift"}, endings=[], overwrite=False).close()
    with pytest.raises(UserError, match=r"another run \(model: lift, not hmr-small\): choose another folder"):
        Manifest(tmp_path, {"model": "hmr-small"}, endings=[], overwrite=False)
    Manifest(tmp_path, {"model": "hmr-small"}, endings=[], overwrite=True).close()
    (tmp_path / MANIFEST).write_text('{"run": {}}\nnonsense\n{}\n')
    with pytest.raises(UserError, match="damaged in line 2"):
        Manifest(tmp_path, {}, endings=[], overwrite=False)


def test_files_of_the_same_name_are_told_apart_by_what_is_in_them(tmp_path: Path) -> None:
    """A body, weights or a list of people that were replaced under their name make another run."""
    names = {key: str(tmp_path / f"{key}.npz") for key in ("body", "model", "detector")}
    settings = Settings(out=str(tmp_path), kinds=("json",), **names)
    runs = []
    for changed in ("", *names):
        for key in names:
            Path(names[key]).write_bytes(b"other" if key == changed else b"first")
        runs.append(settings.run())
    assert all(runs[0] != other for other in runs[1:])
    assert runs[0] == json.loads(json.dumps(runs[0]))  # As it comes back from the manifest.
    Path(names["body"]).unlink()
    with pytest.raises(UserError, match="Cannot read"):
        settings.run()


def test_half_said_lines_are_dropped_and_strange_tars_removed(tmp_path: Path) -> None:
    """As a kill in the middle of a write leaves them."""
    (tmp_path / "part-000000.tar").write_bytes(b"whole")
    (tmp_path / "part-000001.tar").write_bytes(b"never noted")
    records = [
        {"run": {"model": "toy"}},
        {"picture": "a", "name": "a", "people": 1, "tar": "part-000000.tar"},
        {"tar": "part-000000.tar", "bytes": 5},
        {"picture": "b", "name": "b", "people": 1, "tar": "part-000001.tar"},
        {"picture": "c", "name": "c", "failed": "no"},
        {"picture": "d", "name": "d", "people": 0},
    ]
    text = "\n".join(json.dumps(record) for record in records) + '\n{"picture": "e", "na'
    (tmp_path / MANIFEST).write_text(text)
    again = Manifest(tmp_path, {"model": "toy"}, endings=[], overwrite=False)
    assert again.done == {"a": "a", "d": "d"}
    assert [path.name for path in tmp_path.glob("*.tar")] == ["part-000000.tar"]
    (tmp_path / ".part-new.tar").write_bytes(b"new")
    again.add_tar(tmp_path / ".part-new.tar", [{"picture": "b", "name": "b", "people": 1}])
    again.close()
    last = list(read_records(tmp_path / MANIFEST))[-2:]
    assert last[0]["tar"] == "part-000001.tar"
    assert last[1] == {"tar": "part-000001.tar", "bytes": 3}


def test_names_that_are_no_text_are_noted_and_known_again(tmp_path: Path) -> None:
    picture = os.fsdecode(b"/photos/caf\xe9.jpg")
    first = Manifest(tmp_path, {"model": "toy"}, endings=[], overwrite=False)
    first.add([{"picture": picture, "name": "caf", "people": 0}])
    first.close()
    for _ in range(2):  # Written anew, from what was read.
        again = Manifest(tmp_path, {"model": "toy"}, endings=[], overwrite=False)
        again.close()
        assert again.done == {picture: "caf"}


# Tars


def write_tar(path: Path, members: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


def jpeg(side: int = 40) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (side, 20, 30)).save(buffer, "jpeg")
    return buffer.getvalue()


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_pictures_are_read_from_where_they_lie(tmp_path: Path, form: int) -> None:
    content = {f"{'long' * 20}/{i:03d}.jpg": os.urandom(100 + 700 * i) for i in range(5)}
    path = write_tar(tmp_path / "a.tar", content | {"000.json": b"{}"}, form)
    members, left_out = pictures_in(path, PICTURE_SUFFIXES)
    assert {member.member: read_member(path, member) for member in members} == content
    assert left_out == 0


def test_what_belongs_to_a_picture_is_no_picture(tmp_path: Path) -> None:
    names = ["1.jpg", "1.mask.png", "1.json", "2.mask.png", "d.e/3.jpg", "._1.jpg", "IMG.2020.jpg"]
    members, left_out = pictures_in(write_tar(tmp_path / "a.tar", dict.fromkeys(names, b"x")), PICTURE_SUFFIXES)
    assert [member.member for member in members] == ["1.jpg", "2.mask.png", "d.e/3.jpg", "IMG.2020.jpg"]
    assert left_out == 1


TRICKS = ["../../up.jpg", "/etc/root.jpg", "a/../../b.jpg", "..\\w.jpg", "c:/x.jpg", "\x1b[2Jz.jpg", ".hidden.jpg",
          "same.jpg", "SAME.jpg", "d/same.png", "d_same.jpg", "n" * 150 + ".jpg", "...jpg", "é/ü.jpg",
          "nul\n.jpg"]  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
def test_names_in_tars_never_become_paths(tmp_path: Path, packed: bool) -> None:
    path = write_tar(tmp_path / "in.tar", dict.fromkeys(TRICKS, b"x"))
    with tarfile.open(path, "a") as tar:
        for name, kind in (
            ("link.jpg", tarfile.SYMTYPE),
            ("hard.jpg", tarfile.LNKTYPE),
            ("pipe.jpg", tarfile.FIFOTYPE),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            tar.addfile(entry)
        twin = tarfile.TarInfo("same.jpg")
        twin.size = 1
        tar.addfile(twin, io.BytesIO(b"y"))
    tasks, _ = collect_tasks([str(path)], tmp_path / "out", packed=packed)
    names = [task.name for task in tasks]
    assert len({name.lower() for name in names}) == len(names) == len(TRICKS) + 1
    assert len({task.picture for task in tasks}) == len(names)
    assert all(task.picture.isprintable() for task in tasks)
    for name in names:
        folder, _, file = name.partition("/")
        assert folder == "in"
        assert file
        assert not set(file) & set('/\\:*?"<>|\n\x1b')
        assert not file.startswith(".")
        assert len(file.encode()) < 130
        assert not (packed and "." in file)


def test_pictures_of_one_name_get_results_of_their_own(tmp_path: Path) -> None:
    for folder in ("a", "b", "c/b"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x.jpg").write_bytes(b"x")
    write_tar(tmp_path / "t.tar", {"x.jpg": b"x", "a/x.jpg": b"x"})
    (tmp_path / "u").mkdir()
    write_tar(tmp_path / "u" / "t.tar", {"x.jpg": b"x"})
    sources = [str(tmp_path / each) for each in ("a", "b", "t.tar", "u/t.tar")]
    tasks, _ = collect_tasks(sources, tmp_path / "out")
    assert [task.name for task in tasks] == ["a_x_jpg", "b_x_jpg", "t/x", "t/a_x", "t-2/x"]
    with pytest.raises(UserError, match="would have outputs of the name b_x_jpg"):
        collect_tasks([str(tmp_path / "b"), str(tmp_path / "c/b")], tmp_path / "out")


def damaged(content: bytes, at: int) -> bytes:
    return content[:at] + b"\xff" * 20 + content[at + 20 :]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda whole: b"", "is no whole tar"),
        (lambda whole: b"nonsense" * 300, "is no whole tar"),
        (lambda whole: whole[:700], "cut short at 0.jpg"),
        (lambda whole: whole[:2600], "cut short"),
        (lambda whole: whole[:3072], "cut short or damaged at byte 3,072"),
        (lambda whole: damaged(whole, 1100), "cut short or damaged at byte 1,024"),
        (lambda whole: whole + whole, "goes on after its end"),
    ],
)
def test_damaged_tars_are_refused_before_anything_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change, sentence: str
) -> None:
    whole = write_tar(tmp_path / "in.tar", {f"{i}.jpg": bytes(400) for i in range(3)}).read_bytes()
    (tmp_path / "in.tar").write_bytes(change(whole))
    assert main(["predict", str(tmp_path / "in.tar"), "-o", str(tmp_path / "out")]) == 2
    errors = capsys.readouterr().err
    assert sentence in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.tar"], "No such file"),
        (["in.tar.gz"], "is compressed"),
        (["empty.tar"], "holds no picture"),
        (["in.tar", "--engine", "cloud"], "choose processes or ray"),
        (["in.tar", "--workers", "-1"], "give positive numbers"),
        (["in.tar", "--model", "nobody"], "There is no model"),
        (["in.tar", "--detector", "none"], "There is no detector"),
    ],
)
def test_mistakes_are_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tar(tmp_path / "in.tar", {"0.jpg": jpeg()})
    write_tar(tmp_path / "empty.tar", {"0.txt": b""})
    (tmp_path / "in.tar.gz").write_bytes(b"x")
    assert main(["predict", *arguments]) == 2
    errors = capsys.readouterr().err
    assert sentence in errors
    assert errors.count("\n") == 1


@pytest.mark.slow
def test_the_real_program_over_a_tar_killed_on_the_way(tmp_path: Path) -> None:
    """Its tars are read by webdataset; results are those of a run that nobody disturbed."""
    webdataset = pytest.importorskip("webdataset")
    photo = Image.open(PHOTO).convert("RGB").resize((200, 200))
    content = {}
    for i in range(8):
        buffer = io.BytesIO()
        photo.rotate(i).save(buffer, "jpeg")
        content[f"{i:03d}.jpg"] = buffer.getvalue()
    path = write_tar(tmp_path / "in.tar", content | {"008.jpg": b"damaged"})
    command = [sys.executable, "-m", "monobody.cli", "predict", str(path), "--save", "json,overlay", "--pack", "2"]
    command += ["--model", "mean-pose", "--detector", "whole", "-o"]
    out = tmp_path / "out"
    process = subprocess.Popen([*command, str(out), "--workers", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while lines(out) < 4:
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert lines(out) < 13
    result = subprocess.run([*command, str(out), "--workers", "2"], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "008.jpg is not a picture that can be read" in result.stderr
    subprocess.run([*command, str(tmp_path / "calm")], capture_output=True, check=False)

    def samples(folder: Path) -> dict[str, dict]:
        urls = [str(tar) for tar in sorted(folder.glob("*.tar"))]
        read = list(webdataset.WebDataset(urls, shardshuffle=False, empty_check=False))
        assert len({sample["__key__"] for sample in read}) == len(read)
        return {sample["__key__"]: {k: v for k, v in sample.items() if not k.startswith("_")} for sample in read}

    found = samples(out)
    assert set(found) == {f"in/{i:03d}" for i in range(8)}
    assert set(found["in/000"]) == {"json", "overlay.png"}
    assert found == samples(tmp_path / "calm")
