"""The open benchmark: who takes part, what is measured on whom, and what it says of sets that are not there."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from monobody.body.model import Body
from monobody.body.rotation import axis_angle_to_matrix
from monobody.cli import main
from monobody.data.datasets import clothing_coparsing
from monobody.evaluate.bodies import drawn_parts, vertices_cam_m
from monobody.evaluate.masked_people import open_masked, silhouette_ious
from monobody.evaluate.open_benchmark import impossible_percent
from monobody.evaluate.predictions import Predictions
from monobody.models.output import standing_pose
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
def test_everything_that_is_shipped_takes_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
