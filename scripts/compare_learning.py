"""Compare what makes `hmr-small` learn: one start, the same rows, as many steps, one change at a time.

    python scripts/compare_learning.py --data DATA --start WEIGHTS -o FOLDER [--steps 200] [--seeds 2] [CHANGE ...]
    python scripts/compare_learning.py --print docs/results/learning.json

The first trains and prints a row for each change and seed, measured on held-out people and photos with their regions
given; the second prints the rows of trials made before, as docs/results.md has them. `teacher` and `teacher_bodies` are
sets that `scripts/make_teacher_labels.py` writes to `DATA/prepared`.
"""

import argparse
import csv
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch

from monobody.train.recipe import Recipe
from monobody.train.recipes import hmr_small_further
from monobody.train.run import train
from monobody.train.terms import LossWeights

PLAIN = LossWeights(earlier=0.3)
PHOTOS = 1 / 3
"""Share of photos among the rows; the others are synthetic people."""
COLUMNS = {
    "synthetic_mpjpe_mm": "MPJPE mm",
    "synthetic_pa_mpjpe_mm": "PA-MPJPE mm",
    "real_pck_0.1": "PCK@0.1 %",
    "real_pck_0.05": "PCK@0.05 %",
    "peaks_real_pck_0.1": "peaks@0.1 %",
    "peaks_real_pck_0.05": "peaks@0.05 %",
}
"""Columns of `validation.csv`, and what the table calls them; trials before also measured the heat maps themselves."""


def taught(**weights: float) -> Callable[[Recipe], Recipe]:
    """Return a change of a recipe: other losses."""
    return lambda recipe: replace(recipe, weights=replace(PLAIN, **weights))


def shown(**photos: float) -> Callable[[Recipe], Recipe]:
    """Return a change of a recipe: other photos, by what share of these, under the losses of the recipe itself."""
    mixture = {"synthetic": 1 - PHOTOS * sum(photos.values())} | {name: PHOTOS * part for name, part in photos.items()}
    return lambda recipe: replace(recipe, mixture=mixture)


CHANGES: Mapping[str, Callable[[Recipe], Recipe]] = {
    "none": taught(),
    "landmarks": taught(landmarks=30.0),
    "heat maps": taught(heat_maps=2.0),
    "landmarks, heat maps": taught(landmarks=30.0, heat_maps=2.0),
    "critic": taught(adversarial=1.0),
    "2D alone": taught(joints=0.0, parameters=0.0),
    "regressor first": lambda recipe: replace(recipe, weights=PLAIN, cached=hmr_small_further().cached),
    "no photos": shown(),
    "photos with clicks": shown(lsp_extended=1),
    "photos with a teacher's landmarks": shown(teacher=1),
    "photos with a teacher's landmarks and bodies": shown(teacher_bodies=1),
    "clicks and a teacher's landmarks": shown(lsp_extended=0.5, teacher=0.5),
    "twice the rate": lambda recipe: replace(
        recipe, weights=PLAIN, encoder_rate=2 * recipe.encoder_rate, regressor_rate=2 * recipe.regressor_rate
    ),
}


def measured(change: str, seed: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Train with one change and return the last validation."""
    recipe = replace(hmr_small_further(), cached=None)
    plan = replace(recipe.plan, steps=arguments.steps, minutes=None, warmup_steps=30, seed=seed, validate_minutes=None)
    recipe = replace(recipe, plan=plan, validation_synthetic=300, validation_photos=300)
    out = arguments.out / f"{re.sub('[^a-z0-9]+', '-', change.lower())}-{seed}"
    train(CHANGES[change](recipe), data=arguments.data, out=out, start=arguments.start)
    with (out / "validation.csv").open() as table:
        *_, last = csv.DictReader(table)
    return {name: float(last[name]) for name in COLUMNS if last.get(name)}


def row(name: str, numbers: Mapping[str, float]) -> str:
    cells = [f"{numbers[column]:.1f}" if column in numbers else "-" for column in COLUMNS]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = ", ".join(CHANGES)
    parser.add_argument("changes", nargs="*", metavar="CHANGE", help=f"of {known}; those of losses where left out")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--start", type=Path, help="weights that all begin with")
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/compare-learning"))
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--print", type=Path, dest="trials", help="print these trials instead")
    arguments = parser.parse_args()
    if unknown := [change for change in arguments.changes if change not in CHANGES]:
        parser.error(f"there is no change {unknown[0]!r}: choose from {', '.join(CHANGES)}")
    if arguments.trials is not None:
        for group in json.loads(arguments.trials.read_text())["groups"]:
            print(f"\n{group['about']}\n\n| | {' | '.join(COLUMNS.values())} |\n|---|{'---|' * len(COLUMNS)}")
            for trial in group["trials"]:
                print(row(trial["change"], trial))
        return
    torch.set_num_threads(1)
    print(f"| | {' | '.join(COLUMNS.values())} |\n|---|{'---|' * len(COLUMNS)}", flush=True)
    for change in arguments.changes or [name for name in CHANGES if "photos" not in name and "teacher" not in name]:
        for seed in range(arguments.seeds):
            print(row(f"{change}, seed {seed}", measured(change, seed, arguments)), flush=True)


if __name__ == "__main__":
    main()
