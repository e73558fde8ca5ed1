"""The ablation: who may look at 3D labels, what is compared where, and the whole command on procedural people."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.errors import UserError
from monobody.evaluate.ablation import evaluate_ablation, summarise
from monobody.evaluate.ablation_runs import VARIANTS, WEIGHTS, BlindRegressor, Run, Settings
from monobody.models.blaze import LANDMARKS, BlazeBackbone
from monobody.models.hmr import HMR, BlazeEncoder
from monobody.train.feature_task import FeatureTask
from monobody.train.sources import real_bodies_of
from monobody.train.task import Findings

TINY = Settings(steps=2, rows=8, batch=4, hidden=32, measurements=2, held_out=3, seeds=(0, 1))


def curve(*pairs: tuple[float, float]) -> dict[int, dict[str, float]]:
    """Measurements at steps 1, 2, ...: a 2D error and an error in 3D."""
    return {step: {"error_2d_px": px, "mpjpe_mm": mm} for step, (px, mm) in enumerate(pairs, 1)}


def run_of(variant: str, seed: int, *pairs: tuple[float, float]) -> Run:
    return Run(variant=variant, seed=seed, measured=curve(*pairs), folder=Path("nowhere"))


def test_variants_are_compared_where_their_2d_errors_are_equal() -> None:
    paired, unpaired, monsters = VARIANTS
    runs = [
        run_of(paired, 0, (9, 100), (6, 80), (5, 70)),
        run_of(paired, 1, (9, 104), (7, 90), (5.5, 74)),
        run_of(unpaired, 0, (9, 120), (5.4, 110), (4, 105)),
        run_of(unpaired, 1, (9, 121), (6, 116), (5, 109)),
        run_of(monsters, 0, (5.2, 300), (3, 400), (2, 500)),
        run_of(monsters, 1, (5.3, 304), (3, 410), (2, 520)),
    ]
    report = summarise(runs)
    assert report["target_2d_px"] == 5.5  # The slowest run's best.
    assert report["rows"][paired]["mpjpe_mm"] == (70 + 74) / 2
    assert report["rows"][unpaired]["mpjpe_mm"] == (110 + 109) / 2
    assert report["rows"][monsters]["mpjpe_mm"] == (300 + 304) / 2
    assert report["rows_at_the_end"][monsters]["mpjpe_mm"] == (500 + 520) / 2
    assert report["rows"][monsters]["step"] == 1
    assert [report["spread"][variant]["mpjpe_mm"] for variant in VARIANTS] == [4, 1, 4]


def test_differences_below_the_spread_are_called_so() -> None:
    paired, unpaired, monsters = VARIANTS
    runs = [
        run_of(paired, 0, (5, 100)), run_of(paired, 1, (5, 110)), run_of(unpaired, 0, (5, 112)),
        run_of(unpaired, 1, (5, 114)), run_of(monsters, 0, (5, 200)), run_of(monsters, 1, (5, 201)),
    ]  # fmt: skip
    said = {line.split(" against")[0]: line for line in summarise(runs)["verdicts"]}
    assert "within the seeds' spread" in said[f"mpjpe_mm, {unpaired}"]
    assert "+87.5" in said[f"mpjpe_mm, {monsters}"]


def features_of(folder: Path, rows: int) -> None:
    """A folder of features and labels such as `cache_features` writes."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    labels = {
        "features": rng.random((rows, BlazeEncoder.output_size)).astype(np.float16),
        "keypoints_2d": rng.uniform(-1, 1, (rows, 19, 2)).astype(np.float32),
        "visible": np.ones((rows, 19), np.float32),
        "joints_3d": rng.normal(size=(rows, 14, 3)).astype(np.float32),
        "has_joints_3d": np.ones(rows, np.float32),
        "rotations": np.tile(np.eye(3, dtype=np.float32), (rows, 24, 1, 1)),
        "betas": np.zeros((rows, 10), np.float32),
        "has_body": np.ones(rows, np.float32),
        "has_betas": np.ones(rows, np.float32),
    }
    for name, values in labels.items():
        np.save(folder / f"{name}.npy", values)


@pytest.fixture(scope="module")
def joint_body() -> JointBody:
    return JointBody.from_body(Body.load(), ("cocoplus19",))


def task_of(variant: str, folder: Path, joint_body: JointBody) -> FeatureTask:
    torch.manual_seed(0)
    model = HMR("ablation", BlazeEncoder(BlazeBackbone()), BlindRegressor(32), input_size=256)
    return FeatureTask(
        model, joint_body, folder, lambda model, body: Findings(numbers={}), weights=WEIGHTS[variant], rate=1e-3,
        batch=4, look_at_3d=variant == "hmr_paired", bodies=real_bodies_of(None),
    )  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_the_paired_variant_sees_3d_labels(variant: str, tmp_path: Path, joint_body: JointBody) -> None:
    """Other 3D labels must change the paired variant's gradient and nobody else's."""
    features_of(tmp_path / "one", 6)
    features_of(tmp_path / "other", 6)
    for name in ("joints_3d", "betas"):
        values = np.load(tmp_path / "other" / f"{name}.npy")
        np.save(tmp_path / "other" / f"{name}.npy", values + 1)
    gradients = []
    for folder in ("one", "other"):
        task = task_of(variant, tmp_path / folder, joint_body)
        batch = next(task.batches(0, process=0, processes=1))
        assert bool(torch.isnan(batch["joints_3d"]).all()) == (variant != "hmr_paired")
        task.model.regressor.eval()
        torch.stack(list(task.losses(batch).values())).sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in task.model.regressor.parameters() if p.grad is not None]))
    assert gradients[0].isfinite().all()
    assert gradients[0].norm() > 0
    assert torch.equal(*gradients) == (variant != "hmr_paired")


def test_the_critic_is_where_it_should_be(tmp_path: Path, joint_body: JointBody) -> None:
    features_of(tmp_path / "features", 6)
    terms = {}
    for variant in VARIANTS:
        task = task_of(variant, tmp_path / "features", joint_body)
        terms[variant] = set(task.losses(next(task.batches(0, process=0, processes=1))))
    paired, unpaired, monsters = (terms[variant] for variant in VARIANTS)
    assert {"keypoints", "joints", "parameters", "adversarial", "critic"} == paired
    assert {"keypoints", "adversarial", "critic"} == unpaired
    assert {"keypoints"} == monsters


def test_depths_and_metres_are_kept_from_the_regressor() -> None:
    regressor = BlindRegressor(32).eval()
    features = torch.rand(2, BlazeEncoder.output_size, requires_grad=True)
    output = regressor(features)[-1]
    (output.rotations.square().sum() + output.rotations.sum() + output.camera.sum()).backward()
    assert features.grad is not None
    used = features.grad.abs().sum(0) > 0
    pooled = BlazeBackbone.pooled_size
    landmarks = used[pooled : pooled + 5 * LANDMARKS].unflatten(0, (LANDMARKS, 5))
    assert used[:pooled].float().mean() > 0.9
    assert landmarks[:33, [0, 1, 3, 4]].all()
    assert not landmarks[:, 2].any()
    assert not used[pooled + 5 * LANDMARKS :].any()


@pytest.mark.slow
def test_the_whole_command_on_procedural_people(tmp_path: Path) -> None:
    report = evaluate_ablation(out=tmp_path / "run", settings=TINY)
    written = json.loads((tmp_path / "run" / "ablation.json").read_text())
    assert set(written["rows"]) == set(VARIANTS)
    for row in written["rows"].values():
        assert 50 < row["pa_mpjpe_mm"] < row["mpjpe_mm"] < 2000
        assert all(isinstance(value, float) for value in row.values())
    assert written["held_out_people"] == TINY.held_out
    assert (tmp_path / "run" / "ablation.png").stat().st_size < 300_000
    assert "data:image/png;base64," in (tmp_path / "run" / "ablation.html").read_text()
    assert {run["seed"] for run in written["runs"]} == {0, 1}
    # All begin with the same network, whatever their seed, and differ after it.
    assert len({run["mpjpe_mm"] for run in report["runs"]}) == 6

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.safetensors")}
    again = evaluate_ablation(out=tmp_path / "run", settings=TINY)
    assert again["rows"] == report["rows"]
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.safetensors")}
    with pytest.raises(UserError, match="other settings"):
        evaluate_ablation(out=tmp_path / "run", settings=Settings(steps=3))
