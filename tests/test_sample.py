"""Moving a region of interest moves every label along, exactly."""

import math
from dataclasses import replace

import numpy as np
import pytest

from monobody.data.augment import Appearance, degrade, degrade_batch
from monobody.data.crop import Crop, turn_back
from monobody.data.sample import NO_AUGMENT, Augment, Sample, camera_of, cut, mirror_row, resized, training_row

GEOMETRY_ONLY = Augment(appearance=None, full_turn_share=0.5)


def weak_fit_residual(points_2d: np.ndarray, joints: np.ndarray) -> tuple[float, np.ndarray]:
    """Fit x = s (X + t) by least squares; return the largest residual and the camera."""
    x, y = joints[:, :2], points_2d
    xc, yc = x - x.mean(0), y - y.mean(0)
    scale = (xc * yc).sum() / (xc * xc).sum()
    shift = y.mean(0) / scale - x.mean(0)
    return float(np.abs(scale * (x + shift) - y).max()), np.array([scale, *shift])


@pytest.fixture
def sample() -> Sample:
    rng = np.random.default_rng(0)
    joints = rng.normal(size=(14, 3))
    joints[:, :2] *= 0.4
    keypoints = np.concatenate([60 * joints[:, :2] + [150, 140], rng.uniform(100, 200, (5, 2))])
    rotations = np.linalg.qr(rng.normal(size=(24, 3, 3)))[0]
    rotations *= np.sign(np.linalg.det(rotations))[:, None, None]
    return Sample(
        image=rng.integers(0, 256, (300, 320, 3), np.uint8),
        crop=Crop((150.0, 140.0), 170.0, 0.3),
        keypoints_px=keypoints,
        visible=np.ones(19, np.float32),
        joints_cam_m=joints,
        rotations=rotations,
        betas=rng.normal(size=10),
    )


@pytest.mark.parametrize("seed", range(8))
def test_weak_perspective_labels_agree_in_every_jittered_row(sample: Sample, seed: int) -> None:
    # In the picture, 2D joints are an exact weak perspective of the 3D ones; so they must be in any crop of it.
    row = training_row(sample, np.random.default_rng(seed), 64, GEOMETRY_ONLY)
    residual, camera = weak_fit_residual(row["keypoints_2d"][:14], row["joints_3d"])
    assert residual < 1e-5
    assert camera[0] > 0


def test_mirror_twice_is_identity_and_once_is_not(sample: Sample) -> None:
    row = training_row(sample, np.random.default_rng(1), 64, GEOMETRY_ONLY)
    once, twice = mirror_row(row), mirror_row(mirror_row(row))
    for key in row:
        np.testing.assert_array_equal(twice[key], row[key], err_msg=key)
    assert not np.allclose(once["rotations"], row["rotations"])
    np.testing.assert_allclose(np.linalg.det(once["rotations"]), 1, atol=1e-5)


def test_mirrored_labels_follow_the_mirrored_pixels() -> None:
    # A dot on the right wrist must be found at the left wrist's label of the mirrored row.
    image = np.zeros((200, 200, 3), np.uint8)
    image[79:82, 129:132] = 255
    keypoints = np.full((19, 2), 100.0)
    keypoints[6] = (130.5, 80.5)
    sample = Sample(image=image, crop=Crop((100.0, 100.0), 128.0), keypoints_px=keypoints, visible=np.ones(19))
    row = mirror_row(training_row(sample, np.random.default_rng(0), 128, NO_AUGMENT))
    v, u = np.unravel_index(row["images"][0].argmax(), (128, 128))
    np.testing.assert_allclose((row["keypoints_2d"][11] + 1) * 64, (u + 0.5, v + 0.5), atol=1.1)


def test_turned_crop_turned_back_is_the_picture(sample: Sample) -> None:
    rng = np.random.default_rng(3)
    augment = replace(GEOMETRY_ONLY, mirror_share=0.0)
    row = training_row(sample, rng, 64, augment)
    # The root rotation of the row tells the crop's angle: R_crop = Rz(-a) R_picture.
    relative = row["rotations"][0] @ sample.rotations[0].T
    angle = -math.atan2(relative[1, 0], relative[0, 0])
    np.testing.assert_allclose(turn_back(row["rotations"][0], angle), sample.rotations[0], atol=1e-6)
    back = turn_back(row["joints_3d"][..., None], angle)[..., 0]
    np.testing.assert_allclose(back, sample.joints_cam_m, atol=1e-6)


def test_unknown_labels_are_flagged(sample: Sample) -> None:
    bare = replace(sample, joints_cam_m=None, rotations=None, betas=None)
    row = training_row(bare, np.random.default_rng(0), 32, Augment())
    assert row["has_joints_3d"] == row["has_body"] == row["has_betas"] == 0
    assert row["images"].shape == (3, 32, 32)
    np.testing.assert_array_equal(row["rotations"], np.tile(np.eye(3), (24, 1, 1)))


@pytest.mark.parametrize("seed", range(8))
def test_the_view_joins_2d_and_3d_in_every_row(sample: Sample, seed: int) -> None:
    # Seen by its own camera, a 3D joint falls on its keypoint; so it must in the turned, mirrored camera of the row.
    rng = np.random.default_rng(seed)
    joints = rng.normal(size=(14, 3)) * 0.5 + [0.3, -0.2, 4.0]
    seen = sample.keypoints_px.copy()
    seen[:14] = joints[:, :2] / joints[:, 2:] * 500.0 + [200.0, 120.0]
    known = replace(sample, joints_cam_m=joints, keypoints_px=seen, focal_px=500.0, principal_px=(200.0, 120.0))
    for picture in (known, cut(known, 30, 20, 290, 250), resized(known, 0.5), resized(cut(known, 9, 8, 309, 298), 2.0)):
        row = training_row(picture, rng, 32, GEOMETRY_ONLY)
        view, joints_3d = row["view"], row["joints_3d"]
        points = view[:2] + row["keypoints_2d"][:14] * view[2] / 2
        np.testing.assert_allclose(joints_3d[:, :2] / joints_3d[:, 2:], points, atol=1e-4)


def test_an_unknown_camera_is_that_of_the_whole_picture(sample: Sample) -> None:
    focal, principal = camera_of(sample)
    assert focal == pytest.approx(math.hypot(320, 300))
    assert principal == (160.0, 150.0)
    whole = training_row(sample, np.random.default_rng(0), 32, NO_AUGMENT)
    for picture in (cut(sample, 40, 30, 280, 260), resized(sample, 0.5), resized(cut(sample, 20, 20, 300, 260), 0.5)):
        row = training_row(picture, np.random.default_rng(0), 32, NO_AUGMENT)
        np.testing.assert_allclose(row["view"], whole["view"], atol=1e-6)
        np.testing.assert_allclose(row["keypoints_2d"], whole["keypoints_2d"], atol=1e-4)


def test_cutting_moves_pixels_and_labels_alike(sample: Sample) -> None:
    masked = replace(sample, mask=sample.image[..., 0])
    window = cut(masked, 50, 40, 250, 240)
    assert window.image.shape == (200, 200, 3)
    np.testing.assert_array_equal(window.mask, window.image[..., 0])
    # The crop shows the same pixels as before, as far as it lies within the window.
    before, after = (
        training_row(each, np.random.default_rng(0), 32, NO_AUGMENT)["images"] for each in (masked, window)
    )
    np.testing.assert_array_equal(after[:, 8:-8, 8:-8], before[:, 8:-8, 8:-8])


def test_betas_count_for_their_own_body_alone(sample: Sample) -> None:
    smpl = replace(sample, shape_space="smpl")
    for space, known in (("monobody", 0), ("smpl", 1)):
        row = training_row(smpl, np.random.default_rng(0), 32, NO_AUGMENT, shape_space=space)
        assert row["has_body"] == 1
        assert row["has_betas"] == known
        assert np.any(row["betas"]) == known
    row = training_row(replace(sample, betas=None), np.random.default_rng(0), 32, NO_AUGMENT)
    assert (row["has_body"], row["has_betas"]) == (1, 0)
    np.testing.assert_allclose(row["rotations"][1:], sample.rotations[1:], atol=1e-6)


def test_same_generator_same_row(sample: Sample) -> None:
    rows = [training_row(sample, np.random.default_rng(5), 48, Augment()) for _ in range(2)]
    for key in rows[0]:
        np.testing.assert_array_equal(rows[0][key], rows[1][key])


def test_resized_keeps_the_crop_on_the_person(sample: Sample) -> None:
    half = resized(sample, 0.5)
    before = sample.crop.to_crop(np.asarray(sample.keypoints_px))
    np.testing.assert_allclose(half.crop.to_crop(half.keypoints_px), before, atol=1e-4)


def test_degrade_keeps_shape_type_and_input() -> None:
    image = np.full((40, 60, 3), 120, np.uint8)
    always = Appearance(blur_share=1, noise_share=1, jpeg_share=1, erase_share=1, grey_share=1)
    out = degrade(image, np.random.default_rng(0), always)
    assert out.shape == image.shape
    assert out.dtype == np.uint8
    assert (image == 120).all()
    assert not (out == 120).all()


def test_no_change_of_appearance_is_the_identity() -> None:
    import torch

    none = {name: 0 for name in Appearance.__dataclass_fields__}
    image = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    out = degrade(image, np.random.default_rng(0), Appearance(**none))
    assert np.abs(out.astype(int) - image).max() <= 1
    batch = torch.tensor(image).permute(2, 0, 1)[None] / 255
    changed = degrade_batch(batch, torch.Generator().manual_seed(0), Appearance(**none))
    torch.testing.assert_close(changed, batch, atol=1e-3, rtol=0)
    assert not torch.equal(degrade_batch(batch, torch.Generator().manual_seed(0), Appearance()), batch)
