"""The comparison of X as Supervision's parts, made small: it trains, measures, resumes, and draws."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from monobody.body.bones import usual_bones_m
from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS
from monobody.errors import UserError
from monobody.evaluate import hypotheses_ablation
from monobody.evaluate.hypotheses_ablation import (
    Ruler,
    beside,
    build_numbers,
    evaluate_hypotheses,
    load_detector,
    with_camera,
)
from monobody.evaluate.hypotheses_figure import draw_figure
from monobody.evaluate.hypotheses_runs import ROWS, Settings
from monobody.train.hypotheses_recipes import STAGE_2
from monobody.train.hypotheses_validation import Answers, numbers_of

SMALL = Settings(steps=2, seeds=(0,), size=32, batch=2, workers=0, held_out=6)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hypotheses_ablation, "LABELLED", 60)
        folder = tmp_path_factory.mktemp("comparison")
        evaluate_hypotheses(out=folder, settings=SMALL, rows=("multi", "single"))
    return folder


@pytest.mark.slow
def test_rows_are_trained_measured_and_told(out: Path) -> None:
    report = json.loads((out / "hypotheses.json").read_text())
    assert set(report["rows"]) == {"multi", "single"}
    row = report["rows"]["multi"]
    for choice in ("confident", "whole", "best_whole", "best_joints"):
        for repair in ("", "_sides_by_joint", "_sides_by_body"):
            for measure in ("mpjpe_mm", "absolute_mm", "pa_mpjpe_mm"):
                assert row[f"{choice}{repair}_{measure}"] > 0
    assert row["best_whole_mpjpe_mm"] <= row["whole_mpjpe_mm"]
    assert row["supervised_linear_mpjpe_mm"] > 0
    assert row["fixed_joints_mpjpe_mm"] > 0
    assert row["modes_best_joints_mpjpe_mm"] > 0
    assert report["mean_pose"]["mpjpe_mm"] > 0
    assert report["held_out"]["people"] == 6
    # One hypothesis leaves nothing to choose.
    single = report["rows"]["single"]
    assert single["confident_mpjpe_mm"] == single["best_joints_mpjpe_mm"] == single["best_whole_mpjpe_mm"]
    assert "oracle" in report["hypotheses"]
    assert Settings(**report["settings"] | {"seeds": tuple(report["settings"]["seeds"])}) == SMALL


@pytest.mark.slow
def test_a_stopped_comparison_goes_on_and_another_is_refused(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hypotheses_ablation, "LABELLED", 60)
    monkeypatch.setattr("monobody.evaluate.hypotheses_runs.train", lambda *_, **__: pytest.fail("trained again"))
    before = json.loads((out / "hypotheses.json").read_text())
    again = evaluate_hypotheses(out=out, settings=SMALL, rows=("multi", "single"))
    assert again["rows"]["multi"]["confident_mpjpe_mm"] == pytest.approx(
        before["rows"]["multi"]["confident_mpjpe_mm"], abs=1e-3
    )
    with pytest.raises(UserError, match="other settings"):
        evaluate_hypotheses(out=out, settings=Settings(steps=3))


@pytest.mark.slow
def test_the_figure_shows_people_who_were_measured(out: Path, tmp_path: Path) -> None:
    detector, hypotheses = load_detector(out / "multi-0" / "weights.safetensors")
    ruler = Ruler(None, SMALL)
    shown = draw_figure(tmp_path / "figure.png", detector, ruler, people=1, hypotheses=hypotheses)
    assert len(shown) == 1
    picture = np.asarray(Image.open(tmp_path / "figure.png").convert("RGB"))
    assert picture.shape[1] > 800
    # Somebody's truth is drawn.
    assert (np.abs(picture.astype(int) - (30, 160, 60)).sum(-1) < 60).any()


def test_rows_differ_in_what_they_are_about() -> None:
    assert ROWS["single"].settings.hypotheses == 1
    for row, terms in {
        "no_masks": {"skeleton", "physique"},
        "no_critic": {"adversarial"},
        "no_symmetry": {"symmetry", "midpoints"},
        "no_pairs": {"plane", "depth", "pairs"},
    }.items():
        off = {name for name in terms if getattr(ROWS[row].settings.weights, name) == 0}
        assert off == terms
        kept = {name for name in STAGE_2.__slots__ if name not in terms}
        assert all(getattr(ROWS[row].settings.weights, name) == getattr(STAGE_2, name) for name in kept)


def test_strong_rows_are_strong_in_what_they_are_about_alone() -> None:
    critic, build = ROWS["strong_critic"].settings.weights, ROWS["strong_build"].settings.weights
    assert replace(critic, adversarial=STAGE_2.adversarial) == STAGE_2
    assert critic.adversarial > 20 * STAGE_2.adversarial
    assert replace(build, symmetry=STAGE_2.symmetry, midpoints=STAGE_2.midpoints) == STAGE_2
    assert build.symmetry > 20 * STAGE_2.symmetry


def test_a_body_s_build_is_measured_without_a_truth() -> None:
    """The mean body has it, in any size; one long forearm is found on both counts."""
    body = Body.load()
    usual_m, joints = usual_bones_m(body), body.keypoints(body.template, "xas18")
    poses = torch.stack([joints, 0.4 * joints])
    rest = build_numbers(poses, usual_m)
    assert rest["photos_lopsided_percent"] < 2
    assert rest["photos_proportions_percent"] < 1e-3
    elbow, wrist = (SKELETONS["xas18"].joints.index(name) for name in ("left_elbow", "left_wrist"))
    poses[:, wrist] = poses[:, elbow] + 2 * (poses[:, wrist] - poses[:, elbow])
    found = build_numbers(poses, usual_m)
    # One of twelve bones in pairs and its partner are off by log 2; one of seventeen bones is.
    assert found["photos_lopsided_percent"] == pytest.approx(100 * 2 * np.log(2) / 12, abs=2)
    assert found["photos_proportions_percent"] == pytest.approx(100 * np.log(2) / 17, abs=1)


def test_the_control_knows_the_mean_alone_and_takes_the_distance_that_serves_best() -> None:
    ruler = Ruler(None, Settings(held_out=4, size=32))
    mean = ruler.truth.cube[:, None].clone()
    mean[..., 2] += 0.2 * (torch.arange(18) % 2)
    found = ruler.fixed_distances(mean)
    assert found["fixed_joints_mpjpe_mm"] < 1
    spread = beside(mean, 0.1).joint_wise
    torch.testing.assert_close(spread[:, 0], mean[:, 0])
    torch.testing.assert_close(spread[..., 2].sum(1), 3 * mean[:, 0, :, 2])


def test_shipped_people_get_the_camera_that_saw_them_and_truth_measures_zero() -> None:
    ruler = Ruler(None, Settings(held_out=4, size=32))
    cube = ruler.truth.cube
    numbers = numbers_of(Answers(joint_wise=cube[:, None], whole=cube[:, None], weight=torch.ones(4, 1)), ruler.truth)
    assert max(numbers.values()) < 0.1
    people = hypotheses_ablation.SampleFiles(hypotheses_ablation.PEOPLE)
    seen = with_camera(people[0])
    assert seen.focal_px is not None
    assert seen.principal_px is not None
    rays = seen.joints_cam_m[:, :2] / seen.joints_cam_m[:, 2:]  # pyright: ignore
    np.testing.assert_allclose(seen.focal_px * rays + seen.principal_px, seen.keypoints_px[:14], atol=0.5)
