"""What training finds in a folder of data: photos to validate with, bad ones counted, loaders, terms."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_assets import smpl_like, write_npz
from test_recipes import person

from monobody.body.assets import load_body_data
from monobody.body.model import Body
from monobody.cli import main
from monobody.data.datasets.lsp_extended import LICENCE
from monobody.data.packed import pack_samples
from monobody.data.prepared_writer import Origin, write_prepared
from monobody.errors import UserError
from monobody.models.hmr import model_on_card
from monobody.models.storage import load_weights, read_card
from monobody.train import sources
from monobody.train.log import read_table
from monobody.train.recipes import find_recipe
from monobody.train.run import terms_of

TINY = replace(find_recipe("tiny-device"), validation_synthetic=0, workers=0)


def prepared(data: Path, name: str, count: int, split: str = "train") -> None:
    origin = Origin(name=name.removesuffix("_validation"), split=split, licence=f"as {name} says")
    write_prepared(origin, [person(i, known=False) for i in range(count)], data / "prepared" / name)


@pytest.mark.slow
def test_prepared_photos_are_validated_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepared(tmp_path, "lsp_extended", 5)
    assert sources.validation_of(TINY, tmp_path, 64).photos is None
    assert capsys.readouterr().err.count("no photos to validate with") == 1
    # Processes that measure nothing say nothing.
    sources.validation_of(replace(TINY, validation_photos=0), tmp_path, 64)
    assert capsys.readouterr().err == ""
    prepared(tmp_path, "lsp_extended_validation", 3, "validation")
    photos = sources.validation_of(TINY, tmp_path, 64).photos
    assert photos is not None
    assert len(photos["images"]) == 3
    assert capsys.readouterr().err == ""
    assert sources.photos_of(tmp_path, "train") is None


def test_bad_photos_beside_people_drawn_on_the_device_are_counted(tmp_path: Path) -> None:
    photos = [person(i, known=False) for i in range(6)]
    photos[2] = replace(photos[2], keypoints_px=np.full((19, 2), np.nan, np.float32))
    pack_samples(photos, tmp_path / "photos_train.npz", region_px=40, quality=80, megabytes=1)
    # Every sixth photo is bad: one in a batch of six is not yet reason to stop.
    recipe = replace(TINY, batch=12, photo_share=0.5)
    batch = next(sources.stream(recipe, tmp_path, 64)(0, 0, 1))
    assert len(batch["images"]) == 12
    assert batch["has_body"].sum() == 6
    assert batch["skipped"].sum() >= 1


def test_no_more_loaders_than_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(tmp_path, "coco", 2)
    asked: list[int] = []
    monkeypatch.setattr(sources, "cores", lambda: 3)
    monkeypatch.setattr(sources, "batches", lambda mix, *, workers, **_: asked.append(workers))
    recipe = replace(find_recipe("hmr-unpaired"), mixture={"coco": 1.0})
    for workers in (8, 2, 0):
        sources.stream(replace(recipe, workers=workers), tmp_path, 64)(0, 0, 1)
    assert asked == [3, 2, 0]


def test_terms_of_lsp_extended_in_its_own_layout(tmp_path: Path) -> None:
    prepared(tmp_path, "coco", 1)
    (tmp_path / "lsp_extended").mkdir()
    terms = terms_of(["lsp_extended", "coco"], tmp_path)
    assert LICENCE in terms
    assert "coco: as coco says" in terms
    assert "licence not stated" not in terms
    assert "mpii: licence not stated" in terms_of(["coco", "mpii"], tmp_path)


@pytest.mark.slow
def test_training_for_somebodys_own_body(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_npz(tmp_path / "SMPL_NEUTRAL.npz", smpl_like(load_body_data(), 6890, 10))
    known = [person(i, known=True) for i in range(6)]
    write_prepared("fits", known, tmp_path / "data" / "prepared" / "fits")
    out = tmp_path / "out"
    small = ["--steps", "2", "--batch", "4", "--backbone", "resnet18", "--size", "64", "--workers", "0"]
    command = ["train", "hmr-resnet50", "--mixture", "fits=1", *small, "--device", "cpu", "--out", str(out)]
    command += ["--data", str(tmp_path / "data"), "--body", str(file)]
    assert main(command) == 0
    assert np.isfinite(read_table(out / "train.csv")["parameters"]).all()
    card = read_card(out / "weights.safetensors")
    body = Body.load(file)
    load_weights(model_on_card(card, body=body), out / "weights.safetensors", body_digest=body.digest)
    assert "terms of the body SMPL_NEUTRAL" in card["terms"]
    shipped = Body.load()
    with pytest.raises(UserError, match="another body"):
        load_weights(model_on_card(card, body=shipped), out / "weights.safetensors", body_digest=shipped.digest)
    # The run belongs to its body.
    assert main([*command[:-2], "--resume"]) == 2
    assert main([*command, "--resume"]) == 0
    for recipe, remedy in (("lift", "leave --body out"), ("hmr-small", "--backbone")):
        assert main(["train", recipe, "--body", str(file), "--out", str(tmp_path / recipe)]) == 2
        assert remedy in capsys.readouterr().err


@pytest.mark.slow
def test_shapes_are_labels_of_their_own_body_alone(tmp_path: Path) -> None:
    write_prepared("fits", [person(i, known=True) for i in range(6)], tmp_path / "prepared" / "fits")
    recipe = replace(find_recipe("tiny"), mixture={"fits": 0.5, "synthetic": 0.5}, batch=8)
    for drawn in (False, True):
        batch = next(sources.stream(replace(recipe, draw_on_device=drawn), tmp_path, 64, shape_space="smpl")(0, 0, 1))
        ours = (batch["betas"] != 7).all(1)
        assert 3 <= ours.sum() <= 5
        assert (batch["has_betas"] == (~ours).float()).all()
        assert (batch["betas"][ours] == 0).all()
        assert batch["has_body"].all()
