"""The recipes: each a function that returns one frozen dataclass, with its command, hardware, time and result.

HMR was published in two variants, and a third to show what they are good for: `hmr_paired` learns from 2D and 3D labels
and the critic, `hmr_unpaired` from 2D labels and the critic, `hmr_no_critic_no_3d` from 2D labels alone. They follow
the authors' code where it differs from the paper. Size, resolution, backbone, data and length are fields, not other
recipes: `monobody train hmr-paired --backbone resnet18 --size 128 --steps 1000`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from monobody.data.augment import Appearance
from monobody.data.sample import HMR_AUGMENT, Augment
from monobody.errors import UserError
from monobody.train.hmr_task import LossWeights
from monobody.train.plan import Plan
from monobody.train.recipe import CachedStage, Recipe

WITH_3D = {"h36m": 312_188, "mpi_inf_3dhp": 147_221}
WITHOUT_3D = {"lsp": 1_000, "lsp_extended": 10_000, "mpii": 20_000, "coco": 79_344}
"""The samples of HMR's data sets as its code counts them. Sets of one kind are drawn in this proportion."""

HMR_EPOCHS, HMR_EPOCH_STEPS = 55, 8_902
"""The paper's epochs, and one pass over all sets in batches of 64."""


def hmr_paired() -> Recipe:
    """HMR as published, from pictures with 2D and 3D labels and a critic that knows real bodies.

    Command:  monobody train hmr-paired --data DATA --start resnet50.pth --out runs/hmr-paired
    Hardware: one graphics card of 11 GB
    Time:     five days on one GTX 1080 Ti (published)
    Result:   not run by us, for want of Human3.6M; published (table 2 and 3 of the paper): 56.8 mm PA-MPJPE on
              Human3.6M's protocol 2, 88.0 mm MPJPE on its protocol 1, 89.8 mm PA-MPJPE on MPI-INF-3DHP
    """
    return Recipe(
        name="hmr-paired",
        model="hmr-resnet50",
        rotation="axis-angle",
        plan=Plan(
            steps=HMR_EPOCHS * HMR_EPOCH_STEPS,
            warmup_steps=1,
            final_rate=1.0,
            clip_norm=None,
            average_decay=0.0,
            validate_minutes=60,
            checkpoint_minutes=15,
        ),
        batch=64,
        workers=8,
        mixture=_halves(WITH_3D, WITHOUT_3D),
        augment=HMR_AUGMENT,
        crop="hmr",
        regressor_rate=1e-5,
        encoder_rate=1e-5,
        critic_rate=1e-4,
        weight_decay=0.0,
        weights=LossWeights(squared_joints=True, adversarial=1.0),
    )


def hmr_unpaired() -> Recipe:
    """HMR as published, from pictures with 2D labels alone and a critic that knows real bodies.

    The sets are those of the authors' code; the paper's also has the 2D joints of the sets with 3D labels.

    Command:  monobody train hmr-unpaired --data DATA --start resnet50.pth --out runs/hmr-unpaired
    Hardware: one graphics card of 11 GB
    Time:     five days on one GTX 1080 Ti (published)
    Result:   not run by us; published: 66.5 mm PA-MPJPE on Human3.6M's protocol 2, 106.8 mm MPJPE on its protocol 1,
              113.2 mm PA-MPJPE on MPI-INF-3DHP
    """
    return replace(
        hmr_paired(),
        name="hmr-unpaired",
        mixture=_proportional(WITHOUT_3D),
        weights=LossWeights(joints=0.0, parameters=0.0, adversarial=1.0),
    )


def hmr_no_critic_no_3d() -> Recipe:
    """HMR from 2D labels and nothing else: small errors in the picture, monsters in space.

    Command:  monobody train hmr-no-critic-no-3d --data DATA --start resnet50.pth --out runs/hmr-no-critic-no-3d
    Hardware: one graphics card of 11 GB
    Time:     five days on one GTX 1080 Ti (published)
    Result:   not run by us; the paper gives no number, and shows that bodies no longer look like any
    """
    return replace(
        hmr_unpaired(), name="hmr-no-critic-no-3d", weights=LossWeights(joints=0.0, parameters=0.0, adversarial=0.0)
    )


def hmr_modern() -> Recipe:
    """HMR's network and critic with what was found out since: 6D rotations, L1, more augmentation, the full camera.

    Rotations of 6 numbers (SPIN), absolute 3D errors, turns by 30 degrees, scales by a quarter and noise (SPIN,
    mmhuman3d), the place of the crop in its picture (CLIFF), mmhuman3d's mixture and rates.

    Command:  monobody train hmr-modern --data DATA --start resnet50.pth --out runs/hmr-modern
    Hardware: one graphics card of 11 GB
    Time:     not measured
    Result:   not run by us; others have brought the same ResNet-50 from 76.7 mm PA-MPJPE on 3DPW to 51.7 mm by data,
              augmentation and L1 (the README of "Benchmarking and Analyzing 3D Human Pose and Shape Estimation",
              NeurIPS 2022, without 3DPW in training), to 45.7 mm with CLIFF's camera and 3DPW in training (CLIFF's
              README)
    """
    return Recipe(
        name="hmr-modern",
        model="hmr-resnet50",
        full_image=True,
        plan=Plan(
            steps=300_000,
            warmup_steps=1_000,
            clip_norm=20.0,
            bf16=True,
            validate_minutes=30,
            checkpoint_minutes=10,
        ),
        batch=64,
        workers=8,
        mixture={"h36m": 0.35, "mpi_inf_3dhp": 0.15, "lsp": 0.1, "lsp_extended": 0.1, "mpii": 0.1, "coco": 0.2},
        augment=MODERN_AUGMENT,
        regressor_rate=2.5e-4,
        encoder_rate=2.5e-4,
        critic_rate=1e-4,
        weights=LossWeights(adversarial=1.0),
    )


MODERN_AUGMENT = Augment(log_scale=0.22, turn_rad=0.52, full_turn_share=0.0, appearance=Appearance())
"""Turns of 30 degrees and scales of a quarter, a standard deviation each; changes of colour, blur, noise, holes."""


def hmr_small() -> Recipe:
    """HMR on BlazePose's trunk, 256 px crops: from the lifter's regressor, on cached features, then the trunk as well.

    Command:  monobody train hmr-small --data DATA --out runs/hmr-small
    Hardware: one processor core for the network, a second for the rows
    Time:     15 minutes for features and the regressor, 48 for the rest
    Result:   92.3 mm PA-MPJPE on 150 held-out synthetic people, 68.7 % PCK@0.1 on 200 held-out photos (its last
              validation, regions given); the card of `weights/hmr-small.safetensors` has the full evaluation
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
        weights=LossWeights(earlier=0.3),
        cached=CachedStage(rows=9_600, steps=600),
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
        weights=LossWeights(earlier=0.3),
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
    "hmr-small-finetune": hmr_small_finetune,
    "hmr-resnet18": hmr_resnet18,
    "hmr-resnet50": hmr_resnet50,
    "lift": lift,
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


def _proportional(samples: Mapping[str, int]) -> dict[str, float]:
    total = sum(samples.values())
    return {name: count / total for name, count in samples.items()}


def _halves(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, float]:
    """Return shares with which half of the rows come from either kind, as HMR's two queues give them."""
    return {name: share / 2 for kind in (first, second) for name, share in _proportional(kind).items()}
