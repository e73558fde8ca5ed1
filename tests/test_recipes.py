"""Every recipe makes two steps by its command; what a recipe asks for and what its data give; changes to recipes."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from monobody.body.model import Body
from monobody.cli import main
from monobody.data.pose_bank import PoseBank
from monobody.data.prepared import FORMAT
from monobody.data.prepared_writer import Origin, write_prepared
from monobody.data.region import region_from_joints
from monobody.data.sample import Sample
from monobody.errors import UserError
from monobody.models.hmr import model_on_card
from monobody.models.storage import load_weights, read_card
from monobody.train.hmr_task import LossWeights
from monobody.train.log import read_table
from monobody.train.mixture import available
from monobody.train.recipe import changed, parse_mixture
from monobody.train.recipes import RECIPES, find_recipe, table
from monobody.train.sources import real_bodies_of, stream

PUBLISHED = ("hmr-paired", "hmr-unpaired", "hmr-no-critic-no-3d")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with thirty poses in it and nothing else."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    names, weights = np.array(["made"] * 30), np.full(30, 1 / 30, np.float32)
    poses = (0.3 * rng.normal(size=(30, 24, 3))).astype(np.float32)
    held_out = np.arange(30) % 3 == 0
    bank = PoseBank(
        rotations_aa=poses, source=names, clip=names, action=names, held_out=held_out, balanced=weights, unusual=weights
    )  # fmt: skip
    bank.save(folder / "pose_bank.npz")
    return folder


def train(name: str, data: Path, out: Path, *options: str) -> dict[str, list[float]]:
    model = find_recipe(name).model
    small = ["--backbone", "resnet18", "--size", "64"] if model.startswith("hmr-resnet") else []
    rows = [] if model == "lift" else ["--batch", "3", "--workers", "0"]
    command = ["train", name, "--steps", "2", *rows, "--data", str(data), "--out", str(out), "--device", "cpu"]
    assert main([*command, *small, *options]) == 0
    return read_table(out / "train.csv")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(name for name in RECIPES if find_recipe(name).hypotheses is None))
def test_every_recipe_makes_two_steps(name: str, data: Path, tmp_path: Path) -> None:
    losses = train(name, data, tmp_path)
    assert losses["step"] == [1, 2]
    assert all(np.isfinite(column).all() for column in losses.values())
    weights = find_recipe(name).weights
    if find_recipe(name).model == "lift":
        return
    expected = {"keypoints": weights.keypoints, "joints": weights.joints, "parameters": weights.parameters}
    expected |= {"adversarial": weights.adversarial, "critic": weights.adversarial}
    expected |= {"landmarks": weights.landmarks, "heat_maps": weights.heat_maps}
    for term, weight in expected.items():
        assert (term in losses) == (weight > 0), term
        assert weight == 0 or max(losses[term]) > 0
    card = read_card(tmp_path / "weights.safetensors")
    body = Body.load()
    model = model_on_card(card, body=body)
    load_weights(model, tmp_path / "weights.safetensors", body_digest=body.digest)
    assert "synthetic people" in card["data"]


def test_the_published_variants_differ_in_their_labels_alone() -> None:
    paired, unpaired, monsters = (asdict(find_recipe(name)) for name in PUBLISHED)
    differing = {key for key in paired if not paired[key] == unpaired[key] == monsters[key]}
    assert differing == {"name", "mixture", "weights"}
    recipe = find_recipe("hmr-paired")
    assert (recipe.encoder_rate, recipe.regressor_rate, recipe.critic_rate) == (1e-5, 1e-5, 1e-4)
    assert (recipe.batch, recipe.rotation, recipe.weight_decay, recipe.plan.clip_norm) == (64, "axis-angle", 0.0, None)
    assert recipe.weights == LossWeights(
        keypoints=60, joints=60, parameters=60, squared_joints=True, earlier=0, adversarial=1
    )
    halves = [sum(recipe.mixture[name] for name in kind) for kind in (("h36m", "mpi_inf_3dhp"), ("coco", "mpii"))]
    assert halves[0] == pytest.approx(0.5)
    shares = {name: round(100 * share, 1) for name, share in recipe.mixture.items()}
    assert shares == {"h36m": 34.0, "mpi_inf_3dhp": 16.0, "coco": 36.0, "mpii": 9.1, "lsp_extended": 4.5, "lsp": 0.5}
    assert not set(find_recipe("hmr-unpaired").mixture) & {"h36m", "mpi_inf_3dhp"}


def test_missing_sets_are_named_and_replaced(data: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("monobody.train.mixture.Prepared", lambda folder: [])
    paired = find_recipe("hmr-paired")
    shares, note = available(paired, None)
    assert shares == pytest.approx({"synthetic": 1.0})
    assert "hmr-paired" in note
    assert "synthetic people" in note
    assert available(find_recipe("tiny"), data)[1].count("lsp_extended") == 1
    for name in ("lsp_extended", "prepared/mpi_inf_3dhp", "prepared/coco"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "manifest.json").write_text(json.dumps({"format": FORMAT, "name": name, "split": "hmr"}))
    shares, note = available(paired, tmp_path)
    # A share of labels stays; within a kind those that are there keep their proportion.
    assert shares["mpi_inf_3dhp"] == pytest.approx(0.5)
    assert shares["coco"] + shares["lsp_extended"] == pytest.approx(0.5)
    assert shares["coco"] / shares["lsp_extended"] == pytest.approx(7.9344)
    assert all(f"prepared/{name}" in note for name in ("h36m", "mpii", "lsp"))
    shares, _ = available(replace(paired, mixture={"h36m": 0.2, "mpii": 0.8}), tmp_path)
    assert shares == pytest.approx({"synthetic": 0.2, "lsp_extended": 0.8})
    assert available(replace(paired, mixture={"mpi_inf_3dhp": 1, "coco": 2}), tmp_path)[1] == ""


def test_somebodys_own_set_is_looked_at_and_test_sets_are_not(tmp_path: Path) -> None:
    for name, known in (("fits", True), ("clicks", False)):
        write_prepared(name, [person(i, known=known) for i in range(2)], tmp_path / "prepared" / name)
    own = replace(find_recipe("hmr-paired"), mixture={"fits": 0.4, "clicks": 0.6, "h36m": 0.1})
    assert available(own, tmp_path)[0] == pytest.approx({"fits": 0.5, "clicks": 0.6})
    with pytest.raises(UserError, match="hmr-unpaired"):
        available(replace(own, mixture={"clicks": 1.0}), tmp_path)
    held_out = Origin(name="threedpw", split="test")
    write_prepared(held_out, [person(0, known=True)], tmp_path / "prepared" / "threedpw")
    with pytest.raises(UserError, match="measure with"):
        available(replace(own, mixture={"threedpw": 1.0}), tmp_path)


def test_labels_in_3d_need_a_set_that_has_them(data: Path) -> None:
    paired = replace(find_recipe("hmr-paired"), mixture={"coco": 1.0})
    with pytest.raises(UserError, match="hmr-unpaired"):
        available(paired, data)
    assert available(replace(find_recipe("hmr-unpaired"), mixture={"coco": 1.0}), None)[0] == {"synthetic": 1.0}


@pytest.mark.slow
def test_the_missing_are_told_on_the_terminal(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    losses = train("hmr-modern", data, tmp_path, "--mixture", "surreal=0.5,synthetic=0.5")
    assert set(losses) >= {"critic", "keypoints"}
    told = [line for line in capsys.readouterr().err.splitlines() if "prepared/surreal" in line]
    assert len(told) == 1
    assert "synthetic people 100 %" in told[0]


def person(number: int, *, known: bool) -> Sample:
    """Noise, with joints somewhere in it; where known, with rotations and shapes that mean SMPL."""
    rng = np.random.default_rng(number)
    keypoints = rng.uniform(20, 80, (19, 2)).astype(np.float32)
    labels = {
        "joints_cam_m": rng.normal(size=(14, 3)).astype(np.float32) * 0.3,
        "rotations": np.tile(np.eye(3, dtype=np.float32), (24, 1, 1)),
        "betas": np.full(10, 7, np.float32),
        "shape_space": "smpl",
    }
    return Sample(
        image=rng.integers(0, 256, (100, 100, 3), np.uint8),
        crop=region_from_joints(keypoints[:14]),
        keypoints_px=keypoints,
        visible=np.ones(19, np.float32),
        **(labels if known else {}),
    )


@pytest.mark.slow
def test_prepared_sets_are_trained_on(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "data"
    (folder / "prepared").mkdir(parents=True)
    (folder / "pose_bank.npz").symlink_to(data / "pose_bank.npz")
    for name, known in (("h36m", True), ("mpii", False)):
        origin = Origin(name=name, licence=f"as {name} says")
        write_prepared(origin, [person(i, known=known) for i in range(6)], folder / "prepared" / name)
    recipe = replace(find_recipe("hmr-paired"), mixture={"h36m": 0.5, "mpii": 0.5}, batch=8, workers=0)
    batch = next(stream(recipe, folder, 64)(0, 0, 1))
    assert 3 <= batch["has_joints_3d"].sum() == batch["has_body"].sum() <= 5
    assert batch["has_betas"].sum() == 0, "SMPL's shapes are not ours"
    assert "parameters" in train("hmr-paired", folder, tmp_path / "out")
    told = capsys.readouterr().err
    assert "h36m 50 %, mpii 50 % instead" in told
    card = read_card(tmp_path / "out" / "weights.safetensors")
    assert card["data"] == "h36m 50 %, mpii 50 %"
    assert "as h36m says" in card["terms"]
    assert (card["crop"], card["rotation"]) == ("hmr", "axis-angle")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--steps", "0"], "--steps 0"),
        (["--steps", "2", "--minutes", "1"], "one of them"),
        (["--backbone", "vgg"], "resnet34"),
        (["--mixture", "coco"], "coco=0.65"),
        (["--mixture", "coco=-1"], "coco=0.65"),
        (["--mixture", "coco=1"], "hmr-unpaired"),
    ],
)
def test_impossible_changes_are_refused(options: list[str], sentence: str, tmp_path: Path, capsys) -> None:
    assert main(["train", "hmr-paired", "--out", str(tmp_path), *options]) == 2
    assert sentence in capsys.readouterr().err


def test_a_detector_of_hypotheses_takes_other_widths_and_sizes() -> None:
    small = changed(find_recipe("xas-mini-photos"), backbone="xas-small", size=64)
    assert (small.model, small.size) == ("xas-small", 64)
    for name, backbone in (("xas-mini", "resnet18"), ("xas-animal", "xas-small")):
        with pytest.raises(UserError, match="xas-resnet50, xas-small, xas-mini"):
            changed(find_recipe(name), backbone=backbone)


def test_a_backbone_takes_what_it_can() -> None:
    modern = changed(find_recipe("hmr-modern"), backbone="resnet18", size=128, batch=8)
    assert (modern.model, modern.size, modern.batch, modern.full_image) == ("hmr-resnet18", 128, 8, True)
    small = changed(find_recipe("hmr-paired"), backbone="small")
    assert (small.model, small.rotation, small.crop, small.weights.adversarial) == ("hmr-small", "6d", "region", 1)
    assert small.weights.heat_maps > 0
    large = changed(find_recipe("hmr-small"), backbone="resnet50")
    assert not any([large.begins_with_lifter, large.conditioned, large.frozen_depthwise, large.cached])
    assert parse_mixture("h36m=0.35, coco=1e-1") == {"h36m": 0.35, "coco": 0.1}


def test_recipes_are_listed_in_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(RECIPES)
    assert table().splitlines() == lines
    assert main(["train"]) == 2
    assert "--list" in capsys.readouterr().err


@pytest.mark.parametrize("with_bank", [True, False])
def test_real_bodies_come_from_the_bank_or_the_prior(with_bank: bool, data: Path) -> None:
    bodies = real_bodies_of(data if with_bank else None)
    rotations, betas = bodies(3, 12)
    assert rotations.shape == (12, 23, 3, 3)
    assert betas.shape == (12, 10)
    for one, other in zip(bodies(3, 12), (rotations, betas), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(bodies(4, 12)[0], rotations)
    determinant = torch.linalg.det(torch.from_numpy(rotations))
    torch.testing.assert_close(determinant, torch.ones(12, 23), atol=1e-4, rtol=0)
