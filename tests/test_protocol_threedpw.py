"""3DPW's protocol on a sequence in its true format; SMPL's files are stood for by bodies of the same form."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_assets import smpl_like, write_npz
from test_threedpw import sequence, write_set

from monobody.body.assets import load_body_data
from monobody.body.model import Body
from monobody.cli import main
from monobody.data.marks import marks_from_joints
from monobody.errors import UserError
from monobody.evaluate.gendered import gendered_bodies
from monobody.evaluate.predictions import Predictions, write_predictions
from monobody.evaluate.protocols import find_protocol
from monobody.evaluate.run import evaluate


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One sequence of two people, three and four frames."""
    folder = tmp_path_factory.mktemp("3dpw")
    write_set(folder, sequence(np.random.default_rng(3))[0])
    return folder


@pytest.fixture(scope="module")
def bodies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A neutral, a male and a female body of few vertices; the last two are larger by known factors."""
    folder, shipped = tmp_path_factory.mktemp("smpl"), load_body_data()
    neutral = smpl_like(shipped, 400, 10)
    for name, factor in (("SMPL_NEUTRAL", 1.0), ("SMPL_MALE", 1.1), ("SMPL_FEMALE", 0.9)):
        larger = {key: neutral[key] * factor for key in ("v_template", "shapedirs", "posedirs")}
        write_npz(folder / f"{name}.npz", neutral | larger)
    return folder / "SMPL_NEUTRAL.npz"


def given(people: Any, joint_set: str, joints_m: np.ndarray, **more: Any) -> Predictions:
    return Predictions(
        model="test", terms="none", names=people.names, joint_set=joint_set, joints_cam_m=joints_m[:, None], **more
    )


def test_24_joints_through_the_command_line(root: Path, tmp_path: Path) -> None:
    people = find_protocol("3dpw", variant="24").open(root)
    joints = people.truth["smpl24"] + (0, 0, 1.0)
    joints[:3, 20, 1] += 0.048  # A wrist of the first person, 24 joints.
    write_predictions(given(people, "smpl24", joints), tmp_path / "p.npz")
    command = ["evaluate", "3dpw", "--variant", "24", "--root", str(root), "--predictions", str(tmp_path / "p.npz")]
    command += ["--out", str(tmp_path / "out"), "--no-pictures", "--json", str(tmp_path / "n.json")]
    assert main(command) == 2, "1 of 24 sequences"
    assert main([*command, "--partial"]) == 0
    numbers = json.loads((tmp_path / "n.json").read_text())
    assert numbers["count"] == 7
    assert numbers["left_out"] == {"the camera was not aligned": 2, "fewer than 6 joints detected": 1}
    assert numbers["rows"][0]["numbers"]["mpjpe_mm"] == pytest.approx(48 / 24 * 3 / 7, abs=1e-3)
    assert numbers["rows"][0]["numbers"]["pve_mm"] is None
    assert "--body" in numbers["facts"]["pve"]
    assert numbers["breakdown"]["sequence"]["downtown_tiny_00"]["count"] == 7
    assert "holds 1 of 24 sequences" in numbers["partial"]
    assert any(row["method"] == "SPIN" and row["numbers"]["pa_mpjpe_mm"] == 59.2 for row in numbers["rows"])


def test_14_joints_without_smpl_are_those_of_the_reader(root: Path) -> None:
    people = find_protocol("3dpw").open(root)
    marks = np.array(
        [marks_from_joints(people.truth["smpl24"][i], people.truth["rotations"][i])[:14] for i in range(7)]
    )
    np.testing.assert_allclose(people.truth["lsp14"], marks)
    np.testing.assert_allclose(np.asarray(people.samples[2].joints_cam_m), marks[2], atol=1e-5)
    moved = marks + 0.0
    moved[:, 0] += (0, 0.14, 0)
    result = evaluate("3dpw", root=root, predictions=given(people, "lsp14", moved), partial=True)
    assert result.errors["mpjpe_mm"] == pytest.approx(10, abs=1e-3)
    # The stated crop: the true joints' box has a diagonal of 150 of 224 pixels, and is not turned.
    crop, sample = people.samples[2].crop, people.samples[2]
    assert crop.angle_rad == 0
    assert sample.focal_px is not None
    seen = marks[2, :, :2] / marks[2, :, 2:] * sample.focal_px + np.asarray(sample.principal_px)
    assert np.linalg.norm(np.ptp(seen, axis=0)) / crop.size_px * 224 == pytest.approx(150)


def test_meshes_of_everybodys_own_gender(root: Path, bodies: Path) -> None:
    """The neutral body in the true pose and shape is smaller than the man by a factor, larger than the woman."""
    people = find_protocol("3dpw", body=bodies).open(root)
    body, truth = Body.load(bodies), people.truth
    with torch.no_grad():
        posed = body(torch.from_numpy(truth["rotations"]).float(), torch.from_numpy(truth["betas"]).float())
        around = (posed.vertices_m - posed.joints_m[:, :1]).numpy()
    factor = np.where(truth["gender"] == 0, 1.1, 0.9)[:, None, None]
    assert set(truth["gender"].tolist()) == {0, 1}
    true_joints = body.data.keypoint_regressors["lsp14"] @ (factor * around) + truth["smpl24"][:, :1]
    np.testing.assert_allclose(truth["lsp14"], true_joints, atol=1e-5)
    bodies_given = {
        "rotations": truth["rotations"][:, None].astype(np.float32),
        "betas": truth["betas"][:, None].astype(np.float32),
        "body_digest": body.digest,
    }
    result = evaluate(
        "3dpw", root=root, body=bodies, predictions=given(people, "lsp14", true_joints, **bodies_given), partial=True
    )
    by_hand = 100 * np.linalg.norm(around, axis=2).mean(1)
    np.testing.assert_allclose(result.errors["pve_mm"], by_hand, rtol=1e-3)
    assert result.rows[0].numbers["pve_mm"] == pytest.approx(by_hand.mean(), rel=1e-3)
    assert result.rows[0].numbers["mpjpe_mm"] == pytest.approx(0, abs=1e-2)
    assert result.breakdown["sequence"]["downtown_tiny_00"]["pve_mm"] == pytest.approx(by_hand.mean(), rel=1e-3)
    wrong = given(people, "lsp14", true_joints, **bodies_given | {"body_digest": "0" * 64})
    with pytest.raises(UserError, match="are of another body than"):
        evaluate("3dpw", root=root, body=bodies, predictions=wrong, partial=True)


def test_files_are_told_apart_by_the_words_in_their_names(tmp_path: Path, bodies: Path) -> None:
    assert gendered_bodies(None) is None
    neutral = tmp_path / "basicModel_neutral_lbs_10_207_0_v1.0.0.npz"
    neutral.write_bytes(bodies.read_bytes())
    assert gendered_bodies(neutral) is None
    for letter, name in (("m", "SMPL_MALE"), ("f", "SMPL_FEMALE")):
        source = bodies.with_name(f"{name}.npz")
        (tmp_path / f"basicModel_{letter}_lbs_10_207_0_v1.0.0.npz").write_bytes(source.read_bytes())
    found = gendered_bodies(neutral)
    assert found is not None
    heights = [float(np.ptp(body.data.v_template[:, 1])) for body in found]
    assert heights[0] / heights[1] == pytest.approx(11 / 9, rel=1e-5)
    write_npz(neutral, smpl_like(load_body_data(), 380, 10))
    with pytest.raises(UserError, match="not of one kind"):
        gendered_bodies(neutral)
