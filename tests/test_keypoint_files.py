"""Keypoints from files of other programs: tiny files in each true layout give one and the same person."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monobody.body.skeleton import HUMAN_SETS, SKELETONS
from monobody.data.keypoint_files.known_people import KnownPerson, choose_people
from monobody.data.keypoint_files.read_people import read_people
from monobody.errors import UserError

WIDTH, HEIGHT = 400, 300
# One person: every joint name of every set at a place of its own, pixels (the middle of the first one is 0.5).
NAMES = sorted({joint for skeleton in HUMAN_SETS.values() for joint in skeleton.joints})
PLACES = {name: (20.5 + 5 * i, 250.5 - 3 * i) for i, name in enumerate(NAMES)}
SURE = {name: round(0.5 + 0.005 * i, 3) for i, name in enumerate(NAMES)}


def words(text: str) -> list[str]:
    return text.split()


# The programs' own orders, spelt out once more, as their documents have them.
OPENPOSE_25 = words(
    "nose thorax right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist pelvis right_hip "
    "right_knee right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear left_toe "
    "left_small_toe left_heel right_toe right_small_toe right_heel"
)
OPENPOSE_18 = [*OPENPOSE_25[:8], *OPENPOSE_25[9:19]]
OPENPOSE_15 = ["head_top", "neck", *OPENPOSE_25[2:8], *OPENPOSE_25[9:15], "chest"]
COCO_17 = words(
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist "
    "right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle"
)
WHOLEBODY = [
    *COCO_17,
    *words("left_toe left_small_toe left_heel right_toe right_small_toe right_heel"),
    *["face"] * 68,
    *["hand"] * 42,
]
HALPE = [
    *COCO_17,
    *["head", "neck_of_halpe", "pelvis"],
    *words("left_toe right_toe left_small_toe right_small_toe left_heel right_heel"),
]
MEDIAPIPE_33 = words(
    "nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer left_ear right_ear "
    "left_mouth right_mouth left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_pinky "
    "right_pinky left_index right_index left_thumb right_thumb left_hip right_hip left_knee right_knee left_ankle "
    "right_ankle left_heel right_heel left_toe right_toe"
)
LSP_14 = words(
    "right_ankle right_knee right_hip left_hip left_knee left_ankle right_wrist right_elbow right_shoulder "
    "left_shoulder left_elbow left_wrist neck head_top"
)


def rows(names: list[str], *, from_zero: bool = True) -> list[list[float]]:
    """x, y, confidence in an order; what has no place of ours lies anywhere."""
    shift = 0.5 if from_zero else 0.0
    return [
        [PLACES[name][0] - shift, PLACES[name][1] - shift, SURE[name]] if name in PLACES else [9.0, 9.0, 0.9]
        for name in names
    ]


def flat(names: list[str], **options: bool) -> list[float]:
    return [value for row in rows(names, **options) for value in row]


def openpose(names: list[str], key: str = "pose_keypoints_2d") -> dict[str, Any]:
    empty = {f"{part}_keypoints_2d": [] for part in ("face", "hand_left", "hand_right")}
    return {"version": 1.3, "people": [{"person_id": [-1], key: flat(names), **empty}]}


def coco_annotations(**changes: Any) -> dict[str, Any]:
    keypoints = [v for x, y, _ in rows(COCO_17) for v in (x, y, 2)]
    annotation = {
        "id": 7, "image_id": 3, "category_id": 1, "iscrowd": 0, "num_keypoints": 17, "keypoints": keypoints,
        "bbox": [1, 2, 300, 200], "area": 9.0, "segmentation": [],
    }  # fmt: skip
    return {
        "images": [{"id": 3, "file_name": "a.jpg", "width": WIDTH, "height": HEIGHT}],
        "annotations": [annotation | changes],
        "categories": [{"id": 1, "name": "person", "keypoints": COCO_17, "skeleton": []}],
    }


def coco_results(names: list[str] = COCO_17, **named: Any) -> list[dict[str, Any]]:
    return [{**(named or {"image_id": "a.jpg"}), "category_id": 1, "keypoints": flat(names), "score": 0.9}]


def mediapipe() -> list[dict[str, float]]:
    return [
        {"x": x / WIDTH, "y": y / HEIGHT, "z": -0.1, "visibility": score}
        for x, y, score in rows(MEDIAPIPE_33, from_zero=False)
    ]


def mmpose(names: list[str] = COCO_17) -> dict[str, Any]:
    return {
        "keypoints": [row[:2] for row in rows(names)],
        "keypoint_scores": [row[2] for row in rows(names)],
        "bbox": [[1.0, 2.0, 300.0, 200.0]],
        "bbox_score": 0.9,
    }


MMPOSE_META = {"dataset_name": "coco", "keypoint_id2name": {str(i): name for i, name in enumerate(COCO_17)}}

LAYOUTS: dict[str, tuple[Any, str]] = {
    "openpose body_25": (openpose(OPENPOSE_25), "openpose25"),
    "openpose coco": (openpose(OPENPOSE_18), "openpose25"),
    "openpose mpi": (openpose(OPENPOSE_15), "lsp14"),
    "openpose before 1.2": (openpose(OPENPOSE_18, "pose_keypoints"), "openpose25"),
    "coco results": (coco_results(), "coco17"),
    "coco results by number": (coco_results(image_id=12), "coco17"),
    "openpifpaf": (coco_results(category_id=1), "coco17"),
    "alphapose halpe": (coco_results(HALPE), "openpose25"),
    "mmpose 0.x wholebody": (coco_results(WHOLEBODY), "openpose25"),
    "mediapipe list": (mediapipe(), "blazepose33"),
    "mediapipe rows": ([list(each.values()) for each in mediapipe()], "blazepose33"),
    "mediapipe people": ([mediapipe()], "blazepose33"),
    "mediapipe solutions": ({"landmark": mediapipe()}, "blazepose33"),
    "mediapipe holistic": ({"pose_landmarks": {"landmark": mediapipe()}}, "blazepose33"),
    "mediapipe tasks": ({"pose_landmarks": [mediapipe()], "pose_world_landmarks": [mediapipe()]}, "blazepose33"),
    "mediapipe javascript": ({"landmarks": [mediapipe()], "worldLandmarks": [mediapipe()]}, "blazepose33"),
    "mediapipe by picture": ({"a.jpg": mediapipe(), "b.jpg": []}, "blazepose33"),
    "mmpose inferencer": ([mmpose()], "coco17"),
    "mmpose demo": ({"meta_info": MMPOSE_META, "instance_info": [mmpose()]}, "coco17"),
    "mmpose python": ({"predictions": [[mmpose()]]}, "coco17"),
    "mmpose one frame": ([{"frame_id": 0, "instances": [mmpose()]}], "coco17"),
    "mmpose wholebody": ([mmpose(WHOLEBODY)], "openpose25"),
    "our own": ({"a.jpg": [{"keypoints": rows(LSP_14, from_zero=False), "set": "lsp14"}]}, "lsp14"),
    "our own by stem": ({"a": [{"keypoints": rows(COCO_17, from_zero=False)}]}, "coco17"),
}


def written(folder: Path, content: Any, name: str = "people.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def assert_same(person: KnownPerson, set_name: str, *, sure: dict[str, float] = SURE) -> None:
    """The joints that a person has are where they should be; the others are unknown."""
    assert person.set_name == set_name
    assert person.keypoints is not None
    assert person.known >= 13
    for name, (x, y, confidence) in zip(SKELETONS[set_name].joints, person.keypoints, strict=True):
        if confidence > 0:
            np.testing.assert_allclose((x, y, confidence), (*PLACES[name], sure[name]), atol=1e-3, err_msg=name)


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_every_layout_gives_the_same_person(layout: str, tmp_path: Path) -> None:
    content, set_name = LAYOUTS[layout]
    file = read_people(written(tmp_path, content))
    name = "COCO_val2014_000000000012.jpg" if layout.endswith("number") else "photos/a.jpg"
    (person,) = file.in_picture(name, WIDTH, HEIGHT)
    assert_same(person, set_name)


def test_all_joints_of_a_layout_arrive(tmp_path: Path) -> None:
    """What has a place in our sets is not lost on the way."""
    for layout, count in (("openpose body_25", 25), ("openpose coco", 18), ("openpose mpi", 14),
                          ("mmpose wholebody", 23), ("alphapose halpe", 24), ("mediapipe list", 33)):  # fmt: skip
        (person,) = read_people(written(tmp_path, LAYOUTS[layout][0])).in_picture("a.jpg", WIDTH, HEIGHT)
        assert person.known == count, layout


def test_coco_annotations(tmp_path: Path) -> None:
    everywhere = {name: 1.0 for name in NAMES}
    (person,) = read_people(written(tmp_path, coco_annotations())).in_picture("a.jpg", WIDTH, HEIGHT)
    assert_same(person, "coco17", sure=everywhere)
    unlabelled = coco_annotations(keypoints=[0] * 51, num_keypoints=0)
    (person,) = read_people(written(tmp_path, unlabelled)).in_picture("a.jpg", WIDTH, HEIGHT)
    assert person.keypoints is None
    assert person.box_px == (1, 2, 301, 202)
    assert read_people(written(tmp_path, coco_annotations(iscrowd=1))).in_picture("a.jpg", WIDTH, HEIGHT) == []


@pytest.mark.parametrize(("extended", "name"), [(False, "im0002.jpg"), (True, "im00002.jpg")])
def test_lsp(extended: bool, name: str, tmp_path: Path) -> None:
    """LSP flags the hidden joints, LSP Extended the visible ones; both files are called joints.mat."""
    savemat = pytest.importorskip("scipy.io").savemat
    one = np.array(rows(LSP_14, from_zero=False))
    one[:, 2] = extended
    one[4] = (-5, -5, not extended)  # A hidden knee.
    joints = np.stack([one, one + np.array([100, 0, 0])], axis=2)  # 14 x 3 x 2
    savemat(tmp_path / "joints.mat", {"joints": joints if extended else joints.transpose(1, 0, 2)})
    (person,) = read_people(tmp_path / "joints.mat").in_picture(name, WIDTH + 100, HEIGHT)
    assert person.known == 13
    assert person.keypoints is not None
    np.testing.assert_allclose(person.keypoints[0], [PLACES["right_ankle"][0] + 100, PLACES["right_ankle"][1], 1])


def test_a_table(tmp_path: Path) -> None:
    lines = [f"a.jpg,{name},{x},{y},{SURE[name]}" for name, (x, y) in PLACES.items() if name in COCO_17]
    file = read_people(written(tmp_path, "\n".join(["picture,joint,x,y,confidence", *lines]), "anything.txt"))
    (person,) = file.in_picture("a.jpg", WIDTH, HEIGHT)
    assert_same(person, "coco17")
    bare = [f"{name.removesuffix('_toe') + '_big_toe' if 'toe' in name else name},{x},{y}"
            for name, (x, y) in PLACES.items() if name in COCO_17 or name == "left_toe"]  # fmt: skip
    (person,) = read_people(written(tmp_path, "\n".join(["joint,x,y", *bare]))).in_picture(None, WIDTH, HEIGHT)
    assert person.known == 18
    assert person.set_name == "openpose25"


def test_a_folder_has_a_file_for_each_picture(tmp_path: Path) -> None:
    written(tmp_path, openpose(OPENPOSE_25), "a_keypoints.json")
    written(tmp_path, [mmpose()], "b.json")
    written(tmp_path, coco_results(category_id=1), "c.jpg.predictions.json")
    folder = read_people(tmp_path)
    folder.check_pictures(["a.jpg", "b.jpg", "c.jpg"])
    assert [len(folder.in_picture(f"x/{name}.jpg", WIDTH, HEIGHT)) for name in "abc"] == [1, 1, 1]
    with pytest.raises(UserError, match=r"d_keypoints\.json"):
        folder.in_picture("d.jpg", WIDTH, HEIGHT)


def test_whom_to_take(tmp_path: Path) -> None:
    """The best is who has the highest mean confidence over points above 0.2, not who has most points."""
    weak, strong = rows(OPENPOSE_25), rows(OPENPOSE_25)
    for row in weak:
        row[2] = 0.6
    for number, row in enumerate(strong):
        row[2] = 0.9 if number < 8 else 0.15
    people = [{"pose_keypoints_2d": [value for row in one for value in row]} for one in (weak, strong, weak)]
    path = written(tmp_path, {"version": 1.3, "people": people})
    found = read_people(path).in_picture("a.jpg", WIDTH, HEIGHT)
    assert [person.score for person in found] == pytest.approx([0.6, 0.9, 0.6])
    assert len(choose_people(found, "all", path)) == 3
    assert choose_people(found, "best", path)[0] is found[1]
    assert choose_people(found, "2", path)[0] is found[2]
    for wrong in ("3", "-1", "Ann", ""):
        with pytest.raises(UserError, match="from 0 to 2"):
            choose_people(found, wrong, path)


def test_somebody_of_one_joint_stands_in_nobodys_way(tmp_path: Path) -> None:
    """A table's line too many is a person who is refused when asked for, not a file that cannot be read."""
    lines = [f"0,{name},{10 + 9 * i},{20 + 7 * i}" for i, name in enumerate(("nose", "neck", "left_hip", "right_hip"))]
    path = written(tmp_path, "\n".join(["person,joint,x,y", *lines, "1,left_knee,50,60"]))
    whole, stray = read_people(path).in_picture("a.jpg", WIDTH, HEIGHT)
    assert whole.flaw(WIDTH, HEIGHT) is None
    assert "1 known keypoints" in (stray.flaw(WIDTH, HEIGHT) or "")


def changed(content: Any, change: Callable[[Any], object]) -> Any:
    copy = json.loads(json.dumps(content))
    change(copy)
    return copy


def set_first(value: Any) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        content["people"][0]["pose_keypoints_2d"][0] = value

    return change


def drop_last(content: Any) -> None:
    content["people"][0]["pose_keypoints_2d"].pop()


# What is wrong, the file, a word that the sentence must hold.
BAD: list[tuple[str, Any, str]] = [
    ("nothing", "", "not a JSON"),
    ("cut short", json.dumps(openpose(OPENPOSE_25))[:-40], "not a JSON"),
    ("too deep", "[" * 100_000, "not a JSON"),
    ("no text", "\x00\x01\x02", "not a JSON"),
    ("openpose: 24 joints", openpose(OPENPOSE_25[:-1]), "24 keypoints"),
    ("openpose: not threes", changed(openpose(OPENPOSE_25), drop_last), "x, y"),
    ("openpose: NaN", changed(openpose(OPENPOSE_25), set_first(float("nan"))), "finite"),
    ("openpose: infinity", changed(openpose(OPENPOSE_25), set_first(float("inf"))), "finite"),
    ("openpose: text", changed(openpose(OPENPOSE_25), set_first("1.0")), "finite"),
    ("openpose: all unsure", {"version": 1, "people": [{"pose_keypoints_2d": [5.0, 5.0, 0.0] * 25}]}, "confidence"),
    ("openpose: no pose", {"version": 1, "people": [{"face_keypoints_2d": []}]}, "pose_keypoints_2d"),
    ("openpose: shares", {"version": 1, "people": [{"pose_keypoints_2d": [0.2, 0.3, 0.9] * 25}]}, "--keypoint_scale"),
    ("coco: 21 joints", coco_results(COCO_17 + LSP_14[:4]), "21 keypoints"),
    ("coco: some without picture", coco_results() + coco_results(category_id=1), "image_id"),
    ("coco: no images", {"images": [], "annotations": coco_annotations()["annotations"]}, "COCO"),
    ("coco: NaN", coco_annotations(keypoints=[float("nan"), 5, 2] * 17), "finite"),
    ("coco: 5 joints", changed(coco_annotations(keypoints=[5, 5, 2] * 5), lambda c: c.pop("categories")), "[5]"),
    ("mediapipe: 32 landmarks", mediapipe()[:-1], "32"),
    ("mediapipe: pixels", changed(mediapipe(), lambda c: [each.update(x=99, y=99) for each in c]), "shares"),
    ("mediapipe: NaN", changed(mediapipe(), lambda c: c[3].update(y=float("nan"))), "finite"),
    ("mediapipe: no y", changed(mediapipe(), lambda c: c[3].pop("y")), "finite"),
    ("mmpose: 20 scores", [mmpose() | {"keypoint_scores": [0.5] * 20}], "as many"),
    ("mmpose: film", [{"frame_id": i, "instances": [mmpose()]} for i in range(3)], "3 frames"),
    ("mmpose: all unsure", [mmpose() | {"keypoint_scores": [0.0] * 17}], "confidence"),
    ("mmpose: null", [mmpose() | {"keypoints": None}], "as many"),
    ("our own: unknown set", {"a.jpg": [{"keypoints": rows(COCO_17), "set": "martian12"}]}, "martian12"),
    ("our own: wrong order of axes", {"a.jpg": [{"keypoints": np.array(rows(COCO_17)).T.tolist()}]}, "17 keypoints"),
    ("table: unknown joint", "joint,x,y\nnose,1,2\nleft_tentacle,3,4\nneck,5,6", "left_tentacle"),
    ("table: no number", "joint,x,y\nnose,1,2\nneck,3,four", "four"),
    ("table: twice", "joint,x,y\nnose,1,2\nnose,3,4", "twice"),
    ("table: one joint", "joint,x,y\nnose,1,2", "1 known keypoints"),
    ("table: infinity", "joint,x,y\nnose,1,2\nneck,3,inf", "finite"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "content", "word"), BAD, ids=[row[0] for row in BAD])
def test_malformed_files_are_refused(what: str, content: Any, word: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_people(written(tmp_path, content)).in_picture("a.jpg", WIDTH, HEIGHT)
    said = str(caught.value)
    assert "people.json" in said
    assert word in said
    assert "\n" not in said


ELSEWHERE: list[tuple[str, Any, tuple[str, int, int], str]] = [
    ("another picture", coco_annotations(), ("b.jpg", WIDTH, HEIGHT), "no entry"),
    ("another size", coco_annotations(), ("a.jpg", WIDTH // 2, HEIGHT // 2), "200 x 150"),
    ("outside", openpose(OPENPOSE_25), ("a.jpg", WIDTH // 8, HEIGHT // 8), "outside"),
    ("two of a name", {"x/a.jpg": [], "y/a.jpg": []}, ("a.jpg", WIDTH, HEIGHT), "2 pictures"),
]


@pytest.mark.parametrize(("what", "content", "picture", "word"), ELSEWHERE, ids=[row[0] for row in ELSEWHERE])
def test_keypoints_of_something_else_are_refused(
    what: str, content: Any, picture: tuple[str, int, int], word: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=word):
        read_people(written(tmp_path, content)).in_picture(*picture)


def test_one_file_for_several_pictures_is_refused(tmp_path: Path) -> None:
    file = read_people(written(tmp_path, openpose(OPENPOSE_25)))
    file.check_pictures(["a.jpg"])
    with pytest.raises(UserError, match="folder"):
        file.check_pictures(["a.jpg", "b.jpg"])


def test_huge_files_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "people.json"
    with path.open("wb") as file:
        file.truncate(600 * 2**20)  # A hole: it takes no space.
    with pytest.raises(UserError, match="600 MiB"):
        read_people(path)


MATLAB: list[tuple[str, Callable[[Path], object], str]] = [
    ("cut short", lambda path: path.write_bytes(b"MATLAB 5.0 MAT-file, of which nothing follows"), "joints.mat"),
    ("v7.3", lambda path: path.write_bytes(b"MATLAB 7.3 MAT-file" + bytes(600)), "joints.mat"),
]


@pytest.mark.parametrize(("what", "make", "word"), MATLAB, ids=[row[0] for row in MATLAB])
def test_damaged_matlab_files(what: str, make: Callable[[Path], object], word: str, tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    make(tmp_path / "joints.mat")
    with pytest.raises(UserError, match=word):
        read_people(tmp_path / "joints.mat")


def test_matlab_files_of_other_shapes(tmp_path: Path) -> None:
    savemat = pytest.importorskip("scipy.io").savemat
    savemat(tmp_path / "joints.mat", {"joints": np.zeros((16, 3, 5))})
    with pytest.raises(UserError, match="16 x 3 x 5"):
        read_people(tmp_path / "joints.mat")
    broken = np.ones((14, 3, 2))
    broken[3, 0, 1] = np.nan
    savemat(tmp_path / "joints.mat", {"joints": broken})
    with pytest.raises(UserError, match=r"photo 2.*left_hip"):
        read_people(tmp_path / "joints.mat")


ODD: list[Any] = [None, True, -1, 1e300, float("nan"), "x", "", [], {}, [[]], [{}], {"x": 1}, [None], 0, [[1, 2, 3]]]


def spoilt(content: Any, rng: np.random.Generator) -> Any:
    """The content with one of its values, at any depth, exchanged for something else, left out or doubled."""
    if isinstance(content, dict | list) and content and rng.random() < 0.85:
        copy = content.copy()
        place = list(content)[rng.integers(len(content))] if isinstance(content, dict) else rng.integers(len(content))
        if rng.random() < 0.1:
            del copy[place]
        else:
            copy[place] = spoilt(copy[place], rng)
        return copy
    return ODD[rng.integers(len(ODD))]


@pytest.mark.parametrize("layout", [*LAYOUTS, "coco annotations"])
def test_spoilt_files_are_read_or_refused(layout: str, tmp_path: Path) -> None:
    """Whatever one finds in a file: people with finite keypoints, or one sentence."""
    content = coco_annotations() if layout == "coco annotations" else LAYOUTS[layout][0]
    rng = np.random.default_rng(0)
    for _ in range(80):
        path = written(tmp_path, spoilt(content, rng))
        try:
            people = read_people(path).in_picture("a.jpg", WIDTH, HEIGHT)
        except UserError:
            continue
        for person in people:
            assert person.keypoints is None or np.isfinite(person.keypoints).all()
