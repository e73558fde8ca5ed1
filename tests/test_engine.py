"""The training loop: exact resumption after SIGKILL, pieces, averages, accumulation, golden curve."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toy_task import ToyTask

from monobody.errors import UserError
from monobody.train import checkpoint, engine
from monobody.train.average import Averages
from monobody.train.checkpoint import RunState
from monobody.train.engine import fit
from monobody.train.log import read_table
from monobody.train.plan import Plan

pytest.importorskip("accelerate")

PLAN = Plan(
    steps=20, warmup_steps=5, log_every=5, checkpoint_steps=10, checkpoint_minutes=None, device="cpu", average_decay=0.9
)
GOLDEN = Path(__file__).parent / "golden" / "engine_toy.json"


def curve(out: Path) -> np.ndarray:
    table = read_table(out / "train.csv")
    assert table["step"] == list(range(1, len(table["step"]) + 1)), "each step once, in order"
    return np.array([table["square"], table["absolute"], table["rate"]])


@pytest.fixture
def a_second_a_step(monkeypatch):
    """The engine looks at its clock once a step; here that is a second, however long it took."""
    monkeypatch.setattr(engine, "time", SimpleNamespace(monotonic=itertools.count().__next__))


def test_golden_curve(tmp_path):
    fit(ToyTask(), PLAN, tmp_path)
    np.testing.assert_allclose(curve(tmp_path)[0], json.loads(GOLDEN.read_text())["square"], rtol=2e-4)


@pytest.mark.slow
def test_killed_run_resumes_with_the_same_curve(tmp_path):
    """Kill the program with SIGKILL in the middle of a step, twice; the curve must be that of an undisturbed run."""
    program = [sys.executable, str(Path(__file__).parent / "toy_task.py"), str(tmp_path / "killed"), "40"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for wanted in (10, 20):
        process = subprocess.Popen([*program, "0.05"], env=environment, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 600
        while not (tmp_path / "killed" / "checkpoints" / f"step_{wanted:08d}").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.17)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    subprocess.run([*program, "0"], env=environment, check=True, stderr=subprocess.DEVNULL)
    whole = replace(PLAN, steps=40, warmup_steps=200, average_decay=0.999)
    fit(ToyTask(), whole, tmp_path / "whole")
    np.testing.assert_array_equal(curve(tmp_path / "killed"), curve(tmp_path / "whole"))
    ends = [checkpoint.complete(tmp_path / name / "checkpoints")[-1] for name in ("killed", "whole")]
    for file in ("model.safetensors", "model_average.safetensors"):
        assert (ends[0] / file).read_bytes() == (ends[1] / file).read_bytes()


def test_pieces_of_a_run_make_the_whole(tmp_path, a_second_a_step):
    fit(ToyTask(), PLAN, tmp_path / "whole")
    ends = []
    state = RunState(step=0, seconds=0)
    while PLAN.progress(state) < 1:
        state = fit(ToyTask(), replace(PLAN, pause_minutes=7 / 60), tmp_path / "pieces", resume=True)
        ends.append(state.step)
    assert ends == [7, 14, 20]
    np.testing.assert_array_equal(curve(tmp_path / "whole"), curve(tmp_path / "pieces"))


def test_a_time_budget_ends_the_run_and_its_cosine(tmp_path, a_second_a_step):
    plan = replace(PLAN, steps=None, minutes=30 / 60, warmup_steps=1)
    state = fit(ToyTask(), plan, tmp_path)
    assert (state.step, state.seconds) == (30, 30)
    rates = curve(tmp_path)[2]
    np.testing.assert_allclose(rates, 0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * np.arange(30) / 30)), atol=1e-6)


def test_accumulated_batches_equal_one_larger_batch(tmp_path):
    class Plain(ToyTask):
        def __init__(self, parts):
            super().__init__()
            self.parts = parts
            self.modules["model"] = model = torch.nn.Linear(6, 4)
            self.optimisers["model"] = torch.optim.SGD(model.parameters(), lr=0.1)

        def batches(self, first, *, process, processes):
            for number in range(first, 100):
                x = torch.randn(32, 6, generator=torch.Generator().manual_seed(number // self.parts))
                for part in x.chunk(self.parts) if number % self.parts == 0 else ():
                    yield {"x": part, "y": part @ self.truth.T}

    results = []
    for parts in (1, 4):
        torch.manual_seed(0)
        task = Plain(parts)
        fit(task, replace(PLAN, steps=6, accumulate=parts, clip_norm=0.5), tmp_path / str(parts))
        results.append(task.modules["model"].weight.detach())
    torch.testing.assert_close(results[0], results[1])


def test_resuming_draws_the_batches_that_come_next(tmp_path):
    fit(ToyTask(), replace(PLAN, steps=12, accumulate=2), tmp_path)
    task = ToyTask()
    fit(task, replace(PLAN, steps=15, accumulate=2), tmp_path, resume=True)
    assert task.drawn == list(range(24, 30))


def test_finished_run_is_left_alone_and_a_started_one_is_not_overwritten(tmp_path):
    fit(ToyTask(), PLAN, tmp_path)
    task = ToyTask()
    assert fit(task, PLAN, tmp_path, resume=True).step == 20
    assert task.drawn == []
    with pytest.raises(UserError, match="--resume"):
        fit(ToyTask(), PLAN, tmp_path)


def test_diverging_run_stops_before_it_overwrites_a_checkpoint(tmp_path):
    class Diverging(ToyTask):
        def losses(self, batch):
            losses = super().losses(batch)
            return {name: loss * (float("nan") if self.drawn[-1] == 14 else 1.0) for name, loss in losses.items()}

    with pytest.raises(UserError, match="no longer numbers"):
        fit(Diverging(), PLAN, tmp_path)
    assert [path.name for path in checkpoint.complete(tmp_path / "checkpoints")] == ["step_00000010"]


def test_validation_sees_averages_and_leaves_a_table_and_a_picture(tmp_path):
    task = ToyTask()
    state = fit(task, PLAN, tmp_path)
    table = read_table(tmp_path / "validation.csv")
    assert table["error"] == pytest.approx([state.best])
    assert task.validate().numbers["error"] == pytest.approx(state.best), "the modules are left with their averages"
    assert (tmp_path / "pictures" / "grey_00000020.png").is_file()


def test_damaged_checkpoint_is_named(tmp_path):
    fit(ToyTask(), PLAN, tmp_path)
    newest = checkpoint.complete(tmp_path / "checkpoints")[-1]
    (newest / "model_optimiser.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="damaged"):
        fit(ToyTask(), replace(PLAN, steps=30), tmp_path, resume=True)


def test_optimiser_file_runs_no_code(tmp_path):
    class Exploit:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'owned'}",)

    fit(ToyTask(), PLAN, tmp_path / "run")
    newest = checkpoint.complete(tmp_path / "run" / "checkpoints")[-1]
    torch.save({"state": Exploit()}, newest / "model_optimiser.pt")
    with pytest.raises(UserError):
        fit(ToyTask(), replace(PLAN, steps=30), tmp_path / "run", resume=True)
    assert not (tmp_path / "owned").exists()


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    fit(ToyTask(), replace(PLAN, checkpoint_steps=4), tmp_path)
    names = [path.name for path in checkpoint.complete(tmp_path / "checkpoints")]
    assert names == ["step_00000016", "step_00000020"]


def test_averages_follow_the_weights_and_give_them_back():
    model = torch.nn.Linear(2, 2)
    averages = Averages({"model": model}, decay=0.5)
    first = model.weight.detach().clone()
    with torch.no_grad():
        model.weight += 1
    averages.update(step=1000)
    torch.testing.assert_close(averages.tensors["model"]["weight"], first + 0.5)
    with averages.in_place():
        torch.testing.assert_close(model.weight.detach(), first + 0.5)
    torch.testing.assert_close(model.weight.detach(), first + 1)
    assert model.training


def test_a_run_of_no_steps_leaves_its_weights_alone(tmp_path):
    """A recipe whose regressor learns on kept features may stop there."""
    task = ToyTask()
    before = {name: value.clone() for name, value in task.modules["model"].state_dict().items()}
    state = fit(task, replace(PLAN, steps=0), tmp_path)
    assert state.step == 0
    assert not task.drawn
    for name, value in task.modules["model"].state_dict().items():
        assert torch.equal(value, before[name])


def test_a_plan_needs_one_length():
    with pytest.raises(UserError):
        Plan()
    with pytest.raises(UserError):
        Plan(steps=1, minutes=1)


@pytest.mark.slow
def test_bf16_trains(tmp_path):
    fit(ToyTask(), replace(PLAN, bf16=True), tmp_path)
    losses = curve(tmp_path)[0]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.slow
def test_two_processes_train_one_model(tmp_path):
    """Two processes see different batches, step together, and leave one log, one checkpoint and one set of weights."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    program = [str(Path(__file__).parent / "toy_task.py"), str(tmp_path / "pair"), "12", "0"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *program]
    subprocess.run(launch, env=environment, check=True, capture_output=True, timeout=240)
    fit(ToyTask(), replace(PLAN, steps=12, warmup_steps=200, average_decay=0.999), tmp_path / "alone")
    pair, alone = curve(tmp_path / "pair"), curve(tmp_path / "alone")
    assert pair.shape == alone.shape
    # Losses are logged as the mean over both, which see different batches (tests/test_scale.py has the exact numbers).
    np.testing.assert_allclose(pair[0][0], alone[0][0], rtol=0.2)
    assert not np.allclose(pair[0], alone[0], rtol=1e-4)
    assert [path.name for path in checkpoint.complete(tmp_path / "pair" / "checkpoints")][-1] == "step_00000012"


if __name__ == "__main__":
    # Writes the golden curve anew: only when a change of the numbers is meant.
    import tempfile

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        fit(ToyTask(), PLAN, Path(folder))
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(json.dumps({"square": read_table(Path(folder) / "train.csv")["square"]}) + "\n")
