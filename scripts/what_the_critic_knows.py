"""What does the graph critic of X as Supervision tell apart, and does its verdict say how wrong a pose is?

    python scripts/what_the_critic_knows.py RUN --data DATA [--rows multi strong_critic] [-o FILE.json]

RUN is the folder in which `monobody evaluate hypotheses --out RUN` left its networks. Each row's critic, with averaged
weights, judges on the 500 shipped rendered people: their true poses; the first of the hypotheses that it was trained
against; the true poses with every depth moved at random, and half as deep. And the first hypotheses of 500 photos.
"Told apart" is the share of pairs of a true and another pose of which the true one is judged the better (the area under
the ROC curve; 50 is chance). "Rank correlation" is Spearman's, of a verdict and the pose's error: if a verdict is to
make poses better, it has to be well below 0.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import load_file
from scipy.stats import mannwhitneyu, spearmanr
from torch import Tensor

from monobody.evaluate.ablation import rounded, this_commit
from monobody.evaluate.hypotheses_ablation import Ruler, load_detector
from monobody.evaluate.hypotheses_runs import Settings
from monobody.files import atomic_write
from monobody.models.pose_graph import PoseGraphCritic
from monobody.train.hypotheses_validation import answers_of

NOISE = (0.05, 0.1, 0.2)
"""Standard deviations of depths, in halves of the crop: 5, 10 and 20 cm in a crop of two metres."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", default=["multi", "strong_critic"])
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    ruler = Ruler(options.data, Settings())
    report = {row: [known(options.run / f"{row}-{seed}", ruler) for seed in Settings().seeds] for row in options.rows}
    names = list(report[options.rows[0]][0])
    print("| | " + " | ".join(names) + " |\n" + "|---" * (len(names) + 1) + "|")
    for row, runs in report.items():
        for seed, run in enumerate(runs):
            print(f"| {row}, seed {seed} | " + " | ".join(f"{value:.2f}" for value in run.values()) + " |")
    if options.out is not None:
        said = {"command": "python scripts/what_the_critic_knows.py RUN --data DATA", "commit": this_commit()}
        with atomic_write(options.out) as temporary:
            temporary.write_text(json.dumps(rounded(said | report), indent=1) + "\n")


def known(run: Path, ruler: Ruler) -> dict[str, float]:
    """Return how well a run's critic tells true poses from others, and predicted ones by their errors."""
    detector, hypotheses = load_detector(run / "weights.safetensors", size=ruler.size)
    critic = PoseGraphCritic(detector.joint_set).eval()
    learnt = sorted(run.glob("checkpoints/*/critic_average.safetensors"))
    if not learnt:
        raise SystemExit(f"{run} has no critic: give the --out of `monobody evaluate hypotheses`, and rows with one.")
    critic.load_state_dict(load_file(learnt[-1]))
    if ruler.photos is None:
        raise SystemExit("There are no photos to judge: --data needs lsp_extended.")
    made, seen = (
        answers_of(detector, rows["images"], ruler.usual_m, hypotheses=hypotheses, reading="modes").joint_wise[:, 0]
        for rows in (ruler.people, ruler.photos)
    )
    true = ruler.truth.cube
    verdict, verdict_made = critic(true), critic(made)
    found = {
        "predicted told apart": apart(verdict, verdict_made),
        "predicted on photos told apart": apart(verdict, critic(seen)),
        "photos from rendered, both predicted": apart(critic(seen), verdict_made),
    }
    generator = torch.Generator().manual_seed(0)
    for spread in NOISE:
        moved = true.clone()
        moved[..., 2] += spread * torch.randn(true.shape[:2], generator=generator)
        found[f"depths {spread:g} off told apart"] = apart(verdict, critic(moved))
    found["half as deep told apart"] = apart(verdict, critic(true * torch.tensor([1.0, 1.0, 0.5])))
    errors = ruler.truth.errors(made)
    for measure in ("mpjpe_mm", "pa_mpjpe_mm"):
        correlation = np.asarray(spearmanr(verdict_made.numpy(), errors[measure]))[0]
        found[f"rank correlation with {measure.removesuffix('_mm').upper().replace('_', '-')}"] = float(correlation)
    return found


def apart(one: Float[Tensor, " a"], other: Float[Tensor, " b"]) -> float:
    """Return in how many of 100 pairs the first is judged the better."""
    return 100 * float(np.asarray(mannwhitneyu(one.numpy(), other.numpy()))[0]) / (len(one) * len(other))


if __name__ == "__main__":
    main()
