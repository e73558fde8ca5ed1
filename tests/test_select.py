"""Hypotheses over time: the heaviest where nothing else counts, the best path of all where motion does."""

from itertools import product

import numpy as np

from monobody.body.legs import turning
from monobody.predict import select
from monobody.predict.select import likeliest_path


def poses(angle_rad: np.ndarray) -> np.ndarray:
    """One joint turned by angles (f, h), the others at rest."""
    frames, several = angle_rad.shape
    rotations = np.tile(np.eye(3), (frames, several, 24, 1, 1))
    flat = angle_rad.ravel()
    rotations[:, :, 5] = turning(np.tile([0.0, 0, 1], (len(flat), 1)), flat).reshape(frames, several, 3, 3)
    return rotations


def test_the_best_of_all_paths_is_found() -> None:
    generator = np.random.default_rng(0)
    frames, several = 5, 3
    rotations = poses(generator.uniform(-1, 1, (frames, several)))
    places, weight = generator.normal(size=(frames, several, 3)) / 20, generator.uniform(0.1, 1, (frames, several))
    times_s = np.array([0, 0.04, 0.1, 0.2, 0.22])

    def cost(path: tuple[int, ...]) -> float:
        total = 0.0
        for frame, h in enumerate(path):
            total -= np.log(weight[frame, h] / weight[frame].sum())
            if frame:
                last = path[frame - 1]
                turned = ((rotations[frame, h] - rotations[frame - 1, last]) ** 2).sum() / 48
                moved = ((places[frame, h] - places[frame - 1, last]) ** 2).sum()
                allowed = (select.TURNING * (times_s[frame] - times_s[frame - 1])) ** 2 + select.WAVERING**2
                total += (turned + moved) / allowed
        return total

    best = min(product(range(several), repeat=frames), key=cost)
    assert likeliest_path(rotations, places, weight, times_s).tolist() == list(best)


def test_without_motion_the_heaviest_counts() -> None:
    generator = np.random.default_rng(1)
    weight = generator.uniform(0, 1, (20, 4))
    rotations = poses(generator.uniform(-1, 1, (20, 4)))
    path = likeliest_path(rotations, np.zeros((20, 4, 3)), weight, np.arange(20) / 25, change=0)
    assert np.array_equal(path, weight.argmax(axis=1))


def test_a_moment_of_doubt_is_carried_over() -> None:
    """The first hypothesis is right throughout; for three frames another one weighs more."""
    angle = np.stack([np.linspace(0, 0.3, 15), np.linspace(1.8, 2.0, 15)], axis=1)
    weight = np.tile([0.6, 0.4], (15, 1))
    weight[6:9] = [0.3, 0.7]
    path = likeliest_path(poses(angle), np.zeros((15, 2, 3)), weight, np.arange(15) / 25)
    assert (path == 0).all()
    assert (weight.argmax(axis=1) == 1).sum() == 3


def test_hypotheses_that_are_none_are_not_chosen() -> None:
    weight = np.tile([0.0, 0.5, 0.5], (6, 1))
    path = likeliest_path(poses(np.zeros((6, 3))), np.zeros((6, 3, 3)), weight, np.arange(6) / 25)
    assert (path > 0).all()
