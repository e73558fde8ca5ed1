"""Pseudo-labels: who is witness to what, which fits are dropped, and what becomes of the others."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from monobody.body.skeleton import SKELETONS, correspondence
from monobody.data.crop import Crop
from monobody.data.prepared import Prepared
from monobody.data.prepared_writer import write_prepared
from monobody.data.sample import NO_AUGMENT, Sample, training_row
from monobody.data.shards import SampleFiles
from monobody.errors import UserError
from monobody.evaluate.quick import SYNTHETIC, find_people
from monobody.fit.kept import Judged, Labelled, Thresholds
from monobody.fit.pseudo_labels import Seen
from monobody.metrics import pa_mpjpe
from monobody.predict.pseudo_labels import Labeller

ROOT = Path(__file__).resolve().parents[1]
FLIP = list(SKELETONS["lsp14"].flip)
LIMBS = [(i, source) for i, source in enumerate(correspondence("blazepose33", "lsp14")) if source >= 0]
STANDING = torch.tensor(
    [[40, 200], [40, 150], [42, 100], [58, 100], [60, 150], [60, 200], [15, 90], [20, 60], [35, 30], [65, 30], [80, 60],
     [85, 90], [50, 25], [50, 0]], dtype=torch.float32,
)  # fmt: skip
"""Somebody of 200 pixels who faces the camera, LSP's joints: their right is on the left."""


def seen(clicks: torch.Tensor, landmarks: torch.Tensor | None = None, *, score: float = 0.9) -> Seen:
    """One person; the landmarks of the limbs where they truly are unless said otherwise."""
    truth = STANDING if landmarks is None else landmarks
    points = torch.zeros(1, 33, 2)
    points[0, [source for _, source in LIMBS]] = truth[[i for i, _ in LIMBS]]
    points[0, 0] = torch.tensor([50.0, 10.0])
    return Seen(
        clicks_px=clicks[None].clone(),
        marked=torch.ones(1, 14),
        landmarks_px=points,
        scores=torch.full((1, 33), score),
        focal_px=torch.tensor([500.0]),
        principal_px=torch.tensor([[50.0, 100.0]]),
    )


def judged(**measures: Sequence[float]) -> Judged:
    """Fits without fault but for the measures given."""
    n = len(next(iter(measures.values()), [0.0]))
    good = {
        "reprojection": 0.01, "worst": 0.02, "prior_nats": 150.0, "beyond_limits": 0.0, "overlap_m": 0.0,
        "apart_mm": 20.0, "exchanged": False, "same_person": True, "marked": 14,
    }  # fmt: skip
    columns = {name: np.full(n, value) for name, value in good.items()}
    columns |= {name: np.array(values) for name, values in measures.items()}
    return Judged(
        names=np.array([f"im{i}" for i in range(n)]),
        index=np.arange(n),
        rotations=np.tile(np.eye(3, dtype=np.float32), (n, 24, 1, 1)),
        betas=np.zeros((n, 10), np.float32),
        translation_m=np.zeros((n, 3), np.float32),
        joints_cam_m=np.random.default_rng(0).uniform(size=(n, 14, 3)).astype(np.float32),
        **columns,
    )


class Photos(Sequence[Sample]):
    """A few clicked photos."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Sample:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not 0 <= index < len(self):
            raise IndexError(index)
        image = np.random.default_rng(index).integers(0, 255, (240, 120, 3), np.uint8)
        points, visible = np.zeros((19, 2), np.float32), np.zeros(19, np.float32)
        points[:14], visible[:14] = STANDING.numpy() + 5, 1
        return Sample(image=image, crop=Crop((55.0, 105.0), 250.0), keypoints_px=points, visible=visible)

    def name(self, index: int) -> str:
        return f"im{index}"


def test_sides_exchanged_by_those_who_clicked_are_seen() -> None:
    assert not seen(STANDING).sides_exchanged().any()
    assert seen(STANDING[FLIP]).sides_exchanged().all()
    noise = 4 * torch.randn(14, 2, generator=torch.Generator().manual_seed(0))
    assert not seen(STANDING + noise).sides_exchanged().any()
    assert seen(STANDING[FLIP] + noise).sides_exchanged().all()


def test_what_nobody_clicked_says_nothing() -> None:
    person = seen(STANDING[FLIP])
    person.marked[0, :2] = 0
    person.clicks_px[0, :2] = torch.nan
    assert person.sides_exchanged().all()
    assert float(person.sizes_px()[0]) == 200
    honest = seen(STANDING)
    honest.marked[0, :2] = 0
    honest.clicks_px[0, :2] = torch.nan
    assert honest.same_person().all()
    assert not honest.sides_exchanged().any()


def test_nobody_is_accused_of_exchanged_sides_on_no_evidence() -> None:
    narrow = STANDING.clone()
    narrow[:, 0] = 50 + (narrow[:, 0] - 50) / 20  # From the side, left and right are at one place.
    assert not seen(narrow[FLIP], narrow).sides_exchanged().any()
    elsewhere = seen(STANDING[FLIP], STANDING + 500)
    assert not elsewhere.sides_exchanged().any()
    assert not elsewhere.same_person().any()
    one_leg = replace(seen(STANDING[FLIP]), marked=torch.tensor([[1.0, 0, 0, 0, 0, 1] + 8 * [0.0]]))
    assert not one_leg.sides_exchanged().any(), "two joints are too few to tell"


def test_whoever_stands_elsewhere_is_not_a_witness() -> None:
    apart = seen(STANDING, STANDING + 500)
    without, beside = apart.evidence().confidence, seen(STANDING).evidence().confidence
    assert without is not None
    assert beside is not None
    assert (without[0, 14:] == 0).all()
    assert (beside[0, 14] > 0).all()
    given = apart.lifted_from(STANDING[None], STANDING[None, :1].expand(1, 33, 2), torch.ones(1, 33, 3))
    assert (given.world_score == 0).all()
    assert (given.score > 0).sum() == 14, "only the clicks are left"


def test_landmarks_fill_what_nobody_clicked_and_count_less() -> None:
    person = seen(STANDING)
    person.marked[0, 0] = 0
    person.clicks_px[0, 0] = torch.nan
    evidence = person.evidence()
    assert evidence.keypoints_px is not None
    assert evidence.confidence is not None
    assert torch.equal(evidence.keypoints_px[0, 0], STANDING[0])
    assert 0 < float(evidence.confidence[0, 0]) < 0.5
    assert (evidence.confidence[0, 1:14] == 1).all()


def test_a_landmark_that_contradicts_its_click_loses_its_depth() -> None:
    moved = STANDING.clone()
    moved[0, 0] += 60  # The right ankle, landmark 28.
    person = seen(moved)
    in_crop = person.clicks_px / 100 - 1
    given = person.lifted_from(in_crop, person.landmarks_px / 100 - 1, torch.ones(1, 33, 3))
    assert float(given.world_score[0, 28]) == 0
    assert float(given.world_score[0, 27]) > 0
    assert torch.allclose(given.image[0, 28], in_crop[0, 0])


@pytest.mark.parametrize(
    ("measure", "good", "bad"),
    [
        ("reprojection", 0.0299, 0.0301), ("worst", 0.099, 0.101), ("prior_nats", 60.5, 59.5),
        ("beyond_limits", 0.0, 0.05), ("overlap_m", 0.059, 0.061), ("apart_mm", 79.0, 81.0), ("marked", 10, 9),
        ("exchanged", False, True), ("same_person", True, False), ("reprojection", 0.01, np.nan),
        ("apart_mm", 10.0, np.nan), ("prior_nats", 99.0, np.nan),
    ],
)  # fmt: skip
def test_thresholds_drop_what_they_say(measure: str, good: float, bad: float) -> None:
    thresholds = Thresholds(
        fewest_marked=10,
        reprojection=0.03,
        worst=0.1,
        prior_nats=60.0,
        beyond_limits=0.0,
        overlap_m=0.06,
        apart_mm=80.0,
    )
    fits = judged(**{measure: [good, bad, good]})
    assert thresholds.kept(fits).tolist() == [True, False, True]
    assert [bool(reason) for reason in thresholds.first_reasons(fits)] == [False, True, False]
    assert sum(thresholds.counts(fits).values()) == 1


def test_everybody_dropped_is_counted_once() -> None:
    fits = judged(apart_mm=[500.0, 10.0, 500.0], worst=[0.5, 0.5, 0.01])
    counts = Thresholds().counts(fits)
    assert sum(counts.values()) == 3
    assert [n for n in counts.values() if n] == [2, 1], "the first reason in the order of the list counts"


def test_fits_come_back_from_their_file_in_the_order_of_the_set(tmp_path: Path) -> None:
    fits = judged(apart_mm=[1.0, 2.0, 3.0])
    for part, rows in (("b", [0, 2]), ("a", [1])):
        Judged(**{f.name: getattr(fits, f.name)[rows] for f in fields(Judged)}).save(tmp_path / f"{part}.npz")
    back = Judged.together([Judged.load(path) for path in sorted(tmp_path.glob("*.npz"))])
    for field in fields(Judged):
        np.testing.assert_array_equal(getattr(back, field.name), getattr(fits, field.name))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off"])
def test_files_that_are_no_fits_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "000000.npz"
    path.write_bytes(content)
    with pytest.raises(UserError, match="holds no fits"):
        Judged.load(path)


def test_what_is_written_is_what_training_reads(tmp_path: Path) -> None:
    fits = judged(apart_mm=[10.0, 500.0, 10.0, 10.0, 10.0, 10.0])
    chosen = Labelled(Photos(), fits, Thresholds(), {"im2": Crop((50.0, 100.0), 200.0, 0.3)})
    manifest = write_prepared("pseudo", chosen, tmp_path / "pseudo", per_shard=2)
    assert manifest["count"] == 5
    assert sum(manifest["left_out"].values()) == 1
    back = Prepared(tmp_path / "pseudo")
    assert [back.name(i) for i in range(len(back))] == ["im0", "im2", "im3", "im4", "im5"]
    joints, rotations = back[1].joints_cam_m, back[1].rotations
    assert joints is not None
    assert rotations is not None
    np.testing.assert_allclose(joints, fits.joints_cam_m[2], rtol=1e-5)
    np.testing.assert_allclose(rotations, fits.rotations[2], rtol=1e-5)
    assert back[1].crop.angle_rad == pytest.approx(0.3)
    row = training_row(back[0], np.random.default_rng(0), 64, NO_AUGMENT)
    assert (float(row["has_joints_3d"]), float(row["has_body"]), float(row["has_betas"])) == (1, 1, 0)
    assert back[0].focal_px is None, "the focal length was assumed, not known"


def test_a_second_run_writes_the_same_set_again(tmp_path: Path) -> None:
    chosen = Labelled(Photos(), judged(apart_mm=6 * [10.0]), Thresholds(), {})
    first = write_prepared("pseudo", chosen, tmp_path / "pseudo", per_shard=2)
    (tmp_path / "pseudo" / "pseudo-000001.tar").unlink()
    (tmp_path / "pseudo" / "manifest.json").unlink()
    with pytest.raises(UserError):
        Prepared(tmp_path / "pseudo")
    assert write_prepared("pseudo", chosen, tmp_path / "pseudo", per_shard=2) == first
    assert json.loads((tmp_path / "pseudo" / "manifest.json").read_text())["count"] == 6


@pytest.mark.slow
def test_thresholds_keep_the_bodies_that_are_nearer_the_truth() -> None:
    """Rendered people whose joints were clicked: nothing but their pictures and clicks is known to the fits."""
    people = list(SampleFiles(SYNTHETIC)[:48])
    rng, clicked = np.random.default_rng(0), []
    for person in people:
        noise = 0.02 * np.ptp(person.keypoints_px[:14], axis=0).max() * rng.normal(size=(19, 2))
        clicked.append(replace(person, keypoints_px=(person.keypoints_px + noise).astype(np.float32)))
    fits = Labeller.load().label(clicked, find_people(people), [str(i) for i in range(48)], range(48))
    fitted = np.flatnonzero(np.isfinite(fits.reprojection))
    assert len(fitted) > 24
    truth = np.stack([p.joints_cam_m for p in people if p.joints_cam_m is not None])
    errors = pa_mpjpe(torch.from_numpy(fits.joints_cam_m), torch.from_numpy(truth)).numpy()
    most_mm = float(np.median(fits.apart_mm[fitted]))
    keep = Thresholds(apart_mm=most_mm).kept(fits)
    dropped = np.setdiff1d(fitted, np.flatnonzero(keep))
    assert not np.setdiff1d(np.flatnonzero(keep), fitted).size, "who was not fitted is not kept"
    assert errors[keep].mean() < 70
    assert errors[dropped].mean() > errors[keep].mean() + 5


@pytest.mark.slow
def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """The script on a prepared set of three people, whose 3D labels it must neither see nor keep."""
    people = [replace(p, joints_cam_m=None, rotations=None, betas=None) for p in SampleFiles(SYNTHETIC)[:3]]
    write_prepared("clicked", people, tmp_path / "clicked")
    out = tmp_path / "labels"
    command = [sys.executable, ROOT / "scripts" / "make_pseudo_labels.py", tmp_path / "clicked", "-o", out]
    subprocess.run([*command, "--minutes", "0.00001"], capture_output=True, text=True)
    assert not list(out.rglob("*.npz")), "a chunk that was not fitted leaves no file"
    done = subprocess.run([*command, "--spin", tmp_path / "table.npz"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix in (".npz", ".tar")}
    assert len(first) == 2
    record = json.loads((out / "pseudo_labels.json").read_text())
    assert record["kept"] + sum(record["dropped"].values()) == 3
    assert record["kept"] == len(Prepared(out))
    with np.load(tmp_path / "table.npz") as table:
        assert len(table["imgname"]) == record["kept"]
        assert not table["has_smpl"].any()
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert first == {path: path.stat().st_mtime_ns for path in first}
