"""Put a trained network into the package: stored small, measured, with its card.

    python scripts/ship_weights.py runs/hmr-small/weights.safetensors --data DATA

Weights become 8-bit integers where that moves the joints of held-out synthetic people by less than 0.5 mm on average,
half precision otherwise. `monobody evaluate quick` measures what was written; its numbers, those of the weights before,
the commit and the loss by storage go onto the card, and the file's digest into SHA256SUMS. What is still as BlazePose
was published is left out: the package has it anyway. Weights that measure worse
than those before are not written.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.data.shards import SampleFiles
from monobody.evaluate.quick import SYNTHETIC, estimate_joints, evaluate_quick, find_people
from monobody.files import atomic_write, sha256_of
from monobody.fit.lift import Lift
from monobody.hub import WEIGHTS
from monobody.models.hmr import model_on_card
from monobody.models.storage import load_weights, read_card, save_weights
from monobody.predict.predictor import load

LARGEST_LOSS_MM = 0.5
MEASURED = {"synthetic_mpjpe_mm": -1, "synthetic_pa_mpjpe_mm": -1, "real_pck_0.1": 1, "real_pck_0.05": 1}
"""What has to get better, and whether more of it is better."""
PEOPLE = 100
"""So many held-out people tell what storage costs."""


def storage_loss_mm(full: Path, small: Path) -> float:
    """Return how far, on average, the joints of the two files' predictions lie apart."""
    people = SampleFiles(SYNTHETIC)[:PEOPLE]
    found = find_people(people)
    joints = []
    for path in (full, small):
        predictor = load(path)
        joint_body = JointBody.from_body(predictor.body, ("lsp14",))
        joints.append(estimate_joints(predictor.estimator, joint_body, people, found)[1])
    return 1000 * float((joints[0] - joints[1]).norm(dim=-1).mean())


def worse_than(before: Mapping[str, Any], numbers: Mapping[str, Any]) -> list[str]:
    """Return what got worse: the names of the measures, of those that both have."""
    known = [name for name in MEASURED if before.get(name) is not None and numbers.get(name) is not None]
    return [name for name in known if (numbers[name] - before[name]) * MEASURED[name] < 0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", type=Path, help="folder with lsp_extended/")
    parser.add_argument("--out", type=Path, help="where to write; the package's weights/ where left out")
    arguments = parser.parse_args()
    card, body = read_card(arguments.weights), Body.load()
    model = Lift(body) if card["model"] == "lift" else model_on_card(card, body=body)
    load_weights(model, arguments.weights, body_digest=body.digest)
    out = arguments.out or WEIGHTS / f"{card['model']}.safetensors"
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        small = Path(folder) / "small.safetensors"
        save_weights(model, small, card=card, int8=True)
        loss_mm = storage_loss_mm(arguments.weights, small)
        int8 = loss_mm < LARGEST_LOSS_MM
        print(f"8-bit weights move the joints by {loss_mm:.2f} mm: {'kept' if int8 else 'half precision instead'}")
        save_weights(model, small, card=card, int8=int8)
        numbers = evaluate_quick(arguments.data, small)
    before = read_card(out) if out.is_file() else {}
    if worse := worse_than(before.get("evaluate_quick", {}), numbers):
        parser.exit(1, f"{out} stays as it is: {', '.join(worse)} would get worse.\n")
    if before:
        earlier = {name: value for name, value in before.get("evaluate_quick", {}).items() if name in MEASURED}
        card["before"] = {"commit": before.get("commit"), "evaluate_quick": earlier}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    card |= {
        "commit": commit.stdout.strip(),
        "storage": "int8" if int8 else "float16",
        "int8_loss_mm": round(loss_mm, 3),
        "evaluate_quick": {key: value for key, value in numbers.items() if key not in ("model", "seconds", "note")},
    }
    save_weights(model, out, card=card, int8=int8, lean=True)
    if out.parent == WEIGHTS:
        with atomic_write(WEIGHTS / "SHA256SUMS") as temporary:
            files = sorted(WEIGHTS.glob("*.safetensors"))
            temporary.write_text("".join(f"{sha256_of(file)}  {file.name}\n" for file in files))
    print(json.dumps(card, indent=2))


if __name__ == "__main__":
    main()
