"""HMR's crops and moves: what is seen of a body decides its size, and chance has the published ranges."""

from pathlib import Path

import numpy as np
import pytest

from monobody.data.crop import Crop
from monobody.data.prepared import Prepared
from monobody.data.prepared_writer import write_prepared
from monobody.data.published_crop import MPII_SHOULDER_TO_HIP_PX, published_crop, tells_size, with_published_crops
from monobody.data.region import region_from_joints
from monobody.data.sample import HMR_AUGMENT, NO_AUGMENT, Sample, jitter, training_row
from monobody.errors import UserError

PICTURE = np.zeros((200, 300, 3), np.uint8)


def standing() -> np.ndarray:
    """A person 170 pixels tall in the order of cocoplus19, facing the camera."""
    x = [95, 94, 92, 108, 106, 105, 70, 75, 80, 120, 125, 130, 100, 100, 100, 102, 98, 105, 95]
    y = [180, 140, 100, 100, 140, 180, 100, 80, 50, 50, 80, 100, 45, 10, 20, 18, 18, 20, 20]
    return np.stack([x, y], -1).astype(np.float32)


def visible(*hidden: int) -> np.ndarray:
    seen = np.ones(19, np.float32)
    seen[list(hidden)] = 0
    return seen


def test_whole_people_fill_150_of_224_pixels() -> None:
    crop = published_crop(standing(), visible())
    assert crop.centre_px == (100, 95)
    diagonal = np.hypot(60, 170)
    assert diagonal * 224 / crop.size_px == pytest.approx(150)
    assert crop.angle_rad == 0


def test_half_a_person_is_as_large_as_in_the_whole_one() -> None:
    hidden = (0, 1, 4, 5)
    crop = published_crop(standing(), visible(*hidden))
    assert 90 * 224 / crop.size_px == pytest.approx(75), "from the top of the head to the hips' middle"
    headless = published_crop(standing(), visible(*hidden, 13))
    assert 50 * 224 / headless.size_px == pytest.approx(75)
    mpii = published_crop(standing(), visible(*hidden, 13), shoulder_to_hip_px=MPII_SHOULDER_TO_HIP_PX)
    assert 50 * 224 / mpii.size_px == pytest.approx(56)
    one_side = published_crop(standing(), visible(*hidden, 13, 2, 8))
    assert np.hypot(12, 50) * 224 / one_side.size_px == pytest.approx(75)


@pytest.mark.parametrize(
    ("shown", "enough"),
    [((5,), True), ((13, 3), True), ((8, 2), True), ((8, 9, 13, 12, 14), False), ((2, 3, 1, 4), False), ((), False)],
)
def test_of_whom_hmr_can_tell_the_size(shown: tuple[int, ...], enough: bool) -> None:
    assert tells_size(1 - visible(*shown)) == enough


def test_a_face_is_made_small() -> None:
    crop = published_crop(standing(), visible(*range(14)))
    assert np.hypot(10, 2) * 224 / crop.size_px == pytest.approx(50)


def test_nobody_has_no_crop() -> None:
    with pytest.raises(UserError):
        published_crop(standing(), visible(*range(19)))


def test_data_sets_and_streams_stay_what_they_are() -> None:
    region = Crop((50.0, 60.0), 100.0, 0.4)

    def sample(seen: np.ndarray) -> Sample:
        return Sample(image=PICTURE, crop=region, keypoints_px=standing(), visible=seen)

    class Stream:
        def __getitem__(self, number: int) -> Sample:
            return sample(visible())

    crops = with_published_crops([sample(visible()), sample(visible(*range(1, 19)))])
    assert len(crops) == 2  # pyright: ignore[reportArgumentType]
    assert crops[0].crop == published_crop(standing(), visible())
    assert crops[1].crop == region, "a single joint places nothing"
    stream = with_published_crops(Stream())
    assert not hasattr(stream, "__len__")
    assert stream[7].crop == crops[0].crop


def test_moves_are_hmrs() -> None:
    crop = Crop((100.0, 95.0), 224.0)
    moved = [jitter(crop, np.random.default_rng(seed), HMR_AUGMENT) for seed in range(3000)]
    shifts = np.array([m.centre_px for m in moved]) - [100, 95]
    np.testing.assert_allclose(shifts, shifts.round(), atol=1e-9)
    assert sorted(set(shifts[:, 0].round())) == list(range(-20, 20))
    zooms = np.array([224 / m.size_px for m in moved])
    assert 0.8 <= zooms.min() < 0.81
    assert 1.22 < zooms.max() <= 1.23
    assert zooms.mean() == pytest.approx(1.015, abs=0.01)
    assert all(m.angle_rad == 0 for m in moved)
    sample = Sample(image=PICTURE + 90, crop=crop, keypoints_px=standing(), visible=visible())
    row = training_row(sample, np.random.default_rng(0), 32, HMR_AUGMENT)
    assert (row["images"] == 90).all(), "colours stay, and the edge is repeated"


def test_prepared_portraits_keep_what_hmr_looks_at(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:480, :640]
    image = np.stack([columns * 255 // 640, rows * 255 // 480, (rows + columns) % 256], -1).astype(np.uint8)
    keypoints = 0.8 * standing() + (240, 200)
    seen = visible(0, 1, 2, 3, 4, 5, 6, 11)
    region = region_from_joints(keypoints[:14], seen[:14] > 0)
    sample = Sample(image=image, crop=region, keypoints_px=keypoints.astype(np.float32), visible=seen)
    write_prepared("portraits", [sample], tmp_path)
    before, after = (
        training_row(with_published_crops(samples)[0], np.random.default_rng(0), 224, NO_AUGMENT)
        for samples in ([sample], Prepared(tmp_path))
    )
    np.testing.assert_allclose(after["keypoints_2d"][seen > 0], before["keypoints_2d"][seen > 0], atol=1e-3)
    assert np.abs(after["images"][:2].astype(int) - before["images"][:2]).max() < 12
