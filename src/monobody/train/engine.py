"""The one training loop, on Hugging Face accelerate: a processor, a graphics card or several, in fp32 or bf16.

    every step:    batch -> losses -> backward -> clip -> optimisers -> averages
    now and then:  log, validate, checkpoint

Everything random in step n is a function of (seed, n), so a run that is killed and resumed from its last checkpoint
draws the same loss curve as one that was not. A run is bounded by steps or by minutes; the learning rate follows a
cosine over whichever it is. A machine that is there for a few minutes at a time trains in pieces: `Plan.pause_minutes`
ends a piece with a checkpoint, as Ctrl-C and SIGTERM do; `resume` begins the next one. Several processes make each step
together (`train/processes.py`).
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from monobody.data.mix import loaders_watched
from monobody.errors import Interrupted, UserError
from monobody.train import checkpoint
from monobody.train.average import Averages
from monobody.train.checkpoint import RunState
from monobody.train.interrupt import StopRequest
from monobody.train.log import RunLog
from monobody.train.plan import Plan, Rhythm
from monobody.train.processes import Agreement, join, mean_over_processes, peers_watched
from monobody.train.progress import Progress
from monobody.train.step import SKIPPED, Stepper
from monobody.train.task import Task


def fit(
    task: Task, plan: Plan, out: Path, *, resume: bool = False, settings: Mapping[str, Any] | None = None
) -> RunState:
    """Train a task and return where it stands: at `plan.progress(state) == 1`, unless the piece was paused.

    Leaves tables and pictures (`train/log.py`) and `checkpoints/` in `out`. The task's modules are left with their
    averaged weights, on the processor. `settings` go into every checkpoint: for whoever finds it later, and so that no
    run is resumed with others.

    Raises:
        UserError: accelerate is not installed; `out` holds a run and `resume` is off, or one of other settings; a
            checkpoint is damaged or cannot be written; the losses are no longer numbers; or there are fewer graphics
            cards than processes.
        Interrupted: the run was asked to stop before its end; it left a checkpoint.
    """
    accelerator = join(plan)
    main = accelerator.is_main_process
    for module in task.modules.values():
        module.to(accelerator.device).train()
    averages = Averages(task.modules, plan.average_decay)
    for group in _groups(task):
        group["peak_lr"] = group["lr"]
    start = state = _restore(task, averages, out, resume=resume, settings=settings)
    accelerator.wait_for_everyone()
    step, agree = Stepper(task, plan, accelerator), Agreement()

    logging = Rhythm(start, steps=plan.log_every)
    saving = Rhythm(start, minutes=plan.checkpoint_minutes, steps=plan.checkpoint_steps)
    validating = Rhythm(start, minutes=plan.validate_minutes)
    pausing = Rhythm(start, minutes=plan.pause_minutes)
    log = RunLog(out, resume_step=start.step) if main else None
    rows: list[tuple[RunState, dict[str, Tensor]]] = []
    began = time.monotonic() - start.seconds

    progress, request = Progress(plan, start, shown=main), StopRequest()
    with progress, request, loaders_watched(), peers_watched():
        batches = task.batches(
            start.step * plan.accumulate, process=accelerator.process_index, processes=accelerator.num_processes
        )
        over, stopped = plan.progress(start) >= 1, False
        while not over:
            _seed(plan.seed, state.step, accelerator.process_index)
            rate = plan.rate(state)
            for group in _groups(task):
                group["lr"] = group["peak_lr"] * rate
            losses = step(batches)
            averages.update(state.step)
            seconds, stopped = agree(time.monotonic() - began, request.made)
            state = replace(state, step=state.step + 1, seconds=seconds)
            rows.append((state, losses | {"rate": torch.tensor(rate)}))

            finished = plan.progress(state) >= 1
            over = finished or stopped or pausing.due(state)
            validate = finished or (validating.due(state) and not stopped)
            save = over or validate or saving.due(state)
            if save or logging.due(state):
                progress.show(state, _flush(rows, log))
                rows.clear()
            if validate:
                if log is not None:
                    with averages.in_place():
                        state = _validate(task, state, log, progress)
                validating.done(state)
            if save:
                if main:
                    _save(task, averages, state, out, settings)
                accelerator.wait_for_everyone()
                saving.done(state)

    if log is not None:
        log.close()
    if stopped and plan.progress(state) < 1:
        raise Interrupted(f"Stopped after step {state.step}, with a checkpoint in {out}. --resume goes on from there.")
    for name, module in task.modules.items():
        module.load_state_dict(averages.tensors[name])
        module.cpu().eval()
    return state


def _flush(rows: list[tuple[RunState, dict[str, Tensor]]], log: RunLog | None) -> dict[str, float]:
    """Write the steps made since the last time to the table and return their mean.

    The losses of several steps cross from the device, and from the other processes, together: asking for each at once
    would stall a graphics card.
    """
    names = list(rows[0][1])
    device = rows[0][1][names[0]].device
    values = torch.stack([torch.stack([losses[name].float().to(device) for name in names]) for _, losses in rows])
    values = mean_over_processes(values).cpu()
    if not torch.isfinite(values).all():
        raise UserError(
            f"The losses are no longer numbers after step {rows[-1][0].step}. Lower the learning rate and go on from "
            "the last checkpoint with --resume."
        )
    if log is not None:
        for (state, _), row in zip(rows, values.tolist(), strict=True):
            log.row("train", state.step, dict(zip(names, row, strict=True)) | {"seconds": state.seconds})
    means = dict(zip(names, values.mean(0).tolist(), strict=True))
    return {name: mean for name, mean in means.items() if mean or name != SKIPPED}


def _validate(task: Task, state: RunState, log: RunLog, progress: Progress) -> RunState:
    with torch.no_grad():
        findings = task.validate()
    log.row("validation", state.step, {**findings.numbers, "seconds": state.seconds})
    for name, picture in findings.pictures.items():
        log.picture(name, state.step, picture)
    progress.tell(state, findings.numbers)
    if findings.headline is None:
        return state
    value = findings.numbers[findings.headline]
    return replace(state, best=value if state.best is None else min(state.best, value))


def _save(
    task: Task,
    averages: Averages,
    state: RunState,
    out: Path,
    settings: Mapping[str, Any] | None,
) -> None:
    checkpoint.save(
        out / "checkpoints",
        state=state,
        modules=task.modules,
        averages=averages.tensors,
        optimisers=task.optimisers,
        settings=settings or {},
    )


def _restore(
    task: Task, averages: Averages, out: Path, *, resume: bool, settings: Mapping[str, Any] | None
) -> RunState:
    """Go back to the last checkpoint of the run in `out`, or to the beginning where there is none."""
    found = checkpoint.newest(out, resume=resume, settings=settings)
    if found is None:
        return RunState(step=0, seconds=0.0)
    return checkpoint.load(found, modules=task.modules, averages=averages.tensors, optimisers=task.optimisers)


def _groups(task: Task) -> list[dict[str, Any]]:
    return [group for optimiser in task.optimisers.values() for group in optimiser.param_groups]


def _seed(seed: int, step: int, process: int) -> None:
    """Make dropout, and whatever else draws from torch's own generators, a function of the step."""
    torch.manual_seed(int(np.random.SeedSequence([seed, step, process]).generate_state(1, np.uint64)[0] >> 1))
