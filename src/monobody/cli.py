"""The command line: each verb is a function, its signature is its options.

Nothing heavy is imported here: ``monobody --help`` must answer at once. What goes wrong by the user's hand is one
sentence on stderr and exit code 2; exit code 1 means that a part of the work could not be done, 141 that whoever read
the output has closed it.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import Positional, UseAppendAction, arg

from monobody.errors import Interrupted, UserError

if TYPE_CHECKING:
    from monobody.predict.batch import Outcome

OK, PARTLY, REFUSED, INTERRUPTED, UNREAD = 0, 1, 2, 130, 141


def predict(
    pictures: Annotated[Positional[tuple[str, ...]], arg(metavar="PHOTO|FOLDER|GLOB")],
    *,
    out: Annotated[Path, arg(aliases=["-o"])] = Path("out"),
    save: str = "overlay,glb,json",
    model: str | None = None,
    body: Path | None = None,
    box: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="X0,Y0,X1,Y1")],
    detector: str = "blazepose",
    focal_px: float | None = None,
    fov: float | None = None,
    device: str = "auto",
    overwrite: bool = False,
) -> int:
    """Predict the bodies of everybody in photos; write overlays, meshes, numbers.

    Args:
        pictures: Photos, folders of photos, or quoted patterns.
        out: Folder for the results.
        save: What to write, any of overlay,side,glb,obj,npz,json.
        model: A name from `monobody models`, or a weights file.
        body: The body file that the model was trained with, where that is not the shipped one.
        box: Where a person is, in pixels of the upright picture, instead of looking; may be given several times.
        detector: How to find people: blazepose, whole (the picture is one person), torchvision, or a JSON file.
        focal_px: Focal length in pixels; otherwise from EXIF, or the picture's diagonal.
        fov: Horizontal field of view in degrees, instead of the focal length.
        device: auto, cpu, cuda, cuda:1, ...
        overwrite: Do pictures again that have all their results already.
    """
    from monobody.predict.batch import collect_jobs, parse_box, parse_kinds, run_jobs
    from monobody.predict.progress import Progress

    kinds, boxes = parse_kinds(save), [parse_box(text) for text in box] or None
    jobs = collect_jobs(pictures, out)
    ensure_writable(out)
    from monobody.predict.detect import find_detector
    from monobody.predict.predictor import choose_camera, load

    choose_camera(1, 1, focal_px=focal_px, fov_deg=fov)  # Refuses impossible numbers once, not for every picture.
    finder = find_detector(detector)
    predictor = load(model, device=device, body=body)
    with Progress(len(jobs)) as progress:
        outcome = run_jobs(
            jobs,
            out,
            kinds,
            lambda path: predictor(path, boxes=boxes, detector=finder, focal_px=focal_px, fov_deg=fov),
            overwrite=overwrite,
            report=lambda job, news: progress.step(f"{job.picture}: {news}"),
        )
    return _conclude(outcome, out, predictor.model, predictor.terms)


def synthesize(
    *,
    out: Annotated[Path, arg(aliases=["-o"])],
    count: Annotated[int, arg(aliases=["-n"])] = 64,
    seed: int = 0,
    size: int = 128,
    data: Path | None = None,
    bank: Path | None = None,
) -> int:
    """Draw synthetic people: a contact sheet (-o sheet.png) or a data set (-o folder or -o file.tar).

    Args:
        out: A .png for a contact sheet; a folder or a .tar for a data set.
        count: How many.
        seed: Same seed, same people.
        size: Side of the pictures in pixels.
        data: Folder with textures; without it everything is procedural.
        bank: Pose bank; without it poses come from the shipped prior.
    """
    from monobody.data.synthesize import synthesize as draw

    draw(out, count=count, seed=seed, size_px=size, data=data, bank=bank)
    return OK


def prepare(
    name: Annotated[Positional[str | None], arg(metavar="NAME")] = None,
    *,
    root: Path | None = None,
    out: Annotated[Path | None, arg(aliases=["-o"])] = None,
    split: str | None = None,
    workers: int = 2,
    partial: bool = False,
    list: bool = False,
) -> int:
    """Turn a published data set, as it was downloaded, into the shards that training reads.

    Args:
        name: Which data set; --list tells which there are.
        root: Folder of the data set, laid out as it comes; docs/datasets.md shows how.
        out: Folder for the shards and their manifest, for this set alone.
        split: Which part of the set; its first where left out.
        workers: Processes.
        partial: Prepare what is there where something is missing.
        list: Print the data sets: what they are, on what terms, where to get them.
    """
    from monobody.data.prepare import prepare as run
    from monobody.data.prepare import summary, table

    if list:
        print(table())
        return OK
    if name is None or root is None or out is None:
        raise UserError("Give a data set and its folders: monobody prepare NAME --root DIR --out DIR, or --list.")
    ensure_writable(out)
    print(summary(run(name, root, out, split=split, workers=workers, partial=partial), out))
    return OK


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
        backbone: small, resnet18, resnet34, resnet50, instead of the recipe's.
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

    data = data or _known_data()
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
        evaluate_ablation(data=data or _known_data(), out=out, settings=settings, json_path=json)
        return OK
    from monobody.evaluate.quick import evaluate_quick

    evaluate_quick(data=data, model=model, json_path=json, device=device)
    return OK


def body(file: Annotated[Positional[Path | None], arg(metavar="FILE")] = None) -> int:
    """Check a body file (.npz or .pkl) and print its facts.

    Args:
        file: The body file, the shipped one where left out. Nothing in it is executed.
    """
    from monobody.body.describe import describe_body

    print(describe_body(file))
    return OK


def models() -> int:
    """List the models: what they are, whether they are here, on what terms."""
    from monobody.hub import table

    print(table())
    return OK


def doctor() -> int:
    """Print what to paste into a bug report, and check the shipped files."""
    from monobody.doctor import examine

    report, healthy = examine()
    print(report)
    return OK if healthy else PARTLY


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments in (["--version"], ["-V"]):
        from monobody import __version__

        print(f"monobody {__version__}")
        return OK
    verbs = {verb.__name__: verb for verb in (predict, synthesize, prepare, train, evaluate, body, models, doctor)}
    try:
        code = tyro.extras.subcommand_cli_from_dict(
            verbs,
            prog="monobody",
            description="3D people from a single picture.",
            args=arguments or ["--help"],
            config=(tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone),
        )
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        return UNREAD
    except UserError as error:
        _say(error)
        return REFUSED
    except KeyboardInterrupt as error:
        _say(error if error.args else Interrupted("interrupted; what was finished is kept."))
        return INTERRUPTED


def _nobody_reads() -> bool:
    """Tell whether we print into a closed pipe, as after `| head`; if so, drop what is still to be printed."""
    import select

    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    closed = any(event & select.POLLERR for _, event in poll.poll(0))
    if closed:
        # Else Python would try once more, and complain, when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return closed


def _say(error: BaseException) -> None:
    """Print a sentence, or leave it to the process that launched this one."""
    if "monobody.train.launch" in sys.modules:
        from monobody.train.launch import leave_sentence

        if leave_sentence(error):
            return
    print(f"monobody: {error}", file=sys.stderr)


def ensure_writable(folder: Path) -> None:
    """Make an output folder and try a file in it, before minutes of work find out that it cannot be written.

    Raises:
        UserError: it cannot.
    """
    from monobody.files import atomic_write

    probe = folder / ".monobody-probe"
    with atomic_write(probe):
        pass
    probe.unlink(missing_ok=True)


def _known_data() -> Path | None:
    """Return the folder that $MONOBODY_DATA names, if it does."""
    named = os.environ.get("MONOBODY_DATA")
    return Path(named) if named else None


def _conclude(outcome: "Outcome", out: Path, model: str, terms: str) -> int:
    """Say what became of a run and return the exit code."""
    made = len(outcome.done)
    if made:
        print(f"{_count(made, 'picture')} done, results in {out}/ (model {model}: {terms})")
    if outcome.skipped:
        print(f"{_count(len(outcome.skipped), 'picture')} done before: --overwrite does them again")
    for job, reason in outcome.failed:
        # Sentences about the file itself name it already.
        named = reason if str(job.picture) in reason else f"{job.picture}: {reason}"
        print(f"monobody: {named}", file=sys.stderr)
    for job in outcome.empty:
        print(
            f"monobody: {job.picture}: found no person. If there is one, give its --box X0,Y0,X1,Y1, "
            "or use --detector whole if it fills the picture.",
            file=sys.stderr,
        )
    if outcome.failed and not (made or outcome.skipped or outcome.empty):
        return REFUSED
    return PARTLY if outcome.failed or outcome.empty else OK


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


if __name__ == "__main__":
    sys.exit(main())
