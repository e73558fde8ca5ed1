"""What a run over many pictures has done so far: a line of JSON for each picture, written when its results are there.

    {"run": {"model": "lift", ...}}                                          the first line: by what
    {"picture": "/photos/a.jpg", "name": "a", "people": 2}                   results in files of their own
    {"picture": "/photos/b.jpg", "name": "b", "people": 1, "tar": "part-000000.tar"}
    {"tar": "part-000000.tar", "bytes": 812544}                              that tar is whole
    {"picture": "/photos/c.jpg", "name": "c", "failed": "..."}

One process writes it, whoever does the work. A run that goes on drops what a killed one left half-said - a last line
cut off, pictures of a tar that was never finished, failures - and does those pictures again.
"""

import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from monobody.errors import UserError
from monobody.files import atomic_write

MANIFEST = "manifest.jsonl"
PART = re.compile(r"part-(\d{6,})\.tar")
PATIENCE_S = 5.0
"""How long to wait for a run that was just killed to let go of the folder."""

Record = dict[str, Any]


class Manifest:
    """The manifest of a folder; made inside `locked`.

    Args:
        out: the folder.
        run: what decides the results; a folder holds the results of one run only.
        endings: how the names of a picture's files end, where each has its own; they have to be there.
        overwrite: forget an earlier run.

    Attributes:
        done: the pictures that need not be done again, with the name of their results.
    """

    def __init__(self, out: Path, run: Record, *, endings: Sequence[str], overwrite: bool) -> None:
        self.path, self._out = out / MANIFEST, out
        self.done: dict[str, str] = {}
        tars: set[str] = set()
        if overwrite:
            self.path.unlink(missing_ok=True)
        elif not self.path.exists() and self._parts():
            raise UserError(f"{out} holds tars but no {MANIFEST}: choose another folder, or give --overwrite.")
        with atomic_write(self.path) as temporary, temporary.open("wb") as file:
            file.write(_line({"run": run}))
            for record in _kept(out, run, endings) if self.path.exists() else ():
                file.write(_line(record))
                if "picture" in record:
                    self.done[record["picture"]] = record["name"]
                else:
                    tars.add(record["tar"])
        self._tars = 1 + max((int(tar[5:-4]) for tar in tars), default=-1)
        for stray in self._parts():
            if stray.name not in tars:
                stray.unlink()
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND)

    def add(self, records: Sequence[Record]) -> None:
        """Note pictures whose results are in place, or cannot be made."""
        text = b"".join(_line(record) for record in records)
        try:
            while text:
                text = text[os.write(self._file, text) :]
        except OSError as error:
            raise UserError(
                f"Cannot write {self.path}: {error.strerror or error}. Free space and run again."
            ) from error

    def add_tar(self, temporary: Path, records: Sequence[Record]) -> None:
        """Give a finished tar its name and note the pictures whose results are in it."""
        name = f"part-{self._tars:06d}.tar"
        try:
            temporary.replace(self._out / name)
        except OSError as error:
            raise UserError(f"Cannot write {self._out / name}: {error.strerror or error}.") from error
        self._tars += 1
        noted = [record | ({"tar": name} if record.get("people") else {}) for record in records]
        self.add([*noted, {"tar": name, "bytes": (self._out / name).stat().st_size}])

    def close(self) -> None:
        os.close(self._file)

    def _parts(self) -> list[Path]:
        return [path for path in self._out.glob("part-*.tar") if PART.fullmatch(path.name)]


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep other runs out of a folder; the lock goes with the process, however it ends.

    Raises:
        UserError: another run is at work in it.
    """
    try:
        import fcntl
    except ImportError:  # Windows: there is no such lock.
        yield
        return
    folder = os.open(out, os.O_RDONLY)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise UserError(
                        f"Another run is writing into {out}: let it end, or choose another folder with -o."
                    ) from None
                time.sleep(0.1)
        yield
    finally:
        os.close(folder)


def read_records(path: Path) -> Iterator[Record]:
    """Yield a manifest's lines; the last one may have been cut off and is then left out.

    Raises:
        UserError: another line is damaged.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise ValueError
            except ValueError:
                if not line.endswith(b"\n"):
                    return
                raise UserError(f"{path} is damaged in line {number}: remove it and run again.") from None
            if line.endswith(b"\n"):
                yield record


def _kept(out: Path, run: Record, endings: Sequence[str]) -> Iterator[Record]:
    """Yield what an earlier run has finished, after making sure that it was the same."""
    path = out / MANIFEST
    earlier = next(read_records(path), {}).get("run", {})
    different = [key for key in run if earlier.get(key) != run[key]]
    if different:
        was, now = (str(each.get(different[0], "nothing")) for each in (earlier, run))
        raise UserError(
            f"{out} holds the results of another run ({different[0]}: {was}, not {now}): choose another folder, or "
            "give --overwrite."
        )
    whole = {
        record["tar"]
        for record in read_records(path)
        if "bytes" in record and _size(out / record["tar"]) == record["bytes"]
    }
    for record in read_records(path):
        if "tar" in record:
            if record["tar"] in whole:
                yield record
        elif "picture" in record and "failed" not in record:
            made = endings if record["people"] else ()
            if all((out / f"{record['name']}{ending}").exists() for ending in made):
                yield record


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _line(record: Record) -> bytes:
    # Names of files need not be text; what is none in them is escaped, as JSON may.
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
