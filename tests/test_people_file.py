"""People from JSON files: both layouts are read, every malformed one is refused in one sentence."""

import json
from pathlib import Path

import numpy as np
import pytest

from monobody.data.keypoint_files.read_people import read_file
from monobody.errors import UserError
from monobody.predict.detect import find_detector
from monobody.predict.people_file import PeopleFile

COCO_FLAT = [float(v) for i in range(17) for v in (i, 2 * i, 1)]


def written(tmp_path, content) -> Path:
    path = tmp_path / "people.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_own_layout(tmp_path):
    rows = [[10.0 * i, 5.0 * i, 0.5] for i in range(14)]
    file = read_file(
        written(tmp_path, {"a.jpg": [{"box": [1, 2, 30, 40]}, {"keypoints": rows, "set": "lsp14"}], "b.png": []})
    )
    box, keypoints = file.listed("a.jpg")
    assert box.box_px == (1, 2, 30, 40)
    assert keypoints.set_name == "lsp14"
    np.testing.assert_array_equal(keypoints.keypoints, rows)
    assert file.listed("b.png") == []


def test_coco_results(tmp_path):
    file = read_file(
        written(
            tmp_path,
            [
                {"image_id": 397133, "category_id": 1, "keypoints": COCO_FLAT, "score": 0.8},
                {"image_id": 397133, "category_id": 1, "bbox": [5, 6, 10, 20], "score": 0.7},
                {"image_id": 397133, "category_id": 18, "bbox": [0, 0, 9, 9], "score": 0.9},
            ],
        )
    )
    first, second = file.listed("000000397133.jpg")
    assert first.score == 0.8
    assert first.keypoints is not None
    assert first.keypoints.shape == (17, 3)
    assert second.box_px == (5, 6, 15, 26)
    assert len(file.listed("COCO_val2014_000000397133.jpg")) == 2
    assert file.listed("000000000001.jpg") == []


def test_picture_without_a_name_takes_the_only_entry(tmp_path):
    one = read_file(written(tmp_path, {"a.jpg": [{"box": [1, 2, 30, 40]}]}))
    assert len(one.listed(None)) == 1
    two = read_file(written(tmp_path, {"a.jpg": [], "b.jpg": []}))
    with pytest.raises(UserError, match="2 pictures"):
        two.listed(None)


def test_picture_that_is_not_listed(tmp_path):
    file = read_file(written(tmp_path, {"a.jpg": []}))
    with pytest.raises(UserError, match="no entry"):
        file.listed("c.jpg")


@pytest.mark.parametrize(
    "content",
    [
        "{not json",
        "3",
        {"a.jpg": {"box": [0, 0, 1, 1]}},
        {"a.jpg": [7]},
        {"a.jpg": [{}]},
        {"a.jpg": [{"box": [0, 0, 1]}]},
        {"a.jpg": [{"box": [0, 0, 0, 5]}]},
        {"a.jpg": [{"box": [0, 0, "x", 5]}]},
        '{"a.jpg": [{"box": [0, 0, NaN, 5]}]}',
        {"a.jpg": [{"box": None}]},
        {"a.jpg": [{"box": [0, 0, 5, 5], "score": True}]},
        {"a.jpg": [{"keypoints": [[1, 2, 1]] * 16}]},
        {"a.jpg": [{"keypoints": [[1, 2, 1]] * 17, "set": "martian"}]},
        {"a.jpg": [{"keypoints": [[1, 2, 1]] * 17, "set": ["coco17"]}]},
        {"a.jpg": [{"keypoints": [[1]] * 17}]},
        [3],
        [{"category_id": 1}],
        [{"image_id": 1}],
        [{"image_id": 1, "keypoints": COCO_FLAT[:-1]}],
        [{"image_id": 1, "bbox": [0, 0, -3, 5]}],
    ],
)
def test_malformed_files_are_refused(tmp_path, content):
    with pytest.raises(UserError) as caught:
        PeopleFile(written(tmp_path, content))
    assert "people.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_people_without_keypoints_are_refused_in_their_picture(tmp_path):
    """Somebody in another picture of the file stands in nobody's way."""
    nobody, picture = {"keypoints": [[1, 2, 0]] * 17}, np.zeros((8, 8, 3), np.uint8)
    detector = PeopleFile(written(tmp_path, {"a.jpg": [nobody], "b.jpg": []}))
    assert detector(picture, name="b.jpg") == []
    with pytest.raises(UserError, match=r"people\.json, person 0: it has 0 known keypoints"):
        detector(picture, name="a.jpg")


def test_names_of_detectors(tmp_path):
    with pytest.raises(UserError, match="no detector"):
        find_detector("yolo")
    with pytest.raises(UserError, match="no file"):
        find_detector(tmp_path / "absent.json")
    assert isinstance(find_detector(written(tmp_path, [])), PeopleFile)
    assert isinstance(find_detector(tmp_path), PeopleFile)  # A folder with a file for each picture.


def test_torchvision_that_does_not_import_is_a_users_mistake(monkeypatch):
    import builtins

    original = builtins.__import__

    def refuse(name, *rest, **options):
        if name.startswith("torchvision"):
            raise RuntimeError("operator torchvision::nms does not exist")
        return original(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UserError, match="blazepose"):
        find_detector("torchvision")
