"""Put a trained detector of several hypotheses into the package: stored small, measured, with its card.

    python scripts/ship_hypotheses.py runs/photos/weights.safetensors --data DATA [--int8]
    python scripts/ship_hypotheses.py runs/small/weights.safetensors --data DATA --json FILE    # measured, not shipped

Measured on the 500 shipped rendered people in their true regions, and in 2D on LSP Extended's validation photos, as
`monobody evaluate hypotheses` measures (`evaluate/hypotheses_ablation.py` says what each number is). The numbers, what
storage does to them, the commit, and the file's digest in SHA256SUMS. Storage is judged by errors. Weights that measure
worse than those before are not written.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from monobody.body.model import Body
from monobody.evaluate.ablation import rounded, this_commit
from monobody.evaluate.hypotheses_ablation import Ruler, load_detector
from monobody.evaluate.hypotheses_runs import Settings
from monobody.files import atomic_write, sha256_of
from monobody.hub import WEIGHTS
from monobody.models.storage import read_card, save_weights
from monobody.train.hypotheses_validation import answers_of, numbers_of, photo_numbers

DECIDING = {"confident_mpjpe_mm": -1, "best_joints_mpjpe_mm": -1, "pck_0.1": 1}
"""What has to get better on the whole, and whether more of it is better: two of the three."""
SHOWN = (
    "confident_mpjpe_mm", "confident_pa_mpjpe_mm", "confident_absolute_mm", "whole_mpjpe_mm", "best_whole_mpjpe_mm",
    "best_joints_mpjpe_mm", "best_joints_pa_mpjpe_mm", "pck_0.1", "pck_0.05",
)  # fmt: skip


def measured(weights: Path, data: Path | None) -> dict[str, float]:
    """Return what a weights file's detector is measured at."""
    detector, hypotheses = load_detector(weights)
    ruler = Ruler(data, Settings(), size=detector.input_size)
    with torch.no_grad():
        found = answers_of(detector, ruler.people["images"], ruler.usual_m, hypotheses=hypotheses)
        numbers = numbers_of(found, ruler.truth)
        if ruler.photos is not None:
            seen = answers_of(detector, ruler.photos["images"], ruler.usual_m, hypotheses=hypotheses)
            numbers |= photo_numbers(seen, ruler.photos)
    return {name: numbers[name] for name in SHOWN if name in numbers}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", type=Path, help="folder with lsp_extended/")
    parser.add_argument("--recipe", help="how the weights came about, where that was more than one recipe")
    parser.add_argument("--int8", action="store_true", help="8-bit integers; half precision otherwise")
    parser.add_argument("--json", type=Path, help="write what is measured here, and ship nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    card: dict[str, Any] = {k: v for k, v in read_card(options.weights).items() if k != "validation"}
    card |= {"recipe": options.recipe} if options.recipe else {}
    if options.json is not None:
        known = {name: card[name] for name in ("model", "recipe", "size", "bins", "data", "steps", "minutes")}
        report = known | {"commit": this_commit(), "measured": rounded(measured(options.weights, options.data))}
        with atomic_write(options.json) as temporary:
            temporary.write_text(json.dumps(report, indent=1) + "\n")
        print(json.dumps(report, indent=1))
        return
    detector, _ = load_detector(options.weights)
    detector.input_size = card["size"]
    target = WEIGHTS / f"{card['model']}.safetensors"
    before = read_card(target).get("measured") if target.is_file() else None
    with tempfile.TemporaryDirectory() as scratch:
        stored = Path(scratch) / "stored.safetensors"
        save_weights(detector, stored, card=card, int8=options.int8)
        full, numbers = measured(options.weights, options.data), measured(stored, options.data)
    print(json.dumps(rounded({"full": full, "stored": numbers, "before": before}), indent=1))
    if before is not None:
        better = sum((numbers[name] - before[name]) * sign > 0 for name, sign in DECIDING.items() if name in before)
        if better < 2:
            raise SystemExit(f"{target} stays: the new weights do not measure better.")
        card["before"] = before
    card |= {
        "body_digest": Body.load().digest,
        "storage": "int8" if options.int8 else "float16",
        "storage_costs": rounded({name: numbers[name] - full[name] for name in numbers}),
        "measured": rounded(numbers),
        "oracle": "best_whole of 5 poses and best_joints of 3 depths a joint are chosen by the truth",
        "held_out": "500 rendered people in their true regions; 500 photos of LSP Extended in those of clicked joints",
        "commit": this_commit(),
    }
    save_weights(detector, target, card=card, int8=options.int8)
    sums = WEIGHTS / "SHA256SUMS"
    lines = [line for line in sums.read_text().splitlines() if not line.endswith(f"  {target.name}")]
    with atomic_write(sums) as temporary:
        temporary.write_text(
            "\n".join(sorted([*lines, f"{sha256_of(target)}  {target.name}"], key=lambda x: x[66:])) + "\n"
        )
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
