"""Checkpoints of a run: folders `step_00001200/` that appear whole or not at all.

Inside lie, for every module of the task, `NAME.safetensors` and its average `NAME_average.safetensors`, for every
optimiser `NAME_optimiser.pt` (tensors and numbers only, read with `weights_only=True`), and `state.json` with the
counters and the settings the run was started with. The folder is filled under another name, brought to the disk, and
renamed at the end; an old one is renamed before it is removed. A run killed at any instant, or stopped by a full disk,
leaves its last complete checkpoint behind.
"""

import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from monobody.errors import UserError

KEPT = 2
"""How many checkpoints a run keeps: the newest and, should the disk have damaged it, the one before."""

HARMLESS = frozenset(
    {"steps", "minutes", "pause_minutes", "device", "devices", "nodes", "workers", "log_every", "validate_minutes"}
    | {"checkpoint_minutes", "checkpoint_steps", "validation_synthetic", "validation_photos", "cached"}
)
"""Settings that a resumed run may have otherwise: how long it trains, where, how often it is looked at, and the first
stage, which lies behind it."""


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
    """Write one checkpoint under `folder` and return its path; older ones beyond `KEPT` are removed.

    Raises:
        UserError: it cannot be written, for instance because the disk is full. Those before it are untouched.
    """
    target = folder / f"step_{state.step:08d}"
    partial = folder / f".{target.name}.partial"
    sweep(folder)
    try:
        partial.mkdir(parents=True)
        for name, module in modules.items():
            _write(partial / f"{name}.safetensors", to_safetensors(_plain(module.state_dict())))
        for name, average in averages.items():
            _write(partial / f"{name}_average.safetensors", to_safetensors(_plain(average)))
        for name, optimiser in optimisers.items():
            # Serialised here and written by us: torch and safetensors report a full disk by errors of their own.
            buffer = io.BytesIO()
            torch.save(optimiser.state_dict(), buffer)
            _write(partial / f"{name}_optimiser.pt", buffer.getbuffer())
        counters = {"step": state.step, "seconds": state.seconds, "best": state.best}
        _write(partial / "state.json", json.dumps({**counters, "settings": settings}, indent=1).encode())
        _discard(target)
        os.replace(partial, target)
        _sync(folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        before = complete(folder)
        kept = f"{before[-1].name} before it is kept" if before else "There is none before it"
        raise UserError(
            f"Cannot write the checkpoint {target}: {error.strerror or error}. {kept}: free space (or choose another "
            "--out folder), then go on with --resume."
        ) from error
    _remove_old(folder)
    return target


def complete(folder: Path) -> list[Path]:
    """List the complete checkpoints of a run, oldest first."""
    return sorted(path for path in folder.glob("step_*") if (path / "state.json").is_file())


def sweep(folder: Path) -> None:
    """Remove what a killed run left half-written or half-removed."""
    for name in ("*.partial", "*.old"):
        for path in folder.glob(f".step_{name}"):
            shutil.rmtree(path, ignore_errors=True)


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
        # Torch lists every tensor that does not fit, one a line; the first line says what is the matter.
        reason = " ".join(str(error).split("\n\t")[:2]).strip().rstrip(".")
        raise UserError(
            f"The checkpoint {path} does not fit this run or is damaged ({reason}). Remove that folder to go on from "
            "the one before it, or start a new run in another --out folder."
        ) from error


def newest(out: Path, *, resume: bool, settings: Mapping[str, Any] | None) -> Path | None:
    """Return the checkpoint from which the run in `out` goes on; None where there is no run yet.

    Settings that only one of both runs knows are not compared: an older version may have had fewer.

    Raises:
        UserError: there is a run, and `resume` is off, or its settings differ in more than what is `HARMLESS`; or its
            newest checkpoint is damaged.
    """
    sweep(out / "checkpoints")
    found = complete(out / "checkpoints")
    if not found:
        return None
    if not resume:
        raise UserError(f"{out} holds a run already. Continue it with --resume, or choose another --out folder.")
    try:
        stored = dict(json.loads((found[-1] / "state.json").read_text())["settings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"The checkpoint {found[-1]} is damaged ({error}). Remove that folder to go on from the one before it, or "
            "start a new run in another --out folder."
        ) from error
    different = [] if settings is None else list(differences(stored, settings))
    if different:
        more = f", and {len(different) - 1} more settings differ" if len(different) > 1 else ""
        raise UserError(
            f"The run in {out} was started with {different[0]}{more}. Resume it with the settings that it was started "
            "with, or start a new run in another --out folder."
        )
    # A run that was killed just before it removed them, after its last step, saves no more.
    _remove_old(out / "checkpoints")
    return found[-1]


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    """Yield what stored settings have otherwise, in words: `weights.joints 60.0, not 30.0`."""
    # As they are after a round trip through JSON, which knows no tuples.
    before, now = _flat(stored), _flat(json.loads(json.dumps(wanted)))
    for name, value in before.items():
        if name in now and now[name] != value and HARMLESS.isdisjoint(name.split(".")):
            shown = "recipe" if name == "name" else name
            yield f"{shown} {json.dumps(value)}, not {json.dumps(now[name])}"


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _device_of(optimiser: torch.optim.Optimizer) -> torch.device:
    return optimiser.param_groups[0]["params"][0].device


def _write(path: Path, content: bytes | memoryview) -> None:
    """Write a file and wait until the disk has it, so that a rename never outruns the content."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_old(folder: Path) -> None:
    for old in complete(folder)[:-KEPT]:
        # Another process of the run may be ahead.
        with suppress(FileNotFoundError):
            _discard(old)


def _discard(path: Path) -> None:
    """Remove a checkpoint; at no instant does half of one look complete."""
    if path.exists():
        hidden = path.with_name(f".{path.name}.old")
        path.replace(hidden)
        shutil.rmtree(hidden, ignore_errors=True)
