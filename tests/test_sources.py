"""What training finds in a folder of data: photos to validate with, bad ones counted, loaders, terms."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_recipes import person

from monobody.data.datasets.lsp_extended import LICENCE
from monobody.data.packed import pack_samples
from monobody.data.prepared_writer import Origin, write_prepared
from monobody.train import sources
from monobody.train.recipes import find_recipe
from monobody.train.run import terms_of

TINY = replace(find_recipe("tiny-device"), validation_synthetic=0, workers=0)


def prepared(data: Path, name: str, count: int, split: str = "train") -> None:
    origin = Origin(name=name.removesuffix("_validation"), split=split, licence=f"as {name} says")
    write_prepared(origin, [person(i, known=False) for i in range(count)], data / "prepared" / name)


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
