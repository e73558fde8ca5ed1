"""The protocol `synthetic`: people of whom everything is known, and predictions that are wrong in known ways."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from monobody.body.model import Body
from monobody.body.rotation import rotation_about
from monobody.cli import main
from monobody.data.shards import SampleFiles, write_samples
from monobody.errors import UserError
from monobody.evaluate.predictions import Predictions, write_predictions
from monobody.evaluate.protocol import EvaluationSet
from monobody.evaluate.protocols import find_protocol
from monobody.evaluate.quick import SYNTHETIC
from monobody.evaluate.synthetic import groups_of
from monobody.evaluate.true_people import camera_that_saw
from monobody.render.parts import part_labels, part_map, projected

WRIST = 6
"""The right one, in LSP's order."""


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.load()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three of the shipped people in a folder of their own, as `monobody synthesize` writes them, without masks."""
    path = tmp_path_factory.mktemp("people") / "set"
    write_samples(SampleFiles(SYNTHETIC)[:3], path)
    return path


@pytest.fixture(scope="module")
def people(folder: Path) -> EvaluationSet:
    return find_protocol("synthetic").open(folder)


def the_truth(people: EvaluationSet, body: Body, **changes: Any) -> Predictions:
    """Return predictions that are right in all, but for some changes."""
    truth = people.truth
    given: dict[str, Any] = {"model": "by hand", "terms": "none", "names": people.names, "joint_set": "lsp14"}
    given |= {name: truth[name][:, None].astype(np.float32) for name in ("rotations", "betas", "translation_m")}
    given |= {"joints_cam_m": truth["joints_cam_m"][:, None], "joints_px": truth["keypoints_px"][:, None]}
    given |= {name: truth[name].astype(np.float32) for name in ("focal_px", "principal_px")}
    given |= {"body_digest": body.digest} | changes
    return Predictions(**given)


def numbers(people: EvaluationSet, predictions: Predictions) -> dict[str, Any]:
    protocol = find_protocol("synthetic")
    return dict(protocol.measure(protocol, people, predictions).rows[0].numbers)


def run(tmp_path: Path, predictions: Predictions, *command: str) -> tuple[int, dict[str, Any]]:
    """Measure through the command line; return its exit code and the numbers it wrote."""
    write_predictions(predictions, tmp_path / "answers.npz")
    report = tmp_path / "report.json"
    given = ["--predictions", str(tmp_path / "answers.npz"), "--json", str(report), "-o", str(tmp_path / "out")]
    code = main(["evaluate", "synthetic", *command, *given])
    return code, json.loads(report.read_text()) if report.exists() else {}


def test_the_truth_is_perfect(folder: Path, people: EvaluationSet, body: Body, tmp_path: Path) -> None:
    code, report = run(tmp_path, the_truth(people, body), "--data", str(folder))
    assert code == 0
    assert (report["count"], report["partial"]) == (3, "")
    found = report["rows"][0]["numbers"]
    errors = {key: value for key, value in found.items() if key.endswith("_mm")}
    assert len(errors) == 6
    assert errors == pytest.approx(dict.fromkeys(errors, 0), abs=0.01)
    right = {key: found[key] for key in ("pck_3d", "pck_0.1", "pck_0.05", "iou", "parts")}
    assert right == pytest.approx(dict.fromkeys(right, 100))
    # Nothing is strictly nearer than 0 mm, the first of 31 thresholds.
    assert found["auc_3d"] == pytest.approx(100 * 30 / 31)
    assert found["mask_iou"] is None
    for kind in ("visibility", "trunk", "facing"):
        assert sum(group["count"] for group in report["breakdown"][kind].values()) == 3


def test_a_joint_that_is_off(people: EvaluationSet, body: Body) -> None:
    """One person's wrist is 280 mm and 0.3 box sides off."""
    joints_m, joints_px = people.truth["joints_cam_m"][:, None].copy(), people.truth["keypoints_px"][:, None].copy()
    joints_m[1, 0, WRIST, 2] += 0.280
    side = np.ptp(people.truth["keypoints_px"][1], axis=0).max()
    joints_px[1, 0, WRIST, 0] += 0.3 * side
    assert people.truth["visible"].all()
    found = numbers(people, the_truth(people, body, joints_cam_m=joints_m, joints_px=joints_px))
    assert found["mpjpe_mm"] == pytest.approx(280 / 14 / 3, abs=0.01)
    assert found["pck_3d"] == pytest.approx(100 * 41 / 42)
    assert found["auc_3d"] == pytest.approx(100 * 30 / 31 * 41 / 42)
    assert found["pck_0.1"] == pytest.approx(100 * 41 / 42)
    # A similarity makes squares small; the mean distance may even grow by it.
    assert found["pa_mpjpe_mm"] > 1


def test_a_person_of_another_size(people: EvaluationSet, body: Body) -> None:
    """Twice as large about the hips: each joint is as far off as it is from the hips, and a size mends all."""
    joints_m = people.truth["joints_cam_m"][:, None]
    hips_m = joints_m[:, :, 2:4].mean(2, keepdims=True)
    found = numbers(people, the_truth(people, body, joints_cam_m=2 * joints_m - hips_m))
    assert found["mpjpe_mm"] == pytest.approx(1000 * np.linalg.norm(joints_m - hips_m, axis=-1).mean(), rel=1e-5)
    assert found["n_mpjpe_mm"] == pytest.approx(0, abs=0.01)
    assert found["pa_mpjpe_mm"] == pytest.approx(0, abs=0.01)


def test_another_shape_at_rest(people: EvaluationSet, body: Body) -> None:
    """Shape is linear in the coefficients, so that the error follows from the body's file."""
    betas = people.truth["betas"][:, None].copy()
    betas[:, :, 1] += 1.5
    found = numbers(people, the_truth(people, body, betas=betas))
    moved_m = 1.5 * body.data.shapedirs[:, :, 1].astype(np.float64)
    pelvis_m = body.data.J_regressor[0].astype(np.float64) @ moved_m
    assert found["shape_mm"] == pytest.approx(1000 * np.linalg.norm(moved_m - pelvis_m, axis=1).mean(), rel=1e-3)
    assert found["pve_mm"] > 1
    assert found["mpjpe_mm"] == pytest.approx(0, abs=0.01)


def test_a_body_that_is_turned(people: EvaluationSet, body: Body) -> None:
    """Turned half about the pelvis: vertices are twice their distance from the axis off, left and right exchanged."""
    rotations = people.truth["rotations"][:, None].copy()
    half = rotation_about("z", torch.tensor(np.pi)).numpy()
    rotations[:, :, 0] = half @ rotations[:, :, 0]
    found = numbers(people, the_truth(people, body, rotations=rotations))
    with torch.inference_mode():
        posed = body(*(torch.from_numpy(people.truth[name]) for name in ("rotations", "betas")))
    from_axis_m = (posed.vertices_m - posed.joints_m[:, :1])[..., :2].norm(dim=-1)
    assert found["pve_mm"] == pytest.approx(2000 * float(from_axis_m.mean()), rel=1e-3)
    assert found["area_pve_mm"] != pytest.approx(found["pve_mm"], rel=1e-3)
    assert found["shape_mm"] == pytest.approx(0, abs=0.01)
    assert found["parts"] < 60


def test_a_body_elsewhere_and_one_bent_wrongly(people: EvaluationSet, body: Body) -> None:
    translation_m = people.truth["translation_m"][:, None].astype(np.float32)
    translation_m[0, 0, 0] += 50
    truth = numbers(people, the_truth(people, body))
    found = numbers(people, the_truth(people, body, translation_m=translation_m))
    assert found["iou"] == pytest.approx(200 / 3)
    assert found["parts"] == pytest.approx(200 / 3)
    assert found["pve_mm"] == pytest.approx(0, abs=0.01)
    rotations = people.truth["rotations"][:, None].copy()
    rotations[:, :, 4] = rotation_about("x", torch.tensor(-2.0)).numpy()  # left knees, bent forwards
    bent = numbers(people, the_truth(people, body, rotations=rotations))
    assert bent["impossible_joints"] == pytest.approx(truth["impossible_joints"] + 100 / 21)


def test_masks_are_what_is_seen(people: EvaluationSet, body: Body, tmp_path: Path) -> None:
    """The mask is the body without the pixels of its head: nothing of it is missed, and the head is too much."""
    samples, shares = [], []
    for number, sample in enumerate(people.samples):
        truth = {name: array[number] for name, array in people.truth.items()}
        with torch.inference_mode():
            vertices = body(torch.from_numpy(truth["rotations"]), torch.from_numpy(truth["betas"])).vertices_m.numpy()
        seen = projected(vertices + truth["translation_m"], float(truth["focal_px"]), truth["principal_px"])
        parts = part_map(seen, body.data, part_labels(body.data), *sample.image.shape[:2])
        mask = np.where(parts > 1, 255, 0).astype(np.uint8)
        samples.append(replace(sample, mask=mask))
        shares.append((mask > 0).sum() / (parts > 0).sum())
    path = tmp_path / "masked.tar"
    write_samples(samples, path)
    masked = find_protocol("synthetic").open(path)
    found = numbers(masked, the_truth(masked, body))
    assert found["mask_iou"] == pytest.approx(100 * np.mean(shares), abs=0.2)
    assert found["iou"] == pytest.approx(100)
    assert 50 < found["mask_iou"] < 99


def test_hypotheses_are_confident_or_an_oracles(people: EvaluationSet, body: Body) -> None:
    """The believed hypothesis is wrong in the wrist and its body, the other in an ankle alone."""
    right = people.truth["joints_cam_m"][:, None]
    first, second = right.copy(), right.copy()
    first[:, :, WRIST, 0] += 0.28
    second[:, :, 0, 0] += 0.14
    twice = {name: people.truth[name][:, None].repeat(2, 1) for name in ("rotations", "betas", "keypoints_px")}
    twice["betas"][:, 0, 0] += 1
    translation_m = people.truth["translation_m"][:, None].repeat(2, 1).astype(np.float32)
    both = the_truth(
        people,
        body,
        joints_cam_m=np.concatenate([first, second], 1),
        joints_px=twice["keypoints_px"],
        rotations=twice["rotations"],
        betas=twice["betas"],
        translation_m=translation_m,
        weights=np.array([[0.8, 0.2]] * 3, np.float32),
    )
    protocol = find_protocol("synthetic")
    rows = protocol.measure(protocol, people, both).rows
    assert [row.choice for row in rows] == ["confident", "best whole pose", "best per joint"]
    assert [row.oracle for row in rows] == [False, True, True]
    assert [row.numbers["mpjpe_mm"] for row in rows] == pytest.approx([20, 10, 0], abs=0.01)
    shape = [row.numbers.get("shape_mm") for row in rows]
    assert shape[0] > 1  # pyright: ignore[reportOptionalOperand]
    assert shape[1] == pytest.approx(0, abs=0.01)
    assert shape[2] is None


def test_joints_alone_are_measured_as_far_as_they_go(people: EvaluationSet, body: Body) -> None:
    alone = the_truth(people, body, rotations=None, betas=None, translation_m=None, joints_px=None, body_digest="")
    found = numbers(people, alone)
    assert found["mpjpe_mm"] == pytest.approx(0, abs=0.01)
    assert found.keys() == {"mpjpe_mm", "pa_mpjpe_mm", "n_mpjpe_mm", "pck_3d", "auc_3d"}


def test_meshes_need_no_camera(people: EvaluationSet, body: Body) -> None:
    without = the_truth(people, body, focal_px=None)
    found = numbers(people, without)
    assert found["pve_mm"] == pytest.approx(0, abs=0.01)
    assert found["shape_mm"] == pytest.approx(0, abs=0.01)
    assert found["through_itself"] is not None
    assert found.keys().isdisjoint({"iou", "parts"})
    protocol = find_protocol("synthetic")
    assert protocol.measure(protocol, people, without).facts["not_drawn_for_want_of"] == ["focal_px"]
    with pytest.raises(UserError, match="of another body"):
        numbers(people, replace(without, body_digest="another"))


def test_people_are_told_apart_by_how_they_stand() -> None:
    """Upright and facing; lying and seen from the side; head down and turned away, a foot outside the picture."""
    joints = np.zeros((3, 14, 3))
    joints[:, 12] = [[0, -0.5, 0], [0.5, 0, 0], [0, 0.5, 0]]
    joints += [0, 0, 5]
    # Columns are where the body's x, y and z axes point; z is where the chest faces, y is down in the picture.
    facing = np.diag([1.0, -1.0, -1.0])
    sideways = np.array([[0.0, 0, 1], [0, -1, 0], [1, 0, 0]])
    rotations = np.stack([facing, sideways, np.eye(3)])[:, None].repeat(24, 1)
    visible = np.ones((3, 14), bool)
    visible[2, 0] = False
    groups = groups_of({"joints_cam_m": joints, "rotations": rotations, "visible": visible})
    assert [each.split(" (")[0] for each in groups["trunk"]] == ["upright", "tilted", "upside down"]
    assert [each.split(" (")[0] for each in groups["facing"]] == ["the camera", "sideways", "away"]
    assert [each.split()[0] for each in groups["visibility"]] == ["whole", "whole", "cut"]


def test_a_camera_follows_from_the_labels() -> None:
    joints_m = np.random.default_rng(0).normal((0.2, -0.1, 4), 0.4, (14, 3))
    seen_px = 311.0 * joints_m[:, :2] / joints_m[:, 2:] + [99.0, 141.0]
    focal_px, principal_px, misfit_px = camera_that_saw(joints_m, seen_px)
    assert focal_px == pytest.approx(311)
    assert principal_px == pytest.approx([99, 141])
    assert misfit_px < 1e-9
    seen_px[3] += 10
    assert camera_that_saw(joints_m, seen_px)[2] > 5


def of_no_body(path: Path) -> None:
    write_samples([replace(sample, rotations=None) for sample in SampleFiles(SYNTHETIC)[:2]], path)


def of_another_body(path: Path) -> None:
    samples = SampleFiles(SYNTHETIC)[:2]
    write_samples([replace(sample, betas=np.full(10, 3, np.float32)) for sample in samples], path)


def of_another_camera(path: Path) -> None:
    samples = SampleFiles(SYNTHETIC)[:2]
    stretch = np.array([1, 1.3], np.float32)
    wrong = [replace(sample, keypoints_px=sample.keypoints_px * stretch) for sample in samples]
    write_samples(wrong, path)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (of_no_body, "000000: body or joints are not known"),
        (of_another_body, "000000: its joints are not those of the shipped body"),
        (of_another_camera, "000000: no camera sees its 3D joints where its 2D joints are"),
        (lambda path: path.mkdir(), "holds neither labels.npz nor tars"),
        (lambda path: None, "There is no"),
    ],
    ids=["no body", "another body", "another camera", "empty folder", "nothing"],
)
def test_sets_that_cannot_be_measured(tmp_path: Path, write: Callable[[Path], None], said: str) -> None:
    path = tmp_path / "set"
    write(path)
    with pytest.raises(UserError, match=said):
        find_protocol("synthetic").open(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda given: replace(given, body_digest="another"), "of another body"),
        (lambda given: replace(given, names=("000001", "000000", "000002")), "in another order"),
        (lambda given: given.of(slice(0, 2)), "2 people, the test set has 3"),
        (lambda given: replace(given, joints_cam_m=None), "hold no 3D joints"),
    ],
    ids=["another body", "order", "count", "2D alone"],
)
def test_predictions_that_cannot_be_measured(
    folder: Path,
    people: EvaluationSet,
    body: Body,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Predictions], Predictions],
    said: str,
) -> None:
    code, report = run(tmp_path, change(the_truth(people, body)), "--data", str(folder))
    assert (code, report) == (2, {})
    assert said in " ".join(capsys.readouterr().err.split())


def test_the_shipped_people_are_measured_by_default(body: Body, tmp_path: Path) -> None:
    """The first two of them, from several tars as well."""
    opened = find_protocol("synthetic").open(None)
    assert len(opened.names) == len(opened.samples) == 500
    write_samples(SampleFiles(SYNTHETIC)[:2], tmp_path / "tars" / "a.tar")
    write_samples(SampleFiles(SYNTHETIC)[2:3], tmp_path / "tars" / "b.tar")
    assert find_protocol("synthetic").open(tmp_path / "tars").names == ("a/000000", "a/000001", "b/000000")
