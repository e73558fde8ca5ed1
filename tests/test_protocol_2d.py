"""The protocols `lsp-extended` and `coco`: clicked joints in the true formats, PCK worked out by hand."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS
from monobody.camera import project_weak
from monobody.cli import main
from monobody.data.crop import Crop
from monobody.data.sample import Sample
from monobody.errors import UserError
from monobody.evaluate.answers import camera_for, given_crop
from monobody.evaluate.keypoints_2d import VARIANTS
from monobody.evaluate.predictions import Predictions, write_predictions
from monobody.evaluate.protocols import find_protocol
from monobody.predict.estimate import MeanPose
from monobody.predict.predictor import Predictor

LSP, COCO = SKELETONS["lsp14"].joints, SKELETONS["coco17"].joints
PHOTOS = 58


def places(seed: int) -> np.ndarray:
    """Return joints whose box is 200 x 100 pixels, the head 20 long and the torso 50."""
    joints = np.random.default_rng(seed).uniform((20, 20), (200, 110), (14, 2))
    joints[LSP.index("right_ankle")], joints[LSP.index("left_wrist")] = (10, 15), (210, 115)
    joints[LSP.index("neck")], joints[LSP.index("head_top")] = (60, 40), (60, 20)
    joints[LSP.index("left_shoulder")], joints[LSP.index("right_hip")] = (80, 40), (110, 80)
    return joints


@pytest.fixture
def lsp_extended(tmp_path: Path) -> Path:
    """So many photos that three are for validation (see `validation`); the left knees are hidden."""
    joints = np.zeros((14, 3, PHOTOS))
    for number in range(PHOTOS):
        joints[:, :2, number], joints[:, 2, number] = places(number), 1
        path = tmp_path / "lsp_extended" / "images" / f"im{number + 1:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((130, 230, 3), np.uint8)).save(path)
    joints[LSP.index("left_knee"), 2] = 0
    savemat(tmp_path / "lsp_extended" / "joints.mat", {"joints": joints})
    return tmp_path / "lsp_extended"


@pytest.fixture
def validation(lsp_extended: Path) -> tuple[str, ...]:
    """The names of the photos that are kept from training."""
    return find_protocol("lsp-extended").open(lsp_extended).names


def answers(names: tuple[str, ...], joints_px: np.ndarray, joint_set: str = "lsp14", **more: Any) -> Predictions:
    return Predictions(
        model="by hand", terms="none", names=names, joint_set=joint_set, joints_px=joints_px.astype(np.float32), **more
    )


def perfect(names: tuple[str, ...]) -> np.ndarray:
    return np.stack([places(int(name[2:]) - 1) for name in names])[:, None]


def run(tmp_path: Path, predictions: Predictions, *command: str) -> tuple[int, dict[str, Any]]:
    """Measure through the command line; return its exit code and the numbers it wrote."""
    write_predictions(predictions, tmp_path / "answers.npz")
    report = tmp_path / "report.json"
    given = ["--predictions", str(tmp_path / "answers.npz"), "--json", str(report), "-o", str(tmp_path / "out")]
    code = main(["evaluate", *command, *given])
    return code, json.loads(report.read_text()) if report.exists() else {}


def test_lsp_extended_by_hand(lsp_extended: Path, validation: tuple[str, ...], tmp_path: Path) -> None:
    """Limits of 20 and 10 pixels by the box, 10 by the head, 10 by the torso; 13 joints a person count."""
    n = len(validation)
    assert n == 3
    found = perfect(validation)
    found[0, 0, LSP.index("right_knee"), 0] += 9.5  # found by all
    found[0, 0, LSP.index("left_elbow"), 1] -= 10.5  # found by the box's tenth alone
    found[1, 0, LSP.index("right_wrist"), 0] += 20.5  # found by none
    found[1, 0, LSP.index("left_knee")] += 500  # hidden: not judged
    code, report = run(
        tmp_path, answers(validation, found), "lsp-extended", "--data", str(lsp_extended.parent), "--partial"
    )
    assert code == 0
    assert f"has {n} people where lsp-extended wants 500" in report["partial"]
    numbers = report["rows"][0]["numbers"]
    judged = 13 * n
    assert numbers == {
        "pck_0.1": pytest.approx(100 * (judged - 1) / judged),
        "pck_0.05": pytest.approx(100 * (judged - 2) / judged),
        "pckh_0.5": pytest.approx(100 * (judged - 2) / judged),
        "torso_pck_0.2": pytest.approx(100 * (judged - 2) / judged),
    }
    by_joint = report["breakdown"]["joint"]
    assert by_joint["left_elbow"]["pck_0.1"] == 100
    assert by_joint["left_elbow"]["pck_0.05"] == pytest.approx(100 * (n - 1) / n)
    assert by_joint["left_elbow"]["count"] == n
    assert by_joint["left_knee"] == {"count": 0}
    assert report["people"]["errors"]["pck_0.1"][:2] == pytest.approx([100, 1200 / 13])
    assert report["joints"]["right_wrist"]["mean"] == pytest.approx(100 * 20.5 / 200 / n)


def test_people_without_a_clicked_head_leave_its_column_alone(lsp_extended: Path, tmp_path: Path) -> None:
    """The first person's neck is hidden, and their misses do not touch PCKh; all others are perfect."""
    protocol = find_protocol("lsp-extended", variant="all")
    people = protocol.open(lsp_extended)
    visible = people.truth["visible"].copy()
    visible[0, LSP.index("neck")] = False
    found = perfect(people.names)
    found[0] += 1000
    result = protocol.measure(
        protocol, replace(people, truth={**people.truth, "visible": visible}), answers(people.names, found)
    )
    numbers = result.rows[0].numbers
    assert numbers["pckh_0.5"] == 100
    assert numbers["pck_0.1"] == pytest.approx(100 * 13 * (PHOTOS - 1) / (13 * (PHOTOS - 1) + 12))
    assert result.facts["people_with_a_head_length"] == PHOTOS - 1
    assert result.facts["people_with_a_torso_length"] == PHOTOS
    assert result.count == PHOTOS


def test_hypotheses_are_confident_or_an_oracles(
    lsp_extended: Path, validation: tuple[str, ...], tmp_path: Path
) -> None:
    """Each of two hypotheses has one half of the joints right; the believed one one joint fewer."""
    half = np.arange(14) < 7
    true = perfect(validation)
    first, second = true.copy(), true.copy()
    first[:, :, half] += 300
    first[:, :, 13] += 300
    second[:, :, ~half] += 300
    weights = np.array([[0.6, 0.4]] * len(validation), np.float32)
    both = answers(validation, np.concatenate([first, second], 1), weights=weights)
    _, report = run(tmp_path, both, "lsp-extended", "--data", str(lsp_extended), "--partial")
    rows = report["rows"]
    assert [(row["choice"], row["oracle"], row["hypotheses"]) for row in rows] == [
        ("confident", False, 2), ("best whole pose", True, 2), ("best per joint", True, 2),
    ]  # fmt: skip
    # The hidden left knee is in the first half: six of that count, seven of the other.
    assert [row["numbers"]["pck_0.1"] for row in rows] == pytest.approx([600 / 13, 600 / 13, 1200 / 13])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda given: replace(given, names=tuple(reversed(given.names))), "in another order"),
        (lambda given: given.of(slice(0, 1)), "1 people, the test set has"),
        (lambda given: replace(given, joints_px=None, joints_cam_m=np.zeros((*given.joints_px.shape[:3], 3))),
         "no joints in the picture"),
        (lambda given: replace(given, joint_set="coco17", joints_px=np.zeros((len(given.names), 1, 17, 2))),
         "lacks neck, head_top"),
    ],
    ids=["order", "count", "3D alone", "another set"],
)  # fmt: skip
def test_predictions_that_cannot_be_measured(
    lsp_extended: Path,
    validation: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Predictions], Predictions],
    said: str,
) -> None:
    given = change(answers(validation, perfect(validation)))
    code, report = run(tmp_path, given, "lsp-extended", "--data", str(lsp_extended), "--partial")
    assert (code, report) == (2, {})
    assert said in " ".join(capsys.readouterr().err.split())


def person(number: int, picture: int, joints: dict[str, tuple[float, float, int]], **more: Any) -> dict[str, Any]:
    keypoints = [value for name in COCO for value in joints.get(name, (0, 0, 0))]
    marked = sum(flag > 0 for _, _, flag in joints.values())
    given = {"id": number, "image_id": picture, "category_id": 1, "iscrowd": 0, "bbox": [0, 0, 90, 90]}
    return given | {"keypoints": keypoints, "num_keypoints": marked} | more


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Two pictures of val2014: two people, a crowd, somebody without joints, and one whose face alone is marked."""
    legs = {"right_hip": (20.0, 10.0, 2), "right_knee": (20.0, 30.0, 1), "nose": (60.0, 30.0, 2)}
    whole = {"left_shoulder": (10.0, 10.0, 2), "right_hip": (10.0, 50.0, 2), "left_ankle": (90.0, 50.0, 2)}
    people = [
        person(7, 1, legs),
        person(8, 2, whole),
        person(9, 1, whole, iscrowd=1),
        person(10, 1, {}),
        person(11, 2, {"nose": (5.0, 5.0, 2), "left_eye": (8.0, 5.0, 2)}),
    ]
    pictures = [{"id": i, "file_name": f"COCO_val2014_{i:012d}.jpg", "width": 100, "height": 80} for i in (1, 2)]
    for picture in pictures:
        path = tmp_path / "coco" / "val2014" / picture["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((80, 100, 3), np.uint8)).save(path)
    annotations = tmp_path / "coco" / "annotations" / "person_keypoints_val2014.json"
    annotations.parent.mkdir()
    content = {"images": pictures, "annotations": people, "categories": [{"id": 1, "name": "person"}]}
    annotations.write_text(json.dumps(content))
    return tmp_path / "coco"


def test_coco_by_hand(coco: Path, tmp_path: Path) -> None:
    people = find_protocol("coco", variant="val2014").open(coco)
    assert people.names == ("COCO_val2014_000000000001_7", "COCO_val2014_000000000002_8")
    found = np.array(people.truth["keypoints_px"][:, None], np.float32)
    # The first centre of a pixel is at 0.5.
    assert found[1, 0, COCO.index("left_ankle")].tolist() == [90.5, 50.5]
    # The first person's box is 40 x 20, the second's 80 x 40; a torso of 40 is known of the second alone.
    found[0, 0, COCO.index("nose"), 0] += 3  # within 4, not within 2
    found[1, 0, COCO.index("left_ankle"), 1] += 7.9  # within 8 of both box and torso, not within 4
    code, report = run(
        tmp_path, answers(people.names, found, "coco17"), "coco", "--variant", "val2014", "--data", str(coco)
    )
    assert code == 0
    assert report["rows"][0]["numbers"] == {
        "pck_0.1": 100, "pck_0.05": pytest.approx(400 / 6), "pckh_0.5": None, "torso_pck_0.2": 100
    }  # fmt: skip
    assert report["count"] == 2
    assert report["partial"] == ""
    assert report["left_out"] == {"a crowd": 1, "no joint marked": 1, "fewer than two joints marked": 1}
    assert report["breakdown"]["joint"]["right_knee"]["count"] == 1  # hidden, but marked


def test_coco_says_which_part_is_there(coco: Path) -> None:
    with pytest.raises(UserError, match=r"val2017\.json\. val2014 is there: add --variant val2014"):
        find_protocol("coco").open(coco)
    (coco / "val2014" / "COCO_val2014_000000000002.jpg").unlink()
    people = find_protocol("coco", variant="val2014").open(coco)
    assert people.lacking == ("2 people of the set have no picture on disk.",)


def test_without_a_camera_bodies_are_seen_through_the_models_own() -> None:
    """What HMR's weak camera shows, though the body is near; a camera that is known is the one that counts."""
    body = Body.load()
    predictor = Predictor(MeanPose(body), body, model="mean-pose", terms="none")
    crop = Crop((150.0, 60.0), 110.0)
    sample = Sample(
        image=np.zeros((130, 230, 3), np.uint8), crop=crop, keypoints_px=np.zeros((19, 2)), visible=np.zeros(19)
    )
    person = predictor.people(sample.image, [given_crop(crop)], camera_for(predictor, sample))[0].best
    posed_m = person.joints_cam_m["lsp14"] - person.translation_m
    wanted_px = crop.to_picture(project_weak(posed_m.astype(np.float64), person.camera_weak.astype(np.float64)))
    assert np.abs(person.joints_px["lsp14"] - wanted_px).max() < 0.1
    known = replace(sample, focal_px=60.0, principal_px=(100.0, 70.0))
    camera = camera_for(predictor, known)
    assert (camera.focal_px, camera.principal_px) == (60, (100, 70))
    through_lens = predictor.people(sample.image, [given_crop(crop)], camera)[0].best.joints_px["lsp14"]
    assert np.abs(through_lens - wanted_px).max() > 1


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_says_whom_it_wants(name: str) -> None:
    for variant in VARIANTS[name]:
        protocol = find_protocol(name, variant=variant)
        assert protocol.statement()["variant"] == variant
        assert protocol.joint_set in SKELETONS
    with pytest.raises(UserError, match="has no variant"):
        find_protocol(name, variant="everything")
    with pytest.raises(UserError, match="Say where the pictures are"):
        find_protocol(name).open(None)
    assert find_protocol("lsp-extended").expected == 500
