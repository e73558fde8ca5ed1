"""Do several depths know more than any would? The best of them against the mean with fixed offsets.

    python scripts/are_hypotheses_informed.py --model xas-blaze --data DATA

An oracle that chooses among several depths gains from their being apart, whatever they are. The controls know nothing
of the picture but the mean:

- joint by joint: every joint's expected depth, and the same moved nearer and farther by one distance for all joints and
  people, the distance that serves it best on these very people;
- whole poses: the mean, and the same moved to either side along the two directions in which the errors of the mean vary
  most on rendered training people, again by what serves it best on these very people. With ``--data`` alone.

What a detector's own hypotheses gain beyond that, they know. Both readings of `models/decode.py` are measured, on the
500 shipped rendered people in their true regions. With ``--data`` it also says how well `models/depth_ways.py` foresees
which depths go wrong together.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from monobody.body.skeleton import SKELETONS
from monobody.evaluate.hypotheses_ablation import DISTANCES, Ruler, beside, load_detector
from monobody.evaluate.hypotheses_runs import Settings
from monobody.hub import find_weights
from monobody.models.decode import Reading
from monobody.models.depth_ways import errors_together
from monobody.models.hypotheses import marginals
from monobody.train.hmr_task import as_input
from monobody.train.hypotheses_validation import CROPS_AT_ONCE, Answers, answers_of, numbers_of

STEPS = (0.6, 0.8, 1.0, 1.2, 1.4)
"""In standard deviations."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="xas-blaze", help="name or weights file")
    parser.add_argument("--data", type=Path, help="folder with synthetic/, for what looks at training people")
    parser.add_argument("--size", type=int, help="of the crops, where that is not the detector's own")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    detector, hypotheses = load_detector(find_weights(options.model), size=options.size)
    ruler = Ruler(options.data, Settings(), size=detector.input_size)
    images, usual_m = ruler.people["images"], ruler.usual_m
    mean = answers_of(detector, images, usual_m, hypotheses=1).joint_wise
    readings: tuple[Reading, ...] = ("shares", "modes")
    rows = [
        (f"its own, {reading}", answers_of(detector, images, usual_m, hypotheses=hypotheses, reading=reading))
        for reading in readings
    ]
    rows.append(("the mean alone", Answers(joint_wise=mean, whole=mean, weight=torch.ones(len(mean), 1))))
    rows += [(f"the mean, and {distance:g} nearer and farther", beside(mean, distance)) for distance in DISTANCES]
    print_rows("best of 3 depths, a joint", "best_joints", ruler, rows)
    whole = rows[:3]
    if options.data is not None:
        labelled, truth = ruler.labelled()
        guess = answers_of(detector, labelled["images"], usual_m, hypotheses=1).joint_wise[:, 0]
        spread, directions = _main_directions(truth.cube[..., 2] - guess[..., 2])
        for step in STEPS:
            offsets = torch.zeros(5, mean.shape[2], 3)
            for number in (0, 1):
                way = step * spread[number] * directions[number]
                offsets[1 + 2 * number, :, 2], offsets[2 + 2 * number, :, 2] = way, -way
            poses = mean + offsets
            moved = Answers(joint_wise=poses, whole=poses, weight=torch.full(poses.shape[:2], 1 / 5))
            whole.append((f"the mean, and {step:g} deviations to either side of it", moved))
        scores = _scores(detector, labelled["images"], truth.cube[..., 2])
        skeleton = SKELETONS[str(detector.joint_set)]
        foreseen = errors_together(skeleton.parents, skeleton.flip, usual_m.tolist())
        moving = np.array(skeleton.parents) >= 0
        apart = ~np.eye(len(foreseen), dtype=bool) & moving & moving[:, None]
        measured = np.corrcoef(scores[:, moving].T)
        found = np.zeros_like(foreseen)
        found[np.ix_(moving, moving)] = measured
        print(
            f"\nDepth errors of {len(scores)} training people, as normal scores of their own distributions: standard "
            f"deviation {scores[:, moving].std():.2f}; correlations as foreseen by the bones to "
            f"{np.corrcoef(found[apart], foreseen[apart])[0, 1]:.2f}"
        )
    print_rows("best of 5 whole poses", "best_whole", ruler, whole)


def print_rows(title: str, choice: str, ruler: Ruler, rows: list[tuple[str, Answers]]) -> None:
    print(f"\n| {title} | MPJPE mm | PA-MPJPE mm | without an oracle | PA |\n|---|---|---|---|---|")
    first = "confident" if choice == "best_joints" else "whole"
    for name, answers in rows:
        numbers = numbers_of(answers, ruler.truth)
        shown = [numbers[f"{each}_{measure}_mm"] for each in (choice, first) for measure in ("mpjpe", "pa_mpjpe")]
        print(f"| {name} | " + " | ".join(f"{value:.1f}" for value in shown) + " |")


def _main_directions(off: Float[Tensor, "b k"]) -> tuple[Float[Tensor, " k"], Float[Tensor, "k k"]]:
    """Return the standard deviations of errors along their principal directions, and these."""
    _, size, directions = torch.linalg.svd(off - off.mean(0), full_matrices=False)
    return size / len(off) ** 0.5, directions


def _scores(detector: nn.Module, images: Tensor, depth: Float[Tensor, "b k"]) -> Float[np.ndarray, "b k"]:
    """Return where the truth lies in each joint's own distribution, as if that were a normal one."""
    parts = [marginals(detector(as_input(crops)).float()).depth for crops in images.split(CROPS_AT_ONCE)]
    probability = torch.cat(parts)
    slices = probability.shape[-1]
    place = ((depth / float(detector.depth_range) + 1) * slices / 2).clamp(0, slices - 1e-3)  # pyright: ignore[reportArgumentType]
    whole = place.floor().long()
    here = probability.gather(-1, whole[..., None]).squeeze(-1)
    before = probability.cumsum(-1).gather(-1, whole[..., None]).squeeze(-1) - here
    return torch.special.ndtri((before + here * (place - whole)).clamp(0.005, 0.995).double()).numpy()


if __name__ == "__main__":
    main()
