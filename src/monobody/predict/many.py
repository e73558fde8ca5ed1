"""Very many pictures: from files and tars, by several workers, into files or tars, going on where a run was killed.

The pictures are cut into units: one picture each where results are files, as many as a tar takes where they are packed.
Workers make results under temporary or final names, whole each; this process alone names tars and writes the manifest
(`predict/manifest.py`). So a picture counts as done after its results are in place, once, whoever is killed when.
"""

import io
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from monobody.errors import UserError
from monobody.files import make_public
from monobody.hypothesis import Kept
from monobody.predict.batch import OUTPUTS, save
from monobody.predict.gather import Task
from monobody.predict.manifest import Manifest, Record, locked
from monobody.predict.tars import read_member

SHOWN = 10
"""So many failures are printed; the manifest has all."""
_LEFTOVER = re.compile(
    rf"\.(part-|.*({'|'.join(re.escape(ending) for ending in OUTPUTS.values())})\.)[a-z0-9_]{{8}}(\.\w+)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What decides the results, in plain values that go to other processes and machines."""

    out: str
    kinds: tuple[str, ...]
    packed: bool = False
    model: str | None = None
    body: str | None = None
    boxes: tuple[tuple[float, ...], ...] | None = None
    detector: str = "blazepose"
    focal_px: float | None = None
    fov_deg: float | None = None
    refine: bool = False
    hypotheses: Kept = "all"
    lift: bool = False
    runtime: str = "torch"
    device: str = "auto"
    threads: int = 1
    """Of each worker."""

    def start(self) -> "Worker":
        """Load the model; called in every worker."""
        return Worker(self)

    def run(self) -> Record:
        """Return what a folder's manifest says of its run: files are told by what is in them."""
        from monobody.hub import DEFAULT_MODEL, find_weights
        from monobody.predict.content import detector_digest, file_digest

        model = self.model or DEFAULT_MODEL
        weights = None if model == "mean-pose" else file_digest(find_weights(model))
        rest = {key: value for key, value in asdict(self).items() if key not in ("out", "device", "threads", "model")}
        return {"model": model, "weights": weights, **rest, "kinds": list(self.kinds)} | {
            "body": self.body and file_digest(self.body),
            "boxes": self.boxes and [list(box) for box in self.boxes],
            "detector": detector_digest(self.detector),
        }


class Worker:
    """Predicts the pictures of a unit and writes their results."""

    def __init__(self, settings: Settings) -> None:
        for variable in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
            os.environ.setdefault(variable, str(settings.threads))
        from monobody.predict.detect import find_detector
        from monobody.predict.predictor import choose_camera, load

        choose_camera(1, 1, focal_px=settings.focal_px, fov_deg=settings.fov_deg)  # Refuses impossible numbers.
        self._settings = settings
        self._detector = find_detector(settings.detector)
        self._predictor = load(
            settings.model,
            device=settings.device,
            body=settings.body,
            hypotheses=settings.hypotheses,
            lift=settings.lift,
            runtime=settings.runtime,
        )

    def __call__(
        self,
        unit: Sequence[Task],
        left_out: frozenset[int] = frozenset(),
        begin: Callable[[int], None] = lambda i: None,
    ) -> tuple[str | None, list[Record]]:
        """Return the temporary name of the unit's tar, where there is one, and a record of each picture."""
        if not self._settings.packed:
            return None, [self._do(task, place, left_out, begin, None) for place, task in enumerate(unit)]
        path = _temporary_tar(Path(self._settings.out))
        try:
            with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
                records = [self._do(task, place, left_out, begin, tar) for place, task in enumerate(unit)]
        except BaseException as error:
            path.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise UserError(f"Cannot write {path}: {error.strerror or error}. Free space and run again.") from error
            raise
        if not any(record.get("people") for record in records):
            path.unlink()
            return None, records
        return str(path), records

    def _do(
        self,
        task: Task,
        place: int,
        left_out: frozenset[int],
        begin: Callable[[int], None],
        tar: tarfile.TarFile | None,
    ) -> Record:
        begin(place)
        record: Record = {"picture": task.picture, "name": task.name}
        if place in left_out:
            return record | {"failed": "worker processes died over it, most likely for want of memory."}
        try:
            scene = self._predict(task)
        except (UserError, MemoryError) as error:
            return record | {"failed": str(error) or "there is not enough memory for it."}
        except Exception as error:  # One strange picture must not end a run over a hundred thousand.
            return record | {"failed": f"unexpected {type(error).__name__}: {error}"}
        try:
            if scene.people:
                self._save(scene, task, tar)
        except (UserError, OSError):  # Of the disk: going on would fail for every other picture as well.
            raise
        except Exception as error:
            return record | {"failed": f"unexpected {type(error).__name__}: {error}"}
        return record | {"people": len(scene.people)}

    def _save(self, scene: Any, task: Task, tar: tarfile.TarFile | None) -> None:
        """Write a picture's results as files, or as KEY.json, KEY.glb, KEY.overlay.png into a tar."""
        out, kinds = Path(self._settings.out), self._settings.kinds
        if tar is None:
            for kind in kinds:
                save(scene, kind, out / f"{task.name}{OUTPUTS[kind]}")
            return
        with tempfile.TemporaryDirectory(prefix=".part-", dir=out) as folder:
            for kind in kinds:
                save(scene, kind, Path(folder) / f"x{OUTPUTS[kind]}")
            made = {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}
        for name, content in made.items():
            entry = tarfile.TarInfo(f"{task.name}.{name.removeprefix('x').lstrip('._-')}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))

    def _predict(self, task: Task) -> Any:
        from monobody.image import read_image

        settings = self._settings
        content = read_member(Path(task.tar), task.member) if task.tar and task.member else None
        return self._predictor(
            read_image(task.picture, content),
            boxes=settings.boxes,
            detector=self._detector,
            focal_px=settings.focal_px,
            fov_deg=settings.fov_deg,
            refine=settings.refine,
        )


@dataclass(slots=True)
class Tally:
    """What became of a run's pictures."""

    done: int = 0
    before: int = 0
    empty: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)
    """The first ones, a sentence each."""

    def count(self, record: Record) -> str:
        """Count a picture and return its news."""
        if "failed" in record:
            self.failed += 1
            if len(self.failures) < SHOWN:
                named = record["picture"] in record["failed"]
                self.failures.append(record["failed"] if named else f"{record['picture']}: {record['failed']}")
            return "cannot be done"
        self.empty += not record["people"]
        self.done += bool(record["people"])
        return f"{record['people']} {'person' if record['people'] == 1 else 'people'}"


Engine = Callable[[Settings, Sequence[Sequence[Task]], int], Generator[tuple[str | None, list[Record]]]]
"""Yields what becomes of each unit, given how many workers there may be."""


def on_this_machine(
    settings: Settings, units: Sequence[Sequence[Task]], workers: int
) -> Generator[tuple[str | None, list[Record]]]:
    """Do the units in processes of this machine."""
    from monobody.predict.pool import run_units

    return run_units(settings.start, units, workers=workers)


def run_many(
    tasks: Sequence[Task],
    settings: Settings,
    *,
    workers: int,
    pack: int = 0,
    overwrite: bool = False,
    engine: Engine = on_this_machine,
    report: Callable[[str], None] = lambda news: None,
    skipped: Callable[[int], None] = lambda count: None,
) -> Tally:
    """Do what of the pictures is not done yet.

    Args:
        tasks: the pictures.
        settings: how.
        workers: how many processes.
        pack: pictures to a tar of results; 0 for files of their own.
        overwrite: do everything again.
        engine: where the work is done.
        report: told a line for each picture that is done now, and
        skipped: how many were done before.

    Raises:
        UserError: the folder holds another run's results or one is at work in it, the disk is full, or workers die
            whatever they do. What was finished is kept.
    """
    out, tally = Path(settings.out), Tally()
    endings = [] if settings.packed else [OUTPUTS[kind] for kind in settings.kinds]
    with locked(out):
        manifest = Manifest(out, settings.run(), endings=endings, overwrite=overwrite)
        folders = {out} | {(out / task.name).parent for task in tasks}
        try:
            todo = _not_done(tasks, manifest.done, out)
            tally.before = len(tasks) - len(todo)
            skipped(tally.before)
            _sweep(folders)
            size = pack or 1
            units = [todo[start : start + size] for start in range(0, len(todo), size)]
            with closing(engine(settings, units, workers)) as news:
                for tar, records in news:
                    if tar is None:
                        manifest.add(records)
                    else:
                        manifest.add_tar(Path(tar), records)
                    for record in records:
                        report(f"{record['picture']}: {tally.count(record)}")
        finally:
            manifest.close()
            _sweep(folders)
    return tally


def _not_done(tasks: Sequence[Task], done: dict[str, str], out: Path) -> list[Task]:
    owner = {name.lower(): picture for picture, name in done.items()}
    todo = []
    for task in tasks:
        if done.get(task.picture) == task.name:
            continue
        if task.picture in done or task.name.lower() in owner:
            whose = done.get(task.picture) or owner[task.name.lower()]
            raise UserError(
                f"{out} has results called {task.name if task.picture not in done else whose} already, of another "
                f"picture or list of pictures than {task.picture}: choose another folder with -o."
            )
        todo.append(task)
    return todo


def _temporary_tar(out: Path) -> Path:
    try:
        handle, name = tempfile.mkstemp(prefix=".part-", suffix=".tar", dir=out)
    except OSError as error:
        raise UserError(f"Cannot write into {out}: {error.strerror or error}. Free space and run again.") from error
    os.close(handle)
    make_public(Path(name))
    return Path(name)


def _sweep(folders: Iterable[Path]) -> None:
    """Remove the temporary files that killed writers left."""
    for folder in folders:
        for path in folder.glob(".*") if folder.is_dir() else ():
            if _LEFTOVER.fullmatch(path.name):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
