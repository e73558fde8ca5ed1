"""One step of a task's optimisers, alone or in step with other processes, in fp32 or bf16."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from monobody.train.plan import Plan
from monobody.train.task import Batch, Task

SKIPPED = "skipped"
"""Under this name a batch says how many bad samples were passed over for each of its rows (`data/mix.py`)."""


class Stepper:
    """Makes steps: batches, losses, backward, clip, optimisers.

    Args:
        task: its modules run in the plan's precision from now on; they stay what they are otherwise.
        plan: how many batches make a step, and how large a gradient may be.
        accelerator: see `train/processes.py`.
    """

    def __init__(self, task: Task, plan: Plan, accelerator: Any) -> None:
        self.task, self.plan, self.accelerator = task, plan, accelerator
        for module in task.modules.values():
            # In this mode nothing but the precision is prepared.
            accelerator.prepare_model(module, evaluation_mode=True)
        self.losses = accelerator.prepare_model(_Losses(task, accelerator.device.type))
        self.optimisers = [accelerator.prepare_optimizer(optimiser) for optimiser in task.optimisers.values()]

    def __call__(self, batches: Iterator[Batch]) -> dict[str, Tensor]:
        """Make one step and return the mean of each loss over its batches, and how many samples were passed over."""
        means: dict[str, Tensor] = {}
        skipped: list[Tensor] = []
        for _ in range(self.plan.accumulate):
            batch = dict(next(batches))
            if SKIPPED in batch:
                # Of all processes together, once the mean over them is taken.
                skipped.append(batch.pop(SKIPPED).sum() * self.accelerator.num_processes)
            batch = {name: value.to(self.accelerator.device, non_blocking=True) for name, value in batch.items()}
            with self.accelerator.accumulate(self.losses):
                losses = self.losses(batch)
                self.accelerator.backward(torch.stack(list(losses.values())).sum())
                for optimiser in self.optimisers:
                    if self.accelerator.sync_gradients and self.plan.clip_norm is not None:
                        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
                        self.accelerator.clip_grad_norm_(parameters, self.plan.clip_norm)
                    optimiser.step()
                    optimiser.zero_grad()
            for name, loss in losses.items():
                share = loss.detach() / self.plan.accumulate
                means[name] = means[name] + share if name in means else share
        return means | {SKIPPED: torch.stack(skipped).sum()} if skipped else means


class _Losses(nn.Module):
    """All that a task computes in a step, as one module.

    DistributedDataParallel so sees one forward pass before each backward pass, however often the task calls which of
    its modules, and whatever else it does with their parameters.
    """

    def __init__(self, task: Task, device: str) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(task.modules)
        self.task = task
        self.device = device

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        # The modules choose bf16 for themselves; what is done with their answers stays exact.
        with torch.autocast(self.device, enabled=False):
            return self.task.losses(batch)
