"""Calm motion: what is calm stays, what shakes is calmed, and turning the world turns the answer."""

import numpy as np
import pytest
import torch

from monobody.body.legs import turning
from monobody.predict.smooth import (
    Calmed,
    doubts,
    nearest_rotations,
    smoothed,
    smoothed_places,
    smoothed_rotations,
)

EVEN = np.arange(40) / 25
UNEVEN = np.sort(np.random.default_rng(3).uniform(0, 1.6, 40))


def turns(times_s: np.ndarray, seed: int = 0) -> np.ndarray:
    """Two joints that turn at constant speed about axes of their own."""
    axes = np.random.default_rng(seed).normal(size=(2, 3))
    return np.stack([turning(np.tile(axis, (len(times_s), 1)), 1.3 * times_s) for axis in axes], axis=1)


@pytest.mark.parametrize("times_s", [EVEN, UNEVEN])
def test_a_parabola_stays_as_it_is(times_s: np.ndarray) -> None:
    values = np.stack([3 - 2 * times_s + 4 * times_s**2, 1 + 0 * times_s], axis=1)
    calm = smoothed(values, times_s, 0.1, np.ones(len(times_s)))
    assert np.abs(calm - values).max() < 0.02


@pytest.mark.parametrize("times_s", [EVEN, UNEVEN])
def test_noise_becomes_less(times_s: np.ndarray) -> None:
    generator, real = np.random.default_rng(0), turns(times_s)
    axis = 0.1 * generator.normal(size=(len(times_s) * 2, 3))
    shaken = real @ turning(axis, np.linalg.norm(axis, axis=1)).reshape(real.shape)
    calm = smoothed_rotations(shaken, times_s, 0.1, np.ones(len(times_s)))
    assert np.linalg.norm(calm - real) < 0.6 * np.linalg.norm(shaken - real)
    assert np.allclose(calm @ np.swapaxes(calm, -1, -2), np.eye(3), atol=1e-9)
    assert (np.linalg.det(calm) > 0).all()


def test_turning_the_world_turns_the_answer() -> None:
    generator = np.random.default_rng(1)
    rotations = nearest_rotations(turns(EVEN) + 0.05 * generator.normal(size=(40, 2, 3, 3)))
    world = nearest_rotations(generator.normal(size=(3, 3)))
    weight = generator.uniform(0.2, 1, 40)
    first = world @ smoothed_rotations(rotations, EVEN, 0.1, weight)
    assert np.allclose(first, smoothed_rotations(world @ rotations, EVEN, 0.1, weight), atol=1e-9)


def test_the_knob_at_zero_changes_nothing() -> None:
    rotations, places = turns(EVEN), np.random.default_rng(0).normal(size=(40, 3)) + np.array([0.0, 0.0, 5.0])
    assert np.array_equal(smoothed_rotations(rotations, EVEN, 0.0, np.ones(40)), rotations)
    assert np.allclose(smoothed_places(places, EVEN, 0.0, np.ones(40)), places)


def test_more_seconds_are_calmer() -> None:
    values = np.random.default_rng(0).normal(size=(40, 1))
    rough = [float(np.abs(np.diff(smoothed(values, EVEN, s, np.ones(40)), axis=0)).sum()) for s in (0, 0.05, 0.1, 0.3)]
    assert rough == sorted(rough, reverse=True)


def test_depth_is_calmed_more_than_bearing() -> None:
    generator = np.random.default_rng(2)
    noise = 0.05 * generator.normal(size=(40, 3))
    calm = smoothed_places(np.array([1.0, 0.5, 5.0]) * np.exp(noise), EVEN, 0.1, np.ones(40))
    depth, bearing = np.diff(np.log(calm[:, 2])), np.diff(calm[:, 0] / calm[:, 2])
    assert np.abs(depth).mean() < 0.7 * np.abs(bearing).mean() * 5


def test_a_frame_that_went_wrong_pulls_less() -> None:
    values = np.sin(EVEN)[:, None] + 0.01 * np.random.default_rng(0).normal(size=(40, 1))
    values[20] += 2
    calm = smoothed(values, EVEN, 0.1, np.ones(40))
    again = smoothed(values, EVEN, 0.1, doubts(values, calm, np.ones(40)))
    truth = np.sin(EVEN)[:, None]
    assert np.abs(again - truth)[20] < 0.3 * np.abs(calm - truth)[20]


def test_few_frames_are_no_trouble() -> None:
    for count in (1, 2, 3):
        assert smoothed(np.ones((count, 2)), np.arange(count) / 25, 0.1, np.ones(count)) == pytest.approx(
            np.ones((count, 2))
        )


def test_a_stream_follows_without_knowing_what_comes() -> None:
    follow, step = Calmed(0.1), torch.eye(3).numpy()[None].repeat(24, axis=0)
    follow(0.0, step, np.zeros(3))
    for frame in range(1, 11):
        _, place = follow(frame / 100, step, np.ones(3))
    assert place == pytest.approx(np.full(3, 1 - np.exp(-1)), abs=1e-6)
