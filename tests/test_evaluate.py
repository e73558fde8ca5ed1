"""The quick evaluation: an oracle is perfect in it, its box is the stated one, and its report has the promised keys."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.body.skeleton import correspondence
from monobody.data.crop import Crop, turn_back
from monobody.data.sample import Sample
from monobody.data.shards import SampleFiles
from monobody.errors import UserError
from monobody.evaluate import quick
from monobody.models.output import HMROutput
from monobody.predict.detection import Detection

KEYS = ("synthetic_mpjpe_mm", "synthetic_pa_mpjpe_mm", "real_pck_0.1", "real_pck_0.05")


@pytest.fixture(scope="module")
def people() -> list[Sample]:
    return SampleFiles(quick.SYNTHETIC)[:6]


def detections(people: Sequence[Sample]) -> list[Detection]:
    """People found in regions turned by every angle, their landmarks where the joints are."""
    found = []
    for number, person in enumerate(people):
        landmarks = np.zeros((33, 2))
        for lsp, blaze in enumerate(correspondence("blazepose33", "lsp14")):
            if blaze >= 0:
                landmarks[blaze] = person.keypoints_px[lsp]
        crop = Crop(person.crop.centre_px, person.crop.size_px, 1.1 * number)
        found.append(
            Detection(
                box_px=np.array([0.0, 0, 1, 1]), score=1.0, crop=crop, landmarks_px=landmarks,
                landmarks_score=np.ones(33), world_m=np.zeros((33, 3)),
            )
        )  # fmt: skip
    return found


class Oracle:
    """Knows the bodies, and fits a weak camera to their joints."""

    def __init__(self, people: Sequence[Sample], body: Body) -> None:
        self.joint_body = JointBody.from_body(body, ("lsp14",))
        self.people = {id(person.image): person for person in people}

    def __call__(self, rgb: np.ndarray, found: Sequence[Detection]) -> HMROutput:
        person, crop = self.people[id(rgb)], found[0].crop
        assert person.rotations is not None
        rotations = np.array(person.rotations, np.float64)
        rotations[0] = turn_back(rotations[0], -crop.angle_rad)
        turned, betas = torch.from_numpy(rotations).float()[None], torch.from_numpy(person.betas)[None].float()
        joints = self.joint_body(turned, betas)["lsp14"][0, :, :2]
        target = torch.from_numpy(crop.to_crop(person.keypoints_px[:14].astype(np.float64))).float()
        a, b = joints - joints.mean(0), target - target.mean(0)
        scale = (a * b).sum() / a.square().sum()
        camera = torch.cat([scale[None], target.mean(0) / scale - joints.mean(0)])[None]
        return HMROutput(camera=camera, rotations=turned, betas=betas)


def test_an_oracle_has_no_error(people: list[Sample]) -> None:
    body, found = Body.load(), detections(people)
    joints = quick.estimate_joints(Oracle(people, body), JointBody.from_body(body, ("lsp14",)), people, found)
    numbers = quick.synthetic_numbers(people, joints)
    assert numbers["synthetic_mpjpe_mm"] < 2
    assert numbers["synthetic_pa_mpjpe_mm"] < 2
    # Its camera has no perspective, the pictures' has.
    assert quick.real_numbers(people, joints)["real_pck_0.1"] > 95


def test_landmarks_on_the_joints_are_all_correct(people: list[Sample]) -> None:
    found = detections(people)
    numbers = quick.real_numbers(people, quick.blazepose_joints(found), quick.BLAZEPOSE_JOINTS)
    assert numbers == {"real_pck_0.1": 100.0, "real_pck_0.05": 100.0}
    moved = [replace(d, landmarks_px=d.landmarks_px + 1000) for d in found]
    assert quick.real_numbers(people, quick.blazepose_joints(moved), quick.BLAZEPOSE_JOINTS)["real_pck_0.1"] == 0


def test_the_box_is_that_of_the_known_joints_and_a_tenth(people: list[Sample]) -> None:
    keypoints, visible = np.zeros((19, 2), np.float32), np.zeros(19, np.float32)
    keypoints[:3], visible[:2] = [(50, 60), (70, 100), (500, 500)], 1
    sample = replace(people[0], keypoints_px=keypoints, visible=visible)
    np.testing.assert_allclose(quick.joints_box(sample), [46, 56, 74, 104])


def test_report_without_photos(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MONOBODY_DATA", raising=False)
    numbers = quick.evaluate_quick(model="mean-pose", limit=2, json_path=tmp_path / "numbers.json")
    assert json.loads((tmp_path / "numbers.json").read_text()) == numbers
    for row in (numbers, numbers["mean_pose"], numbers["blazepose"]):
        assert all(math.isfinite(row[key]) for key in KEYS[:2])
        assert [row[key] for key in KEYS[2:]] == [None, None]
    assert "MONOBODY_DATA" in numbers["note"]
    assert (numbers["synthetic_people"], numbers["real_people"]) == (2, 0)


def test_report_with_photos(monobody_data: Path) -> None:
    numbers = quick.evaluate_quick(monobody_data, "mean-pose", limit=2)
    assert all(0 <= numbers[key] <= 100 for key in KEYS[2:])
    assert numbers["note"] == ""


def test_a_folder_without_photos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lsp_extended"):
        quick.evaluate_quick(tmp_path, "mean-pose", limit=1)


def test_held_out_people_are_shipped_whole() -> None:
    people = SampleFiles(quick.SYNTHETIC)
    assert len(people) == 500
    assert quick.SYNTHETIC.stat().st_size < 5e6
    assert people[499].joints_cam_m is not None
