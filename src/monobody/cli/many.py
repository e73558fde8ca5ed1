"""`monobody predict --workers`, `--pack`, `--engine` and tars: the run over very many pictures."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from monobody.cli.exits import OK, PARTLY, REFUSED
from monobody.cli.folders import ensure_writable
from monobody.errors import UserError
from monobody.predict.gather import collect_tasks
from monobody.predict.manifest import MANIFEST
from monobody.predict.many import SHOWN, Engine, Settings, Tally, on_this_machine, run_many

ENGINES = ("processes", "ray")


def predict_many(
    pictures: Sequence[str], settings: Settings, *, workers: int, pack: int, engine: str, overwrite: bool
) -> int:
    """Predict pictures in several processes or on several machines and return the exit code."""
    if engine not in ENGINES:
        raise UserError(f'There is no engine "{engine}": choose {" or ".join(ENGINES)}.')
    if workers < 0 or pack < 0:
        raise UserError("--workers and --pack are counts: give positive numbers.")
    out = Path(settings.out)
    tasks, notes = collect_tasks(pictures, out, packed=bool(pack))
    ensure_writable(out)
    for note in notes:
        print(note)
    _check(settings, names=[Path(task.picture).name for task in tasks])
    from monobody.predict.progress import Progress

    with Progress(len(tasks)) as progress:
        tally = run_many(
            tasks,
            settings,
            workers=max(1, workers),
            pack=pack,
            overwrite=overwrite,
            engine=_engine(engine),
            report=progress.step,
            skipped=progress.skip,
        )
    return conclude(tally, out)


def threads_of_each(workers: int) -> int:
    """Return how many threads a worker may have so that all together have the machine's cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // max(1, workers))


def in_full(path: Path | str) -> str:
    """Return a path from the root, for workers that are somewhere else; what is no path that exists stays as it is."""
    return str(Path(path).resolve()) if isinstance(path, Path) or Path(path).exists() else path


def conclude(tally: Tally, out: Path) -> int:
    """Say what became of a run and return the exit code."""
    if tally.done:
        print(f"{tally.done:,} done, results in {out}/")
    if tally.before:
        print(f"{tally.before:,} done before: --overwrite does them again")
    for sentence in tally.failures:
        print(f"monobody: {sentence}", file=sys.stderr)
    if tally.failed > SHOWN:
        print(f"monobody: {tally.failed - SHOWN:,} more cannot be done; {out / MANIFEST} tells why", file=sys.stderr)
    if tally.empty:
        print(f"monobody: {tally.empty:,} show no person; {out / MANIFEST} tells which", file=sys.stderr)
    if tally.failed and not (tally.done or tally.before or tally.empty):
        return REFUSED
    return PARTLY if tally.failed or tally.empty else OK


def _check(settings: Settings, *, names: Sequence[str]) -> None:
    """Refuse what no worker could do, before any is started."""
    from monobody.hub import find_weights

    if settings.model not in (None, "mean-pose"):
        find_weights(settings.model)
    if settings.detector in ("blazepose", "whole"):
        return
    from monobody.predict.detect import PeopleFile, find_detector

    finder = find_detector(settings.detector)
    if isinstance(finder, PeopleFile):
        finder.people.check_pictures(names)


def _engine(name: str) -> Engine:
    if name == "ray":
        from monobody.predict.on_ray import on_ray

        return on_ray
    return on_this_machine
