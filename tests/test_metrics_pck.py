"""PCK in 3D and in pictures: strict thresholds, sizes of people, who counts, all by hand."""

import math

import numpy as np
import pytest
import torch

from monobody.metrics import (
    auc_3d,
    box_diagonal,
    box_side,
    hits,
    pck,
    pck_3d,
    pckh,
    segment_length,
    torso_pck,
)


def test_3d_is_strict() -> None:
    below = np.nextafter(150.0, 0.0)
    errors = np.array([[0.0, below, 150.0, 200.0], [150.0, 150.0, 150.0, 150.0]])
    np.testing.assert_array_equal(pck_3d(errors), [50.0, 0.0])
    np.testing.assert_array_equal(pck_3d(errors, 0.0), [0.0, 0.0])
    np.testing.assert_array_equal(pck_3d(errors, 1000.0), [100.0, 100.0])


def test_area_under_the_curve_by_hand() -> None:
    """Count the thresholds 0, 5, ..., 150 that are greater than the error."""
    np.testing.assert_allclose(auc_3d(np.zeros(14)), 100 * 30 / 31)
    np.testing.assert_allclose(auc_3d(np.array([72.0])), 100 * 16 / 31)  # 75, 80, ..., 150
    np.testing.assert_allclose(auc_3d(np.array([75.0])), 100 * 15 / 31)  # 80, ..., 150
    np.testing.assert_allclose(auc_3d(np.array([150.0, 149.0, 1e9])), 100 * (0 + 1 + 0) / 31 / 3)


def test_area_is_the_mean_of_31_curves() -> None:
    errors = np.random.default_rng(0).random((50, 14)) * 250
    curve = np.mean([pck_3d(errors, threshold) for threshold in np.linspace(0, 150, 31)], axis=0)
    np.testing.assert_allclose(auc_3d(errors), curve)


@pytest.mark.parametrize("measure", [pck_3d, auc_3d])
def test_3d_with_missing_joints_and_nan(measure) -> None:
    errors = np.array([[10.0, np.nan, 500.0], [10.0, 20.0, 500.0], [1.0, 2.0, 3.0]])
    counted = np.array([[True, False, True], [True, True, True], [False, False, False]])
    answers = measure(errors, counted=counted)
    np.testing.assert_allclose(answers[0], measure(np.array([10.0, 500.0])))
    assert np.isnan(answers).tolist() == [False, False, True]
    # NaN that is counted is no miss among others, but no answer.
    assert np.isnan(measure(errors)).tolist() == [True, False, False]


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


def test_pck_with_nan() -> None:
    target = torch.rand(5, 14, 2)
    visible = torch.ones(5, 14, dtype=torch.bool)
    predicted = target.clone()
    predicted[2, 3] = torch.nan
    for measure in (lambda *given: pck(*given, threshold=0.1), pckh, torso_pck):
        assert measure(predicted, target, visible).isnan()
        visible[2, 3] = False
        assert measure(predicted, target, visible) == 100
        visible[2, 3] = True
        broken = target.clone()
        broken[1, 9] = torch.nan
        broken[1, 12] = torch.nan
        assert measure(target, broken, visible).isnan()


def lsp(count: int) -> torch.Tensor:
    """People with a head of 10, and 50 from left shoulder to right hip; the rest of them at (100, 0)."""
    points = torch.tensor([100.0, 0.0]).repeat(count, 14, 1)
    points[:, 12], points[:, 13] = torch.tensor([0.0, 0.0]), torch.tensor([6.0, 8.0])
    points[:, 9], points[:, 2] = torch.tensor([30.0, 0.0]), torch.tensor([0.0, 40.0])
    return points


def test_pckh_by_hand() -> None:
    """Half of a head of 10: joints up to 5 away are right."""
    target, visible = lsp(1), torch.ones(1, 14, dtype=torch.bool)
    predicted = target.clone()
    predicted[0, 0, 0] += 5.0
    predicted[0, 1, 0] += 5.01
    predicted[0, 4, 1] -= 40.0
    torch.testing.assert_close(pckh(predicted, target, visible), torch.tensor(100 * 12 / 14))
    torch.testing.assert_close(pckh(predicted, target, visible, threshold=0.502), torch.tensor(100 * 13 / 14))
    # MPII's head: 0.6 times the diagonal of its box, here 60 x 80.
    head = torch.tensor([0.6 * 100.0])
    torch.testing.assert_close(pckh(predicted, target, visible, head_length=head), torch.tensor(100 * 13 / 14))
    limbs = torch.zeros(14, dtype=torch.bool)
    limbs[:2] = True
    torch.testing.assert_close(pckh(predicted, target, visible, counted=limbs), torch.tensor(50.0))


def test_torso_pck_by_hand() -> None:
    """A fifth of a torso of 50: joints up to 10 away are right."""
    target, visible = lsp(1), torch.ones(1, 14, dtype=torch.bool)
    predicted = target.clone()
    predicted[0, 0, 0] += 10.0
    predicted[0, 1, 0] += 10.01
    torch.testing.assert_close(torso_pck(predicted, target, visible), torch.tensor(100 * 13 / 14))


def test_people_of_unknown_size_take_no_part() -> None:
    target, visible = lsp(2), torch.ones(2, 14, dtype=torch.bool)
    predicted = target.clone()
    predicted[1] += 1000
    visible[1, 12] = False
    assert pckh(predicted, target, visible) == 100
    assert segment_length(target, visible, (12, 13)).isnan().tolist() == [False, True]
    assert pckh(predicted, target, visible, head_length=torch.tensor([10.0, 10.0])) == 100 * 14 / 27
    assert math.isnan(pckh(predicted[1:], target[1:], visible[1:]))
    visible[1, 12], visible[1, 2] = True, False
    assert torso_pck(predicted, target, visible) == 100


def test_people_with_more_visible_joints_weigh_more() -> None:
    target, visible = lsp(2), torch.ones(2, 14, dtype=torch.bool)
    visible[1, 4:9] = False
    predicted = target.clone()
    predicted[1] += 1000
    torch.testing.assert_close(pckh(predicted, target, visible), torch.tensor(100 * 14 / 23))


def test_sizes() -> None:
    target = torch.tensor([[3.0, 1.0], [6.0, 5.0], [100.0, 100.0]])
    visible = torch.tensor([True, True, False])
    assert box_side(target, visible) == 4
    assert box_diagonal(target, visible) == 5
    assert segment_length(target, visible, (0, 1)) == 5
    assert box_side(target, torch.zeros(3, dtype=torch.bool)).isnan()
    assert box_diagonal(target, torch.zeros(3, dtype=torch.bool)).isnan()


def test_hits_of_each_joint() -> None:
    target = torch.zeros(2, 3, 2)
    predicted = torch.tensor([[[3.0, 4.0], [3.1, 4.0], [torch.nan, 0.0]], [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]])
    judged = torch.tensor([[True, True, True], [False, True, True]])
    outcome = hits(predicted, target, judged, within=torch.tensor([5.0, torch.nan]))
    assert outcome[0, :2].tolist() == [1, 0]
    assert outcome[0, 2].isnan()
    assert outcome[1].isnan().all()


def test_pck_ignores_the_unit_and_the_place() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(30, 14, 2, generator=generator).double()
    predicted = target + 0.1 * torch.randn(30, 14, 2, generator=generator)
    visible = torch.rand(30, 14, generator=generator) < 0.8
    for measure in (lambda *given: pck(*given, threshold=0.1), pckh, torso_pck):
        value = measure(predicted, target, visible)
        assert 0 < value < 100
        torch.testing.assert_close(measure(64 * predicted - 3, 64 * target - 3, visible), value)
