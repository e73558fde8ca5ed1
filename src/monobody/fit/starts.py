"""Where a fit begins: the mean pose placed by the evidence, or given bodies placed where they are seen."""

import torch
from jaxtyping import Float
from torch import Tensor

from monobody.body.rotation import matrix_to_axis_angle
from monobody.errors import UserError
from monobody.fit import terms
from monobody.fit.camera import depth_from_bones, face_and_place
from monobody.fit.evidence import Start
from monobody.fit.from_joints import pose_from_joints
from monobody.fit.objective import Keypoints, Rows, Solver
from monobody.fit.variables import Bodies

_PASSES = 5
_SKIN = 1.12
"""A standing body from sole to crown over the height from its lowest to its highest joint."""
_FARTHEST_FACTOR = 1.6
"""A depth that leaves the bones' by more than this factor is thought to be an accident of a wrong pose."""
_OUTLIER = 0.2
"""Keypoints farther off than this share of the person's size do not place a given body."""


def first_bodies(rows: Rows, solver: Solver) -> Bodies:
    """Return bodies to begin with where nothing is given: several for each row, one after the other."""
    n = rows.count
    if rows.joints is not None:
        rotations, pelvis = pose_from_joints(rows.joints, solver)
        found = _bodies(rotations, torch.zeros(n, 10), pelvis, solver)
        return found if rows.joints.absolute else _placed(found, rows, solver)
    prior = solver.prior
    root = torch.eye(3)
    mean = torch.cat([root[None], prior.joint_means])
    if rows.keypoints is None:
        rotations = mean.repeat(n, 1, 1, 1)
        rotations[:, 0] = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
        return _in_masks(rotations, rows, solver)
    joints = solver.joints(mean, torch.zeros(10))
    points = joints[rows.keypoints.set_name] - joints["smpl24"][:1]
    turns, places = face_and_place(points.expand(n, -1, -1), rows.keypoints, orientations=solver.settings.orientations)
    times = turns.shape[1]
    rotations = mean.repeat(n * times, 1, 1, 1)
    rotations[:, 0] = turns.flatten(0, 1)
    return _bodies(rotations, torch.zeros(n * times, 10), places.flatten(0, 1), solver)


def started_bodies(start: Start, rows: Rows, solver: Solver) -> Bodies:
    """Return given bodies, placed where the keypoints (else the 3D joints) see them if no place is given.

    A place behind the camera counts as none.

    Raises:
        UserError: the start is of another number of people, or not finite.
    """
    shapes = (start.rotations.shape, start.betas.shape)
    if shapes != ((rows.count, 24, 3, 3), (rows.count, 10)):
        raise UserError(
            f"A start for {rows.count} rows has as many rotations (24 x 3 x 3) and betas (10), not {shapes}."
        )
    for name in ("rotations", "betas", "translation_m"):
        values = getattr(start, name)
        if values is not None and not torch.isfinite(values).all():
            raise UserError(f"The start's {name} are not finite numbers.")
    found = _bodies(start.rotations.float(), start.betas.float(), torch.zeros(rows.count, 3), solver)
    if start.translation_m is None:
        return _placed(found, rows, solver)
    pelvis = solver.joints(found.rotations, found.betas)["smpl24"][:, 0] + start.translation_m.float()
    behind = pelvis[:, 2] <= terms.NEAREST_M
    if rows.seen and behind.any():
        # Nobody is seen from there: a place that a camera cannot look at is none.
        pelvis = torch.where(behind[:, None], _placed(found, rows, solver).pelvis_m, pelvis)
    return _bodies(found.rotations, found.betas, pelvis, solver)


def _placed(bodies: Bodies, rows: Rows, solver: Solver) -> Bodies:
    """Return posed bodies where the evidence sees them."""
    joints = solver.joints(bodies.rotations, bodies.betas)
    pelvis = joints["smpl24"][:, :1]
    if rows.keypoints is not None:
        points = joints[rows.keypoints.set_name] - pelvis
        place = place_by_keypoints(points, rows.keypoints, depth_from_bones(points, rows.keypoints))
    elif rows.joints is not None and rows.joints.absolute:
        share = rows.joints.confidence / rows.joints.confidence.sum(1, keepdim=True)
        apart = rows.joints.points_m - (joints[rows.joints.set_name] - pelvis)
        place = (share[..., None] * apart).sum(1)
    else:
        return _in_masks(bodies.rotations, rows, solver)
    return _bodies(bodies.rotations, bodies.betas, place, solver)


def place_by_keypoints(
    points_m: Float[Tensor, "n k 3"], known: Keypoints, depth_m: Float[Tensor, " n"]
) -> Float[Tensor, "n 3"]:
    """Return where posed points have to be moved to be seen at their keypoints, in the sense of least squares.

    A point X at t is seen along the ray r where t_xy - r t_z = r X_z - X_xy: linear in t, an error in metres, and in
    pixels after division by the depth found before. Keypoints that are far off lose their say. ``depth_m`` is a guess.
    """
    cameras = known.cameras
    rays = (known.points_px - cameras.principal_px[:, None]) / cameras.focal_px[:, None, None]
    one, zero = torch.ones_like(rays[..., 0]), torch.zeros_like(rays[..., 0])
    equations = torch.stack(
        [torch.stack([one, zero, -rays[..., 0]], -1), torch.stack([zero, one, -rays[..., 1]], -1)], -2
    )
    constants = rays * points_m[..., 2:] - points_m[..., :2]
    place = torch.cat([torch.zeros_like(points_m[:, 0, :2]), depth_m[:, None]], dim=1)
    say = known.confidence
    for _ in range(_PASSES):
        weight = say / (points_m[..., 2] + place[:, 2:]).clamp_min(terms.NEAREST_M).square()
        normal = torch.einsum("nk,nkia,nkib->nab", weight, equations, equations)
        right = torch.einsum("nk,nkia,nki->na", weight, equations, constants)
        # Points on one line of sight leave the depth open: then it stays about where it was guessed.
        tiny = 1e-4 * normal[:, 2, 2]
        normal[:, 2, 2] += tiny
        right[:, 2] += tiny * depth_m
        place = torch.linalg.solve(normal.double(), right.double()[..., None])[..., 0].to(place)
        depth = place[:, 2].clamp(depth_m / _FARTHEST_FACTOR, depth_m * _FARTHEST_FACTOR)
        # For the depth that is kept, where on the way to the camera the points are best.
        across = constants + rays * depth[:, None, None]
        place = torch.cat([(weight[..., None] * across).sum(1) / weight.sum(1, keepdim=True), depth[:, None]], dim=1)
        off = cameras.project(points_m + place[:, None]) - known.points_px
        share = off.square().sum(-1) / (_OUTLIER * known.size_px[:, None]).square()
        say = known.confidence / (1 + share).square()
    return place


def _in_masks(rotations: Float[Tensor, "n 24 3 3"], rows: Rows, solver: Solver) -> Bodies:
    """Return posed bodies that stand where masks are, as high as these."""
    if rows.masks is None or None in rows.masks.masks:
        raise UserError("A row without keypoints and without a mask cannot be placed before the camera.")
    n = rows.count
    joints = solver.joints(rotations, torch.zeros(n, 10))["smpl24"]
    points = joints - joints[:, :1]
    low, high = rows.masks.boxes()
    depth = rows.masks.focal_px * (points[..., 1].amax(1) - points[..., 1].amin(1)) * _SKIN / (high - low)[:, 1]
    middle = (points.amax(1) + points.amin(1))[:, :2] / 2
    direction = ((low + high) / 2 - rows.masks.principal_px) / rows.masks.focal_px[:, None]
    place = torch.cat([direction * depth[:, None] - middle, depth[:, None]], dim=1)
    return _bodies(rotations, torch.zeros(n, 10), place, solver)


def _bodies(rotations: Tensor, betas: Tensor, pelvis_m: Tensor, solver: Solver) -> Bodies:
    chart = matrix_to_axis_angle(solver.prior.joint_means.mT @ rotations[:, 1:])
    return Bodies(rotations=rotations, chart=chart, betas=betas, pelvis_m=pelvis_m)
