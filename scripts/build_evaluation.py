"""Render the synthetic people that `monobody evaluate quick` measures with, from held-out clips, textures and photos.

    python scripts/build_evaluation.py --bank bank.npz --textures DATA/textures

500 pictures of 240 px in one tar of under 5 MB, shipped with the package. The same inputs give the same people; the set
is made once and then kept, so that numbers measured on it stay comparable.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from monobody.data.pose_bank import PoseBank
from monobody.data.shards import write_samples
from monobody.data.synthetic import TRAINING, SyntheticPeople
from monobody.data.textures import Textures
from monobody.evaluate.quick import SYNTHETIC

COUNT = 500
SETTING = replace(TRAINING, size=240, margin=1.2, bystanders=0.12, occluders=0.12, truncated=0.06, unusual=0.25)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument("--textures", type=Path, required=True)
    parser.add_argument("--garments", type=Path, help="made by build_garments.py; TEXTURES/garments.npz where left out")
    parser.add_argument("-o", "--output", type=Path, default=SYNTHETIC)
    arguments = parser.parse_args()
    bank = PoseBank.load(arguments.bank)
    textures = Textures.load(arguments.textures, held_out=True, garments=arguments.garments)
    people = SyntheticPeople(2026, bank, textures, setting=SETTING, held_out=True)
    count = write_samples((people[i] for i in range(COUNT)), arguments.output, quality=63, planes=False)
    print(f"{arguments.output}: {count} people, {arguments.output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
