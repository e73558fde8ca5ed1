"""Write a prepared data set (`data/prepared.py`): shard by shard, in parallel, going on where a stopped run was.

A shard appears whole, and after it a record of what it is. A later run keeps the shards whose records and digests
agree and writes the others, with the same bytes whoever writes them; where samples could not be read it tries again.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from monobody.data.faults import LARGEST_SHARE, fault_of
from monobody.data.packed import surroundings
from monobody.data.prepared import FORMAT, INDEX, MANIFEST, Prepared, index_of, members_of, read_manifest
from monobody.data.published_crop import KEPT_PX, reach_of_published_crop
from monobody.data.sample import Sample
from monobody.data.workers import Report, run_tasks
from monobody.errors import UserError
from monobody.files import atomic_write, sha256_of

REGION_PX, REACH, QUALITY = 320, 0.9, 92
"""Regions of interest larger than this are shrunk to it; half the side of what is kept about them, in region sizes
(room to turn, move and widen the region; more where HMR's own crop looks further); and the JPEGs' quality."""
PER_SHARD = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """What a manifest says of where a set comes from."""

    name: str
    split: str = "train"
    licence: str = ""
    source: str = ""
    """Where to get the original."""
    expected: int | None = None
    """How many samples the whole original gives."""
    missing: tuple[str, ...] = ()
    """What of it was not on disk, in words."""


def write_prepared(
    name: str | Origin,
    samples: Sequence[Sample],
    out: str | Path,
    *,
    workers: int = 1,
    per_shard: int = PER_SHARD,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Write samples as a prepared set and return its manifest.

    Args:
        name: what the set is called, or all that is known of its origin.
        samples: read once, in rising order within a shard. Where they have a method `name(index)` it tells what the
            original calls them; `left_out` counts by reason what the reader did not take; with `unlabelled` people
            of whom nothing is known are no mistake.
        out: the folder of this set alone.
        workers: processes.
        per_shard: samples in a shard.
        report: told how many samples are done, of how many.

    Raises:
        UserError: there is nothing to write, the folder holds another set, no sample or too few can be read (more
            than one, and more than 1 %, cannot), a worker was killed, or the disk is full. What was finished stays
            for the next run.
    """
    origin = name if isinstance(name, Origin) else Origin(name=name)
    out, total = Path(out), len(samples)
    if not total:
        raise UserError(f"There is nothing of {origin.name} ({origin.split}) to write. {origin.source}".rstrip())
    plan = _Plan(
        origin=origin,
        samples=samples,
        out=out,
        per_shard=per_shard,
        fingerprint=_fingerprint(origin, samples, per_shard),
    )
    _refuse_another_set(out, origin)
    for leftover in out.glob(f".{origin.name}-*.tar.*"):  # Of a run that was killed while it wrote.
        leftover.unlink(missing_ok=True)
    kept = plan.kept()
    if len(kept) == plan.shards and _is_whole(out, plan.fingerprint):
        report(total, total)
        return read_manifest(out)
    (out / MANIFEST).unlink(missing_ok=True)
    for record in kept.values():
        plan.save(record)
    done = sum(record["samples"] for record in kept.values())
    bad: list[dict[str, str]] = []

    def count(news: dict[str, str] | None) -> None:
        nonlocal done
        done += 1
        if news is not None:
            bad.append(news)
            if len(bad) > max(LARGEST_SHARE * total, 1) or len(bad) == total:
                raise UserError(_too_many(bad, total, origin))
        report(done, total)

    run_tasks(
        plan.write_shard, [number for number in range(plan.shards) if number not in kept], workers=workers, report=count
    )
    return plan.finish()


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """Which sample goes to which shard, and what is known of the shards that are there."""

    origin: Origin
    samples: Sequence[Sample] = field(repr=False)
    out: Path
    per_shard: int
    fingerprint: str
    """Tells sets apart that have other samples or are cut in another way."""

    @property
    def shards(self) -> int:
        return -(-len(self.samples) // self.per_shard)

    def name(self, index: int) -> str:
        return _name(self.samples, index)

    def path(self, number: int) -> Path:
        return self.out / f"{self.origin.name}-{number:06d}.tar"

    def kept(self) -> dict[int, dict[str, Any]]:
        """Return the records of the shards that an earlier run of the same set has written whole, by number."""
        found: dict[int, dict[str, Any]] = {}
        with suppress(UserError):
            manifest = read_manifest(self.out)
            if manifest["input"] == self.fingerprint:
                found = {
                    number: record | {"input": self.fingerprint} for number, record in enumerate(manifest["shards"])
                }
        for number in range(self.shards):
            with suppress(OSError, ValueError):
                found[number] = json.loads(self._record(number).read_text(encoding="utf-8"))
        return {
            number: record
            for number, record in found.items()
            if record["input"] == self.fingerprint
            and not record["skipped"]
            and self.path(number).is_file()
            and sha256_of(self.path(number)) == record["sha256"]
        }

    def write_shard(self, number: int, report: Report) -> None:
        """Write one shard and then its record; report None for a sample written, else what is wrong with it."""
        skipped, written = [], 0
        start = number * self.per_shard
        path = self.path(number)
        with atomic_write(path, suffix=".tar") as temporary:
            with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
                for index in range(start, min(start + self.per_shard, len(self.samples))):
                    members = self._members(index)
                    if isinstance(members, str):
                        skipped.append({"name": self.name(index), "reason": members})
                    else:
                        for member, content in members.items():
                            entry = tarfile.TarInfo(f"{index:08d}.{member}")
                            entry.size = len(content)
                            tar.addfile(entry, io.BytesIO(content))
                        written += 1
                    report(skipped[-1] if isinstance(members, str) else None)
            size, digest = temporary.stat().st_size, sha256_of(temporary)
        self.save(
            {"file": path.name, "samples": written, "bytes": size, "sha256": digest, "skipped": skipped}
            | {"input": self.fingerprint}
        )

    def save(self, record: dict[str, Any]) -> None:
        number = int(record["file"].rsplit("-", 1)[1].removesuffix(".tar"))
        with atomic_write(self._record(number)) as temporary:
            temporary.write_text(json.dumps(record), encoding="utf-8")

    def finish(self) -> dict[str, Any]:
        """Write the index and the manifest, in whose presence the set counts as whole."""
        records = [json.loads(self._record(number).read_text(encoding="utf-8")) for number in range(self.shards)]
        for record in records:
            del record["input"]
        index = index_of(self.path(number) for number in range(self.shards))
        with atomic_write(self.out / INDEX, suffix=".npy") as temporary:
            np.save(temporary, index)
        manifest = {
            "format": FORMAT,
            "name": self.origin.name,
            "split": self.origin.split,
            "licence": self.origin.licence,
            "source": self.origin.source,
            "count": len(index),
            "found": len(self.samples),
            "expected": self.origin.expected,
            "missing": list(self.origin.missing),
            "left_out": dict(getattr(self.samples, "left_out", {})),
            "skipped": sum(len(record["skipped"]) for record in records),
            # One view that cannot be read shifts all later moments by one.
            "together": getattr(self.samples, "together", 1) if len(index) == len(self.samples) else 1,
            "input": self.fingerprint,
            "shards": records,
        }
        with atomic_write(self.out / MANIFEST) as temporary:
            temporary.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        for path in self._strays():
            path.unlink()
        return manifest

    def _members(self, index: int) -> dict[str, bytes] | str:
        """Return a sample's files, or why it cannot be used."""
        try:
            sample = self.samples[index]
            meant = getattr(self.samples, "unlabelled", False) and not np.any(sample.visible)
            fault = None if meant else fault_of(sample)
            if fault is not None:
                return fault
            reach = max(REACH, reach_of_published_crop(sample))
            small = surroundings(sample, region_px=REGION_PX, reach=reach)
            return members_of(small, self.name(index), QUALITY)
        except Exception as error:  # A damaged file makes decoders raise nearly anything.
            return f"{error}" if isinstance(error, UserError) else f"{type(error).__name__}: {error}"

    def _record(self, number: int) -> Path:
        return self.out / f".{self.origin.name}-{number:06d}.json"

    def _strays(self) -> Iterator[Path]:
        """Yield the records, and the shards of an earlier, longer set."""
        yield from self.out.glob(f".{self.origin.name}-*.json")
        wanted = {self.path(number) for number in range(self.shards)}
        yield from (path for path in self.out.glob(f"{self.origin.name}-*.tar") if path not in wanted)


def _fingerprint(origin: Origin, samples: Sequence[Sample], per_shard: int) -> str:
    settings = (FORMAT, origin.name, origin.split, per_shard, REGION_PX, REACH, KEPT_PX, QUALITY, len(samples))
    digest = hashlib.sha256(repr(settings).encode())
    for index in range(len(samples)):
        digest.update(_name(samples, index).encode() + b"\n")
    return digest.hexdigest()


def _name(samples: Sequence[Sample], index: int) -> str:
    """Return what the original calls a sample, its number where it has no name."""
    named = getattr(samples, "name", None)
    return f"{index:08d}" if named is None else str(named(index))


def _refuse_another_set(out: Path, origin: Origin) -> None:
    if not (out / MANIFEST).is_file():
        return
    manifest = read_manifest(out)
    if (manifest["name"], manifest["split"]) != (origin.name, origin.split):
        raise UserError(
            f"{out} holds {manifest['name']} ({manifest['split']}) already: choose another folder for {origin.name} "
            f"({origin.split})."
        )


def _is_whole(out: Path, fingerprint: str) -> bool:
    try:
        return read_manifest(out)["input"] == fingerprint and len(Prepared(out)) > 0
    except UserError:
        return False


def _too_many(bad: list[dict[str, str]], total: int, origin: Origin) -> str:
    shown = "; ".join(f"{each['name']}: {each['reason']}" for each in bad[:5])
    return (
        f"{len(bad)} of {total} samples of {origin.name} cannot be used, more than 1 %: the data set is damaged. "
        f"Unpack or download it again, or mend these; finished shards are kept. The first: {shown}"
    )
