"""Curated poses: limits on the right sides of our body, seen by where its joints go, and frames drawn one by one."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.body.rotation import axis_angle_to_matrix
from monobody.body.skeleton import SKELETONS
from monobody.data.curated_poses import LIMITS_DEG, MEANS_DEG, CuratedPoses
from monobody.data.pose_bank import mirrored
from monobody.data.synthetic import PLAIN, SyntheticPeople

NAMES = SKELETONS["smpl24"].joints
HINGES = {
    "left_knee": "left_ankle",
    "right_knee": "right_ankle",
    "left_elbow": "left_wrist",
    "right_elbow": "right_wrist",
}


@pytest.fixture(scope="module")
def body() -> JointBody:
    return JointBody.from_body(Body.load(), sets=("smpl24",))


def drawn(count: int, seed: int = 0, *, released: bool = False) -> np.ndarray:
    return CuratedPoses(released=released).sample(count, np.random.default_rng(seed))


def joints_of(body: JointBody, poses: np.ndarray) -> np.ndarray:
    rotations = axis_angle_to_matrix(torch.from_numpy(poses))
    return body(rotations, torch.zeros(len(poses), 10))["smpl24"].numpy()


@pytest.mark.parametrize("hinge", HINGES)
def test_knees_bend_backwards_and_elbows_forwards(hinge: str, body: JointBody) -> None:
    """With only that joint bent, its end goes behind (knees) or before (elbows) where it is at rest, never beyond."""
    poses = drawn(2000)
    alone = np.zeros_like(poses)
    index = NAMES.index(hinge)
    # The bend itself: what the table allows on one side only. The rest is twist and give.
    bend = int(np.flatnonzero([0 in pair for pair in LIMITS_DEG[index]])[0])
    alone[:, index, bend] = poses[:, index, bend]
    end = NAMES.index(HINGES[hinge])
    moved = (joints_of(body, alone) - joints_of(body, 0 * alone))[:, end, 2]
    forwards = 1 if "elbow" in hinge else -1
    assert (forwards * moved > -1e-5).all()
    # A shin or forearm of 0.2 m at least, bent by 50 degrees or more in some.
    assert (forwards * moved).max() > 0.15
    assert 0.6 > (np.abs(moved) > 0.02).mean() > 0.2


def test_legs_go_outwards_and_farther_forwards_than_back(body: JointBody) -> None:
    poses = drawn(3000)
    alone = np.zeros_like(poses)
    alone[:, 1:3] = poses[:, 1:3]
    moved = joints_of(body, alone) - joints_of(body, 0 * alone)
    left, right = moved[:, NAMES.index("left_ankle")], moved[:, NAMES.index("right_ankle")]
    sideways = {1: left[:, 0], -1: right[:, 0]}
    for sign, x in sideways.items():
        assert np.quantile(sign * x, 0.99) > 0.25
        assert np.quantile(sign * x, 0.01) > -0.15  # A leg that turns and bends swings inwards a little.
    assert left[:, 2].max() > 0.6
    assert left[:, 2].max() > -left[:, 2].min() > 0.4


def test_arms_hang_and_reach_up_and_forwards(body: JointBody) -> None:
    poses = drawn(3000)
    alone = np.zeros_like(poses)
    alone[:, 16:18] = poses[:, 16:18]
    joints = joints_of(body, alone)
    for side in ("left", "right"):
        arm = joints[:, NAMES.index(f"{side}_elbow")] - joints[:, NAMES.index(f"{side}_shoulder")]
        arm /= np.linalg.norm(arm, axis=1, keepdims=True)
        moving = np.abs(alone[:, NAMES.index(f"{side}_shoulder"), 2]) > 0
        assert np.median(arm[moving, 1]) < -0.5
        assert arm[:, 1].max() > 0.7
        assert np.quantile(arm[:, 2], 0.99) > -np.quantile(arm[:, 2], 0.01)


def test_components_keep_their_limits_and_reach_them() -> None:
    degrees = np.degrees(drawn(20_000))
    for joint in range(24):
        row = LIMITS_DEG.get(joint, ((0, 0),) * 3)
        for axis, (positive, negative) in enumerate(row):
            about = degrees[:, joint, axis] - MEANS_DEG.get(joint, (0.0,) * 3)[axis]
            moving = np.abs(degrees[:, joint, axis]) > 1e-4
            if joint and positive + negative:
                expected = 0.6 if (positive and negative) or joint in MEANS_DEG else 0.3
                assert moving.mean() == pytest.approx(expected, abs=0.02), (joint, axis)
            assert about[moving].max(initial=0) <= positive + 1e-3
            assert about[moving].min(initial=0) >= -negative - 1e-3
            if positive:
                assert about[moving].max() > 0.999 * positive  # Five per cent are cut off there.


def test_the_table_is_its_own_mirror_image() -> None:
    flip = SKELETONS["smpl24"].flip
    spread = {False: drawn(20_000), True: mirrored(drawn(20_000, 1))}
    for quantile in (0.05, 0.5, 0.95):
        ours, others = (np.quantile(poses, quantile, axis=0) for poses in spread.values())
        np.testing.assert_allclose(ours, others, atol=0.06)
    assert {flip[joint] for joint in LIMITS_DEG} == set(LIMITS_DEG)


def test_people_stand_in_our_world_and_lie_about_as_published() -> None:
    up = {}
    for released in (False, True):
        root = axis_angle_to_matrix(torch.from_numpy(drawn(2000, released=released)[:, 0])).numpy()
        up[released] = root[:, 1, 1]
    assert up[False].min() > 0.6
    assert np.median(up[False]) > 0.9
    assert up[True].min() < 0.2
    np.testing.assert_allclose(up[True].max(), 1, atol=0.01)


def test_frames_of_a_clip_hang_together_only_as_published() -> None:
    def agreement(poses: np.ndarray) -> float:
        """How often neighbouring frames have a component zero, or not, together."""
        moving = poses[:, [3, 16, 17, 18]] != 0
        clips = moving[: len(moving) // 10 * 10].reshape(-1, 10, 4, 3)[..., 0]
        return float((clips[:, 1:] == clips[:, :-1]).mean())

    assert agreement(drawn(5000, released=True)) == 1
    assert agreement(drawn(5000)) == pytest.approx(0.6**2 + 0.4**2, abs=0.02)


def test_betas_have_signs_of_their_own() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = (CuratedPoses(released=released).sample_betas(3000, rng) for released in (False, True))
    assert np.abs(np.corrcoef(ours.T) - np.eye(10)).max() < 0.08
    assert ((theirs >= 0).all(1) | (theirs <= 0).all(1)).all()
    np.testing.assert_array_equal(theirs[0], theirs[9])
    assert (theirs[9] != theirs[10]).all()
    for betas in (ours, theirs):
        assert np.abs(betas).max() == 1.5
        assert betas.std() == pytest.approx(1.5 / 1.96, rel=0.05)


def test_synthetic_people_take_these_poses_as_they_are() -> None:
    setting = replace(PLAIN, size=48, oversampling=1, unusual=0)
    people = SyntheticPeople(3, CuratedPoses(), setting=setting)
    rng = np.random.default_rng([3, 2, 0])  # The stream's own for its first block.
    expected = CuratedPoses().sample(16, rng)
    for number in (0, 5):
        sample = people[number]
        assert sample.rotations is not None
        np.testing.assert_allclose(
            sample.rotations[1:], axis_angle_to_matrix(torch.from_numpy(expected[number, 1:])).numpy(), atol=1e-5
        )
        assert sample.mask is not None
        assert sample.mask.any()
    np.testing.assert_array_equal(people[5].betas, CuratedPoses().sample_betas(16, rng)[5])


def test_the_same_seed_gives_the_same_poses() -> None:
    for released in (False, True):
        np.testing.assert_array_equal(drawn(25, 4, released=released), drawn(25, 4, released=released))
        assert (drawn(25, 4, released=released) != drawn(25, 5, released=released)).any()
