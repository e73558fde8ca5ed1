"""Acceleration errors: what moves evenly has none, frame rates, frames that are missing."""

import numpy as np
import pytest

from monobody.metrics import acceleration, acceleration_error


def falling(frames: int, fps: float, metres_per_second_squared: float) -> np.ndarray:
    """Three joints, of which the first stays; the second falls, the third falls twice as fast."""
    seconds = np.arange(frames) / fps
    path = np.zeros((frames, 3, 3))
    path[:, 1, 1] = metres_per_second_squared / 2 * seconds**2
    path[:, 2, 1] = metres_per_second_squared * seconds**2
    return path


@pytest.mark.parametrize("fps", [10.0, 25.0, 50.0])
def test_falling_beside_standing_by_hand(fps: float) -> None:
    """Off by 0, 2 and 4 m/s², at any frame rate; in units of frames that is divided by its square."""
    fall, stand = falling(8, fps, 2.0), np.zeros((8, 3, 3))
    np.testing.assert_allclose(acceleration_error(fall, stand, fps=fps, root=None), np.full(6, 2000.0))
    np.testing.assert_allclose(acceleration_error(fall, stand, fps=fps, root=(0,)), np.full(6, 2000.0))
    np.testing.assert_allclose(acceleration_error(fall, stand, fps=None, root=None), np.full(6, 2000 / fps**2))
    # About the second joint the errors are 2, 0 and 2.
    np.testing.assert_allclose(acceleration_error(fall, stand, fps=fps, root=(1,)), np.full(6, 4000 / 3))


def test_even_motion_has_no_error() -> None:
    random = np.random.default_rng(0)
    target = random.normal(size=(2, 9, 14, 3))
    drift = random.normal(size=(2, 1, 14, 3)) + np.arange(9)[:, None, None] * random.normal(size=(2, 1, 14, 3))
    for root in (None, (2, 3)):
        np.testing.assert_allclose(
            acceleration_error(target + drift, target, fps=30.0, root=root), np.zeros((2, 7)), atol=1e-7
        )


def test_root_motion_is_not_seen_unless_asked_for() -> None:
    random = np.random.default_rng(1)
    target = random.normal(size=(9, 14, 3))
    shaken = target + random.normal(size=(9, 1, 3))
    np.testing.assert_allclose(acceleration_error(shaken, target, fps=30.0), np.zeros(7), atol=1e-7)
    assert (acceleration_error(shaken, target, fps=30.0, root=None) > 1000).all()


def test_agrees_with_numpy() -> None:
    predicted, target = np.random.default_rng(2).normal(size=(2, 4, 12, 14, 3))
    np.testing.assert_allclose(acceleration(predicted, fps=None), np.diff(predicted, n=2, axis=-3))
    ours = acceleration_error(predicted, target, fps=None, root=None)
    theirs = 1000 * np.linalg.norm(np.diff(predicted - target, n=2, axis=-3), axis=-1).mean(-1)
    np.testing.assert_allclose(ours, theirs)
    np.testing.assert_allclose(
        acceleration_error(predicted[:, ::-1], target[:, ::-1], fps=None, root=None), ours[:, ::-1]
    )


def test_a_missing_frame_takes_three_with_it() -> None:
    predicted, target = np.random.default_rng(3).normal(size=(2, 9, 14, 3))
    counted = np.ones((9, 14), bool)
    counted[4] = False
    predicted[4] = np.nan
    errors = acceleration_error(predicted, target, fps=25.0, counted=counted)
    assert np.isnan(errors).tolist() == [False, False, True, True, True, False, False]
    np.testing.assert_allclose(errors[:2], acceleration_error(predicted, target, fps=25.0)[:2])


def test_a_missing_joint_is_left_out_and_a_missing_root_is_not() -> None:
    predicted, target = np.random.default_rng(4).normal(size=(2, 5, 14, 3))
    counted = np.ones((5, 14), bool)
    counted[1, 13] = False
    errors = acceleration_error(predicted, target, fps=25.0, counted=counted)
    rest = acceleration_error(predicted[:, :13], target[:, :13], fps=25.0)
    np.testing.assert_allclose(errors[:2], rest[:2])
    np.testing.assert_allclose(errors[2], acceleration_error(predicted, target, fps=25.0)[2])
    counted[1, 2] = False
    errors = acceleration_error(predicted, target, fps=25.0, counted=counted)
    assert np.isnan(errors).tolist() == [True, True, False]


def test_nan_shows_in_the_frames_it_touches() -> None:
    predicted, target = np.random.default_rng(5).normal(size=(2, 7, 14, 3))
    predicted[0, 5] = np.nan
    assert np.isnan(acceleration_error(predicted, target, fps=25.0)).tolist() == [True, False, False, False, False]


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_too_few_frames_have_no_acceleration(frames: int) -> None:
    points = np.zeros((3, frames, 14, 3))
    assert acceleration_error(points, points, fps=25.0).shape == (3, 0)
