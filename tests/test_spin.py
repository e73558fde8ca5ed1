"""SPIN's tables: whose joint is which, pixels, metres, SMPL's pose before the camera; and written ones read back."""

import numpy as np
import pytest
import tiny_people
import torch
from PIL import Image

from monobody.body.model import Body
from monobody.body.rotation import matrix_to_axis_angle
from monobody.body.skeleton import SKELETONS
from monobody.camera import project
from monobody.data.datasets import spin
from monobody.data.sample import Sample
from monobody.data.spin_table import export_spin
from monobody.data.staging import rotation_y, to_matrices
from monobody.errors import UserError

COCOPLUS, LSP = SKELETONS["cocoplus19"].joints, SKELETONS["lsp14"].joints
FOCAL, MIDDLE = 500.0, (160.0, 120.0)
# The order as SPIN's constants.py has it, in our names.
SPIN24 = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
    "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "neck", "head_top",
    "pelvis", "thorax", "spine", "jaw", "head_h36m", "nose", "left_eye", "right_eye", "left_ear", "right_ear",
)  # fmt: skip
OPENPOSE25 = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "mid_hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear",
    "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel",
)  # fmt: skip


@pytest.fixture(scope="module")
def body():
    return Body.load()


@pytest.fixture(scope="module")
def person(body):
    """A posed body before a camera: rotations, the 19 points in metres and in pixels, and its picture."""
    pose = 0.2 * np.random.default_rng(0).normal(size=(24, 3))
    pose[16, 2], pose[17, 2] = -0.9, 0.3
    rotations = to_matrices(pose)
    rotations[0] = np.diag([1.0, -1, -1]) @ rotation_y(0.4)
    posed = body(torch.from_numpy(rotations))
    points = body.keypoints(posed.vertices_m, "cocoplus19").numpy().astype(np.float64) + np.array([0, 0, 4.5])
    seen = project(points, FOCAL, MIDDLE)
    return rotations, points, seen, tiny_people.painted("cocoplus19", seen, (320, 240), radius_px=4)


def table(person, **changes):
    rotations, points, seen, _ = person
    at = dict(zip(COCOPLUS, zip(points, seen, strict=True), strict=True))
    part, joints = np.zeros((1, 24, 3)), np.zeros((1, 24, 4))
    for index, name in enumerate(SPIN24):
        if name in at:
            part[0, index] = (*(at[name][1] - 0.5), 1)
        if name in LSP:
            joints[0, index] = (*(at[name][0] - points[2:4].mean(0)), 1)
    columns = {
        "imgname": np.array(["a/1.jpg"]),
        "center": seen.mean(0)[None],
        "scale": np.array([0.8]),
        "part": part,
        "S": joints,
        "pose": matrix_to_axis_angle(torch.from_numpy(rotations)).numpy().reshape(1, 72),
        "shape": np.linspace(-1, 1, 10)[None],
        "has_smpl": np.ones(1),
    }
    return {name: column for name, column in (columns | changes).items() if column is not None}


def write(root, person, **changes):
    (root / "a").mkdir(parents=True, exist_ok=True)
    Image.fromarray(person[3]).save(root / "a/1.jpg", quality=98)
    np.savez(root / "tiny.npz", **table(person, **changes))
    return spin.samples(root)


def test_joints_lie_where_the_picture_shows_them(tmp_path, person, body):
    rotations, points, seen, _ = person
    sample = write(tmp_path, person)[0]
    np.testing.assert_allclose(sample.keypoints_px, seen, atol=1e-3)
    assert sample.visible.all()
    for name in ("left_wrist", "right_wrist", "left_ankle", "right_knee", "neck"):
        place = tiny_people.centroid(sample.image, sample.keypoints_px[COCOPLUS.index(name)], name)
        assert np.linalg.norm(place - sample.keypoints_px[COCOPLUS.index(name)]) < 0.6
    np.testing.assert_allclose(sample.joints_cam_m, points[:14] - points[2:4].mean(0), atol=1e-6)
    # The pose, posed, has its joints where S says: same frame, same left and right.
    posed = body.keypoints(body(torch.from_numpy(sample.rotations)).vertices_m, "lsp14").numpy()
    np.testing.assert_allclose(posed - posed[2:4].mean(0), sample.joints_cam_m, atol=1e-4)
    np.testing.assert_allclose(sample.rotations, rotations, atol=1e-5)
    assert sample.shape_space == "smpl"
    assert sample.focal_px is None


def test_openpose_fills_in_what_is_not_annotated(tmp_path, person):
    _, _, seen, _ = person
    theirs = np.zeros((1, 25, 3))
    for index, name in enumerate(OPENPOSE25):
        if name in COCOPLUS:
            theirs[0, index] = (*(seen[COCOPLUS.index(name)] - 0.5), 0.9)
    theirs[0, OPENPOSE25.index("left_knee"), 2] = 0.1
    theirs[0, OPENPOSE25.index("nose"), :2] = 1  # Somewhere else than the annotated nose.
    part = np.zeros((1, 24, 3))
    part[0, SPIN24.index("nose")] = (*(seen[COCOPLUS.index("nose")] - 0.5), 1)
    sample = write(tmp_path, person, part=part, openpose=theirs)[0]
    missing = {name for name, known in zip(COCOPLUS, sample.visible, strict=True) if not known}
    assert missing == {"neck", "head_top", "left_knee"}
    known = sample.visible > 0
    np.testing.assert_allclose(sample.keypoints_px[known], seen[known], atol=1e-3)
    assert not sample.keypoints_px[~known].any()


def test_human36ms_head_stands_in_for_the_head_top(tmp_path, person):
    columns = table(person)
    for name in ("part", "S"):
        columns[name][0, 18], columns[name][0, 13] = columns[name][0, 13], 0
    sample = write(tmp_path, person, part=columns["part"], S=columns["S"])[0]
    assert sample.visible[13]
    np.testing.assert_allclose(sample.keypoints_px[13], person[2][13], atol=1e-3)
    assert sample.joints_cam_m is not None
    columns["S"][0, 3] = 0
    assert write(tmp_path, person, S=columns["S"])[0].joints_cam_m is None


def test_labels_that_a_row_lacks_are_none(tmp_path, person):
    sample = write(tmp_path, person, has_smpl=np.zeros(1), S=None)[0]
    assert sample.rotations is None
    assert sample.betas is None
    assert sample.joints_cam_m is None
    everything = write(tmp_path, person, has_smpl=None, gender=np.array([b"m"]))[0]
    assert everything.rotations is not None
    assert everything.shape_space == "smpl-male"
    few = table(person)["part"]
    few[0, 1:] = 0
    crop = write(tmp_path, person, part=few)[0].crop
    assert crop.size_px == pytest.approx(160)
    np.testing.assert_allclose(crop.centre_px, person[2].mean(0) + 0.5, atol=1e-6)


def test_pictures_may_lie_in_a_folder_of_their_own(tmp_path, person):
    people = write(tmp_path, person)
    assert spin.check(tmp_path) == []
    (tmp_path / "images").mkdir()
    (tmp_path / "a").rename(tmp_path / "images" / "a")
    assert people[0].image.shape == (240, 320, 3)
    (tmp_path / "images/a/1.jpg").write_bytes(b"no picture")
    with pytest.raises(UserError, match="Row 0 of"):
        people[0]
    (tmp_path / "images/a/1.jpg").unlink()
    assert "1 of 1 pictures" in spin.check(tmp_path)[0]


def test_tables_that_are_none_are_refused(tmp_path, person):
    assert "https://" in spin.check(tmp_path)[0]
    with pytest.raises(UserError, match="no table"):
        spin.samples(tmp_path)
    for changes, words in (
        ({"part": np.zeros((1, 23, 3))}, "part is"),
        ({"center": np.full((1, 2), np.nan)}, "not finite"),
        ({"part": None}, "neither"),
    ):
        with pytest.raises(UserError, match=words):
            write(tmp_path, person, **changes)
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04")
    np.savez(tmp_path / "other.npz", **table(person))
    with pytest.raises(UserError, match="not a table"):
        spin.Spin(tmp_path / "torn.npz")
    np.savez(tmp_path / "tiny.npz", **table(person))
    assert len(spin.samples(tmp_path, "tiny")) == 1
    both = spin.samples(tmp_path)
    assert [both.name(index) for index in range(len(both))] == ["other/000000 (a/1.jpg)", "tiny/000000 (a/1.jpg)"]
    with pytest.raises(UserError, match=r"no table third\.npz"):
        spin.samples(tmp_path, "third")


def test_what_is_written_is_read_back(tmp_path, person):
    first = write(tmp_path, person, gender=np.array(["f"]))[0]
    nobody = Sample(image=first.image, crop=first.crop, keypoints_px=first.keypoints_px, visible=np.zeros(19))
    photo = Sample(image=first.image, crop=first.crop, keypoints_px=first.keypoints_px, visible=first.visible)
    ours = Sample(**{name: getattr(first, name) for name in Sample.__slots__} | {"shape_space": "monobody"})
    assert export_spin([first, nobody, photo, ours], tmp_path / "out" / "again.npz") == 3
    again = spin.samples(tmp_path / "out")
    assert spin.check(tmp_path / "out") == []
    for name in ("keypoints_px", "visible", "joints_cam_m", "rotations", "betas"):
        np.testing.assert_allclose(getattr(again[0], name), getattr(first, name), atol=1e-4)
    assert again[0].shape_space == "smpl-female"
    assert np.abs(again[0].image.astype(int) - first.image).mean() < 3
    assert again[1].rotations is None
    assert again[1].joints_cam_m is None
    assert again[2].rotations is None
    assert again[2].joints_cam_m is not None
