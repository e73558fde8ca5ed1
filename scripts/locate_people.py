"""Find the people of LSP Extended as the detector sees them: their regions and landmarks, one row a photo.

    python scripts/locate_people.py --data DATA/lsp_extended -o regions.npz

Networks should train on the regions that they will be given, so each photo's region comes from the detector's second
stage: it starts at the region of the clicked joints, moved by the scatter of the first stage, is read, and is read
again in the region that its own auxiliary points ask for, as prediction does. Rows where the landmarks contradict the
clicked joints are marked by `agrees`.

The file holds `names` and, for each, `centre_px`, `size_px`, `angle_rad` of the region, `landmarks_px` (33, 2),
`landmarks_score` (33), `world_m` (33, 3), `presence`, `agrees`.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from monobody.body.skeleton import correspondence
from monobody.data.datasets.lsp_extended import LspExtended
from monobody.data.region import scattered
from monobody.data.sample import Sample
from monobody.files import atomic_write
from monobody.predict.landmarks import Reading, read_again, read_region

CHUNK = 300
"""Photos a task; the table so far is written after each."""
NEAR, ENOUGH = 0.15, 0.6
"""A landmark agrees with a click nearer than this share of the joints' box; a photo, where this share of them does."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of LSP Extended")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .npz to write")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    # One thread a process: threads that wait for each other would cost more than they give. Set before a worker starts.
    os.environ["OMP_NUM_THREADS"] = "1"
    count = len(LspExtended(options.data))
    # Spread over the whole set, so that an unfinished table is a fair sample of it.
    order = np.random.default_rng(0).permutation(count)
    chunks = [order[i : i + CHUNK].tolist() for i in range(0, count, CHUNK)]
    rows: list[dict[str, Any]] = []
    with ProcessPoolExecutor(options.processes) as pool:
        for found in pool.map(locate, [options.data] * len(chunks), chunks):
            rows += found
            write(options.output, rows)
            agreeing = np.mean([row["agrees"] for row in rows])
            print(f"{len(rows)} of {count} photos, {100 * agreeing:.1f} % agree with their clicks", flush=True)


def locate(folder: Path, numbers: list[int]) -> list[dict[str, Any]]:
    """Return the rows of some photos."""
    photos = LspExtended(folder)
    return [row(photos.names[i], photos[i], np.random.default_rng([0, i])) for i in numbers]


def row(name: str, photo: Sample, rng: np.random.Generator) -> dict[str, Any]:
    """Return one photo's region and landmarks."""
    reading = read_again(photo.image, read_region(photo.image, scattered(photo.crop, rng)))
    return {
        "names": name,
        "centre_px": np.array(reading.crop.centre_px, np.float32),
        "size_px": np.float32(reading.crop.size_px),
        "angle_rad": np.float32(reading.crop.angle_rad),
        "landmarks_px": reading.landmarks_px.astype(np.float32),
        "landmarks_score": reading.scores.astype(np.float32),
        "world_m": reading.world_m.astype(np.float32),
        "presence": np.float32(reading.presence),
        "agrees": agrees(reading, photo),
    }


def agrees(reading: Reading, photo: Sample) -> bool:
    """Tell whether most clicked joints of the limbs have their landmark near."""
    index = np.array(correspondence("blazepose33", "cocoplus19"))
    clicked = photo.visible > 0
    both = clicked & (index >= 0)
    if not both.any():
        return False
    side = np.ptp(photo.keypoints_px[clicked], axis=0).max()
    distance = np.linalg.norm(reading.landmarks_px[index[both]] - photo.keypoints_px[both], axis=-1)
    return bool(np.mean(distance < NEAR * side) >= ENOUGH)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the table, in the order of the names."""
    rows = sorted(rows, key=lambda entry: entry["names"])
    with atomic_write(path, suffix=".npz") as temporary:
        columns: dict[str, Any] = {key: np.array([entry[key] for entry in rows]) for key in rows[0]}
        np.savez_compressed(temporary, **columns)


if __name__ == "__main__":
    main()
