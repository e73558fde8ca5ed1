"""`monobody predict --refine`: predicted bodies fitted to the landmarks that the detector found, and tied to the model.

A network's answer lies some pixels beside the person; the landmarks are what the detector is sure of. SMPLify
(``fit/smplify.py``) starts from the network's body, takes it for right up to ``Settings.start_error_rad``, and moves it
to where its landmarks are seen.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS
from monobody.camera import Camera
from monobody.fit.evidence import Evidence, Start
from monobody.fit.settings import Settings
from monobody.fit.smplify import fit_bodies
from monobody.predict.before_camera import hypothesis_of_fit
from monobody.predict.detection import Detection
from monobody.scene import Person

LANDMARKS = "blazepose33"
SURE = 0.2
"""Landmarks with a lower score are taken as unknown."""
FEWEST = 8
"""People with fewer landmarks that the detector is sure of stay as the model has them."""
FOLLOWED = tuple(
    not any(word in name for word in ("inner", "outer", "mouth", "pinky", "index", "thumb"))
    for name in SKELETONS[LANDMARKS].joints
)
"""Which landmarks are fitted: five more of the face add nothing, and fingers the body does not move."""
REFINING = Settings(keypoint_noise=0.03, start_error_rad=0.1)
"""BlazePose's landmarks are less exact than clicked joints; what this gives is measured by
``scripts/does_refinement_help.py`` (docs/fitting.md)."""


def refine_people(
    people: tuple[Person, ...],
    detections: Sequence[Detection],
    camera: Camera,
    body: Body,
    *,
    width_px: int,
    height_px: int,
    settings: Settings = REFINING,
) -> tuple[tuple[Person, ...], str]:
    """Return the people fitted to their landmarks, and a sentence on how many and what that changed.

    People of whom the detector has too few landmarks, as where it was told to take the whole picture, stay as they are.
    """
    scores = np.stack([np.where(each.landmarks_score > SURE, each.landmarks_score, 0.0) for each in detections])
    scores *= np.array(FOLLOWED)
    chosen = np.flatnonzero((scores > 0).sum(1) >= FEWEST).tolist()
    if not chosen:
        return people, "refined nobody: no landmarks to fit to"
    fits = fit_bodies(
        Evidence(
            keypoints_px=torch.from_numpy(np.stack([detections[i].landmarks_px for i in chosen])).float(),
            confidence=torch.from_numpy(scores[chosen]).float(),
            keypoint_set=LANDMARKS,
            focal_px=torch.full((len(chosen),), float(camera.focal_px)),
            principal_px=torch.tensor(camera.principal_px).float().expand(len(chosen), 2),
        ),
        body,
        start=start_of([people[i] for i in chosen]),
        settings=settings,
    )
    refined = list(people)
    before, after = [], []
    for row, index in enumerate(chosen):
        person, detection = people[index], detections[index]
        found = hypothesis_of_fit(body, fits, row, person.crop, camera, width_px=width_px, height_px=height_px)
        refined[index] = replace(person, hypotheses=(found,))
        known = scores[index] > 0
        for distances, joints_px in ((before, person.joints_px), (after, found.joints_px)):
            off = np.linalg.norm(joints_px[LANDMARKS] - detection.landmarks_px, axis=1)
            distances.append(float(off[known].mean()))
    return tuple(refined), (
        f"refined {len(chosen)} of {len(people)}: landmarks {np.mean(before):.1f} px off before, "
        f"{np.mean(after):.1f} px after"
    )


def start_of(people: Sequence[Person]) -> Start:
    """Return predicted bodies as a start for a fit."""
    return Start(
        rotations=torch.from_numpy(np.stack([person.rotations for person in people])),
        betas=torch.from_numpy(np.stack([person.betas for person in people])),
        translation_m=torch.from_numpy(np.stack([person.translation_m for person in people])),
    )
