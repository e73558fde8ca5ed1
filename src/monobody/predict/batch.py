"""Many pictures, one after the other: which ones, what their outputs are called, what is done already, what failed."""

import glob
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from monobody.errors import UserError

if TYPE_CHECKING:
    from monobody.scene import Scene

PICTURE_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".avif", ".jp2"]
)
"""What counts as a picture in a folder. A file named by itself is opened whatever its name."""

OUTPUTS = {
    "overlay": "_overlay.png",
    "side": "_side.png",
    "glb": ".glb",
    "obj": ".obj",
    "npz": ".npz",
    "json": ".json",
}
"""What ``--save`` can name, and how each file's name ends."""


@dataclass(frozen=True, slots=True)
class Job:
    """One picture and the name that its outputs begin with."""

    picture: Path
    name: str
    asked_for: bool = False
    """Whether it was named by itself, and not found in a folder or by a pattern."""

    def outputs(self, folder: Path, kinds: Sequence[str]) -> dict[str, Path]:
        """Return where each kind of output goes."""
        return {kind: folder / f"{self.name}{OUTPUTS[kind]}" for kind in kinds}


@dataclass(slots=True)
class Outcome:
    """What became of the jobs."""

    done: list[tuple[Job, int]] = field(default_factory=list)
    """With the number of people."""
    skipped: list[Job] = field(default_factory=list)
    empty: list[Job] = field(default_factory=list)
    """Nobody found."""
    failed: list[tuple[Job, str]] = field(default_factory=list)
    """With the reason, one sentence."""


def parse_kinds(text: str) -> tuple[str, ...]:
    """Return the kinds of output that a comma-separated list names.

    Raises:
        UserError: the list is empty or names something else.
    """
    kinds = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [kind for kind in kinds if kind not in OUTPUTS]
    if unknown or not kinds:
        raise UserError(f'Cannot save "{",".join(unknown) or text}": choose from {",".join(OUTPUTS)}.')
    return kinds


def parse_box(text: str) -> tuple[float, ...]:
    """Return the four numbers of "X0,Y0,X1,Y1"; whether they make sense shows when the picture is known.

    Raises:
        UserError: it is not four numbers.
    """
    try:
        box = tuple(float(part) for part in text.split(","))
    except ValueError:
        box = ()
    if len(box) != 4:
        raise UserError(f'The box "{text}" is not four numbers: write --box X0,Y0,X1,Y1 in pixels.')
    return box


def collect_jobs(sources: Sequence[str], out: Path) -> list[Job]:
    """Return the pictures that files, folders and patterns name, each once, in order.

    Pictures of one name but different extensions keep their extension in the name of their outputs, those of one name
    in different folders also the name of their folder.

    Raises:
        UserError: a path does not exist, or a folder or pattern holds no picture.
    """
    if not sources:
        raise UserError("Nothing to predict: name a photo, a folder or a pattern.")
    pictures: dict[Path, None] = {}
    for source in sources:
        pictures |= dict.fromkeys(_pictures(source, out))
    names = {path: path.stem for path in pictures}
    for longer in (
        lambda path: f"{path.stem}_{path.suffix[1:].lower()}",
        lambda path: f"{path.resolve().parent.name}_{path.stem}_{path.suffix[1:].lower()}",
    ):
        count = Counter(name.lower() for name in names.values())  # Some file systems do not tell A from a.
        names = {path: name if count[name.lower()] == 1 else longer(path) for path, name in names.items()}
    name, times = Counter(name.lower() for name in names.values()).most_common(1)[0]
    if times > 1:
        raise UserError(f"{times} of the pictures would have outputs of the name {name}: predict them one by one.")
    asked_for = {Path(source) for source in sources}
    return [Job(path, name, path in asked_for) for path, name in names.items()]


def run_jobs(
    jobs: Sequence[Job],
    out: Path,
    kinds: Sequence[str],
    predict: Callable[[Path], "Scene"],
    *,
    overwrite: bool,
    report: Callable[[Job, str], None] = lambda job, news: None,
) -> Outcome:
    """Predict each picture and write what was asked for.

    A picture that cannot be read, or in which nobody is found, is noted and the others go on. In a run over several
    pictures those with all their outputs are skipped unless ``overwrite``.

    Raises:
        UserError: an output cannot be written; going on would fail for every other picture as well.
    """
    outcome = Outcome()
    for job in jobs:
        outputs = job.outputs(out, kinds)
        if not (overwrite or job.asked_for) and all(path.exists() for path in outputs.values()):
            outcome.skipped.append(job)
            report(job, "done before")
            continue
        try:
            scene = predict(job.picture)
        except UserError as error:
            outcome.failed.append((job, str(error)))
            report(job, "cannot be done")
            continue
        if not scene.people:
            outcome.empty.append(job)
            report(job, "nobody found")
            continue
        for kind, path in outputs.items():
            save(scene, kind, path)
        outcome.done.append((job, len(scene.people)))
        report(job, describe(scene))
    return outcome


def save(scene: "Scene", kind: str, path: Path) -> None:
    """Write one kind of output."""
    if kind in ("overlay", "side"):
        from monobody.scene import save_png

        save_png(scene.overlay() if kind == "overlay" else scene.side(), path)
    else:
        scene.save(path)


def describe(scene: "Scene") -> str:
    """Return one line on a scene: how many people, which focal length and where it comes from, notes."""
    people = f"{len(scene.people)} {'person' if len(scene.people) == 1 else 'people'}"
    origin = {"user": "as given", "exif": "from EXIF", "default": "assumed: the picture's diagonal"}
    focal = f"focal length {scene.camera.focal_px:.0f} px ({origin[scene.camera.source]})"
    return "; ".join([people, focal, *scene.notes])


def _pictures(source: str, out: Path) -> list[Path]:
    """Return the pictures of one source; outputs of an earlier run into the same folder are not pictures."""
    path = Path(source)
    if path.is_dir():
        inside = sorted(item for item in path.iterdir() if item.suffix.lower() in PICTURE_SUFFIXES and item.is_file())
        made = {f"{item.stem}{OUTPUTS[kind]}" for item in inside for kind in ("overlay", "side")}
        if out.resolve() == path.resolve():
            inside = [item for item in inside if item.name not in made]
        if not inside:
            raise UserError(f"The folder {source} holds no picture: give one with .jpg, .png or the like in it.")
        return inside
    if path.exists():
        return [path]
    matches = sorted(Path(match) for match in glob.glob(source, recursive=True) if Path(match).is_file())
    if matches:
        return matches
    if glob.has_magic(source):
        raise UserError(f"No file matches {source}: check the pattern.")
    raise UserError(f"There is no file {source}: check the path.")
