"""Several processes: the losses and weights of one with the double batch, resumed after kills, launched and stopped."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scale_task import PLAN, task_of

from monobody.data.crop import Crop
from monobody.data.mix import Mix, Part, batches
from monobody.data.sample import Augment, Sample
from monobody.errors import UserError
from monobody.train import checkpoint
from monobody.train.engine import fit
from monobody.train.launch import check_devices, launch
from monobody.train.log import read_table

pytest.importorskip("accelerate")
PROGRAM = Path(__file__).parent / "scale_task.py"
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


class Grey:
    """A finite set whose samples can be told apart by their betas."""

    def __init__(self, length: int, first: int) -> None:
        self.length, self.first = length, first

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int, /) -> Sample:
        betas = np.zeros(10, np.float32)
        betas[0] = self.first + number
        return Sample(
            image=np.full((32, 32, 3), 90, np.uint8),
            crop=Crop((16.0, 16.0), 20.0),
            keypoints_px=np.full((19, 2), 16, np.float32),
            visible=np.ones(19, np.float32),
            rotations=np.tile(np.eye(3, dtype=np.float32), (24, 1, 1)),
            betas=betas,
        )


def mix(*lengths: int) -> Mix:
    augment = Augment(appearance=None)
    parts = [
        Part(samples=Grey(length, 1000 * number), share=1.0, augment=augment) for number, length in enumerate(lengths)
    ]
    return Mix(parts, size=16, seed=4)


def taken(count: int, **where: int) -> list[dict[str, torch.Tensor]]:
    stream = batches(mix(40, 40), first=3, **where)
    return [next(stream) for _ in range(count)]


def test_processes_share_the_rows_of_one_large_batch():
    whole = taken(3, size=8)
    parts = [taken(3, size=4, process=process, processes=2) for process in (0, 1)]
    for number, batch in enumerate(whole):
        for name, values in batch.items():
            torch.testing.assert_close(torch.cat([part[number][name] for part in parts]), values, rtol=0, atol=0)


def test_no_sample_comes_twice_in_a_pass_over_processes_and_loaders():
    rows = mix(48)
    streams = [batches(rows, size=4, first=0, process=process, processes=3, workers=2) for process in range(3)]
    passes = [np.concatenate([next(stream)["betas"][:, 0].numpy() for _ in range(4) for stream in streams])]
    passes += [np.concatenate([next(stream)["betas"][:, 0].numpy() for _ in range(4) for stream in streams])]
    for seen in passes:
        assert sorted(seen) == list(range(48)), "each once, and no end of an epoch to wait at"
    assert list(passes[0]) != list(passes[1])


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Path:
    """The run of two processes with 4 rows each."""
    out = tmp_path_factory.mktemp("scale") / "pair"
    subprocess.run([*TORCHRUN, str(PROGRAM), str(out), "4", "6", "0"], env=ENVIRONMENT, check=True, timeout=500)
    return out


def weights(out: Path) -> dict[str, torch.Tensor]:
    last = checkpoint.complete(out / "checkpoints")[-1]
    assert last.name == "step_00000006"
    return {f"{path.name}/{k}": v for path in sorted(last.glob("*.safetensors")) for k, v in load_file(path).items()}


@pytest.mark.slow
def test_two_processes_equal_one_with_the_double_batch(pair, tmp_path):
    """In fp32, with SGD, over 6 steps: the order of sums is worth 1e-5 of the losses and 2e-6 in the weights."""
    before = {k: v.clone() for name, module in task_of(8).modules.items() for k, v in module.state_dict().items()}
    fit(task_of(8), PLAN, tmp_path)
    alone, together = read_table(tmp_path / "train.csv"), read_table(pair / "train.csv")
    assert {"keypoints", "joints", "parameters", "adversarial", "critic"} <= set(alone)
    for name in set(alone) - {"seconds"}:
        np.testing.assert_allclose(together[name], alone[name], rtol=1e-5, err_msg=name)
    one, two = weights(tmp_path), weights(pair)
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=0, atol=2e-6, msg=name)
    moved = max(float((v - before[name.split("/")[1]]).abs().max()) for name, v in one.items() if "average" not in name)
    assert moved > 1e-2


@pytest.mark.slow
def test_losses_of_one_process_alone_would_differ(pair, tmp_path, monkeypatch):
    """What the test above proves: divided by each process's own count, the losses are others."""
    task = task_of(4)
    first = next(task.batches(0, process=0, processes=2)), next(task.batches(0, process=1, processes=2))
    apart = np.mean([[v.item() for v in task.losses(batch).values()] for batch in first], axis=0)
    table = read_table(pair / "train.csv")
    together = [table[name][0] for name in task.losses(first[0])]
    assert np.abs(apart[:3] / together[:3] - 1).max() > 0.01


@pytest.mark.slow
def test_two_processes_killed_and_resumed_equal_an_uninterrupted_run(pair, tmp_path):
    out = tmp_path / "killed"
    process = subprocess.Popen(
        [*TORCHRUN, str(PROGRAM), str(out), "4", "6", "0.4"], env=ENVIRONMENT, start_new_session=True
    )
    deadline = time.monotonic() + 400
    while not (out / "checkpoints" / "step_00000002").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert len(read_table(out / "train.csv")["step"]) < 6
    subprocess.run([*TORCHRUN, str(PROGRAM), str(out), "4", "6", "0"], env=ENVIRONMENT, check=True, timeout=500)
    whole, resumed = read_table(pair / "train.csv"), read_table(out / "train.csv")
    for name in set(whole) - {"seconds"}:
        assert resumed[name] == whole[name], name
    one, two = weights(pair), weights(out)
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_fewer_devices_than_asked_are_one_sentence():
    for asked, cards, cores in ((2, 2, 1), (16, 0, 16), (1, 1, 1)):
        check_devices(asked, 1, cards=cards, cores=cores)
    with pytest.raises(UserError, match=r"2 graphics cards\. Ask for --devices 2"):
        check_devices(8, 1, cards=2, cores=64)
    with pytest.raises(UserError, match="has 4 cores"):
        check_devices(8, 1, cards=0, cores=4)
    with pytest.raises(UserError, match="begin at 1"):
        check_devices(0, 1, cards=2, cores=4)


def test_more_processes_than_cards_are_refused(monkeypatch):
    from monobody.train.processes import join

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(UserError, match="has 1 graphics card: start 1 here"):
        join(replace(PLAN, device=None))


def test_several_machines_need_an_address(monkeypatch):
    for name in ("MASTER_ADDR", "NODE_RANK", "SLURM_NODEID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="MASTER_ADDR"):
        launch("train", "tiny", {}, devices=1, nodes=2, device="cpu")
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("NODE_RANK", "2")
    with pytest.raises(UserError, match="0 to 1"):
        launch("train", "tiny", {}, devices=1, nodes=2, device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_a_checkpoint_and_goes_on(tmp_path, number):
    """The program is stopped in the middle of its steps, and says how to go on; what it left is the exact beginning."""
    code = f"import sys; sys.path.insert(0, {str(PROGRAM.parent)!r})\n"
    code += "from pathlib import Path; from dataclasses import replace; from scale_task import PLAN, task_of\n"
    code += "from monobody.cli import main; from monobody.train import run; from monobody.train.engine import fit\n"
    code += f"run.train = lambda *a, **k: fit(task_of(4, 0.3), replace(PLAN, steps=40), Path({str(tmp_path)!r}))\n"
    code += "sys.exit(main(['train', 'tiny']))"
    process = subprocess.Popen([sys.executable, "-c", code], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not (tmp_path / "checkpoints" / "step_00000002").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 130
    assert "--resume goes on from there" in said.splitlines()[-1]
    assert "Traceback" not in said
    last = checkpoint.complete(tmp_path / "checkpoints")[-1]
    steps = int(last.name.removeprefix("step_"))
    assert f"step {steps}," in said
    assert read_table(tmp_path / "train.csv")["step"] == list(range(1, steps + 1))
    state = fit(task_of(4), replace(PLAN, steps=steps + 1), tmp_path, resume=True)
    assert state.step == steps + 1
