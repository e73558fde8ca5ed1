"""The open benchmark: who takes part, what is measured on whom, and what it says of sets that are not there."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scenes import detection

from monobody.body.model import Body
from monobody.body.rotation import axis_angle_to_matrix
from monobody.cli import main
from monobody.data.crop import Crop
from monobody.data.datasets import clothing_coparsing
from monobody.evaluate import entrants, open_benchmark
from monobody.evaluate.bodies import drawn_parts, vertices_cam_m
from monobody.evaluate.kept_rows import kept_detections, kept_rows
from monobody.evaluate.masked_people import open_masked, silhouette_ious
from monobody.evaluate.open_benchmark import impossible_percent
from monobody.evaluate.predictions import Predictions
from monobody.evaluate.protocol import Row
from monobody.models.output import standing_pose
from monobody.predict.detection import Detection
from monobody.predict.predictor import load
from monobody.render.parts import part_labels


def standing(count: int, body: Body, **changes: np.ndarray) -> Predictions:
    """People who stand upright five metres before a camera of 200 by 300 pixels, facing it."""
    pose = axis_angle_to_matrix(standing_pose()).numpy()
    arrays = {
        "rotations": np.repeat(pose[None, None], count, 0),
        "betas": np.zeros((count, 1, 10), np.float32),
        "translation_m": np.repeat(np.array([[[0.0, 0.0, 5.0]]], np.float32), count, 0),
        "joints_px": np.zeros((count, 1, 14, 2), np.float32),
        "focal_px": np.full(count, 600.0),
        "principal_px": np.repeat(np.array([[100.0, 150.0]]), count, 0),
    } | changes
    names = tuple(f"person {i}" for i in range(count))
    return Predictions(
        model="standing", terms="none", names=names, joint_set="lsp14", body_digest=body.digest, **arrays
    )


def test_one_joint_bent_too_far_makes_a_person_impossible() -> None:
    body = Body.load()
    predictions = standing(4, body)
    assert predictions.rotations is not None
    assert impossible_percent(predictions) == 0
    knee_forward = axis_angle_to_matrix(torch.tensor([-2.5, 0.0, 0.0])).numpy()
    predictions.rotations[1, 0, 4] = knee_forward
    assert impossible_percent(predictions) == 25
    # The hypothesis that the model believes in is the one that counts.
    both = np.concatenate([standing(4, body).rotations, predictions.rotations], axis=1)  # pyright: ignore
    weights = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]], np.float32)
    assert impossible_percent(standing(4, body, rotations=both, weights=weights)) == 0
    weights[1] = (0.2, 0.8)
    assert impossible_percent(standing(4, body, rotations=both, weights=weights)) == 25


def test_a_body_s_own_silhouette_has_all_of_the_iou(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two photos whose masks are the body drawn, and its right half alone."""
    body = Body.load()
    predictions = standing(2, body)
    vertices_m = vertices_cam_m(predictions, body, 0, 0)
    inside = drawn_parts(predictions, body, part_labels(body.data), 0, vertices_m, (200, 300)) > 0
    half = inside.copy()
    half[:, :100] = False
    folder = tmp_path / "clothing_coparsing"
    for name, mask in (("0001", inside), ("0002", half)):
        for kind, pixels, suffix in (("images", np.zeros((300, 200, 3), np.uint8), "jpg"), ("masks", mask, "png")):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / kind / f"{name}.{suffix}")
    listed = tmp_path / "validation.txt"
    listed.write_text("0001\n0002\n")
    monkeypatch.setattr(clothing_coparsing, "VALIDATION_LIST", listed)
    people = open_masked(tmp_path)
    assert people.names == ("0001", "0002")
    whole, right = silhouette_ious(people, predictions, body)
    assert whole == pytest.approx(100)
    assert right == pytest.approx(100 * half.sum() / inside.sum())
    Image.fromarray(np.zeros((300, 200), bool)).save(folder / "masks" / "0002.png")
    with pytest.raises(Exception, match=r"0002: its mask is empty"):
        open_masked(tmp_path)


def test_rows_are_kept_until_what_decided_them_changes(tmp_path: Path) -> None:
    asked: list[str] = []

    def rows(weights: str) -> list[Row]:
        def measure() -> list[Row]:
            asked.append(weights)
            return [Row(method="lift", numbers={"mpjpe_mm": np.float64(100 + len(asked)), "iou": None}, ours=True)]  # pyright: ignore[reportArgumentType]

        return kept_rows(tmp_path, "lift", {"people": ["a", "b"], "weights": weights}, measure)

    first, again, other = rows("x"), rows("x"), rows("y")
    assert first == again
    assert [row[0].numbers["mpjpe_mm"] for row in (first, other)] == [101, 102]
    assert asked == ["x", "y"]
    (tmp_path / "rows" / "lift.json").write_text("{")
    assert rows("y")[0].numbers["mpjpe_mm"] == 103


def test_detections_are_kept_for_the_first_people_too(tmp_path: Path) -> None:
    found = [replace(detection(Crop((10.0 + i, 20.0), 30.0, 0.5)), score=0.1 * i) for i in range(3)]
    path, looked = tmp_path / "found.npz", []

    def find(names: tuple[str, ...]) -> tuple[Sequence[Detection], float]:
        looked.append(names)
        return found[: len(names)], 12.5

    for names in (("a", "b", "c"), ("a", "b"), ("a", "x")):
        detections, ms = kept_detections(path, names, lambda names=names: find(names))
        assert ms == 12.5
        for ours, theirs in zip(detections, found, strict=False):
            assert ours.crop == theirs.crop
            assert ours.score == theirs.score
            np.testing.assert_array_equal(ours.box_px, theirs.box_px)
        assert len(detections) == len(names)
    assert looked == [("a", "b", "c"), ("a", "x")]
    path.write_bytes(b"PK damaged")
    kept_detections(path, ("a",), lambda: find(("a",)))
    assert looked[-1] == ("a",)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--limit", "0"], "leaves nobody"),
        (["--model", "lift"], "does not take --model"),
        (["--predictions", "file.npz"], "does not take --predictions"),
    ],
)
def test_what_it_cannot_do_is_refused(
    options: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "open", "-o", str(tmp_path), *options]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.slow
def test_everything_that_is_shipped_takes_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tmp_path / "open.json"
    code = main(
        [
            "evaluate",
            "open",
            "--data",
            str(tmp_path),
            "--limit",
            "2",
            "-o",
            str(tmp_path / "out"),
            "--json",
            str(written),
        ]
    )
    assert code == 0
    result = json.loads(written.read_text())
    rows = {row["method"]: row["numbers"] for row in result["rows"]}
    for method in ("mean pose", "SMPLify, from the mean pose", "lift", "lift, refined", "hmr-small", "lift-clean"):
        assert 0 < rows[method]["pa_mpjpe_mm"] < rows[method]["mpjpe_mm"] < 2000, method
        assert rows[method]["pve_mm"] > 0
        assert rows[method]["ms"] > 0
    peer = next(numbers for method, numbers in rows.items() if method.startswith("BlazePose"))
    assert peer["mpjpe_mm"] > 0
    # A set that is not there is said, and its columns are empty, not zero.
    assert all(numbers.get("pck_0.1") is None and numbers.get("iou") is None for numbers in rows.values())
    assert "There is no lsp_extended/" in capsys.readouterr().out
    assert result["count"] == 2
    assert (tmp_path / "out" / "report.html").is_file()
    # A row more costs that row: the others are not measured again.
    (tmp_path / "out" / "rows" / "mean-pose.json").unlink()
    asked: list[str] = []
    monkeypatch.setattr(open_benchmark, "load", lambda name, **options: asked.append(name) or load(name, **options))
    monkeypatch.setattr(entrants, "find_detector", None)
    assert main(["evaluate", "open", "--data", str(tmp_path), "--limit", "2", "-o", str(tmp_path / "out")]) == 0
    assert asked == ["mean-pose"]
    again = json.loads((tmp_path / "out" / "result.json").read_text())
    assert [row["method"] for row in again["rows"]] == [row["method"] for row in result["rows"]]
    assert again["rows"][3] == result["rows"][3]
