"""Minimise many small, independent functions side by side: limited-memory BFGS, each with its own steps.

Liu and Nocedal, "On the limited memory BFGS method for large scale optimization" (1989), with a backtracking line
search. All functions are evaluated together at their own trial points; one whose trial went far enough down goes on
with a new direction, another halves its step, a third has finished. So no evaluation is spent on waiting, and what
comes out for one function does not depend on which others are beside it.

The variables of all functions lie in one flat vector; ``group`` says for each number whose it is.
Shapes: N numbers in all, g functions.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Evaluate = Callable[[Float[Tensor, " N"]], tuple[Float[Tensor, " g"], Float[Tensor, " N"]]]
"""Variables in; every function's value and the gradient of their sum out."""

HISTORY = 10
_ENOUGH = 1e-4
"""A step must gain this share of what the slope promises (Armijo)."""
_SMALLEST_STEP = 1e-5
_PATIENCE = 3
"""So many steps in a row that gain next to nothing are the end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Minimum:
    """Where the functions were brought to."""

    x: Float[Tensor, " N"]
    value: Float[Tensor, " g"]
    converged: Bool[Tensor, " g"]
    evaluations: int


@torch.no_grad()
def minimise(
    evaluate: Evaluate,
    x: Float[Tensor, " N"],
    group: Int[Tensor, " N"],
    *,
    evaluations: int,
    tolerance: float = 1e-4,
    longest: float = 1.0,
) -> Minimum:
    """Minimise every function from where ``x`` is.

    Args:
        evaluate: values and gradient.
        x: the variables, scaled so that a step of one is a large one in each.
        group: to which function each number belongs.
        evaluations: at most so many.
        tolerance: a step that gains less than this share of the value (or of 1) gains nothing.
        longest: no step changes any number by more than this.
    """
    value, gradient = evaluate(x)
    count = len(value)

    def dot(a: Tensor, b: Tensor) -> Float[Tensor, " g"]:
        return a.new_zeros(count).index_add(0, group, a * b)

    def largest(a: Tensor) -> Float[Tensor, " g"]:
        return a.new_zeros(count).scatter_reduce(0, group, a.abs(), "amax")

    memory = _Memory.empty(x, count)
    direction, step = -gradient, torch.ones_like(value)
    step = longest * 0.1 / largest(direction).clamp_min(1e-12)
    idle, failed = value.new_zeros(count), value.new_zeros(count)
    done = torch.zeros(count, dtype=torch.bool, device=x.device)
    used = 1
    while used < evaluations and not done.all():
        slope = dot(gradient, direction)
        trial = x + step[group] * direction
        tried, tried_gradient = evaluate(trial)
        used += 1
        accepted = ~done & torch.isfinite(tried) & (tried <= value + _ENOUGH * step * slope)
        moved, here = accepted[group], trial - x
        memory = memory.updated(here, tried_gradient - gradient, accepted, group, dot)
        gain = value - tried
        idle = torch.where(accepted, torch.where(gain > tolerance * value.abs().clamp_min(1), 0, idle + 1), idle)
        x, gradient = torch.where(moved, trial, x), torch.where(moved, tried_gradient, gradient)
        # The parabola through the value, the slope and the value tried has its lowest point here.
        lowest = -slope * step / (2 * (tried - value - slope * step)).clamp_min(1e-30)
        shorter = step * torch.nan_to_num(lowest, nan=0.1).clamp(0.1, 0.5)
        value = torch.where(accepted, tried, value)
        lost = ~accepted & ~done & (shorter < _SMALLEST_STEP)
        # A direction along which nothing is gained is given up for the steepest one, once.
        failed = torch.where(accepted, 0, failed + lost)
        memory = memory.forgotten(lost)
        done |= (idle >= _PATIENCE) | (failed >= 2)
        fresh = accepted | lost
        found = memory.direction(gradient, group, dot)
        uphill = dot(found, gradient) >= 0
        found = torch.where(uphill[group], -gradient, found)
        direction = torch.where(fresh[group], found, direction)
        first = fresh & (uphill | (memory.filled == 0))
        bound = longest / largest(direction).clamp_min(1e-12)
        step = torch.where(fresh, torch.where(first, 0.1 * bound, bound.clamp(max=1)), torch.where(done, step, shorter))
    return Minimum(x=x, value=value, converged=done & value.isfinite(), evaluations=used)


Dot = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class _Memory:
    """The last steps and changes of gradient of every function, newest last."""

    steps: Float[Tensor, "m N"]
    changes: Float[Tensor, "m N"]
    inverse: Float[Tensor, "m g"]
    """One over their products; 0 where nothing is remembered."""
    scale: Float[Tensor, " g"]
    filled: Int[Tensor, " g"]

    @staticmethod
    def empty(x: Tensor, count: int) -> "_Memory":
        nothing = x.new_zeros(HISTORY, len(x))
        return _Memory(
            nothing, nothing, x.new_zeros(HISTORY, count), x.new_ones(count), x.new_zeros(count, dtype=torch.long)
        )

    def updated(self, step: Tensor, change: Tensor, accepted: Tensor, group: Tensor, dot: Dot) -> "_Memory":
        product, size = dot(step, change), dot(change, change)
        # Where the function curves downwards a step teaches nothing that BFGS can use.
        useful = accepted & (product > 1e-6 * (dot(step, step) * size).sqrt()) & (size > 0)
        mine = useful[group]

        def pushed(old: Tensor, new: Tensor, which: Tensor) -> Tensor:
            return torch.where(which, torch.cat([old[1:], new[None]]), old)

        return _Memory(
            pushed(self.steps, step, mine),
            pushed(self.changes, change, mine),
            pushed(self.inverse, 1 / torch.where(useful, product, 1.0), useful),
            torch.where(useful, product / torch.where(useful, size, 1.0), self.scale),
            self.filled + useful,
        )

    def forgotten(self, which: Tensor) -> "_Memory":
        return _Memory(
            self.steps, self.changes, torch.where(which, 0.0, self.inverse), self.scale, self.filled * ~which
        )

    def direction(self, gradient: Tensor, group: Tensor, dot: Dot) -> Float[Tensor, " N"]:
        """Return minus the inverse Hessian, as far as it is known, times the gradient."""
        q, shares = gradient, []
        for i in reversed(range(HISTORY)):
            share = self.inverse[i] * dot(self.steps[i], q)
            shares.append(share)
            q = q - share[group] * self.changes[i]
        r = self.scale[group] * q
        for i, share in zip(range(HISTORY), reversed(shares), strict=True):
            r = r + (share - self.inverse[i] * dot(self.changes[i], r))[group] * self.steps[i]
        return -r
