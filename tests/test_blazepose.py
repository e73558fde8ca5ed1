"""BlazePose's files, anchors and geometry: what it sees must move with the picture."""

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monobody.data.crop import Crop
from monobody.errors import UserError
from monobody.predict import anchors
from monobody.predict.blaze_detector import BlazeDetector
from monobody.predict.blaze_networks import FOLDER, SHA256, BlazeNetworks, verified
from monobody.predict.blaze_search import search_windows
from monobody.predict.blazepose import find_candidates, nearly_equal
from monobody.predict.detect import find_detector
from monobody.predict.detection import inside_picture
from monobody.predict.given_keypoints import detection_from_keypoints
from monobody.predict.landmarks import Reading, read_again, read_region, refine
from monobody.predict.outline import outline_box


def test_shipped_files_are_the_published_ones():
    for name in SHA256:
        assert verified(FOLDER / name).is_file()


def test_damaged_and_missing_files_are_refused(tmp_path):
    for name in SHA256:
        shutil.copy(FOLDER / name, tmp_path / name)
    whole = bytearray((tmp_path / "pose_detection.tflite").read_bytes())
    whole[1000] ^= 1
    (tmp_path / "pose_detection.tflite").write_bytes(whole)
    with pytest.raises(UserError, match="damaged"):
        BlazeNetworks(tmp_path)
    (tmp_path / "pose_detection.tflite").unlink()
    with pytest.raises(UserError, match="missing"):
        BlazeNetworks(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux")
def test_no_thread_is_held_to_a_core():
    """Else the workers of a run over many pictures would all be on the same one."""
    code = """
import os, threading
import numpy as np
from monobody.predict.blaze_networks import BlazeNetworks
networks, seen, done = BlazeNetworks(), set(), threading.Event()
def watch():
    while not done.is_set():
        for thread in os.listdir("/proc/self/task"):
            seen.add(tuple(sorted(os.sched_getaffinity(int(thread)))))
watching = threading.Thread(target=watch)
watching.start()
for _ in range(20):
    networks.detect(np.zeros((224, 224, 3), np.uint8))
done.set()
watching.join()
assert seen == {tuple(sorted(os.sched_getaffinity(0)))}, seen
"""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core")
    for threads in ("1", ""):
        environment = {**os.environ, "OMP_NUM_THREADS": threads}
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_anchor_centres():
    centres = anchors.anchor_centres()
    assert centres.shape == (28 * 28 * 2 + 14 * 14 * 2 + 7 * 7 * 6, 2)
    np.testing.assert_allclose(centres[0], [0.5 / 28, 0.5 / 28])
    np.testing.assert_allclose(centres[1], centres[0])
    np.testing.assert_allclose(centres[2], [1.5 / 28, 0.5 / 28], rtol=1e-6)
    np.testing.assert_allclose(centres[-1], [6.5 / 7, 6.5 / 7], rtol=1e-6)
    np.testing.assert_allclose(centres.mean(axis=0), [0.5, 0.5], atol=1e-6)


def test_decoded_points_lie_about_their_anchor():
    raw = np.zeros((2254, 12), np.float32)
    raw[0, :4] = [0, 0, 56, 112]
    raw[0, 4:6] = [112, 0]
    raw_scores = np.full(2254, -100, np.float32)
    raw_scores[0] = 0
    points, scores = anchors.decode(raw, raw_scores, 0.4)
    centre = 2 * anchors.anchor_centres()[0] - 1
    assert scores == pytest.approx([0.5])
    np.testing.assert_allclose(points[0, 0], centre, rtol=1e-6)
    np.testing.assert_allclose(points[0, 1], [0.5, 1.0])
    np.testing.assert_allclose(points[0, anchors.HIP], centre + np.array([1, 0]), rtol=1e-6)


def test_suppression_averages_what_overlaps():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60]], float)
    points = np.array([[[0.0, 0]], [[4.0, 0]], [[9.0, 9]]])
    merged, scores = anchors.weighted_suppression(boxes, points, np.array([0.9, 0.3, 0.5]))
    np.testing.assert_allclose(merged[:, 0], [[1, 0], [9, 9]])
    np.testing.assert_allclose(scores, [0.9, 0.5])
    nothing, no_scores = anchors.weighted_suppression(np.zeros((0, 4)), np.zeros((0, 4, 2)), np.zeros(0))
    assert nothing.shape == (0, 4, 2)
    assert len(no_scores) == 0


def test_box_iou():
    assert anchors.box_iou(np.array([0.0, 0, 2, 2]), np.array([1.0, 0, 3, 2])) == pytest.approx(1 / 3)
    assert anchors.box_iou(np.array([0.0, 0, 2, 2]), np.array([5.0, 5, 6, 6])) == 0
    assert anchors.box_iou(np.array([0.0, 0, 0, 0]), np.array([0.0, 0, 0, 0])) == 0


def test_heat_maps_refine_only_where_they_are_sure():
    places = np.full((39, 2), 0.5)
    places[2] = [1.7, 0.5]
    heat = np.full((64, 64, 39), -50.0)
    heat[34, 33, 0] = 10.0  # row 34, column 33, two and one cells away
    heat[40, 33, 1] = 10.0  # outside of the window
    refined = refine(places, heat)
    np.testing.assert_allclose(refined[0], [33 / 64, 34 / 64])
    np.testing.assert_allclose(refined[1:], places[1:])


@pytest.mark.parametrize("box", [[5, 5, 5, 5], [-50, -50, -10, -10], [500, 5, 600, 9], [3, 4, 10, 12]])
def test_boxes_are_never_empty(box):
    x0, y0, x1, y1 = inside_picture(np.array(box, float), np.zeros((40, 60, 3), np.uint8))
    assert 0 <= x0 < x1 <= 60
    assert 0 <= y0 < y1 <= 40
    assert x1 - x0 >= 1
    assert y1 - y0 >= 1


def reading_with(mask: np.ndarray) -> Reading:
    landmarks = np.random.default_rng(0).uniform([80, 60], [120, 140], (33, 2))
    return Reading(
        crop=Crop((100.0, 100.0), 256.0, 0.0),
        landmarks_px=landmarks,
        scores=np.ones(33),
        auxiliary_px=np.array([[100.0, 100], [100, 20]]),
        world_m=np.zeros((33, 3)),
        presence=1.0,
        mask=mask,
    )


def test_outline_follows_the_mask_but_not_to_a_neighbour():
    mask = np.zeros((256, 256))
    mask[80:170, 100:150] = 1  # picture rows 52 to 142, columns 72 to 122
    np.testing.assert_allclose(outline_box(reading_with(mask)), [72.5, 52.5, 121.5, 141.5])
    mask[80:170, 100:256] = 1  # somebody else beside
    assert outline_box(reading_with(mask))[2] < 140
    empty = outline_box(reading_with(np.zeros((256, 256))))
    assert (empty[2:] > empty[:2]).all()


@pytest.fixture(scope="module")
def person() -> np.ndarray:
    with Image.open(Path(__file__).parents[1] / "samples" / "astronaut.jpg") as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_picture_gives_turned_landmarks(person: np.ndarray, quarters: int):
    height, width = person.shape[:2]
    crop = Crop((width / 2, height / 2), 1.1 * height, 0.0)
    plain = read_region(person, crop)
    turned_picture = np.ascontiguousarray(np.rot90(person, quarters))

    def turned(points: np.ndarray) -> np.ndarray:
        w, h = width, height
        for _ in range(quarters):  # anticlockwise: x' = y, y' = w - x
            points = np.stack([points[..., 1], w - points[..., 0]], -1)
            w, h = h, w
        return points

    centre = turned(np.array(crop.centre_px))
    there = read_region(turned_picture, Crop((centre[0], centre[1]), crop.size_px, -quarters * math.pi / 2))
    # Resampling differs by rounding alone.
    assert np.abs(there.landmarks_px - turned(plain.landmarks_px)).max() < 0.02 * height
    np.testing.assert_allclose(there.world_m, plain.world_m, atol=0.02)


def test_scaling_the_window_leaves_the_candidate(person: np.ndarray):
    height, width = person.shape[:2]
    found = [find_candidates(person, Crop((width / 2, height / 2), k * height, 0.0), 0.3)[0] for k in (1.6, 2.0)]
    assert nearly_equal(found[0].region, found[1].region)


def test_reading_again_undoes_part_of_a_turn(person: np.ndarray):
    height, width = person.shape[:2]
    best = find_candidates(person, Crop((width / 2, height / 2), 1.6 * height, 0.0), 0.3)[0].region
    settled = read_again(person, read_again(person, read_region(person, best)))
    start = Crop(settled.crop.centre_px, settled.crop.size_px, settled.crop.angle_rad + 0.4)
    again = read_again(person, read_again(person, read_region(person, start)))
    assert abs(again.crop.angle_rad - settled.crop.angle_rad) < 0.25
    assert again.presence > 0.9


def test_somebody_is_found_and_no_second_one(person: np.ndarray):
    (found,) = BlazeDetector()(person)
    x0, y0, x1, y1 = found.box_px / np.tile(person.shape[1::-1], 2)
    assert x0 < 0.2
    assert y0 < 0.1
    assert x1 > 0.6
    assert y1 > 0.95
    assert found.landmarks_score[0] > 0.9
    nose = found.landmarks_px[0] / person.shape[1::-1]
    np.testing.assert_allclose(nose, [0.43, 0.25], atol=0.03)


def test_nobody_in_an_empty_picture():
    sky = np.linspace(90, 230, 200).astype(np.uint8)
    assert BlazeDetector()(np.broadcast_to(sky[:, None, None], (200, 300, 3)).copy()) == []


def test_a_given_box_always_has_one_person(person: np.ndarray):
    height, width = person.shape[:2]
    boxes = [[0, 0, width, height], [0.8 * width, 0, width, 0.3 * height], [1, 1, 4, 3]]
    found = BlazeDetector()(person, boxes)
    assert len(found) == 3
    assert all(np.isfinite(d.landmarks_px).all() and d.crop.size_px > 0 for d in found)
    assert BlazeDetector()(person, boxes[0])[0].crop == found[0].crop


@pytest.mark.parametrize("box", [[5, 5, 5, 9], [math.nan, 0, 5, 5], [-9, -9, -2, -2]])
def test_impossible_boxes_are_refused(person: np.ndarray, box):
    with pytest.raises(UserError):
        BlazeDetector()(person, box)


def test_whole_picture_is_one_person(person: np.ndarray):
    assert len(find_detector("whole")(person)) == 1


def test_given_keypoints_place_the_region_and_stay(person: np.ndarray):
    height, width = person.shape[:2]
    points = np.zeros((17, 3))
    points[[5, 6, 11, 12]] = [[0.6, 0.55, 1], [0.2, 0.55, 0.9], [0.5, 1.2, 0.8], [0.25, 1.2, 0.8]]
    points[:, :2] *= [width, height]
    found = detection_from_keypoints(person, points, "coco17")
    assert abs(found.crop.angle_rad) < 0.2
    np.testing.assert_allclose(found.landmarks_px[11], points[5, :2])
    assert found.landmarks_score[12] == 0.9
    assert found.box_px[3] == height


def test_somebody_upside_down_is_found(person: np.ndarray):
    best = BlazeDetector()(np.ascontiguousarray(person[::-1, ::-1]))[0]
    assert abs(best.crop.angle_rad) > 2.6


def test_two_people_are_two(person: np.ndarray):
    gap = np.full((person.shape[0], 60, 3), 127, np.uint8)
    found = BlazeDetector()(np.concatenate([person, gap, person], axis=1))
    assert len(found) == 2
    first, second = sorted(found, key=lambda d: d.box_px[0])
    shift = second.landmarks_px[:13] - first.landmarks_px[:13]
    np.testing.assert_allclose(shift.mean(axis=0), [person.shape[1] + 60, 0], atol=0.05 * person.shape[1])


def test_windows_cover_the_picture():
    height, width = 600, 1000
    windows = search_windows(height, width)
    rng = np.random.default_rng(0)
    points = rng.uniform([0, 0], [width, height], (200, 2))
    for side in {w.size_px for w in windows}:
        seen = [np.abs(w.to_crop(points)).max(axis=1) <= 1 + 1e-9 for w in windows if w.size_px == side]
        assert np.any(seen, axis=0).all()
    assert len(search_windows(100, 120)) == 8
    assert len(search_windows(1, 1)) == 8
