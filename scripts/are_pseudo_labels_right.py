"""Are bodies fitted to clicked joints right, and do the thresholds keep the right ones?

    python scripts/are_pseudo_labels_right.py [--limit 300] [--json docs/results/pseudo_labels.json]

The shipped synthetic people, whose bodies are known, take the place of photos: their 2D joints, moved by noise of two
per cent of their size as clicks are, with what the detector reads in the rendered pictures. Printed are the true
errors of those kept and of those dropped, threshold by threshold; and what becomes of a part of them with left and
right exchanged, as some who clicked did.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from monobody.body.skeleton import SKELETONS
from monobody.data.sample import Sample
from monobody.data.shards import SampleFiles
from monobody.evaluate.quick import SYNTHETIC, find_people
from monobody.files import atomic_write
from monobody.fit.kept import Judged, Thresholds
from monobody.metrics import mpjpe, pa_mpjpe
from monobody.predict.pseudo_labels import Labeller

CLICK_NOISE = 0.02
AT_ONCE = 64
EXCHANGED = 128
"""So many people are clicked a second time, with left and right exchanged."""
KEY = "synthetic_people"


def clicked(sample: Sample, rng: np.random.Generator, *, exchanged: bool = False) -> Sample:
    """Return a sample as if somebody had clicked its joints."""
    points, visible = sample.keypoints_px.copy(), sample.visible.copy()
    size = float(np.ptp(points[:14][visible[:14] > 0], axis=0).max())
    points[:14] += CLICK_NOISE * size * rng.normal(size=(14, 2))
    if exchanged:
        flip = list(SKELETONS["lsp14"].flip)
        points[:14], visible[:14] = points[:14][flip], visible[:14][flip]
    return replace(sample, keypoints_px=points, visible=visible)


def fitted(people: Sequence[Sample], labeller: Labeller, *, exchanged: bool = False) -> Judged:
    """Fit people as photos are fitted."""
    parts = []
    for first in range(0, len(people), AT_ONCE):
        some = people[first : first + AT_ONCE]
        # Where the people are must not depend on the noise: they are found by their true joints.
        found, rng = find_people(some), np.random.default_rng([first, exchanged])
        index = range(first, first + len(some))
        noisy = [clicked(each, rng, exchanged=exchanged) for each in some]
        parts.append(labeller.label(noisy, found, [f"{i}" for i in index], index))
        print(f"{first + len(some)} of {len(people)} people", flush=True)
    return Judged.together(parts)


def numbers(joints_m: np.ndarray, people: Sequence[Sample], index: np.ndarray) -> dict[str, Any]:
    """Return how many there are of some, and how far off their joints truly are."""
    if not len(index):
        return {"people": 0}
    true = np.stack([people[i].joints_cam_m for i in index])
    joints, truth = torch.from_numpy(joints_m), torch.from_numpy(true).float()
    aligned, centred = pa_mpjpe(joints, truth), mpjpe(joints, truth)
    return {
        "people": len(index),
        "mpjpe_mm": round(float(centred.mean()), 1),
        "pa_mpjpe_mm": round(float(aligned.mean()), 1),
        "pa_mpjpe_middle_mm": round(float(aligned.median()), 1),
        "above_100_mm_percent": round(100 * float((aligned > 100).float().mean()), 1),
    }


def of_fits(fits: Judged, people: Sequence[Sample], chosen: np.ndarray) -> dict[str, Any]:
    """Return the numbers of some fits."""
    return numbers(fits.joints_cam_m[chosen], people, fits.index[chosen])


def of_network(people: Sequence[Sample], index: np.ndarray, labeller: Labeller) -> dict[str, Any]:
    """Return the numbers of what `hmr-small` itself says about the same people."""
    some = [people[i] for i in index]
    start = labeller.looked(some, find_people(some))
    return numbers(labeller.joints(start.rotations, start.betas)["lsp14"].numpy(), people, index)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=300, help="so many of the people")
    parser.add_argument("--fits", type=Path, help="keep the fits here, or take them from here: folder")
    parser.add_argument("--json", type=Path, help="put the numbers into this file, beside others")
    options = parser.parse_args()
    torch.set_num_threads(1)
    people = list(SampleFiles(SYNTHETIC)[: options.limit])
    labeller = Labeller.load()
    straight, wrong = (_kept_in(options.fits, name) for name in ("straight", "exchanged"))
    if straight is None:
        straight = fitted(people, labeller)
    if wrong is None:
        wrong = fitted(people[:EXCHANGED], labeller, exchanged=True)
    if options.fits is not None:
        options.fits.mkdir(parents=True, exist_ok=True)
        straight.save(options.fits / "straight.npz")
        wrong.save(options.fits / "exchanged.npz")
    thresholds = Thresholds()
    has_fit, keep = np.isfinite(straight.reprojection), thresholds.kept(straight)
    table: dict[str, Any] = {
        "everybody who was fitted": of_fits(straight, people, has_fit),
        "kept": of_fits(straight, people, keep),
        "hmr-small on those kept": of_network(people, straight.index[keep], labeller),
        "fitted and dropped": of_fits(straight, people, has_fit & ~keep),
    }
    for reason, applies in thresholds.reasons(straight).items():
        table[f"dropped: {reason}"] = of_fits(straight, people, has_fit & applies) | {"of_all": int(applies.sum())}
    for most_mm in (30, 50, 80, 120):
        name = f"kept with starts at most {most_mm} mm apart"
        table[name] = of_fits(straight, people, replace(thresholds, apart_mm=most_mm).kept(straight))
    shape = np.stack([people[i].betas for i in straight.index[keep]]), straight.betas[keep]
    summary = {
        "people": len(straight),
        "table": table,
        "shape_error": round(float(np.sqrt(np.square(shape[0] - shape[1]).mean())), 3),
        "shape_error_of_the_mean": round(float(np.sqrt(np.square(shape[0]).mean())), 3),
        "exchanged": {
            "people": len(wrong),
            "detected": int(wrong.exchanged.sum()),
            "dropped_as_somebody_else": int((~wrong.same_person.astype(bool) & ~wrong.exchanged.astype(bool)).sum()),
            "kept": int(thresholds.kept(wrong).sum()),
        },
        "straight_taken_for_exchanged": int(straight.exchanged.sum()),
    }
    for name, row in table.items():
        print(f"{name:75}", *(f"{key} {value}" for key, value in row.items()))
    print({name: value for name, value in summary.items() if name != "table"})
    if options.json is not None:
        known = json.loads(options.json.read_text()) if options.json.is_file() else {}
        with atomic_write(options.json) as temporary:
            temporary.write_text(json.dumps(known | {KEY: summary}, indent=1) + "\n")


def _kept_in(folder: Path | None, name: str) -> Judged | None:
    path = None if folder is None else folder / f"{name}.npz"
    return Judged.load(path) if path is not None and path.is_file() else None


if __name__ == "__main__":
    main()
