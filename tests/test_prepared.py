"""Prepared sets: what was written comes back, whoever reads it; the same command mends a stopped or damaged one."""

import io
import json
import os
import pickle
import signal
import tarfile
import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monobody.camera import project
from monobody.cli import main
from monobody.data.crop import Crop
from monobody.data.prepare import SETS, reader_of, table
from monobody.data.prepared import Prepared
from monobody.data.prepared_writer import Origin, write_prepared
from monobody.data.sample import NO_AUGMENT, Sample, training_row
from monobody.errors import UserError
from monobody.files import sha256_of


def person(seed: int) -> Sample:
    """Smooth colours, and joints that a known camera projects."""
    rng = np.random.default_rng(seed)
    joints = rng.normal(size=(14, 3)) * [0.3, 0.5, 0.2] + [0.1, 0.2, 4.0]
    keypoints = np.full((19, 2), np.nan, np.float32)
    keypoints[:14] = project(joints, 700.0, (310.0, 150.0))
    rotations = np.linalg.qr(rng.normal(size=(24, 3, 3)))[0].astype(np.float32)
    rotations *= np.linalg.det(rotations)[:, None, None].round()
    coarse = Image.fromarray(rng.integers(0, 256, (8, 12, 3), np.uint8))
    return Sample(
        image=np.asarray(coarse.resize((640, 400), Image.Resampling.BICUBIC)),
        crop=Crop((float(keypoints[:14, 0].mean()), 185.0), 330.0, 0.2),
        keypoints_px=keypoints,
        visible=np.r_[np.ones(14), np.zeros(5)].astype(np.float32),
        joints_cam_m=joints.astype(np.float32),
        rotations=rotations,
        betas=rng.normal(size=10).astype(np.float32),
        shape_space="smpl",
        focal_px=700.0,
        principal_px=(310.0, 150.0),
        mask=np.full((400, 640), 255, np.uint8),
    )


class People(Sequence[Sample]):
    """A few people; asked for some of them, it fails, waits, or lets its process be killed."""

    def __init__(
        self, count: int, *, broken: tuple[int, ...] = (), deadly: int | None = None, pause: float = 0
    ) -> None:
        self.count, self.broken, self.deadly, self.pause = count, broken, deadly, pause
        self.left_out = {"too small": 3}

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:  # pyright: ignore[reportIncompatibleMethodOverride]
        time.sleep(self.pause)
        if index in self.broken:
            raise OSError("cannot identify image file")
        if index == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return person(index)

    def name(self, index: int) -> str:
        return f"photo_{index}"


def digests(folder: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("workers", [1, 3])
def test_everything_known_comes_back(tmp_path: Path, workers: int) -> None:
    told = []
    manifest = write_prepared(
        Origin(name="set", split="test", licence="free", expected=9),
        People(7),
        tmp_path,
        workers=workers,
        per_shard=3,
        report=lambda done, total: told.append((done, total)),
    )
    assert told == [(number, 7) for number in range(1, 8)]
    assert [manifest[key] for key in ("count", "found", "expected", "skipped")] == [7, 7, 9, 0]
    assert manifest["left_out"] == {"too small": 3}
    assert [shard["samples"] for shard in manifest["shards"]] == [3, 3, 1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "index.npy", "manifest.json", "set-000000.tar", "set-000001.tar", "set-000002.tar",
    ]  # fmt: skip
    prepared = pickle.loads(pickle.dumps(Prepared(tmp_path)))  # As a loader's workers may be sent it.
    assert prepared.damaged() == []
    assert prepared.name(4) == "photo_4"
    for index, again in enumerate(prepared):
        before = person(index)
        rows = [
            training_row(each, np.random.default_rng(0), 64, NO_AUGMENT, shape_space="smpl") for each in (before, again)
        ]
        for key in ("joints_3d", "rotations", "betas", "has_body", "has_betas"):
            np.testing.assert_allclose(rows[1][key], rows[0][key], atol=1e-6, err_msg=key)
        # Shrinking rounds the picture to whole pixels.
        np.testing.assert_allclose(rows[1]["view"], rows[0]["view"], atol=2e-3)
        np.testing.assert_allclose(rows[1]["keypoints_2d"][:14], rows[0]["keypoints_2d"][:14], atol=5e-3)
        seen = project(again.joints_cam_m, again.focal_px, again.principal_px)
        np.testing.assert_allclose(seen, again.keypoints_px[:14], atol=1.0)
        assert np.abs(rows[1]["images"].astype(int) - rows[0]["images"]).mean() < 4  # JPEG.
        assert again.mask is not None
        assert again.mask.shape == again.image.shape[:2]
        assert again.frame_px is not None
    assert [len(prepared[1:3]), prepared[-1].focal_px == prepared[6].focal_px] == [2, True]
    with pytest.raises(IndexError):
        prepared[7]


def test_other_readers_read_the_shards(tmp_path: Path) -> None:
    write_prepared("set", People(5), tmp_path, per_shard=3)
    with tarfile.open(tmp_path / "set-000001.tar") as tar:
        assert tar.getnames() == [f"0000000{i}.{member}" for i in (3, 4) for member in ("jpg", "mask.png", "json")]
        labels = json.load(tar.extractfile("00000004.json"))  # pyright: ignore[reportArgumentType]
    np.testing.assert_allclose(labels["betas"], person(4).betas, rtol=1e-6)
    webdataset = pytest.importorskip("webdataset")
    shards = sorted(str(path) for path in tmp_path.glob("*.tar"))
    seen = list(webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8"))
    assert [each["json"]["name"] for each in seen] == [f"photo_{i}" for i in range(5)]
    for each, ours in zip(seen, Prepared(tmp_path), strict=True):
        np.testing.assert_array_equal(each["jpg"], ours.image)
        np.testing.assert_allclose(each["json"]["keypoints_px"], ours.keypoints_px, atol=1e-4)
        assert each["json"]["shape_space"] == "smpl"


def test_a_run_that_is_killed_goes_on(tmp_path: Path) -> None:
    """Parent and workers may vanish at any moment; finished shards stay as they are, and the bytes are the same."""
    write_prepared("set", People(12), tmp_path / "whole", per_shard=2)
    out = tmp_path / "stopped"
    run = get_context("fork").Process(
        target=write_prepared, args=("set", People(12, pause=0.05), out), kwargs={"per_shard": 2, "workers": 2}
    )
    run.start()
    deadline = time.monotonic() + 60
    while len(list(out.glob(".set-*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert run.pid is not None
    os.kill(run.pid, signal.SIGKILL)
    run.join()
    time.sleep(0.5)  # The workers notice.
    finished = {path: path.stat().st_mtime_ns for path in out.glob("set-*.tar")}
    assert 2 <= len(finished) < 6
    with pytest.raises(UserError, match="goes on where it was"):
        Prepared(out)
    write_prepared("set", People(12), out, per_shard=2, workers=2)
    assert digests(out) == digests(tmp_path / "whole")
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    with pytest.raises(UserError, match="fewer --workers"):
        write_prepared("set", People(12, deadly=5), tmp_path / "worker", per_shard=2, workers=2)
    write_prepared("set", People(12), tmp_path / "worker", per_shard=2)
    assert digests(tmp_path / "worker") == digests(tmp_path / "whole")


def test_whole_sets_are_left_alone_and_damaged_shards_mended(tmp_path: Path) -> None:
    write_prepared("set", People(6), tmp_path, per_shard=2)
    before = digests(tmp_path)
    people = People(6, broken=tuple(range(6)))  # Nothing is read again.
    write_prepared("set", people, tmp_path, per_shard=2)
    assert digests(tmp_path) == before

    shard = tmp_path / "set-000001.tar"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-5000])
    with pytest.raises(UserError, match=r"set-000001\.tar.*monobody prepare set"):
        Prepared(tmp_path)
    shard.unlink()
    with pytest.raises(UserError, match=r"set-000001\.tar"):
        Prepared(tmp_path)
    shard.write_bytes(whole[:1000] + bytes(3000) + whole[4000:])
    assert Prepared(tmp_path).damaged() == ["set-000001.tar"]
    with pytest.raises(UserError, match=r"set-000001\.tar is damaged at sample 2"):
        Prepared(tmp_path)[2]
    write_prepared("set", People(6), tmp_path, per_shard=2)
    assert digests(tmp_path) == before
    (tmp_path / "index.npy").write_bytes(b"no")
    with pytest.raises(UserError, match=r"index\.npy"):
        Prepared(tmp_path)
    write_prepared("set", People(6), tmp_path, per_shard=2)
    assert digests(tmp_path) == before


def test_another_set_does_not_mix_in(tmp_path: Path) -> None:
    write_prepared("set", People(6), tmp_path, per_shard=2)
    with pytest.raises(UserError, match="choose another folder"):
        write_prepared(Origin(name="set", split="test"), People(6), tmp_path)
    manifest = write_prepared("set", People(3), tmp_path, per_shard=2)  # The set has shrunk.
    assert manifest["count"] == len(Prepared(tmp_path)) == 3
    assert len(list(tmp_path.glob("*.tar"))) == 2


def test_bad_samples_are_counted_and_named(tmp_path: Path) -> None:
    class Tiny(People):
        def __getitem__(self, index: int) -> Sample:  # pyright: ignore[reportIncompatibleMethodOverride]
            if index in self.broken:
                raise UserError(f"{index} is no picture")
            return Sample(
                image=np.zeros((16, 16, 3), np.uint8), crop=Crop((8, 8), 10),
                keypoints_px=np.ones((19, 2)), visible=np.ones(19),
            )  # fmt: skip

    manifest = write_prepared("set", Tiny(300, broken=(17, 250)), tmp_path, per_shard=100)
    assert [manifest["count"], manifest["found"], manifest["skipped"]] == [298, 300, 2]
    assert manifest["shards"][0]["skipped"] == [{"name": "photo_17", "reason": "17 is no picture"}]
    assert len(Prepared(tmp_path)) == 298
    kept = sha256_of(tmp_path / "set-000001.tar")
    mended = write_prepared("set", Tiny(300), tmp_path, per_shard=100)
    assert [mended["count"], mended["skipped"]] == [300, 0]
    assert sha256_of(tmp_path / "set-000001.tar") == kept
    for workers in (1, 2):
        with pytest.raises(UserError, match=r"more than 1 %.*photo_3"):
            write_prepared("bad", Tiny(300, broken=(3, 4, 5, 6)), tmp_path / "bad", per_shard=100, workers=workers)
    assert write_prepared("few", Tiny(5, broken=(2,)), tmp_path / "few")["skipped"] == 1, "one bad file is no damage"
    for people in (Tiny(5, broken=(1, 2)), Tiny(1, broken=(0,))):
        with pytest.raises(UserError, match="the data set is damaged"):
            write_prepared("few", people, tmp_path / f"few{len(people)}")
    with pytest.raises(UserError, match="nothing of"):
        write_prepared("set", Tiny(0), tmp_path / "none")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = tarfile.open

    def full(name, mode="r", **options):
        return opened(fileobj=io.FileIO("/dev/full", "w"), mode=mode, **options) if mode == "w" else opened(name, mode)

    monkeypatch.setattr(tarfile, "open", full)
    for workers in (1, 2):
        with pytest.raises(UserError, match="No space left"):
            write_prepared("set", People(4), tmp_path, per_shard=2, workers=workers)
        assert not list(tmp_path.glob("*"))


def test_every_set_is_described() -> None:
    """The list and the docs name every set; a reader offers what the command asks for."""
    page = (Path(__file__).parents[1] / "docs" / "datasets.md").read_text()
    for name in SETS:
        reader = reader_of(name)
        assert f"\n| `{name}` |" in page
        assert name in table()
        assert reader.LICENCE.endswith(".")
        assert reader.GET_IT
        assert all(isinstance(count, int) for count in reader.EXPECTED.values())
        assert hasattr(reader, "samples") != hasattr(reader, "write")
        assert reader.check(Path("/nowhere")), f"{name} misses nothing in an empty place"


@pytest.mark.slow
def test_workers_that_cannot_be_forked_write_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_prepared("set", People(4), tmp_path / "forked", per_shard=2, workers=2)
    monkeypatch.setattr("monobody.data.workers.sys.platform", "darwin")
    write_prepared("set", People(4), tmp_path / "spawned", per_shard=2, workers=2)
    assert digests(tmp_path / "spawned") == digests(tmp_path / "forked")


def test_the_command_says_what_is_missing_and_what_was_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "--list"]) == 0
    assert "lsp_extended\n  Leeds Sports Pose Extended" in capsys.readouterr().out
    root, out = tmp_path / "lsp", tmp_path / "out"
    root.mkdir()
    arguments = ["prepare", "lsp_extended", "--root", str(root), "--out", str(out)]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "joints.mat is missing" in error
    assert "im00001.jpg" in error
    assert "sam.johnson.io" in error
    savemat = pytest.importorskip("scipy.io").savemat
    joints = np.random.default_rng(0).uniform(20, 60, (14, 3, 4))
    joints[:, 2] = 1
    savemat(root / "joints.mat", {"joints": joints})
    (root / "images").mkdir()
    for number in (1, 2, 3):
        Image.new("RGB", (80, 80), (60 * number, 9, 9)).save(root / "images" / f"im{number:05d}.jpg")
    assert main([*arguments, "--split", "nowhere"]) == 2
    assert "train, validation, all" in capsys.readouterr().err
    assert main(arguments) == 2
    assert "1 of 4 people of lsp_extended (train) have no picture" in capsys.readouterr().err
    assert main([*arguments, "--partial"]) == 0
    said = capsys.readouterr().out
    assert "3 samples of lsp_extended (train) in 1 shard" in said
    assert "found 3 where 9,500 are expected: 9,497 fewer" in said
    assert "left out 1: no picture on disk" in said
    assert [name for name in ("prepare nothing", "prepare") if main(name.split()) != 2] == []
    assert "--list" in capsys.readouterr().err
