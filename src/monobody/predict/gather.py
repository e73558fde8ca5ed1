"""Gather very many pictures, from files, folders, patterns and tars, with names for their results that do not clash."""

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from monobody.predict.batch import PICTURE_SUFFIXES, collect_jobs
from monobody.predict.tars import Member, pictures_in, safe_name


@dataclass(frozen=True, slots=True)
class Task:
    """One picture, and what its results are called."""

    picture: str
    """The file, in full; or the tar, a slash, and the name in it."""
    name: str
    tar: str | None = None
    member: Member | None = None


def collect_tasks(sources: Sequence[str], out: Path, *, packed: bool = False) -> tuple[list[Task], list[str]]:
    """Return the pictures that files, folders, patterns and tars name, and what to tell of them.

    Results of a tar's pictures go into a folder of the tar's name; in a tar of results this is part of their keys.
    Names of ``packed`` results are WebDataset's keys and so have no dots.

    Raises:
        UserError: as `batch.collect_jobs` and `tars.pictures_in`; a tar is given twice.
    """
    tars: dict[Path, None] = {}
    others: list[str] = []
    for source in sources:
        found = _tars(source)
        tars |= dict.fromkeys(found)
        if not found or (Path(source).is_dir() and _holds_pictures(Path(source))):
            others.append(source)
    names: set[str] = set()
    tasks = []
    for job in collect_jobs(others, out) if others or not tars else []:
        tasks.append(Task(str(job.picture.resolve()), _unique(_without_dots(job.name, packed), names)))
    notes, folders, labels = [], set(), set()
    for path in tars:
        folder = _unique(_without_dots(path.name.removesuffix(".tar"), packed), folders)
        members, left_out = pictures_in(path, PICTURE_SUFFIXES)
        if left_out:
            notes.append(f"{path}: {left_out} pictures that belong to another of the same key are left out")
        for member in members:
            name = _unique(f"{folder}/{_without_dots(_without_suffix(member.member), packed)}", names)
            label = _unique(f"{path.resolve()}/{_printable(member.member)}", labels)  # A tar may name two files alike.
            tasks.append(Task(label, name, str(path.resolve()), member))
    return tasks, notes


def has_tars(sources: Sequence[str]) -> bool:
    """Tell whether any source is a tar, or a folder or pattern of tars."""
    return any(_tars(source) for source in sources)


def _tars(source: str) -> list[Path]:
    path = Path(source)
    if path.is_dir():
        return sorted(item for item in path.glob("*.tar") if item.is_file())
    if path.exists() or not glob.has_magic(source):
        return [path] if re.search(r"\.(tar|tgz|tar\.\w+)$", source.lower()) else []
    return sorted(Path(match) for match in glob.glob(source, recursive=True) if match.endswith(".tar"))


def _holds_pictures(folder: Path) -> bool:
    return any(item.suffix.lower() in PICTURE_SUFFIXES for item in folder.iterdir())


def _without_dots(name: str, packed: bool) -> str:
    return safe_name(name).replace(".", "_") if packed else safe_name(name)


def _printable(member: str) -> str:
    """Return a name from a tar as it may be shown: no escape sequences for the terminal."""
    return "".join(sign if sign.isprintable() else "?" for sign in member.removeprefix("./"))


def _without_suffix(member: str) -> str:
    return member[: len(member) - len(Path(member).suffix)]


def _unique(name: str, taken: set[str]) -> str:
    """Return a name that is not taken yet, numbered if need be, and take it. Some file systems do not tell A from a."""
    number, chosen = 2, name
    while chosen.lower() in taken:
        chosen, number = f"{name}-{number}", number + 1
    taken.add(chosen.lower())
    return chosen
