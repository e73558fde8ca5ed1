"""What several hypotheses cost: ``python benchmarks/hypotheses.py [MODEL ...] [--no-training]``.

Of each detector, on one core of the processor and with made-up weights, since weights do not change the time:

- a picture through the network, alone and in a batch of 16; what reading poses from what it answered adds (the aim is
  at most 5 %), and what the critic takes for that many poses;
- a training step of 8 crops with every loss (masks, critic, dense ones) and Adam against the bare network's forward and
  backward pass on the same crops, and the largest memory of the process while steps are made (the aim is below 6 GB).

Times are processor time, so that a busy machine does not change them much. Peak memory is measured in processes of
their own.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from monobody.body.bones import usual_bones_m
from monobody.body.model import Body
from monobody.models.decode import decode_marginals
from monobody.models.detectors import NAMES, Detector, build_detector
from monobody.models.marginals import marginals
from monobody.models.pose_graph import PoseGraphCritic
from monobody.train.hypotheses_recipes import STAGE_2
from monobody.train.hypotheses_settings import HypothesesSettings
from monobody.train.hypotheses_task import HypothesesTask

ROUNDS = 5
BATCH = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=[], help=f"of {', '.join(NAMES)}; all where left out")
    parser.add_argument("--no-training", action="store_true", help="only what prediction costs")
    parser.add_argument("--step-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.step_of:
        training_step(arguments.step_of)
        return
    usual_m = usual_bones_m(Body.load())
    for name in arguments.models or NAMES:
        prediction(name, usual_m)
        if not arguments.no_training:
            subprocess.run([sys.executable, __file__, "--step-of", name], check=True)


def prediction(name: str, usual_m: Tensor) -> None:
    """Print what a picture costs, alone and in a batch."""
    detector, critic = build_detector(name).eval(), PoseGraphCritic().eval()
    # Opinions, as of a network that has learnt.
    nn.init.normal_(detector.volume.weight, std=0.3)  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]
    size = detector.input_size
    for count in (1, 16):
        images = torch.rand(count, 3, size, size).contiguous(memory_format=torch.channels_last)
        poses = torch.randn(count * 5, detector.joints, 3)
        best = [float("inf")] * 3
        for _ in range(ROUNDS):
            with torch.inference_mode():
                times = [time.process_time()]
                volume = detector(images)
                times.append(time.process_time())
                decode_marginals(marginals(volume), usual_m, depth_range=detector.depth_range)
                times.append(time.process_time())
                critic(poses)
                times.append(time.process_time())
            best = [
                min(old, 1000 * (after - before)) for old, (before, after) in zip(best, pairwise(times), strict=True)
            ]
        forward, read, judge = best
        print(
            f"{name}, {size} px, batch {count}: network {forward / count:.1f} ms a picture, reading poses "
            f"{read / count:.2f} ms ({100 * read / forward:.1f} %), the critic on five poses {judge / count:.2f} ms",
            flush=True,
        )


def training_step(name: str) -> None:
    """Print a whole training step against the bare network's, and the memory of a process that makes them."""
    detector = build_detector(name).train()
    settings = HypothesesSettings(weights=STAGE_2)
    task = HypothesesTask(detector, lambda *_: iter(()), lambda _: {}, settings)  # pyright: ignore[reportArgumentType]
    rows = rows_for(detector)
    images = rows["images"].float() / 255
    network = [parameter for parameter in detector.parameters() if parameter.requires_grad]

    def whole() -> None:
        sum(task.losses(rows).values()).backward()  # pyright: ignore[reportAttributeAccessIssue]
        for optimiser in task.optimisers.values():
            optimiser.step()
        forget()

    def bare() -> None:
        detector(images).square().mean().backward()
        forget()

    def forget() -> None:
        for module in task.modules.values():
            module.zero_grad(set_to_none=True)

    step, alone = milliseconds(whole, bare, rounds=2)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    parameters = sum(parameter.numel() for parameter in network) / 1e6
    print(
        f"{name}: a training step of {BATCH} crops of {detector.input_size} px {step / 1000:.1f} s, the bare network's "
        f"{alone / 1000:.1f} s ({step / alone:.2f} times); {parameters:.1f} million parameters learn; "
        f"the process takes {peak_gb:.2f} GB at most",
        flush=True,
    )


def rows_for(detector: Detector) -> dict[str, Tensor]:
    """Return made-up rows, half of them pairs, as `data/hypothesis_row.py` has them."""
    size, pairs = detector.input_size, torch.arange(BATCH) % 2
    joints = 0.4 * torch.randn(BATCH, detector.joints, 3).clamp(-2, 2)
    return {
        "images": torch.randint(0, 256, (BATCH, 3, size, size), dtype=torch.uint8),
        "mask": 255 * torch.randint(0, 2, (BATCH, size, size), dtype=torch.uint8),
        "has_mask": torch.ones(BATCH),
        "joints": joints,
        "known": pairs[:, None].expand(BATCH, detector.joints).float(),
        "has_joints": pairs.float(),
        "small": torch.tensor(False),
    }


def milliseconds(*tasks: Callable[[], Any], rounds: int = ROUNDS) -> Iterator[float]:
    """Yield the least processor time of each task over some rounds, in which they take turns."""
    best = [float("inf")] * len(tasks)
    for _ in range(rounds):
        for place, task in enumerate(tasks):
            began = time.process_time()
            task()
            best[place] = min(best[place], 1000 * (time.process_time() - began))
    yield from best


if __name__ == "__main__":
    main()
