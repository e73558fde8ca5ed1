"""The recipes: each a function that returns one frozen dataclass, with its command, hardware, time and result.

HMR's published variants stand in `train/published.py`. Size, resolution, backbone, data and length are fields, not
other recipes: `monobody train hmr-paired --backbone resnet18 --size 128 --steps 1000`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from monobody.errors import UserError
from monobody.train.hypotheses_recipes import (
    xas_animal,
    xas_animal_critic,
    xas_blaze,
    xas_mini,
    xas_mini_more_photos,
    xas_mini_photos,
    xas_released,
    xas_single,
    xas_small,
    xas_stage1,
    xas_stage2,
    xas_tiny,
)
from monobody.train.plan import Plan
from monobody.train.published import hmr_modern, hmr_no_critic_no_3d, hmr_paired, hmr_unpaired
from monobody.train.recipe import CachedStage, Recipe
from monobody.train.terms import LossWeights

SMALL_LOSSES = LossWeights(earlier=0.3, landmarks=30.0, heat_maps=2.0)
"""What `hmr-small` learns from: bodies, and where its encoder sees landmarks and heat maps' peaks."""


def hmr_small() -> Recipe:
    """HMR on BlazePose's trunk, 256 px crops: from the lifter's regressor, on cached features, then the trunk as well.

    Command:  monobody train hmr-small --data DATA --out runs/hmr-small
    Hardware: one processor core for the network, a second for the rows
    Time:     15 minutes for features and the regressor, 48 for the rest
    Result:   without landmark losses and heat maps, as the shipped weights began: 92.3 mm PA-MPJPE on 150 held-out
              synthetic people, 68.7 % PCK@0.1 on 200 held-out photos (its last validation, regions given)
    """
    return Recipe(
        name="hmr-small",
        model="hmr-small",
        begins_with_lifter=True,
        plan=Plan(minutes=48, clip_norm=20.0, device="cpu"),
        regressor_rate=2e-4,
        encoder_rate=5e-4,
        conditioned=True,
        frozen_residuals=4,
        frozen_depthwise=True,
        weights=SMALL_LOSSES,
        cached=CachedStage(rows=9_600, steps=600),
    )


def hmr_small_further() -> Recipe:
    """The second stage of `hmr-small`: on from weights that there are, all of them.

    Command:  monobody train hmr-small-further --start WEIGHTS --data DATA --out RUN
    Hardware: one processor core for the network, a part of a second for the rows
    Time:     100 minutes (the shipped trunk: seed 5, without heat maps, the first 8 of them without landmark terms)
    Result:   from 92.3 to 90.9 mm PA-MPJPE on held-out synthetic people and from 68.7 to 70.4 % PCK@0.1 on held-out
              photos (validations, regions given). 35 minutes more with heat maps, from the shipped weights: 89.1 to
              87.9 mm here, but 103.5 to 104.8 mm on the first 250 people of `monobody evaluate quick`; not shipped
    """
    return replace(
        hmr_small(),
        name="hmr-small-further",
        begins_with_lifter=False,
        cached=None,
        plan=Plan(minutes=100, warmup_steps=50, clip_norm=20.0, validate_minutes=20, device="cpu"),
        regressor_rate=1.5e-4,
        encoder_rate=3e-4,
    )


def hmr_small_regressor() -> Recipe:
    """The last stage of the shipped `hmr-small`: `lift`'s regressor again, on features of the encoder as it has become.

    Command:  monobody train hmr-small-regressor --start WEIGHTS --data DATA --out RUN
    Hardware: one processor core for the network, a part of a second for the rows
    Time:     9 minutes (the shipped weights: seed 11; 7 of them for the features)
    Result:   131.0 mm MPJPE and 89.1 mm PA-MPJPE on 250 held-out synthetic people, 73.4 % PCK@0.1 and 44.0 % PCK@0.05
              on 250 held-out photos (validation, regions given); the card of `weights/hmr-small.safetensors` has the
              full evaluation
    """
    return replace(
        hmr_small(),
        name="hmr-small-regressor",
        plan=Plan(steps=0, clip_norm=20.0, device="cpu"),
        cached=CachedStage(rows=16_000, steps=500, rate=3e-4),
    )


def hmr_small_finetune() -> Recipe:
    """The default network on a graphics card, all of its weights, from where the shipped ones stand.

    Command:  make train-device
    Hardware: one graphics card; people are rendered on it
    Time:     as given, in pieces of 9 minutes
    Result:   not measured yet
    """
    return Recipe(
        name="hmr-small-finetune",
        model="hmr-small",
        plan=Plan(minutes=25, clip_norm=20.0, average_decay=0.9995, validate_minutes=3, checkpoint_minutes=2),
        batch=256,
        workers=12,
        draw_on_device=True,
        regressor_rate=3e-4,
        encoder_rate=5e-4,
        conditioned=True,
        weights=SMALL_LOSSES,
    )


def hmr_resnet18() -> Recipe:
    """HMR on a ResNet-18 from random weights, 224 px crops; wants a graphics card, or an ImageNet checkpoint.

    Command:  monobody train hmr-resnet18 --data DATA --out runs/hmr-resnet18
    Hardware: one graphics card
    Time:     25 minutes
    Result:   not measured yet; on two processor cores 18 % PCK@0.1 after 180,000 views
    """
    return Recipe(
        name="hmr-resnet18",
        model="hmr-resnet18",
        plan=Plan(
            minutes=25, bf16=True, clip_norm=20.0, average_decay=0.9995, validate_minutes=3, checkpoint_minutes=2
        ),
        batch=256,
        workers=12,
        draw_on_device=True,
        regressor_rate=3e-4,
        encoder_rate=3e-4,
    )


def hmr_resnet50() -> Recipe:
    """The published network: HMR on a ResNet-50 with the published losses.

    Command:  accelerate launch -m monobody.cli train hmr-resnet50 --data DATA --out runs/hmr-resnet50
    Hardware: one or several graphics cards
    Time:     HMR's authors took five days on one GTX 1080 Ti, from an ImageNet checkpoint
    Result:   not measured
    """
    return Recipe(
        name="hmr-resnet50",
        model="hmr-resnet50",
        plan=Plan(steps=500_000, bf16=True, clip_norm=None, final_rate=1.0),
        batch=64,
        workers=12,
        regressor_rate=1e-5,
        encoder_rate=1e-5,
        weights=LossWeights(squared_joints=True),
    )


def lift() -> Recipe:
    """The body behind the detector's landmarks: a small network that never sees a pixel.

    Command:  monobody train lift --data DATA --out runs/lift
    Hardware: one processor core
    Time:     the shipped weights: three runs of 30, 14 and 48 minutes on a third of a core, each begun with the weights
              of the one before (--start); the first without readings, the others with more and more of them
    Result:   71.1 % PCK@0.1 on 500 held-out photos, 109.3 mm PA-MPJPE on 500 held-out synthetic people; see the card
              of `weights/lift.safetensors`
    """
    return Recipe(name="lift", model="lift", plan=Plan(minutes=30, device="cpu"))


def tiny() -> Recipe:
    """A few steps of the default network, to see that everything is in place.

    Command:  monobody train tiny --data DATA --out runs/tiny
    Hardware: any
    Time:     a minute
    Result:   none to speak of
    """
    return Recipe(
        name="tiny",
        model="hmr-small",
        plan=Plan(steps=4, warmup_steps=1, log_every=1, clip_norm=20.0, device="cpu"),
        batch=4,
        workers=0,
        frozen_residuals=4,
        frozen_depthwise=True,
        weights=SMALL_LOSSES,
        cached=CachedStage(rows=16, steps=5, batch=8),
        validation_synthetic=8,
        validation_photos=8,
    )


def tiny_device() -> Recipe:
    """A few steps as a graphics card makes them, people drawn by torch; also works without a card.

    Command:  python -m monobody.train.device --pack device_pack --out runs/tiny --recipe tiny-device
    Hardware: any
    Time:     a minute
    Result:   none to speak of
    """
    return replace(tiny(), name="tiny-device", draw_on_device=True, frozen_residuals=0, cached=None)


RECIPES: Mapping[str, Callable[[], Recipe]] = {
    "hmr-paired": hmr_paired,
    "hmr-unpaired": hmr_unpaired,
    "hmr-no-critic-no-3d": hmr_no_critic_no_3d,
    "hmr-modern": hmr_modern,
    "hmr-small": hmr_small,
    "hmr-small-further": hmr_small_further,
    "hmr-small-regressor": hmr_small_regressor,
    "hmr-small-finetune": hmr_small_finetune,
    "hmr-resnet18": hmr_resnet18,
    "hmr-resnet50": hmr_resnet50,
    "lift": lift,
    "xas-stage1": xas_stage1,
    "xas-stage2": xas_stage2,
    "xas-small": xas_small,
    "xas-mini": xas_mini,
    "xas-mini-photos": xas_mini_photos,
    "xas-mini-more-photos": xas_mini_more_photos,
    "xas-single": xas_single,
    "xas-blaze": xas_blaze,
    "xas-animal": xas_animal,
    "xas-animal-critic": xas_animal_critic,
    "xas-released": xas_released,
    "xas-tiny": xas_tiny,
    "tiny": tiny,
    "tiny-device": tiny_device,
}


def find_recipe(name: str) -> Recipe:
    """Return a recipe by its name.

    Raises:
        UserError: there is none of that name.
    """
    if name not in RECIPES:
        raise UserError(f"There is no recipe {name!r}: choose one of {', '.join(RECIPES)}.")
    return RECIPES[name]()


def table() -> str:
    """Return a line for each recipe: its name and the first sentence about it."""
    width = max(map(len, RECIPES))
    return "\n".join(
        f"{name:{width}}  {(make.__doc__ or '').strip().splitlines()[0]}" for name, make in RECIPES.items()
    )
