"""How good fits are: distances, plausibility, overlap, each measured apart from what was minimised."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from monobody.body.collision import overlaps_m
from monobody.fit import terms
from monobody.fit.evidence import Fits
from monobody.fit.objective import Rows, Solver
from monobody.fit.variables import Bodies

MOVED_JOINTS = 21
"""The first of the prior's 23 joints; the hands follow, which are rigid in motion capture."""


@torch.no_grad()
def judged(
    bodies: Bodies,
    rows: Rows,
    solver: Solver,
    loss: Float[Tensor, " n"],
    converged: Bool[Tensor, " n"],
) -> Fits:
    """Return bodies with everything that tells how good they are."""
    joints, translation = solver.posed(bodies)
    nothing = torch.full((rows.count,), torch.nan)
    mean_px = relative = worst_relative = joints_mm = iou = nothing
    worst = torch.full((rows.count,), -1)
    if (known := rows.joints) is not None:
        found = joints[known.set_name]
        apart = terms.offsets(found, known.points_m, known.confidence, absolute=known.absolute).norm(dim=-1)
        joints_mm = 1000 * _mean(apart, known.confidence)
        worst_relative, worst = _worst(apart, known.confidence)
    if (seen := rows.keypoints) is not None:
        apart = (seen.cameras.project(joints[seen.set_name]) - seen.points_px).norm(dim=-1)
        mean_px = _mean(apart, seen.confidence)
        relative = mean_px / seen.size_px
        worst_relative, worst = _worst(apart / seen.size_px[:, None], seen.confidence)
    if rows.masks is not None:
        iou = rows.masks.iou(bodies, translation)
    pose = bodies.rotations[:, 1:]
    within = solver.prior.within_limits(pose)[:, :MOVED_JOINTS].float()
    overlaps = overlaps_m(solver.capsules(bodies.rotations, bodies.betas))
    return Fits(
        rotations=bodies.rotations,
        betas=bodies.betas,
        translation_m=translation,
        reprojection_px=mean_px,
        reprojection_relative=relative,
        worst_joint=worst,
        worst_relative=worst_relative,
        joints_mm=joints_mm,
        silhouette_iou=iou,
        prior_nats=solver.prior.log_density(pose),
        beyond_limits=1 - within.mean(1),
        overlap_m=overlaps.amax(1).clamp_min(0),
        loss=loss,
        converged=converged,
        keypoint_set=None if rows.keypoints is None else rows.keypoints.set_name,
        joint_set=None if rows.joints is None else rows.joints.set_name,
    )


def _mean(values: Float[Tensor, "n k"], confidence: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    return (confidence * values).sum(1) / confidence.sum(1)


def _worst(values: Float[Tensor, "n k"], confidence: Float[Tensor, "n k"]) -> tuple[Tensor, Tensor]:
    """Return the largest value of a known joint, and which one that is."""
    found = values.masked_fill(confidence <= 0, -1).max(1)
    return found.values, found.indices
