"""Synthetic people per core-second: ``python benchmarks/synthetic.py [--data DATA] [--bank BANK]``.

CPU time of the process counts, all of a sample's making included (body, pose, clothes, pixels, labels), in blocks of
which the best counts, so that a busy machine does not. Without data, poses come from the shipped prior and textures
are procedural.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from monobody.data.pose_bank import PoseBank
from monobody.data.synthetic import BLOCK, PLAIN, TRAINING, SyntheticPeople
from monobody.data.textures import Textures

ROUNDS = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with textures/ inside")
    parser.add_argument("--bank", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    textures = Textures.load(arguments.data / "textures" if arguments.data else None)
    poses = PoseBank.load(arguments.bank) if arguments.bank else None
    for name, setting in (("plain", PLAIN), ("training", TRAINING)):
        people = SyntheticPeople(0, poses, textures, setting=setting)
        # Twice a block first: numba compiles, caches fill.
        rates = [rate(people, number * BLOCK) for number in range(ROUNDS + 2)][2:]
        best, usual = max(rates), float(np.median(rates))
        print(f"{name:9s} {setting.size} px: {best:4.0f} samples per core-second (median of blocks {usual:.0f})")


def rate(people: SyntheticPeople, first: int) -> float:
    began = time.process_time()
    for index in range(first, first + BLOCK):
        people[index]
    return BLOCK / (time.process_time() - began)


if __name__ == "__main__":
    main()
