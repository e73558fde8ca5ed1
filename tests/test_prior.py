"""The pose prior: a density on rotations that integrates to one, its gradient, and its samples."""

import math

import pytest
import torch
from safetensors.torch import save_file

from monobody.body.prior import (
    JOINTS,
    SHIPPED_PRIOR,
    PosePrior,
    _upright_to,
    chart_log_density,
    shape_log_density,
)
from monobody.body.rotation import quaternion_to_matrix
from monobody.errors import UserError


@pytest.fixture(scope="module")
def prior():
    return PosePrior.load()


@pytest.fixture(scope="module")
def samples(prior):
    return prior.sample(400, torch.Generator().manual_seed(0))


def uniform_rotations(*shape):
    return quaternion_to_matrix(torch.randn(*shape, 4, generator=torch.Generator().manual_seed(5)))


def test_the_haar_density_of_the_chart_is_a_density():
    """Its integral over the ball |w| < pi, in shells, is one; and it is smooth where the series takes over."""
    radius = (torch.arange(20_000, dtype=torch.double) + 0.5) * math.pi / 20_000
    density = chart_log_density(torch.stack([radius, 0 * radius, 0 * radius], -1)).exp()
    assert (density * 4 * math.pi * radius.square()).sum() * math.pi / 20_000 == pytest.approx(1, abs=1e-6)
    around = torch.tensor([[0.00999, 0, 0], [0.01001, 0, 0]], dtype=torch.double)
    first, second = chart_log_density(around)
    assert (first - second).abs() < 1e-5


def test_density_averages_to_one_over_uniform_rotations():
    """One joint turns at random, the others stay: the mean of its density is the Gaussian's mass within |w| < pi."""
    wide = PosePrior(
        joint_means=uniform_rotations(JOINTS),
        log_weights=torch.zeros(1),
        means=torch.zeros(1, 72),
        scale_trils=torch.eye(72)[None],
        limits=torch.tensor([-4.0, 4.0])[:, None, None].expand(2, JOINTS, 3),
        limb_share=torch.tensor(0.3),
    )
    rotations = wide.joint_means.repeat(20_000, 1, 1, 1)
    rotations[:, 4] = uniform_rotations(20_000)
    resting = 22 * (-1.5 * math.log(2 * math.pi) - chart_log_density(torch.zeros(3)))
    mass = math.erf(math.pi / 2**0.5) - (2 / math.pi) ** 0.5 * math.pi * math.exp(-(math.pi**2) / 2)
    assert (wide.log_density(rotations) - resting).exp().mean() == pytest.approx(mass, abs=0.04)


def test_gradient_agrees_with_finite_differences(prior, samples):
    double = PosePrior.load().double()
    chart = double.to_chart(samples[:3, 1:].double()).requires_grad_(True)

    def density(w):
        return double.log_density(double.from_chart(w))

    (gradient,) = torch.autograd.grad(density(chart).sum(), chart)
    direction = torch.randn(chart.shape, generator=torch.Generator().manual_seed(2), dtype=torch.double)
    step = 1e-5
    numeric = (density(chart + step * direction) - density(chart - step * direction)) / (2 * step)
    torch.testing.assert_close((gradient * direction).sum((1, 2)), numeric, rtol=1e-4, atol=1e-4)
    assert (gradient.abs().sum(-1) > 0).all()


def test_samples_are_rotations_within_limits_and_seeded(prior, samples):
    identity = torch.eye(3).expand_as(samples)
    torch.testing.assert_close(samples @ samples.mT, identity, atol=1e-5, rtol=0)
    assert (torch.linalg.det(samples) > 0.99).all()
    assert prior.within_limits(samples[:, 1:]).float().mean() > 0.999
    torch.testing.assert_close(samples, prior.sample(400, torch.Generator().manual_seed(0)))


def test_likely_poses_score_higher_than_unlikely_ones(prior, samples):
    own = prior.log_density(samples[:, 1:])
    columns = [samples[torch.randperm(400, generator=torch.Generator().manual_seed(j)), j] for j in range(1, 24)]
    shuffled = prior.log_density(torch.stack(columns, 1))
    uniform = prior.log_density(uniform_rotations(400, JOINTS))
    assert own.mean() > shuffled.mean() + 20
    assert own.min() > 0  # More likely than by chance.
    assert uniform.max() < shuffled.mean()


def test_most_people_stand_and_some_do_not(samples):
    upright = samples[:, 0, 1, 1]
    assert (upright > 0.8).float().mean() > 0.4
    assert (upright < 0.5).float().mean() > 0.05


def test_roots_turn_the_drawn_direction_up():
    up = torch.nn.functional.normalize(torch.randn(100, 3, generator=torch.Generator().manual_seed(0)), dim=-1)
    up[0], up[1] = torch.tensor([0, 0, 1.0]), torch.tensor([0, 1.0, 0])
    root = _upright_to(up)
    torch.testing.assert_close((root @ up[..., None]).squeeze(-1), torch.tensor([0, 1.0, 0]).expand(100, 3))
    torch.testing.assert_close(torch.linalg.det(root), torch.ones(100))
    torch.testing.assert_close(root[1], torch.eye(3))


def test_any_batch_shape(prior, samples):
    density = prior.log_density(samples[:6, 1:])
    torch.testing.assert_close(prior.log_density(samples[:6, 1:].unflatten(0, (2, 3))), density.view(2, 3))


def test_a_prior_is_written_and_read_back(prior, samples, tmp_path):
    save_file(prior.stored(), tmp_path / "prior.safetensors")
    again = PosePrior.load(tmp_path / "prior.safetensors")
    torch.testing.assert_close(again.log_density(samples[:9, 1:]), prior.log_density(samples[:9, 1:]))


def test_what_is_not_a_prior_is_refused(tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"no tensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    for name in ("bad", "other", "missing"):
        with pytest.raises(UserError, match="not a pose prior"):
            PosePrior.load(tmp_path / f"{name}.safetensors")


def test_the_shipped_file_is_small():
    assert SHIPPED_PRIOR.stat().st_size < 1_000_000


def test_shapes_are_standard_normal():
    betas = torch.linspace(-1, 1, 10)
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(betas).sum()
    torch.testing.assert_close(shape_log_density(betas), expected)
