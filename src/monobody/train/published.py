"""HMR's published variants as recipes, and one with what was found out since.

HMR was published in two variants, and a third to show what they are good for: `hmr_paired` learns from 2D and 3D labels
and the critic, `hmr_unpaired` from 2D labels and the critic, `hmr_no_critic_no_3d` from 2D labels alone. They follow
the authors' code where it differs from the paper.
"""

from collections.abc import Mapping
from dataclasses import replace

from monobody.data.augment import Appearance
from monobody.data.sample import HMR_AUGMENT, Augment
from monobody.train.plan import Plan
from monobody.train.recipe import Recipe
from monobody.train.terms import LossWeights

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


def _proportional(samples: Mapping[str, int]) -> dict[str, float]:
    total = sum(samples.values())
    return {name: count / total for name, count in samples.items()}


def _halves(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, float]:
    """Return shares with which half of the rows come from either kind, as HMR's two queues give them."""
    return {name: share / 2 for kind in (first, second) for name, share in _proportional(kind).items()}
