"""`monobody prepare NAME`: a published data set, as it lies on somebody's disk, to shards that training reads.

A reader in `data/datasets/` is a module with

    LICENCE, GET_IT     its terms and where to ask for it, in words
    EXPECTED            how many samples each split has; the first split is the one meant where none is named
    check(root, split)  what of a split is missing, in words; of all of them without one
    samples(root, split)    the samples as a sequence, in an order that does not change; optionally with `name(index)`
                            and `left_out` (see `data/prepared_writer.py`)

or, where a set has bodies but no pictures and so no splits, `check(root)` and `write(root, out, workers=...)`. The
first sentence of its docstring is what `monobody prepare --list` prints. A new set is one line in SETS.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from monobody.data.clicked import NO_PICTURE
from monobody.data.faults import LARGEST_SHARE
from monobody.data.prepared_writer import Origin, write_prepared
from monobody.errors import UserError

SETS: dict[str, str] = {
    "amass": "monobody.data.datasets.amass",
    "lsp": "monobody.data.datasets.lsp",
    "lsp_extended": "monobody.data.datasets.lsp_extended",
    "mpii": "monobody.data.datasets.mpii",
    "coco": "monobody.data.datasets.coco",
    "folder": "monobody.data.datasets.folder",
    "masked_folder": "monobody.data.datasets.masked_folder",
    "clothing_coparsing": "monobody.data.datasets.clothing_coparsing",
    "mosh": "monobody.data.datasets.mosh",
    "spin": "monobody.data.datasets.spin",
    "tiktok": "monobody.data.datasets.tiktok",
    "h36m": "monobody.data.datasets.h36m",
    "mpi_inf_3dhp": "monobody.data.datasets.mpi_inf_3dhp",
    "threedpw": "monobody.data.datasets.threedpw",
    "surreal": "monobody.data.datasets.surreal",
}
"""Each set's name, and its reader."""

SECONDS_BETWEEN_LINES = 10.0


def prepare(
    name: str, root: str | Path, out: str | Path, *, split: str | None = None, workers: int = 2, partial: bool = False
) -> dict[str, Any]:
    """Check a data set on disk, write it as a prepared set, say how many samples it has, and return the manifest.

    Args:
        name: one of SETS.
        root: the data set, laid out as its reader says.
        out: the folder of the prepared set alone.
        split: one of the reader's; its first where left out.
        workers: processes.
        partial: prepare what is there where something is missing.

    Raises:
        UserError: an unknown name or split, something is missing, or what :func:`write_prepared` raises.
    """
    reader = reader_of(name)
    split = split or next(iter(reader.EXPECTED))
    pictured = hasattr(reader, "samples")
    if pictured and split not in reader.EXPECTED:
        raise UserError(f"{name} has no split '{split}': choose one of {', '.join(reader.EXPECTED)}.")
    if Path(root).is_dir():
        missing = reader.check(Path(root), split) if pictured else reader.check(Path(root))
    else:
        missing = [f"The folder {root} does not exist."]
    if missing and not (partial and Path(root).is_dir()):
        listed = "".join(f"\n  - {line}" for line in missing)
        what = f"{name} ({split})" if pictured else name
        raise UserError(
            f"{what} is not complete in {root}:{listed}\nHow to get it: {reader.GET_IT}\n"
            "Complete it, or add --partial to prepare what is there."
        )
    if not pictured:
        return reader.write(root, out, workers=workers)
    samples = reader.samples(Path(root), split)
    lost = getattr(samples, "left_out", {}).get(NO_PICTURE, 0)
    if lost > LARGEST_SHARE * (lost + len(samples)) and not partial:
        raise UserError(
            f"{lost:,} of {lost + len(samples):,} people of {name} ({split}) have no picture in {root}: unpack the "
            "archives again, whole, or add --partial to prepare what is there."
        )
    origin = Origin(
        name=name,
        split=split,
        licence=reader.LICENCE,
        source=reader.GET_IT,
        expected=reader.EXPECTED[split] or None,
        missing=tuple(missing),
    )
    with _bar(f"{name} {split}") as report:
        return write_prepared(origin, samples, out, workers=workers, report=report)


def reader_of(name: str) -> ModuleType:
    """Return the reader of a data set.

    Raises:
        UserError: there is none of that name.
    """
    if name not in SETS:
        raise UserError(f"There is no data set '{name}': `monobody prepare --list` tells which there are.")
    return import_module(SETS[name])


def table() -> str:
    """Return what `monobody prepare --list` prints: each set's name, what it is, its splits, terms and source."""
    parts = []
    for name in SETS:
        reader = reader_of(name)
        what = (reader.__doc__ or "").split("\n\n")[0].replace("\n", " ")
        counts = ", ".join(f"{split} {count:,}" if count else split for split, count in reader.EXPECTED.items())
        kind = "splits" if hasattr(reader, "samples") else "in full"
        parts.append(f"{name}\n  {what}\n  {kind}: {counts}\n  licence: {reader.LICENCE}\n  get it: {reader.GET_IT}")
    return "\n\n".join(parts)


def summary(manifest: dict[str, Any], out: str | Path) -> str:
    """Say what a prepared set holds and in what it differs from the whole, in a few lines."""
    if "poses" in manifest:
        return _summary_of_bank(manifest, out)
    count, expected = manifest["count"], manifest["expected"]
    shards = _count(len(manifest["shards"]), "shard")
    lines = [f"{out}: {count:,} samples of {manifest['name']} ({manifest['split']}) in {shards}"]
    if expected and manifest["found"] != expected:
        less = "fewer" if manifest["found"] < expected else "more"
        difference = abs(expected - manifest["found"])
        lines.append(f"  found {manifest['found']:,} where {expected:,} are expected: {difference:,} {less}")
    lines += [f"  left out {number:,}: {reason}" for reason, number in manifest["left_out"].items()]
    if manifest["skipped"]:
        lines.append(f"  skipped {manifest['skipped']:,} that cannot be read; manifest.json names them")
    return "\n".join([*lines, f"  terms: {manifest['licence']}"])


def _summary_of_bank(manifest: dict[str, Any], out: str | Path) -> str:
    lines = [
        f"{out}: {manifest['poses']:,} poses ({manifest['held_out']:,} of them held out) from "
        f"{_count(manifest['clips'], 'clip')} of {manifest['name']}, {manifest['thinning']}"
    ]
    lines += [f"  left out {_count(number, 'clip')}: {reason}" for reason, number in manifest["left_out"].items()]
    if manifest["skipped"]:
        lines.append(f"  skipped {_count(len(manifest['skipped']), 'clip')} of no use; manifest.json tells why")
    return "\n".join([*lines, f"  terms: {manifest['licence']}"])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


@contextmanager
def _bar(title: str) -> Iterator[Any]:
    """Yield a function (done, total) that shows progress: a bar on a terminal, a line now and then elsewhere."""
    last = time.monotonic()
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        # Refreshed by hand: a process with threads should not be forked.
        bar = Progress(*columns, console=Console(stderr=True), auto_refresh=False)
        with bar:
            row = bar.add_task(title)

            def show(done: int, total: int) -> None:
                nonlocal last
                bar.update(row, completed=done, total=total)
                if done == total or time.monotonic() - last > 0.1:
                    last = time.monotonic()
                    bar.refresh()

            yield show
        return

    def tell(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            print(f"{title}: {done:,} of {total:,}", file=sys.stderr, flush=True)

    yield tell
