"""The recipe of animals, from nothing but the package (or a folder of data beside it) to a weights file."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import torch

from monobody.body.assets import SHIPPED_ANIMAL
from monobody.body.model import Body
from monobody.data.animal_rows import animal_batches
from monobody.data.synthetic_animals import AnimalSample, SyntheticAnimals
from monobody.data.textures import Textures
from monobody.models.detectors import build_detector
from monobody.models.storage import load_weights, save_weights
from monobody.train.animal_validation import AnimalValidation, mean_cube, rounded
from monobody.train.checkpoint import RunState
from monobody.train.engine import fit
from monobody.train.hypotheses_task import HypothesesTask
from monobody.train.processes import is_main
from monobody.train.recipe import Recipe
from monobody.train.task import Batch

COATS = "animal_coats.npz"
"""The drawn animals' own textures in the folder of data (`scripts/build_animal.py --coats`)."""
TERMS = "any use; rendered from CC0 animals of Mesh2Motion"
_VALIDATION_SEED = 1


def train_animals(recipe: Recipe, data: Path | None, out: Path, *, resume: bool, start: Path | None) -> RunState:
    """Train a detector of animals' joints and leave `weights.safetensors` in `out`."""
    settings = recipe.hypotheses
    assert settings is not None
    torch.manual_seed(recipe.plan.seed)
    body = Body.load(SHIPPED_ANIMAL, animals=True)
    detector = build_detector(
        recipe.model, size=recipe.size, bins=settings.bins, joint_set=settings.joint_set, **settings.widths
    )
    if start is not None:
        load_weights(detector, start, body_digest=body.digest)
    size = detector.input_size
    animals = animals_of(data, seed=recipe.plan.seed, size=size)
    validation = validation_of(data, recipe.validation_synthetic if is_main() else 1, animals, body)

    def batches(first: int, process: int, processes: int) -> Iterator[Batch]:
        return animal_batches(
            animals,
            recipe.batch,
            first=first,
            process=process,
            processes=processes,
            appearance=recipe.augment.appearance,
        )

    task = HypothesesTask(detector, batches, validation, settings)
    state = fit(task, recipe.plan, out, resume=resume, settings=asdict(recipe) | {"body": body.digest})
    if is_main():
        with torch.no_grad():
            found = validation(detector).numbers
        card = {
            "model": recipe.model,
            "recipe": recipe.name,
            "body_digest": body.digest,
            "data": f"synthetic animals{' under photos and panoramas' if _textures(data) else ''}",
            "terms": TERMS,
            "size": size,
            "bins": detector.bins,
            "joint_set": detector.joint_set,
            "widths": dict(settings.widths),
            "hypotheses": settings.hypotheses,
            "steps": state.step,
            "minutes": round(state.seconds / 60, 1),
            "validation": rounded(found),
        }
        save_weights(detector, out / "weights.safetensors", card=card, int8=False)
    return state


def animals_of(data: Path | None, *, seed: int, size: int, held_out: bool = False) -> SyntheticAnimals:
    """Return endless animals under the folder's textures, in its coats where it has them."""
    textures = Textures.load(_textures(data), held_out=held_out)
    coats = None if data is None or not (data / COATS).is_file() else data / COATS
    return SyntheticAnimals(seed, textures, coats=coats, size=size, held_out=held_out)


def validation_of(data: Path | None, count: int, training: SyntheticAnimals, body: Body) -> AnimalValidation:
    """Return what measures on so many pictures of held-out clips, coats and textures."""
    held_out = animals_of(data, seed=_VALIDATION_SEED, size=training.size, held_out=True)
    samples: list[AnimalSample] = list(islice(held_out, max(count, 1)))
    mean = mean_cube([training[index] for index in range(max(count, 1))])
    return AnimalValidation(samples, body, mean)


def _textures(data: Path | None) -> Path | None:
    return data / "textures" if data is not None and (data / "textures").is_dir() else None
