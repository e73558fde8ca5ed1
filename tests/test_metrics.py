"""Pose errors: invariances, degenerate inputs, and an independent implementation in numpy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monobody.metrics import align, joint_errors_mm, mpjpe, pa_mpjpe, pck


def people(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, 14, 3, generator=torch.Generator().manual_seed(seed)) * 0.5


def random_rotation(seed: int) -> torch.Tensor:
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(seed)))
    return q * torch.linalg.det(q)


def procrustes_in_numpy(source: np.ndarray, target: np.ndarray) -> float:
    """Best similarity by Kabsch on one person: mean error in mm."""
    a, b = source - source.mean(0), target - target.mean(0)
    v, s, wt = np.linalg.svd(a.T @ b)
    mirror = np.diag([1, 1, np.sign(np.linalg.det(wt.T @ v.T))])
    rotation = wt.T @ mirror @ v.T
    scale = np.trace(mirror @ np.diag(s)) / (a**2).sum()
    return 1000 * np.linalg.norm(scale * a @ rotation.T - b, axis=1).mean()


def test_agrees_with_numpy() -> None:
    source, target = people(50, seed=1), people(50, seed=2)
    ours = pa_mpjpe(source, target).numpy()
    theirs = [procrustes_in_numpy(s, t) for s, t in zip(source.double().numpy(), target.double().numpy(), strict=True)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


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


def test_pck_counts_visible_joints_by_the_larger_side_of_their_box() -> None:
    target = torch.tensor([[[0.0, 0.0], [100.0, 40.0], [50.0, 20.0], [900.0, 900.0]]])
    visible = torch.tensor([[True, True, True, False]])
    predicted = target + torch.tensor([[[9.9, 0.0], [0.0, 10.1], [0.0, 0.0], [0.0, 0.0]]])
    torch.testing.assert_close(pck(predicted, target, visible, threshold=0.1), torch.tensor(200 / 3))
    torch.testing.assert_close(pck(predicted, target, visible, threshold=0.05), torch.tensor(100 / 3))
    torch.testing.assert_close(pck(7 * predicted, 7 * target, visible, threshold=0.1), torch.tensor(200 / 3))
    counted = torch.tensor([[False, True, True, True]])
    torch.testing.assert_close(pck(predicted, target, visible, threshold=0.1, counted=counted), torch.tensor(50.0))
    assert math.isnan(pck(predicted, target, torch.zeros_like(visible), threshold=0.1))
