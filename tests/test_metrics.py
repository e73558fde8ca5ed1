"""Pose errors: invariances, missing joints, degenerate inputs, NaN, and independent implementations."""

from functools import partial

import numpy as np
import pytest
import scipy.spatial
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from torchmetrics.functional.shape import procrustes_disparity

from monobody.metrics import align, joint_errors_mm, mpjpe, n_mpjpe, pa_mpjpe, resized


def people(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, 14, 3, generator=torch.Generator().manual_seed(seed)) * 0.5


def random_rotation(seed: int) -> torch.Tensor:
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(seed)))
    return q * torch.linalg.det(q)


def test_proper_similarities_agree_with_scipy() -> None:
    """scipy's rotations exclude mirror images as we do; its size comes from the traces."""
    source, target = people(60, seed=1).double(), people(60, seed=2).double()
    target[30:] = source[30:] * torch.tensor([1.0, 1.0, -1.0]) + 0.05 * target[30:]
    counted = torch.rand(60, 14, generator=torch.Generator().manual_seed(3)) < 0.6
    counted[:, :4] = True
    for scaled in (False, True):
        ours = align(source, target, counted=counted, scaled=scaled)
        for row in range(60):
            weights = counted[row].double().numpy()
            a, b = (points[row].numpy() - weights @ points[row].numpy() / weights.sum() for points in (source, target))
            rotation, _ = Rotation.align_vectors(b, a, weights=weights)
            turned = rotation.apply(a)
            size = (weights @ (turned * b)).sum() / (weights @ (a * a)).sum() if scaled else 1.0
            theirs = size * turned + (target[row].numpy() - b)
            np.testing.assert_allclose(ours[row].numpy(), theirs, atol=1e-9)


def test_similarities_without_mirroring_agree_with_scipy_and_torchmetrics() -> None:
    """Both allow mirror images, so the people are near each other, where the best similarity is none."""
    source = people(20, seed=1).double()
    target = 1.7 * (source + 0.1 * people(20, seed=2)) @ random_rotation(3).T.double() + 2
    left = (align(source, target) - target).square().sum((-2, -1))
    ours = left / (target - target.mean(-2, keepdim=True)).square().sum((-2, -1))
    theirs = [scipy.spatial.procrustes(t, s)[2] for s, t in zip(source.numpy(), target.numpy(), strict=True)]
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-9)
    torch.testing.assert_close(ours, procrustes_disparity(target, source).double(), rtol=1e-9, atol=0)
    errors = 1000 * np.linalg.norm(align(source, target).numpy() - target.numpy(), axis=-1)
    np.testing.assert_allclose(pa_mpjpe(source, target).numpy(), errors.mean(-1), rtol=1e-12)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.2, 5.0))
def test_pa_ignores_similarities_of_the_prediction(seed: int, scale: float) -> None:
    source, target = people(seed=seed), people(seed=seed + 1)
    moved = scale * source @ random_rotation(seed).T + torch.tensor([1.0, -2.0, 3.0])
    torch.testing.assert_close(pa_mpjpe(moved, target), pa_mpjpe(source, target), rtol=1e-3, atol=1e-2)
    assert pa_mpjpe(moved, source) < 1e-2


def test_pa_never_exceeds_the_plain_error_in_squares() -> None:
    source, target = people(20, seed=3), people(20, seed=4)
    plain = (source - target).square().sum((-2, -1))
    assert ((align(source, target) - target).square().sum((-2, -1)) <= plain).all()


def test_a_mirror_image_is_no_match() -> None:
    source = people(seed=5)
    mirrored = source * torch.tensor([-1.0, 1.0, 1.0])
    assert pa_mpjpe(mirrored, source) > 50


@pytest.mark.parametrize("flattened", [(2,), (1, 2), (0, 1, 2)])
def test_degenerate_people_are_finite(flattened: tuple[int, ...]) -> None:
    source, target = people(seed=6), people(seed=7)
    source[:, list(flattened)] = 0.3
    assert pa_mpjpe(source, target).isfinite()
    assert pa_mpjpe(target, source).isfinite()
    # A planar person still matches itself.
    assert pa_mpjpe(source, source) < 1e-2


def test_mpjpe_ignores_where_the_person_is_and_nothing_else() -> None:
    source, target = people(2, 3, seed=8), people(2, 3, seed=9)
    error = mpjpe(source, target)
    assert error.shape == (2, 3)
    torch.testing.assert_close(mpjpe(source + 2, target - 1), error, rtol=1e-4, atol=1e-2)
    assert (mpjpe(source @ random_rotation(1).T, target) - error).abs().max() > 1


def test_mpjpe_of_one_moved_joint() -> None:
    target = people(seed=10)
    moved = target.clone()
    moved[0, 2] += 0.014
    torch.testing.assert_close(joint_errors_mm(moved, target)[0], torch.tensor(14.0), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(mpjpe(moved, target), torch.tensor(1.0), rtol=1e-3, atol=1e-3)


def test_a_moved_hip_moves_everything_by_half() -> None:
    target = people(seed=11)
    moved = target.clone()
    moved[2, 0] += 0.02
    expected = torch.full((14,), 10.0)
    torch.testing.assert_close(joint_errors_mm(moved, target), expected, rtol=1e-3, atol=1e-2)


def test_without_a_root_the_place_counts() -> None:
    target = people(3, seed=12)
    torch.testing.assert_close(
        mpjpe(target + torch.tensor([0.0, 0.03, 0.04]), target, root=None), torch.full((3,), 50.0)
    )
    one = mpjpe(target + torch.tensor([0.0, 0.03, 0.04]), target, root=(12,))
    torch.testing.assert_close(one, torch.zeros(3), rtol=0, atol=1e-3)


def test_error_about_one_root_by_hand() -> None:
    target = torch.zeros(3, 3)
    predicted = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.2, 0.0], [1.0, 0.0, 0.4]])
    torch.testing.assert_close(joint_errors_mm(predicted, target, root=(0,)), torch.tensor([0.0, 200.0, 400.0]))
    torch.testing.assert_close(mpjpe(predicted, target, root=(0,)), torch.tensor(200.0))


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.05, 20.0))
def test_n_mpjpe_ignores_the_size_of_the_prediction(seed: int, scale: float) -> None:
    source, target = people(seed=seed).double(), people(seed=seed + 1).double()
    torch.testing.assert_close(n_mpjpe(scale * source + 3, target), n_mpjpe(source, target), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(n_mpjpe(scale * target, target, root=None), torch.zeros(()).double(), rtol=0, atol=1e-9)


def test_n_mpjpe_by_hand() -> None:
    target = torch.tensor([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    predicted = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    # The best size is 2 * 1 / (1 + 1) = 1: errors 0, 1 and sqrt(1 + 4) metres.
    torch.testing.assert_close(n_mpjpe(predicted, target, root=(0,)), torch.tensor(1000 * (1 + 5**0.5) / 3))
    # About the world's origin, as X as Supervision does, with all one metre up: (1 + 3 + 2) / (1 + 2 + 4).
    up = torch.tensor([0.0, 0.0, 1.0])
    best = ((predicted + up) * (target + up)).sum() / (predicted + up).square().sum()
    errors = (best * (predicted + up) - (target + up)).norm(dim=-1)
    torch.testing.assert_close(best, torch.tensor(6 / 7))
    torch.testing.assert_close(n_mpjpe(predicted + up, target + up, root=None), 1000 * errors.mean())


def test_no_size_is_better_than_the_best() -> None:
    source, target = people(20, seed=13).double(), people(20, seed=14).double()
    best = (resized(source, target) - target).square().sum((-2, -1))
    for scale in np.linspace(0, 3, 31):
        assert (best <= (scale * source - target).square().sum((-2, -1)) + 1e-12).all()


def test_sizes_are_not_negative() -> None:
    """A person turned inside out is no match, though the code of others says so."""
    target = people(seed=15)
    torch.testing.assert_close(resized(-target, target), torch.zeros_like(target))
    assert n_mpjpe(-target, target) > 100


MEASURES = [mpjpe, n_mpjpe, pa_mpjpe, partial(mpjpe, root=None), partial(n_mpjpe, root=None)]


@pytest.mark.parametrize("measure", MEASURES)
def test_missing_joints_take_no_part(measure) -> None:
    """Whatever stands in their place; the result is that of the others alone."""
    source, target = people(4, seed=16), people(4, seed=17)
    counted = torch.ones(4, 14, dtype=torch.bool)
    counted[:, 5:9] = False
    kept = [*range(5), *range(9, 14)]
    alone = measure(source[:, kept], target[:, kept])
    for filling in (0.0, 1e6, torch.nan, torch.inf):
        source[:, 5:9], target[:, 5:9] = filling, -filling
        torch.testing.assert_close(measure(source, target, counted=counted), alone)


@pytest.mark.parametrize("measure", MEASURES)
def test_nobody_is_zero_who_was_not_measured(measure) -> None:
    counted = torch.zeros(2, 14, dtype=torch.bool)
    counted[1] = True
    error = measure(people(2), people(2, seed=1), counted=counted)
    assert error.isnan().tolist() == [True, False]


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
@pytest.mark.parametrize("where", ["source", "target"])
def test_what_is_not_finite_stays_so_and_stays_with_its_person(measure, broken: float, where: str) -> None:
    people_of = {"source": people(3), "target": people(3, seed=1)}
    clean = measure(**{"predicted_m": people_of["source"], "target_m": people_of["target"]})
    people_of[where][1, 7, 2] = broken
    for counted in (None, torch.ones(3, 14, dtype=torch.bool)):
        error = measure(people_of["source"], people_of["target"], counted=counted)
        assert error.isfinite().tolist() == [True, False, True]
        torch.testing.assert_close(error[[0, 2]], clean[[0, 2]])


def test_nobody_is_laid_upon_what_is_not_finite() -> None:
    target = people(2, seed=1)
    target[1, 3, 0] = torch.inf
    aligned = align(people(2), target)
    assert aligned[0].isfinite().all()
    assert aligned[1].isnan().all()


@pytest.mark.parametrize("measure", [mpjpe, n_mpjpe])
def test_a_person_without_a_known_root_has_no_error(measure) -> None:
    counted = torch.ones(2, 14, dtype=torch.bool)
    counted[0, 2] = False
    assert measure(people(2), people(2, seed=1), counted=counted).isnan().tolist() == [True, False]


def test_errors_of_missing_joints_are_nan() -> None:
    counted = torch.ones(14, dtype=torch.bool)
    counted[5] = False
    assert joint_errors_mm(people(), people(seed=1), counted=counted).isnan().nonzero().tolist() == [[5]]


@pytest.mark.parametrize("joints", [1, 2])
def test_one_or_two_joints_always_fit(joints: int) -> None:
    source, target = people(5, seed=18)[:, :joints], people(5, seed=19)[:, :joints]
    torch.testing.assert_close(pa_mpjpe(source, target), torch.zeros(5), rtol=0, atol=1e-3)
    counted = torch.zeros(5, 14, dtype=torch.bool)
    counted[:, 3 : 3 + joints] = True
    error = pa_mpjpe(people(5, seed=18), people(5, seed=19), counted=counted)
    torch.testing.assert_close(error, torch.zeros(5), rtol=0, atol=1e-3)
    assert joint_errors_mm(source, target, root=(0,))[:, 0].eq(0).all()


def test_collinear_people_lose_only_what_a_line_cannot_have() -> None:
    """The best image of points on a line has them at their target's projections on its main direction, or so."""
    target = people(seed=20).double()
    line = torch.linspace(-1, 1, 14).double()[:, None] * torch.tensor([0.6, 0.0, 0.8]).double()
    aligned = align(line, target)
    centred = target - target.mean(0)
    # Along the unit direction d, the best similarity of t_i d has the size |sum t_i y_i| / sum t_i^2.
    t = torch.linspace(-1, 1, 14).double()
    best = (t[:, None] * centred).sum(0)
    expected = t[:, None] * best / t.square().sum()
    torch.testing.assert_close(aligned - target.mean(0), expected, rtol=1e-9, atol=1e-12)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, 14, 3\) and \(2, 17, 3\)"):
        mpjpe(people(2), torch.zeros(2, 17, 3))
    # A single joint does not quietly stand for all.
    with pytest.raises(ValueError, match="equally many"):
        pa_mpjpe(people(2), people(2)[:, :1])
    with pytest.raises(ValueError, match="does not fit"):
        mpjpe(people(2), people(2), counted=torch.ones(2, 13, dtype=torch.bool))
    with pytest.raises(TypeError, match="boolean"):
        mpjpe(people(2), people(2), counted=torch.ones(2, 14))


def test_gradients_come_through() -> None:
    source = people(seed=21).double().requires_grad_()
    target = people(seed=22).double()
    for measure in (mpjpe, n_mpjpe, pa_mpjpe):
        assert torch.autograd.gradcheck(lambda points, measure=measure: measure(points, target), source)
