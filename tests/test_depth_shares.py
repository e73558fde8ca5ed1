"""Depths of equal shares, and whole poses along the ways in which depths go wrong together."""

import numpy as np
import pytest
import torch
from torch import Tensor

from monobody.body.bones import usual_bones_m
from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS
from monobody.models.decode import decode_marginals
from monobody.models.depth_modes import depth_modes
from monobody.models.depth_shares import depth_at, share_levels
from monobody.models.depth_ways import MOST, STEP, Ways, errors_together, poses_along_ways, ways_of
from monobody.models.marginals import Marginals, centres

SLICES = 32
XAS = SKELETONS["xas18"]


def normal(mean: Tensor, spread: Tensor) -> Tensor:
    """Probabilities of the slices of normal distributions."""
    place = centres(SLICES, like=mean)
    return (-0.5 * ((place - mean[..., None]) / spread[..., None]) ** 2).softmax(-1)


def xas_ways(count: int = MOST) -> Ways:
    return ways_of(tuple(XAS.parents), tuple(XAS.flip), tuple(usual_bones_m(Body.load()).tolist()), count)


def depth_shares(probability: Tensor, *, count: int = 3, depth_range: float = 1.0) -> Tensor:
    level = np.array(share_levels(count), np.float32)[:, None].repeat(probability.shape[1], axis=1)
    return depth_at(probability, level, depth_range=depth_range)


def poses_of(probability: Tensor, *, count: int = MOST) -> tuple[Tensor, Tensor]:
    ways = xas_ways()
    depth = depth_at(probability, ways.level)
    where = torch.zeros(len(probability), 18, 2)
    return poses_along_ways(where, depth, torch.from_numpy(ways.weight), count=count)


def test_shares_of_a_level_distribution_are_thirds() -> None:
    found = depth_shares(torch.full((1, 2, SLICES), 1 / SLICES))
    torch.testing.assert_close(found[0, :, 0], torch.tensor([0.0, -2 / 3, 2 / 3]), atol=1e-6, rtol=0)
    two = depth_shares(torch.full((1, 1, SLICES), 1 / SLICES), count=2)[0, :, 0]
    assert two[0].abs() < 1e-6 < two[1].abs()
    scaled = depth_shares(torch.full((1, 1, SLICES), 1 / SLICES), count=1, depth_range=1.5)
    assert scaled[0, :, 0].tolist() == pytest.approx([0.0], abs=1e-6)


def test_of_two_peaks_the_likelier_has_the_middle_and_the_other_is_found() -> None:
    two = torch.zeros(1, 1, SLICES)
    two[..., 5], two[..., 25] = 0.7, 0.3
    middle, near, far = depth_shares(two)[0, :, 0].tolist()
    cell = centres(SLICES, like=two)
    for found, slice_ in ((middle, 5), (near, 5), (far, 25)):
        assert abs(found - cell[slice_]) <= 1 / SLICES


def test_a_certain_depth_is_one_wherever_it_is() -> None:
    for slice_ in (0, 11, SLICES - 1):
        certain = torch.zeros(1, 1, SLICES)
        certain[..., slice_] = 1
        depth = depth_shares(certain)[0, :, 0]
        assert (depth - centres(SLICES, like=certain)[slice_]).abs().max() <= 1 / SLICES


def test_levels_are_those_of_the_distribution_s_own_function() -> None:
    """Against numpy's interpolation of the cumulative probabilities."""
    generator = torch.Generator().manual_seed(0)
    probability = (3 * torch.randn(4, 18, SLICES, generator=generator, dtype=torch.float64)).softmax(-1)
    level = torch.rand(7, 18, generator=generator, dtype=torch.float64).numpy()
    found = depth_at(probability, level, depth_range=1.2)
    edges = 1.2 * (2 * np.arange(SLICES + 1) / SLICES - 1)
    for person in range(4):
        for joint in range(18):
            below = np.concatenate([[0], probability[person, joint].numpy().cumsum()])
            expected = np.interp(level[:, joint], below, edges)
            np.testing.assert_allclose(found[person, :, joint].numpy(), expected, atol=1e-9)


def test_the_best_share_is_nearer_than_the_best_mode_and_than_any_fixed_distances() -> None:
    """Truths drawn from distributions of very different widths: what a calibrated network knows."""
    generator = torch.Generator().manual_seed(1)
    mean = 0.6 * torch.rand(4000, 1, generator=generator) - 0.3
    spread = 0.02 + 0.3 * torch.rand(4000, 1, generator=generator)
    probability = normal(mean, spread)
    truth = mean + spread * torch.randn(4000, 1, generator=generator)

    def best(depth: Tensor) -> float:
        return float((depth - truth[:, None]).abs().amin(1).mean())

    shares, modes = depth_shares(probability), depth_modes(probability, window=3).depth
    expected = (probability * centres(SLICES, like=mean)).sum(-1)[:, None]
    fixed = [best(torch.cat([expected, expected + x, expected - x], 1)) for x in np.linspace(0.02, 0.6, 30)]
    assert best(shares) < 0.95 * min(fixed)
    assert best(shares) < 0.95 * best(modes)


def test_errors_go_together_as_bones_hang_together() -> None:
    usual = usual_bones_m(Body.load()).tolist()
    together = errors_together(XAS.parents, XAS.flip, usual)
    np.testing.assert_allclose(together, together.T)
    assert np.linalg.eigvalsh(together).min() > -1e-9
    root = XAS.parents.index(-1)
    assert not together[root].any()
    np.testing.assert_allclose(np.diag(together)[np.arange(18) != root], 1)
    names = ("left_hip", "left_knee", "left_ankle", "right_hip")
    hip, knee, ankle, other = (XAS.joints.index(name) for name in names)
    assert together[hip, other] == pytest.approx(-1)
    thigh, shin, side = usual[knee], usual[ankle], usual[hip]
    shared = side**2 + thigh**2
    assert together[knee, ankle] == pytest.approx(shared / np.sqrt(shared * (shared + shin**2)))
    elbow, wrist = XAS.joints.index("left_elbow"), XAS.joints.index("left_wrist")
    assert together[elbow, wrist] > together[wrist, ankle] >= 0


def test_ways_are_the_middle_and_a_step_to_either_side_and_weigh_what_they_stand_for() -> None:
    ways = xas_ways()
    assert ways.level.shape == (MOST, 18)
    np.testing.assert_allclose(ways.level[0], 0.5)
    np.testing.assert_allclose(ways.level[1] + ways.level[2], 1)
    np.testing.assert_allclose(ways.level[3] + ways.level[4], 1)
    assert ways.weight.sum() == pytest.approx(1)
    assert ways.weight.argmax() == 0
    assert ways.weight[1] == ways.weight[2]
    assert ways.weight[3] == ways.weight[4]
    assert ways.weight[1] > ways.weight[3]
    # No joint goes farther than so many of its own standard deviations; the neck nearly does.
    farthest = torch.special.ndtri(torch.from_numpy(ways.level)).abs().max()
    assert 0.9 * STEP < farthest <= STEP + 1e-9
    trunk = [XAS.joints.index(name) for name in ("neck", "left_shoulder", "right_wrist")]
    assert len(set(np.sign(ways.level[1][trunk] - 0.5))) == 1
    legs = [XAS.joints.index(name) for name in ("left_hip", "right_hip")]
    np.testing.assert_allclose(ways.level[3][legs].sum(), 1, atol=1e-9)
    assert len(xas_ways(3).weight) == 3


def test_poses_move_as_far_as_the_network_is_unsure_of_each_joint() -> None:
    mean = torch.zeros(1, 18)
    spread = torch.full((1, 18), 0.05)
    wrist = XAS.joints.index("left_wrist")
    spread[0, wrist] = 0.3
    poses, weight = poses_of(normal(mean, spread))
    apart = (poses[0, :, :, 2] - poses[0, :1, :, 2]).abs()
    assert apart[1, wrist] > 3 * apart[1, XAS.joints.index("neck")] > 0
    torch.testing.assert_close(weight.sum(1), torch.ones(1))
    assert (weight[0].diff() <= 0).all()
    assert (poses[0, :, XAS.parents.index(-1), 2] - poses[0, 0, XAS.parents.index(-1), 2]).abs().max() == 0


def test_where_depths_are_certain_there_is_one_pose_and_the_rest_repeat_it() -> None:
    certain = torch.zeros(2, 18, 64)
    certain[0, :, 40] = 1
    certain[1] = 1 / 64
    poses, weight = poses_of(certain, count=7)
    assert weight[0].tolist() == [1.0] + 6 * [0.0]
    torch.testing.assert_close(poses[0], poses[0, :1].expand(7, -1, -1))
    assert (weight[1, :MOST] > 0).all()
    assert weight[1, MOST:].tolist() == [0.0, 0.0]
    torch.testing.assert_close(poses[1, 5:], poses[1, :1].expand(2, -1, -1))


def test_where_one_way_is_certain_its_poses_come_last_and_the_first_weighs_for_them() -> None:
    """The trunk is certain and the legs are not: the two heaviest of the other poses are the first one again."""
    spread = torch.full((1, 18), 0.002)
    spread[0, [XAS.joints.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("knee", "ankle")]] = 0.3
    poses, weight = poses_of(normal(torch.zeros(1, 18), spread))
    whole = xas_ways().weight
    assert (weight[0] > 0).tolist() == [True, True, True, False, False]
    assert weight[0].tolist() == pytest.approx([whole[0] + whole[1] + whole[2], whole[3], whole[4], 0, 0])
    apart = (poses[0, :, :, 2] - poses[0, :1, :, 2]).abs().amax(-1)
    assert (apart[1:3] > 0.2).all()
    assert (apart[3:] == 0).all()


def test_one_unsure_wrist_is_enough_for_other_poses() -> None:
    spread = torch.full((1, 18), 0.005)
    spread[0, XAS.joints.index("left_wrist")] = 0.3
    poses, weight = poses_of(normal(torch.zeros(1, 18), spread))
    assert (weight[0] > 0).sum() >= 3
    assert (poses[0, 1] - poses[0, 0]).abs().amax() > 0.2


def test_both_readings_are_to_be_had_and_one_depth_is_the_mean() -> None:
    probability = normal(torch.zeros(1, 18), torch.full((1, 18), 0.2))
    said = Marginals(plane=torch.full((1, 18, 8, 8), 1 / 64), depth=probability)
    usual = usual_bones_m(Body.load())
    shares, modes = (decode_marginals(said, usual, reading=reading) for reading in ("shares", "modes"))
    torch.testing.assert_close(shares.joint_wise[0, :, :, 2], depth_shares(probability)[0])
    torch.testing.assert_close(shares.probability, torch.full((1, 3, 18), 1 / 3))
    assert shares.valid.all()
    assert not torch.allclose(shares.joint_wise, modes.joint_wise, atol=0.02)
    one = decode_marginals(said, usual, modes=1)
    assert one.joint_wise.shape == (1, 1, 18, 3)
    assert one.weight[0].tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]


def test_animals_have_ways_too() -> None:
    skeleton = SKELETONS["quadruped"]
    ways = ways_of(tuple(skeleton.parents), tuple(skeleton.flip), (1.0,) * len(skeleton.joints), MOST)
    assert ways.weight.argmax() == 0
    assert np.isfinite(ways.level).all()
