"""AMASS and MoSh as pose banks: frames, joints, shapes, thinning; nothing read twice, nothing executed or hidden."""

import json
import struct

import numpy as np
import pytest
import torch

from monobody.body.kinematics import forward_kinematics
from monobody.body.model import Body
from monobody.data.datasets import amass, mosh
from monobody.data.pose_bank import PoseBank
from monobody.data.prepare import prepare, summary
from monobody.data.real_bodies import RealBodies
from monobody.data.staging import rotation_y, rotation_z, to_matrices
from monobody.errors import UserError


@pytest.fixture(scope="module")
def body():
    return Body.load()


def joints(body, rotations_aa):
    rotations = torch.from_numpy(to_matrices(rotations_aa))
    return forward_kinematics(rotations, body.joint_template.expand(len(rotations), 24, 3), body.parents)[1].numpy()


def axis_angle(matrix):
    from monobody.body.rotation import matrix_to_axis_angle

    return matrix_to_axis_angle(torch.from_numpy(np.asarray(matrix, np.float64))).numpy()


STANDING = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
"""Takes the body (y up, facing +z) to a z-up world: upright, facing -y."""


def motion(frames, joint_count, *, facing=0.0, seed=0):
    """Smooth motion in a z-up world: an upright body that faces -y turned by ``facing``, everything else at random."""
    rng = np.random.default_rng(seed)
    poses = 0.3 * rng.normal(size=(frames, joint_count, 3))
    poses[:, 0] = axis_angle(rotation_z(facing) @ STANDING)
    return poses.reshape(frames, -1)


def write_clip(path, poses, *, betas=None, rate_hz=120.0, rate_name="mocap_framerate", gender="female", **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    betas = np.linspace(-1, 1, 16) if betas is None else betas
    content = {"poses": poses, "betas": betas, "trans": np.zeros((len(poses), 3)), "gender": np.array(gender)}
    np.savez(path, **content, **{rate_name: np.float64(rate_hz)}, **more)


def test_amass_is_read_as_a_bank(tmp_path, body):
    poses = motion(240, 52)
    write_clip(tmp_path / "a/CMU/01/01_01_poses.npz", poses, dmpls=np.zeros((240, 8)))
    write_clip(tmp_path / "a/HumanEva/S1/Walking_poses.npz", motion(60, 52, seed=1), rate_hz=60.0)
    np.savez(tmp_path / "a/CMU/01/shape.npz", betas=np.zeros(16))
    manifest = amass.write(tmp_path / "a", tmp_path / "out")
    bank = PoseBank.load(tmp_path / "out" / "bank.npz")
    assert len(bank) == 10 + 5 == manifest["poses"]  # Two seconds and one, five poses each.
    assert manifest["frames"] == {"CMU": 240, "HumanEva": 60}
    assert manifest["skipped"] == {}
    assert bank.shape_space == "smpl-female"
    assert manifest["shape_spaces"] == {"smpl-female": 15}
    np.testing.assert_allclose(bank.betas[0], np.linspace(-1, 1, 16)[:10], atol=1e-6)
    mine = bank.clip == "CMU/01/01_01"
    np.testing.assert_array_equal(bank.held_out, ~mine)
    # The 120 Hz clip gives frames 0, 24, 48 ...; the body joints are its first 22, the hands are at rest.
    np.testing.assert_allclose(bank.rotations_aa[mine][3, 1:22], poses[72].reshape(52, 3)[1:22], atol=1e-5)
    assert not bank.rotations_aa[:, 22:].any()
    # Upright, and facing what is -y there: +z here.
    placed = joints(body, bank.rotations_aa[mine] * np.eye(24)[0][:, None])
    assert (placed[:, 15, 1] - placed[:, 0, 1] > 0.4).all()
    assert (placed[:, 10, 2] - placed[:, 7, 2] > 0.05).all()  # Toes before the heels.
    assert (placed[:, 1, 0] > placed[:, 2, 0]).all()  # Facing +z, the left hip is at +x.
    assert RealBodies(banks=[bank], shape_space="smpl")(0, 4)[0].shape == (4, 23, 3, 3)


def test_a_turned_world_gives_the_same_body(tmp_path, body):
    for name, facing in (("a", 0.0), ("b", 1.1)):
        write_clip(tmp_path / name / "CMU/01/01_01_poses.npz", motion(48, 52, facing=facing))
        amass.write(tmp_path / name, tmp_path / name / "out")
    straight, turned = (PoseBank.load(tmp_path / name / "out/bank.npz").rotations_aa for name in "ab")
    np.testing.assert_allclose(straight[:, 1:], turned[:, 1:], atol=1e-6)
    pelvis = body.joint_template[0].numpy()
    relative = [joints(body, poses) - pelvis for poses in (straight, turned)]
    np.testing.assert_allclose(relative[0] @ rotation_y(1.1).T, relative[1], atol=1e-4)


def test_smpl_x_has_a_shape_space_of_its_own(tmp_path):
    write_clip(tmp_path / "SOMA/s1/run_stageii.npz", motion(120, 55), rate_name="mocap_frame_rate")
    amass.write(tmp_path, tmp_path / "out")
    bank = PoseBank.load(tmp_path / "out/bank.npz")
    assert bank.shape_space == "smplx-female"
    assert len(bank) == 5
    assert np.abs(RealBodies(banks=[bank], shape_space="smpl")(0, 50)[1][:, 0] + 1).min() > 0  # Not its own -1.
    write_clip(tmp_path / "CMU/01/01_01_poses.npz", motion(120, 52))
    assert amass.write(tmp_path, tmp_path / "out")["left_out"] == {"SMPL-X beside SMPL+H": 1}
    assert [clip.source for clip in amass.clips(tmp_path)] == ["CMU"]


def test_shapes_are_those_of_the_body_that_was_fitted(tmp_path):
    for number, gender in enumerate(("female", b"male", "neutral")):
        clip = tmp_path / f"a/CMU/0{number}/x_poses.npz"
        write_clip(clip, motion(120, 52, seed=number), betas=np.full(16, 5.0 + number), gender=gender)
    manifest = amass.write(tmp_path / "a", tmp_path / "out")
    assert manifest["shape_spaces"] == {"smpl": 5, "smpl-female": 5, "smpl-male": 5}
    bank = PoseBank.load(tmp_path / "out/bank.npz")
    for space, value in (("smpl-female", 5), ("smpl-male", 6), ("smpl", 7)):
        assert (bank.betas[bank.has_shape(space)] == value).all()
        drawn = RealBodies(banks=[bank], shape_space=space)(0, 60)[1]
        own = (drawn == value).all(1)
        assert 5 < own.sum() < 40, "a third"
        assert not np.isin(drawn[~own], (5, 6, 7)).any(), "others' shapes are no shapes of this body"
    assert not bank.has_shape("monobody").any()


def test_clips_that_cannot_be_used_are_counted(tmp_path):
    write_clip(tmp_path / "CMU/01/good_poses.npz", motion(60, 52))
    (tmp_path / "CMU/01/torn_poses.npz").write_bytes(b"PK\x03\x04 torn")
    nan = motion(60, 52)
    nan[0, 5] = np.nan
    write_clip(tmp_path / "CMU/01/nan_poses.npz", nan)
    write_clip(tmp_path / "CMU/01/narrow_poses.npz", motion(60, 20))
    np.savez(tmp_path / "CMU/01/pickled_poses.npz", poses=np.array([object()]), betas=np.zeros(16), mocap_framerate=60)
    manifest = amass.write(tmp_path, tmp_path / "out")
    reasons = {name.rsplit("/", 1)[1]: reason for name, reason in manifest["skipped"].items()}
    assert reasons.keys() == {"torn", "nan", "narrow", "pickled"}
    assert "finite" in reasons["nan"]
    assert manifest["clips"] == 1
    assert json.loads((tmp_path / "out/manifest.json").read_text())["skipped"] == manifest["skipped"]


def test_what_is_read_is_not_read_again(tmp_path, monkeypatch):
    write_clip(tmp_path / "a/CMU/01/x_poses.npz", motion(60, 52))
    write_clip(tmp_path / "a/KIT/3/y_poses.npz", motion(60, 52, seed=1))
    read = []
    plain = amass.read_clip

    def stopped(clip, **options):
        read.append(clip.source)
        if clip.source == "KIT" and len(read) == 2:
            raise KeyboardInterrupt
        return plain(clip, **options)

    monkeypatch.setattr(amass, "read_clip", stopped)
    with pytest.raises(KeyboardInterrupt):
        amass.write(tmp_path / "a", tmp_path / "out")
    assert not (tmp_path / "out/bank.npz").exists()
    first = amass.write(tmp_path / "a", tmp_path / "out")
    assert read == ["CMU", "KIT", "KIT"]
    assert amass.write(tmp_path / "a", tmp_path / "out") == first
    assert read == ["CMU", "KIT", "KIT"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["bank.npz", "manifest.json"]
    write_clip(tmp_path / "a/KIT/3/z_poses.npz", motion(60, 52, seed=2))
    assert amass.write(tmp_path / "a", tmp_path / "out")["clips"] == 3


def test_missing_sets_are_named_with_where_to_get_them(tmp_path):
    for module in (amass, mosh):
        assert "https://" in module.check(tmp_path / "nowhere")[0]
        with pytest.raises(UserError, match="https://"):
            module.write(tmp_path, tmp_path / "out")
    (tmp_path / "CMU.tar.bz2").write_bytes(b"")
    assert "not unpacked" in amass.check(tmp_path)[0]
    write_clip(tmp_path / "CMU/01/01_01_poses.npz", motion(60, 52))
    assert amass.check(tmp_path) == []


def test_prepare_writes_a_bank_and_says_what_it_holds(tmp_path):
    write_clip(tmp_path / "in/CMU/01/x_poses.npz", motion(60, 52))
    (tmp_path / "in/CMU/01/torn_poses.npz").write_bytes(b"torn")
    manifest = prepare("amass", tmp_path / "in", tmp_path / "out")
    words = summary(manifest, tmp_path / "out")
    assert "3 poses (0 of them held out) from 1 clip of amass" in words
    assert "skipped 1 clip" in words
    assert amass.LICENCE in words
    with pytest.raises(UserError, match="https://"):
        prepare("mosh", tmp_path / "in", tmp_path / "out2")


def python2_pickle(arrays):
    """What Python 2's cPickle and numpy 1 wrote (protocol 2): bytes are its strings."""

    def text(value):
        return b"U" + bytes([len(value)]) + value.encode()

    def size(shape):
        return b"".join(b"J" + struct.pack("<i", n) for n in shape) + {1: b"\x85", 2: b"\x86"}[len(shape)]

    written = b"\x80\x02}"
    for name, array in arrays.items():
        data = array.astype("<f8").tobytes()
        written += text(name) + b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
        written += size(array.shape) + b"cnumpy\ndtype\n" + text("f8") + b"K\x00K\x01\x87R(K\x03" + text("<") + b"NNN"
        written += 2 * (b"J" + struct.pack("<i", -1)) + b"K\x00tb\x89T" + struct.pack("<i", len(data)) + data + b"tbs"
    return written + b"."


def write_pickle(path, **arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(python2_pickle(arrays))


def test_mosh_is_read_without_the_subjects_that_human36m_tests_on(tmp_path, body):
    betas = np.arange(10.0) / 10
    cmu, limits = motion(100, 24), motion(9, 24, seed=1)
    write_pickle(tmp_path / "neutrSMPL_CMU/01/01_01.pkl", poses=cmu, betas=betas, trans=np.zeros((100, 3)))
    write_pickle(tmp_path / "neutrSMPL_H3.6/S1/Walking.pkl", poses=motion(30, 24), betas=betas)
    write_pickle(tmp_path / "neutrSMPL_H3.6/S11/Walking.pkl", poses=motion(30, 24), betas=betas)
    write_pickle(tmp_path / "neutrSMPL_H3.6/S9/Walking.pkl", poses=motion(30, 24), betas=betas)
    write_pickle(tmp_path / "neutrSMPL_jointLim/03099/a.pkl", new_poses=limits, betas=betas)
    assert mosh.check(tmp_path) == []
    manifest = mosh.write(tmp_path, tmp_path / "out")
    bank = PoseBank.load(tmp_path / "out/bank.npz")
    assert manifest["frames"] == {"neutrSMPL_CMU": 100, "neutrSMPL_H3.6": 30, "neutrSMPL_jointLim": 9}
    assert dict(zip(*np.unique(bank.source, return_counts=True), strict=True)) == {
        "neutrSMPL_CMU": 5,
        "neutrSMPL_H3.6": 3,
        "neutrSMPL_jointLim": 3,
    }
    assert set(bank.clip) == {"neutrSMPL_CMU/01/01_01", "neutrSMPL_H3.6/S1/Walking", "neutrSMPL_jointLim/03099/a"}
    np.testing.assert_allclose(bank.betas, np.tile(betas, (len(bank), 1)), atol=1e-6)
    np.testing.assert_allclose(bank.rotations_aa[1, 1:], cmu[24].reshape(24, 3)[1:], atol=1e-6)
    placed = joints(body, bank.rotations_aa * np.eye(24)[0][:, None])
    assert (placed[:, 15, 1] - placed[:, 0, 1] > 0.4).all()


def test_a_hostile_pickle_runs_nothing(tmp_path):
    mark = tmp_path / "ran"
    write_pickle(tmp_path / "neutrSMPL_CMU/01/good.pkl", poses=motion(30, 24), betas=np.zeros(10))
    evil = tmp_path / "neutrSMPL_CMU/01/evil.pkl"
    evil.write_bytes(b"\x80\x02cos\nsystem\nU" + bytes([len(f"touch {mark}")]) + f"touch {mark}".encode() + b"\x85R.")
    manifest = mosh.write(tmp_path, tmp_path / "out")
    assert not mark.exists()
    assert "refused" in manifest["skipped"]["neutrSMPL_CMU/01/evil"]
    evil.with_name("good.pkl").unlink()
    with pytest.raises(UserError, match="refused"):
        mosh.write(tmp_path, tmp_path / "again")
    assert not mark.exists()
