"""Render the synthetic people that `monobody evaluate quick` measures with, from held-out clips, textures and photos.

    python scripts/build_evaluation.py --bank bank.npz --textures DATA/textures

500 pictures of 192 px in one tar of under 5 MB, shipped with the package. The same inputs give the same people.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from monobody.data.pose_bank import PoseBank
from monobody.data.shards import write_samples
from monobody.data.synthetic import TRAINING, SyntheticPeople
from monobody.evaluate.quick import SYNTHETIC

COUNT = 500
SETTING = replace(TRAINING, size=192)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument("--textures", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, default=SYNTHETIC)
    arguments = parser.parse_args()
    bank = PoseBank.load(arguments.bank)
    people = SyntheticPeople(2026, bank, arguments.textures, setting=SETTING, held_out=True)
    count = write_samples((people[i] for i in range(COUNT)), arguments.output, quality=82, planes=False)
    print(f"{arguments.output}: {count} people, {arguments.output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
