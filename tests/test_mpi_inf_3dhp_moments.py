"""MPI-INF-3DHP with masks and synchronised views, made small in the published folders."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import tiny_people
from PIL import Image
from test_mpi_inf_3dhp import SIZE, assert_labels_fit, intrinsic, seen

from monobody.data.datasets import mpi_inf_3dhp
from monobody.data.datasets.mpi_inf_3dhp_masks import green_mask, on_black
from monobody.data.datasets.mpi_inf_3dhp_moments import CHEST_HEIGHT
from monobody.data.faults import Fault, read_sample
from monobody.data.prepare import prepare
from monobody.data.prepared import Prepared
from monobody.errors import UserError

FRAMES = 41
SITS, FULL, GONE = 10, 15, 20
"""Frames in which somebody sits on the chair, fills the picture, and leaves one of the pictures."""


def joints_28(frame: int, camera: int) -> np.ndarray:
    x = -0.2 + 0.005 * frame + 3.0 * (frame == GONE and camera == 7)
    return tiny_people.person("mpi_inf_3dhp28", (x, 0.1, 3.0 + 0.1 * camera), turn_deg=20.0)


def write_sequence(root: Path, subject: int, cameras: tuple[int, ...] = CHEST_HEIGHT) -> None:
    """Write pictures, green screen's masks and chair masks of every fifth frame."""
    savemat = pytest.importorskip("scipy.io").savemat
    folder = root / "mpi_inf_3dhp" / f"S{subject}" / "Seq1"
    folder.mkdir(parents=True)
    cells = {name: np.empty((14, 1), object) for name in ("annot2", "annot3", "univ_annot3")}
    text = "Skeletool Camera Calibration File V1.0\n"
    for camera in range(14):
        k = intrinsic(camera)
        joints = np.array([joints_28(frame, camera) for frame in range(FRAMES)])
        cells["annot2"][camera, 0] = seen(joints, k).reshape(FRAMES, 56)
        cells["annot3"][camera, 0] = joints.reshape(FRAMES, 84) * 1000
        cells["univ_annot3"][camera, 0] = joints.reshape(FRAMES, 84) * 900
        numbers, turn = (" ".join(f"{x:.7g}" for x in matrix.ravel()) for matrix in (k, np.eye(4)))
        text += (
            f"name          {camera}\n  sensor      10 10\n  size        {SIZE[0]} {SIZE[1]}\n  animated    0\n"
            f"  intrinsic   {numbers} \n  extrinsic   {turn} \n  radial      0\n"
        )
        if camera in cameras:
            write_frames(folder, camera)
    savemat(folder / "annot.mat", cells | {"frames": np.arange(FRAMES)[:, None]})
    (folder / "camera.calibration").write_text(text)


@lru_cache(maxsize=64)
def seen_frame(frame: int, camera: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The joints' pixels, the picture, and the mask."""
    points = seen(joints_28(frame, camera), intrinsic(camera))
    image, mask = (tiny_people.painted("mpi_inf_3dhp28", points, SIZE, radius) for radius in (4, 9))
    return points, image, (mask != 128).any(-1)


def write_frames(folder: Path, camera: int) -> None:
    for frame in range(0, FRAMES, 5):
        points, image, whole = seen_frame(frame, camera)
        mask = whole.copy()
        if frame == FULL and camera == 2:
            mask[:] = True
        # Red: before the green screen; the other channels name clothes. Noise is at single pixels.
        green = np.zeros((*SIZE[::-1], 3), np.uint8)
        green[mask] = (255, 255, 0)
        green[::40, ::40, 0] = 255
        chair = np.full(SIZE[::-1], 255, np.uint8)
        if frame == SITS and camera == 4:
            hips = points[:, 1].mean()
            chair[int(hips) :] = 0
        pictures = {"images": image, "masks": green}
        for kind, picture in (pictures | {"chair_masks": chair}).items():
            place = folder / kind / f"video_{camera}"
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(place / f"frame_{frame + 1:06d}.jpg", quality=95)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("data")
    write_sequence(data, 1)
    write_sequence(data, 7)
    write_sequence(data, 2, CHEST_HEIGHT[:3])
    return data / "mpi_inf_3dhp"


def test_moments_that_every_view_shows_whole(root: Path) -> None:
    people = mpi_inf_3dhp.samples(root, "train_s5")
    names = [people.name(number) for number in range(len(people))]
    kept = [frame for frame in range(0, FRAMES, 5) if frame not in (SITS, FULL, GONE)]
    assert names == [f"S1/Seq1/video_{camera}/{frame + 1:06d}" for frame in kept for camera in CHEST_HEIGHT]
    assert people.together == 5
    assert people.left_out == {
        "a joint outside a picture": 1,
        "more than 4 joints on the chair": 1,
        "more than 85 % of the picture before the green screen": 1,
        "recordings without the five cameras": 1,
    }
    # S7 and S8 are of the training set; every tenth frame.
    valid = mpi_inf_3dhp.samples(root, "valid_s10")
    assert {valid.name(number).split("/")[0] for number in range(len(valid))} == {"S7"}
    assert [int(valid.name(number)[-6:]) - 1 for number in range(0, len(valid), 5)] == [0, 30, 40]


def test_labels_and_masks_lie_where_the_picture_shows_the_person(root: Path) -> None:
    people = mpi_inf_3dhp.samples(root, "train_s5")
    for number in (0, 3, 9):
        sample = people[number]
        camera, frame = CHEST_HEIGHT[number % 5], int(people.name(number)[-6:]) - 1
        assert_labels_fit(sample, joints_28(frame, camera))
        assert sample.mask is not None
        truth = seen_frame(frame, camera)[2]
        assert ((sample.mask > 0) != truth).sum() < 0.08 * truth.sum()
        assert not sample.mask[:40, :40].any()  # The noise is gone.


@pytest.mark.slow
def test_a_segmenter_s_masks_come_first_and_shards_keep_them(root: Path, tmp_path: Path) -> None:
    made = root.parent / "sam_masks" / "mpi_inf_3dhp" / "S7" / "Seq1" / "masks"
    for camera in CHEST_HEIGHT:
        (made / f"video_{camera}").mkdir(parents=True, exist_ok=True)
        for frame in range(0, FRAMES, 10):
            points = seen(joints_28(frame, camera), intrinsic(camera))
            mask = (tiny_people.painted("mpi_inf_3dhp28", points, SIZE, 5) != 128).any(-1)
            Image.fromarray(mask).save(made / f"video_{camera}" / f"frame_{frame + 1:06d}.jpg")
    try:
        small = mpi_inf_3dhp.samples(root, "valid_s10")[0].mask
        manifest = prepare("mpi_inf_3dhp", root, tmp_path, split="valid_s10", partial=True)
    finally:
        made.rename(made.with_name("elsewhere"))
    large = mpi_inf_3dhp.samples(root, "valid_s10")[0].mask
    assert small is not None
    assert large is not None
    assert 0 < (small > 0).sum() < 0.5 * (large > 0).sum()
    shard = Prepared(tmp_path)
    assert (len(shard), shard.together, manifest["together"]) == (15, 5, 5)
    assert shard[4].mask is not None


def test_training_samples_have_masks_too_and_damage_is_a_fault(root: Path) -> None:
    people = mpi_inf_3dhp.samples(root, "train")
    assert people[0].mask is not None
    path = root / "S1" / "Seq1" / "masks" / "video_0" / "frame_000001.jpg"
    whole = path.read_bytes()
    for content, words in ((whole[:100], "damaged or no picture"), (_jpeg((50, 60)), "has 60 x 50 pixels")):
        path.write_bytes(content)
        fault = read_sample(people, 0)
        path.write_bytes(whole)
        assert isinstance(fault, Fault)
        assert words in fault.reason


def test_masks_are_averaged_along_both_axes(tmp_path: Path) -> None:
    """Lines one pixel wide go, whichever way they run; the result turns with the mask."""
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 20:40] = 255
    clean = mask > 0
    mask[5], mask[:, 50] = 255, 255
    found = {}
    for turned in (False, True):
        path = tmp_path / f"{turned}.png"
        Image.fromarray(mask.T.copy() if turned else mask).save(path)
        found[turned] = green_mask(path, *(mask.T if turned else mask).shape) > 0
    np.testing.assert_array_equal(found[False], found[True].T)
    assert (found[False] != clean).sum() <= 12


def test_points_on_black_are_counted_at_any_scale() -> None:
    mask = np.full((10, 20), 255, np.uint8)
    mask[5:, 10:] = 0
    points = np.array([[150.0, 80], [20, 80], [150, 20], [500, 20], [-1, 80]])
    assert on_black(mask, points, (200, 100)).tolist() == [True, False, False, False, False]


def test_what_is_missing_is_said(root: Path, tmp_path: Path) -> None:
    problems = mpi_inf_3dhp.check(root, "valid_s10")
    assert any("S8 is missing" in line for line in problems)
    assert not any("cameras 1" in line or "S1 " in line for line in problems)
    with pytest.raises(UserError, match="split train_s5"):
        mpi_inf_3dhp.samples(tmp_path, "train_s5")


def _jpeg(shape: tuple[int, int]) -> bytes:
    import io

    buffer = io.BytesIO()
    Image.fromarray(np.zeros(shape, np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()
