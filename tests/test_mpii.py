"""MPII from MATLAB files as MATLAB writes them, with all their odd cases."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from monobody.body.skeleton import SKELETONS
from monobody.data.datasets import mpii
from monobody.errors import UserError

MPII = SKELETONS["mpii16"].joints


def matlab(*entries: dict[str, Any]) -> np.ndarray:
    """Return a struct array (1 x N) of MATLAB."""
    array = np.empty((1, len(entries)), [(name, object) for name in entries[0]])
    for number, entry in enumerate(entries):
        array[0, number] = tuple(entry.values())
    return array


def cell(*values: Any) -> np.ndarray:
    array = np.empty((len(values), 1), object)
    array[:, 0] = values
    return array


EMPTY = np.zeros((0, 0))


def person(joints: dict[int, tuple[float, float]], visible: Any = 1) -> dict[str, Any]:
    points = [{"x": float(x), "y": float(y), "id": i, "is_visible": visible} for i, (x, y) in joints.items()]
    return {
        "x1": 1.0,
        "y1": 1.0,
        "annopoints": matlab({"point": matlab(*points)}) if points else EMPTY,
        "scale": 1.5,
        "objpos": matlab({"x": 50.0, "y": 40.0}),
    }


def write_mpii(root: Path, pictures: list[tuple[Any, int, Any]]) -> Path:
    """Write pictures given as (annorect, img_train, single_person)."""
    savemat = pytest.importorskip("scipy.io").savemat
    (root / "images").mkdir()
    (root / "annotations").mkdir()
    for number in range(len(pictures)):
        Image.new("RGB", (120, 90), (20 * number, 0, 0)).save(root / "images" / f"{number:09d}.jpg")
    annolist = matlab(
        *(
            {"image": matlab({"name": f"{number:09d}.jpg"}), "annorect": rects, "frame_sec": EMPTY, "vididx": EMPTY}
            for number, (rects, _, _) in enumerate(pictures)
        )
    )
    release = {
        "annolist": annolist,
        "img_train": np.array([[train for _, train, _ in pictures]], np.uint8),
        "version": "12",
        "single_person": cell(*(apart for _, _, apart in pictures)),
    }
    savemat(root / "annotations" / mpii.ANNOTATIONS, {"RELEASE": release}, do_compression=True)
    return root


def spread(seed: int, ids: Any = range(16)) -> dict[int, tuple[float, float]]:
    rng = np.random.default_rng(seed)
    return {i: (float(rng.integers(5, 110)), float(rng.integers(5, 80))) for i in ids}


def test_odd_cases_of_the_matlab_file(tmp_path: Path) -> None:
    whole, second, strings = spread(0), spread(1, (0, 1, 2, 8, 9)), spread(2, (10, 11, 12))
    root = write_mpii(
        tmp_path,
        [
            (matlab(person(whole)), 1, 1.0),  # One person: no list.
            (matlab(person(spread(3)), person(second)), 1, np.array([[2.0]])),  # The second of two.
            (matlab(person(spread(4)), person(spread(5))), 1, EMPTY),  # Nobody stands apart.
            (EMPTY, 1, EMPTY),  # Nobody was marked at all.
            (matlab({"objpos": EMPTY, "scale": EMPTY}), 1, 1.0),  # Test-like: no field annopoints.
            (matlab(person({})), 1, 1.0),  # Empty annopoints.
            (matlab(person({3: (10.0, 20.0)})), 1, 1.0),  # One point: no list.
            (matlab(person(strings, visible="1"), person(spread(6), visible=EMPTY)), 1, np.array([[1.0], [2.0]])),
            (matlab(person(spread(7))), 0, 1.0),  # A test picture.
        ],
    )
    assert mpii.check(root) == []
    by_hmr = mpii.samples(root)
    assert by_hmr.names == ["000000000_1", "000000001_2", "000000007_2"]
    assert by_hmr.left_out == {mpii.TOO_LITTLE: 4}
    np.testing.assert_array_equal(by_hmr[2].keypoints_px, mpii.samples(root, "train")[3].keypoints_px)
    people = mpii.samples(root, "train")
    assert people.names == ["000000000_1", "000000001_2", "000000007_1", "000000007_2"]
    assert people.left_out == {"fewer than two joints marked": 3}
    lsp = SKELETONS["cocoplus19"].joints
    for index, joints in ((0, whole), (1, second), (2, strings)):
        sample = people[index]
        expected = {lsp.index(MPII[i]): place for i, place in joints.items() if MPII[i] in lsp}
        assert set(np.flatnonzero(sample.visible)) == set(expected)
        for joint, (x, y) in expected.items():
            np.testing.assert_allclose(sample.keypoints_px[joint], (x - 0.5, y - 0.5))
    assert people[0].visible.sum() == 14
    assert people[3].visible.sum() == 14


def test_marks_lie_on_the_pixels_that_matlab_means(tmp_path: Path) -> None:
    """A pixel painted at MATLAB's column and row, counted from 1, is the joint's place; sides are the person's own."""
    joints = {10: (31.0, 41.0), 15: (81.0, 21.0), 0: (41.0, 81.0)}
    root = write_mpii(tmp_path, [(matlab(person(joints)), 1, 1.0)])
    image = np.zeros((90, 120, 3), np.uint8)
    colours = {"right_wrist": (255, 0, 0), "left_wrist": (0, 255, 0), "right_ankle": (0, 0, 255)}
    for (x, y), colour in zip(joints.values(), colours.values(), strict=True):
        image[int(y) - 1, int(x) - 1] = colour
    Image.fromarray(image).save(root / "images" / "000000000.jpg", "PNG")
    sample = mpii.samples(root)[0]
    for name, colour in colours.items():
        x, y = sample.keypoints_px[SKELETONS["cocoplus19"].index(name)]
        assert tuple(sample.image[int(y), int(x)]) == colour


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    assert len(mpii.check(tmp_path)) == 2
    with pytest.raises(UserError, match="human-pose"):
        mpii.samples(tmp_path)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / mpii.ANNOTATIONS).write_bytes(b"MATLAB 5.0 and then nothing")
    with pytest.raises(UserError, match="unpack it again"):
        mpii.samples(tmp_path)
    root = tmp_path / "here"
    root.mkdir()
    write_mpii(root, [(matlab(person(spread(0))), 1, 1.0), (matlab(person(spread(1))), 1, 1.0)])
    (root / "images" / "000000001.jpg").unlink()
    (root / "annotations").rename(root / "mpii_human_pose_v1_u12_2")  # As the archive unpacks.
    people = mpii.samples(root)
    assert len(people) == 1
    assert people.left_out == {"no picture on disk": 1}
