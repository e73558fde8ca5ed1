"""Who takes part in the open benchmark: every shipped model as it is and refined, SMPLify by itself, and nobody.

All see the same detections. A network is asked person by person, as `predict` does with a picture of one; SMPLify fits
64 people side by side to the detector's landmarks, from a model's bodies or from the mean pose.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS, correspondence
from monobody.camera import Camera
from monobody.data.sample import Sample, camera_of
from monobody.evaluate.answers import answered_set, box_about, camera_for, person_as_arrays, watched
from monobody.evaluate.kept_rows import kept_detections
from monobody.evaluate.predictions import Predictions
from monobody.evaluate.protocol import EvaluationSet
from monobody.fit.evidence import Evidence, Fits, Start
from monobody.fit.settings import Settings
from monobody.fit.smplify import fit_bodies
from monobody.fit.terms import project
from monobody.predict.detect import Detection, find_detector
from monobody.predict.lift_skeletons import fit_skeletons
from monobody.predict.predictor import LIFTED, Predictor
from monobody.predict.refine import FEWEST, FOLLOWED, LANDMARKS, REFINING, SURE

TOGETHER = 64
"""People in one fit."""
JOINTS = "lsp14"
UNTIED = replace(REFINING, start_error_rad=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A test set and where the detector found its people."""

    people: EvaluationSet
    detections: Sequence[Detection]
    ms_a_person: float

    @property
    def hardly_seen(self) -> int:
        """How many people the detector is sure of fewer landmarks of than a fit should have."""
        return int(((sure_scores(self.detections) > 0).sum(1) < FEWEST).sum())

    @staticmethod
    def of(people: EvaluationSet, kept: Path) -> "Found":
        """Look for everybody in the box of their joints, or in the box that the set states.

        ``kept`` is the file that keeps where they were found.
        """

        def find() -> tuple[Sequence[Detection], float]:
            detector, began = find_detector("blazepose"), time.process_time()
            detections = []
            for number in watched(range(len(people.names)), len(people.names)):
                sample = people.samples[number]
                box = box_about(sample) if people.boxes_px is None else people.boxes_px[number]
                detections.append(detector(sample.image, [[float(value) for value in box]])[0])
            return detections, 1000 * (time.process_time() - began) / max(len(detections), 1)

        detections, ms = kept_detections(kept, people.names, find)
        return Found(people=people, detections=detections, ms_a_person=ms)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What an entrant said about a test set, and how long it took beside finding people."""

    predictions: Predictions
    ms_a_person: float


Entrant = Callable[[Found], Answers]


def asked(predictor: Predictor) -> Entrant:
    """Return a model as an entrant."""

    def answer(found: Found) -> Answers:
        answers: list[Mapping[str, np.ndarray]] = []
        seconds = 0.0
        for number, detection in enumerate(found.detections):
            sample = found.people.samples[number]
            camera = camera_for(predictor, sample)
            began = time.process_time()
            (person,) = predictor.people(sample.image, [detection], camera)
            seconds += time.process_time() - began
            answers.append(person_as_arrays(predictor, person, camera, JOINTS))
        predictions = Predictions(
            model=predictor.model,
            terms=predictor.terms,
            names=found.people.names,
            joint_set=answered_set(predictor, JOINTS),
            absolute=True,
            body_digest=predictor.body.digest,
            made_with="",
            **{name: np.stack([each[name] for each in answers]) for name in answers[0]},
        )
        return Answers(predictions=predictions, ms_a_person=1000 * seconds / len(answers))

    return answer


def fitted(body: Body, start: Answers | None, *, settings: Settings, model: str, terms: str) -> Entrant:
    """Return SMPLify as an entrant, from the answers of another one for the same people, or from the mean pose."""

    def answer(found: Found) -> Answers:
        began = time.process_time()
        cameras = [_assumed(sample) for sample in (found.people.samples[i] for i in range(len(found.detections)))]
        parts = []
        for first in range(0, len(cameras), TOGETHER):
            rows = slice(first, first + TOGETHER)
            given = None if start is None else _start(start.predictions, rows)
            parts.append(_fit(found.detections[rows], cameras[rows], body, given, settings))
        seconds = time.process_time() - began
        predictions = Predictions(
            model=model,
            terms=terms,
            names=found.people.names,
            joint_set=JOINTS,
            absolute=True,
            body_digest=body.digest,
            made_with="",
            focal_px=np.array([camera.focal_px for camera in cameras]),
            principal_px=np.array([camera.principal_px for camera in cameras]),
            **{name: np.concatenate([part[name] for part in parts]) for name in parts[0]},
        )
        before = 0.0 if start is None else start.ms_a_person
        return Answers(predictions=predictions, ms_a_person=before + 1000 * seconds / len(cameras))

    return answer


def apart_from(joint_set: str, body: Body) -> str:
    """Return how far the joints of a set lie from LSP's of the same names, in words: nobody's error is smaller."""
    with torch.no_grad():
        rest_m = body.identity(torch.zeros(10)).vertices_m
        own, lsp = (body.keypoints(rest_m, name) for name in (joint_set, JOINTS))
        apart_mm = 1000 * (own[list(correspondence(joint_set, JOINTS))] - lsp).norm(dim=1)
    worst = int(apart_mm.argmax())
    return (
        f"its joints are those of {joint_set}, judged as LSP's of the same names, from which they lie "
        f"{float(apart_mm.mean()):.0f} mm off on the mean body, {SKELETONS[JOINTS].joints[worst]} "
        f"{float(apart_mm[worst]):.0f} mm"
    )


def sure_scores(detections: Sequence[Detection]) -> Float[np.ndarray, "n 33"]:
    """Return how sure the detector is of the landmarks that are fitted; 0 of others and of those it is not sure of."""
    scores = np.stack([np.where(each.landmarks_score > SURE, each.landmarks_score, 0.0) for each in detections])
    return scores * np.array(FOLLOWED)


def _fit(
    detections: Sequence[Detection], cameras: Sequence[Camera], body: Body, start: Start | None, settings: Settings
) -> dict[str, np.ndarray]:
    scores = sure_scores(detections)
    # Whoever is hardly seen is fitted to what there is: everybody gets an answer.
    few = (scores > 0).sum(1, keepdims=True) < FEWEST
    scores = np.where(few, 0.1 * np.array(FOLLOWED), scores)
    focal = torch.tensor([camera.focal_px for camera in cameras]).float()
    principal = torch.tensor([camera.principal_px for camera in cameras]).float()
    fits = fit_bodies(
        Evidence(
            keypoints_px=torch.from_numpy(np.stack([each.landmarks_px for each in detections])).float(),
            confidence=torch.from_numpy(scores).float(),
            keypoint_set=LANDMARKS,
            focal_px=focal,
            principal_px=principal,
        ),
        body,
        start=start,
        settings=settings,
    )
    return _as_arrays(fits, body, focal, principal)


def lifted(body: Body, skeletons: Answers) -> Entrant:
    """Return the bodies that are fitted to the skeletons that a model believes in most, as an entrant."""

    def answer(found: Found) -> Answers:
        given, began = skeletons.predictions, time.process_time()
        assert given.joints_cam_m is not None
        assert given.focal_px is not None
        assert given.principal_px is not None
        count = len(given.names)
        chosen = np.zeros(count, np.int64) if given.weights is None else given.weights.argmax(1)
        joints_m = given.joints_cam_m[np.arange(count), chosen]
        parts = []
        for first in range(0, count, TOGETHER):
            rows = slice(first, first + TOGETHER)
            fits = fit_skeletons(joints_m[rows], given.joint_set, range(len(joints_m[rows])), body)
            cameras = (torch.from_numpy(each[rows]).float() for each in (given.focal_px, given.principal_px))
            parts.append(_as_arrays(fits, body, *cameras))
        predictions = Predictions(
            model=given.model + LIFTED,
            terms=given.terms,
            names=given.names,
            joint_set=JOINTS,
            absolute=True,
            body_digest=body.digest,
            made_with="",
            focal_px=given.focal_px,
            principal_px=given.principal_px,
            **{name: np.concatenate([part[name] for part in parts]) for name in parts[0]},
        )
        ms = skeletons.ms_a_person + 1000 * (time.process_time() - began) / count
        return Answers(predictions=predictions, ms_a_person=ms)

    return answer


def _as_arrays(fits: Fits, body: Body, focal: Tensor, principal: Tensor) -> dict[str, np.ndarray]:
    """Return fits as arrays of :class:`Predictions`, one hypothesis each."""
    with torch.inference_mode():
        joints = torch.stack(
            [
                body.keypoints(body(rotations, betas).vertices_m, JOINTS) + shift
                for rotations, betas, shift in zip(fits.rotations, fits.betas, fits.translation_m, strict=True)
            ]
        )
        seen = project(joints, focal, principal)
    values: dict[str, Tensor] = {
        "joints_cam_m": joints,
        "joints_px": seen,
        "rotations": fits.rotations,
        "betas": fits.betas,
        "translation_m": fits.translation_m,
    }
    return {name: value.detach().numpy()[:, None] for name, value in values.items()}


def _assumed(sample: Sample) -> Camera:
    focal_px, principal_px = camera_of(sample)
    return Camera(focal_px=focal_px, principal_px=principal_px, source="default")


def _start(predictions: Predictions, rows: slice) -> Start:
    """Return the bodies that a model believes in most; they stand elsewhere under the fit's own camera."""
    assert predictions.rotations is not None
    assert predictions.betas is not None
    rotations, betas = predictions.rotations[rows], predictions.betas[rows]
    chosen = np.zeros(len(betas), np.int64) if predictions.weights is None else predictions.weights[rows].argmax(1)
    everybody = np.arange(len(betas))
    return Start(
        rotations=torch.from_numpy(rotations[everybody, chosen]).float(),
        betas=torch.from_numpy(betas[everybody, chosen]).float(),
    )
