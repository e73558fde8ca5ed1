"""COCO's annotations: places, flags, masks and rules, checked against pycocotools where that is installed."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from monobody.body.skeleton import SKELETONS
from monobody.data.clicked import ClickedPhotos
from monobody.data.datasets import coco, folder
from monobody.data.datasets.coco_json import mask_of, read_coco
from monobody.data.prepare import prepare
from monobody.data.prepared import Prepared
from monobody.data.prepared_writer import write_prepared
from monobody.errors import UserError

COCO17 = SKELETONS["coco17"].joints
SEEN, HIDDEN = 2, 1
WIDTH, HEIGHT = 100, 80


def keypoints(flags: dict[str, int], seed: int = 0) -> list[int]:
    rng = np.random.default_rng(seed)
    values = []
    for joint in COCO17:
        flag = flags.get(joint, 0)
        values += [int(rng.integers(5, 95)), int(rng.integers(5, 75)), flag] if flag else [0, 0, 0]
    return values


def annotation(number: int, image: int, points: list[int], **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [10.5, 8.0, 40.0, 65.0],
        "keypoints": points,
        "num_keypoints": sum(flag > 0 for flag in points[2::3]),
        "segmentation": [[10, 10, 50, 10, 50, 70, 10, 70]],
        "area": 2400.0,
    } | more


def write_coco(root: Path, annotations: list[dict[str, Any]], part: str = "train2014", pictures: int = 2) -> Path:
    (root / "annotations").mkdir(parents=True)
    (root / part).mkdir()
    names = [f"COCO_{part}_{number:012d}.jpg" for number in range(pictures)]
    for name in names:
        Image.new("RGB", (WIDTH, HEIGHT)).save(root / part / name)
    content = {
        "images": [
            {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT} for number, name in enumerate(names)
        ],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17)}],
    }
    (root / "annotations" / f"person_keypoints_{part}.json").write_text(json.dumps(content))
    return root


ALL_SEEN = dict.fromkeys(COCO17, SEEN)
FACE_AND_SHOULDERS = dict.fromkeys(COCO17[:7], SEEN)


def test_whom_hmr_keeps(tmp_path: Path) -> None:
    few = dict.fromkeys(COCO17[:5], SEEN) | dict.fromkeys(COCO17[5:], HIDDEN)
    wrist = FACE_AND_SHOULDERS | {"left_wrist": HIDDEN}
    root = write_coco(
        tmp_path,
        [
            annotation(7, 1, keypoints(ALL_SEEN)),
            annotation(5, 1, keypoints(few)),
            annotation(6, 0, keypoints(FACE_AND_SHOULDERS)),
            annotation(4, 0, keypoints(wrist)),
            annotation(3, 0, keypoints(ALL_SEEN), bbox=[0, 0, 60, 60]),
            annotation(2, 0, keypoints(ALL_SEEN), iscrowd=1, segmentation={"size": [80, 100], "counts": [8000]}),
            annotation(1, 0, keypoints({})),
        ],
    )
    assert coco.check(root) == []
    kept = coco.samples(root)
    assert kept.names == ["COCO_train2014_000000000000_4", "COCO_train2014_000000000001_7"]
    assert kept.left_out == {
        "fewer than 6 joints seen": 1,
        "only face and shoulders marked": 1,
        "not larger than 60 pixels": 1,
        "a crowd": 1,
        "no joint marked": 1,
    }
    everybody = coco.samples(root, "train2014")
    assert [name[-1] for name in everybody.names] == ["3", "4", "6", "5", "7"]
    tools = pytest.importorskip("pycocotools.coco")
    theirs = tools.COCO(str(root / "annotations" / "person_keypoints_train2014.json"))
    numbers = theirs.getAnnIds(catIds=theirs.getCatIds(["person"]), iscrowd=False)
    named = [each["id"] for each in theirs.loadAnns(numbers) if each["num_keypoints"] > 0]
    assert sorted(named) == sorted(int(name[-1]) for name in everybody.names)


def test_places_flags_and_sides(tmp_path: Path) -> None:
    """A pixel painted where COCO's whole numbers say is where the joint's place is; left and right are the person's."""
    flags = {"left_wrist": SEEN, "right_wrist": HIDDEN, "left_hip": SEEN, "nose": SEEN, "right_ear": SEEN}
    root = write_coco(tmp_path, [annotation(1, 0, keypoints(flags, seed=5))], pictures=1)
    content = json.loads((root / "annotations" / "person_keypoints_train2014.json").read_text())
    points = np.array(content["annotations"][0]["keypoints"]).reshape(17, 3)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for joint in flags:
        x, y = points[COCO17.index(joint), :2]
        image[y, x] = 10 * COCO17.index(joint) + 10
    Image.fromarray(image).save(root / "train2014" / content["images"][0]["file_name"], "PNG")
    sample = coco.samples(root, "train2014")[0]
    names = SKELETONS["cocoplus19"].joints
    assert {names[i] for i in np.flatnonzero(sample.visible)} == set(flags)
    for joint in flags:
        x, y = sample.keypoints_px[names.index(joint)]
        assert sample.image[int(y), int(x), 0] == 10 * COCO17.index(joint) + 10
        assert (x % 1, y % 1) == (0.5, 0.5)
    assert sample.visible[[12, 13]].sum() == 0, "neck and head top are not COCO's"


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_masks_are_those_of_pycocotools(tmp_path: Path) -> None:
    tools = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    blob = np.zeros((HEIGHT, WIDTH), np.uint8)
    blob[20:60, 30:45] = 1
    blob[rng.integers(0, HEIGHT, 300), rng.integers(0, WIDTH, 300)] = 1
    packed = tools.encode(np.asfortranarray(blob))
    packed["counts"] = packed["counts"].decode()
    columns = blob.T.ravel()
    borders = np.flatnonzero(np.diff(columns)) + 1
    lengths = np.diff(np.r_[0, borders, len(columns)]).tolist()
    plain = {"size": [HEIGHT, WIDTH], "counts": [0, *lengths] if columns[0] else lengths}
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    star = np.stack([50 + 30 * np.cos(angles) * (1 + 0.3 * np.cos(5 * angles)), 40 + 28 * np.sin(angles)], 1)
    polygons = [star.ravel().tolist(), [2, 3, 15, 3, 15, 12.5, 2, 12.5]]
    outlines = [packed, plain, polygons, None]
    root = write_coco(
        tmp_path,
        [annotation(n, 0, keypoints(ALL_SEEN), segmentation=outline) for n, outline in enumerate(outlines)],
    )
    people = read_coco(root / "annotations" / "person_keypoints_train2014.json").people
    masks = [mask_of(people, n, HEIGHT, WIDTH) for n in range(4)]
    assert masks[3] is None
    for mask in masks[:2]:
        assert mask is not None
        np.testing.assert_array_equal(mask, 255 * blob)
    theirs = tools.decode(tools.merge(tools.frPyObjects(polygons, HEIGHT, WIDTH)))
    assert masks[2] is not None
    both, either = ((masks[2] > 0) & (theirs > 0)).sum(), ((masks[2] > 0) | (theirs > 0)).sum()
    assert both / either > 0.97  # They round borders outwards.
    sample = pickle.loads(pickle.dumps(coco.samples(root, "train2014")))[0]  # As workers may be sent it.
    np.testing.assert_array_equal(sample.mask, 255 * blob)
    assert coco.samples(root, "train2014", masks=False)[0].mask is None


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    missing = " ".join(coco.check(tmp_path))
    assert "person_keypoints_train2014.json" in missing
    assert "val2017" in missing
    with pytest.raises(UserError, match="cocodataset"):
        coco.samples(tmp_path)
    root = write_coco(tmp_path / "half", [annotation(1, 0, keypoints(ALL_SEEN)), annotation(2, 1, keypoints(ALL_SEEN))])
    (root / "train2014" / "COCO_train2014_000000000001.jpg").unlink()
    people = coco.samples(root)
    assert [len(people), people.left_out] == [1, {"no picture on disk": 1}]
    file = root / "annotations" / "person_keypoints_train2014.json"
    for broken in ("{", "[]", '{"images": []}', '{"images": [{}], "annotations": []}'):
        file.write_text(broken)
        with pytest.raises(UserError, match="no COCO annotations"):
            coco.samples(root)


def test_other_parts_are_offered(tmp_path: Path) -> None:
    root = write_coco(tmp_path / "in", [annotation(1, 0, keypoints(ALL_SEEN))], part="train2017")
    assert coco.check(root) == []
    assert coco.check(root, "hmr_2017") == []
    for attempt in (lambda: prepare("coco", root, tmp_path / "out"), lambda: coco.samples(root)):
        with pytest.raises(UserError, match=r"train2017 would do: add --split hmr_2017 or train2017\."):
            attempt()
    assert prepare("coco", root, tmp_path / "out", split="hmr_2017")["count"] == 1


def write_folder(root: Path, content: dict[str, Any], size: tuple[int, int] = (WIDTH, HEIGHT)) -> ClickedPhotos:
    (root / "photos").mkdir(parents=True)
    Image.new("RGB", size, (200, 30, 30)).save(root / "photos" / "a.png")
    (root / "labels.json").write_text(json.dumps(content))
    return folder.samples(root)


IMAGES = [{"id": 1, "file_name": "photos/a.png", "width": WIDTH, "height": HEIGHT}]


def test_a_folder_with_named_keypoints(tmp_path: Path) -> None:
    names = ["Left Wrist", "right_ankle", "head_top", "dog_tail"]
    content = {
        "images": IMAGES,
        "annotations": [
            {"id": 9, "image_id": 1, "category_id": 4, "keypoints": [10, 20, 2, 30, 70, 1, 15, 5, 0, 1, 1, 2]}
        ],
        "categories": [{"id": 4, "name": "Person", "keypoints": names}, {"id": 5, "name": "dog"}],
    }
    people = write_folder(tmp_path / "set", content)
    assert folder.check(tmp_path / "set") == []
    assert people.names == ["a_9"]
    sample = people[0]
    assert {SKELETONS["cocoplus19"].joints[i] for i in np.flatnonzero(sample.visible)} == {"left_wrist", "right_ankle"}
    np.testing.assert_allclose(sample.keypoints_px[11], (10.5, 20.5))


def test_a_folder_with_boxes_alone_can_be_prepared(tmp_path: Path) -> None:
    boxes = [[10, 20, 30, 40], [0, 0, 0, 0], [5, 5, 20, 20]]
    content = {
        "images": IMAGES,
        "annotations": [{"id": n, "image_id": 1, "bbox": box, "iscrowd": int(n == 2)} for n, box in enumerate(boxes)],
    }
    people = write_folder(tmp_path / "set", content)
    assert people.left_out == {"a crowd": 1, "neither two joints nor a box": 1}
    assert len(people) == 1
    assert people[0].crop.centre_px == (25.0, 40.0)
    assert people[0].crop.size_px == pytest.approx(48.0)
    assert write_prepared("mine", people, tmp_path / "out")["count"] == 1
    assert Prepared(tmp_path / "out")[0].visible.sum() == 0


def test_a_folder_with_unnamed_keypoints_goes_by_their_number(tmp_path: Path) -> None:
    points = np.c_[np.arange(14) * 5 + 10, np.arange(14) * 4 + 10, np.full(14, 2)]
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"id": 1, "image_id": 1, "keypoints": points.ravel().tolist()}],
    }
    root = tmp_path / "set"
    (root / "images").mkdir(parents=True)
    Image.new("RGB", (WIDTH, HEIGHT)).save(root / "images" / "a.png")
    (root / "annotations.json").write_text(json.dumps(content))
    sample = folder.samples(root)[0]
    np.testing.assert_allclose(sample.keypoints_px[:14], points[:, :2] + 0.5)
    content["annotations"][0]["keypoints"] = [1, 2, 2] * 9
    (root / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="name them in categories"):
        folder.samples(root)


def test_pictures_on_their_side_are_turned_and_others_refused(tmp_path: Path) -> None:
    content = {"images": IMAGES, "annotations": [{"id": 1, "image_id": 1, "bbox": [10, 10, 50, 60]}]}
    people = write_folder(tmp_path / "set", content, size=(HEIGHT, WIDTH))
    with pytest.raises(UserError, match="it is another one"):
        people[0]
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.new("RGB", (HEIGHT, WIDTH))
    stored.putpixel((0, 0), (255, 255, 255))
    stored.save(tmp_path / "set" / "photos" / "a.png", exif=exif)
    image = people[0].image
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert tuple(np.argwhere(image[..., 0] == 255)[0]) == (0, WIDTH - 1)
