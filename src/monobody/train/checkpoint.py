"""Checkpoints of a run: folders `step_00001200/` that appear whole or not at all.

Inside lie, for every module of the task, `NAME.safetensors` and its average `NAME_average.safetensors`, for every
optimiser `NAME_optimiser.pt` (tensors and numbers only, read with `weights_only=True`), and `state.json` with the
counters and the settings the run was started with. The folder is filled under another name and renamed at the end, so a
run killed at any instant leaves its last complete checkpoint behind.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from monobody.errors import UserError

KEPT = 2
"""How many checkpoints a run keeps: the newest and, should the disk have damaged it, the one before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunState:
    """What a run has to remember besides tensors."""

    step: int
    """Optimiser steps made."""
    seconds: float
    """Time spent in the loop, over all pieces of the run."""
    best: float | None = None
    """Best value of the task's headline number so far; smaller is better."""


def save(
    folder: Path,
    *,
    state: RunState,
    modules: Mapping[str, nn.Module],
    averages: Mapping[str, Mapping[str, Tensor]],
    optimisers: Mapping[str, torch.optim.Optimizer],
    settings: Mapping[str, Any],
) -> Path:
    """Write one checkpoint under `folder` and return its path; older ones beyond `KEPT` are removed."""
    target = folder / f"step_{state.step:08d}"
    partial = folder / f".{target.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for name, module in modules.items():
            save_file(_plain(module.state_dict()), partial / f"{name}.safetensors")
        for name, average in averages.items():
            save_file(_plain(average), partial / f"{name}_average.safetensors")
        for name, optimiser in optimisers.items():
            torch.save(optimiser.state_dict(), partial / f"{name}_optimiser.pt")
        counters = {"step": state.step, "seconds": state.seconds, "best": state.best}
        (partial / "state.json").write_text(json.dumps({**counters, "settings": settings}, indent=1))
        shutil.rmtree(target, ignore_errors=True)
        os.replace(partial, target)
    except OSError as error:
        raise UserError(
            f"Cannot write the checkpoint {target}: {error.strerror or error}. Free space, then go on with --resume."
        ) from error
    for old in complete(folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def complete(folder: Path) -> list[Path]:
    """List the complete checkpoints of a run, oldest first."""
    return sorted(path for path in folder.glob("step_*") if (path / "state.json").is_file())


def load(
    path: Path,
    *,
    modules: Mapping[str, nn.Module],
    averages: Mapping[str, dict[str, Tensor]],
    optimisers: Mapping[str, torch.optim.Optimizer],
) -> RunState:
    """Fill modules, averages and optimisers from one checkpoint and return the counters it was written with.

    Raises:
        UserError: a file is missing or damaged, or belongs to another network.
    """
    try:
        for name, module in modules.items():
            module.load_state_dict(load_file(path / f"{name}.safetensors"))
        for name, average in averages.items():
            for key, value in load_file(path / f"{name}_average.safetensors").items():
                average[key].copy_(value)
        for name, optimiser in optimisers.items():
            optimiser.load_state_dict(
                torch.load(path / f"{name}_optimiser.pt", weights_only=True, map_location=_device_of(optimiser))
            )
        state = json.loads((path / "state.json").read_text())
        return RunState(step=int(state["step"]), seconds=float(state["seconds"]), best=state["best"])
    except Exception as error:
        raise UserError(
            f"The checkpoint {path} does not fit this run or is damaged ({error}). Remove that folder to go on from "
            "the one before it, or start a new run in another --out folder."
        ) from error


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _device_of(optimiser: torch.optim.Optimizer) -> torch.device:
    return optimiser.param_groups[0]["params"][0].device
