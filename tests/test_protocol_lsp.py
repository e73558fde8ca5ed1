"""The protocol `lsp`: masks and parts of two photos in the true formats, their numbers worked out by hand."""

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
from monobody.body.rotation import axis_angle_to_matrix
from monobody.cli import main
from monobody.errors import UserError
from monobody.evaluate.bodies import drawn_parts, vertices_cam_m
from monobody.evaluate.predictions import Predictions, write_predictions
from monobody.evaluate.protocols import find_protocol
from monobody.models.hmr import standing_pose
from monobody.render.parts import LABELS, part_labels, part_map, projected

NAMES = ("im1001", "im1002")
WIDTH, HEIGHT = 48, 64
TORSO = LABELS.index("torso")


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.load()


@pytest.fixture(scope="module")
def answers(body: Body) -> Predictions:
    """Two people standing before the camera: so near that the chest fills a photo of 2 x 2 pixels; and whole."""
    rotations = axis_angle_to_matrix(standing_pose()).numpy().reshape(1, 1, 24, 3, 3).repeat(2, 0)
    near, far = true_joints_px()
    return Predictions(
        model="by hand",
        terms="none",
        names=NAMES,
        joint_set="lsp14",
        joints_px=np.stack([near, far])[:, None].astype(np.float32),
        rotations=rotations.astype(np.float32),
        betas=np.zeros((2, 1, 10), np.float32),
        translation_m=np.array([[[0.0, 0.47, 2.0]], [[0.0, 0.13, 4.0]]], np.float32),
        focal_px=np.array([10.0, 120.0], np.float32),
        principal_px=np.array([[1.0, 1.0], [WIDTH / 2, HEIGHT / 2]], np.float32),
        body_digest=body.digest,
    )


def true_joints_px() -> tuple[np.ndarray, np.ndarray]:
    """Return the clicked joints: in the small photo, and in a box of 26 x 39 pixels."""
    steps = np.arange(14)
    return np.stack([0.1 * steps, 0.1 * steps], -1), np.stack([10.5 + 2 * steps, 5.5 + 3 * steps], -1)


def drawn(body: Body, answers: Predictions) -> np.ndarray:
    vertices_m = vertices_cam_m(answers, body, 1, 0)
    return drawn_parts(answers, body, part_labels(body.data), 1, vertices_m, (WIDTH, HEIGHT))


@pytest.fixture
def lsp(tmp_path: Path, body: Body, answers: Predictions) -> Path:
    """LSP with two photos to test, and masks: three of four pixels of the one, the drawn body itself on the other."""
    folder = tmp_path / "lsp"
    joints = np.zeros((3, 14, 1002))
    for number, places in enumerate(true_joints_px()):
        joints[:2, :, 1000 + number] = places.T
    joints[2, 4, 1001] = 1  # hidden
    save(folder / "images" / "im1001.jpg", np.zeros((2, 2, 3), np.uint8))
    save(folder / "images" / "im1002.jpg", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    savemat(folder / "joints.mat", {"joints": joints})
    masks = folder / "upi-s1h" / "data" / "lsp"
    save(masks / "im1001_segmentation.png", np.array([[255, 255], [255, 0]], np.uint8))
    save(masks / "im1001_part_segmentation.png", np.array([[TORSO, TORSO], [255, 0]], np.uint8))
    parts = drawn(body, answers)
    save(masks / "im1002_segmentation.png", np.where(parts > 0, 255, 0).astype(np.uint8))
    save(masks / "im1002_part_segmentation.png", parts)
    return folder


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def run(lsp: Path, predictions: Predictions, tmp_path: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Measure through the command line; return its exit code and the numbers it wrote."""
    write_predictions(predictions, tmp_path / "answers.npz")
    report = tmp_path / "report.json"
    command = ["evaluate", "lsp", "--data", str(lsp), "--predictions", str(tmp_path / "answers.npz")]
    code = main([*command, "--json", str(report), "-o", str(tmp_path / "out"), *options])
    return code, json.loads(report.read_text()) if report.exists() else {}


def test_numbers_are_those_worked_out_by_hand(lsp: Path, answers: Predictions, body: Body, tmp_path: Path) -> None:
    far = answers.joints_px.copy()  # pyright: ignore[reportOptionalMemberAccess]
    # The box's larger side is 39 pixels, a tenth 3.9, a twentieth 1.95.
    far[1, 0, 0, 0] += 3.0
    far[1, 0, 1, 1] += 5.0
    far[1, 0, 4] += 100.0  # hidden: not judged
    code, report = run(lsp, replace(answers, joints_px=far), tmp_path, "--partial")
    assert code == 0
    assert "wants 1,000" in report["partial"]
    assert [row["ours"] for row in report["rows"]] == [True] + 5 * [False]
    numbers = report["rows"][0]["numbers"]
    assert numbers["pck_0.1"] == pytest.approx(100 * 26 / 27)
    assert numbers["pck_0.05"] == pytest.approx(100 * 25 / 27)
    # The small photo is all torso. Its mask has three pixels of four; its map two of torso, one of nobody knows what
    # (background for accuracy, left out of F1), one of background.
    pixels = np.bincount(drawn(body, answers).ravel(), minlength=len(LABELS))
    assert (pixels > 10).all()
    total, person = pixels.sum() + 4, pixels[1:].sum()
    assert numbers["fg_accuracy"] == pytest.approx(100 * (total - 1) / total)
    background_f1 = 2 * pixels[0] / (2 * pixels[0] + 1)
    person_f1 = 2 * (person + 3) / (2 * (person + 3) + 1)
    assert numbers["fg_f1"] == pytest.approx((background_f1 + person_f1) / 2)
    assert numbers["parts_accuracy"] == pytest.approx(100 * (total - 2) / total)
    torso_f1 = 2 * (pixels[TORSO] + 2) / (2 * (pixels[TORSO] + 2) + 1)
    assert numbers["parts_f1"] == pytest.approx((background_f1 + torso_f1 + 5) / 7)
    assert report["breakdown"]["part"]["torso"] == {"parts_f1": pytest.approx(torso_f1), "count": 2}
    assert report["breakdown"]["part"]["head"] == {"parts_f1": 1, "count": 1}
    assert report["breakdown"]["joint"]["left_knee"] == {"pck_0.1": 100, "pck_0.05": 100, "count": 1}


def test_published_rows_are_the_papers() -> None:
    rows = {row.method: row.numbers for row in find_protocol("lsp").published}
    masks = ("fg_accuracy", "fg_f1", "parts_accuracy", "parts_f1", "seconds_a_person")
    assert rows["HMR"] == dict(zip(masks, (91.67, 0.87, 87.12, 0.60, 0.04), strict=True))
    assert rows["HMR unpaired"] == dict(zip(masks, (91.30, 0.86, 87.00, 0.59, 0.04), strict=True))
    assert [row["seconds_a_person"] for row in rows.values()] == [None, 60, 0.13, 0.04, 0.04]
    assert len(rows) == 5
    assert find_protocol("lsp").expected == 1000
    assert find_protocol("lsp").headline == "pck_0.1", "the paper's figure sorts photos by their 2D joints"


def test_several_hypotheses_have_three_rows(lsp: Path, answers: Predictions, tmp_path: Path) -> None:
    """The believed one lies beside the picture and one joint is right; the other one is right but for that joint."""
    assert answers.joints_px is not None
    assert answers.translation_m is not None
    wrong, right = answers.joints_px + 500, answers.joints_px.copy()
    wrong[1, 0, 3] -= 500
    right[1, 0, 3] += 500
    both = {
        name: getattr(answers, name).repeat(2, 1) for name in ("rotations", "betas")
    } | {
        "joints_px": np.concatenate([wrong, right], 1),
        "translation_m": np.concatenate([answers.translation_m + 50, answers.translation_m], 1),
        "weights": np.array([[0.7, 0.3]] * 2, np.float32),
    }  # fmt: skip
    _, report = run(lsp, replace(answers, **both), tmp_path, "--partial")
    rows = {row["choice"]: row for row in report["rows"] if row["ours"]}
    assert list(rows) == ["confident", "best whole pose", "best per joint"]
    assert [row["oracle"] for row in rows.values()] == [False, True, True]
    assert {row["hypotheses"] for row in rows.values()} == {2}
    assert [rows[choice]["numbers"]["pck_0.1"] for choice in rows] == pytest.approx([100 / 27, 2600 / 27, 100])
    assert rows["confident"]["numbers"]["parts_accuracy"] < rows["best whole pose"]["numbers"]["parts_accuracy"]
    assert rows["best per joint"]["numbers"].get("parts_accuracy") is None


def test_somebody_behind_the_camera_is_drawn_nowhere(lsp: Path, answers: Predictions, tmp_path: Path) -> None:
    assert answers.translation_m is not None
    translation_m = answers.translation_m.copy()
    translation_m[1, 0, 2] = -4
    code, report = run(lsp, replace(answers, translation_m=translation_m), tmp_path, "--partial")
    assert code == 0
    assert report["facts"]["behind_the_camera"] == 1
    whole = run(lsp, answers, tmp_path, "--partial")[1]
    assert "behind_the_camera" not in whole["facts"]
    fg = [each["rows"][0]["numbers"]["fg_f1"] for each in (report, whole)]
    assert 0 < fg[0] < fg[1]


def test_a_model_s_time_is_measured_and_a_file_has_none(lsp: Path, answers: Predictions, tmp_path: Path) -> None:
    _, report = run(lsp, answers, tmp_path, "--partial")
    assert report["rows"][0]["numbers"]["seconds_a_person"] is None
    written = tmp_path / "asked.json"
    command = ["evaluate", "lsp", "--data", str(lsp), "--model", "mean-pose", "--partial", "--no-pictures"]
    assert main([*command, "--json", str(written), "-o", str(tmp_path / "asked")]) == 0
    asked = json.loads(written.read_text())
    assert 0 < asked["rows"][0]["numbers"]["seconds_a_person"] < 60
    assert "threads" in asked["facts"]["timed_on"]


def broken(**changes: Any) -> Callable[[Predictions], Predictions]:
    return lambda answers: replace(answers, **changes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (broken(rotations=None, betas=None), "have no rotations, betas"),
        (broken(joints_px=None, joints_cam_m=np.zeros((2, 1, 14, 3), np.float32)), "no joints in the picture"),
        (broken(body_digest="another"), "of another body"),
        (broken(names=("im1002", "im1001")), "in another order"),
        (lambda answers: answers.of(slice(0, 1)), "1 people, the test set has 2"),
    ],
    ids=["no bodies", "no joints", "another body", "order", "count"],
)
def test_predictions_that_cannot_be_measured(
    lsp: Path,
    answers: Predictions,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Predictions], Predictions],
    said: str,
) -> None:
    code, report = run(lsp, change(answers), tmp_path, "--partial")
    assert (code, report) == (2, {})
    assert said in " ".join(capsys.readouterr().err.split())


def test_predictions_that_are_not_numbers(
    lsp: Path, answers: Predictions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answers.translation_m is not None
    arrays = {name: getattr(answers, name) for name in ("joints_px", "rotations", "betas", "focal_px", "principal_px")}
    gone = answers.translation_m * np.array([[[1]], [[np.nan]]], np.float32)
    file = tmp_path / "answers.npz"
    np.savez(
        file, names=np.array(NAMES), joint_set="lsp14", body_digest=answers.body_digest, translation_m=gone, **arrays
    )
    command = [
        "evaluate",
        "lsp",
        "--data",
        str(lsp),
        "--predictions",
        str(file),
        "--partial",
        "-o",
        str(tmp_path / "out"),
    ]
    assert main(command) == 2
    assert 'translation_m of "im1002" is not a finite number' in " ".join(capsys.readouterr().err.split())


def without_a_mask(folder: Path) -> None:
    (folder / "im1002_part_segmentation.png").unlink()


def of_another_size(folder: Path) -> None:
    save(folder / "im1002_segmentation.png", np.zeros((HEIGHT * 2, WIDTH * 2), np.uint8))


def damaged(folder: Path) -> None:
    path = folder / "im1002_segmentation.png"
    path.write_bytes(path.read_bytes()[:60])


def with_a_seventh_part(folder: Path) -> None:
    save(folder / "im1002_part_segmentation.png", np.full((HEIGHT, WIDTH), 7, np.uint8))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (without_a_mask, "1 masks of LSP's photos are missing"),
        (of_another_size, "96 x 128 pixels, its photo"),
        (damaged, "damaged"),
        (with_a_seventh_part, "no map of LSP's six parts"),
    ],
)
def test_masks_that_cannot_be_used(
    lsp: Path,
    answers: Predictions,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
    said: str,
) -> None:
    damage(lsp / "upi-s1h" / "data" / "lsp")
    assert run(lsp, answers, tmp_path, "--partial")[0] == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_set_that_is_not_whole_is_refused_unless_asked_for(
    lsp: Path, answers: Predictions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(lsp, answers, tmp_path)[0] == 2
    assert "2 people where lsp wants 1,000" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(UserError, match="Say where the pictures are"):
        find_protocol("lsp").open(None)
    with pytest.raises(UserError, match=r"has joints\.mat"):
        find_protocol("lsp").open(tmp_path / "nowhere")


def test_parts_are_where_their_names_say(body: Body) -> None:
    """Each part's middle lies where it should; neck and shoulders are torso, fingers arm, toes leg."""
    labels = part_labels(body.data)
    at = {label: body.data.v_template[labels == number].mean(0) for number, label in enumerate(LABELS) if number}
    # The template has y up and its left at +x.
    assert at["head"][1] > at["torso"][1] > at["left leg"][1]
    assert at["left arm"][0] > 0.3 > -0.3 > at["right arm"][0]
    assert at["left leg"][0] > 0.05 > -0.05 > at["right leg"][0]
    followers = {0: "torso", 12: "torso", 13: "torso", 15: "head", 22: "left arm", 23: "right arm", 10: "left leg"}
    for joint, label in followers.items():
        assert set(labels[body.data.part24 == joint]) == {LABELS.index(label)}
    shoulder = body.data.v_template[body.data.part24 == 16, 0]
    cap = labels[body.data.part24 == 16] == TORSO
    assert shoulder[cap].max() < shoulder[~cap].min() + 0.02
    assert 0.1 < cap.mean() < 0.5


def test_a_map_shows_what_is_in_front(body: Body) -> None:
    """From behind, left and right change sides, and the same outline is covered."""
    labels = part_labels(body.data)
    front = body.data.v_template.astype(np.float64) * np.array([1, -1, -1]) + np.array([0, 0, 4])
    maps = []
    for vertices_m in (front, front * np.array([-1, 1, -1]) + np.array([0, 0, 8])):
        seen = projected(vertices_m, 100.0, np.array([60.5, 60.5]))
        maps.append(part_map(seen, body.data, labels, 121, 121))
    arms = [np.argwhere(drawn == LABELS.index("left arm"))[:, 1].mean() for drawn in maps]
    assert arms[0] > 65
    assert arms[1] < 55
    here, there = maps[0] > 0, maps[1][:, ::-1] > 0
    assert (here & there).sum() > 0.9 * (here | there).sum()
