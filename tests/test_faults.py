"""What goes wrong while a network trains: it is killed, the disk is full, it is resumed as something else.

Kills are real: a forked child runs the toy task and sends itself SIGKILL at one of its own file operations, or the test
does at a random moment. Afterwards the run is resumed here, and must end as one that nobody disturbed.
"""

import errno
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_task import ToyTask

from monobody.errors import UserError
from monobody.train import checkpoint, log
from monobody.train.engine import fit
from monobody.train.log import RunLog, read_table
from monobody.train.plan import Plan

pytest.importorskip("accelerate")

PLAN = Plan(
    steps=8, warmup_steps=3, log_every=1, checkpoint_steps=2, checkpoint_minutes=None, validate_minutes=0, device="cpu"
)
"""Everything happens as often as it can: each step is logged and validated and saved."""
SETTINGS = {"name": "toy", "rate": 3e-2, "plan": {"steps": 8, "minutes": None}, "shape": (4, 6)}


@pytest.fixture(autouse=True)
def _no_board(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorBoard takes seconds to import, and is no part of what a run needs to go on."""
    monkeypatch.setattr(log, "_tensorboard", lambda *_: None)


def losses_of(out: Path) -> np.ndarray:
    table = read_table(out / "train.csv")
    assert table["step"] == list(range(1, len(table["step"]) + 1)), "each step once, in order"
    return np.array([table["square"], table["absolute"], table["rate"]])


def ends_alike(out: Path, undisturbed: Path) -> None:
    """Assert that two runs drew the same curves and left the same weights, and nothing half-written."""
    np.testing.assert_array_equal(losses_of(out), losses_of(undisturbed))
    validations = [read_table(folder / "validation.csv") for folder in (out, undisturbed)]
    assert validations[0]["step"] == validations[1]["step"]
    assert validations[0]["error"] == validations[1]["error"]
    ends = [checkpoint.complete(folder / "checkpoints") for folder in (out, undisturbed)]
    assert [path.name for path in ends[0]] == [path.name for path in ends[1]]
    for file in ("model.safetensors", "model_average.safetensors"):
        assert (ends[0][-1] / file).read_bytes() == (ends[1][-1] / file).read_bytes()
    assert not list(out.rglob(".*.partial"))
    assert not list(out.rglob(".*.old"))


class Interrupted(ToyTask):
    """Stopped by Ctrl-C in its fifth step."""

    def losses(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if self.drawn[-1] == 4:
            raise KeyboardInterrupt
        return super().losses(batch)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    fit(ToyTask(), PLAN, out, settings=SETTINGS)
    return out


def forked(work: Callable[[], object]) -> multiprocessing.Process:
    """Start a copy of this process that does the work, silently; torch is imported already."""

    def quietly() -> None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
        work()

    process = multiprocessing.get_context("fork").Process(target=quietly, daemon=True)
    process.start()
    return process


def touched(out: Path, event: str, details: tuple[object, ...]) -> bool:
    """Tell whether an audit event is a file operation within a folder."""
    if event not in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"):
        return False
    return any(isinstance(path, str | os.PathLike) and str(out) in str(path) for path in details[:2])


@pytest.mark.parametrize("stride", [23, pytest.param(3, marks=pytest.mark.slow)])
def test_killed_at_any_file_operation(stride: int, tmp_path: Path, undisturbed: Path) -> None:
    """Every open, rename and removal of a run is the last thing that one child does."""

    def run(out: Path, last: int, count: "multiprocessing.sharedctypes.Synchronized[int]") -> None:
        def kill(event: str, details: tuple[object, ...]) -> None:
            if touched(out, event, details):
                count.value += 1
                if count.value == last:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(kill)
        fit(ToyTask(), PLAN, out, resume=True, settings=SETTINGS)

    count = multiprocessing.get_context("fork").Value("i", 0)
    whole = forked(lambda: run(tmp_path / "whole", -1, count))
    whole.join()
    assert whole.exitcode == 0
    operations = count.value
    assert operations > 60
    # A prime stride visits operations of all kinds.
    for last in range(1, operations, stride):
        out = tmp_path / f"killed_{last}"
        count.value = 0
        child = forked(lambda out=out, last=last: run(out, last, count))
        child.join()
        assert child.exitcode == -signal.SIGKILL
        fit(ToyTask(), PLAN, out, resume=True, settings=SETTINGS)
        ends_alike(out, undisturbed)
        shutil.rmtree(out)


def test_killed_again_and_again_at_random_moments(tmp_path: Path, undisturbed: Path) -> None:
    moments = random.Random(0)
    kills = 0
    for _ in range(200):
        # Eight steps of 0.05 s: the first run cannot be over before its last moment has come, however fast the machine.
        child = forked(lambda: fit(ToyTask(slow_s=0.05), PLAN, tmp_path, resume=True, settings=SETTINGS))
        child.join(moments.uniform(0.01, 0.3))
        if child.exitcode is not None:
            assert child.exitcode == 0
            break
        child.kill()
        child.join()
        kills += 1
    fit(ToyTask(), PLAN, tmp_path, resume=True, settings=SETTINGS)
    assert kills > 0
    ends_alike(tmp_path, undisturbed)


@pytest.mark.parametrize("name", ["model.safetensors", "model_average.safetensors", "model_optimiser.pt", "state.json"])
def test_a_disk_that_fills_up_during_a_checkpoint(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: Path
) -> None:
    """Writing fails at one of the files of the third checkpoint, with half of the file on the disk."""
    written = checkpoint._write

    def full(path: Path, content: bytes) -> None:
        if path.name == name and "step_00000006" in path.parent.name:
            path.write_bytes(bytes(content)[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written(path, content)

    monkeypatch.setattr(checkpoint, "_write", full)
    with pytest.raises(UserError, match=r"No space left on device.*step_00000004 before it is kept.*--resume"):
        fit(ToyTask(), replace(PLAN, validate_minutes=None), tmp_path, settings=SETTINGS)
    left = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert left == ["step_00000002", "step_00000004"], "the good ones stay, and what was begun gives its space back"
    monkeypatch.setattr(checkpoint, "_write", written)
    fit(ToyTask(), replace(PLAN, validate_minutes=None), tmp_path, resume=True, settings=SETTINGS)
    np.testing.assert_array_equal(losses_of(tmp_path), losses_of(undisturbed))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB; only root may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(mount, check=False).returncode:
        pytest.skip("mounting a file system needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_real_full_disk(small_disk: Path, undisturbed: Path) -> None:
    """A run ends with one sentence wherever the disk is full, and goes on once there is room."""
    plan = replace(PLAN, validate_minutes=None)
    with pytest.raises(KeyboardInterrupt):
        fit(Interrupted(), plan, small_disk, settings=SETTINGS)
    filler = small_disk / "filler"
    refused: list[str] = []
    for kept in range(0, 60_000, 4096):
        free = shutil.disk_usage(small_disk).free
        filler.write_bytes(bytes(max(free - kept, 0)))
        before = checkpoint.complete(small_disk / "checkpoints")[-1].name
        try:
            fit(ToyTask(), plan, small_disk, resume=True, settings=SETTINGS)
        except UserError as error:
            refused.append(str(error))
        assert checkpoint.complete(small_disk / "checkpoints")[-1].name >= before
        filler.unlink()
    fit(ToyTask(), plan, small_disk, resume=True, settings=SETTINGS)
    np.testing.assert_array_equal(losses_of(small_disk), losses_of(undisturbed))
    assert any("Cannot write the checkpoint " in sentence for sentence in refused)
    assert all("No space left on device" in sentence for sentence in refused)


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    """The same for those who may not mount: a limit on the size of files makes writing fail half-way, for real."""
    torch.manual_seed(0)
    task = ToyTask()
    wide = torch.nn.Sequential(torch.nn.Linear(6, 5000), torch.nn.Linear(5000, 4))
    task.modules["model"], task.optimisers["model"] = wide, torch.optim.SGD(wide.parameters(), lr=1e-3)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(UserError, match=r"Cannot write the checkpoint .*File too large.*none before it"):
            fit(task, PLAN, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "checkpoints").iterdir()) == []


CHANGES = [
    ({"name": "other"}, 'recipe "toy", not "other"'),
    ({"rate": 1e-3}, r"rate 0\.03, not 0\.001"),
    ({"rate": 1e-3, "shape": (4, 7)}, "and 1 more settings differ"),
]


@pytest.mark.parametrize(("change", "words"), CHANGES)
def test_another_recipe_is_refused(change: dict[str, object], words: str, tmp_path: Path) -> None:
    fit(ToyTask(), replace(PLAN, steps=2), tmp_path, settings=SETTINGS)
    with pytest.raises(UserError, match=words) as refused:
        fit(ToyTask(), PLAN, tmp_path, resume=True, settings=SETTINGS | change)
    assert "\n" not in str(refused.value)
    assert "--out" in str(refused.value)
    assert len(losses_of(tmp_path)[0]) == 2, "the log is left as it was"


def test_lengths_and_machines_may_change(tmp_path: Path) -> None:
    fit(ToyTask(), replace(PLAN, steps=2), tmp_path, settings=SETTINGS | {"workers": 2})
    now = SETTINGS | {"workers": 7, "new": 1, "plan": {"steps": None, "minutes": 3.0}}
    assert fit(ToyTask(), PLAN, tmp_path, resume=True, settings=now).step == 8


def test_another_network_is_refused(tmp_path: Path) -> None:
    fit(ToyTask(), replace(PLAN, steps=2), tmp_path)
    task = ToyTask()
    task.modules["model"] = torch.nn.Sequential(torch.nn.Linear(6, 3), torch.nn.Linear(3, 4))
    with pytest.raises(UserError, match="does not fit this run") as refused:
        fit(task, PLAN, tmp_path, resume=True)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"settings": 3}', b"\xff\xfe"])
def test_damaged_state(content: bytes, tmp_path: Path) -> None:
    fit(ToyTask(), replace(PLAN, steps=2), tmp_path, settings=SETTINGS)
    (tmp_path / "checkpoints" / "step_00000002" / "state.json").write_bytes(content)
    with pytest.raises(UserError, match="damaged") as refused:
        fit(ToyTask(), PLAN, tmp_path, resume=True, settings=SETTINGS)
    assert "step_00000002" in str(refused.value)


CUTS = [
    b"",
    b"st",
    b"step,a",
    b"step,a\r\n",
    b"step,a\r\n1,0.5\r\n2,0.",
    b"step,a\r\n1,0.5\r\n2",
    b"\0\0\0\0",
    b"1,0.5\r\n",
]


@pytest.mark.parametrize("cut", CUTS)
def test_a_table_cut_anywhere(cut: bytes, tmp_path: Path) -> None:
    (tmp_path / "validation.csv").write_bytes(cut)
    table = RunLog(tmp_path, resume_step=5)
    table.row("validation", 6, {"a": 0.25})
    table.close()
    columns = read_table(tmp_path / "validation.csv")
    assert columns["step"] == ([1, 6] if b"1,0.5\r\n2" in cut else [6])
    assert columns["a"][-1] == 0.25


def test_a_number_that_was_not_logged_before_gets_a_column(tmp_path: Path) -> None:
    table = RunLog(tmp_path)
    table.row("train", 1, {"a": 0.5})
    table.row("train", 2, {"a": 0.25, "b": 3.0})
    table.row("train", 3, {"b": 4.0})
    table.close()
    columns = read_table(tmp_path / "train.csv")
    assert columns["step"] == [1, 2, 3]
    np.testing.assert_equal(columns["a"], [0.5, 0.25, np.nan])
    np.testing.assert_equal(columns["b"], [np.nan, 3.0, 4.0])


def test_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file where the folder should be")
    with pytest.raises(UserError, match="Cannot write the run's log"):
        RunLog(tmp_path / "run")


def test_stopped_by_hand(tmp_path: Path) -> None:
    """Ctrl-C leaves the last checkpoint, and the run goes on from there."""
    with pytest.raises(KeyboardInterrupt):
        fit(Interrupted(), PLAN, tmp_path)
    assert fit(ToyTask(), PLAN, tmp_path, resume=True).step == 8
