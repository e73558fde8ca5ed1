"""What fitting bodies costs: ``python benchmarks/fit.py [PEOPLE]`` fits 16 people to keypoints, and in other ways.

The people are sampled: poses of the prior, keypoints of the set cocoplus19 with noise of one per cent of their size.
First, on the last stage alone and from the same start, this package's minimiser beside what else one would take, in CPU
time a person and with the loss each ends with: the same one person after the other, SciPy's L-BFGS person after person,
Adam for all at once. Then the whole fit from the mean pose, with one thread and two.
"""

import math
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.body.prior import PosePrior
from monobody.body.rotation import axis_angle_to_matrix
from monobody.fit.evidence import Evidence, Start
from monobody.fit.objective import Rows, Solver, loss
from monobody.fit.settings import Settings
from monobody.fit.smplify import fit_bodies, run_stage
from monobody.fit.starts import started_bodies
from monobody.fit.terms import project
from monobody.fit.variables import Bodies, Variables

SET = "cocoplus19"
SINGLY = 4
"""So many people are fitted where one comes after the other."""
ADAM_STEPS, ADAM_RATE = 500, 0.02


def sampled(count: int, body: Body) -> tuple[Evidence, Start]:
    """Return keypoints of sampled people, and starts that are some ten degrees off in every joint."""
    generator = torch.Generator().manual_seed(0)
    rotations = PosePrior.load().sample(count, generator)
    rotations[:, 0] = torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ rotations[:, 0]
    joints = JointBody.from_body(body, (SET,))(rotations, 0.7 * torch.randn(count, 10, generator=generator))[SET]
    focal, principal = torch.full((count,), 800.0), torch.full((count, 2), 250.0)
    seen = project(joints + torch.tensor([0.0, 0.2, 4.0]), focal, principal)
    seen = seen + 0.01 * 350 * torch.randn(seen.shape, generator=generator)
    off = axis_angle_to_matrix(0.17 / math.sqrt(3) * torch.randn(count, 24, 3, generator=generator))
    evidence = Evidence(
        keypoints_px=seen,
        confidence=torch.ones(seen.shape[:2]),
        keypoint_set=SET,
        focal_px=focal,
        principal_px=principal,
    )
    return evidence, Start(rotations=rotations @ off, betas=torch.zeros(count, 10))


def timed(work: Callable[[], Tensor]) -> tuple[Tensor, float, float]:
    """Return what a piece of work gives, with its wall-clock and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - wall, time.process_time() - cpu


class LastStage:
    """The last stage of a fit, all people at once or some."""

    def __init__(self, evidence: Evidence, start: Start, body: Body) -> None:
        self.solver = Solver.of(body, evidence, Settings(), None, None)
        self.rows = Rows.of(evidence, self.solver, start)
        self.bodies = started_bodies(start, self.rows, self.solver)
        self.stage = self.solver.settings.stages[-1]

    def of(self, rows: Tensor) -> tuple[Bodies, Rows, Variables]:
        bodies, evidence = self.bodies.picked(rows), self.rows.picked(rows)
        return bodies, evidence, Variables.about(bodies, self.solver.prior, torch.arange(len(rows)), seen=True)

    def ours(self, rows: Tensor) -> Tensor:
        bodies, evidence, _ = self.of(rows)
        return run_stage(bodies, evidence, self.solver, self.stage, torch.arange(len(rows)))[1].value

    def adam(self, rows: Tensor) -> Tensor:
        bodies, evidence, variables = self.of(rows)
        x = variables.flat(bodies).requires_grad_()
        optimiser = torch.optim.Adam([x], lr=ADAM_RATE)
        value = x.new_zeros(len(rows))
        for _ in range(ADAM_STEPS):
            optimiser.zero_grad()
            value = loss(variables.bodies(x), evidence, self.solver, self.stage)
            value.sum().backward()
            optimiser.step()
        return value.detach()

    def scipy(self, rows: Tensor) -> Tensor:
        from scipy.optimize import minimize

        bodies, evidence, variables = self.of(rows)

        def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
            flat = torch.from_numpy(x).float().requires_grad_()
            value = loss(variables.bodies(flat), evidence, self.solver, self.stage).sum()
            (gradient,) = torch.autograd.grad(value, flat)
            return float(value.detach()), gradient.numpy().astype(np.float64)

        start = variables.flat(bodies).numpy().astype(np.float64)
        found = minimize(evaluate, start, jac=True, method="L-BFGS-B", options={"maxfun": self.stage.evaluations})
        return torch.tensor([found.fun])


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    body = Body.load()
    evidence, start = sampled(count, body)
    torch.set_num_threads(1)
    stage, everybody = LastStage(evidence, start, body), torch.arange(count)
    few = everybody[:SINGLY]
    ways = {
        "all together": (lambda: stage.ours(everybody), everybody),
        "one after the other": (lambda: torch.cat([stage.ours(one) for one in few.split(1)]), few),
        "SciPy's L-BFGS-B": (lambda: torch.cat([stage.scipy(one) for one in few.split(1)]), few),
        f"Adam, {ADAM_STEPS} steps": (lambda: stage.adam(everybody), everybody),
    }
    print(f"the last stage           ms of CPU a person    times ours    loss of the first {SINGLY}    loss of all")
    ours = 0.0
    for name, (work, rows) in ways.items():
        value, _, cpu = timed(work)
        each = 1000 * cpu / len(rows)
        ours = ours or each
        whole = f"{value.mean():10.2f}" if len(rows) == count else "         -"
        print(f"{name:24}{each:12.1f}{each / ours:18.1f}{value[:SINGLY].mean():20.2f}{whole:>18}", flush=True)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        fits, wall, cpu = timed(lambda: fit_bodies(evidence, body).loss)
        spent = f"{wall:7.1f} s, {cpu:7.1f} s of CPU"
        print(f"{count} people from the mean pose, {threads} threads: {spent}, loss {fits.mean():.1f}", flush=True)


if __name__ == "__main__":
    main()
