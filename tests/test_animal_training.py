"""Training on animals: batches as functions of seed and number, measures that know the truth, the recipe itself."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from few_textures import few_textures

from monobody.body.assets import SHIPPED_ANIMAL
from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS
from monobody.cli import main
from monobody.data.animal_rows import PHOTO_EVERY, Window, animal_batches
from monobody.data.region import ANIMAL_MARGIN
from monobody.data.synthetic_animals import SyntheticAnimals
from monobody.errors import UserError
from monobody.models.detectors import detector_of
from monobody.models.skeleton_mask import Limbs, skeleton_mask
from monobody.models.storage import load_weights, read_card, save_weights
from monobody.predict.predictor import load
from monobody.train import animal_run
from monobody.train.animal_validation import AnimalValidation, animal_sheet, mean_cube
from monobody.train.log import read_table
from monobody.train.recipes import find_recipe
from monobody.train.run import train

SMALL = Window(fresh=2, first=6, largest=8)


@pytest.fixture(scope="module")
def animals() -> SyntheticAnimals:
    return SyntheticAnimals(seed=3, textures=few_textures())


@pytest.fixture(scope="module")
def validation(animals: SyntheticAnimals) -> AnimalValidation:
    body = Body.load(SHIPPED_ANIMAL, animals=True)
    return AnimalValidation([animals[i] for i in range(24)], body, mean_cube([animals[i] for i in range(24, 48)]))


def test_batches_depend_on_seed_and_number_alone(animals: SyntheticAnimals) -> None:
    through = list(islice(animal_batches(animals, 4, window=SMALL), 4))
    resumed = next(animal_batches(animals, 4, first=3, window=SMALL))
    for name, value in through[3].items():
        assert torch.equal(value, resumed[name]), name
    other = next(animal_batches(animals, 4, first=3, process=1, processes=2, window=SMALL))
    assert not torch.equal(other["images"], resumed["images"])


def test_some_pictures_never_show_their_joints(animals: SyntheticAnimals) -> None:
    batches = list(islice(animal_batches(animals, 6, appearance=None, window=SMALL), 6))
    labelled = torch.cat([batch["has_joints"] for batch in batches]) > 0
    known = torch.cat([batch["known"] for batch in batches]).any(1)
    assert torch.equal(labelled, known)
    assert 0.4 < labelled.float().mean() < 0.9
    assert torch.cat([batch["has_mask"] for batch in batches]).all()
    assert PHOTO_EVERY == 3


def test_the_truth_itself_has_no_error(validation: AnimalValidation) -> None:
    errors = validation.truth.errors(validation.truth.cube, "quadruped")
    for name, value in errors.items():
        assert value.max() < 0.01, name
    joints = validation.truth.joints_m.double().numpy()
    trunk = np.linalg.norm(joints[:, SKELETONS["quadruped"].index("thorax")] - joints[:, 0], axis=-1)
    # Spines bend, but the unit is that of an animal with half a metre of trunk.
    assert 0.42 < np.median(trunk) < 0.55


def test_guesses_are_worse_than_the_truth_and_better_than_nothing(validation: AnimalValidation) -> None:
    guesses = validation.guesses()
    true = validation.truth.joints_m.numpy()
    nothing = 1000 * np.linalg.norm(true - true[:, :1], axis=-1).mean()
    assert 50 < guesses["resting_turned_mpjpe_mm"] < guesses["mean_row_mpjpe_mm"] < nothing
    assert 0 < guesses["mean_row_pck_0.05"] < guesses["mean_row_pck_0.1"] < 100


def test_the_skeleton_covers_most_of_the_animal(validation: AnimalValidation) -> None:
    """The mask that the loss draws is that of the picture: rows, skeleton and limbs speak of one frame."""
    drawn = skeleton_mask(validation.rows["joints"][..., :2], Limbs.of("quadruped"), 64) > 0.3
    mask = validation.rows["mask"] > 127
    overlap = (drawn & mask).sum((1, 2)) / (drawn | mask).sum((1, 2))
    wrong = (drawn & mask.flip(2)).sum((1, 2)) / (drawn | mask.flip(2)).sum((1, 2))
    assert overlap.mean() > 0.4
    assert overlap.mean() > wrong.mean() + 0.1


def test_sheets_have_all_crops(validation: AnimalValidation) -> None:
    crops = validation.rows["images"][:5].permute(0, 2, 3, 1).numpy()
    pose = validation.truth.cube[:5].numpy()
    sheet = animal_sheet(crops, [pose, pose], columns=3, side=32, beside=True)
    assert sheet.shape == (2 * 32, 3 * 5 * 32, 3)
    assert (sheet[32:, 2 * 5 * 32 :] == 255).all()
    red = (sheet[..., 0] > 200) & (sheet[..., 1] < 110)
    assert red.any()


def test_a_detector_of_animals_looks_at_the_upright_square_about_a_box(
    animals: SyntheticAnimals, tmp_path: Path
) -> None:
    """From a weights file to joints in the picture, without a word about people's bodies."""
    body = Body.load(SHIPPED_ANIMAL, animals=True)
    card = {"model": "xas-mini", "size": 64, "bins": 16, "joint_set": "quadruped", "body_digest": body.digest}
    card["widths"] = {"width": 8, "first": 8}
    detector = detector_of(card)
    save_weights(detector, tmp_path / "animal.safetensors", card=card)
    picture = np.zeros((200, 320, 3), np.uint8)
    picture[60:124, 100:164] = animals[0].image
    scene = load(tmp_path / "animal.safetensors", device="cpu")(picture, boxes=[(100, 60, 164, 110)])
    (animal,) = scene.people
    assert animal.crop.angle_rad == 0
    assert animal.crop.size_px == pytest.approx(64 * ANIMAL_MARGIN)
    assert animal.crop.centre_px == pytest.approx((132, 85))
    points = animal.hypotheses[0].joints_px["quadruped"]
    assert points.shape == (22, 2)
    assert (np.abs(points - (132, 85)) <= 0.51 * animal.crop.size_px).all()
    with pytest.raises(UserError, match="finds no people"):
        load(tmp_path / "animal.safetensors", device="cpu", lift=True)


@pytest.mark.slow
def test_the_recipe_makes_two_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    few = few_textures()
    monkeypatch.setattr(
        animal_run,
        "animals_of",
        lambda data, *, seed, size, held_out=False: SyntheticAnimals(seed, few, size=size, held_out=held_out),
    )
    command = ["train", "xas-animal-critic", "--steps", "2", "--batch", "4", "--out", str(tmp_path), "--device", "cpu"]
    assert main(command) == 0
    losses = read_table(tmp_path / "train.csv")
    assert losses["step"] == [1, 2]
    for term in ("plane", "depth", "pairs", "skeleton", "physique", "symmetry", "midpoints", "adversarial", "critic"):
        assert np.isfinite(losses[term]).all(), term
        assert max(losses[term]) > 0, term
    card = read_card(tmp_path / "weights.safetensors")
    assert card["joint_set"] == "quadruped"
    body = Body.load(SHIPPED_ANIMAL, animals=True)
    load_weights(detector_of(card), tmp_path / "weights.safetensors", body_digest=body.digest)


def test_animals_learn_the_shipped_body_alone(tmp_path: Path) -> None:
    recipe = find_recipe("xas-animal")
    with pytest.raises(UserError, match="leave --body out"):
        train(replace(recipe, validation_synthetic=1), out=tmp_path, body=_other_body(tmp_path))


def _other_body(folder: Path) -> Path:
    from monobody.body.assets import SHIPPED_BODY

    file = folder / "other.npz"
    file.write_bytes(SHIPPED_BODY.read_bytes())
    return file
