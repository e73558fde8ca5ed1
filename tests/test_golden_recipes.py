"""Golden curves: the first losses of every recipe, made small, are what they were when somebody last looked at them.

The tolerance is that of other processors' arithmetic, after which a change of data, losses, initial weights or
schedule stands out. `python tests/test_golden_recipes.py` writes the curves anew, for when a change is meant.
"""

import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from test_recipes import train

from monobody.data.crop import Crop
from monobody.data.pose_bank import PoseBank
from monobody.data.prepared_writer import write_prepared
from monobody.data.sample import Sample
from monobody.train import hypotheses_run, run
from monobody.train.recipes import RECIPES, find_recipe
from monobody.train.task import Findings

GOLDEN = Path(__file__).parent / "golden" / "recipes.json"
TOLERANCE = 0.02
NO_LOSSES = {"step", "seconds", "skipped"}


def poses(folder: Path) -> Path:
    """Make a data folder with thirty poses in it."""
    rng = np.random.default_rng(0)
    made, weights = np.array(["made"] * 30), np.full(30, 1 / 30, np.float32)
    PoseBank(
        rotations_aa=(0.3 * rng.normal(size=(30, 24, 3))).astype(np.float32),
        source=made,
        clip=made,
        action=made,
        held_out=np.arange(30) % 3 == 0,
        balanced=weights,
        unusual=weights,
    ).save(folder / "pose_bank.npz")
    return folder


def photos(folder: Path) -> None:
    """Put a prepared set of six pictures with masks into a data folder."""
    rng = np.random.default_rng(1)
    pictures = []
    for number in range(6):
        mask = np.zeros((80, 60), np.uint8)
        mask[10:70, 20 + number : 40] = 255
        image = rng.integers(0, 256, (80, 60, 3), np.uint8)
        image[mask > 0] //= 2
        unseen = np.zeros((19, 2), np.float32)
        pictures.append(
            Sample(image=image, crop=Crop((30.0, 40.0), 76.0), keypoints_px=unseen, visible=unseen[:, 0], mask=mask)
        )
    write_prepared("clothing_coparsing", pictures, folder / "prepared" / "clothing_coparsing")


def curves(name: str, folder: Path) -> dict[str, list[float]]:
    """Return the losses of a recipe's first two steps, and its learning rates."""
    torch.manual_seed(0)
    (folder / "data").mkdir()
    if find_recipe(name).hypotheses is not None:
        photos(folder / "data")
    table = train(name, poses(folder / "data"), folder / "run")
    return {column: values for column, values in table.items() if column not in NO_LOSSES}


@pytest.fixture
def _unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run would be measured on takes seconds to draw, and changes nothing."""
    monkeypatch.setattr(run, "validation_of", lambda *_: lambda model, body: Findings(numbers={}))
    monkeypatch.setattr(hypotheses_run, "validation_samples", lambda *_: ([], []))


@pytest.mark.slow
@pytest.mark.usefixtures("_unmeasured")
@pytest.mark.parametrize("name", sorted(json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}))
def test_first_losses_are_as_they_were(name: str, tmp_path: Path) -> None:
    golden, found = json.loads(GOLDEN.read_text())[name], curves(name, tmp_path)
    assert found.keys() == golden.keys()
    # The critic's share of X as Supervision's loss is 4e-5 at first.
    least = 1e-5 if find_recipe(name).hypotheses is not None else 1e-6
    for column, values in golden.items():
        np.testing.assert_allclose(found[column], values, rtol=TOLERANCE, atol=least, err_msg=f"{name}: {column}")


if __name__ == "__main__":
    import sys

    torch.set_num_threads(1)
    run.validation_of = lambda *_: lambda model, body: Findings(numbers={})  # pyright: ignore
    hypotheses_run.validation_samples = lambda *_: ([], [])  # pyright: ignore
    kept = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    for recipe in sys.argv[1:] or sorted(kept or RECIPES):
        with tempfile.TemporaryDirectory() as scratch:
            kept[recipe] = {
                column: [float(f"{value:.5g}") for value in values]
                for column, values in curves(recipe, Path(scratch)).items()
            }
        # After each one: all of them take minutes.
        GOLDEN.write_text(json.dumps({known: kept[known] for known in sorted(kept)}, indent=1) + "\n")
