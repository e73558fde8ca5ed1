"""SMPLify: a body whose joints fall where keypoints are, as people pose (Bogo et al., ECCV 2016, arXiv:1607.08128).

Where the person stands and faces comes first (`camera.py`), then everything together, the prior's weight lowered from
stage to stage (section 3.3). Unlike the original all people are fitted side by side, every kind of evidence that
`evidence.py` has may be given, and terms are weighed by what is known about their noise, in nats.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from monobody.body.model import Body
from monobody.body.prior import PosePrior
from monobody.errors import UserError
from monobody.fit.evidence import Evidence, Fits, Start
from monobody.fit.lbfgs import Minimum, minimise
from monobody.fit.objective import PoseDensity, Rows, Solver, loss
from monobody.fit.quality import judged
from monobody.fit.settings import Settings, Stage
from monobody.fit.starts import first_bodies, started_bodies
from monobody.fit.variables import Bodies, Variables


def fit_bodies(
    evidence: Evidence,
    body: Body,
    *,
    start: Start | None = None,
    settings: Settings | None = None,
    prior: PosePrior | None = None,
    density: PoseDensity | None = None,
) -> Fits:
    """Fit a body to each row of the evidence.

    Args:
        evidence: what is known of n people, or of n frames.
        body: the shipped one or a user's SMPL.
        start: bodies to begin with, such as HMR's; without them the mean pose, facing all ways.
        settings: stages, noise, and how firmly the fit is tied to its start.
        prior: of poses; the shipped one where left out. Its joint limits always hold.
        density: another log density of poses in place of the prior's, such as `GaussianMixture.log_density`.

    Raises:
        UserError: the evidence cannot be fitted to this body, the start has another number of rows, or a fit comes
            to no finite number.
    """
    settings = Settings() if settings is None else settings
    solver = Solver.of(body, evidence, settings, prior, density)
    rows = Rows.of(evidence, solver, start)
    with torch.no_grad():
        if start is None:
            bodies, rest = first_bodies(rows, solver), settings.stages[1:]
            bodies = _best_orientation(bodies, rows, solver, settings.stages[0])
        else:
            bodies, rest = started_bodies(start, rows, solver), settings.start_stages
    person = torch.arange(rows.count)
    if evidence.frames is not None:
        person = evidence.frames.person.unique(return_inverse=True)[1]
    value, converged = torch.zeros(rows.count), torch.ones(rows.count, dtype=torch.bool)
    for stage in rest or settings.stages[-1:]:
        bodies, found = run_stage(bodies, rows, solver, stage, person)
        value, converged = found.value[person], found.converged[person]
    if not value.isfinite().all():
        row = int((~value.isfinite()).nonzero()[0])
        raise UserError(f"The fit of row {row} comes to no finite number: are its evidence, camera and start sound?")
    return judged(bodies, rows, solver, value, converged)


def run_stage(
    bodies: Bodies, rows: Rows, solver: Solver, stage: Stage, person: Int[Tensor, " n"]
) -> tuple[Bodies, Minimum]:
    """Improve bodies until they converge or the stage's evaluations are used up."""
    variables = Variables.about(bodies, solver.prior, person, seen=rows.seen)

    def evaluate(flat: Float[Tensor, " N"]) -> tuple[Float[Tensor, " p"], Float[Tensor, " N"]]:
        with torch.enable_grad():
            flat = flat.detach().requires_grad_()
            of_rows = loss(variables.bodies(flat), rows, solver, stage)
            of_persons = of_rows.new_zeros(variables.persons).index_add(0, person, of_rows)
            (gradient,) = torch.autograd.grad(of_persons.sum(), flat)
        return of_persons.detach(), gradient

    found = minimise(
        evaluate,
        variables.flat(bodies),
        variables.groups,
        evaluations=stage.evaluations,
        tolerance=solver.settings.tolerance,
    )
    return variables.bodies(found.x), found


def _best_orientation(candidates: Bodies, rows: Rows, solver: Solver, stage: Stage) -> Bodies:
    """Run a stage from several orientations of every row side by side, and return the best of each."""
    count = len(candidates.betas)
    times = count // rows.count
    repeated = rows.picked(torch.arange(rows.count).repeat_interleave(times))
    found, minimum = run_stage(candidates, repeated, solver, stage, torch.arange(count))
    # The smallest of numbers of which one is NaN would be that one.
    best = minimum.value.nan_to_num(nan=torch.inf).view(rows.count, times).argmin(1)
    return found.picked(torch.arange(rows.count) * times + best)
