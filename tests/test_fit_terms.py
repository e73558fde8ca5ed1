"""Every term of a fit: gradients by finite differences, hand-checked values, and what may have no influence."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from monobody.body.collision import CapsuleBody, overlaps_m
from monobody.body.model import Body
from monobody.body.prior import PosePrior
from monobody.body.rotation import axis_angle_to_matrix
from monobody.errors import UserError
from monobody.fit import terms
from monobody.fit.gmm import GaussianMixture
from monobody.fit.lbfgs import minimise

D = torch.float64


def agrees_with_differences(function, *inputs: Tensor) -> bool:
    return torch.autograd.gradcheck(function, tuple(x.requires_grad_() for x in inputs), atol=1e-5, rtol=1e-3)


def test_gradients_of_reprojection_joints_shape_and_tie():
    points = torch.randn(2, 5, 3, dtype=D) * 0.4 + torch.tensor([0, 0, 4.0])
    focal, principal = torch.tensor([500.0, 700.0], dtype=D), torch.tensor([[100.0, 90.0]] * 2, dtype=D)
    keypoints = terms.project(points, focal, principal) + 8 * torch.randn(2, 5, 2, dtype=D)
    confidence, size = torch.rand(2, 5, dtype=D), torch.tensor([150.0, 200.0], dtype=D)

    def reprojection(x: Tensor) -> Tensor:
        seen = terms.project(x, focal, principal)
        return terms.reprojection(seen, keypoints, confidence, size, noise=0.02, outlier=0.1)

    assert agrees_with_differences(reprojection, points.clone())
    target = points + 0.1 * torch.randn_like(points)
    for absolute in (True, False):
        assert agrees_with_differences(
            lambda x, a=absolute: terms.joints_3d(x, target, confidence, absolute=a, noise_m=0.02, outlier_m=0.2),
            points.clone(),
        )
    assert agrees_with_differences(terms.shape, torch.randn(2, 10, dtype=D))
    start = axis_angle_to_matrix(torch.randn(2, 24, 3, dtype=D))
    assert agrees_with_differences(
        lambda x: terms.tie(axis_angle_to_matrix(x), start, error_rad=0.3), torch.randn(2, 24, 3, dtype=D)
    )
    assert agrees_with_differences(
        lambda x: terms.tie_shape(x, torch.zeros(2, 10, dtype=D), error=0.5), torch.randn(2, 10, dtype=D)
    )


def test_gradients_of_limits_and_motion():
    limits = torch.stack([-torch.ones(23, 3, dtype=D), torch.ones(23, 3, dtype=D)])
    chart = 1.5 * torch.randn(2, 23, 3, dtype=D)
    assert agrees_with_differences(lambda x: terms.beyond_limits(x, limits, softness_rad=0.1), chart)
    triples = torch.tensor([[0, 1, 2], [1, 2, 3]])
    times = torch.tensor([0.0, 0.1, 0.15, 0.3], dtype=D)
    assert agrees_with_differences(
        lambda x: terms.acceleration(x, triples, times, density=10.0), torch.randn(4, 3, dtype=D)
    )


def test_gradients_of_prior_and_mixture(mixture_file: Path):
    prior = PosePrior.load().double()
    chart = 0.2 * torch.randn(1, 23, 3, dtype=D)
    assert agrees_with_differences(prior.chart_density, chart)
    loaded = GaussianMixture.load(mixture_file)
    mixture = GaussianMixture(loaded.means.double(), loaded.whiten.double(), loaded.log_weights.double())
    assert agrees_with_differences(
        lambda x: mixture.log_density(axis_angle_to_matrix(x)), 0.3 * torch.randn(1, 23, 3, dtype=D)
    )


def test_gradient_of_interpenetration_reaches_joints():
    capsules = CapsuleBody(Body.load()).double()
    betas = torch.zeros(1, 10, dtype=D)
    rest = capsules.at_rest(betas)
    pose = torch.zeros(1, 24, 3, dtype=D)
    pose[:, 16, 2], pose[:, 17, 2] = -1.45, 1.45
    pose[:, 1, 2], pose[:, 2, 2] = -0.25, 0.25

    def deep(x: Tensor) -> Tensor:
        overlaps = overlaps_m(capsules(axis_angle_to_matrix(x), betas, rest))
        return terms.interpenetration(overlaps, allowed_m=0.0, softness_m=0.02)

    assert float(deep(pose)) > 1
    assert agrees_with_differences(deep, pose)


def test_capsules_of_a_known_rest_are_the_same():
    capsules = CapsuleBody(Body.load())
    rotations, betas = axis_angle_to_matrix(0.3 * torch.randn(3, 24, 3)), torch.randn(3, 10)
    mine, given = capsules(rotations, betas), capsules(rotations, betas, capsules.at_rest(betas))
    assert torch.equal(overlaps_m(mine), overlaps_m(given))


def test_values_by_hand():
    # A keypoint 3 px off beside a person of 100 px: 0.03² / (1 + 0.03² / 0.1²) / (2 * 0.02²).
    seen, known = torch.tensor([[[3.0, 0.0], [9.0, 9.0]]]), torch.tensor([[[0.0, 0.0], [0.0, 0.0]]])
    found = terms.reprojection(seen, known, torch.tensor([[1.0, 0.0]]), torch.tensor([100.0]), noise=0.02, outlier=0.1)
    assert float(found) == pytest.approx(0.0009 / 1.09 / 0.0008, rel=1e-5)
    # Not absolute: a common shift costs nothing, absolute it does.
    target = torch.randn(1, 6, 3)
    moved, confidence = target + torch.tensor([0.5, -1.0, 2.0]), torch.rand(1, 6)
    cost = {
        absolute: float(terms.joints_3d(moved, target, confidence, absolute=absolute, noise_m=0.01, outlier_m=0.3))
        for absolute in (True, False)
    }
    assert cost[False] < 1e-6 < cost[True]
    # A rotation by a small angle on one joint: its square over twice the error's square.
    turned = torch.eye(3).repeat(1, 24, 1, 1)
    turned[:, 5] = axis_angle_to_matrix(torch.tensor([[0.0, 0.01, 0.0]]))
    tied = terms.tie(turned, torch.eye(3).repeat(1, 24, 1, 1), error_rad=0.1)
    assert float(tied) == pytest.approx(0.01**2 / (2 * 0.1**2), rel=1e-3)
    limits = torch.tensor([-1.0, 1.0])[:, None, None].expand(2, 23, 3)
    chart = torch.zeros(1, 23, 3)
    chart[0, 3, 1] = 1.1
    assert float(terms.beyond_limits(chart, limits, softness_rad=0.1)) == pytest.approx(0.5, rel=1e-4)
    assert float(terms.beyond_limits(0.99 * torch.ones(1, 23, 3), limits, softness_rad=0.1)) == 0


def test_a_far_keypoint_pulls_less_the_farther_it_is():
    distances = torch.tensor([0.02, 0.06, 0.5, 5.0], requires_grad=True)
    terms.geman_mcclure(distances.square(), 0.1).sum().backward()
    assert distances.grad is not None
    pull = distances.grad
    assert pull[1] > pull[0] > pull[2] > pull[3] > 0
    assert float(terms.geman_mcclure(torch.tensor(1e6), 0.1)) <= 0.1**2


def test_acceleration_is_that_of_the_motion_not_of_the_frame_rate():
    def cost(times: Tensor) -> float:
        values = torch.stack([times.cos(), times.sin()], dim=1)
        rows = torch.arange(len(times)).unfold(0, 3, 1)
        return float(terms.acceleration(values, rows, times, density=2.0).sum())

    seconds = 6.0
    exact = seconds / (2 * 2.0)  # The acceleration on the unit circle is 1 throughout.
    torch.manual_seed(1)
    uneven = torch.linspace(0, seconds, 400, dtype=D) + 0.004 * torch.rand(400, dtype=D)
    assert cost(torch.linspace(0, seconds, 100, dtype=D)) == pytest.approx(exact, rel=0.05)
    assert cost(torch.linspace(0, seconds, 800, dtype=D)) == pytest.approx(exact, rel=0.05)
    assert cost(uneven) == pytest.approx(exact, rel=0.05)
    straight = torch.arange(5, dtype=D)[:, None] * 3.0
    times, rows = torch.arange(5, dtype=D), torch.arange(5).unfold(0, 3, 1)
    assert float(terms.acceleration(straight, rows, times, density=2.0).sum()) == 0


@pytest.fixture
def mixture_file(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    spread = 0.3 * rng.normal(size=(3, 69, 69)) / 8 + 0.2 * np.eye(69)
    path = tmp_path / "gmm.npz"
    np.savez(
        path,
        means=0.2 * rng.normal(size=(3, 69)),
        covars=spread @ spread.transpose(0, 2, 1),
        weights=np.array([0.5, 0.3, 0.2]),
    )
    return path


def test_mixture_is_scipys(mixture_file: Path, tmp_path: Path):
    import pickle

    from scipy.special import logsumexp
    from scipy.stats import multivariate_normal

    poses = 0.3 * torch.randn(4, 23, 3)
    with np.load(mixture_file) as stored:
        arrays = {name: stored[name] for name in ("means", "covars", "weights")}
    densities = [
        np.log(weight) + multivariate_normal(mean, covariance).logpdf(poses.flatten(1).numpy().astype(np.float64))
        for weight, mean, covariance in zip(arrays["weights"], arrays["means"], arrays["covars"], strict=True)
    ]
    found = GaussianMixture.load(mixture_file).log_density(axis_angle_to_matrix(poses))
    assert np.allclose(found.numpy(), logsumexp(densities, axis=0), rtol=1e-5)
    # SMPLify's own file is a pickle of Python 2.
    pickled = tmp_path / "gmm_08.pkl"
    pickled.write_bytes(pickle.dumps(arrays, protocol=2))
    assert torch.equal(GaussianMixture.load(pickled).log_density(axis_angle_to_matrix(poses)), found)


def test_files_that_are_no_mixture_are_refused(tmp_path: Path):
    def refused(words: str, **arrays: np.ndarray) -> None:
        np.savez(tmp_path / "bad.npz", **arrays)
        with pytest.raises(UserError, match=words):
            GaussianMixture.load(tmp_path / "bad.npz")

    good = {"means": np.zeros((2, 69)), "covars": np.stack([np.eye(69)] * 2), "weights": np.ones(2)}
    refused("covars", means=good["means"], weights=good["weights"])
    refused("69 numbers", **(good | {"means": np.zeros((2, 63))}))
    refused("not positive definite", **(good | {"covars": -good["covars"]}))
    refused("weight not positive", **(good | {"weights": np.array([1.0, -1.0])}))
    (tmp_path / "text.npz").write_text("nothing")
    with pytest.raises(UserError, match="Cannot read"):
        GaussianMixture.load(tmp_path / "text.npz")


def test_minimum_of_many_functions_at_once():
    """Rosenbrock's valleys, each with its own curvature: all reach their minimum, alone as together."""
    curvature = torch.tensor([1.0, 10.0, 100.0, 1000.0], dtype=D)
    centre = torch.tensor([0.5, 1.0, 1.5, -1.0], dtype=D)

    def valleys(which: Tensor):
        def evaluate(x: Tensor) -> tuple[Tensor, Tensor]:
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                a, b = x.view(-1, 2).unbind(1)
                value = (centre[which] - a).square() + curvature[which] * (b - a * a).square()
                (gradient,) = torch.autograd.grad(value.sum(), x)
            return value.detach(), gradient

        return evaluate

    def run(which: Tensor) -> Tensor:
        group = torch.arange(len(which)).repeat_interleave(2)
        start = torch.zeros(2 * len(which), dtype=D)
        return minimise(valleys(which), start, group, evaluations=400, tolerance=1e-14).x.view(-1, 2)

    together = run(torch.arange(4))
    assert torch.allclose(together, torch.stack([centre, centre**2], dim=1), atol=1e-4)
    for one in range(4):
        assert torch.allclose(run(torch.tensor([one]))[0], together[one], atol=1e-9)


def test_minimise_says_when_it_ran_out_and_survives_walls():
    def evaluate(x: Tensor) -> tuple[Tensor, Tensor]:
        # Beyond 2 there is no value; the step has to be shortened.
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            value = -(2 - x).log() - 0.5 * x
            (gradient,) = torch.autograd.grad(value.sum(), x)
        return value.detach(), gradient

    start, group = torch.tensor([-30.0, 1.9], dtype=D), torch.arange(2)
    done = minimise(evaluate, start, group, evaluations=200, tolerance=1e-12)
    assert done.converged.all()
    assert torch.allclose(done.x, torch.zeros(2, dtype=D), atol=1e-3)
    stopped = minimise(evaluate, start, group, evaluations=3)
    assert not stopped.converged.any()
    assert stopped.evaluations == 3
    assert math.isfinite(float(stopped.value.sum()))
