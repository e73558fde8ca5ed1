"""Hypotheses over time: the heaviest where nothing else counts, the best path of all where motion does."""

from itertools import product

import numpy as np

from monobody.predict import select
from monobody.predict.select import likeliest_path


def poses(at_m: np.ndarray) -> np.ndarray:
    """Two joints, the pelvis and one that is at (f, h) metres to the right of it, wherever the person stands."""
    generator = np.random.default_rng(9)
    joints = np.zeros((*at_m.shape, 2, 3))
    joints[..., 1, 0] = at_m
    return joints + generator.normal(size=(*at_m.shape, 1, 3))


def test_the_best_of_all_paths_is_found() -> None:
    generator = np.random.default_rng(0)
    frames, several = 5, 3
    joints = generator.normal(size=(frames, several, 4, 3)) / 20
    weight = generator.uniform(0.1, 1, (frames, several))
    times_s = np.array([0, 0.04, 0.1, 0.2, 0.22])

    def cost(path: tuple[int, ...]) -> float:
        total = 0.0
        for frame, h in enumerate(path):
            total -= np.log(weight[frame, h] / weight[frame].sum())
            if frame:
                now, before = (joints[f, h] - joints[f, h, 0] for f, h in ((frame, h), (frame - 1, path[frame - 1])))
                moved = ((now - before) ** 2).sum() / 4
                allowed = (select.SPEED * (times_s[frame] - times_s[frame - 1])) ** 2 + select.WAVERING**2
                total += moved / allowed
        return total

    best = min(product(range(several), repeat=frames), key=cost)
    assert likeliest_path(joints, weight, times_s).tolist() == list(best)


def test_without_motion_the_heaviest_counts() -> None:
    generator = np.random.default_rng(1)
    weight = generator.uniform(0, 1, (20, 4))
    joints = poses(generator.uniform(-1, 1, (20, 4)))
    path = likeliest_path(joints, weight, np.arange(20) / 25, change=0)
    assert np.array_equal(path, weight.argmax(axis=1))


def test_a_moment_of_doubt_is_carried_over() -> None:
    """The first hypothesis is right throughout; for three frames another one weighs more."""
    at_m = np.stack([np.linspace(0, 0.1, 15), np.linspace(0.4, 0.5, 15)], axis=1)
    weight = np.tile([0.6, 0.4], (15, 1))
    weight[6:9] = [0.3, 0.7]
    path = likeliest_path(poses(at_m), weight, np.arange(15) / 25)
    assert (path == 0).all()
    assert (weight.argmax(axis=1) == 1).sum() == 3


def test_hypotheses_that_are_none_are_not_chosen() -> None:
    weight = np.tile([0.0, 0.5, 0.5], (6, 1))
    path = likeliest_path(poses(np.zeros((6, 3))), weight, np.arange(6) / 25)
    assert (path > 0).all()
