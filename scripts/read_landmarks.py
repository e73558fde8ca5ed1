"""Gather what the detector reads of people whose joints are known, to train the lifter on.

    python scripts/read_landmarks.py --photos DATA/lsp_extended --regions regions.npz --people TAR... -o readings.npz

Photos bring the landmarks that `scripts/locate_people.py` found in them and their clicked joints; the validation photos
are left out, or with --validation are the only ones taken. Rendered people (`scripts/render_synthetic.py`) are read
here, in regions scattered as the detector scatters them, and bring their bodies.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from monobody.body.landmarks import Landmarks
from monobody.data.crop import Crop, turn_back
from monobody.data.datasets.lsp_extended import LspExtended
from monobody.data.region import scattered
from monobody.data.sample import Sample
from monobody.data.shards import SampleFiles
from monobody.fit.readings import Readings
from monobody.predict.landmarks import read_again, read_region

Row = dict[str, np.ndarray]


def photo_rows(folder: Path, regions: Path, *, validation: bool) -> Iterator[Row]:
    """Yield a row for each photo that was located."""
    photos = LspExtended(folder, "validation" if validation else "train")
    with np.load(regions, allow_pickle=False) as file:
        table = {name: file[name] for name in file.files}
    place = {name: i for i, name in enumerate(table["names"].tolist())}
    for number, name in enumerate(photos.names):
        if name not in place:
            continue
        i = place[name]
        x, y = table["centre_px"][i].tolist()
        crop = Crop((x, y), float(table["size_px"][i]), float(table["angle_rad"][i]))
        landmarks = table["landmarks_px"][i], table["landmarks_score"][i], table["world_m"][i]
        visible = photos.joints[number, :, 2]
        yield row(crop, *landmarks, photos.joints[number, :, :2] * visible[:, None], visible)


def people_rows(tars: list[Path], limit: int | None) -> Iterator[Row]:
    """Yield a row for each rendered person."""
    people = SampleFiles(*tars)
    for i in range(len(people) if limit is None else min(limit, len(people))):
        person = people[i]
        reading = read_region(person.image, scattered(person.crop, np.random.default_rng([1, i])))
        reading = read_again(person.image, reading)
        visible = person.visible[:14]
        known = (person.keypoints_px[:14], visible, person)
        yield row(reading.crop, reading.landmarks_px, reading.scores, reading.world_m, *known)
        if i % 500 == 0:
            print(f"{i} of {len(people)} people", flush=True)


def row(
    crop: Crop,
    landmarks_px: np.ndarray,
    score: np.ndarray,
    world_m: np.ndarray,
    keypoints_px: np.ndarray,
    visible: np.ndarray,
    body: Sample | None = None,
) -> Row:
    """Bring one person into the frame of the crop."""
    image, scores, world = (
        torch.from_numpy(np.asarray(values, np.float32))
        for values in (crop.to_crop(np.asarray(landmarks_px, np.float64)), score, world_m)
    )
    landmarks = Landmarks.from_joints("blazepose33", image, scores, world_m=world)
    joints_3d, rotations = np.zeros((14, 3)), np.tile(np.eye(3), (24, 1, 1))
    betas = np.zeros(10)
    if body is not None:
        assert body.joints_cam_m is not None
        assert body.rotations is not None
        assert body.betas is not None
        joints_3d = turn_back(np.asarray(body.joints_cam_m, np.float64)[..., None], -crop.angle_rad)[..., 0]
        rotations = np.array(body.rotations, np.float64)
        rotations[0] = turn_back(rotations[0], -crop.angle_rad)
        betas = body.betas
    known = np.array(body is not None, np.float32)
    return {
        "image": landmarks.image.numpy(),
        "score": landmarks.score.numpy(),
        "world_m": landmarks.world_m.numpy(),
        "world_score": landmarks.world_score.numpy(),
        "keypoints_2d": crop.to_crop(np.asarray(keypoints_px, np.float64)),
        "visible": visible,
        "joints_3d": joints_3d,
        "has_joints_3d": known,
        "rotations": rotations,
        "betas": betas,
        "has_body": known,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="folder of LSP Extended")
    parser.add_argument("--regions", type=Path, help="what locate_people.py wrote of it")
    parser.add_argument("--validation", action="store_true", help="take the validation photos instead of the others")
    parser.add_argument("--people", type=Path, nargs="*", default=[], help="tars of rendered people")
    parser.add_argument("--limit", type=int, help="only so many rendered people")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    rows: list[Row] = []
    if options.photos is not None:
        rows += photo_rows(options.photos, options.regions, validation=options.validation)
    if options.people:
        rows += people_rows(options.people, options.limit)
    Readings(**{name: np.stack([row[name] for row in rows]).astype(np.float32) for name in rows[0]}).save(
        options.output
    )
    print(f"{options.output}: {len(rows)} people")


if __name__ == "__main__":
    main()
