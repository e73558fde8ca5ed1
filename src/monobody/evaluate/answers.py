"""A model asked about everybody of a test set, lot by lot: a stopped run goes on where it was.

Networks that were trained on HMR's crops see the crop that the protocol states; nobody looks for the person. Others
need the detector's region of interest, turned and sized as in training: for them the detector looks within the box, and
where it finds nobody takes the box for the person. Either way everybody gets an answer, and nobody is left out.
"""

import math
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from monobody.camera import Camera
from monobody.data.crop import HMR_CROP_TO_DIAGONAL, Crop
from monobody.data.sample import Sample, camera_of
from monobody.errors import UserError
from monobody.evaluate.predictions import Predictions, joined, read_predictions, write_predictions
from monobody.evaluate.protocol import EvaluationSet
from monobody.models.depth_ways import MOST
from monobody.predict.detect import Detection, find_detector
from monobody.predict.estimate import PEOPLE_AT_ONCE, PixelEstimator, Seen, knows_picture
from monobody.predict.predictor import Predictor
from monobody.predict.skeletons import SkeletonEstimator
from monobody.scene import Person

LOOKED = (
    "; models that look for the person do so about the visible true joints, wider by a tenth; those that ask for the "
    "focal length are told the data set's"
)
"""What every protocol says of its boxes."""
FILE, LOTS = "predictions.npz", "predictions.parts"
LOT = 256
"""People between two writes: as much work as an interruption can cost."""
BOX_MARGIN = 0.1
SECONDS_BETWEEN_LINES = 30.0
HYPOTHESES = MOST
"""So many whole poses are measured of models that give several: all that X as Supervision's detectors do."""
WEAK_DIAGONALS = 50.0
"""Focal length, in diagonals of the picture, of a pinhole that stands for a weak-perspective camera."""


def ask_about(
    predictor: Predictor, people: EvaluationSet, joint_set: str, *, made_with: str, folder: Path | None = None
) -> Predictions:
    """Return a model's answers about everybody, kept in ``folder`` as they come.

    Args:
        joint_set: which joints are asked for.
        made_with: digest of everything that decides the answers; answers kept under another are not used.
        folder: gets ``predictions.npz``; answers that lie there already are not asked for again.

    Raises:
        UserError: the folder holds predictions of other people or another model, or cannot be written.
    """
    kept = [] if folder is None else _kept(folder, people.names, made_with)
    done = sum(len(part.names) for part in kept)
    total = len(people.names)
    for start in range(done, total, LOT):
        numbers = range(start, min(start + LOT, total))
        answers = list(_asked(predictor, people, watched(numbers, total), joint_set))
        lot = Predictions(
            model=predictor.model,
            terms=predictor.terms,
            names=people.names[numbers.start : numbers.stop],
            joint_set=answered_set(predictor, joint_set),
            absolute=True,
            body_digest=predictor.body.digest,
            made_with=made_with,
            **{name: np.stack([answer[name] for answer in answers]) for name in answers[0]},
        )
        if folder is not None:
            write_predictions(lot, folder / LOTS / f"{start:08d}.npz")
        kept.append(lot)
    predictions = joined(kept)
    if folder is not None and (done < total or not (folder / FILE).is_file()):
        write_predictions(predictions, folder / FILE)
        shutil.rmtree(folder / LOTS, ignore_errors=True)
    return predictions.of(slice(0, total))


def box_about(sample: Sample) -> Float[np.ndarray, "4"]:
    """Return the box about a sample's visible joints, wider by a tenth of its larger side, cut at the picture's edges.

    The same as in `quick.py`, but for any of the 19 joints; the region of interest where fewer than two are visible.
    """
    points = sample.keypoints_px[sample.visible > 0]
    if len(points) < 2 or not np.ptp(points, axis=0).all():
        points = sample.crop.corners_px()
    low, high = points.min(0), points.max(0)
    margin = BOX_MARGIN * float((high - low).max())
    limits = np.array(sample.image.shape[1::-1], np.float64)
    low, high = (np.clip(corner, 0, limits) for corner in (low - margin, high + margin))
    if (high - low).min() < 1:
        low, high = np.zeros(2), limits
    return np.concatenate([low, high])


def watched(numbers: range, total: int) -> Iterator[int]:
    """Yield numbers and show on stderr how far they are: a bar in a terminal, else a line now and then."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if console.is_terminal:
        yield from track(numbers, "people", total=total, completed=numbers.start, console=console, transient=True)
        return
    last = time.monotonic()
    for number in numbers:
        yield number
        if time.monotonic() - last > SECONDS_BETWEEN_LINES or number + 1 == total:
            last = time.monotonic()
            print(f"{number + 1:,} of {total:,} people", file=sys.stderr, flush=True)


def _asked(
    predictor: Predictor, people: EvaluationSet, numbers: Iterator[int], joint_set: str
) -> Iterator[dict[str, np.ndarray]]:
    """Yield what a model says of each person, hypotheses first; the network sees as many at once as it takes."""
    while some := list(islice(numbers, PEOPLE_AT_ONCE)):
        seen = [seen_of(predictor, people, number) for number in some]
        for each, (person,) in zip(seen, predictor.people_in(seen), strict=True):
            assert each.camera is not None
            yield person_as_arrays(predictor, person, each.camera, joint_set)


def seen_of(predictor: Predictor, people: EvaluationSet, number: int) -> Seen:
    """Return one person's picture, where a model is to look in it, and through which camera."""
    sample = people.samples[number]
    box_px = None if people.boxes_px is None else people.boxes_px[number]
    placed = _placed(predictor, sample, box_px)
    return Seen(rgb=sample.image, detections=[placed], camera=camera_for(predictor, sample))


def answered_set(predictor: Predictor, joint_set: str) -> str:
    """Return in which joints a model answers: bodies in those that are wanted, skeletons in their own."""
    estimator = predictor.estimator
    return estimator.joint_set if isinstance(estimator, SkeletonEstimator) and not estimator.lift else joint_set


def person_as_arrays(predictor: Predictor, person: Person, camera: Camera, joint_set: str) -> dict[str, np.ndarray]:
    """Return a predicted person as a row of :class:`Predictions`, by the names of its arrays.

    Whoever has fewer hypotheses than the model gives at most repeats the best one, with weight 0.
    """
    name, most = answered_set(predictor, joint_set), len(person.hypotheses)
    if isinstance(predictor.estimator, SkeletonEstimator):
        most = predictor.estimator.most
    spare = [replace(person.best, weight=0.0)] * (most - len(person.hypotheses))
    hypotheses = [*person.hypotheses, *spare]
    values: dict[str, Any] = {
        "joints_cam_m": [each.joints_cam_m[name] for each in hypotheses],
        "joints_px": [each.joints_px[name] for each in hypotheses],
        "weights": [each.weight for each in hypotheses],
        "principal_px": camera.principal_px,
        "focal_px": camera.focal_px,
    }
    if person.best.has_body:
        values |= {key: [getattr(each, key) for each in hypotheses] for key in ("rotations", "betas", "translation_m")}
    return {name: np.asarray(value, np.float32) for name, value in values.items()}


def camera_for(predictor: Predictor, sample: Sample) -> Camera:
    """Return the camera through which a model's answer is seen: the picture's own, or the model's where none is known.

    The model's is HMR's weak perspective, here as a pinhole so far away that it makes no difference. Networks that ask
    for the picture's camera get the usual guess at it.
    """
    focal_px, principal_px = camera_of(sample)
    if sample.focal_px is None and not knows_picture(predictor.estimator):
        focal_px *= WEAK_DIAGONALS
    return Camera(focal_px=focal_px, principal_px=principal_px, source="user")


def _placed(predictor: Predictor, sample: Sample, box_px: Float[np.ndarray, "4"] | None) -> Detection:
    """Return where a model is to look."""
    estimator = predictor.estimator
    if isinstance(estimator, PixelEstimator) and estimator.crop == "hmr":
        return given_crop(sample.crop)
    box = box_about(sample) if box_px is None else box_px
    return find_detector("blazepose")(sample.image, [[float(value) for value in box]])[0]


def given_crop(crop: Crop) -> Detection:
    """Return a person of whom only the crop is known, an upright one: HMR's crop about the box is the given one."""
    half = 0.5 * crop.size_px / HMR_CROP_TO_DIAGONAL / math.sqrt(2)
    x, y = crop.centre_px
    return Detection(
        box_px=np.array([x - half, y - half, x + half, y + half]),
        score=1.0,
        crop=crop,
        landmarks_px=np.zeros((33, 2)),
        landmarks_score=np.zeros(33),
        world_m=np.zeros((33, 3)),
    )


def _kept(folder: Path, names: Sequence[str], made_with: str) -> list[Predictions]:
    """Return the answers about the first people that earlier runs have left: the whole file, then lots that go on."""
    lots = {int(file.stem): file for file in (folder / LOTS).glob("*.npz")}
    parts: list[Predictions] = []
    file, done = folder / FILE, 0
    if not file.is_file():
        file = lots.get(0)
    while file is not None and done < len(names):
        part = read_predictions(file)
        both = min(len(part.names), len(names) - done)
        if part.made_with != made_with or part.names[:both] != tuple(names[done : done + both]):
            raise UserError(
                f"{file} holds predictions of another model, protocol or set of people: choose another --out, or "
                "delete it."
            )
        parts.append(part)
        done += len(part.names)
        file = lots.get(done)
    return parts
