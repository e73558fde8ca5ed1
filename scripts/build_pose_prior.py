"""Fit the shipped pose prior to a pose bank, or report how well it tells human poses.

    python scripts/build_pose_prior.py --bank bank.npz                fit, write the prior, report
    python scripts/build_pose_prior.py --bank bank.npz --report       report on the shipped prior
    python scripts/build_pose_prior.py --sheet out/prior.png          draw samples to look at

The mixture is fitted by expectation maximisation to poses of the bank and as many recombined ones: arms, legs and heads
taken from other poses, which says that what one arm does tells little about the other. Each covariance is drawn towards
the pooled one (an inverse-Wishart prior). All rotations are blurred by three degrees, about what retargeting is worth:
without, a density is best where a source did not measure a joint at all. Rival models are given the same poses.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from jaxtyping import Float
from PIL import Image
from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file
from torch import Tensor

from monobody.body.model import Body
from monobody.body.prior import JOINTS, LIMBS, SHIPPED_PRIOR, PosePrior, chart_log_density
from monobody.body.rotation import axis_angle_to_matrix, matrix_to_axis_angle, quaternion_to_matrix
from monobody.data.pose_bank import PoseBank
from monobody.data.rest_poses import nearest_rotation
from monobody.errors import UserError
from monobody.files import atomic_write
from monobody.render.pose_sheet import draw_pose_sheet

_POSE = 3 * JOINTS
_BLUR_RAD = 0.05
_RECOMBINED = 0.3
_LIMB_SHARE = 0.5
_LIMIT_MARGIN_RAD = math.radians(8)


@dataclass(frozen=True, kw_only=True)
class Options:
    bank: Path | None = None
    """Pose bank, made by build_pose_bank.py."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = SHIPPED_PRIOR
    """The prior to write, or to report on."""
    report: bool = False
    """Only report on the prior that is there."""
    sheet: Path | None = None
    """Draw 96 samples of the prior into this picture."""
    components: int = 64
    """Gaussians in the mixture."""
    poses: int = 10_000
    """Balanced draws from the bank that the mixture is fitted to."""
    shrinkage: float = 100.0
    """How many poses the pooled covariance counts for in each Gaussian's own."""


def main(options: Options) -> None:
    bank = PoseBank.load(options.bank) if options.bank else None
    if bank and not options.report:
        prior = fit(bank, components=options.components, poses=options.poses, shrinkage=options.shrinkage)
        with atomic_write(options.output, suffix=".safetensors") as temporary:
            save_file(prior.stored(), temporary)
        print(f"wrote {options.output}, {options.output.stat().st_size / 1000:.0f} kB")
    elif not bank and not options.sheet:
        raise UserError("Give --bank to fit or report, or --sheet to draw samples.")
    prior = PosePrior.load(options.output)
    if bank:
        Console().print(report(prior, bank))
    if options.sheet:
        rotations = prior.sample(96, torch.Generator().manual_seed(0), random_yaw=False)
        with atomic_write(options.sheet, suffix=".png") as temporary:
            Image.fromarray(draw_pose_sheet(Body.load(), rotations)).save(temporary)


def fit(bank: PoseBank, *, components: int, poses: int, shrinkage: float) -> PosePrior:
    """Fit the mixture to the training clips of the bank, mirrored as often as not."""
    rotations = axis_angle_to_matrix(torch.from_numpy(bank.sample(poses, np.random.default_rng(0), unusual=0.15)))
    joint_means = nearest_rotation(rotations[:, 1:].mean(0))
    chart = matrix_to_axis_angle(joint_means.mT @ rotations[:, 1:])
    up = rotations[:, 0, 1]
    generator = torch.Generator().manual_seed(0)
    both = torch.cat([chart, recombined(chart, generator)]).flatten(1)
    numbers = blurred(torch.cat([both, torch.cat([up, up])], 1), generator)
    log_weights, means, scale_trils = fit_mixture(numbers.double(), components, shrinkage)
    edges = torch.quantile(chart, torch.tensor([0.0005, 0.9995]), dim=0)
    limits = edges + _LIMIT_MARGIN_RAD * torch.tensor([-1.0, 1.0])[:, None, None]
    return PosePrior(
        joint_means=joint_means,
        log_weights=log_weights.float(),
        means=means.float(),
        scale_trils=scale_trils.float(),
        limits=limits,
        limb_share=torch.tensor(_LIMB_SHARE),
    )


def recombined(chart: Float[Tensor, "n 23 3"], generator: torch.Generator) -> Float[Tensor, "n 23 3"]:
    """Give each pose, limb by limb, with some chance the limb of another pose."""
    chart = chart.clone()
    for limb in LIMBS[1:]:
        rows = (torch.rand(len(chart), generator=generator) < _RECOMBINED).nonzero()
        columns = torch.tensor(limb) - 1
        donors = torch.randint(len(chart), rows.shape, generator=generator)
        chart[rows, columns] = chart[donors, columns]
    return chart


def blurred(numbers: Float[Tensor, "*b"], generator: torch.Generator) -> Float[Tensor, "*b"]:
    return numbers + _BLUR_RAD * torch.randn(numbers.shape, generator=generator, dtype=numbers.dtype)


def fit_mixture(
    numbers: Float[Tensor, "n d"], components: int, shrinkage: float, *, rounds: int = 10
) -> tuple[Float[Tensor, " k"], Float[Tensor, "k d"], Float[Tensor, "k d d"]]:
    """Return log weights, means and Cholesky factors of a mixture of Gaussians with shrunk covariances."""
    n, d = numbers.shape
    overall = numbers.T.cov()
    responsibility = torch.nn.functional.one_hot(nearest_seed(numbers, components), components).double()
    for _ in range(rounds):
        count = responsibility.sum(0)
        means = responsibility.T @ numbers / count[:, None].clamp(min=1e-9)
        scatter = torch.zeros(components, d, d, dtype=torch.double)
        for k in range(components):
            members = responsibility[:, k] > 1e-4
            centred = numbers[members] - means[k]
            scatter[k] = (centred * responsibility[members, k, None]).T @ centred
        pooled = 0.9 * scatter.sum(0) / n + 0.1 * overall
        covariance = (scatter + shrinkage * pooled) / (count + shrinkage)[:, None, None]
        scale_trils = torch.linalg.cholesky(covariance)
        log_weights = ((count + 1) / (n + components)).log()
        joint = log_weights + torch.stack(
            [gaussian_log_density(numbers, means[k], scale_trils[k]) for k in range(components)], 1
        )
        responsibility = joint.softmax(1)
        print(f"mean log density in the chart: {joint.logsumexp(1).mean():.2f}", flush=True)
    return log_weights, means, scale_trils  # pyright: ignore[reportPossiblyUnboundVariable]


def nearest_seed(numbers: Float[Tensor, "n d"], k: int) -> Tensor:
    """Assign rows to k-means clusters whose seeds lie far from each other, so that rare poses have theirs."""
    generator = torch.Generator().manual_seed(0)
    centres = numbers[torch.randperm(len(numbers), generator=generator)[:1]]
    distance = torch.cdist(numbers, centres).squeeze(1)
    for _ in range(k - 1):
        # k-means++: the chance to be chosen grows with the squared distance to the nearest seed.
        chosen = torch.multinomial(distance.square().float(), 1, generator=generator)
        centres = torch.cat([centres, numbers[chosen]])
        distance = torch.minimum(distance, torch.cdist(numbers, numbers[chosen]).squeeze(1))
    label = torch.cdist(numbers, centres).argmin(1)
    for _ in range(8):
        total = torch.zeros_like(centres).index_add_(0, label, numbers)
        count = torch.bincount(label, minlength=k)[:, None]
        centres = torch.where(count > 0, total / count.clamp(min=1), centres)
        label = torch.cdist(numbers, centres).argmin(1)
    return label


def gaussian_log_density(
    numbers: Float[Tensor, "n d"], mean: Float[Tensor, " d"], scale_tril: Float[Tensor, "d d"]
) -> Float[Tensor, " n"]:
    white = torch.linalg.solve_triangular(scale_tril, (numbers - mean).T, upper=False)
    log_scale = scale_tril.diagonal().log().sum()
    return -0.5 * white.square().sum(0) - log_scale - 0.5 * len(mean) * math.log(2 * math.pi)


def report(prior: PosePrior, bank: PoseBank, *, poses: int = 3000) -> Table:
    """Tabulate mean log densities: of held-out poses under rival models, and of rival poses under the prior."""
    rng = np.random.default_rng(1)

    generator = torch.Generator().manual_seed(0)

    def draw(held_out: bool) -> Float[Tensor, "n 23 3 3"]:
        aa = torch.from_numpy(bank.sample(poses, rng, held_out=held_out, unusual=0.0, mirror=False))
        return prior.from_chart(blurred(prior.to_chart(axis_angle_to_matrix(aa)[:, 1:]), generator))

    train, held_out = draw(False), draw(True)
    shuffled = torch.stack([held_out[torch.from_numpy(rng.permutation(poses)), j] for j in range(JOINTS)], 1)
    uniform = quaternion_to_matrix(torch.randn(poses, JOINTS, 4, generator=generator))
    charts = {name: prior.to_chart(r).double() for name, r in (("train", train), ("held out", held_out))}
    haar = chart_log_density(charts["held out"]).sum(-1)
    flat = charts["train"].flatten(1)
    factor = torch.linalg.cholesky(flat.T.cov())
    gaussian = gaussian_log_density(charts["held out"].flatten(1), flat.mean(0), factor)
    independent = independent_log_density(prior, charts["held out"])
    inside = prior.within_limits(held_out).float().mean()
    table = Table(
        "poses", "model", "log density, nats per pose", title="Pose prior (Haar measure: uniform rotations = 0)"
    )
    rows = [
        ("held-out clips", "uniform rotations", torch.zeros(1)),
        ("held-out clips", "one Gaussian", gaussian - haar),
        ("held-out clips", "joints independent of each other", independent - haar),
        ("held-out clips", "prior", prior.log_density(held_out)),
        ("training clips", "prior", prior.log_density(train)),
        ("own samples", "prior", prior.log_density(prior.sample(poses, torch.Generator().manual_seed(1))[:, 1:])),
        ("held-out clips, joints shuffled", "prior", prior.log_density(shuffled)),
        ("uniform rotations", "prior", prior.log_density(uniform)),
    ]
    for what, model, values in rows:
        table.add_row(what, model, f"{values.mean():.1f}")
    table.caption = f"joints of held-out poses within the limits: {100 * inside:.2f} %"
    return table


def independent_log_density(prior: PosePrior, chart: Float[Tensor, "n 23 3"]) -> Float[Tensor, " n"]:
    """Score poses by the mixture's marginal of each joint alone: what a model without correlations could know."""
    covariance = (prior.scale_trils @ prior.scale_trils.mT).double()
    total = chart.new_zeros(len(chart))
    for j in range(JOINTS):
        own = slice(3 * j, 3 * j + 3)
        factors = torch.linalg.cholesky(covariance[:, own, own])
        logs = [
            gaussian_log_density(chart[:, j], m, f) for m, f in zip(prior.means[:, own].double(), factors, strict=True)
        ]
        total += (prior.log_weights + torch.stack(logs, 1)).logsumexp(1)
    return total


if __name__ == "__main__":
    main(tyro.cli(Options))
