"""Data sets whose bytes were changed, cut off or lost: one sentence, never a traceback, never a wrong count."""

import random
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from monobody.data.crop import Crop
from monobody.data.known import SyntheticSample
from monobody.data.packed import PackedSamples, pack_samples
from monobody.data.prepared import Prepared
from monobody.data.prepared_writer import write_prepared
from monobody.data.sample import Sample
from monobody.data.shards import SampleFiles, write_samples
from monobody.errors import UserError

COUNT = 5
FUZZ = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def person(seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 5, 3), np.uint8))
    return Sample(
        image=np.asarray(small.resize((50, 60), Image.Resampling.BICUBIC)),
        crop=Crop((25.0, 30.0), 40.0),
        keypoints_px=rng.uniform(10, 40, (19, 2)).astype(np.float32),
        visible=np.ones(19, np.float32),
        joints_cam_m=rng.normal(size=(14, 3)).astype(np.float32),
        rotations=np.tile(np.eye(3, dtype=np.float32), (24, 1, 1)),
        betas=rng.normal(size=10).astype(np.float32),
        mask=np.asarray(small.convert("L").resize((50, 60))),
    )


PEOPLE = [person(seed) for seed in range(COUNT)]


@pytest.fixture(scope="module")
def tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shards") / "set.tar"
    write_samples(PEOPLE, path)
    return path


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    write_prepared("people", PEOPLE, folder, per_shard=3)
    return folder


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packed") / "p.npz"
    pack_samples(PEOPLE, path, region_px=40, quality=90, megabytes=1)
    return path


def damaged(content: bytes, flips: list[tuple[float, int]]) -> bytes:
    """Change a few bytes, each told by its place from 0 to 1 and what it is XORed with."""
    changed = bytearray(content)
    for place, mask in flips:
        changed[int(place * (len(changed) - 1))] ^= mask
    return bytes(changed)


FLIPS = st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=4)


def survives(reader: Callable[[Path], Sequence[Sample]], path: Path) -> None:
    """Open a set and read every sample, or be told in a sentence that it cannot be; the count is never another."""
    try:
        samples = reader(path)
    except UserError as error:
        refused = str(error)
    else:
        assert len(samples) == COUNT
        refused = str(path)
        for index in range(COUNT):
            with suppress(UserError):
                sample = samples[index]
                assert sample.image.dtype == np.uint8
                assert sample.image.shape[2:] == (3,)
                assert sample.keypoints_px.shape == (19, 2)
    assert str(path) in refused


@FUZZ
@given(FLIPS)
def test_flipped_bytes_of_a_shard(tar: Path, tmp_path: Path, flips: list[tuple[float, int]]) -> None:
    (tmp_path / "set.tar").write_bytes(damaged(tar.read_bytes(), flips))
    survives(SampleFiles, tmp_path / "set.tar")


@FUZZ
@given(FLIPS)
def test_flipped_bytes_of_its_headers(tar: Path, tmp_path: Path, flips: list[tuple[float, int]]) -> None:
    """The same where damage tells: in the tar's headers and in the labels behind the pictures."""
    content = tar.read_bytes()
    labels = content.index(b"labels.npz")
    (tmp_path / "set.tar").write_bytes(content[:labels] + damaged(content[labels:], flips))
    survives(SampleFiles, tmp_path / "set.tar")


@FUZZ
@given(st.floats(0, 0.999))
def test_a_shard_cut_short(tar: Path, tmp_path: Path, where: float) -> None:
    # Behind the labels a tar has nothing but zeros.
    content = tar.read_bytes().rstrip(b"\0")
    (tmp_path / "set.tar").write_bytes(content[: int(where * len(content))])
    with pytest.raises(UserError, match="cut short"):
        SampleFiles(tmp_path / "set.tar")


@FUZZ
@given(st.sampled_from(["people-000000.tar", "people-000001.tar", "index.npy", "manifest.json"]), FLIPS)
def test_flipped_bytes_of_a_prepared_set(
    prepared: Path, tmp_path: Path, name: str, flips: list[tuple[float, int]]
) -> None:
    folder = tmp_path / "set"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(prepared, folder)
    (folder / name).write_bytes(damaged((folder / name).read_bytes(), flips))
    survives(Prepared, folder)


@FUZZ
@given(FLIPS)
def test_flipped_bytes_of_a_pack(packed: Path, tmp_path: Path, flips: list[tuple[float, int]]) -> None:
    (tmp_path / "p.npz").write_bytes(damaged(packed.read_bytes(), flips))
    survives(PackedSamples, tmp_path / "p.npz")


@pytest.mark.parametrize("name", ["people-000001.tar", "index.npy", "manifest.json"])
@pytest.mark.parametrize("change", ["removed", "emptied", "halved", "grown", "a folder"])
def test_a_prepared_set_that_was_not_copied_whole(prepared: Path, tmp_path: Path, name: str, change: str) -> None:
    folder = tmp_path / "set"
    shutil.copytree(prepared, folder)
    content = (folder / name).read_bytes()
    (folder / name).unlink()
    if change == "a folder":
        (folder / name).mkdir()
    elif change != "removed":
        ends = {"emptied": b"", "halved": content[: len(content) // 2], "grown": content + b"\0" * 512}
        (folder / name).write_bytes(ends[change])
    if change == "grown" and name != "people-000001.tar":
        return  # Readers of both stop where they end.
    with pytest.raises(UserError, match=r"set|monobody prepare") as refused:
        Prepared(folder)
    assert "prepare" in str(refused.value)


def test_a_folder_that_lost_pictures(tmp_path: Path) -> None:
    write_samples(PEOPLE, tmp_path / "set")
    (tmp_path / "set" / "000003.jpg").unlink()
    with pytest.raises(UserError, match=r"lacks 1 of its 5 pictures, 000003\.jpg first"):
        SampleFiles(tmp_path / "set")


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    write_samples(PEOPLE, tmp_path / "set")
    (tmp_path / "set" / "000003.jpg").write_bytes(b"\xff\xd8\xff no picture")
    samples = SampleFiles(tmp_path / "set")
    assert samples[2].image.shape == (60, 50, 3)
    with pytest.raises(UserError, match=r"000003\.jpg is damaged"):
        samples[3]


def test_labels_of_another_length(tmp_path: Path) -> None:
    write_samples(PEOPLE, tmp_path / "set", planes=False)
    with np.load(tmp_path / "set" / "labels.npz") as file:
        labels = {name: file[name] for name in file.files}
    for name in labels:
        np.savez(tmp_path / "set" / "labels.npz", **labels | {name: labels[name][:-1]})
        with pytest.raises(UserError, match=r"not a data set"):
            SampleFiles(tmp_path / "set")


def test_nan_under_hidden_joints_is_kept(tmp_path: Path) -> None:
    hidden = np.ones(19, np.float32)
    hidden[4] = 0
    points = PEOPLE[0].keypoints_px.copy()
    points[4] = np.nan
    write_samples([replace(PEOPLE[0], keypoints_px=points, visible=hidden)], tmp_path / "set")
    again = SampleFiles(tmp_path / "set")[0]
    assert not isinstance(again, SyntheticSample)
    np.testing.assert_array_equal(again.keypoints_px, points)


def test_random_bytes_are_no_set(tmp_path: Path) -> None:
    chance = random.Random(0)
    for size in (0, 1, 511, 512, 10_240):
        for name, reader in (("a.tar", SampleFiles), ("a.npz", PackedSamples)):
            (tmp_path / name).write_bytes(chance.randbytes(size))
            with pytest.raises(UserError, match=name):
                reader(tmp_path / name)
