"""Draw what a detector holds possible, beside the truth from a second view, and one joint's depth.

    python scripts/draw_hypotheses.py --model xas-mini -o docs/results/hypotheses.png

The people are the shipped rendered ones (`evaluate/hypotheses_figure.py` says which and how).
"""

import argparse
from pathlib import Path

from monobody.evaluate.hypotheses_ablation import Ruler, load_detector
from monobody.evaluate.hypotheses_figure import draw_figure
from monobody.evaluate.hypotheses_runs import Settings
from monobody.hub import find_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="xas-mini", help="name or weights file")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--people", type=int, default=5)
    arguments = parser.parse_args()
    detector, hypotheses = load_detector(find_weights(arguments.model))
    ruler = Ruler(None, Settings(), size=detector.input_size)
    print("people", draw_figure(arguments.output, detector, ruler, people=arguments.people, hypotheses=hypotheses))


if __name__ == "__main__":
    main()
