"""Skeletons in the protocols: their joints by name, as many hypotheses for everybody, bodies only once lifted."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scenes import detection, shipped_body
from test_skeletons import SET, WRIST, Painted, ask, crop_points, painted, standing_scene

from monobody.evaluate.answers import ask_about, person_as_arrays
from monobody.evaluate.entrants import Found, apart_from, asked, lifted
from monobody.evaluate.people import first
from monobody.evaluate.predictions import as_joints, ensure_sound
from monobody.evaluate.protocol import EvaluationSet
from monobody.evaluate.protocols import find_protocol
from monobody.predict.predictor import Predictor
from monobody.predict.skeletons import SkeletonEstimator


@pytest.fixture(scope="module")
def people() -> EvaluationSet:
    return first(find_protocol("synthetic").open(None), 2)


def predictor(kept: Any = 3, *, lift: bool = False) -> Predictor:
    """It sees the same person in every crop, whose left wrist has two depths."""
    scene = standing_scene()
    points = crop_points(scene, scene.people[0].crop)
    points[WRIST, 2] -= 0.26
    network: Any = Painted(painted(points, also={WRIST: (points[WRIST, 2] + 0.52, 0.3)}))
    estimator = SkeletonEstimator(network=network, device=torch.device("cpu"), body=shipped_body(), kept=kept)
    return Predictor(replace(estimator, lift=lift), shipped_body(), model="painted", terms="test")


@pytest.fixture(scope="module")
def found(people: EvaluationSet) -> Found:
    crops = [people.samples[number].crop for number in range(2)]
    return Found(people=people, detections=[detection(crop) for crop in crops], ms_a_person=0.0)


@pytest.mark.slow
def test_rows_of_the_benchmark(people: EvaluationSet, found: Found) -> None:
    """Confident and best rows of 14 joints; what needs a body is empty until there is one."""
    answers = asked(predictor())(found)
    given = answers.predictions
    ensure_sound(given, "painted")
    assert given.joint_set == SET
    assert given.hypotheses == 3
    assert given.weights is not None
    assert given.rotations is None
    np.testing.assert_allclose(given.weights.sum(1), 1, atol=1e-5)
    protocol = find_protocol("synthetic")
    rows = {row.choice: row.numbers for row in protocol.measure(protocol, people, given).rows}
    assert set(rows) == {"confident", "best whole pose", "best per joint"}
    assert rows["best per joint"]["mpjpe_mm"] <= rows["best whole pose"]["mpjpe_mm"] <= rows["confident"]["mpjpe_mm"]  # pyright: ignore
    assert rows["confident"].get("pve_mm") is None
    assert rows["confident"].get("iou") is None
    (row,) = protocol.measure(protocol, people, lifted(shipped_body(), answers)(found).predictions).rows
    assert row.choice == "only"
    assert row.numbers["pve_mm"] is not None
    # The body lies where the confident skeleton is.
    assert abs(row.numbers["mpjpe_mm"] - rows["confident"]["mpjpe_mm"]) < 40  # pyright: ignore[reportOperatorIssue]


@pytest.mark.slow
def test_protocols_ask_for_skeletons_or_lifted_bodies(people: EvaluationSet, monkeypatch: pytest.MonkeyPatch) -> None:
    crop = people.samples[0].crop
    monkeypatch.setattr("monobody.evaluate.answers._placed", lambda *_: detection(crop))
    skeletons = ask_about(predictor(), people, "lsp14", made_with="")
    assert as_joints(skeletons, "lsp14").shape == (2, 3, 14, 3)
    bodies = ask_about(predictor(2, lift=True), people, "lsp14", made_with="")
    assert bodies.joint_set == "lsp14"
    assert bodies.rotations is not None
    assert bodies.rotations.shape == (2, 2, 24, 3, 3)


def test_who_has_fewer_hypotheses_repeats_the_best_without_weight() -> None:
    scene = standing_scene()
    crop = scene.people[0].crop
    one, _ = ask(painted(crop_points(scene, crop)), scene, crop, kept=3)
    person = replace(one.people[0], hypotheses=(one.people[0].best,))
    row = person_as_arrays(predictor(), person, scene.camera, "lsp14")
    assert row["weights"].shape == (3,)
    assert (row["weights"][1:] == 0).all()
    np.testing.assert_array_equal(row["joints_cam_m"][1], row["joints_cam_m"][0])


def test_how_far_apart_names_are_is_said() -> None:
    said = apart_from(SET, shipped_body())
    assert "neck" in said
    assert " 0 mm off" not in said
    assert " 0 mm off" in apart_from("lsp14", shipped_body())
