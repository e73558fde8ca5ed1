"""MPI-INF-3DHP's protocol on a test set in its true format, with numbers checked by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_mpi_inf_3dhp import FRAMES, PUBLISHED_17, joints_28, write_test_sequence

from monobody.body.skeleton import SKELETONS, correspondence
from monobody.cli import main
from monobody.data.datasets.mpi_inf_3dhp_clips import ACTIVITIES
from monobody.evaluate.mpi_inf_3dhp import FRAMES as PUBLISHED_FRAMES
from monobody.evaluate.mpi_inf_3dhp import NAMES, PELVIS
from monobody.evaluate.predictions import Predictions, write_predictions
from monobody.evaluate.protocol import Result
from monobody.evaluate.protocols import find_protocol
from monobody.evaluate.run import evaluate

VALID = (0, 2, 3, 6)
TRUE = np.array([joints_28(frame, 2)[[number - 1 for number in PUBLISHED_17]] for frame in VALID] * 2)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TS1 and TS3, four valid frames each; TS3's are sitting but for its last, which is sports."""
    h5py = pytest.importorskip("h5py")
    folder = tmp_path_factory.mktemp("3dhp") / "mpi_inf_3dhp_test_set"
    for name in ("TS1", "TS3"):
        write_test_sequence(folder / name, univ=1.0)
    with h5py.File(folder / "TS3" / "annot_data.mat", "r+") as file:
        activity = np.full((FRAMES, 1), 3.0)
        activity[6] = 6
        file["activity_annotation"][...] = activity
    return folder.parent


def predicted(root: Path, joint_set: str, joints_m: np.ndarray, **more: Any) -> Predictions:
    names = find_protocol("mpi-inf-3dhp").open(root).names
    return Predictions(
        model="test", terms="none", names=names, joint_set=joint_set, joints_cam_m=joints_m[:, None], **more
    )


def measured(root: Path, joint_set: str, joints_m: np.ndarray) -> Result:
    return evaluate("mpi-inf-3dhp", root=root, predictions=predicted(root, joint_set, joints_m), partial=True)


def test_the_table_through_the_command_line(root: Path, tmp_path: Path) -> None:
    """One frame of eight: both wrists are 200 mm off, the head's middle 340 mm; nothing else."""
    joints = TRUE + np.array([0.1, 0.2, 5.0])
    wrists = [NAMES.index("left_wrist"), NAMES.index("right_wrist")]
    joints[7, wrists, 0] += 0.2
    joints[7, NAMES.index("head"), 1] += 0.34
    write_predictions(predicted(root, "mpi_inf_3dhp17", joints), tmp_path / "p.npz")
    command = ["evaluate", "mpi-inf-3dhp", "--root", str(root), "--predictions", str(tmp_path / "p.npz")]
    command += ["--out", str(tmp_path / "out"), "--no-pictures", "--json", str(tmp_path / "n.json")]
    assert main(command) == 2, "8 of 2,929 frames"
    assert main([*command, "--partial"]) == 0
    numbers = json.loads((tmp_path / "n.json").read_text())
    assert numbers["count"] == 8
    assert "8 people where mpi-inf-3dhp wants 2,929" in numbers["partial"]
    assert numbers["left_out"] == {"not among the valid frames": 10}
    whole, of_14, of_17 = (row["numbers"] for row in numbers["rows"][:3])
    assert whole["mpjpe_mm"] == pytest.approx((200 + 200 + 340) / 17 / 8, abs=1e-2)
    assert of_17["mpjpe_mm"] == pytest.approx(whole["mpjpe_mm"])
    assert of_14["mpjpe_mm"] == pytest.approx(400 / 14 / 8, abs=1e-2)
    assert whole["pck_percent"] == of_14["pck_percent"] == pytest.approx(100 * (1 - 2 / 14 / 8))
    assert of_17["pck_percent"] == pytest.approx(100 * (1 - 3 / 17 / 8))
    # Errors of zero are below all thresholds but zero itself.
    assert whole["auc_percent"] == pytest.approx(30 / 31 * whole["pck_percent"])
    by_activity, by_sequence = numbers["breakdown"]["activity"], numbers["breakdown"]["sequence"]
    assert {name: part["count"] for name, part in by_activity.items()} == {
        "Standing/Walking": 4, "Sitting": 3, "Sports": 1,
    }  # fmt: skip
    assert by_activity["Sports"]["pck_percent"] == pytest.approx(100 * 12 / 14)
    assert by_activity["Sitting"]["pck_percent"] == pytest.approx(100)
    assert by_sequence["TS1"]["mpjpe_mm"] == pytest.approx(0, abs=1e-2)
    assert by_sequence["TS3"]["mpjpe_mm"] == pytest.approx(740 / 17 / 4, abs=1e-2)
    hmr = next(row for row in numbers["rows"] if row["method"] == "HMR")
    assert (hmr["numbers"]["pck_percent"], hmr["numbers"]["pa_mpjpe_mm"]) == (72.9, 89.8)


@pytest.mark.parametrize(("off_mm", "found"), [(149.9, 1), (150.0, 0), (150.1, 0)])
def test_a_joint_counts_strictly_below_150_mm(root: Path, off_mm: float, found: int) -> None:
    """With the root at the origin and the joint's truth there too, nothing is rounded on the way."""
    people = find_protocol("mpi-inf-3dhp").open(root)
    people.truth["joints_cam_m"][:] = 0
    joints = np.zeros_like(TRUE)
    joints[:, NAMES.index("left_knee"), 2] = off_mm / 1000
    protocol = find_protocol("mpi-inf-3dhp")
    result = protocol.measure(protocol, people, predicted(root, "mpi_inf_3dhp17", joints))
    assert result.rows[0].numbers["pck_percent"] == pytest.approx(100 * (13 + found) / 14)
    assert result.rows[2].numbers["pck_percent"] == pytest.approx(100 * (16 + found) / 17)
    thresholds = sum(threshold > off_mm for threshold in range(0, 151, 5))
    assert result.rows[0].numbers["auc_percent"] == pytest.approx(100 * (13 * 30 + thresholds) / 31 / 14)


def test_the_pelvis_is_the_root_and_rigid_alignment_takes_size_too(root: Path) -> None:
    joints = 1.3 * TRUE
    result = measured(root, "mpi_inf_3dhp17", joints)
    away = np.linalg.norm(TRUE - TRUE[:, PELVIS : PELVIS + 1], axis=2)
    numbers = result.rows[0].numbers
    assert numbers["mpjpe_mm"] == pytest.approx(300 * away.mean(), abs=1e-2)
    assert numbers["pa_mpjpe_mm"] == pytest.approx(0, abs=1e-3)
    assert numbers["pa_pck_percent"] == 100


def test_without_spine_and_head_only_14_are_measured(root: Path) -> None:
    """Their root is then the middle of the hips."""
    joints = TRUE[:, list(correspondence("mpi_inf_3dhp17", "lsp14"))]
    result = measured(root, "lsp14", joints)
    assert [row.method for row in result.rows] == ["test, 14 joints throughout"]
    hips = joints[:, [2, 3]].mean(1)
    apart = np.linalg.norm((hips - TRUE[:, PELVIS]), axis=1)
    assert result.rows[0].numbers["mpjpe_mm"] == pytest.approx(1000 * apart.mean(), abs=1e-2)
    assert "no spine and head" in result.facts["joints"]
    assert len(result.joint_errors) == 14


def test_published_counts_and_names() -> None:
    assert sum(PUBLISHED_FRAMES.values()) == 2_929
    assert len(ACTIVITIES) == 7
    assert NAMES[:14] == (
        "head_top", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
        "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    )  # fmt: skip
    assert SKELETONS["mpi_inf_3dhp17"].joints[14:] == ("pelvis", "spine1", "head")
