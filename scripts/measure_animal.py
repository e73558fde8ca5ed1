"""Measure a detector of animals on held-out clips, coats and textures; optionally put it into the package.

    python scripts/measure_animal.py runs/xas-animal/weights.safetensors --data DATA
    python scripts/measure_animal.py runs/xas-animal/weights.safetensors --data DATA --ship

Writes `docs/results/animal.json` and, with ``--pictures``, sheets to look at. Nothing that is measured on was trained
on: whole clips (Bite, Howl, Sneak), the dog's and the panda's own textures, spotted fur, photos, panoramas, materials.
Beside it stand the same measures on clips and coats of the training, drawn anew. `--ship` stores the weights as 8-bit
integers where that makes no error larger by 0.5 mm, in half precision otherwise, with the numbers on their card.
"""

import argparse
import json
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from ship_weights import LARGEST_LOSS_MM

from monobody.body.assets import SHIPPED_ANIMAL
from monobody.body.model import Body
from monobody.data.animal_poses import HELD_OUT_CLIPS
from monobody.data.coats import HELD_OUT_ANIMALS
from monobody.data.synthetic_animals import SyntheticAnimals
from monobody.evaluate.ablation import this_commit
from monobody.files import atomic_write, sha256_of
from monobody.hub import WEIGHTS
from monobody.models.detectors import Detector, detector_of
from monobody.models.storage import load_weights, read_card, save_weights
from monobody.train.animal_run import animals_of
from monobody.train.animal_validation import AnimalValidation, animal_sheet, mean_cube, rounded
from monobody.train.hypotheses_validation import answers_of

NAME = "xas-animal"
RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results" / "animal.json"
JUDGED = ("confident_mpjpe_mm", "confident_pa_mpjpe_mm", "best_whole_mpjpe_mm", "best_joints_mpjpe_mm")
_SEED, _TRAINING_SEED = 100, 101
"""Of what is measured on; neither is the training's, nor that of its validation."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", type=Path, help="folder with textures/ and animal_coats.npz")
    parser.add_argument("--count", type=int, default=300, help="pictures to measure on")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    parser.add_argument("--pictures", type=Path, help="folder for sheets")
    parser.add_argument("--ship", action="store_true", help="write the weights into the package")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    body = Body.load(SHIPPED_ANIMAL, animals=True)
    card = read_card(options.weights)
    detector = _loaded(options.weights, body)
    size = detector.input_size
    training = animals_of(options.data, seed=_TRAINING_SEED, size=size)
    mean = mean_cube(list(islice(training, options.count)))
    held_out = AnimalValidation(
        list(islice(animals_of(options.data, seed=_SEED, size=size, held_out=True), options.count)), body, mean
    )
    seen = AnimalValidation(list(islice(training, options.count)), body, mean)
    with torch.no_grad():
        report = {
            "command": "python scripts/measure_animal.py WEIGHTS --data DATA",
            "pictures": options.count,
            "held_out": {"clips": HELD_OUT_CLIPS, "own textures": HELD_OUT_ANIMALS, "patterns": ["spots"]},
            "unit": "mm of an animal with a trunk of half a metre; PCK: per cent of joints within a share of the crop",
            "oracle": "best_whole and best_joints choose by the truth, of 5 whole poses and of 3 depths a joint; the "
            "root's depth and the scale are the true ones in all rows; resting_turned knows the animal's orientation",
            "weights": {name: card[name] for name in ("recipe", "size", "bins", "widths", "steps", "minutes", "data")},
            "on held-out clips and coats": rounded({**held_out(detector).numbers, **held_out.guesses()}),
            "on training's clips and coats": rounded({**seen(detector).numbers, **seen.guesses()}),
        }
    if options.pictures:
        _pictures(options.pictures, detector, held_out, training)
    if options.ship:
        report["weights"] |= _ship(detector, card, body, held_out, report)
    with atomic_write(options.output) as file:
        file.write_text(json.dumps(report, indent=1) + "\n")
    for part in ("on held-out clips and coats", "on training's clips and coats"):
        print(part)
        for name, value in report[part].items():
            print(f"  {name:34}{value:8.1f}")


def _loaded(path: Path, body: Body) -> Detector:
    detector = detector_of(read_card(path))
    load_weights(detector, path, body_digest=body.digest)
    return detector.eval()


def _pictures(
    folder: Path, detector: Detector, held_out: AnimalValidation, training: SyntheticAnimals, count: int = 8
) -> None:
    """Draw pairs as they are trained on, and predictions beside the truth of held-out pictures, seen from aside too."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = AnimalValidation([training[index] for index in range(1000, 1000 + 2 * count)], held_out.body, held_out.mean)
    crops = drawn.rows["images"].permute(0, 2, 3, 1).numpy()
    pairs = animal_sheet(crops, [drawn.truth.cube.numpy()], columns=6)
    Image.fromarray(pairs).save(folder / "animal_pairs.jpg", quality=75)
    found = answers_of(detector, held_out.rows["images"][:count], held_out.usual_m)
    crops = held_out.rows["images"][:count].permute(0, 2, 3, 1).numpy()
    poses = [held_out.truth.cube[:count].numpy(), found.whole[:, 0].numpy(), found.whole[:, 1].numpy()]
    Image.fromarray(animal_sheet(crops, poses, columns=2, beside=True)).save(
        folder / "animal_predictions.jpg", quality=70
    )


def _ship(
    detector: Detector, card: dict[str, object], body: Body, held_out: AnimalValidation, report: dict[str, Any]
) -> dict[str, object]:
    """Write the weights into the package and return what storing them cost."""
    target = WEIGHTS / f"{NAME}.safetensors"
    full = report["on held-out clips and coats"]
    card = card | {"measured": full, "pictures": report["pictures"]}
    for int8 in (True, False):
        save_weights(detector, target, card=card, int8=int8)
        stored = held_out(_loaded(target, body)).numbers
        costs = {name: stored[name] - full[name] for name in JUDGED}
        print(f"{target}: {target.stat().st_size / 1e6:.2f} MB, {costs}")
        if max(costs.values()) < LARGEST_LOSS_MM:
            break
    costs = rounded(costs)
    save_weights(detector, target, card=card | {"storage_costs": costs, "commit": this_commit()}, int8=int8)
    sums = WEIGHTS / "SHA256SUMS"
    lines = [line for line in sums.read_text().splitlines() if not line.endswith(f"  {target.name}")]
    lines = sorted([*lines, f"{sha256_of(target)}  {target.name}"], key=lambda line: line.split("  ")[1])
    with atomic_write(sums) as file:
        file.write_text("\n".join(lines) + "\n")
    return {"bytes": target.stat().st_size, "int8": int8, "storage_costs": costs}


if __name__ == "__main__":
    main()
