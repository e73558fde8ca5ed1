"""Do several depths a joint know more than any three would? The best of three against the mean with fixed offsets.

    python scripts/are_hypotheses_informed.py --model xas-blaze

An oracle that chooses among three depths gains from their being apart, whatever they are. The control knows nothing:
every joint's expected depth, and the same moved nearer and farther by one distance for all joints and people, the
distance that serves it best on these very people. What a detector's own depths gain beyond that, they know.
"""

import argparse

import torch

from monobody.evaluate.hypotheses_ablation import Ruler, load_detector
from monobody.evaluate.hypotheses_runs import Settings
from monobody.hub import find_weights
from monobody.train.hypotheses_validation import Answers, answers_of, numbers_of

DISTANCES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
"""In halves of the crop."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="xas-blaze", help="name or weights file")
    parser.add_argument("--size", type=int, help="of the crops, where that is not the detector's own")
    options = parser.parse_args()
    detector, hypotheses = load_detector(find_weights(options.model), size=options.size)
    ruler = Ruler(None, Settings(), size=detector.input_size)

    def best(answers: Answers) -> tuple[float, float]:
        numbers = numbers_of(answers, ruler.truth)
        return numbers["best_joints_mpjpe_mm"], numbers["best_joints_pa_mpjpe_mm"]

    with torch.no_grad():
        own = answers_of(detector, ruler.people["images"], ruler.usual_m, hypotheses=hypotheses)
        mean = answers_of(detector, ruler.people["images"], ruler.usual_m, hypotheses=1)
    rows = [(f"its own {hypotheses} depths", own), ("the mean alone", mean)]
    for distance in DISTANCES:
        moved = torch.zeros(3, 1, 3)
        moved[1:, 0, 2] = torch.tensor([distance, -distance])
        spread = Answers(joint_wise=mean.joint_wise + moved, whole=mean.whole, weight=mean.weight)
        rows.append((f"the mean, and {distance:g} nearer and farther", spread))
    print("| best of them, a joint | MPJPE mm | PA-MPJPE mm |\n|---|---|---|")
    for name, answers in rows:
        print("| {} | {:.1f} | {:.1f} |".format(name, *best(answers)))


if __name__ == "__main__":
    main()
