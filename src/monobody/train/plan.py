"""How long and how carefully to train, whatever is trained; and what is due when."""

import math
from dataclasses import dataclass

from monobody.errors import UserError
from monobody.train.checkpoint import RunState


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The part of a recipe that the training loop reads."""

    steps: int | None = None
    """Optimiser steps of the whole run; None where `minutes` bound it."""
    minutes: float | None = None
    """Length of the whole run in minutes, over all its pieces; None where `steps` bound it."""
    pause_minutes: float | None = None
    """End this piece after so many minutes, with a checkpoint to resume from."""
    seed: int = 0
    warmup_steps: int = 200
    """Steps over which the learning rate rises from nothing."""
    final_rate: float = 0.02
    """Share of the learning rate that is left at the end of the cosine."""
    accumulate: int = 1
    """Batches whose gradients are averaged into one step."""
    clip_norm: float | None = 1.0
    """Largest norm of the gradient of each optimiser's parameters."""
    average_decay: float = 0.999
    """Weight of the past, per step, in the averaged weights that are validated and shipped."""
    bf16: bool = False
    """Run the modules in bfloat16 where that is safe (autocast)."""
    device: str | None = None
    """`cpu` keeps a machine's graphics card out of it."""
    log_every: int = 20
    """Steps between visits to the disk and the terminal; every step gets its own row all the same."""
    validate_minutes: float | None = 10.0
    """Time between validations; one more closes the run. None: only that one."""
    checkpoint_minutes: float | None = 3.0
    """Time between checkpoints; None where `checkpoint_steps` says it."""
    checkpoint_steps: int | None = None
    """Steps between checkpoints."""

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise UserError("A training run needs a length: either steps or minutes, and not both.")

    def progress(self, state: RunState) -> float:
        """Return how much of the run lies behind, from 0 to 1."""
        if self.steps is not None:
            return min(state.step / self.steps, 1.0) if self.steps > 0 else 1.0
        assert self.minutes is not None
        return min(state.seconds / max(60 * self.minutes, 1e-9), 1.0)

    def rate(self, state: RunState) -> float:
        """Return the share of the learning rate for the next step: a linear rise, then half a cosine."""
        rise = min((state.step + 1) / max(self.warmup_steps, 1), 1.0)
        fall = 0.5 * (1 + math.cos(math.pi * self.progress(state)))
        return rise * (self.final_rate + (1 - self.final_rate) * fall)


class Rhythm:
    """Says when something is due that happens every so many minutes, or steps, of a run."""

    def __init__(self, start: RunState, *, minutes: float | None = None, steps: int | None = None) -> None:
        self.last = start
        self.seconds = math.inf if minutes is None else 60 * minutes
        self.steps = steps

    def due(self, state: RunState) -> bool:
        """Tell whether it is time."""
        by_steps = self.steps is not None and state.step % self.steps == 0
        return by_steps or state.seconds - self.last.seconds >= self.seconds

    def done(self, state: RunState) -> None:
        """Begin the next interval."""
        self.last = state
