"""Readers of real photos: splits, labels, and refusals."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monobody.body.skeleton import SKELETONS
from monobody.data.datasets import clothing_coparsing, lsp, lsp_extended
from monobody.data.mask import box_of
from monobody.errors import UserError


def write_lsp(folder: Path, joints: np.ndarray) -> Path:
    savemat = pytest.importorskip("scipy.io").savemat
    (folder / "images").mkdir()
    for number in range(1, joints.shape[2] + 1):
        Image.new("RGB", (60, 80), (number, 0, 0)).save(folder / "images" / f"im{number:05d}.jpg")
    savemat(folder / "joints.mat", {"joints": joints})
    return folder


def test_lsp_in_its_own_layout(tmp_path: Path) -> None:
    joints = np.zeros((14, 3, 3), np.float32)
    joints[:, :2] = np.random.default_rng(0).uniform(10, 50, (14, 2, 3))
    joints[:, 2] = 1
    joints[5, :, 1] = (-7, -8, 0)  # The left ankle of the second person is hidden.
    joints[:, 2, 2] = 0  # Nobody clicked on the third photo.
    people = lsp_extended.LspExtended(write_lsp(tmp_path, joints))
    assert people.names == ["im00001", "im00002"]
    sample = people[1]
    assert sample.image.shape == (80, 60, 3)
    assert sample.visible.tolist() == [1.0] * 5 + [0.0] + [1.0] * 8 + [0.0] * 5
    np.testing.assert_allclose(sample.keypoints_px[12], joints[12, :2, 1])
    assert sample.joints_cam_m is None
    assert sample.rotations is None
    assert len(people[:]) == 2


def test_the_older_lsp_flags_hidden_joints(tmp_path: Path) -> None:
    savemat = pytest.importorskip("scipy.io").savemat
    joints = np.zeros((3, 14, 1003))
    joints[:2] = np.random.default_rng(0).uniform(10, 50, (2, 14, 1003))
    joints[2, 5, 0] = 1  # The left ankle of the first person is hidden.
    joints[2, 1:, 1001] = 1  # Of this one only a single joint is seen.
    savemat(tmp_path / "joints.mat", {"joints": joints})
    (tmp_path / "images").mkdir()
    for number in (1, 2, 1001, 1002):
        Image.new("RGB", (60, 80)).save(tmp_path / "images" / f"im{number:04d}.jpg")
    assert lsp.check(tmp_path) == []
    train, test = lsp.samples(tmp_path), lsp.samples(tmp_path, "test")
    assert [train.names, test.names] == [["im0001", "im0002"], ["im1001"]]
    assert train.left_out == {"no picture on disk": 998}
    assert test.left_out == {"no picture on disk": 1, "fewer than two joints marked": 1}
    assert train[0].visible.tolist() == [1.0] * 5 + [0.0] + [1.0] * 8 + [0.0] * 5
    np.testing.assert_allclose(train[0].keypoints_px[12], joints[:2, 12, 0], rtol=1e-6)
    savemat(tmp_path / "joints.mat", {"joints": np.zeros((14, 3, 5))})
    with pytest.raises(UserError, match="LSP Extended"):
        lsp.samples(tmp_path)
    assert len(lsp.check(tmp_path / "nowhere")) == 2


def test_a_file_of_another_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="older LSP"):
        lsp_extended.LspExtended(write_lsp(tmp_path, np.zeros((3, 14, 2))))
    with pytest.raises(UserError, match=r"joints\.mat"):
        lsp_extended.LspExtended(tmp_path / "nowhere")


def test_splits_are_disjoint_and_complete(monobody_data: Path) -> None:
    folder = monobody_data / "lsp_extended"
    train, validation = lsp_extended.LspExtended(folder, "train"), lsp_extended.LspExtended(folder, "validation")
    assert len(validation) == 500
    assert not set(train.names) & set(validation.names)
    assert len(train) + len(validation) == len(lsp_extended.LspExtended(folder))
    photos = {
        split: clothing_coparsing.photo_names(monobody_data / "clothing_coparsing", split) for split in lsp_splits()
    }
    assert [len(photos[split]) for split in lsp_splits()] == [700, 100, 800]
    assert sorted(photos["train"] + photos["validation"]) == photos["all"]


def lsp_splits() -> list[str]:
    return ["train", "validation", "all"]


def test_lsps_left_is_the_persons_own(monobody_data: Path) -> None:
    """Standing people who face the camera have their left on the picture's right; more do than turn their back."""
    people = lsp_extended.LspExtended(monobody_data / "lsp_extended", "validation")
    joints, visible = people.joints[..., :2], people.joints[..., 2] > 0
    names = SKELETONS["lsp14"].joints
    left, right, top, hip = (names.index(n) for n in ("left_shoulder", "right_shoulder", "head_top", "left_hip"))
    upright = visible[:, [left, right, top, hip]].all(1) & (joints[:, hip, 1] - joints[:, top, 1] > 30)
    assert (joints[upright, left, 0] > joints[upright, right, 0]).mean() > 0.6


def test_masks_lie_on_the_person(monobody_data: Path) -> None:
    folder = monobody_data / "clothing_coparsing"
    photo = clothing_coparsing.samples(folder, "validation")[0]
    assert photo.mask is not None
    assert photo.mask.shape == photo.image.shape[:2]
    x0, y0, x1, y1 = box_of(photo.mask)
    assert 0 <= x0 < x1 <= photo.image.shape[1]
    assert 0 <= y0 < y1 <= photo.image.shape[0]
    assert 0.02 < (photo.mask > 0).mean() < 0.7
