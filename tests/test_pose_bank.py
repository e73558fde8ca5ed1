"""The pose bank: rare poses are drawn, held-out ones are not, and files come back."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import monobody
from monobody.body.kinematics import forward_kinematics
from monobody.body.rotation import axis_angle_to_matrix
from monobody.body.skeleton import SKELETONS
from monobody.data.pose_bank import PoseBank, balanced_weights, mirrored
from monobody.errors import UserError

STANDING, LYING, HELD_OUT = 0, 1, 2


@pytest.fixture(scope="module")
def bank():
    """A thousand standing poses, ten lying ones, five held out; the root's x angle tells which is which."""
    kind = np.repeat([STANDING, LYING, HELD_OUT], [1000, 10, 5])
    rng = np.random.default_rng(0)
    poses = 0.1 * rng.normal(size=(len(kind), 24, 3)).astype(np.float32)
    poses[:, 0] = 0
    poses[kind == LYING, 0, 0] = -np.pi / 2
    rest = torch.tensor([[0, 0.1 * j, 0.02 * (j % 5)] for j in range(24)], dtype=torch.float32)
    rest[1, 0], rest[2, 0] = 0.1, -0.1
    parents = SKELETONS["smpl24"].parents
    rotations = axis_angle_to_matrix(torch.from_numpy(poses))
    joints = forward_kinematics(rotations, rest.expand(len(kind), 24, 3), parents)[1].numpy()
    held_out = kind == HELD_OUT
    action = np.array(["stand", "lie", "stand"])[kind]
    balanced, unusual = balanced_weights(joints, action, held_out, clusters=8)
    names = np.array(["s"] * len(kind))
    return PoseBank(
        rotations_aa=poses,
        source=names,
        clip=names,
        action=action,
        held_out=held_out,
        balanced=balanced,
        unusual=unusual,
    )


def lying_share(bank, **options):
    index = bank.sample_index(4000, np.random.default_rng(1), **options)
    return np.mean(bank.action[index] == "lie")


def test_rare_poses_are_not_drowned(bank):
    plain = lying_share(bank, unusual=0.0)
    assert plain > 0.25  # One per cent of the frames, half of the actions.
    assert lying_share(bank, unusual=1.0) > 1.5 * plain


def test_training_and_held_out_poses_do_not_mix(bank):
    rng = np.random.default_rng(0)
    assert not bank.held_out[bank.sample_index(500, rng)].any()
    assert bank.held_out[bank.sample_index(500, rng, held_out=True)].all()


def test_weights_are_distributions_in_each_part(bank):
    for weights in (bank.balanced, bank.unusual):
        assert weights.min() > 0
        for part in (bank.held_out, ~bank.held_out):
            assert weights[part].sum() == pytest.approx(1, abs=1e-5)


def test_equal_seeds_draw_equal_poses_and_leave_the_bank_alone(bank):
    before = bank.rotations_aa.copy()
    first, again = (bank.sample(50, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(before, bank.rotations_aa)
    assert first.dtype == np.float32
    assert first.shape == (50, 24, 3)


def test_mirrored_poses_have_mirrored_joints():
    skeleton = SKELETONS["smpl24"]
    rng = np.random.default_rng(0)
    rest = torch.from_numpy(rng.normal(size=(24, 3)))
    mirror, flip = torch.tensor([-1.0, 1, 1], dtype=torch.double), list(skeleton.flip)
    rest = 0.5 * (rest + rest[flip] * mirror)
    poses = rng.normal(size=(6, 24, 3))

    def posed(aa):
        rotations = axis_angle_to_matrix(torch.from_numpy(aa))
        return forward_kinematics(rotations, rest.expand(6, 24, 3), skeleton.parents)[1]

    torch.testing.assert_close(posed(mirrored(poses)), posed(poses)[:, flip] * mirror)
    np.testing.assert_array_equal(mirrored(mirrored(poses)), poses)


def test_a_bank_is_written_and_read_back(bank, tmp_path):
    bank.save(tmp_path / "bank.npz")
    again = PoseBank.load(tmp_path / "bank.npz")
    assert len(again) == len(bank)
    assert again.columns().keys() == bank.columns().keys()
    for name, column in again.columns().items():
        np.testing.assert_array_equal(column, getattr(bank, name))


def test_betas_and_their_space_come_back(bank, tmp_path):
    betas = np.random.default_rng(0).normal(size=(len(bank), 10)).astype(np.float32)
    replace(bank, betas=betas, shape_space="smpl").save(tmp_path / "bank.npz")
    again = PoseBank.load(tmp_path / "bank.npz")
    np.testing.assert_array_equal(again.betas, betas)
    assert again.shape_space == "smpl"


def test_a_bank_of_an_older_version_has_no_betas(bank, tmp_path):
    np.savez(tmp_path / "bank.npz", **bank.columns())
    again = PoseBank.load(tmp_path / "bank.npz")
    assert again.betas is None
    assert again.shape_space == "monobody"


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 damaged", "other"])
def test_what_is_not_a_bank_is_refused(tmp_path, content):
    path = tmp_path / "bank.npz"
    if content == "other":
        np.savez(path, poses=np.zeros(3))
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="not a pose bank"):
        PoseBank.load(path)


def test_held_out_clips_are_listed_once():
    path = Path(monobody.__file__).parent / "assets" / "held_out_clips.json"
    clips = json.loads(path.read_text())["clips"]
    assert len(clips) == len(set(clips)) > 40
    assert len({clip.split("/")[0] for clip in clips}) == 9
