"""Does loading keep the network busy? ``python benchmarks/training.py [--data DATA] [--recipe hmr-small]``.

Everything is measured in one run, so that the ratios hold on a busy machine too:

- a training step on the same batch again and again, and the same step with rows as they come from the loaders, in
  turns: the aim is a ratio below 1.1;
- what a row and its parts cost, in processor time;
- synthetic people drawn by whole batches: on a graphics card the aim is 5,000 a second at 224 pixels;
- the whole step against the bare backbone's forward and backward pass: the aim on a graphics card is 60 %.

Without a graphics card all of it runs on the processor.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import numpy as np
import torch

from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.body.prior import PosePrior
from monobody.data.augment import Appearance, degrade
from monobody.data.crop import extract
from monobody.data.faults import Samples
from monobody.data.mix import Mix, Part
from monobody.data.pose_bank import PoseBank
from monobody.data.sample import Augment
from monobody.data.shards import SampleFiles
from monobody.data.synthetic import SyntheticPeople
from monobody.data.synthetic_torch import TorchPeople
from monobody.data.textures import Textures
from monobody.models.hmr import HMR, build_model
from monobody.train.hmr_task import HMRTask, Validation, as_input, freeze_early
from monobody.train.processes import join
from monobody.train.recipe import Recipe
from monobody.train.recipes import find_recipe
from monobody.train.sources import photos_of, stream
from monobody.train.step import Stepper

ROUNDS = 3
ROWS = 48


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of training data; procedural people without it")
    parser.add_argument("--recipe", help="hmr-small, or hmr-resnet18 where there is a graphics card")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--steps", type=int, default=6, help="steps in a round; more than the loaders hold ready")
    arguments = parser.parse_args()
    on_card = torch.cuda.is_available()
    if not on_card:
        # One core for the network; the others make rows.
        torch.set_num_threads(1)
    recipe = find_recipe(arguments.recipe or ("hmr-resnet18" if on_card else "hmr-small"))
    changes = {"batch": arguments.batch, "workers": arguments.workers}
    recipe = replace(recipe, **{name: value for name, value in changes.items() if value is not None})
    model = build_model(recipe.model, body=Body.load())
    place = "graphics card" if on_card else "processor"
    print(f"{recipe.name}, batch {recipe.batch}, {recipe.workers} loaders, {place}", flush=True)
    taken = rows(arguments.data, model.input_size)
    print(f"a batch of the last takes {1000 * taken * recipe.batch:.0f} ms of a core, while a step is made", flush=True)
    steps(recipe, model, arguments.data, arguments.steps)
    people(arguments.data, 224, on_card)


def rows(data: Path | None, size: int) -> float:
    """Print what rows cost, source by source; return the seconds of the last, which training reads most."""
    if data is None:
        return row("people", SyntheticPeople(1), size)
    tars = sorted((data / "synthetic").glob("*.tar"))
    photos = photos_of(data, "train")
    row("people", SyntheticPeople(1, _poses(data), _textures(data)), size)
    if photos is not None:
        row("photos", photos, size)
    return row("people rendered before", SampleFiles(*tars), size) if tars else 0.0


def row(name: str, samples: Samples, size: int) -> float:
    """Print the processor time of a row and of its parts; return it in seconds."""
    rng, augment, appearance = np.random.default_rng(0), Augment(), Appearance()
    mix = Mix([Part(samples=samples, share=1.0, augment=augment)], size=size, seed=0)
    kept = [samples[number] for number in range(ROWS)]
    crops = [extract(sample.image, sample.crop, size) for sample in kept]
    whole = milliseconds(lambda i: mix[i])
    parts = {
        "the sample": milliseconds(lambda i: samples[i]),
        "crop": milliseconds(lambda i: extract(kept[i].image, kept[i].crop, size)),
        "colours": milliseconds(lambda i: degrade(crops[i], rng, appearance)),
    }
    shown = ", ".join(f"{part} {value:.2f}" for part, value in parts.items())
    print(f"row of {size} px from {name}: {whole:.2f} ms of a core ({1000 / whole:.0f} a second): {shown}", flush=True)
    return whole / 1000


def steps(recipe: Recipe, model: HMR, data: Path | None, count: int) -> None:
    """Steps on a cached batch, with loading, and the backbone alone, in turns."""
    accelerator = join(recipe.plan)
    device = accelerator.device
    if recipe.frozen_residuals or recipe.frozen_depthwise:
        freeze_early(model, residuals=recipe.frozen_residuals, depthwise=recipe.frozen_depthwise)
    task = HMRTask(
        model,
        JointBody.from_body(Body.load(), ("cocoplus19",)),
        stream(recipe, data, model.input_size),
        Validation(synthetic=[], photos=[], size=model.input_size),
        weights=replace(recipe.weights, adversarial=0.0),
        regressor_rate=0.0,
        encoder_rate=0.0,
    )
    model.to(device).train()
    step = Stepper(task, recipe.plan, accelerator)
    loaded = task.batches(0, process=0, processes=1)
    batch = next(loaded)
    images = as_input(batch["images"].to(device))
    cached = repeat(batch)

    def bare() -> None:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=recipe.plan.bf16):
            features = model.encoder(images)
        features.float().square().mean().backward()
        model.zero_grad()

    ways = {"cached": lambda: step(cached), "loaded": lambda: step(loaded), "backbone": bare}
    times = np.array([[seconds(way, count) for way in ways.values()] for _ in range(ROUNDS + 1)])[1:]
    on_cached, with_loading, backbone = np.median(times, axis=0)
    # Neighbours in time are compared, as the machine may have other work.
    ratio, share = np.median(times[:, 1] / times[:, 0]), np.median(times[:, 2] / times[:, 1])
    print(f"step on a cached batch {1000 * on_cached:.0f} ms, with loading {1000 * with_loading:.0f} ms")
    print(f"ratio {ratio:.3f} (aim 1.1); {recipe.batch / with_loading:.0f} rows a second")
    print(f"backbone forward and backward {1000 * backbone:.0f} ms: the whole step reaches {100 * share:.0f} % of that")
    print("(aim on a graphics card 60 %)", flush=True)


def people(data: Path | None, size: int, on_card: bool) -> None:
    """Synthetic people drawn by whole batches on the device."""
    poses, textures = _poses(data), Textures.load(_textures(data))
    drawn = TorchPeople(poses, textures, device="cuda" if on_card else "cpu", size=size)
    count = 512 if on_card else 8
    numbers = iter(range(100))
    times = [seconds(lambda: drawn.batch(next(numbers), count), 1) for _ in range(ROUNDS + 1)][1:]
    rate = count / float(np.median(times))
    aim = "; aim 5,000" if on_card else ", one thread; the aim of 5,000 is a graphics card's"
    print(f"synthetic people drawn by batches at {size} px: {rate:.0f} a second{aim}")


def _poses(data: Path | None) -> PoseBank | PosePrior:
    bank = data / "pose_bank.npz" if data is not None else None
    return PoseBank.load(bank) if bank is not None and bank.is_file() else PosePrior.load()


def _textures(data: Path | None) -> Path | None:
    return data / "textures" if data is not None and (data / "textures").is_dir() else None


def seconds(work: Callable[[], object], count: int) -> float:
    """Return the time that one of `count` pieces of work takes."""
    settle()
    began = time.perf_counter()
    for _ in range(count):
        work()
    settle()
    return (time.perf_counter() - began) / count


def settle() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def milliseconds(work: Callable[[int], object]) -> float:
    """Return the processor time of one piece of work: the best of several rounds over all numbers."""
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for number in range(ROWS):
            work(number)
        taken.append((time.process_time() - began) / ROWS)
    return 1000 * min(taken)


if __name__ == "__main__":
    main()
