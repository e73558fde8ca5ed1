"""`monobody train RECIPE`: from a recipe's name and a folder of data to a weights file.

The data folder holds what is there of
    lsp_extended/                  photos with clicked joints, in their own layout
    lsp_extended_regions.npz       where the detector finds these people (scripts/locate_people.py)
    pose_bank.npz                  motion capture on the body (scripts/build_pose_bank.py)
    textures/                      skins, clothes, backgrounds for synthetic people
    synthetic/*.tar                synthetic people rendered before (scripts/render_synthetic.py)
or, packed for another machine by scripts/pack_for_device.py, `photos_train.npz` in place of the photos.
Without photos training is on synthetic people alone. These are rendered as they are needed unless some were before;
without a bank they take poses from the shipped prior, without textures they wear procedural ones.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.data.mix import Mix, Part, Samples, batches
from monobody.data.packed import PackedSamples
from monobody.data.sample import Augment, Sample
from monobody.data.shards import SampleFiles
from monobody.models.hmr import HMR, BlazeRegressor, build_model
from monobody.models.storage import load_weights, save_weights
from monobody.train import checkpoint
from monobody.train.checkpoint import RunState
from monobody.train.engine import fit
from monobody.train.feature_task import FeatureTask, cache_features
from monobody.train.hmr_task import BatchStream, HMRTask, Validation, freeze_early
from monobody.train.lift_run import train_lift
from monobody.train.recipes import Recipe, find_recipe

SYNTHETIC_SEED, VALIDATION_SEED = 1, 2
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
    lifter: Path | None = None,
) -> RunState:
    """Train by a recipe and leave `weights.safetensors` in `out` once the run is finished.

    Args:
        recipe: a recipe or its name.
        data: folder of data, see the module.
        out: folder for weights, checkpoints, tables, pictures.
        minutes: length of the whole run, in place of the recipe's.
        pause: end this piece after so many minutes; `resume` goes on.
        resume: continue the run in `out`.
        device: `cpu`, or None for the fastest there is.
        start: weights file of the same network to begin with.
        lifter: weights file of `lift`, with which the regressor of `hmr-small` begins.

    Raises:
        UserError: there is no such recipe, or the data or the output folder are unusable.
    """
    recipe = find_recipe(recipe) if isinstance(recipe, str) else recipe
    plan = replace(recipe.plan, pause_minutes=pause)
    if device not in (None, "auto"):
        plan = replace(plan, device=device)
    if minutes is not None:
        plan = replace(plan, minutes=minutes, steps=None)
    recipe = replace(recipe, plan=plan)
    body = Body.load()
    if recipe.model == "lift":
        return train_lift(recipe.lift, plan, body, data, out, resume=resume, start=start)
    model = build_model(recipe.model, body=body)
    if start is not None:
        load_weights(model, start, body_digest=body.digest)
    if lifter is not None:
        begin_with_lifter(model, lifter, body)
    return _train_hmr(recipe, model, body, data, out, resume=resume)


def begin_with_lifter(model: HMR, lifter: Path, body: Body) -> None:
    """Give the regressor of `hmr-small` what `lift` learnt from landmarks alone; what it looks at besides counts 0."""
    from monobody.fit.lift import Lift

    lift = Lift(body)
    load_weights(lift, lifter, body_digest=body.digest)
    assert isinstance(model.regressor, BlazeRegressor)
    model.regressor.feedback.load_state_dict(lift.state_dict(), strict=False)


def _train_hmr(recipe: Recipe, model: HMR, body: Body, data: Path | None, out: Path, *, resume: bool) -> RunState:
    joints = JointBody.from_body(body, ("cocoplus19",))
    stream = _stream(recipe, data, model.input_size)
    validation = _validation(recipe, data, model.input_size)
    if recipe.cached is not None and not checkpoint.complete(out / "checkpoints"):
        stage = recipe.cached
        folder = out / "features"
        cache_features(model, stream, folder, batches=-(-stage.rows // recipe.batch), report=_counted(recipe))
        first = FeatureTask(
            model, joints, folder, validation, weights=recipe.weights, rate=stage.rate, batch=stage.batch
        )
        fit(first, replace(recipe.plan, steps=stage.steps, minutes=None), out / "regressor", resume=True)
    if recipe.frozen_residuals or recipe.frozen_depthwise:
        freeze_early(model, residuals=recipe.frozen_residuals, depthwise=recipe.frozen_depthwise)
    task = HMRTask(
        model,
        joints,
        stream,
        validation,
        weights=recipe.weights,
        regressor_rate=recipe.regressor_rate,
        encoder_rate=recipe.encoder_rate,
        relative=recipe.relative_rate,
    )
    state = fit(task, recipe.plan, out, resume=resume, settings=asdict(recipe))
    # Half precision as long as the file stays small enough to be sent around.
    large = sum(parameter.numel() for parameter in model.parameters()) > LARGEST_HALF
    save_weights(model, out / "weights.safetensors", card=_card(recipe, body, state), int8=large)
    return state


def _stream(recipe: Recipe, data: Path | None, size: int) -> BatchStream:
    """Return the recipe's endless batches: synthetic people, and photos where there are any."""
    photos = _photos(data, "train")
    share = recipe.photo_share if photos is not None else 0.0
    parts = []
    if share < 1:
        rendered = sorted((data / "synthetic").glob("*.tar")) if data is not None else []
        people = SampleFiles(*rendered) if rendered else _people(data, seed=SYNTHETIC_SEED)
        parts.append(Part(samples=people, share=1 - share, augment=Augment()))
    if photos is not None:
        parts.append(Part(samples=photos, share=share, augment=Augment()))
    mix = Mix(parts, size=size, seed=recipe.plan.seed)
    return lambda first, process, processes: batches(
        mix, size=recipe.batch, first=first, process=process, processes=processes, workers=recipe.workers
    )


def _validation(recipe: Recipe, data: Path | None, size: int) -> Validation:
    people = _people(data, seed=VALIDATION_SEED, held_out=True)
    photos = _photos(data, "validation") or []
    # Spread over the validation list, which follows the order of the data set.
    stride = max(len(photos) // max(recipe.validation_photos, 1), 1)
    return Validation(
        synthetic=[people[number] for number in range(recipe.validation_synthetic)],
        photos=[photos[number] for number in range(0, len(photos), stride)][: recipe.validation_photos],
        size=size,
    )


def _people(data: Path | None, *, seed: int, held_out: bool = False) -> Samples:
    from monobody.data.pose_bank import PoseBank
    from monobody.data.synthetic import SyntheticPeople

    bank = data / "pose_bank.npz" if data is not None else None
    textures = data / "textures" if data is not None else None
    return SyntheticPeople(
        seed,
        PoseBank.load(bank) if bank is not None and bank.is_file() else None,
        textures if textures is not None and textures.is_dir() else None,
        held_out=held_out,
    )


def _photos(data: Path | None, split: Literal["train", "validation"]) -> Sequence[Sample] | None:
    if data is not None and (data / f"photos_{split}.npz").is_file():
        return PackedSamples(data / f"photos_{split}.npz")
    if data is None or not (data / "lsp_extended").is_dir():
        return None
    from monobody.data.datasets.lsp import LspExtended
    from monobody.data.located import Located

    photos = LspExtended(data / "lsp_extended", split)
    regions = data / "lsp_extended_regions.npz"
    return Located(photos, photos.names, regions) if regions.is_file() else photos


def _counted(recipe: Recipe) -> Any:
    assert recipe.cached is not None
    total = -(-recipe.cached.rows // recipe.batch)

    def report(done: int) -> None:
        if done % 50 == 0 or done == total:
            print(f"features of {done * recipe.batch} crops", flush=True)

    return report


def _card(recipe: Recipe, body: Body, state: RunState) -> dict[str, Any]:
    return {
        "model": recipe.model,
        "body_digest": body.digest,
        "recipe": recipe.name,
        "steps": state.step,
        "minutes": round(state.seconds / 60, 1),
    }
