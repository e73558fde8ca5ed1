"""Which focal length fits photos of unknown cameras best: PCK of one model's bodies before longer and longer ones.

    python scripts/which_focal_length.py --data DATA [--model lift] [--photos 100]

DATA holds `lsp_extended/`, photos that somebody cut tight out of larger ones. Every so manieth validation photo is
taken; people are looked for within the box of their clicked joints. The first row is the network's own weak
perspective.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch

from monobody.body.skeleton import correspondence
from monobody.camera import Camera, project_weak
from monobody.data.datasets.lsp_extended import LspExtended
from monobody.predict.detect import find_detector
from monobody.predict.estimate import Seen
from monobody.predict.predictor import load

DIAGONALS = (0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="lift")
    parser.add_argument("--photos", type=int, default=100)
    arguments = parser.parse_args()
    photos = LspExtended(arguments.data / "lsp_extended", "validation")
    predictor, find = load(arguments.model), find_detector("blazepose")
    order = list(correspondence("cocoplus19", "lsp14"))
    errors: dict[str, list[np.ndarray]] = {}
    for number in range(0, len(photos), max(1, len(photos) // arguments.photos)):
        sample = photos[number]
        height, width = sample.image.shape[:2]
        true_px, visible = np.asarray(sample.keypoints_px)[order], np.asarray(sample.visible)[order] > 0
        low, high = true_px[visible].min(0), true_px[visible].max(0)
        side = float((high - low).max())
        box = [*np.maximum(low - 0.1 * side, 0), *np.minimum(high + 0.1 * side, (width, height))]
        found = find(sample.image, [box])
        person = None
        for times in DIAGONALS:
            middle = (width / 2, height / 2)
            camera = Camera(focal_px=times * math.hypot(width, height), principal_px=middle, source="user")
            ((person, *_),) = predictor.people_in([Seen(rgb=sample.image, detections=found, camera=camera)])
            off = np.linalg.norm(person.joints_px["lsp14"] - true_px, axis=1)
            errors.setdefault(f"{times:g} diagonals", []).append(off[visible] / side)
        assert person is not None
        joints_m = torch.from_numpy(person.joints_cam_m["lsp14"] - person.translation_m)
        weak = project_weak(joints_m, torch.from_numpy(np.asarray(person.camera_weak)))
        off = np.linalg.norm(np.asarray(person.upright_crop.to_picture(weak)) - true_px, axis=1)
        errors.setdefault("weak perspective", []).append(off[visible] / side)
    print(f"{arguments.model}, {len(errors['weak perspective'])} photos    PCK@0.1 %   PCK@0.05 %")
    for name in ("weak perspective", *(f"{times:g} diagonals" for times in DIAGONALS)):
        off = np.concatenate(errors[name])
        print(f"{name:24s}{100 * (off <= 0.1).mean():12.1f}{100 * (off <= 0.05).mean():12.1f}")


if __name__ == "__main__":
    main()
