"""What a recipe is: everything that decides what comes out of a training, besides the data; and how to change one."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from monobody.data.sample import Augment
from monobody.errors import UserError
from monobody.models.detectors import WIDTHS
from monobody.models.hmr import RESNETS, Rotation
from monobody.train.hypotheses_settings import HypothesesSettings
from monobody.train.lift_task import LiftSettings
from monobody.train.plan import Plan
from monobody.train.terms import LossWeights

CropRule = Literal["region", "hmr"]
BACKBONES = ("small", *(name.removeprefix("hmr-") for name in RESNETS))


@dataclass(frozen=True, kw_only=True, slots=True)
class CachedStage:
    """A first stage with the encoder frozen and its features cached; see `train/feature_task.py`."""

    rows: int = 16_000
    """Augmented crops to cache."""
    steps: int = 4_000
    """Steps of the regressor on them."""
    batch: int = 256
    rate: float = 5e-4


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Everything that decides what comes out of a training, besides the data."""

    name: str
    model: str
    """Name of the network, for `models.hmr.build_model`; or `lift`."""
    plan: Plan
    size: int | None = None
    """Side of the crops in pixels, for ResNets; the network's own where None."""
    rotation: Rotation = "6d"
    """How a ResNet's regressor writes rotations; HMR's 85 numbers are `axis-angle`."""
    full_image: bool = False
    """Whether a ResNet's regressor is told where the crop lies in its picture, and 2D errors are those in the picture
    (CLIFF)."""
    begins_with_lifter: bool = False
    """Whether the regressor starts from the shipped weights of `lift`, which learnt from endless bodies, unseen."""
    batch: int = 32
    """Rows in a batch, for each process."""
    workers: int = 1
    """Processes that make rows."""
    mixture: Mapping[str, float] = field(default_factory=dict)
    """How often each data set is drawn from: names of prepared sets, `synthetic` for synthetic people. Empty: synthetic
    people, and LSP Extended for `photo_share` of the rows."""
    photo_share: float = 1 / 3
    """How much of the rows are photos where `mixture` is empty; the others are synthetic people."""
    augment: Augment = field(default_factory=Augment)
    """How crops are moved and what happens to their colours."""
    crop: CropRule = "region"
    """Where crops are before they are moved: the detector's turned region, or HMR's box of 150 in 224 pixels."""
    draw_on_device: bool = False
    """Draw synthetic people where the network trains, by whole batches: for graphics cards."""
    regressor_rate: float = 3e-4
    encoder_rate: float = 1e-4
    decoder_rate: float = 1e-3
    """`hmr-small`: of the decoder of its heat maps."""
    critic_rate: float = 1e-4
    weight_decay: float = 1e-4
    """AdamW's, for the network alone; 0 makes it Adam."""
    conditioned: bool = False
    """Whether the encoder's weights are trained in units of their channels; see `train/conditioning.py`."""
    frozen_residuals: int = 0
    """`hmr-small`: how many of the trunk's 14 inverted residuals stay as they are, from the input on."""
    frozen_depthwise: bool = False
    """`hmr-small`: depthwise filters stay as they are."""
    weights: LossWeights = field(default_factory=LossWeights)
    """Of the losses. With `adversarial` there is a critic; without `joints` and `parameters`, nothing looks at 3D
    labels."""
    cached: CachedStage | None = None
    lift: LiftSettings = field(default_factory=LiftSettings)
    """What `lift` is trained on; it takes nothing else from here but the plan."""
    hypotheses: HypothesesSettings | None = None
    """X as Supervision: what `xas-*` networks are trained with; they take size, data, batches and plan from here."""
    validation_synthetic: int = 150
    validation_photos: int = 200

    @property
    def looks_at_3d(self) -> bool:
        """Whether 3D labels teach the network."""
        if self.hypotheses is not None:
            return self.hypotheses.weights.pairs > 0 or self.hypotheses.weights.depth > 0
        return self.weights.joints > 0 or self.weights.parameters > 0

    def shares(self) -> dict[str, float]:
        """Return how often each data set is drawn from."""
        if self.mixture:
            return {name: share for name, share in self.mixture.items() if share > 0}
        shares = {"synthetic": 1 - self.photo_share, "lsp_extended": self.photo_share}
        return {name: share for name, share in shares.items() if share > 0}


def changed(
    recipe: Recipe,
    *,
    minutes: float | None = None,
    steps: int | None = None,
    batch: int | None = None,
    backbone: str | None = None,
    size: int | None = None,
    mixture: Mapping[str, float] | None = None,
    workers: int | None = None,
) -> Recipe:
    """Return a recipe with some of its fields as somebody wants them; those left out stay.

    A run of a few steps also validates on, and caches, no more than it trains on.

    Raises:
        UserError: a number is impossible, or the recipe is not about such a thing.
    """
    for name, value in (("steps", steps), ("batch", batch), ("size", size), ("minutes", minutes)):
        if value is not None and not value > 0:
            raise UserError(f"--{name} {value} is impossible: give a positive number.")
    if workers is not None and workers < 0:
        raise UserError(f"--workers {workers} is impossible: give 0 or more processes.")
    if recipe.model == "lift" and any(value is not None for value in (batch, backbone, size, mixture, workers)):
        raise UserError(
            "lift learns from bodies without pictures: of its recipe only --steps and --minutes can change."
        )
    if minutes is not None and steps is not None:
        raise UserError("A run lasts so many --minutes or so many --steps: give one of them.")
    if minutes is not None:
        recipe = replace(recipe, plan=replace(recipe.plan, minutes=minutes, steps=None))
    if batch is not None:
        recipe = replace(recipe, batch=batch)
    if steps is not None:
        recipe = _shortened(replace(recipe, plan=replace(recipe.plan, steps=steps, minutes=None)), steps)
    if backbone is not None:
        recipe = _on_backbone(recipe, backbone)
    if size is not None:
        recipe = replace(recipe, size=size)
    if mixture is not None:
        recipe = replace(recipe, mixture=dict(mixture))
    return recipe if workers is None else replace(recipe, workers=workers)


def parse_mixture(text: str) -> dict[str, float]:
    """Read shares from `h36m=0.35,coco=0.65`.

    Raises:
        UserError: the text says something else.
    """
    shares = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            shares[name.strip()] = float(share)
        except ValueError:
            share = "nan"
        if not name.strip() or not 0 < float(share) < float("inf"):
            raise UserError(f"{part!r} is no share of a mixture: write it like h36m=0.35,coco=0.65.")
    return shares


def _shortened(recipe: Recipe, steps: int) -> Recipe:
    rows = steps * recipe.batch
    cached = recipe.cached
    if cached is not None:
        cached = replace(
            cached, rows=min(cached.rows, rows), steps=min(cached.steps, steps), batch=min(cached.batch, recipe.batch)
        )
    return replace(
        recipe,
        cached=cached,
        validation_synthetic=min(recipe.validation_synthetic, rows),
        validation_photos=min(recipe.validation_photos, rows),
    )


def _on_backbone(recipe: Recipe, backbone: str) -> Recipe:
    if recipe.hypotheses is not None:
        if backbone not in WIDTHS or recipe.hypotheses.joint_set != "xas18":
            raise UserError(
                f"{recipe.name} does not go with a backbone {backbone!r}: choose one of {', '.join(WIDTHS)}."
            )
        return replace(recipe, model=backbone)
    if backbone not in BACKBONES:
        raise UserError(f"There is no backbone {backbone!r}: choose one of {', '.join(BACKBONES)}.")
    model = f"hmr-{backbone}"
    if model == recipe.model:
        return recipe
    if recipe.model == "hmr-small":
        recipe = replace(
            recipe, begins_with_lifter=False, conditioned=False, frozen_residuals=0, frozen_depthwise=False, cached=None
        )
    if backbone == "small":
        # Its regressor compares landmarks, in an upright region and in numbers of its own; and a trunk that changes
        # without them would leave its heat maps behind.
        weights = replace(recipe.weights, heat_maps=2.0)
        recipe = replace(recipe, rotation="6d", size=None, full_image=False, crop="region", weights=weights)
    return replace(recipe, model=model)
