"""The runs of `evaluate/hypotheses_ablation.py`: what each row learns from, and one run after another.

    OUT/start-0    the first stage: rendered pairs alone, from scratch; none where weights to begin with are given
    OUT/ROW-SEED   second stages, as many steps each, all on from the same weights

Each is a run of `monobody train` with weights, tables and checkpoints of its own; a stopped comparison goes on.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from monobody.files import atomic_write
from monobody.train.hypotheses_recipes import MORE_PHOTOS, PAIRS, STAGE_2, UPRIGHT, WITH_PHOTOS
from monobody.train.hypotheses_settings import HypothesesSettings
from monobody.train.plan import Plan
from monobody.train.recipe import Recipe
from monobody.train.run import train


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What decides the outcome, besides the data."""

    minutes: float = 3.0
    """Of each second stage, on this machine; the first stage has five times as many steps."""
    steps: int | None = None
    """Of each second stage; as many as `minutes` allow where left out."""
    seeds: tuple[int, ...] = (0, 1)
    size: int = 64
    batch: int = 16
    workers: int = 1
    rate: float = 2e-3
    second_rate: float = 5e-4
    held_out: int = 500
    """Rendered people, and photos, to measure on."""


def _without(**weights: float) -> HypothesesSettings:
    return HypothesesSettings(weights=replace(STAGE_2, **weights), mask_size=32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the table: what the second stage learns from."""

    about: str
    settings: HypothesesSettings
    mixture: Mapping[str, float]


ROWS: Mapping[str, Row] = {
    "multi": Row(about="everything", settings=_without(), mixture=WITH_PHOTOS),
    "single": Row(
        about="everything, one depth a joint: the mean over all slices",
        settings=replace(_without(), hypotheses=1),
        mixture=WITH_PHOTOS,
    ),
    "no_masks": Row(
        about="the masks of photos and people are not looked at",
        settings=_without(skeleton=0.0, physique=0.0),
        mixture=WITH_PHOTOS,
    ),
    "no_critic": Row(about="no critic", settings=_without(adversarial=0.0), mixture=WITH_PHOTOS),
    "strong_critic": Row(
        about="everything, the critic's verdict fifty times as heavy",
        settings=_without(adversarial=50 * STAGE_2.adversarial),
        mixture=WITH_PHOTOS,
    ),
    "no_symmetry": Row(
        about="nothing about the body's build", settings=_without(symmetry=0.0, midpoints=0.0), mixture=WITH_PHOTOS
    ),
    "strong_build": Row(
        about="everything, what is about the body's build thirty times as heavy",
        settings=_without(symmetry=30 * STAGE_2.symmetry, midpoints=30 * STAGE_2.midpoints),
        mixture=WITH_PHOTOS,
    ),
    "no_pairs": Row(
        about="rendered people are seen without their joints; the critic still has poses",
        settings=_without(plane=0.0, depth=0.0, pairs=0.0),
        mixture=WITH_PHOTOS,
    ),
    "more_photos": Row(
        about="everything, and as many photos again, whose masks the detector made",
        settings=_without(),
        mixture=MORE_PHOTOS,
    ),
    "pairs_only": Row(about="no photos at all: the first stage goes on", settings=HypothesesSettings(), mixture=PAIRS),
}


class Lab:
    """The folder of a comparison, and its runs."""

    def __init__(self, out: Path, data: Path | None, settings: Settings, start: Path | None = None) -> None:
        self.out, self.data, self.settings, self.start = out, data, settings, start

    def affordable_steps(self) -> int:
        """Return how many steps a second stage may have, from how long the dearest kind takes; measured once."""
        if self.settings.steps is not None:
            return self.settings.steps
        known = self.out / "steps.json"
        if not known.exists():
            trial, folder = 20, self.out / "trial"
            shutil.rmtree(folder, ignore_errors=True)
            state = train(self._second("multi", 0, trial), data=self.data, out=folder)
            with atomic_write(known) as temporary:
                temporary.write_text(json.dumps(max(int(60 * self.settings.minutes * trial / state.seconds), 1)))
        return int(json.loads(known.read_text()))

    def beginning(self, steps: int) -> Path:
        """Return the weights that all rows go on from; train them first where none were given."""
        settings = HypothesesSettings(rate=self.settings.rate)
        return self.start or self._done("start-0", self._recipe("start", settings, PAIRS, 0, 5 * steps))

    def weights(self, row: str, seed: int, steps: int) -> Path:
        """Train a row with a seed, where that is not done yet; return the weights file."""
        return self._done(f"{row}-{seed}", self._second(row, seed, steps), self.beginning(steps))

    def _second(self, row: str, seed: int, steps: int) -> Recipe:
        settings = replace(ROWS[row].settings, rate=self.settings.second_rate)
        return self._recipe(row, settings, ROWS[row].mixture, seed, steps)

    def _recipe(
        self, name: str, settings: HypothesesSettings, mixture: Mapping[str, float], seed: int, steps: int
    ) -> Recipe:
        plan = Plan(
            steps=steps, seed=seed, clip_norm=10.0, bf16=True, warmup_steps=min(50, steps), average_decay=0.99,
            validate_minutes=None, device="cpu",
        )  # fmt: skip
        return Recipe(
            name=name,
            model="xas-mini",
            size=self.settings.size,
            plan=plan,
            batch=self.settings.batch,
            augment=UPRIGHT,
            workers=self.settings.workers,
            mixture=mixture,
            hypotheses=settings,
            validation_synthetic=0,
            validation_photos=0,
        )

    def _done(self, name: str, recipe: Recipe, start: Path | None = None) -> Path:
        folder = self.out / name
        weights = folder / "weights.safetensors"
        if not weights.exists():
            print(f"{name}: {recipe.plan.steps} steps", flush=True)
            train(recipe, data=self.data, out=folder, start=start, resume=(folder / "checkpoints").is_dir())
        return weights
