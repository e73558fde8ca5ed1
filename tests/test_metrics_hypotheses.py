"""Several poses for a person: what an oracle gains, what weights are worth, and whether they are probabilities."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from monobody.metrics import (
    best_joints,
    best_of,
    best_pose,
    calibration,
    confident,
    expected,
    joint_errors_mm,
    log_score,
    normalised,
    pa_mpjpe,
)

ERRORS = np.array([[[10.0, 40.0], [30.0, 10.0], [90.0, 0.0]]])
"""One person, three hypotheses with mean errors of 25, 20 and 45, two joints."""


def some(seed: int = 0, people: int = 20, hypotheses: int = 5) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.random((people, hypotheses, 14)) * 100, random.random((people, hypotheses))


def test_by_hand() -> None:
    np.testing.assert_allclose(best_of(ERRORS), [20])
    np.testing.assert_allclose(best_of(ERRORS, joint_wise=True), [(10 + 0) / 2])
    assert best_pose(ERRORS).tolist() == [1]
    np.testing.assert_allclose(confident(ERRORS, np.array([[0.2, 0.3, 0.5]])), [45])
    np.testing.assert_allclose(expected(ERRORS, np.array([[0.2, 0.3, 0.5]])), [0.2 * 25 + 0.3 * 20 + 0.5 * 45])
    np.testing.assert_allclose(expected(ERRORS, np.array([[2.0, 3.0, 5.0]])), [33.5])


def test_the_oracle_is_never_worse() -> None:
    errors, weights = some()
    whole, joints = best_of(errors), best_of(errors, joint_wise=True)
    assert (joints <= whole).all()
    assert (whole <= confident(errors, weights)).all()
    assert (whole <= expected(errors, weights)).all()
    for hypotheses in range(1, 5):
        assert (whole <= best_of(errors[:, :hypotheses])).all()
        assert (joints <= best_of(errors[:, :hypotheses], joint_wise=True)).all()


def test_order_does_not_matter() -> None:
    errors, weights = some(1)
    order = [3, 1, 4, 0, 2]
    for joint_wise in (False, True):
        np.testing.assert_array_equal(
            best_of(errors[:, order], joint_wise=joint_wise), best_of(errors, joint_wise=joint_wise)
        )
    np.testing.assert_allclose(confident(errors[:, order], weights[:, order]), confident(errors, weights))
    np.testing.assert_allclose(expected(errors[:, order], weights[:, order]), expected(errors, weights))


def test_one_hypothesis_is_all_there_is() -> None:
    errors, weights = some(2, hypotheses=1)
    mean = errors[:, 0].mean(-1)
    measured = (
        best_of(errors),
        best_of(errors, joint_wise=True),
        confident(errors, weights),
        expected(errors, weights),
    )
    for answer in measured:
        np.testing.assert_allclose(answer, mean)


def test_of_equal_weights_the_first() -> None:
    np.testing.assert_allclose(confident(ERRORS, np.array([[0.4, 0.4, 0.2]])), [25])
    assert best_pose(np.ones((1, 3, 14))).tolist() == [0]


def test_missing_joints_take_no_part() -> None:
    errors, weights = some(3)
    counted = np.ones((20, 14), bool)
    counted[:, 6:] = False
    errors[..., 6:] = np.nan
    rest = errors[..., :6]
    for joint_wise in (False, True):
        np.testing.assert_allclose(
            best_of(errors, joint_wise=joint_wise, counted=counted), best_of(rest, joint_wise=joint_wise)
        )
    np.testing.assert_allclose(confident(errors, weights, counted=counted), confident(rest, weights))
    np.testing.assert_allclose(expected(errors, weights, counted=counted), expected(rest, weights))
    np.testing.assert_array_equal(best_pose(errors, counted=counted), best_pose(rest))
    counted[4] = False
    assert np.isnan(best_of(errors, counted=counted)).nonzero()[0].tolist() == [4]
    assert best_pose(errors, counted=counted)[4] == -1


@pytest.mark.parametrize("hypothesis", range(3))
def test_a_hypothesis_that_is_nan_is_not_passed_over(hypothesis: int) -> None:
    """An oracle must not choose among those that happen to be numbers."""
    errors, weights = np.repeat(ERRORS, 2, axis=0), np.array([[0.5, 0.3, 0.2]] * 2)
    errors[1, hypothesis, 0] = np.nan
    answers = best_of(errors), best_of(errors, joint_wise=True), expected(errors, weights)
    for answer in answers:
        assert np.isnan(answer).tolist() == [False, True]
    assert best_pose(errors).tolist() == [1, -1]
    assert np.isnan(log_score(weights, best_pose(errors))).tolist() == [False, True]
    assert np.isnan(confident(errors, weights)[1]) == (hypothesis == 0)


def test_weights_that_are_none() -> None:
    with pytest.raises(ValueError, match="logarithms"):
        normalised(np.array([[-1.0, 2.0]]))
    weights = np.array([[0.0, 0.0, 0.0], [1.0, np.nan, 0.0], [1.0, 1.0, 0.0]])
    for answer in (confident(np.repeat(ERRORS, 3, 0), weights), expected(np.repeat(ERRORS, 3, 0), weights)):
        assert np.isnan(answer).tolist() == [True, True, False]
    with pytest.raises(ValueError, match="no numbers"):
        calibration(weights, np.array([0, 0, 0]))
    with pytest.raises(ValueError, match="no numbers"):
        calibration(weights[2:], np.array([-1]))


def test_poses_of_the_best_joints_can_be_measured_otherwise() -> None:
    random = np.random.default_rng(4)
    poses, target = random.normal(size=(6, 3, 14, 3)), random.normal(size=(6, 14, 3))
    errors = joint_errors_mm(poses, target[:, None], root=None)
    composed = best_joints(poses, errors)
    np.testing.assert_allclose(joint_errors_mm(composed, target, root=None), errors.min(1))
    assert pa_mpjpe(composed, target).shape == (6,)
    errors[0, 1, 5] = np.nan
    assert np.argwhere(np.isnan(best_joints(poses, errors))).tolist() == [[0, 5, axis] for axis in range(3)]


def test_hypotheses_are_measured_beside_one_target() -> None:
    random = np.random.default_rng(5)
    poses, target = random.normal(size=(6, 3, 14, 3)), random.normal(size=(6, 14, 3))
    together = pa_mpjpe(poses, target[:, None])
    for number in range(3):
        np.testing.assert_array_equal(together[:, number], pa_mpjpe(poses[:, number], target))


def test_calibration_by_hand() -> None:
    """Two bins: weights up to 0.5, and above."""
    weights = np.array([[0.8, 0.2], [0.6, 0.4], [0.5, 0.5]])
    found = calibration(weights, np.array([0, 1, 0]), bins=2)
    assert found.count.tolist() == [4, 2]
    np.testing.assert_allclose(found.weights, [0.2 + 0.4 + 0.5 + 0.5, 0.8 + 0.6])
    assert found.best.tolist() == [2, 1]
    np.testing.assert_allclose(found.error, (abs(1.6 - 2) + abs(1.4 - 1)) / 6)
    greatest = calibration(weights, np.array([0, 1, 0]), bins=2, greatest_only=True)
    assert greatest.count.tolist() == [1, 2]
    assert greatest.best.tolist() == [1, 1]
    np.testing.assert_allclose(greatest.error, (abs(0.5 - 1) + abs(1.4 - 1)) / 3)


def test_edges_of_bins() -> None:
    found = calibration(np.array([[0.0, 1.0], [0.1, 0.9]]), np.array([1, 1]), bins=10)
    assert found.count.tolist() == [2, 0, 0, 0, 0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("bins", [5, 10, 15])
def test_the_greatest_weight_alone_agrees_with_torchmetrics(bins: int) -> None:
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(500, 4, generator=generator).double().softmax(-1)
    best = torch.multinomial(weights**3, 1, generator=generator)[:, 0]
    theirs = multiclass_calibration_error(weights, best, num_classes=4, n_bins=bins)
    ours = calibration(weights, best, bins=bins, greatest_only=True).error
    # They add up in single precision.
    assert ours == pytest.approx(float(theirs), rel=1e-5)
    assert ours > 0.01


def test_probabilities_are_calibrated_and_others_are_not() -> None:
    """Best ones drawn by the weights: no error but that of counting; sharper or flatter weights are found out."""
    generator = torch.Generator().manual_seed(1)
    truth = (2 * torch.randn(20_000, 3, generator=generator).double()).softmax(-1)
    best = torch.multinomial(truth, 1, generator=generator)[:, 0]
    claims = {"sharper": truth**3, "true": truth, "flatter": truth**0.3, "none": torch.ones_like(truth)}
    errors = {name: calibration(weights, best).error for name, weights in claims.items()}
    scores = {name: float(log_score(weights, best).mean()) for name, weights in claims.items()}
    assert errors["true"] < 0.01 < 0.05 < min(errors["sharper"], errors["flatter"])
    # Weights that say nothing are calibrated all the same; the log score tells them from those that know.
    assert errors["none"] < 0.01
    assert scores["true"] < min(scores["sharper"], scores["flatter"], scores["none"])
    assert scores["none"] == pytest.approx(np.log(3))
    assert scores["true"] == pytest.approx(float(torch.nn.functional.nll_loss(truth.log(), best)))


def test_parts_of_a_set_add_up() -> None:
    generator = torch.Generator().manual_seed(2)
    weights, best = torch.rand(60, 4, generator=generator), torch.randint(0, 4, (60,), generator=generator)
    whole = calibration(weights, best)
    parts = [calibration(weights[rows], best[rows]) for rows in (slice(0, 13), slice(13, 60))]
    assert torch.equal(whole.count, parts[0].count + parts[1].count)
    assert torch.equal(whole.best, parts[0].best + parts[1].best)
    torch.testing.assert_close(whole.weights, parts[0].weights + parts[1].weights)


def test_a_best_one_without_weight_is_infinitely_surprising() -> None:
    assert log_score(np.array([[1.0, 0.0]]), np.array([1])) == np.inf
    assert log_score(np.array([[1.0, 0.0]]), np.array([0])) == 0
