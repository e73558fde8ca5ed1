"""Training on a machine that has a graphics card and nothing else: from one folder, in pieces that resume.

    python -m monobody.train.device --pack device_pack --out runs/device --minutes 9

`device_pack/` is what `scripts/pack_for_device.py` made. The machine needs torch, numba, accelerate and safetensors;
its own Python runs the sources as they are (PYTHONPATH=src). Called again with the same `--out`, it goes on where the
last piece stopped. After each piece `OUT/weights.safetensors` holds the averaged weights so far, in less than 16 MB,
with `train.csv` and `validation.csv` beside it.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from monobody.errors import UserError
from monobody.hub import WEIGHTS
from monobody.train.recipes import RECIPES, find_recipe


def main(arguments: Sequence[str] | None = None) -> int:
    """Train one piece; return 0, 2 after a user's mistake, or 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, default=Path("device_pack"))
    parser.add_argument("--out", type=Path, default=Path("runs/device"))
    parser.add_argument("--recipe", default="hmr-small-finetune", choices=sorted(RECIPES))
    parser.add_argument("--minutes", type=float, default=9.0, help="length of this piece")
    parser.add_argument("--total", type=float, help="length of all pieces together, in minutes; else the recipe's")
    parser.add_argument("--steps", type=int, help="length in steps, in place of minutes")
    parser.add_argument("--batch", type=int, help="rows in a batch, in place of the recipe's")
    parser.add_argument("--start", type=Path, help="weights to begin with; else the pack's, else the shipped ones")
    parser.add_argument("--device", default="auto")
    chosen = parser.parse_args(arguments)
    try:
        run_piece(chosen)
    except UserError as error:
        print(f"train-device: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print(f"train-device: {error}", file=sys.stderr)
        return 130
    return 0


def run_piece(chosen: argparse.Namespace) -> None:
    """Train for one piece as the command line says."""
    from monobody.train.run import train

    if not chosen.pack.is_dir():
        raise UserError(f"There is no folder {chosen.pack}: make it with `make pack-device DATA=folder`.")
    recipe = find_recipe(chosen.recipe)
    if chosen.steps is not None:
        recipe = replace(recipe, plan=replace(recipe.plan, steps=chosen.steps, minutes=None))
    if chosen.batch is not None:
        recipe = replace(recipe, batch=chosen.batch)
    # What this run has learnt is in its checkpoints; a fresh one begins with the best that there is.
    candidates = (chosen.start, chosen.pack / "start.safetensors", WEIGHTS / f"{recipe.model}.safetensors")
    start = next((path for path in candidates if path is not None and path.is_file()), None)
    state = train(
        recipe,
        data=chosen.pack,
        out=chosen.out,
        minutes=chosen.total,
        pause=chosen.minutes,
        resume=True,
        device=chosen.device,
        start=start,
    )
    print(f"step {state.step}, {state.seconds / 60:.1f} minutes in all; {chosen.out}/weights.safetensors", flush=True)


if __name__ == "__main__":
    sys.exit(main())
