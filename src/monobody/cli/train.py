"""`monobody train`: a network by one of the recipes."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from monobody.cli.exits import OK
from monobody.cli.folders import ensure_writable, known_data
from monobody.errors import UserError


def train(
    recipe: Annotated[Positional[str | None], arg(metavar="RECIPE")] = None,
    *,
    data: Path | None = None,
    out: Annotated[Path, arg(aliases=["-o"])] = Path("runs/train"),
    minutes: float | None = None,
    resume: bool = False,
    start: Path | None = None,
    body: Path | None = None,
    steps: int | None = None,
    batch: int | None = None,
    backbone: str | None = None,
    size: int | None = None,
    mixture: Annotated[str | None, arg(metavar="NAME=SHARE,...")] = None,
    workers: int | None = None,
    device: str = "auto",
    devices: int = 1,
    nodes: int = 1,
    list: bool = False,
) -> int:
    """Train a network by one of the recipes.

    Args:
        recipe: Name of the recipe; --list tells which there are, docs/training.md which to take.
        data: Folder with photos, motion capture and textures; else $MONOBODY_DATA; else all is procedural.
        out: Folder for checkpoints and logs.
        minutes: Length of the whole run, instead of the recipe's.
        resume: Go on where the run in this folder stopped.
        start: Weights file to begin with; for a ResNet also torchvision's ImageNet .pth.
        body: SMPL file (.npz or .pkl), to train for that body instead of the shipped one.
        steps: Length of the whole run in steps, instead of the recipe's.
        batch: Rows in a batch of each process, instead of the recipe's.
        backbone: small, resnet18, resnet34, resnet50, or xas-mini, xas-small, xas-resnet50, instead of the recipe's.
        size: Side of a ResNet's crops in pixels, instead of the recipe's.
        mixture: Data sets and how often each is drawn, instead of the recipe's: h36m=0.35,coco=0.45,synthetic=0.2.
        workers: Processes that make rows, instead of the recipe's.
        device: auto, cpu, cuda.
        devices: Processes on this machine that train together, one a graphics card.
        nodes: Machines that train together; run the same command on each, as docs/scale.md shows.
        list: Print the recipes.
    """
    if list:
        from monobody.train.recipes import table

        print(table())
        return OK
    if recipe is None:
        raise UserError("Say which recipe to train by: monobody train RECIPE. --list tells which there are.")
    from monobody.train.launch import is_launched, launch

    data = data or known_data()
    if (devices, nodes) != (1, 1) and not is_launched():
        options = {
            "data": data, "out": out, "minutes": minutes, "resume": resume, "start": start, "body": body,
            "steps": steps, "batch": batch, "backbone": backbone, "size": size, "mixture": mixture,
            "workers": workers, "device": device,
        }  # fmt: skip
        return launch("train", recipe, options, devices=devices, nodes=nodes, device=device)
    from monobody.train.processes import leave
    from monobody.train.recipe import changed, parse_mixture
    from monobody.train.recipes import find_recipe
    from monobody.train.run import train as run

    chosen = changed(
        find_recipe(recipe),
        minutes=minutes,
        steps=steps,
        batch=batch,
        backbone=backbone,
        size=size,
        mixture=None if mixture is None else parse_mixture(mixture),
        workers=workers,
    )
    ensure_writable(out)
    run(chosen, data=data, out=out, resume=resume, device=device, start=start, body=body)
    leave()
    return OK
