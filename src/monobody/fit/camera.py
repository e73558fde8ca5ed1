"""The first stage: which way a person faces and where they stand, from the joints of trunk and head (SMPLify, 3.3).

A stiff body in the mean pose is tried facing all ways, leaning forward and back. For each, how it is turned in the
picture follows in closed form, and the depth from the bones: seen from afar none looks longer than it is, so that the
ones that look longest tell how far away the person is. Every trial is then improved as a stiff body, and the best
that differ in the way they face go on: side views fit both ways nearly alike, where SMPLify tries two.
Shapes: n rows, k keypoints, c candidates.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from monobody.body.rotation import axis_angle_to_matrix, rotation_about
from monobody.body.skeleton import SKELETONS
from monobody.fit import terms
from monobody.fit.lbfgs import minimise
from monobody.fit.objective import Keypoints

TRUNK = ("hip", "shoulder", "pelvis", "neck", "thorax", "torso", "spine1", "spine2", "spine3", "spine4", "collar")
HEAD = ("nose", "eye", "ear", "head_top", "head")
_HEAD_WEIGHT = 0.3
_FEWEST = 3
_YAWS, _PITCHES_RAD = 12, (-0.7, 0.0, 0.7)
_NOISE, _OUTLIER = 0.05, 0.5
_DEPTH_SPREAD = 0.25
"""Standard deviation of the logarithm of the depth that bones tell."""
_LONGEST_SHARE = 0.8
"""Of all bones' apparent lengths over their true ones, the quantile that counts as seen in full."""
_APART_RAD = 1.0
"""Ways to face that are nearer than this are one."""
_EVALUATIONS = 25


def face_and_place(
    points_m: Float[Tensor, "n k 3"], known: Keypoints, *, orientations: int
) -> tuple[Float[Tensor, "n c 3 3"], Float[Tensor, "n c 3"]]:
    """Return the best ways to turn a stiff body about its origin, and the places of that origin; best first.

    ``points_m`` are the body's keypoints about the pelvis, in the body's own frame (y up, facing +z).
    """
    n = len(points_m)
    weight = known.confidence * trunk_weights(known.set_name, known.confidence)
    depth = depth_from_bones(points_m, known)
    turns = _turns(points_m)
    c = len(turns)
    rows = torch.arange(n, device=points_m.device).repeat_interleave(c)
    root = turns.repeat(n, 1, 1)
    points, weight, depth, known = points_m[rows], weight[rows], depth[rows], known.picked(rows)
    pixels, cameras = known.points_px, known.cameras
    share = weight / weight.sum(1, keepdim=True)

    def mean(values: Float[Tensor, "m k _"]) -> Float[Tensor, "m 1 _"]:
        return (share[..., None] * values).sum(1, keepdim=True)

    flat = (points @ root.mT)[..., :2]
    here, there = torch.view_as_complex((flat - mean(flat)).contiguous()), pixels - mean(pixels)
    seen = torch.view_as_complex(there.contiguous())
    roll = (share * here.conj() * seen).sum(1).angle()
    root = rotation_about("z", roll) @ root
    turned = points @ root.mT
    ray = (mean(pixels)[:, 0] - cameras.principal_px) / cameras.focal_px[:, None]
    direction = ray - mean(turned)[:, 0, :2] / depth[:, None]
    base, log_depth = root, depth.log()
    scale = points.new_tensor([0.5, 0.5, 0.5, 0.05, 0.05, 0.2])

    def placed(x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.unflatten(0, (-1, 6)) * scale
        z = (log_depth + x[:, 5]).exp()[:, None]
        return axis_angle_to_matrix(x[:, :3]) @ base, torch.cat([(direction + x[:, 3:5]) * z, z], dim=1)

    def evaluate(x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            turn, at = placed(x)
            seen_px = cameras.project(points @ turn.mT + at[:, None])
            cost = terms.reprojection(seen_px, pixels, weight, known.size_px, noise=_NOISE, outlier=_OUTLIER)
            cost = cost + (at[:, 2].log() - log_depth).square() / (2 * _DEPTH_SPREAD**2)
            (gradient,) = torch.autograd.grad(cost.sum(), x)
        return cost.detach(), gradient

    start = points.new_zeros(n * c * 6)
    group = torch.arange(n * c, device=points.device).repeat_interleave(6)
    found = minimise(evaluate, start, group, evaluations=_EVALUATIONS)
    turn, at = placed(found.x)
    turn, at, cost = turn.unflatten(0, (n, c)), at.unflatten(0, (n, c)), found.value.view(n, c)
    chosen = _best_apart(turn, cost, orientations)
    return turn.gather(1, chosen[..., None, None].expand(-1, -1, 3, 3)), at.gather(
        1, chosen[..., None].expand(-1, -1, 3)
    )


def trunk_weights(set_name: str, confidence: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Return how much each joint says about a stiff trunk; all the same for rows where too little of it is known."""
    names = [name.removeprefix("left_").removeprefix("right_") for name in SKELETONS[set_name].joints]
    weights = [1.0 if name in TRUNK else _HEAD_WEIGHT if name in HEAD else 0.0 for name in names]
    row = confidence.new_tensor(weights)
    enough = ((confidence > 0) & (row == 1)).sum(1, keepdim=True) >= _FEWEST
    return torch.where(enough, row, torch.ones_like(row))


def depth_from_bones(points_m: Float[Tensor, "n k 3"], known: Keypoints) -> Float[Tensor, " n"]:
    """Return how far away people are, whose bones are as long as those of ``points_m``."""
    keypoints_px, confidence = known.points_px, known.confidence
    start, end = (torch.tensor(side) for side in zip(*SKELETONS[known.set_name].bones, strict=True))
    length_m = (points_m[:, start] - points_m[:, end]).norm(dim=-1)
    length_px = (keypoints_px[:, start] - keypoints_px[:, end]).norm(dim=-1)
    both = (confidence[:, start] > 0) & (confidence[:, end] > 0) & (length_m > 0.1)
    apparent = torch.where(both, length_px / length_m.clamp_min(0.1), torch.nan)
    scale = apparent.nanquantile(_LONGEST_SHARE, dim=1)
    # Where no bone is known at both ends: as if all the points were spread in the picture plane.
    spread_px = _spread(keypoints_px, confidence)
    scale = torch.where(scale.isfinite() & (scale > 0), scale, spread_px / _spread(points_m, confidence))
    return known.cameras.focal_px / scale


def _spread(points: Float[Tensor, "n k d"], confidence: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    share = (confidence / confidence.sum(1, keepdim=True))[..., None]
    apart = points - (share * points).sum(1, keepdim=True)
    return (share * apart.square()).sum((1, 2)).sqrt().clamp_min(1e-3)


def _turns(like: Tensor) -> Float[Tensor, "c 3 3"]:
    """Return the orientations to try: body upright before a camera whose y points down, yaw and pitch."""
    upright = rotation_about("x", math.pi).to(like)
    turns = [
        rotation_about("x", pitch) @ upright.cpu() @ rotation_about("y", 2 * math.pi * yaw / _YAWS)
        for yaw in range(_YAWS)
        for pitch in _PITCHES_RAD
    ]
    return torch.stack(turns).to(like)


def _best_apart(turn: Float[Tensor, "n c 3 3"], cost: Float[Tensor, "n c"], count: int) -> Int[Tensor, "n count"]:
    """Return the cheapest candidates of each row that are turned apart from those before."""
    cost, chosen = cost.clone(), []
    for _ in range(count):
        best = cost.argmin(1)
        chosen.append(best)
        kept = turn[torch.arange(len(turn)), best]
        cosine = ((kept[:, None] * turn).sum((-2, -1)) - 1) / 2
        cost = torch.where(cosine > math.cos(_APART_RAD), cost + 1e9, cost)
    return torch.stack(chosen, dim=1)
