"""Real bodies for the critic: the same for the same batch, from the bank, with the shapes that belong to the poses."""

from dataclasses import replace

import numpy as np
import pytest

from monobody.data.pose_bank import PoseBank, mirrored
from monobody.data.real_bodies import RealBodies
from monobody.data.staging import to_matrices
from monobody.errors import UserError


def bank(count=40, seed=0, **changes):
    rng = np.random.default_rng(seed)
    names, weights = np.array(["s"] * count), np.full(count, 1 / count, np.float32)
    plain = PoseBank(
        rotations_aa=rng.normal(size=(count, 24, 3)).astype(np.float32),
        source=names,
        clip=names,
        action=names,
        held_out=np.arange(count) % 4 == 0,
        balanced=weights,
        unusual=weights,
    )
    return replace(plain, **changes)


def which(rotations, among):
    """For each body the pose of the bank that it is, or minus one and less where it is mirrored."""
    plain, swapped = to_matrices(among.rotations_aa[:, 1:]), to_matrices(mirrored(among.rotations_aa)[:, 1:])
    distance = np.abs(rotations[:, None] - np.concatenate([plain, swapped])[None]).max((2, 3, 4))
    assert distance.min(1).max() < 1e-5
    nearest = distance.argmin(1)
    return np.where(nearest < len(among), nearest, len(among) - nearest - 1)


def test_a_batch_depends_on_its_number_and_the_seed_alone():
    bodies = RealBodies(banks=[bank()])
    first, again = bodies(3, 12), RealBodies(banks=[bank()])(3, 12)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first[0], bodies(4, 12)[0])
    assert not np.array_equal(first[0], RealBodies(banks=[bank()], seed=1)(3, 12)[0])
    assert [each.shape for each in first] == [(12, 23, 3, 3), (12, 10)]
    assert all(each.dtype == np.float32 for each in first)


@pytest.mark.parametrize("held_out", [False, True])
def test_bodies_are_the_banks_own_half_of_them_mirrored(held_out):
    mine = bank()
    found = which(RealBodies(banks=[mine], held_out=held_out)(0, 400)[0], mine)
    pose = np.where(found < 0, -found - 1, found)
    assert set(pose) <= set(np.flatnonzero(mine.held_out == held_out))
    assert len(set(pose)) > 9
    assert 0.4 < (found < 0).mean() < 0.6


def test_a_pose_keeps_its_own_shape():
    betas = np.arange(40, dtype=np.float32)[:, None] * np.ones((1, 10), np.float32)
    mine = bank(betas=betas, shape_space="smpl")
    rotations, drawn = RealBodies(banks=[mine], shape_space="smpl")(0, 50)
    found = which(rotations, mine)
    np.testing.assert_array_equal(drawn[:, 0], np.where(found < 0, -found - 1, found))


def test_shapes_of_another_body_are_not_used():
    mine = bank(betas=np.full((40, 10), 99, np.float32), shape_space="smpl")
    betas = RealBodies(banks=[mine])(0, 500)[1]
    assert np.abs(betas).max() <= 3
    assert 0.9 < betas.std() < 1.2


def test_banks_are_drawn_by_their_shares():
    banks = [bank(seed=0, betas=np.zeros((40, 10), np.float32)), bank(seed=1, betas=np.ones((40, 10), np.float32))]
    assert 0.15 < RealBodies(banks=banks, shares=[4, 1])(0, 1000)[1].mean() < 0.25
    assert RealBodies(banks=banks, shares=[0, 1])(0, 50)[1].min() == 1
    large = [banks[0], bank(count=120, seed=2, betas=np.ones((120, 10), np.float32))]
    assert 0.7 < RealBodies(banks=large)(0, 1000)[1].mean() < 0.8


@pytest.mark.parametrize(("banks", "shares"), [(0, None), (1, [1, 2]), (1, [0]), (2, [-1, 2])])
def test_shares_that_make_no_sense_are_refused(banks, shares):
    with pytest.raises(UserError, match="share"):
        RealBodies(banks=[bank()] * banks, shares=shares)
