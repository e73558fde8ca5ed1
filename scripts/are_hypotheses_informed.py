"""Do several depths know more than any would? The best of them against the mean with fixed offsets.

    python scripts/are_hypotheses_informed.py --data DATA -o docs/results/hypotheses_informed.json

An oracle that chooses among several depths gains from their being apart, whatever they are. The controls know nothing
of the picture but the mean:

- joint by joint: every joint's expected depth, and the same moved nearer and farther by one distance for all joints and
  people; or by so many times what the joint's expected depth is off on rendered training people, so that wrists move
  farther than hips. The distance, or the factor, is the one that serves best on these very people. The second needs
  ``--data``;
- whole poses: the mean, and the same moved to either side along the two directions in which the errors of the mean vary
  most on rendered training people, again by what serves it best on these very people. With ``--data`` alone.

What a detector's own hypotheses gain beyond that, they know. Both readings of `models/decode.py` are measured, on the
500 shipped rendered people in their true regions. It also says how calibrated depths are on these people, how well
`models/depth_ways.py` foresees which go wrong together, how often which of the five whole poses is the nearest,
and whether weights that look at bones would tell.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from monobody.body.skeleton import SKELETONS
from monobody.evaluate.ablation import rounded, this_commit
from monobody.evaluate.hypotheses_ablation import DISTANCES, MOVING, Ruler, beside, load_detector, log_lengths
from monobody.evaluate.hypotheses_runs import Settings
from monobody.files import atomic_write
from monobody.hub import find_weights
from monobody.models.decode import Reading
from monobody.models.depth_ways import errors_together
from monobody.models.detectors import Detector
from monobody.train.hypotheses_validation import Answers, answers_from, answers_of, marginals_of, numbers_of

STEPS = (0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4)
"""In standard deviations."""
BONES = (0.0, 0.1, 0.2, 0.5, 1.0)
"""How much a bone's squared logarithm of length counts against a pose's weight."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["xas-mini", "xas-blaze"], help="names or weights files")
    parser.add_argument("--data", type=Path, help="folder with synthetic/, for what looks at training people")
    parser.add_argument("-o", "--out", type=Path, help="raw figures")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    report = {name: asked(name, options.data) for name in options.models}
    if options.out is not None:
        said = {"command": "python scripts/are_hypotheses_informed.py --data DATA", "commit": this_commit()}
        with atomic_write(options.out) as temporary:
            temporary.write_text(json.dumps(rounded(said | report), indent=1) + "\n")


def asked(name: str, data: Path | None) -> dict[str, Any]:
    """Measure a detector and the controls, and print them."""
    detector, hypotheses = load_detector(find_weights(name))
    ruler = Ruler(data, Settings(), size=detector.input_size)
    usual_m, said = ruler.usual_m, marginals_of(detector, ruler.people["images"])
    mean = answers_from(said, detector, usual_m, hypotheses=1).joint_wise
    readings: tuple[Reading, ...] = ("shares", "modes")
    own = {
        f"its own, {reading}": answers_from(said, detector, usual_m, hypotheses=hypotheses, reading=reading)
        for reading in readings
    }
    own["the mean alone"] = Answers(joint_wise=mean, whole=mean, weight=torch.ones(len(mean), 1))
    joints = own | {f"the mean, and {distance:g} nearer and farther": beside(mean, distance) for distance in DISTANCES}
    whole = dict(own)
    if data is not None:
        labelled, truth = ruler.labelled()
        guess = answers_of(detector, labelled["images"], usual_m, hypotheses=1).joint_wise[:, 0]
        off = truth.cube[..., 2] - guess[..., 2]
        spread, directions = _main_directions(off)
        for step in STEPS:
            joints[f"the mean, and {step:g} of each joint's own deviation"] = beside(mean, step * off.std(0))
            ways = [step * spread[number] * directions[number] for number in (0, 1)]
            poses = torch.cat([mean, *(beside(mean, way).joint_wise[:, 1:] for way in ways)], dim=1)
            moved = Answers(joint_wise=poses, whole=poses, weight=torch.full(poses.shape[:2], 1 / 5))
            whole[f"the mean, and {step:g} deviations to either side of it"] = moved
    return {
        "joints": measured(f"{name}: best of 3 depths, a joint", "best_joints", ruler, joints),
        "whole": measured(f"{name}: best of 5 whole poses", "best_whole", ruler, whole),
        **foreseen(detector, said.depth, ruler.truth.cube[..., 2], usual_m),
        **nearest(own["its own, shares"], ruler),
        "weighed_by_bones": weighed_by_bones(own["its own, shares"], ruler),
    }


def nearest(answers: Answers, ruler: Ruler) -> dict[str, list[float]]:
    """Return how often each whole pose is the nearest to the truth, about the root, and what it weighs."""
    best = _errors(answers, ruler).argmin(1)
    often = (torch.bincount(best, minlength=answers.whole.shape[1]) / len(best)).tolist()
    weight = answers.weight.mean(0).tolist()
    print(f"\nthe nearest: {[round(share, 2) for share in often]}, weights {[round(share, 2) for share in weight]}")
    return {"how_often_nearest": often, "weights": weight}


def weighed_by_bones(answers: Answers, ruler: Ruler) -> dict[str, dict[str, float]]:
    """Return what weights are worth that believe a pose the less the less its bones are as long as people's.

    Log score: minus the mean logarithm of the weight of the pose that is nearest to the truth; the less the better.
    """
    length = log_lengths(answers.whole) - ruler.usual_m[MOVING].log()
    # One size a person, that of the first pose.
    off = (length - length[:, :1].median(-1, keepdim=True).values).clamp(-1, 1).square().sum(-1)
    best = _errors(answers, ruler).argmin(1)
    print("\n| bones count | log score | the heaviest, MPJPE mm |\n|---|---|---|")
    found = {}
    for factor in BONES:
        weight = (answers.weight.log() - factor * off).log_softmax(1)
        heaviest = answers.whole[torch.arange(len(best)), weight.argmax(1)]
        score, mpjpe = -weight.gather(1, best[:, None]).mean(), ruler.truth.errors(heaviest)["mpjpe_mm"].mean()
        found[f"{factor:g}"] = {"log_score": float(score), "heaviest_mpjpe_mm": float(mpjpe)}
        print(f"| {factor:g} | {score:.3f} | {mpjpe:.1f} |", flush=True)
    return found


def _errors(answers: Answers, ruler: Ruler) -> Float[Tensor, "b n"]:
    """Return how far each whole pose is from the truth about the root, infinitely where there is none."""
    root = SKELETONS["xas18"].parents.index(-1)
    about, true = (poses - poses[..., root : root + 1, :] for poses in (answers.whole, ruler.truth.cube[:, None]))
    return (about - true).norm(dim=-1).mean(-1).masked_fill(answers.weight == 0, torch.inf)


def measured(title: str, choice: str, ruler: Ruler, rows: Mapping[str, Answers]) -> dict[str, dict[str, float]]:
    """Return the errors of what an oracle chooses and of what comes first, and print them."""
    print(f"\n| {title} | MPJPE mm | PA-MPJPE mm | without an oracle | PA |\n|---|---|---|---|---|")
    first = "confident" if choice == "best_joints" else "whole"
    names = [f"{each}_{measure}_mm" for each in (choice, first) for measure in ("mpjpe", "pa_mpjpe")]
    found = {}
    for name, answers in rows.items():
        numbers = numbers_of(answers, ruler.truth)
        found[name] = {each: numbers[each] for each in names}
        print(f"| {name} | " + " | ".join(f"{value:.1f}" for value in found[name].values()) + " |", flush=True)
    return found


def foreseen(
    detector: Detector, said: Float[Tensor, "b k d"], depth: Float[Tensor, "b k"], usual_m: Float[Tensor, " k"]
) -> dict[str, float]:
    """Return how calibrated depths are, and how well the bones foresee which go wrong together."""
    skeleton = SKELETONS[detector.joint_set]
    moving = np.array(skeleton.parents) >= 0
    scores = _scores(said, depth / detector.depth_range)[:, moving]
    expected = errors_together(skeleton.parents, skeleton.flip, usual_m.tolist())[np.ix_(moving, moving)]
    apart = ~np.eye(len(expected), dtype=bool)
    agreement = float(np.corrcoef(np.corrcoef(scores.T)[apart], expected[apart])[0, 1])
    print(
        f"\nDepth errors of {len(scores)} people, as normal scores of their own distributions: standard "
        f"deviation {scores.std():.2f}; correlations as foreseen by the bones to {agreement:.2f}"
    )
    return {"normal_scores_deviation": float(scores.std()), "correlations_foreseen": agreement}


def _main_directions(off: Float[Tensor, "b k"]) -> tuple[Float[Tensor, " k"], Float[Tensor, "k k"]]:
    """Return the standard deviations of errors along their principal directions, and these."""
    _, size, directions = torch.linalg.svd(off - off.mean(0), full_matrices=False)
    return size / len(off) ** 0.5, directions


def _scores(probability: Float[Tensor, "b k d"], depth: Float[Tensor, "b k"]) -> Float[np.ndarray, "b k"]:
    """Return where the truth, -1 to 1, lies in each joint's own distribution, as if that were a normal one."""
    slices = probability.shape[-1]
    place = ((depth + 1) * slices / 2).clamp(0, slices - 1e-3)
    whole = place.floor().long()
    here = probability.gather(-1, whole[..., None]).squeeze(-1)
    before = probability.cumsum(-1).gather(-1, whole[..., None]).squeeze(-1) - here
    return torch.special.ndtri((before + here * (place - whole)).clamp(0.005, 0.995).double()).numpy()


if __name__ == "__main__":
    main()
