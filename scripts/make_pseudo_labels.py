"""Give bodies to photos whose 2D joints somebody clicked; write those whose fits are good as a data set to train on.

    python scripts/make_pseudo_labels.py DATA/lsp_extended --regions regions.npz -o DATA/prepared/lsp_extended_pseudo

The set is a folder of LSP Extended, or one that `monobody prepare` wrote. Its people are read by the detector in the
box of their joints; with `--regions` (`scripts/locate_people.py`) what it said before is taken instead. Fits are kept
in `OUT/fits/`, chunk by chunk in random order: a run that was stopped goes on, and any prefix is a fair sample. Then
those that pass all thresholds are written to `OUT`, with a manifest that counts the others by reason. Give the folder
a share of any training: `--mixture synthetic=0.6,lsp_extended_pseudo=0.4`. `--spin FILE` writes them as SPIN's table
as well, for others' programs: joints in 2D and 3D, as the bodies are not SMPL's.
"""

import argparse
import hashlib
import json
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from monobody.data.crop import Crop
from monobody.data.datasets.lsp_extended import LICENCE, LspExtended
from monobody.data.prepared import MANIFEST, Prepared
from monobody.data.prepared_writer import Origin, write_prepared
from monobody.data.spin_table import export_spin
from monobody.evaluate.quick import find_people
from monobody.files import atomic_write
from monobody.fit.kept import Judged, Labelled, Thresholds
from monobody.predict.detection import Detection
from monobody.predict.pseudo_labels import Labeller

CHUNK = 96
"""Photos that are read together; two thirds of them are fitted, side by side."""
RECORD = "pseudo_labels.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path, help="folder of LSP Extended, or of a prepared set")
    parser.add_argument("--regions", type=Path, help="what scripts/locate_people.py wrote of it")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the new set; its name is the set's")
    parser.add_argument("--limit", type=int, help="only so many photos, drawn at random")
    parser.add_argument("--minutes", type=float, help="fit no longer than this, and write what is there")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--spin", type=Path, help="also write the set as SPIN's table")
    parser.add_argument("--select-only", action="store_true", help="fit nothing more")
    options = parser.parse_args()
    if not options.select_only:
        fit_all(options)
    write(options)


def fit_all(options: argparse.Namespace) -> None:
    """Fit every chunk that has no file yet."""
    folder = options.output / "fits"
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(0).permutation(len(open_set(options.set)))[: options.limit]
    chunks = [order[i : i + CHUNK].tolist() for i in range(0, len(order), CHUNK)]
    left = [n for n in range(len(chunks)) if not (folder / f"{n:06d}.npz").is_file()]
    until = time.time() + 60 * options.minutes if options.minutes else float("inf")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.workers, mp_context=context) as pool:
        tasks = [pool.submit(fit_chunk, options.set, options.regions, folder, n, chunks[n], until) for n in left]
        for task in tasks:
            print(task.result(), flush=True)


def fit_chunk(path: Path, regions: Path | None, folder: Path, number: int, places: Sequence[int], until: float) -> str:
    """Fit one chunk and write its file; nothing where the time is over."""
    if time.time() > until:
        return f"chunk {number}: the time is over"
    torch.set_num_threads(1)
    photos, table = open_set(path), open_regions(regions)
    samples = [photos[i] for i in places]
    names = [photos.name(i) for i in places]
    found = [table[name] if name in table else find_people([s])[0] for name, s in zip(names, samples, strict=True)]
    began = time.process_time()
    fits = labeller().label(samples, found, names, places)
    fits.save(folder / f"{number:06d}.npz")
    good = Thresholds().kept(fits).sum()
    return f"chunk {number}: {good} of {len(fits)} kept, {time.process_time() - began:.0f} CPU s"


@cache
def labeller() -> Labeller:
    return Labeller.load()


@cache
def open_set(path: Path) -> Prepared | LspExtended:
    """Return the photos that labels may be made for."""
    return Prepared(path) if (path / MANIFEST).is_file() else LspExtended(path, "train")


@cache
def open_regions(path: Path | None) -> dict[str, Detection]:
    """Return what the detector said about each photo, by name."""
    if path is None:
        return {}
    with np.load(path, allow_pickle=False) as file:
        table = {name: file[name] for name in file.files}
    found = {}
    for i, name in enumerate(table["names"].tolist()):
        x, y = table["centre_px"][i].tolist()
        points = table["landmarks_px"][i]
        found[name] = Detection(
            box_px=np.concatenate([points.min(0), points.max(0)]),
            score=float(table["presence"][i]),
            crop=Crop((x, y), float(table["size_px"][i]), float(table["angle_rad"][i])),
            landmarks_px=points,
            landmarks_score=table["landmarks_score"][i],
            world_m=table["world_m"][i],
        )
    return found


def write(options: argparse.Namespace) -> None:
    """Select among all fits that there are, and write the set and its record."""
    parts = [Judged.load(path) for path in sorted((options.output / "fits").glob("*.npz"))]
    if not parts:
        raise SystemExit(f"{options.output / 'fits'} holds no fits: run again without --select-only, or for longer.")
    fits = Judged.together(parts)
    thresholds, photos = Thresholds(), open_set(options.set)
    crops = {name: found.crop for name, found in open_regions(options.regions).items()}
    chosen = Labelled(photos, fits, thresholds, crops)
    digest = hashlib.sha256(fits.rotations.tobytes() + fits.joints_cam_m.tobytes()).hexdigest()
    record_path = options.output / RECORD
    if record_path.is_file() and json.loads(record_path.read_text()).get("fits") != digest:
        (options.output / MANIFEST).unlink(missing_ok=True)  # Its shards hold other bodies of the same people.
    prepared = isinstance(photos, Prepared)
    licence = photos.manifest["licence"] if prepared else LICENCE
    origin = Origin(
        name=options.output.name,
        licence=f"Photos: {licence} Bodies: fitted to them by monobody, no ground truth.",
        source=f"scripts/make_pseudo_labels.py on {photos.manifest['name'] if prepared else 'LSP Extended (train)'}",
        expected=len(photos),
        missing=(f"{len(photos) - len(fits)} photos were not fitted",) if len(fits) < len(photos) else (),
    )
    manifest = write_prepared(origin, chosen, options.output, workers=options.workers)
    record: dict[str, Any] = {
        "fits": digest,
        "photos": len(photos),
        "fitted_or_dropped_before": len(fits),
        "kept": len(chosen),
        "dropped": thresholds.counts(fits),
        "thresholds": asdict(thresholds),
    }
    with atomic_write(record_path) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))
    print(f"{options.output}: {manifest['count']} people")
    if options.spin is not None:
        print(f"{options.spin}: {export_spin(Prepared(options.output), options.spin)} people")


if __name__ == "__main__":
    main()
