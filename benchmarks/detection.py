"""How well and how fast people are found: ``python benchmarks/detection.py [--data DIR]``.

Groups: composed pictures of one to six people (``group_pictures.py``). Recall at an overlap (IoU) of 0.5 with the box
of the person's visible outline, each true box used once; boxes beyond those are false. `--synthetic 0.25` makes it
harder: every fourth person is rendered, upside down as often as not.

Photos: the 500 validation photos of LSP Extended, the person found in the box of the visible joints widened by a tenth
of its larger side all round. PCK of BlazePose's own 2D joints: the 12 of the limbs, and all 14 of LSP with the neck
0.3 of the way from the shoulders' middle to the ears' middle and the top of the head 0.6 times that way beyond them.

Without data (``--data``, or $MONOBODY_DATA) the two sample photos are timed.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from group_pictures import GroupPictures
from PIL import Image

from monobody.body.skeleton import SKELETONS, correspondence
from monobody.data.datasets.lsp_extended import LspExtended
from monobody.evaluate.quick import joints_box
from monobody.metrics import pck
from monobody.predict.anchors import box_iou
from monobody.predict.detect import BlazeDetector
from monobody.predict.detection import Detection

NECK_UP, HEAD_UP = 0.3, 0.6
SAMPLES = Path(__file__).resolve().parents[1] / "samples"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("MONOBODY_DATA"))
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--synthetic", type=float, default=0.0, help="share of rendered people, in any posture")
    options = parser.parse_args()
    detector = BlazeDetector()
    if options.data is None:
        print("no data: give --data or set MONOBODY_DATA for recall and PCK")
        for path in sorted(SAMPLES.glob("*.jpg")):
            with Image.open(path) as image:
                rgb = np.asarray(image.convert("RGB"))
            detector(rgb)
            found, wall, cpu = timed(lambda rgb=rgb: detector(rgb))
            print(f"{path.name}: {len(found)} found, {1000 * wall:.0f} ms ({1000 * cpu:.0f} ms of CPU)")
        return
    if options.pictures:
        measure_groups(
            detector,
            GroupPictures(Path(options.data), seed=options.seed, synthetic=options.synthetic),
            options.pictures,
        )
    if options.photos:
        measure_photos(detector, LspExtended(Path(options.data) / "lsp_extended", "validation")[: options.photos])


def measure_groups(detector: BlazeDetector, pictures: GroupPictures, count: int) -> None:
    """Print recall and false boxes by the number of people, and the time."""
    tables, times = [], []
    for picture in pictures.first(count):
        found, wall, cpu = timed(lambda picture=picture: detector(picture.rgb))
        times.append((wall, cpu))
        hits = matches(picture.boxes_px, found)
        tables.append((len(picture.boxes_px), hits, len(found) - hits))
    people, hits, false = np.array(tables).T
    print("people in the picture   recall   false boxes a picture")
    for number in np.unique(people):
        chosen = people == number
        print(f"{number:21d}   {hits[chosen].sum() / people[chosen].sum():6.3f}   {false[chosen].mean():.2f}")
    precision = hits.sum() / (hits.sum() + false.sum())
    print(f"all: recall {hits.sum() / people.sum():.3f} of {people.sum()}, precision {precision:.3f}, "
          f"{false.sum()} false boxes in {count} pictures")  # fmt: skip
    wall, cpu = np.median(times, axis=0)
    print(f"median of a picture: {1000 * wall:.0f} ms ({1000 * cpu:.0f} ms of CPU)")


def measure_photos(detector: BlazeDetector, photos: list) -> None:
    """Print the PCK of BlazePose's joints, and the time."""
    predicted, times = [], []
    for photo in photos:
        (found,), wall, cpu = timed(lambda photo=photo: detector(photo.image, joints_box(photo).tolist()))
        predicted.append(lsp_joints(found))
        times.append((wall, cpu))
    joints = torch.from_numpy(np.stack(predicted)).float()
    truth = torch.from_numpy(np.stack([photo.keypoints_px[:14] for photo in photos])).float()
    visible = torch.from_numpy(np.stack([photo.visible[:14] for photo in photos])) > 0
    limbs = visible.clone()
    limbs[:, 12:] = False
    many = visible.sum(1) >= 12
    for name, counted, rows in (
        ("12 limb joints", limbs, slice(None)),
        ("12 limb joints, photos with 12 or more visible", limbs, many),
        ("14 joints", visible, slice(None)),
    ):
        scores = [
            float(pck(joints[rows], truth[rows], visible[rows], threshold=t, counted=counted[rows]))
            for t in (0.1, 0.05)
        ]
        print(f"{name}: PCK@0.1 {scores[0]:.1f}, PCK@0.05 {scores[1]:.1f}")
    wall, cpu = np.median(times, axis=0)
    print(f"median of a photo: {1000 * wall:.0f} ms ({1000 * cpu:.0f} ms of CPU)")


def matches(boxes_px: np.ndarray, found: list[Detection]) -> int:
    """Return how many true boxes are met, the surest detection choosing first."""
    open_boxes = list(boxes_px)
    for detection in found:
        overlaps = [box_iou(detection.box_px, box) for box in open_boxes]
        if overlaps and max(overlaps) >= 0.5:
            open_boxes.pop(int(np.argmax(overlaps)))
    return len(boxes_px) - len(open_boxes)


def lsp_joints(found: Detection) -> np.ndarray:
    """Return LSP's 14 joints of a detection's landmarks."""
    landmarks = found.landmarks_px
    joints = landmarks[list(correspondence("blazepose33", "lsp14"))]
    names = SKELETONS["blazepose33"].joints
    shoulders, ears = (
        landmarks[[names.index(f"{side}_{part}") for side in ("left", "right")]].mean(axis=0)
        for part in ("shoulder", "ear")
    )
    joints[12] = shoulders + NECK_UP * (ears - shoulders)
    joints[13] = ears + HEAD_UP * (ears - shoulders)
    return joints


def timed(work: Callable[[], list[Detection]]) -> tuple[list[Detection], float, float]:
    """Return the result, the seconds it took, and the seconds of CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
