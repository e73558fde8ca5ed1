"""The recipes of X as Supervision (arXiv:2411.13026), for `train/recipes.py`.

The paper trains in two stages: rendered pairs, then photos with masks beside them, with the critic and the body's
build. Photos with masks are prepared sets: `monobody prepare clothing_coparsing`, `tiktok`, `masked_folder`, and
Human3.6M or MPI-INF-3DHP with their masks. No recipe looks at a 3D label of a photo.
"""

import math
from dataclasses import replace

from monobody.data.sample import NO_AUGMENT, Augment
from monobody.train.hypotheses_settings import HypothesesSettings
from monobody.train.hypotheses_terms import PUBLISHED, HypothesesWeights
from monobody.train.plan import Plan
from monobody.train.recipe import Recipe

PAIRS = {"synthetic": 1.0}
WITH_PHOTOS = {"synthetic": 2 / 3, "clothing_coparsing": 1 / 3}
MORE_PHOTOS = {"synthetic": 2 / 3, "clothing_coparsing": 1 / 6, "lsp_extended_masks": 1 / 6}
"""With photos whose masks the detector made (scripts/mask_photos.py)."""
H36M = {"synthetic": 0.5, "h36m": 0.5}
UPRIGHT = Augment(shift=0.05, log_scale=0.1, turn_rad=math.radians(6), full_turn_share=0.0)
"""As far as the detector's regions stray from those of training; nobody is turned on purpose."""
STAGE_2 = HypothesesWeights(skeleton=1.0, physique=1.0, symmetry=1.0, midpoints=1.0, adversarial=0.02)
"""Beside the dense losses of the pairs, which count in nats, the published weights would count for nothing."""


def xas_stage1() -> Recipe:
    """X as Supervision's first stage on ResNet-50, 256 px crops: rendered pairs alone.

    Command:  monobody train xas-stage1 --data DATA --start resnet50.pth --out runs/xas-stage1
    Hardware: one graphics card of 24 GB; the paper does not say what it used
    Time:     34,400 steps of 32 (50 epochs of 688)
    Result:   none published for this stage, and not run here
    """
    return Recipe(
        name="xas-stage1",
        model="xas-resnet50",
        plan=Plan(steps=34_400, clip_norm=10.0, bf16=True),
        batch=32,
        workers=8,
        mixture=PAIRS,
        hypotheses=HypothesesSettings(rate=2e-4),
    )


def xas_stage2() -> Recipe:
    """X as Supervision's second stage: photos with masks beside the pairs, the critic, and the body's build.

    Command:  monobody train xas-stage2 --data DATA --start runs/xas-stage1/weights.safetensors --out runs/xas-stage2
    Hardware: as the first stage
    Time:     10,320 steps of 64 (15 epochs of 688, half of each batch pairs)
    Result:   none that we have read, and not run here
    """
    settings = HypothesesSettings(weights=STAGE_2, rate=1e-4, critic_rate=1e-4, mask_size=256)
    return replace(
        xas_stage1(),
        name="xas-stage2",
        plan=Plan(steps=10_320, clip_norm=10.0, bf16=True),
        batch=64,
        mixture=H36M,
        hypotheses=settings,
    )


def xas_small() -> Recipe:
    """Both stages in one on ResNet-18, 256 px crops: pairs, photos with masks, critic and build from the beginning.

    Command:  monobody train xas-small --data DATA --out runs/xas-small
    Hardware: a graphics card of 8 GB
    Time:     40,000 steps of 32
    Result:   not run here; on crops of 64 and 128 px, in two stages: docs/results.md, "Several hypotheses"
    """
    return replace(
        xas_stage2(),
        name="xas-small",
        model="xas-small",
        plan=Plan(steps=40_000, clip_norm=10.0, bf16=True),
        batch=32,
        mixture=WITH_PHOTOS,
        hypotheses=HypothesesSettings(weights=STAGE_2, rate=1e-3, grow_after=20_000),
    )


def xas_mini() -> Recipe:
    """The first stage on half a ResNet-18, 64 px crops: what a processor can learn from scratch.

    Command:  monobody train xas-mini --data DATA --out runs/xas-mini
    Hardware: one processor core for the network, a part of a second for the rows
    Time:     45 minutes
    Result:   docs/results.md, "Several hypotheses"
    """
    return Recipe(
        name="xas-mini",
        model="xas-mini",
        plan=Plan(minutes=45, clip_norm=10.0, bf16=True, warmup_steps=100, device="cpu"),
        batch=16,
        augment=UPRIGHT,
        mixture=PAIRS,
        hypotheses=HypothesesSettings(rate=3e-3),
    )


def xas_mini_photos() -> Recipe:
    """The second stage of `xas-mini`: photos with masks, critic and build, on from weights that there are.

    Command:  monobody train xas-mini-photos --start runs/xas-mini/weights.safetensors --data DATA --out runs/photos
    Hardware: one processor core for the network, a part of a second for the rows
    Time:     15 minutes
    Result:   docs/results.md, "Several hypotheses"
    """
    return replace(
        xas_mini(),
        name="xas-mini-photos",
        plan=Plan(minutes=15, clip_norm=10.0, bf16=True, warmup_steps=100, device="cpu"),
        mixture=WITH_PHOTOS,
        hypotheses=HypothesesSettings(weights=STAGE_2, rate=5e-4, mask_size=32),
    )


def xas_mini_more_photos() -> Recipe:
    """The second stage of `xas-mini` with twice as many photos, taken as they are, masks and all: scaling up the data.

    Command:  monobody train xas-mini-more-photos --start WEIGHTS --data DATA --out runs/more
    Hardware: as `xas-mini`
    Time:     20 minutes
    Result:   docs/results.md, "Several hypotheses": the row `more_photos`
    """
    return replace(xas_mini_photos(), name="xas-mini-more-photos", mixture=MORE_PHOTOS)


def xas_single() -> Recipe:
    """One hypothesis: `xas-mini` whose depth is the mean over all slices, as the paper's baseline.

    Command:  monobody train xas-single --data DATA --out runs/xas-single
    Hardware: as `xas-mini`
    Time:     40 minutes
    Result:   docs/results.md, "Several hypotheses"
    """
    base = xas_mini()
    assert base.hypotheses is not None
    return replace(base, name="xas-single", hypotheses=replace(base.hypotheses, hypotheses=1))


def xas_animal() -> Recipe:
    """The same for animals on four legs, 64 px crops: pairs, pictures with masks alone, and the body's build.

    Command:  monobody train xas-animal --data DATA --out runs/xas-animal
    Hardware: one processor core for network and rows
    Time:     12 minutes; what is shipped had 16 of a shared core, 1,798 steps
    Result:   docs/results/animal.json
    """
    weights = replace(STAGE_2, adversarial=0.0)
    return Recipe(
        name="xas-animal",
        model="xas-mini",
        size=64,
        plan=Plan(minutes=12, clip_norm=10.0, warmup_steps=100, average_decay=0.998, device="cpu"),
        batch=32,
        workers=0,
        hypotheses=HypothesesSettings(
            weights=weights, widths={"width": 48, "first": 16}, joint_set="quadruped", rate=2e-3, mask_size=32
        ),
        validation_synthetic=300,
        validation_photos=0,
    )


def xas_animal_critic() -> Recipe:
    """The second stage of `xas-animal`: with the critic, on from weights that there are.

    Command:  monobody train xas-animal-critic --start runs/xas-animal/weights.safetensors --data DATA --out runs/critic
    Hardware: as `xas-animal`
    Time:     4 minutes
    Result:   not measured
    """
    base = xas_animal()
    assert base.hypotheses is not None
    return replace(
        base,
        name="xas-animal-critic",
        plan=replace(base.plan, minutes=4),
        hypotheses=replace(base.hypotheses, weights=STAGE_2, rate=5e-4),
    )


def xas_blaze() -> Recipe:
    """Several hypotheses behind BlazePose's trunk, which stays as it was published: practical, not label-free.

    Command:  monobody train xas-blaze --data DATA --out runs/xas-blaze
    Hardware: one processor core
    Time:     75 minutes
    Result:   docs/results.md, "Several hypotheses"
    """
    return Recipe(
        name="xas-blaze",
        model="xas-blaze",
        plan=Plan(minutes=75, clip_norm=10.0, bf16=True, warmup_steps=50, device="cpu"),
        batch=32,
        mixture=PAIRS,
        hypotheses=HypothesesSettings(rate=2e-3, bare_share=0.0),
    )


def xas_released() -> Recipe:
    """What the released code teaches the detector, faults and all, for comparison; stage 2 on ResNet-50.

    Command:  monobody train xas-released --data DATA --start resnet50.pth --out runs/xas-released
    Hardware: as `xas-stage2`
    Time:     10,320 steps of 64
    Result:   none that we have read, and not run here
    """
    weights = replace(PUBLISHED, released=True, winner_share=1.0)
    return replace(
        xas_stage2(),
        name="xas-released",
        augment=replace(NO_AUGMENT, mirror_share=0.0),
        hypotheses=HypothesesSettings(weights=weights, rate=1e-4, critic_rate=1e-4, bare_share=1.0, mask_size=256),
    )


def xas_tiny() -> Recipe:
    """A few steps of everything that X as Supervision has, on a network too small to be of use.

    Command:  monobody train xas-tiny --out runs/xas-tiny
    Hardware: any
    Time:     seconds
    Result:   none to speak of
    """
    return Recipe(
        name="xas-tiny",
        model="xas-mini",
        size=64,
        plan=Plan(steps=20, clip_norm=10.0, warmup_steps=2, device="cpu"),
        batch=4,
        workers=0,
        augment=Augment(appearance=None),
        mixture=WITH_PHOTOS,
        hypotheses=HypothesesSettings(weights=STAGE_2, widths={"width": 16, "first": 8}, mask_size=16, grow_after=1),
        validation_synthetic=8,
        validation_photos=8,
    )
