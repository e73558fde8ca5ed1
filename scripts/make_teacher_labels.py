"""Give photos that nobody labelled the landmarks that BlazePose sees in them, as a data set to train on.

    python scripts/make_teacher_labels.py --data DATA -o DATA/prepared/teacher [--bodies]

The photos are those of Clothing Co-Parsing and LSP Extended that are not kept to validate with; clicked joints are not
looked at. Such photos show one person who fills them, so that BlazePose reads the whole photo, turned in four ways, and
goes on twice from the best reading to the region that this asks for. A photo is kept where it then believes in the
person and sees at least eight of the twelve limb joints; these are its keypoints, as far as it is sure of them. With
`--bodies` it also gets the body that `lift` makes of the landmarks: weak labels of 3D.

What was seen is kept in `OUT/../NAME.npz`; sets with and without bodies share it under `--seen`. Give the folder a
share of any training: `--mixture synthetic=0.6,lsp_extended=0.2,teacher=0.2`.
"""

import argparse
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from monobody.body.skeleton import SKELETONS, correspondence
from monobody.data.crop import Crop
from monobody.data.datasets.clothing_coparsing import photo_names
from monobody.data.datasets.lsp_extended import LspExtended
from monobody.data.prepared_writer import Origin, write_prepared
from monobody.data.sample import Sample
from monobody.files import atomic_write
from monobody.image import read_image
from monobody.predict.detection import Detection
from monobody.predict.landmarks import Reading, read_again, read_region
from monobody.predict.predictor import choose_camera, load

SURE, PRESENT, ENOUGH = 0.5, 0.5, 8
"""Scores of landmarks and of people that are believed, and how many of the limbs' twelve joints a person must show."""
LANDMARK_OF = np.array(correspondence("blazepose33", "cocoplus19"))
LIMBS = slice(0, 12)
"""The first twelve of `cocoplus19` are ankles to shoulders and wrists."""


class Taught(Sequence[Sample]):
    """The photos with what was seen in them."""

    def __init__(self, seen: dict[str, np.ndarray], *, bodies: bool) -> None:
        self.seen, self.bodies = seen, bodies

    def __len__(self) -> int:
        return len(self.seen["files"])

    def name(self, index: int) -> str:
        return Path(str(self.seen["files"][index])).stem

    def __getitem__(self, index: int) -> Sample:  # pyright: ignore[reportIncompatibleMethodOverride]
        one = {key: values[index] for key, values in self.seen.items()}
        x, y, size, angle = one["crop"].tolist()
        return Sample(
            image=read_image(str(one["files"])).rgb,
            crop=Crop((x, y), size, angle),
            keypoints_px=one["keypoints_px"],
            visible=one["visible"],
            joints_cam_m=one["joints_cam_m"] if self.bodies else None,
            rotations=one["rotations"] if self.bodies else None,
        )


def look(files: Sequence[Path]) -> dict[str, np.ndarray]:
    """Return what BlazePose, and `lift` behind it, see of the photos that are kept."""
    lift = load("lift", device="cpu")
    rows: list[dict[str, Any]] = []
    began = time.process_time()
    for number, file in enumerate(files):
        rgb = read_image(file).rgb
        best = read_photo(rgb)
        if number % 100 == 99:
            spent = time.process_time() - began
            print(f"{number + 1} of {len(files)} photos, {len(rows)} kept, {spent:.0f} CPU s", file=sys.stderr)
        points, scores = best.landmarks_px[LANDMARK_OF], best.scores[LANDMARK_OF]
        visible = (scores > SURE) & (LANDMARK_OF >= 0)
        if best.presence < PRESENT or visible[LIMBS].sum() < ENOUGH:
            continue
        found = Detection(
            box_px=np.concatenate([best.landmarks_px.min(0), best.landmarks_px.max(0)]),
            score=best.presence,
            crop=best.crop,
            landmarks_px=best.landmarks_px,
            landmarks_score=best.scores,
            world_m=best.world_m,
        )
        (person,) = lift.people(rgb, [found], choose_camera(rgb.shape[1], rgb.shape[0]))
        rows.append(
            {
                "files": str(file),
                "crop": np.array([*best.crop.centre_px, best.crop.size_px, best.crop.angle_rad]),
                "keypoints_px": np.where(visible[:, None], points, 0.0).astype(np.float32),
                "visible": visible.astype(np.float32),
                "joints_cam_m": (person.joints_cam_m["lsp14"] - person.translation_m).astype(np.float32),
                "rotations": np.asarray(person.rotations, np.float32),
            }
        )
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def read_photo(rgb: np.ndarray) -> Reading:
    """Return what BlazePose sees of the one person in a photo."""
    height, width = rgb.shape[:2]
    turned = (Crop((width / 2, height / 2), float(max(width, height)), turn * math.pi / 2) for turn in range(4))
    best = max((read_region(rgb, crop) for crop in turned), key=lambda each: each.presence * each.scores.mean())
    return read_again(rgb, read_again(rgb, best))


def unlabelled(data: Path, fashion: int | None, sports: int | None) -> list[Path]:
    """Return so many photos of each set, drawn at random."""
    files: list[Path] = []
    if (data / "clothing_coparsing").is_dir():
        folder = data / "clothing_coparsing"
        files += _drawn([folder / "images" / f"{name}.jpg" for name in photo_names(folder, "train")], fashion)
    if (data / "lsp_extended").is_dir():
        photos = LspExtended(data / "lsp_extended", "train")
        files += _drawn([photos.folder / file for file in photos.files], sports)
    return files


def _drawn(files: list[Path], count: int | None) -> list[Path]:
    order = np.random.default_rng(0).permutation(len(files))[:count]
    return [files[i] for i in sorted(order.tolist())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the new set; its name is the set's")
    parser.add_argument("--seen", type=Path, help="keep what was seen here, or take what is there")
    parser.add_argument("--bodies", action="store_true", help="with the bodies that lift makes of the landmarks")
    parser.add_argument("--fashion", type=int, help="only so many photos of Clothing Co-Parsing")
    parser.add_argument("--sports", type=int, help="only so many of LSP Extended")
    options = parser.parse_args()
    assert SKELETONS["cocoplus19"].joints[11] == "left_wrist"
    torch.set_num_threads(1)
    kept: Path = options.seen or options.output.with_suffix(".npz")
    if kept.is_file():
        with np.load(kept, allow_pickle=False) as file:
            seen = {name: file[name] for name in file.files}
    else:
        seen = look(unlabelled(options.data, options.fashion, options.sports))
        with atomic_write(kept, suffix=".npz") as temporary:
            np.savez_compressed(temporary, allow_pickle=False, **seen)
    origin = Origin(
        name=options.output.name,
        licence="Photos: LSP Extended for research, Clothing Co-Parsing Apache-2.0. Labels: BlazePose's, no truth.",
        source="scripts/make_teacher_labels.py",
    )
    manifest = write_prepared(origin, Taught(seen, bodies=options.bodies), options.output)
    print(f"{options.output}: {manifest['count']} people")


if __name__ == "__main__":
    main()
