"""Bodies for skeletons: every hypothesis of a person gets the posed body whose joints lie nearest to it.

The pose begins in closed form (``fit/from_joints.py``) and takes a few steps of SMPLify's (``fit/smplify.py``). All
hypotheses of a person share one shape.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from monobody.body.model import Body
from monobody.fit.evidence import Evidence, Fits, Frames
from monobody.fit.settings import Settings, Stage
from monobody.fit.smplify import fit_bodies
from monobody.predict.before_camera import hypothesis_of_fit
from monobody.predict.estimate import Seen
from monobody.scene import Person, skeleton_of

LIFTING = Settings(
    stages=(Stage(evaluations=20, prior=1.0, outlier=0.5), Stage(evaluations=40, prior=0.3, outlier=0.5)),
    joint_noise_m=0.03,
)
"""A skeleton's bones are those of no body to within some centimetres."""


def lifted(people: Sequence[Person], seen: Sequence[Seen], body: Body) -> list[Person]:
    """Return people with bodies in place of skeletons; hypotheses keep their order and weights.

    Args:
        people: skeletons, all of one joint set.
        seen: each one's picture, with its camera.
        body: what is fitted.

    Raises:
        UserError: a skeleton cannot be fitted.
    """
    rows = [(number, one) for number, person in enumerate(people) for one in person.hypotheses]
    if not rows:
        return list(people)
    (joint_set,) = {skeleton_of(one)[0] for _, one in rows}
    fits = fit_skeletons(
        np.stack([skeleton_of(one)[1] for _, one in rows]), joint_set, [number for number, _ in rows], body
    )
    bodies = [[] for _ in people]
    for row, (number, one) in enumerate(rows):
        rgb, camera = seen[number].rgb, seen[number].camera
        assert camera is not None
        crop, (height, width) = people[number].crop, rgb.shape[:2]
        found = hypothesis_of_fit(body, fits, row, crop, camera, width_px=width, height_px=height)
        bodies[number].append(replace(found, weight=one.weight))
    return [replace(person, hypotheses=tuple(found)) for person, found in zip(people, bodies, strict=True)]


def fit_skeletons(joints_cam_m: np.ndarray, joint_set: str, person: Sequence[int], body: Body) -> Fits:
    """Return the bodies that lie nearest to skeletons (n, k, 3) before the camera; equal numbers are one person."""
    evidence = Evidence(
        joints_m=torch.from_numpy(np.asarray(joints_cam_m, np.float32)),
        joint_set=joint_set,
        joints_absolute=True,
        frames=Frames(person=torch.tensor(person)),
    )
    return fit_bodies(evidence, body, settings=LIFTING)
