"""Which of X as Supervision's losses move the network, and how far? Gradients of each, side by side.

    python scripts/which_losses_pull.py WEIGHTS --data DATA [--steps 60] [-o FILE.json]

`xas-mini-photos` goes on from `xas-mini`'s first stage for some steps, so that critic and physique network have learnt
something. Then, over a few batches, the gradient of each weighted loss with respect to the detector's weights: its
length beside that of all losses together, and how much of it survives the mean over batches. A loss whose gradient is
long in every batch and short on average pulls to and fro.
"""

import argparse
import json
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.evaluate.ablation import this_commit
from monobody.evaluate.hypotheses_ablation import load_detector
from monobody.files import atomic_write
from monobody.train.hypotheses_labels import SETS, people_labels
from monobody.train.hypotheses_recipes import xas_mini_photos
from monobody.train.hypotheses_task import HypothesesTask
from monobody.train.sources import stream
from monobody.train.task import Findings

BATCHES = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    recipe, (detector, _) = xas_mini_photos(), load_detector(options.weights)
    settings = recipe.hypotheses
    assert settings is not None
    body = Body.load()
    joints = JointBody.from_body(body, SETS)
    task = HypothesesTask(
        detector.train(),
        stream(recipe, options.data, detector.input_size, masks=True),
        lambda _: Findings(numbers={}),
        settings,
        labels=lambda rows: people_labels(rows, joints, depth_range=detector.depth_range),
    )
    batches = task.batches(0, process=0, processes=1)
    for batch in islice(batches, options.steps):
        for optimiser in task.optimisers.values():
            optimiser.zero_grad()
        torch.stack(list(task.losses(batch).values())).sum().backward()
        for optimiser in task.optimisers.values():
            optimiser.step()
    learning = [parameter for parameter in detector.parameters() if parameter.requires_grad]
    pulls: dict[str, list[Tensor]] = {}
    for batch in islice(batches, BATCHES):
        losses = task.losses(batch)
        for name, loss in losses.items():
            if name != "critic":
                found = torch.autograd.grad(loss, learning, retain_graph=True, allow_unused=True)
                flat = [torch.zeros_like(p) if g is None else g for p, g in zip(learning, found, strict=True)]
                pulls.setdefault(name, []).append(torch.cat([g.flatten() for g in flat]))
    whole = torch.stack([torch.stack(each) for each in pulls.values()]).sum(0)
    rows = {name: _measured(torch.stack(each), whole) for name, each in pulls.items()} | {
        "all": _measured(whole, whole)
    }
    print("| loss, weighed | gradient's length | of all, % | of the mean over batches, % |\n|---|---|---|---|")
    for name, row in rows.items():
        print(f"| {name} | {row['length']:.3f} | {row['of_all']:.1f} | {row['of_mean']:.1f} |")
    if options.out is not None:
        with atomic_write(options.out) as temporary:
            report = {"command": "python scripts/which_losses_pull.py WEIGHTS --data DATA", "commit": this_commit()}
            temporary.write_text(
                json.dumps(report | {"steps": options.steps, "batches": BATCHES, "rows": rows}, indent=1) + "\n"
            )


def _measured(each: Tensor, whole: Tensor) -> dict[str, float]:
    """Return the mean length, and the shares of the whole gradient's, batch by batch and of the means."""
    length = each.norm(dim=1)
    return {
        "length": float(length.mean()),
        "of_all": 100 * float((length / whole.norm(dim=1)).mean()),
        "of_mean": 100 * float(each.mean(0).norm() / whole.mean(0).norm()),
    }


if __name__ == "__main__":
    main()
