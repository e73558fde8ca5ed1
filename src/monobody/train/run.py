"""`monobody train RECIPE`: from a recipe's name and a folder of data (`train/sources.py`) to a weights file."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from monobody.body.assets import SHIPPED_BODY
from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.data.datasets.lsp_extended import LICENCE
from monobody.data.prepared import read_manifest
from monobody.errors import UserError
from monobody.fit.lift import WEIGHTS, Lift
from monobody.models.backbone import ResNet
from monobody.models.hmr import HMR, BlazeRegressor, build_model
from monobody.models.storage import load_weights, save_weights
from monobody.train import checkpoint
from monobody.train.animal_run import train_animals
from monobody.train.checkpoint import RunState
from monobody.train.conditioning import settle
from monobody.train.engine import fit
from monobody.train.feature_task import FeatureTask, cache_features
from monobody.train.hmr_task import HMRTask, freeze_early
from monobody.train.hypotheses_run import train_hypotheses
from monobody.train.lift_run import PHOTO_TERMS, TERMS, train_lift
from monobody.train.mixture import LSP_EXTENDED, SYNTHETIC, available, described
from monobody.train.processes import is_main, join, main_first
from monobody.train.recipe import Recipe
from monobody.train.recipes import find_recipe
from monobody.train.sources import KNOWN, real_bodies_of, stream, validation_of

CACHED_SEED = 1_000
"""Added to the seed of cached rows, so that training end to end begins with rows the regressor has not learnt yet."""
LARGEST_HALF = 7_500_000
"""Networks of more parameters are written as 8-bit integers: half precision would take more than 15 MB."""


def train(
    recipe: str | Recipe,
    *,
    data: Path | None = None,
    out: Path,
    minutes: float | None = None,
    pause: float | None = None,
    resume: bool = False,
    device: str | None = None,
    start: Path | None = None,
    body: Path | None = None,
) -> RunState:
    """Train by a recipe and leave `weights.safetensors` in `out` once the run is finished.

    Args:
        recipe: a recipe or its name.
        data: folder of data, see `train/sources.py`.
        out: folder for weights, checkpoints, tables, pictures.
        minutes: length of the whole run, in place of the recipe's.
        pause: end this piece after so many minutes; `resume` goes on.
        resume: continue the run in `out`.
        device: `cpu`, or None for the fastest there is.
        start: weights file of the same network to begin with; its encoder alone where the recipe's regressor begins
            with the lifter. For a ResNet also torchvision's ImageNet .pth.
        body: a SMPL file, to train for that body; the shipped one where left out. Betas of the shipped body, which
            synthetic people have, are then no labels; betas of SMPL's neutral body are.

    Raises:
        UserError: there is no such recipe, or the data, the body or the output folder are unusable.
    """
    recipe = find_recipe(recipe) if isinstance(recipe, str) else recipe
    if data is not None and not data.is_dir():
        raise UserError(f"There is no data folder {data}: check the path, or leave it out to train without data.")
    if data is not None and not any((data / name).exists() for name in KNOWN):
        raise UserError(f"{data} holds nothing to train on: it needs some of {', '.join(KNOWN)} (docs/training.md).")
    plan = replace(recipe.plan, pause_minutes=pause)
    if device not in (None, "auto"):
        plan = replace(plan, device=_checked(device))
    if minutes is not None:
        plan = replace(plan, minutes=minutes, steps=None)
    recipe = replace(recipe, plan=plan)
    trained = Body.load(body)
    own = body is not None and body.resolve() != SHIPPED_BODY
    if own and not (recipe.hypotheses is not None and recipe.hypotheses.joint_set == "quadruped"):
        _check_own_body(recipe, trained, start)
    join(plan)
    if recipe.model == "lift":
        return train_lift(recipe.lift, plan, trained, data, out, resume=resume, start=start)
    if recipe.hypotheses is not None and recipe.hypotheses.joint_set == "quadruped":
        if own:
            raise UserError(f"{recipe.name} learns the shipped quadruped: leave --body out.")
        return train_animals(recipe, data, out, resume=resume, start=start)
    shares, missing = available(recipe, data)
    if missing and is_main():
        print(missing, file=sys.stderr, flush=True)
    recipe = replace(recipe, mixture=shares)
    # Before minutes of work find it out.
    begun = checkpoint.newest(out, resume=resume, settings=_settings(recipe, trained))
    if resume and begun is None and is_main():
        print(f"{out} holds no run with a checkpoint yet: this is its beginning.", file=sys.stderr, flush=True)
    if recipe.hypotheses is not None:
        return train_hypotheses(
            recipe,
            trained,
            data,
            out,
            resume=resume,
            start=start,
            shape_space="smpl" if own else "monobody",
            card=_origin(recipe, trained, data),
        )
    model = build_model(
        recipe.model, body=trained, rotation=recipe.rotation, size=recipe.size, full_image=recipe.full_image
    )
    if start is not None and start.suffix == ".pth" and isinstance(model.encoder, ResNet):
        model.encoder.load_imagenet(start)
    elif start is not None:
        load_weights(model, start, body_digest=trained.digest)
    if recipe.begins_with_lifter and not own:
        begin_with_lifter(model, trained)
    return _train_hmr(recipe, model, trained, data, out, resume=resume, shape_space="smpl" if own else "monobody")


def _check_own_body(recipe: Recipe, body: Body, start: Path | None) -> None:
    """Refuse what cannot be trained for a body that is not the shipped one."""
    if recipe.model == "lift":
        raise UserError("lift learns from readings of the shipped body: leave --body out, or train one of the others.")
    if recipe.begins_with_lifter and start is None:
        raise UserError(
            f"{recipe.name} begins with the weights of lift, which know the shipped body alone: with --body, add "
            "--backbone resnet18 (or another), or --start with weights of that body."
        )
    sets = ("cocoplus19", "blazepose33") if recipe.model == "hmr-small" else ("cocoplus19",)
    if not all(body.data.placed(name).all() for name in sets):
        raise UserError(
            f"The body {body.data.name} lacks joints that {recipe.name} is trained on: see `monobody body`."
        )


def _settings(recipe: Recipe, body: Body) -> dict[str, Any]:
    """Return what a run that is resumed has to share with the one that was started."""
    return asdict(recipe) | {"body": body.digest}


def _checked(device: str) -> str | None:
    """Return what a plan calls that device."""
    if device == "cpu":
        return device
    if device != "cuda" or not torch.cuda.is_available():
        raise UserError(f'There is no device "{device}" to train on here: choose cpu, or leave it out.')
    return None


def begin_with_lifter(model: HMR, body: Body) -> None:
    """Give the regressor of `hmr-small` what `lift` learnt from landmarks alone; what it looks at besides counts 0."""
    lift = Lift(body)
    load_weights(lift, WEIGHTS, body_digest=body.digest)
    assert isinstance(model.regressor, BlazeRegressor)
    model.regressor.feedback.load_state_dict(lift.state_dict(), strict=False)
    assert model.regressor.feedback.look is not None
    torch.nn.init.zeros_(model.regressor.feedback.look.weight)


def _train_hmr(
    recipe: Recipe, model: HMR, body: Body, data: Path | None, out: Path, *, resume: bool, shape_space: str
) -> RunState:
    sets = ("cocoplus19", "blazepose33") if recipe.weights.landmarks > 0 else ("cocoplus19",)
    joints, settings = JointBody.from_body(body, sets), _settings(recipe, body)
    # The main process alone measures.
    measured = recipe if is_main() else replace(recipe, validation_synthetic=0, validation_photos=0)
    validation = validation_of(measured, data, model.input_size, shape_space)
    if recipe.cached is not None and not checkpoint.complete(out / "checkpoints"):
        stage = recipe.cached
        folder = out / "features"
        seed = recipe.plan.seed + CACHED_SEED
        rows = stream(recipe, data, model.input_size, seed=seed, shape_space=shape_space)
        with main_first():
            cache_features(
                model,
                rows,
                folder,
                batches=-(-stage.rows // recipe.batch),
                report=_counted(recipe),
                settings=settings,
            )
        first = FeatureTask(
            model,
            joints,
            folder,
            validation,
            weights=replace(recipe.weights, adversarial=0.0),
            rate=stage.rate,
            batch=stage.batch,
        )
        stage_plan = replace(recipe.plan, steps=stage.steps, minutes=None)
        fit(first, stage_plan, out / "regressor", resume=True, settings=settings)
    if recipe.frozen_residuals or recipe.frozen_depthwise:
        freeze_early(model, residuals=recipe.frozen_residuals, depthwise=recipe.frozen_depthwise)
    task = HMRTask(
        model,
        joints,
        stream(recipe, data, model.input_size, shape_space=shape_space),
        validation,
        weights=recipe.weights,
        regressor_rate=recipe.regressor_rate,
        encoder_rate=recipe.encoder_rate,
        decoder_rate=recipe.decoder_rate,
        conditioned=recipe.conditioned,
        weight_decay=recipe.weight_decay,
        bodies=real_bodies_of(data, shape_space) if recipe.weights.adversarial > 0 else None,
        critic_rate=recipe.critic_rate,
    )
    state = fit(task, recipe.plan, out, resume=resume, settings=settings)
    settle(model)
    # Half precision as long as the file stays small enough to be sent around.
    large = sum(parameter.numel() for parameter in model.parameters()) > LARGEST_HALF
    if is_main():
        card = _card(recipe, body, data, state)
        if shape_space != "monobody":
            card["terms"] += f"; and the terms of the body {body.data.name}"
        save_weights(model, out / "weights.safetensors", card=card, int8=large)
    return state


def _counted(recipe: Recipe) -> Any:
    assert recipe.cached is not None
    total = -(-recipe.cached.rows // recipe.batch)

    def report(done: int) -> None:
        if done % 50 == 0 or done == total:
            print(f"features of {done * recipe.batch} crops", flush=True)

    return report


def _card(recipe: Recipe, body: Body, data: Path | None, state: RunState) -> dict[str, Any]:
    return _origin(recipe, body, data) | {
        "rotation": recipe.rotation,
        "size": recipe.size,
        "full_image": recipe.full_image,
        "crop": recipe.crop,
        "steps": state.step,
        "minutes": round(state.seconds / 60, 1),
    }


def _origin(recipe: Recipe, body: Body, data: Path | None) -> dict[str, Any]:
    """Return what a card says of any weights: which network, from what, on what terms."""
    photos = [name for name in recipe.shares() if name != SYNTHETIC]
    people = "synthetic people (poses: CMU motion capture, Mesh2Motion, DeepMimic, MakeHuman)"
    sources = described(recipe.shares()).replace("synthetic people", people).replace(LSP_EXTENDED, "LSP Extended")
    return {
        "model": recipe.model,
        "body_digest": body.digest,
        "recipe": recipe.name,
        "data": sources,
        "terms": terms_of(photos, data),
    }


def terms_of(photos: Sequence[str], data: Path | None) -> str:
    """Return on what terms weights may be used that learnt from these sets, besides synthetic people."""
    if not photos:
        return TERMS
    if list(photos) == [LSP_EXTENDED]:
        return PHOTO_TERMS
    assert data is not None
    folders = {name: data / "prepared" / name for name in photos}
    known = {name: read_manifest(folder)["licence"] for name, folder in folders.items() if folder.is_dir()}
    if LSP_EXTENDED in photos and LSP_EXTENDED not in known:
        known[LSP_EXTENDED] = LICENCE
    known = dict.fromkeys(photos, "licence not stated") | known
    if all(terms == TERMS for terms in known.values()):
        return TERMS
    return "research use, as far as these allow it: " + "; ".join(f"{name}: {terms}" for name, terms in known.items())
