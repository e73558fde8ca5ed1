"""`monobody evaluate`: a model measured, by the field's protocols or our own."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from monobody.cli.exits import OK
from monobody.cli.folders import ensure_writable, known_data
from monobody.errors import UserError


def evaluate(
    protocol: Positional[Literal["quick", "ablation"]],
    *,
    data: Path | None = None,
    model: str | None = None,
    json: Path | None = None,
    device: str = "auto",
    out: Annotated[Path, arg(aliases=["-o"])] = Path("runs/ablation"),
    minutes: float = 20.0,
) -> int:
    """Measure a model, or what HMR's critic is worth; prints a table.

    Args:
        protocol: quick: a model on synthetic held-out people, and on photos where there are any; under five minutes.
            ablation: train HMR with 3D labels, with its critic alone, and with neither, and compare.
        data: Folder with photos; else $MONOBODY_DATA; else their rows stay empty. For the ablation a training folder.
        model: quick: a name from `monobody models`, or a weights file.
        json: Write the numbers here as well.
        device: quick: auto, cpu, cuda, cuda:1, ...
        out: ablation: folder for features, runs, table and figure; an interrupted ablation goes on in it.
        minutes: ablation: of training on a processor, all runs together; features come on top, once.
    """
    if protocol == "ablation":
        from monobody.evaluate.ablation import Settings, evaluate_ablation

        if model is not None:
            raise UserError("The ablation trains its own networks: leave --model out.")
        ensure_writable(out)
        settings = Settings(minutes=minutes)
        evaluate_ablation(data=data or known_data(), out=out, settings=settings, json_path=json)
        return OK
    from monobody.evaluate.quick import evaluate_quick

    evaluate_quick(data=data, model=model, json_path=json, device=device)
    return OK
