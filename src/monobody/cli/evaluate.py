"""`monobody evaluate`: a model measured, by the field's protocols or our own."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from monobody.cli.exits import OK
from monobody.cli.folders import ensure_writable, known_data
from monobody.errors import UserError

Name = Literal[
    "h36m-p1", "h36m-p2", "mpi-inf-3dhp", "3dpw", "lsp", "lsp-extended", "coco", "synthetic",
    "open", "quick", "ablation", "hypotheses",
]  # fmt: skip


def evaluate(
    protocol: Positional[Name],
    *,
    root: Annotated[Path | None, arg(aliases=["--data"])] = None,
    variant: str | None = None,
    model: str | None = None,
    against: str | None = None,
    body: Path | None = None,
    predictions: Path | None = None,
    out: Annotated[Path | None, arg(aliases=["-o"])] = None,
    json: Path | None = None,
    device: str = "auto",
    limit: int | None = None,
    partial: bool = False,
    gallery: bool = False,
    no_pictures: bool = False,
    minutes: float | None = None,
) -> int:
    """Measure a model by a protocol, beside what others have published; prints a table.

    Args:
        protocol: h36m-p1, h36m-p2: Human3.6M, variants hmr, spin, root-aligned and (p1) xas.
            mpi-inf-3dhp: its test set, as it is and after rigid alignment.
            3dpw: its test split, variants 14 and 24 joints.
            lsp: foreground and six parts of people in sports photos.
            lsp-extended, coco: 2D keypoints, PCK.
            synthetic: rendered people of whom everything is known; shipped.
            open: everything that is shipped, refined and not, SMPLify and BlazePose, on people whom anybody may have.
            quick: rendered people, and photos where there are any; under five minutes.
            ablation: train HMR with 3D labels, with its critic alone, and with neither, and compare.
            hypotheses: train X as Supervision as it is and with each of its parts left out, and compare.
        root: Folder of the data set; else the one of its name below $MONOBODY_DATA. open, quick: the folder that
            holds lsp_extended/ (and clothing_coparsing/), ablation, hypotheses: a training folder; else
            $MONOBODY_DATA itself.
        variant: Which of several protocols of that name; a wrong one lists them.
        model: A name from `monobody models`, or a weights file.
        against: A second model, weights or predictions file (.npz): both are measured, and shown on the same people.
        body: The body file that model or predictions were made with, where that is not the shipped one.
        predictions: A file of somebody's predictions to measure, instead of a model.
        out: Folder for predictions and report; a stopped run goes on in it. Else runs/ and the protocol's name.
        json: Write the numbers here as well.
        device: auto, cpu, cuda, cuda:1, ...
        limit: Only so many people, the first ones.
        partial: Measure an incomplete data set as far as it goes.
        gallery: Draw everybody for the report even where they are more than a thousand.
        no_pictures: Draw nobody for the report; given predictions are then measured without the set's pictures.
        minutes: ablation: of training on a processor, all runs together (20); features come on top, once.
            hypotheses: of each row's second stage (3); a first one, where no --model is given, takes five times that.
    """
    if protocol not in ("ablation", "hypotheses"):
        _ensure_left_out(protocol, minutes=minutes)
    if protocol in ("open", "quick", "ablation", "hypotheses"):
        _ensure_left_out(protocol, variant=variant, body=body, predictions=predictions, partial=partial or None)
        _ensure_left_out(protocol, against=against)
        _ensure_left_out(protocol, gallery=gallery or None, no_pictures=no_pictures or None)
    if protocol == "ablation":
        from monobody.evaluate.ablation import Settings, evaluate_ablation

        _ensure_left_out(protocol, model=model, limit=limit)
        folder = out or Path("runs/ablation")
        ensure_writable(folder)
        settings = Settings() if minutes is None else Settings(minutes=minutes)
        evaluate_ablation(data=root or known_data(), out=folder, settings=settings, json_path=json)
        return OK
    if protocol == "hypotheses":
        from monobody.evaluate.hypotheses_ablation import evaluate_hypotheses
        from monobody.evaluate.hypotheses_runs import Settings as HypothesesRuns
        from monobody.hub import find_weights

        _ensure_left_out(protocol, limit=limit)
        folder = out or Path("runs/hypotheses")
        ensure_writable(folder)
        chosen = HypothesesRuns() if minutes is None else HypothesesRuns(minutes=minutes)
        start = None if model is None else find_weights(model)
        evaluate_hypotheses(data=root or known_data(), out=folder, settings=chosen, start=start, json_path=json)
        return OK
    if protocol == "open":
        from monobody.evaluate.open_benchmark import evaluate_open

        _ensure_left_out(protocol, model=model)
        folder = out or Path("runs/open")
        ensure_writable(folder, keep=False)
        evaluate_open(data=root or known_data(), out=folder, json_path=json, device=device, limit=limit)
        return OK
    if protocol == "quick":
        from monobody.evaluate.quick import evaluate_quick

        _ensure_left_out(protocol, out=out)
        evaluate_quick(data=root, model=model, json_path=json, device=device, limit=limit)
        return OK
    from monobody.evaluate import run
    from monobody.evaluate.protocols import usual_root

    folder = out or run.usual_folder(protocol, variant, model, predictions)
    if against is not None and out is None:
        folder = folder.with_name(f"{folder.name}-against-{Path(against).stem}")
    ensure_writable(folder, keep=False)
    if against is not None:
        from monobody.evaluate.against import evaluate_against
        from monobody.hub import DEFAULT_MODEL

        _ensure_left_out("--against", json=json, gallery=gallery or None, no_pictures=no_pictures or None)
        if predictions is not None and model is not None:
            raise UserError("Give a model, or a file of predictions, not both.")
        evaluate_against(
            protocol,
            predictions or model or DEFAULT_MODEL,
            against,
            out=folder,
            root=root or usual_root(protocol, known_data()),
            variant=variant,
            body=body,
            device=device,
            limit=limit,
            partial=partial,
        )
        return OK
    run.evaluate(
        protocol,
        root=root or usual_root(protocol, known_data()),
        variant=variant,
        model=model,
        body=body,
        predictions=predictions,
        out=folder,
        json_path=json,
        device=device,
        limit=limit,
        partial=partial,
        gallery=gallery,
        pictures=not no_pictures,
    )
    return OK


def _ensure_left_out(protocol: str, **options: object) -> None:
    """Refuse options that would be passed over in silence."""
    for name, value in options.items():
        if value is not None:
            raise UserError(f"{protocol} does not take --{name.replace('_', '-')}: leave it out.")
