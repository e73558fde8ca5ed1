"""The runs of an ablation: one frozen encoder, one beginning, and the same steps under each kind of supervision.

    OUT/features, OUT/held_out      the encoder's features of the crops to train and to measure on, with their labels
    OUT/begin-0                     the common beginning, on 2D joints alone
    OUT/VARIANT-SEED                checkpoints; measured.json: numbers by step; measured/STEP.safetensors: weights

Everything here can be interrupted and goes on where it stopped. `evaluate/ablation.py` says what it is for.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.data.mix import fixed_rows
from monobody.data.sample import Sample
from monobody.data.shards import SampleFiles
from monobody.evaluate.held_out import HeldOut
from monobody.files import atomic_write
from monobody.models.blaze import LANDMARKS, BlazeBackbone
from monobody.models.critic import Critic
from monobody.models.hmr import HMR, BlazeEncoder, HMROutput, IterativeRegressor
from monobody.train.engine import fit
from monobody.train.feature_task import FeatureTask, cache_features
from monobody.train.hmr_task import LossWeights
from monobody.train.plan import Plan
from monobody.train.recipes import Recipe
from monobody.train.sources import photos_of, real_bodies_of, stream
from monobody.train.task import Batch, Findings

PEOPLE = Path(__file__).parents[1] / "assets" / "evaluation" / "people.tar"
SETTLING_ROWS = 4_000
VARIANTS = ("hmr_paired", "hmr_unpaired", "hmr_no_critic_no_3d")
TWO_D = LossWeights(joints=0, parameters=0, squared_joints=True)
WEIGHTS = {
    "hmr_paired": LossWeights(squared_joints=True, adversarial=1),
    "hmr_unpaired": replace(TWO_D, adversarial=1),
    "hmr_no_critic_no_3d": TWO_D,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What decides the outcome, besides the data."""

    minutes: float = 20.0
    """Of training, all runs together; features come on top, once."""
    steps: int | None = None
    """Of each run; as many as `minutes` allow where left out."""
    rows: int = 14_000
    """Augmented crops to train on."""
    photo_share: float = 0.42
    seeds: tuple[int, ...] = (0, 1)
    batch: int = 64
    rate: float = 1e-3
    critic_rate: float = 2e-3
    hidden: int = 512
    """Width of the regressor."""
    critic_hidden: int = 256
    """Width of the full pose's critic."""
    dropout: float = 0.1
    begin: float = 0.6
    """Steps of the common beginning on 2D alone, as a share of each run's."""
    measurements: int = 8
    """How often a run is measured."""
    held_out: int = 500
    """Synthetic people, and photos, to measure on."""


class BlindRegressor(IterativeRegressor):
    """HMR's regressor on what BlazePose sees, less what its heads say about depth.

    Its inputs are brought to mean 0 and spread 1 first (:meth:`settle_inputs`), or most of them would hardly count.
    """

    points = 33
    inputs = BlazeBackbone.pooled_size + 3 * points
    centre: Float[Tensor, " i"]
    spread: Float[Tensor, " i"]

    def __init__(self, hidden: int, *, dropout: float = 0.5) -> None:
        super().__init__(self.inputs, hidden=hidden, dropout=dropout)
        self.register_buffer("centre", torch.zeros(self.inputs))
        self.register_buffer("spread", torch.ones(self.inputs))

    def forward(self, features: Float[Tensor, "b f"]) -> list[HMROutput]:
        """Return the estimate after every iteration from what :class:`BlazeEncoder` gives."""
        # Channels that are nearly always silent speak at a hundred times their spread.
        return super().forward(((self.seen(features) - self.centre) / self.spread).clamp(-4, 4))

    def settle_inputs(self, features: Float[Tensor, "n f"]) -> None:
        """Take mean and spread of the inputs from these rows."""
        seen = self.seen(features)
        self.centre, self.spread = seen.mean(0), seen.std(0) + 1e-3

    def seen(self, features: Float[Tensor, "b f"]) -> Float[Tensor, "b i"]:
        """Return the last map, the landmarks in the crop, and how surely each is there and visible."""
        pooled, landmarks = features[:, : BlazeBackbone.pooled_size], features[:, BlazeBackbone.pooled_size :]
        landmarks = landmarks[:, : 5 * LANDMARKS].unflatten(1, (LANDMARKS, 5))[:, : self.points]
        return torch.cat([pooled, landmarks[..., :2].flatten(1), landmarks[..., 3] * landmarks[..., 4]], dim=1)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One variant with one seed: what was measured at which step, and where its weights lie."""

    variant: str
    seed: int
    measured: dict[int, dict[str, float]]
    folder: Path

    def first_below(self, target_px: float) -> int:
        """Return the first measured step whose 2D error meets the target, or the last step where none does."""
        met = (step for step, numbers in self.measured.items() if numbers["error_2d_px"] <= target_px)
        return next(met, max(self.measured))

    def weights(self, step: int) -> dict[str, Tensor]:
        """Return the averaged weights of a measured step."""
        from safetensors.torch import load_file

        return load_file(self.folder / "measured" / f"{step:06d}.safetensors")


class Lab:
    """The folder of an ablation and what is needed to go on in it."""

    def __init__(self, out: Path, data: Path | None, body: Body, settings: Settings) -> None:
        self.out, self.data, self.settings = out, data, settings
        self.body = body
        self.joint_body = JointBody.from_body(body, ("cocoplus19",))
        self.bodies = real_bodies_of(data)
        self.encoder = BlazeEncoder(BlazeBackbone.load())
        self.held_out: HeldOut

    def prepare(self) -> None:
        """Compute the features of training rows and of held-out people, where that is not done yet."""
        model = self._model(0)
        batch = min(50, self.settings.rows)
        recipe = Recipe(
            name="ablation", model="hmr-small", plan=Plan(steps=1), batch=batch, workers=0,
            photo_share=self.settings.photo_share,
        )  # fmt: skip
        rows = stream(recipe, self.data, model.input_size, seed=5_000)
        count = -(-self.settings.rows // batch)
        cache_features(model, rows, self.out / "features", batches=count, report=_counted("training crops", batch))
        samples = self.held_out_samples()

        def one_by_one(first: int, process: int, processes: int) -> Iterator[Batch]:
            for index in range(len(samples)):
                yield fixed_rows([samples[index]], model.input_size)

        cache_features(
            model, one_by_one, self.out / "held_out", batches=len(samples), report=_counted("held-out people", 1)
        )
        self.held_out = HeldOut.load(self.out / "held_out", self.body, self.joint_body)

    def held_out_samples(self) -> "_Chain":
        """Return synthetic people with their true regions, then photos with the detector's."""
        photos = photos_of(self.data, "validation")
        sources: list[Sequence[Sample]] = [SampleFiles(PEOPLE)]
        return _Chain([*sources, photos] if photos is not None else sources, self.settings.held_out)

    def affordable_steps(self) -> int:
        """Return how many steps each run may have, from how long the dearest kind of step takes."""
        known = self.out / "steps.json"
        if not known.exists():
            trial = 12
            folder = self.out / "trial"
            if folder.exists():
                shutil.rmtree(folder)
            state = fit(self._task("hmr_paired", 0), self._plan(trial, 0), folder, resume=True)
            runs = len(VARIANTS) * len(self.settings.seeds) + self.settings.begin
            steps = max(int(60 * self.settings.minutes / runs / (state.seconds / trial)), 1)
            with atomic_write(known) as temporary:
                temporary.write_text(json.dumps(steps))
        return int(json.loads(known.read_text()))

    def train(self, steps: int) -> list[Run]:
        """Train the common beginning, then every variant with every seed."""
        begun = max(round(self.settings.begin * steps), 1)
        start = self.run("begin", 0, begun, [begun], None).weights(begun)
        marks = sorted({max(round(steps * k / self.settings.measurements), 1) for k in self._marks()})
        return [self.run(variant, seed, steps, marks, start) for seed in self.settings.seeds for variant in VARIANTS]

    def measured_start(self) -> dict[str, float]:
        """Return the numbers of the common beginning."""
        (numbers,) = json.loads((self.out / "begin-0" / "measured.json").read_text()).values()
        return numbers

    def output_at(self, runs: Sequence[Run], variant: str, target_px: float) -> HMROutput:
        """Return what the first seed of a variant says of the held-out people where it meets the target."""
        run = next(run for run in runs if run.variant == variant)
        regressor = BlindRegressor(self.settings.hidden)
        regressor.load_state_dict(run.weights(run.first_below(target_px)))
        return self.held_out.predict(regressor)

    def _marks(self) -> range:
        return range(1, self.settings.measurements + 1)

    def run(self, variant: str, seed: int, steps: int, marks: Sequence[int], start: dict[str, Tensor] | None) -> Run:
        """Train one variant with one seed from `start`, and measure it at the marks; what is done already is read."""
        from safetensors.torch import save_file

        folder = self.out / f"{variant}-{seed}"
        table = folder / "measured.json"
        measured = {int(k): v for k, v in json.loads(table.read_text()).items()} if table.exists() else {}
        task = self._task(variant, seed)
        regressor = task.model.regressor
        assert isinstance(regressor, BlindRegressor)
        if start is None:
            regressor.settle_inputs(torch.from_numpy(task.arrays["features"][:SETTLING_ROWS].astype(np.float32)))
        else:
            regressor.load_state_dict(start)
        for mark in marks:
            if mark in measured:
                continue
            fit(task, self._plan(mark, seed), folder, resume=True)
            measured[mark] = self.held_out.measure(self.held_out.predict(regressor))
            weights = {name: value.contiguous() for name, value in regressor.state_dict().items()}
            with atomic_write(folder / "measured" / f"{mark:06d}.safetensors") as temporary:
                save_file(weights, temporary)
            with atomic_write(table) as temporary:
                temporary.write_text(json.dumps(measured))
            brief = ("mpjpe_mm", "pa_mpjpe_mm", "error_2d_px", "impossible_joints_percent", "self_intersecting_percent")
            shown = "  ".join(f"{name} {measured[mark][name]:.1f}" for name in brief if name in measured[mark])
            print(f"{variant} seed {seed} step {mark} of {steps}: {shown}", flush=True)
        return Run(variant=variant, seed=seed, measured=dict(sorted(measured.items())), folder=folder)

    def _task(self, variant: str, seed: int) -> FeatureTask:
        # The critic starts at random, so that seeds differ in it as well as in the order of the rows.
        torch.manual_seed(seed)
        return FeatureTask(
            self._model(seed),
            self.joint_body,
            self.out / "features",
            lambda model, body: Findings(numbers={}),
            weights=WEIGHTS.get(variant, TWO_D),
            rate=self.settings.rate,
            batch=self.settings.batch,
            seed=100 + seed,
            weight_decay=0.0,
            look_at_3d=variant == "hmr_paired",
            bodies=self.bodies,
            critic_rate=self.settings.critic_rate,
            critic=Critic(hidden=self.settings.critic_hidden),
        )

    def _model(self, seed: int) -> HMR:
        torch.manual_seed(seed)
        regressor = BlindRegressor(self.settings.hidden, dropout=self.settings.dropout)
        return HMR("ablation", self.encoder, regressor, input_size=256)

    def _plan(self, steps: int, seed: int) -> Plan:
        # Constant rates, as HMR's: a run that is measured on its way is the run that it is at its end.
        return Plan(
            steps=steps, seed=seed, final_rate=1.0, warmup_steps=50, clip_norm=20.0, average_decay=0.99, device="cpu",
            validate_minutes=None,
        )  # fmt: skip


class _Chain(Sequence[Sample]):
    """The first so many samples of each of several data sets, spread evenly over it."""

    def __init__(self, sources: Sequence[Sequence[Sample]], count: int) -> None:
        self.places = [
            (source, int(i)) for source in sources for i in np.linspace(0, len(source) - 1, min(count, len(source)))
        ]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Sample:  # pyright: ignore[reportIncompatibleMethodOverride]
        source, place = self.places[index]
        return source[place]


def _counted(what: str, batch: int) -> Callable[[int], None]:
    def report(done: int) -> None:
        if done * batch % 500 < batch:
            print(f"features of {done * batch} {what}", flush=True)

    return report
