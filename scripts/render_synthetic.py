"""Render synthetic training samples ahead of time, as tars of 1,000 that ``monobody.data.shards`` reads.

    python scripts/render_synthetic.py --bank bank.npz --textures DATA/textures --out synthetic --count 60000

Resumes: tars that are there already are skipped. Several processes share the work with ``--part 0/2``, ``--part 1/2``.
The pairs of X as Supervision: ``--masks --curated``, and shares of other looks: ``--parts 0.3 --black 0.5``.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

from monobody.data.curated_poses import CuratedPoses
from monobody.data.pose_bank import PoseBank
from monobody.data.shards import write_samples
from monobody.data.synthetic import TRAINING, SyntheticPeople
from monobody.data.textures import Textures

PER_TAR = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", type=Path, help="pose bank; the shipped pose prior where left out")
    parser.add_argument("--textures", type=Path, help="texture folder; procedural textures where left out")
    parser.add_argument("--garments", type=Path, help="made by build_garments.py; TEXTURES/garments.npz where left out")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=TRAINING.size, help="side of the pictures in pixels")
    parser.add_argument("--masks", action="store_true", help="keep masks and body parts beside the pictures")
    parser.add_argument("--curated", action="store_true", help="poses of the hand-written distribution, not of a bank")
    parser.add_argument("--released", action="store_true", help="that distribution as published")
    parser.add_argument("--parts", type=float, default=0.0, help="share of people painted by body parts")
    parser.add_argument("--clay", type=float, default=0.0, help="share of people of one grey")
    parser.add_argument("--black", type=float, default=0.0, help="share of pictures that are black about the person")
    parser.add_argument("--part", default="0/1", help="k/n: this process makes every n-th tar")
    arguments = parser.parse_args()
    part, parts = (int(number) for number in arguments.part.split("/"))
    poses = PoseBank.load(arguments.bank) if arguments.bank else None
    if arguments.curated or arguments.released:
        poses = CuratedPoses(released=arguments.released)
    textures = Textures.load(arguments.textures, garments=arguments.garments)
    setting = replace(TRAINING, size=arguments.size, parts=arguments.parts, clay=arguments.clay, black=arguments.black)
    people = SyntheticPeople(arguments.seed, poses, textures, setting=setting)
    for tar in range(part, -(-arguments.count // PER_TAR), parts):
        file = arguments.out / f"people-{tar:04d}.tar"
        if file.exists():
            continue
        began = time.perf_counter()
        indices = range(PER_TAR * tar, min(PER_TAR * (tar + 1), arguments.count))
        write_samples((people[index] for index in indices), file, planes=arguments.masks)
        print(f"{file.name}: {len(indices) / (time.perf_counter() - began):.0f} samples a second", flush=True)


if __name__ == "__main__":
    main()
