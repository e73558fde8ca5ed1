"""What the open benchmark has measured and found before, so that a new row does not cost all the others again.

    rows/NAME.json     an entrant's rows, the digest of everything that decided them, and when they were measured
    found/SET.npz      where the detector found a set's people

Digests cover weights, body, people, settings and this package's version, not its code between two versions: whoever
changes that deletes the folder. Times are of the machine and the hour in which a row was measured.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from monobody.data.crop import Crop
from monobody.evaluate.protocol import Row
from monobody.files import atomic_write
from monobody.predict.blaze_networks import SHA256
from monobody.predict.detection import Detection
from monobody.predict.predictor import versions

ROWS, FOUND = "rows", "found"
ARRAYS = ("box_px", "score", "landmarks_px", "landmarks_score", "world_m")


def kept_rows(
    folder: Path, name: str, decided_by: Mapping[str, Any], measure: Callable[[], Iterable[Row]]
) -> list[Row]:
    """Return an entrant's rows: those kept under its name if the same things decided them, else measured and kept."""
    path = folder / ROWS / f"{name.replace('/', '_')}.json"
    digest = hashlib.sha256(json.dumps({**decided_by, "versions": versions()}, sort_keys=True).encode()).hexdigest()
    with suppress(OSError, ValueError, KeyError, TypeError):  # Nothing there, or nothing that can be used.
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["decided_by"] == digest:
            return [Row(**row) for row in kept["rows"]]
    rows = list(measure())
    content = {
        "decided_by": digest,
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "rows": [asdict(row) | {"numbers": _plain(row.numbers)} for row in rows],
    }
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return rows


def kept_detections(
    path: Path, names: Sequence[str], find: Callable[[], tuple[Sequence[Detection], float]]
) -> tuple[Sequence[Detection], float]:
    """Return a set's detections and the milliseconds a person took: those kept if they begin with these people.

    Args:
        path: the .npz they are kept in.
        names: the people.
        find: looks for everybody, where they are not kept.
    """
    wanted, networks = np.asarray(names, np.str_), ",".join(SHA256.values())
    with suppress(Exception):  # Whatever is wrong with the file, they can be found again.
        with np.load(path, allow_pickle=False) as file:
            kept = {name: file[name] for name in file.files}
        if str(kept["networks"]) == networks and np.array_equal(kept["names"][: len(wanted)], wanted):
            return [_detection(kept, row) for row in range(len(wanted))], float(kept["ms_a_person"])
    found, ms = find()
    arrays = {name: np.stack([np.asarray(getattr(each, name)) for each in found]) for name in ARRAYS}
    crops = np.array([[*each.crop.centre_px, each.crop.size_px, each.crop.angle_rad] for each in found])
    with atomic_write(path, suffix=".npz") as temporary:
        np.savez_compressed(
            temporary, allow_pickle=False, names=wanted, networks=networks, ms_a_person=ms, crops=crops, **arrays
        )
    return found, ms


def _detection(kept: Mapping[str, np.ndarray], row: int) -> Detection:
    x, y, size, angle = kept["crops"][row].tolist()
    arrays = {name: kept[name][row] for name in ARRAYS if name != "score"}
    return Detection(score=float(kept["score"][row]), crop=Crop((x, y), size, angle), **arrays)


def _plain(numbers: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else float(value) for name, value in numbers.items()}
