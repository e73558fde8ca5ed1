"""Motion sources in one form: labels, rigs, and raw files against the positions that others made from them."""

import json

import numpy as np
import pytest

from monobody.data.asf_amc import read_asf_amc
from monobody.data.bvh import read_bvh
from monobody.data.mocap import JOINTS, POINTS, Motion, action_of, from_skeleton, read_motions, read_pool
from monobody.errors import UserError


@pytest.mark.parametrize(
    ("label", "action"),
    [
        ("walk | Subject #2 (various)", "walk"),
        ("walking_extra", "walk"),
        ("long_walk3", "walk"),
        ("stealthy_walk1", "stealthy walk"),
        ("Crawl RM", "crawl"),
        ("180 | Subject #91", "unnamed"),
    ],
)
def test_actions_join_the_labels_of_one_activity(label, action):
    assert action_of(label) == action


def test_pool_of_a_rig_whose_children_come_before_their_parents(tmp_path):
    places = ["pelvis", "spine", "thorax", "neck", "head"]
    places += [f"{s}_{p}" for s in "lr" for p in ("hip", "knee", "ankle", "toe", "shoulder", "elbow", "wrist")]
    quarter_about_x, quarter_about_y = [0.5**0.5, 0, 0, 0.5**0.5], [0, 0.5**0.5, 0, 0.5**0.5]
    np.savez(
        tmp_path / "rig_15fps.npz",
        canon_names=places,
        joints=np.arange(2 * 19 * 3, dtype=np.float32).reshape(2, 19, 3),
        local_quat_xyzw=np.array([[quarter_about_y, quarter_about_x]] * 2, np.float16),
        skel_names=["thigh_r", "pelvis"],
        skel_parents=[1, -1],
        clip=[0, 1],
        meta=json.dumps([{"clip": "a", "label": "Sit"}, {"clip": "b", "label": "Sit"}]),
    )
    first, second = read_pool(tmp_path / "rig_15fps.npz")
    assert (first.clip, second.clip, first.action) == ("rig/a", "rig/b", "sit")
    assert [JOINTS[j] for j in np.flatnonzero(first.has_orientation)] == ["pelvis", "right_hip"]
    np.testing.assert_array_equal(first.points[0, POINTS.index("left_foot")], [24, 25, 26])
    # World of the thigh = pelvis (about x) after its own turn (about y): x -> -z -> y.
    np.testing.assert_allclose(first.orientations[0, JOINTS.index("right_hip")] @ [1, 0, 0], [0, 1, 0], atol=1e-3)


def test_a_folder_without_motion_is_refused(tmp_path):
    with pytest.raises(UserError, match="No motion capture"):
        read_motions(tmp_path)


def as_motion(entry: Motion, pool: list[Motion]) -> Motion:
    return next(motion for motion in pool if motion.clip.endswith("/" + entry.clip.split("/")[1]))


def same_up_to_scale(a, b):
    a, b = a - a[:, POINTS.index("left_hip")][:, None], b - b[:, POINTS.index("left_hip")][:, None]
    np.testing.assert_allclose(a / np.abs(a).max(), b / np.abs(b).max(), atol=2e-3)


def test_raw_files_are_the_takes_of_the_pools(monobody_data):
    """The readers of the real formats agree with positions that other programs made from the same files."""
    folder = monobody_data / "mocap"
    bvh = from_skeleton(read_bvh(folder / "raw/bvh/39_07.bvh"), source="bvh", take="39_07")
    # The pool leaves out the first frame, a T-pose, and takes every eighth from then on.
    raw = read_bvh(folder / "raw/bvh/39_07.bvh")
    pool = as_motion(bvh, read_pool(folder / "cmu_bvh_walk_15fps.npz"))
    _, positions = raw.world()
    left, right = positions[1::8, raw.names.index("LeftHip")], positions[1::8, raw.names.index("RightHip")]
    theirs = pool.points[:, POINTS.index("left_hip")] - pool.points[:, POINTS.index("right_hip")]
    np.testing.assert_allclose((left - right) * 0.0564444, theirs, atol=1e-5)

    files = folder / "raw/asf_amc"
    amc = from_skeleton(read_asf_amc(files / "walk.asf", files / "walk_03.amc"), source="amc", take="walk_03")
    pool = as_motion(amc, read_pool(folder / "cmu_amc_15fps.npz"))
    same_up_to_scale(amc.points, pool.points)
    np.testing.assert_allclose(amc.orientations, pool.orientations, atol=5e-3)


def test_poses_of_makehuman_stand_upright(monobody_data):
    path = monobody_data / "mocap/raw/makehuman_poses/standing01.bvh"
    motion = from_skeleton(read_bvh(path), source="makehuman_poses", take="standing01", up="z")
    head, ankle = (motion.points[0, POINTS.index(name)] for name in ("head", "left_ankle"))
    assert head[1] - ankle[1] > 8  # Decimetres.
    left, right = (motion.points[0, POINTS.index(f"{side}_hip")] for side in ("left", "right"))
    assert left[0] > right[0]  # Facing +z, one's left is at +x.


def test_a_damaged_pool_is_named(tmp_path):
    pool = tmp_path / "walk_15fps.npz"
    pool.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(UserError, match=r"walk_15fps\.npz is no pool"):
        read_pool(pool)
    np.savez(pool, joints=np.zeros((2, 19, 3)))
    with pytest.raises(UserError, match="is no pool"):
        read_pool(pool)
