"""The processes of one run: each trains on its own rows, all hold the same weights, and one of them writes files.

P processes with batches of B rows are one process with a batch of P B rows: gradients are averaged by torch's
DistributedDataParallel, and every loss is divided by the count of labels in all the batches (`losses.py`). Who is who
stands in the environment that torchrun, `monobody train --devices` (`train/launch.py`), SLURM or Ray prepared.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed

from monobody.errors import UserError
from monobody.train.plan import Plan

PATIENCE = timedelta(hours=2)
"""How long processes wait for each other: the first one validates, and caches features, while the others wait."""


BROKEN = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL", "Socket closed")
"""What gloo and NCCL say when the process at the other end is gone."""


def join(plan: Plan) -> Any:
    """Return the accelerator of a plan, having met the other processes of the run where there are some.

    Raises:
        UserError: accelerate is not installed, or this machine has fewer graphics cards than processes.
    """
    try:
        from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
        from accelerate.state import AcceleratorState
    except ImportError as error:
        raise UserError("Training needs accelerate: pip install 'monobody[train]'") from error
    processes = int(os.environ.get("WORLD_SIZE", 1))
    here = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    cards = 0 if plan.device == "cpu" else torch.cuda.device_count()
    if 0 < cards < here:
        raise UserError(f"{here} processes were started, but this machine has {_cards(cards)}: start {cards} here.")
    # Accelerate keeps the precision of a process's first Accelerator for all later ones, and refuses another.
    AcceleratorState._reset_state()
    return Accelerator(
        cpu=plan.device == "cpu" or (processes > 1 and cards == 0),
        mixed_precision="bf16" if plan.bf16 else "no",
        gradient_accumulation_steps=plan.accumulate,
        kwargs_handlers=[
            # Networks may have outputs that no loss looks at.
            DistributedDataParallelKwargs(find_unused_parameters=True),
            InitProcessGroupKwargs(timeout=PATIENCE),
        ],
    )


def is_main() -> bool:
    """Tell whether this process writes the run's files: the first one, or the only one."""
    return not together() or distributed.get_rank() == 0


def together() -> bool:
    """Tell whether several processes have met."""
    return distributed.is_available() and distributed.is_initialized()


@contextmanager
def main_first() -> Iterator[None]:
    """Let the others run the block only when the main process is through with it, to find what it wrote."""
    if not is_main():
        distributed.barrier()
    yield
    if together() and is_main():
        distributed.barrier()


def leave() -> None:
    """Part from the other processes at the end of a program."""
    if together():
        distributed.destroy_process_group()


class PeerLost(UserError):
    """Another process of the run ended; why, that one has to say."""


@contextmanager
def peers_watched() -> Iterator[None]:
    """Say in one sentence that another process ended, which shows as a connection that broke.

    Raises:
        PeerLost: one did.
    """
    try:
        yield
    except RuntimeError as error:
        if not together() or not any(sign in str(error) for sign in BROKEN):
            raise
        raise PeerLost(
            "Another process of this run ended before its time; see what it says. --resume goes on from the last "
            "checkpoint."
        ) from error


class Agreement:
    """What all processes have to decide alike after every step, so that they stop, validate and save together."""

    def __init__(self) -> None:
        # By way of the processors: to ask a graphics card would be to wait for it, at every step.
        self.group = distributed.new_group(backend="gloo", timeout=PATIENCE) if together() else None

    def __call__(self, seconds: float, stop: bool) -> tuple[float, bool]:
        """Return the main process's clock, and whether any process was asked to stop."""
        if self.group is None:
            return seconds, stop
        shared = torch.tensor([seconds if is_main() else 0.0, float(stop)], dtype=torch.float64)
        distributed.all_reduce(shared, group=self.group)
        return float(shared[0]), bool(shared[1] > 0)


def mean_over_processes(values: Tensor) -> Tensor:
    """Return the mean of a tensor over all processes."""
    if not together():
        return values
    values = values.clone()
    distributed.all_reduce(values)
    return values / distributed.get_world_size()


def _cards(count: int) -> str:
    return "1 graphics card" if count == 1 else f"{count} graphics cards"
