"""Human3.6M's protocols on clips in its true formats, with numbers checked by hand."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_h36m import CAMERAS, FRAMES, joints_17, write_clip, write_metadata, write_pictures

from monobody.body.skeleton import SKELETONS, correspondence
from monobody.cli import main
from monobody.data.datasets.h36m_clip import ACTIONS, JOINTS_17, Clip, Labels
from monobody.data.datasets.h36m_metadata import read_metadata
from monobody.data.lens import seen_at
from monobody.errors import UserError
from monobody.evaluate.h36m import ACTION_ORDER, SUBSET, lacking
from monobody.evaluate.h36m_xas import NAMES, PARTNERS, lifted, repaired
from monobody.evaluate.predictions import Predictions, write_predictions
from monobody.evaluate.protocol import Result
from monobody.evaluate.protocols import find_protocol
from monobody.evaluate.run import evaluate

LSP = list(correspondence("h36m17", "lsp14"))
KEPT = range(0, FRAMES, 5)
TRUE = np.array([joints_17(frame) for frame in KEPT] * 3)
WRISTS = [SKELETONS["lsp14"].index(f"{side}_wrist") for side in ("left", "right")]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips of S11: two trials of Directions in the frontal camera, and Phoning in another."""
    folder = tmp_path_factory.mktemp("h36m")
    write_metadata(folder)
    for recording, camera in (("Directions 1", CAMERAS[3]), ("Directions", CAMERAS[3]), ("Phoning 2", CAMERAS[1])):
        write_clip(folder, 11, recording, camera)
    return folder


def predicted(root: Path, name: str, variant: str, **arrays: Any) -> Predictions:
    names = find_protocol(name, variant=variant).open(root).names
    return Predictions(**{"model": "test", "terms": "none", "names": names} | arrays)


def measured(root: Path, name: str, variant: str, **arrays: Any) -> Result:
    given = predicted(root, name, variant, **arrays)
    return evaluate(name, root=root, variant=variant, predictions=given, partial=True)


def test_known_offsets_give_known_errors(root: Path, tmp_path: Path) -> None:
    """One action's wrists are 140 mm off: 2 joints of 14, so 20 mm; the others are exact, wherever they stand."""
    joints = TRUE[:, LSP] + (0.3, -2.0, 1.0)
    joints[6:, WRISTS, 0] += 0.14  # The third clip is Phoning.
    write_predictions(
        predicted(root, "h36m-p1", "hmr", joint_set="lsp14", joints_cam_m=joints[:, None]), tmp_path / "p.npz"
    )
    command = ["evaluate", "h36m-p1", "--root", str(root), "--predictions", str(tmp_path / "p.npz"), "--partial"]
    command += ["--no-pictures"]
    assert main([*command, "--out", str(tmp_path / "out"), "--json", str(tmp_path / "n.json")]) == 0
    numbers = json.loads((tmp_path / "n.json").read_text())
    assert json.loads((tmp_path / "out" / "result.json").read_text()) == numbers
    assert (tmp_path / "out" / "report.html").stat().st_size > 5_000
    assert numbers["count"] == 9
    row = numbers["rows"][0]["numbers"]
    assert row["mpjpe_mm"] == pytest.approx(20 / 3, abs=1e-3)
    assert row["median_mpjpe_mm"] == pytest.approx(0, abs=1e-3)
    assert row["actions_mpjpe_mm"] == pytest.approx(10, abs=1e-3)
    # The best similarity is that of the least squares, and spreads two large errors over all joints.
    assert row["pa_mpjpe_mm"] > 20 / 3
    table = numbers["breakdown"]["action"]
    assert list(table) == ["Directions", "Phoning"]
    assert table["Directions"]["mpjpe_mm"] == pytest.approx(0, abs=1e-3)
    assert table["Phoning"]["mpjpe_mm"] == pytest.approx(20, abs=1e-3)
    assert [part["count"] for part in table.values()] == [6, 3]
    assert numbers["breakdown"]["trial"]["1"]["count"] == 6
    assert numbers["facts"]["percentiles"]["mpjpe_mm"]["90"] == pytest.approx(20, abs=1e-3)
    assert numbers["joints"]["left_wrist"]["mean"] == pytest.approx(140 / 3, abs=1e-2)
    assert "3 of 239 clips" in numbers["partial"]
    assert [row["method"] for row in numbers["rows"]][-2:] == ["HMR unpaired", "HMR, released weights"]


def test_protocol_2_takes_the_first_trial_in_the_frontal_camera(root: Path) -> None:
    joints = TRUE[:3, LSP] * 1.7 @ np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    joints *= np.sign(np.linalg.det(np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]))
    result = measured(root, "h36m-p2", "hmr", joint_set="lsp14", joints_cam_m=joints[:, None])
    assert result.names == tuple(f"S11/Directions 1.{CAMERAS[3]}/{frame:06d}" for frame in KEPT)
    assert result.rows[0].numbers["pa_mpjpe_mm"] == pytest.approx(0, abs=1e-3)
    assert result.protocol.columns[0].key == "pa_mpjpe_mm"
    assert "1 of 30 clips are there; the first that is not is S9" in result.partial


def test_spins_variant_has_both_trials_and_the_pelvis_as_root(root: Path) -> None:
    joints = TRUE[:6] + 0.0
    joints[:, 0, 0] += 0.05  # The pelvis alone: all 14 others are then 50 mm off.
    result = measured(root, "h36m-p2", "spin", joint_set="h36m17", joints_cam_m=joints[:, None])
    assert result.count == 6
    assert result.errors["mpjpe_mm"] == pytest.approx(50, abs=1e-3)
    assert result.errors["pa_mpjpe_mm"] == pytest.approx(0, abs=1e-3)
    assert len(result.joint_errors) == 14


def test_root_aligned_counts_all_17(root: Path) -> None:
    joints = (TRUE - TRUE[:, :1]) * 1.25
    joints[:, 0, 0] -= 0.0
    result = measured(root, "h36m-p1", "root-aligned", joint_set="h36m17", joints_cam_m=joints[:, None])
    away = np.linalg.norm(TRUE - TRUE[:, :1], axis=2)
    assert result.rows[0].numbers["mpjpe_mm"] == pytest.approx(250 * away.mean(), abs=1e-3)
    assert result.rows[0].numbers["n_mpjpe_mm"] == pytest.approx(0, abs=1e-3)
    assert len(result.joint_errors) == 17


def test_hypotheses_have_a_row_for_each_way_to_choose(root: Path) -> None:
    """The first is 70 mm off in one joint, the second in another; the third, most believed in, in both."""
    joints = np.repeat(TRUE[:, LSP][:, None], 3, axis=1)
    joints[:, 0, WRISTS[0], 0] += 0.07
    joints[:, 1, WRISTS[1], 0] += 0.14
    joints[:, 2, WRISTS, 0] += 0.14
    weights = np.tile([0.3, 0.2, 0.5], (len(joints), 1))
    result = measured(root, "h36m-p1", "hmr", joint_set="lsp14", joints_cam_m=joints, weights=weights)
    found = {row.choice: row.numbers["mpjpe_mm"] for row in result.rows}
    assert list(found) == ["confident", "best whole pose", "best per joint"]
    assert list(found.values()) == pytest.approx([20, 5, 0], abs=1e-3)
    assert [row.oracle for row in result.rows] == [False, True, True]
    assert {row.hypotheses for row in result.rows} == {3}


def seen(joints_m: np.ndarray, people: Any) -> np.ndarray:
    """Return joints (n, k, 3) in the pictures."""
    focal, principal = people.truth["focal_px"], people.truth["principal_px"]
    return joints_m[..., :2] / joints_m[..., 2:] * focal[:, None, None] + principal[:, None]


def test_xas_lifts_with_the_true_depth_and_repairs_left_and_right(root: Path) -> None:
    people = find_protocol("h36m-p1", variant="xas").open(root)
    true = np.concatenate([TRUE, TRUE[:, [11, 14]].mean(1, keepdims=True)], axis=1)
    swapped = true.copy()
    wrists = [NAMES.index("left_wrist"), NAMES.index("right_wrist")]
    swapped[:, wrists] = swapped[:, wrists[::-1]]
    further = swapped + np.array([0, 0, 5.0])  # How far away the model believes people to be does not count.
    arrays = {"joint_set": "xas18", "joints_cam_m": further[:, None], "joints_px": seen(swapped, people)[:, None]}
    result = measured(root, "h36m-p1", "xas", **arrays)
    assert result.rows[0].source.endswith("; true depth and sides given")
    row = result.rows[0].numbers
    assert row["mpjpe_mm"] == pytest.approx(0, abs=1e-3)
    assert row["actions_n_mpjpe_mm"] == pytest.approx(0, abs=1e-3)
    assert row["subset_mpjpe_mm"] is None, "four of the six actions are not there"
    assert result.facts["left_right_repaired_percent"] == pytest.approx(100 * 2 / 18, abs=1e-2)
    # 90 mm deeper than the truth about the pelvis, seen at the same place: off along the ray.
    deeper = true.copy()
    deeper[:, 10, 2] += 0.09
    arrays |= {"joints_cam_m": deeper[:, None], "joints_px": seen(true, people)[:, None]}
    result = measured(root, "h36m-p1", "xas", **arrays)
    ray = np.linalg.norm(true[:, 10] / true[:, 10, 2:], axis=1)
    assert result.errors["mpjpe_mm"] == pytest.approx(90 * ray / 18, abs=1e-3)


def test_xas_best_and_confident(root: Path) -> None:
    """Two hypotheses, seen alike and wrong in depth at one joint each: the oracle takes every joint's better one."""
    people = find_protocol("h36m-p1", variant="xas").open(root)
    true = np.concatenate([TRUE, TRUE[:, [11, 14]].mean(1, keepdims=True)], axis=1)
    both = np.stack([true, true], axis=1)
    both[:, 0, 10, 2] += 0.06
    both[:, 1, 7, 2] += 0.30
    px = np.repeat(seen(true, people)[:, None], 2, axis=1)
    weights = np.tile([0.4, 0.6], (len(true), 1))
    result = measured(root, "h36m-p1", "xas", joint_set="xas18", joints_cam_m=both, joints_px=px, weights=weights)
    ray = np.linalg.norm(true / true[..., 2:], axis=2)
    expected = [(300 * ray[:, 7] / 18).mean(), (60 * ray[:, 10] / 18).mean(), 0]
    assert [row.choice for row in result.rows] == ["confident", "best whole pose", "best per joint"]
    assert [row.numbers["mpjpe_mm"] for row in result.rows] == pytest.approx(expected, abs=1e-3)
    assert result.rows[2].numbers["pa_mpjpe_mm"] == pytest.approx(0, abs=1e-3)


def test_xas_scales_about_the_origin_of_the_world(root: Path) -> None:
    """People nearer to the origin of the world, measured by hand."""
    people = find_protocol("h36m-p1", variant="xas").open(root)
    true = np.concatenate([TRUE, TRUE[:, [11, 14]].mean(1, keepdims=True)], axis=1)
    pose = people.truth["world_to_camera"]
    metadata = read_metadata(root / "metadata.xml")
    corner = metadata.to_camera_m(np.array([[0.3, 0.2, 0.1]]), 11, CAMERAS[3])
    np.testing.assert_allclose(pose[0, :, :3] @ [0.3, 0.2, 0.1] + pose[0, :, 3], corner[0], atol=1e-9)
    origin = pose[:, None, :, 3]
    nearer = origin + 0.995 * (true - origin)
    # The pelvis is lifted to its true depth all the same, so that a size alone does not undo this.
    arrays = {"joint_set": "xas18", "joints_cam_m": nearer[:, None], "joints_px": seen(nearer, people)[:, None]}
    result = measured(root, "h36m-p1", "xas", **arrays)
    depth = nearer[..., 2] - nearer[:, :1, 2] + true[:, :1, 2]
    placed = lifted(
        seen(nearer, people)[:, None], depth[:, None], people.truth["focal_px"], people.truth["principal_px"]
    )
    off = 1000 * np.linalg.norm(placed[:, 0] - true, axis=2).mean(1)
    assert result.errors["mpjpe_mm"] == pytest.approx(off, abs=1e-3)
    world = [(points - origin) @ pose[:, :, :3] for points in (placed[:, 0], true)]
    scale = (world[0] * world[1]).sum((1, 2)) / (world[0] ** 2).sum((1, 2))
    by_hand = 1000 * np.linalg.norm(scale[:, None, None] * world[0] - world[1], axis=2).mean(1)
    assert result.errors["n_mpjpe_mm"] == pytest.approx(by_hand, abs=1e-3)


def test_one_joint_may_stand_for_both_sides() -> None:
    true = np.zeros((1, 18, 2))
    true[0, :, 0] = np.arange(18) * 10
    found = np.repeat(true[:, None], 1, axis=1).copy()
    left, right = NAMES.index("left_knee"), NAMES.index("right_knee")
    found[0, 0, right] = true[0, left] + 1
    found[0, 0, left] = true[0, left] + 200
    stands = repaired(found, true)
    assert stands[0, 0, left] == right
    assert stands[0, 0, right] == right
    assert sum(PARTNERS[i] != i for i in range(18)) == 12


def test_every_action_has_its_place() -> None:
    assert sorted(ACTION_ORDER) == sorted(ACTIONS)
    assert set(SUBSET) <= set(ACTIONS)
    assert len(ACTIONS) == 15


def test_the_corrupt_clip_is_left_out_and_told(root: Path, tmp_path: Path) -> None:
    """As pictures with matlab_meta.txt; actions and trials are then numbers."""
    write_metadata(tmp_path)
    people = find_protocol("h36m-p1").open(root)
    assert people.left_out == {}
    lens = read_metadata(tmp_path / "metadata.xml").lens(CAMERAS[0])
    joints = np.ones((FRAMES, 32, 3))
    joints[:, list(JOINTS_17)] = [joints_17(frame) for frame in range(FRAMES)]
    assert (seen_at(joints, lens) > 0).any()
    rows = [["f", *lens.focal_px], ["c", *lens.principal_px], ["k", *lens.radial], ["p", *lens.tangential]]
    rows = [["n", FRAMES], ["size", 400, 402], ["R", *np.eye(3).ravel()], ["T", 0, 0, 0], *rows, ["j", *JOINTS_17]]
    rows += [[str(n), *(1000 * joints[n]).ravel()] for n in range(FRAMES)]
    for name, camera in (("s_11_act_02_subact_02_ca_01", CAMERAS[0]), ("s_11_act_15_subact_01_ca_01", CAMERAS[0])):
        write_pictures(tmp_path, name, camera)
        (tmp_path / "annot" / name).mkdir(parents=True)
        text = "\n".join(" ".join(map(str, row)) for row in rows)
        (tmp_path / "annot" / name / "matlab_meta.txt").write_text(text + "\n")
    (tmp_path / "metadata.xml").unlink()
    people = find_protocol("h36m-p1").open(tmp_path)
    assert set(people.groups["action"]) == {"WalkDog"}
    assert people.left_out == {"the video is corrupt as published": 3}
    np.testing.assert_allclose(people.truth["world_to_camera"][0], np.eye(3, 4), atol=1e-12)


def test_the_stated_crops(root: Path) -> None:
    """The true joints' box fills 150 of 224 pixels in diagonal (HMR), 1 of 1.2 in its longer side (SPIN), 2 m (XaS)."""
    crops = {}
    for variant in ("hmr", "spin", "xas"):
        sample = find_protocol("h36m-p1", variant=variant).open(root).samples[1]
        assert sample.joints_cam_m is not None
        np.testing.assert_allclose(sample.joints_cam_m, joints_17(5)[LSP], atol=1e-4)
        assert sample.crop.angle_rad == 0
        crops[variant] = sample.crop
    extent = np.ptp(sample.keypoints_px[:14], axis=0)
    assert np.linalg.norm(extent) * 224 / crops["hmr"].size_px == pytest.approx(150, abs=1e-3)
    assert crops["spin"].size_px == pytest.approx(1.2 * extent.max(), abs=1e-3)
    assert sample.focal_px is not None
    pelvis = joints_17(5)[0]
    assert crops["xas"].size_px == pytest.approx(2 * sample.focal_px / pelvis[2], rel=1e-6)
    seen_px = pelvis[:2] / pelvis[2] * sample.focal_px + np.asarray(sample.principal_px)
    assert crops["xas"].centre_px == pytest.approx(seen_px, abs=1e-2)


def clip(subject: int, action: str, camera: str, trial: int, step: int = 5) -> Clip:
    def unread() -> Labels:
        raise AssertionError("nobody asks for labels")

    return Clip(
        subject=subject,
        recording=f"{action} {trial + 1}",
        camera=camera,
        trial=trial,
        frames=range(0, 30, step),
        pictures=[],
        read_labels=unread,
    )


def test_missing_clips_and_other_frames_are_found_in_every_form() -> None:
    every = [
        clip(subject, action, camera, trial)
        for subject in (9, 11)
        for action in ACTIONS
        for camera in CAMERAS
        for trial in (0, 1)
        if (subject, action, camera, trial) != (11, "Directions", CAMERAS[0], 1)
    ]
    assert len(every) == 239
    assert list(lacking(every, CAMERAS, 2)) == []
    frontal = [each for each in every if each.camera == CAMERAS[3]]
    assert list(lacking(frontal, CAMERAS[3:], 2)) == []
    assert list(lacking([each for each in frontal if each.trial == 0], CAMERAS[3:], 1)) == []
    (sentence,) = lacking(every[:-1], CAMERAS, 2)
    assert sentence == ("238 of 239 clips are there; the first that is not is S11, WalkTogether, camera 60457274.")
    (sentence,) = lacking([*every[:-1], clip(11, "WalkTogether", CAMERAS[3], 1, step=4)], CAMERAS, 2)
    assert "1 clips hold other frames than every fifth" in sentence
    assert any("does not have: Juggling" in each for each in lacking([*every, clip(9, "Juggling", "1", 0)], CAMERAS, 2))


@pytest.mark.parametrize(
    ("recording", "action"),
    [
        ("Directions 1", "Directions"), ("SittingDown", "SittingDown"), ("Photo 1", "TakingPhoto"),
        ("WalkingDog", "WalkDog"), ("WakingDog 1", "WalkDog"), ("WalkTogether 1", "WalkTogether"),
        ("Sitting-2", "Sitting"), ("act_02_subact_01", "Directions"), ("act_16_subact_02", "WalkTogether"),
        ("act_12_subact_02", "TakingPhoto"),
    ],
)  # fmt: skip
def test_actions_are_known_by_all_their_names(recording: str, action: str) -> None:
    assert replace(clip(9, "x", "1", 0), recording=recording).action == action


def test_mistakes_are_one_sentence(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "h36m-p1", "--root", str(root), "--out", str(tmp_path / "out")]
    assert main(command) == 2
    assert "3 of 239 clips are there; the first that is not is S9, " in capsys.readouterr().err
    assert main([*command, "--variant", "usual"]) == 2
    assert 'no variant "usual": choose from hmr, spin, root-aligned, xas' in capsys.readouterr().err
    with pytest.raises(UserError, match=r"Human3\.6M's folder is not known: give it with --root"):
        evaluate("h36m-p2")
    with pytest.raises(UserError, match=r"have the joints of lsp14, which lacks pelvis, torso, nose of h36m17"):
        measured(root, "h36m-p1", "spin", joint_set="lsp14", joints_cam_m=np.zeros((9, 1, 14, 3)))
    with pytest.raises(UserError, match=r"hold no joints in the picture"):
        measured(root, "h36m-p1", "xas", joint_set="xas18", joints_cam_m=np.zeros((9, 1, 18, 3)))
