"""What `hmr-small` would gain at most from a teacher's landmarks: its bodies when it is simply given them.

    python scripts/what_a_teacher_could_give.py --data DATA [--photos 300] [--people 200]

The teacher is BlazePose as it is published, read as prediction reads it. A network that had learnt to see in every
photo exactly what the teacher sees would hand its regressor the teacher's landmarks where now it hands on its own heat
maps' peaks. Both are done here, on held-out people and photos, in the same regions.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.body.skeleton import correspondence
from monobody.camera import project_weak
from monobody.data.datasets.lsp_extended import LspExtended
from monobody.data.mix import fixed_rows
from monobody.data.region import scattered
from monobody.data.sample import Sample
from monobody.evaluate.protocols import find_protocol
from monobody.metrics import mpjpe, pa_mpjpe, pck
from monobody.models.heat_maps import find_peaks
from monobody.models.hmr import BlazeEncoder
from monobody.predict.estimate import PixelEstimator
from monobody.predict.landmarks import Reading, read_again, read_region
from monobody.predict.predictor import load
from monobody.train.hmr_task import as_input

LANDMARK_OF = np.array(correspondence("blazepose33", "cocoplus19"))
SEEN = np.flatnonzero(LANDMARK_OF >= 0)
LOT = 20


def bodies(samples: list[Sample], readings: list[Reading]) -> dict[str, tuple[Tensor, Tensor]]:
    """Return the 14 joints in crops and metres, by whose landmarks the regressor was given; and what both see."""
    estimator = load("hmr-small", device="cpu").estimator
    assert isinstance(estimator, PixelEstimator)
    model, body = estimator.model, JointBody.from_body(Body.load(), ("cocoplus19",))
    assert isinstance(model.encoder, BlazeEncoder)
    found: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for start in range(0, len(samples), LOT):
        rows, lot = fixed_rows(samples[start : start + LOT], model.input_size), readings[start : start + LOT]
        with torch.inference_mode():
            features = model.encoder.backbone(as_input(rows["images"]))
            own = model.encoder.flatten(features)
            seen = find_peaks(features.maps).image
            taught, places = own.clone(), torch.stack([torch.from_numpy(r.crop.to_crop(r.landmarks_px)) for r in lot])
            score = torch.stack([torch.from_numpy(r.scores) for r in lot])[:, LANDMARK_OF[SEEN]].float()
            places = places[:, LANDMARK_OF[SEEN]].float()
            # The peaks and their scores are the last that the regressor is given.
            head = own.shape[1] - 3 * seen.shape[1]
            peaks = taught[:, head : head + 2 * seen.shape[1]].view(len(lot), -1, 2)
            peaks[:, SEEN] = places
            taught[:, head + 2 * seen.shape[1] :][:, SEEN] = score
            for name, given in (("its own peaks", own), ("the teacher's landmarks", taught)):
                output = model.regressor(given)[-1]
                joints = body(output.rotations, output.betas)["cocoplus19"]
                found.setdefault(name, []).append((project_weak(joints, output.camera)[:, :14], joints[:, :14]))
            teacher = seen.clone()
            teacher[:, SEEN] = places
            found.setdefault("peaks alone", []).append((seen[:, :14], torch.zeros(len(lot), 14, 3)))
            found.setdefault("landmarks alone", []).append((teacher[:, :14], torch.zeros(len(lot), 14, 3)))
    return {name: (torch.cat([p for p, _ in lots]), torch.cat([m for _, m in lots])) for name, lots in found.items()}


def read(samples: list[Sample]) -> tuple[list[Sample], list[Reading]]:
    """Return the samples in the regions that the teacher reads last, and what it reads."""
    readings = [
        read_again(each.image, read_region(each.image, scattered(each.crop, np.random.default_rng([0, i]))))
        for i, each in enumerate(samples)
    ]
    return [replace(each, crop=r.crop) for each, r in zip(samples, readings, strict=True)], readings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--people", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    photos = LspExtended(options.data / "lsp_extended", "validation")
    people = find_protocol("synthetic").open(None).samples
    for what, samples in (
        ("photos", [photos[i] for i in range(min(options.photos, len(photos)))]),
        ("people", [people[i] for i in range(min(options.people, len(people)))]),
    ):
        placed, readings = read(samples)
        rows = fixed_rows(placed, 256)
        true, visible = rows["keypoints_2d"][:, :14], rows["visible"][:, :14] > 0
        limbs = visible.clone()
        limbs[:, 12:] = False
        print(f"| {len(samples)} {what} | PCK@0.1 % | PCK@0.05 % | of 12: @0.1 | @0.05 | MPJPE mm | PA-MPJPE mm |")
        print("|---|---|---|---|---|---|---|")
        for name, (in_crop, metres) in bodies(placed, readings).items():
            numbers = [pck(in_crop, true, marked, threshold=t) for marked in (visible, limbs) for t in (0.1, 0.05)]
            cells = [f"{float(number):.1f}" for number in numbers]
            if name.endswith("alone"):
                cells[:2] = ["-", "-"]
            if what == "people" and not name.endswith("alone"):
                cells += [f"{float(each(metres, rows['joints_3d']).mean()):.1f}" for each in (mpjpe, pa_mpjpe)]
            print(f"| {name} | {' | '.join(cells + ['-'] * (6 - len(cells)))} |", flush=True)


if __name__ == "__main__":
    main()
