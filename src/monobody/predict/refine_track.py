"""`--refine` for videos: a person's whole motion fitted to the landmarks, with one shape, calmly (`fit/`).

The fit is tied to what the model saw in each frame, as it is for pictures (``refine.py``), and to a motion without
sudden turns. Long motions are fitted in windows that overlap; the shape is the median of theirs.
"""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from monobody.body.model import Body
from monobody.camera import Camera
from monobody.fit.evidence import Evidence, Frames, Start
from monobody.fit.settings import Settings, Stage
from monobody.fit.smplify import fit_bodies
from monobody.predict.assemble import Seen, Shapes
from monobody.predict.refine import FEWEST, FOLLOWED, LANDMARKS, SURE
from monobody.predict.smooth import nearest_rotations

WINDOW, OVERLAP = 120, 16
"""Frames that are fitted together, and how many of these two windows share."""
FIRST_SCORE = 0.02
"""What a landmark counts in a bridged frame, or one that is not sure: next to nothing, but frames need some."""
REFINING = Settings(
    start_stages=(Stage(evaluations=40, prior=0.3, outlier=0.5), Stage(evaluations=60, prior=0.3, outlier=0.1)),
    keypoint_noise=0.03,
    start_error_rad=0.15,
)
"""Bodies that run through themselves are not looked for: over a whole motion that would cost as much as all else."""


def refined(one: Seen, camera: Camera, body: Body, settings: Settings = REFINING) -> tuple[Seen, float, float]:
    """Return a person's motion fitted to their landmarks, and how far off these were before and after, pixels.

    Frames with too few landmarks keep to those around them.
    """
    shapes = Shapes(body)
    score = np.where(one.landmarks_score > SURE, one.landmarks_score, 0.0) * np.array(FOLLOWED)
    score[(score > 0).sum(axis=1) < FEWEST] = 0.0
    if not (score > 0).any():
        return one, float("nan"), float("nan")
    weak = np.where(score > 0, score, FIRST_SCORE * np.array(FOLLOWED))
    weak[~(score > 0).any(axis=1)] = 1e-6 * np.array(FOLLOWED)
    rotations, pelvis_m = np.zeros_like(one.rotations), np.zeros_like(one.pelvis_m)
    share, shape, before, after = np.zeros(len(one.frames)), [], [], []
    for start, end in windows(len(one.frames)):
        part = slice(start, end)
        fits = fit_bodies(
            Evidence(
                keypoints_px=_tensor(one.landmarks_px[part]),
                confidence=_tensor(weak[part]),
                keypoint_set=LANDMARKS,
                focal_px=torch.full((end - start,), float(camera.focal_px)),
                principal_px=_tensor(camera.principal_px).expand(end - start, 2),
                frames=Frames(
                    person=torch.zeros(end - start, dtype=torch.long),
                    time_s=_tensor(one.times_s[part] - one.times_s[start]),
                ),
            ),
            body,
            start=Start(
                rotations=_tensor(one.rotations[part]),
                betas=_tensor(np.tile(one.betas, (end - start, 1))),
                translation_m=_tensor(one.pelvis_m[part] - shapes.pelvis_m(one.betas)),
            ),
            settings=settings,
        )
        betas = fits.betas[0].double().numpy()
        # Windows fade into each other.
        ramp = np.minimum(np.arange(1, end - start + 1), np.arange(end - start, 0, -1)).clip(max=OVERLAP) / OVERLAP
        placed = fits.translation_m.double().numpy() + shapes.pelvis_m(betas)
        size = shapes.size_m(one.betas) / shapes.size_m(betas)
        rotations[part] += ramp[:, None, None, None] * fits.rotations.double().numpy()
        pelvis_m[part] += ramp[:, None] * placed * size
        share[part] += ramp
        shape.append(betas)
        after.append(float(fits.reprojection_px.mean()))
        before.append(_off_px(one, part, weak, camera, body))
    betas = np.median(shape, axis=0)
    pelvis_m *= (shapes.size_m(betas) / shapes.size_m(one.betas)) / share[:, None]
    fitted = replace(
        one,
        rotations=nearest_rotations(rotations / share[:, None, None, None]),
        betas=betas,
        pelvis_m=pelvis_m,
        hypotheses=None,
    )
    return fitted, float(np.mean(before)), float(np.mean(after))


def windows(frames: int) -> list[tuple[int, int]]:
    """Return the windows in which so many frames are fitted: of one length, the last one the longest."""
    starts = list(range(0, max(frames - WINDOW // 2, 1), WINDOW - OVERLAP))
    return [(start, frames if start == starts[-1] else start + WINDOW) for start in starts]


def _off_px(one: Seen, part: slice, weight: Float[np.ndarray, "f 33"], camera: Camera, body: Body) -> float:
    """Return how far the landmarks of a body are from those seen, pixels."""
    from monobody.body.kinematics import JointBody
    from monobody.camera import project

    joints = JointBody.from_body(body, (LANDMARKS, "smpl24"))
    with torch.no_grad():
        posed = joints(_tensor(one.rotations[part]), _tensor(np.tile(one.betas, (len(one.rotations[part]), 1))))
    placed = (posed[LANDMARKS] - posed["smpl24"][:, :1]).double().numpy() + one.pelvis_m[part][:, None]
    off = np.linalg.norm(project(placed, camera.focal_px, camera.principal_px) - one.landmarks_px[part], axis=-1)
    return float((off * weight[part]).sum() / weight[part].sum())


def _tensor(values: object) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
