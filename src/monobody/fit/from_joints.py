"""A pose from 3D joints of any set in closed form: the trunk laid upon its joints, then limb after limb.

What a fit to 3D joints begins with. The root is the rotation that brings the mean pose's trunk and head nearest to
theirs (Kabsch). A limb of two bones has its upper bone turned the way it points, and about itself so that elbow or
knee bends the way these bend; the lower bone follows. What no joint tells stays as in the mean pose.
Shapes: n rows, j joints.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

from monobody.body.skeleton import SKELETONS
from monobody.fit.camera import trunk_weights
from monobody.fit.objective import Joints, Solver

LIMBS: tuple[tuple[str, str, str, tuple[float, float, float]], ...] = (
    ("left_shoulder", "left_elbow", "left_wrist", (0.0, -1.0, 0.0)),
    ("right_shoulder", "right_elbow", "right_wrist", (0.0, 1.0, 0.0)),
    ("left_hip", "left_knee", "left_ankle", (1.0, 0.0, 0.0)),
    ("right_hip", "right_knee", "right_ankle", (1.0, 0.0, 0.0)),
)
"""Each limb's joints, and the axis about which its middle one bends, in the T-pose: arms along x, legs along -y."""
_STRAIGHT = 0.2
"""Limbs whose bones enclose an angle of a smaller sine hardly tell about which axis they bend."""


def pose_from_joints(given: Joints, solver: Solver) -> tuple[Float[Tensor, "n 24 3 3"], Float[Tensor, "n 3"]]:
    """Return rotations, the root's in the frame of the joints, and where the pelvis is among them."""
    joints_m, confidence = given.points_m, given.confidence
    smpl, names = SKELETONS["smpl24"], SKELETONS[given.set_name].joints
    means = solver.prior.joint_means
    mean = torch.cat([torch.eye(3)[None], means])
    posed = solver.joints(mean, torch.zeros(10))
    points = posed[given.set_name] - posed["smpl24"][:1]
    weight = confidence * trunk_weights(given.set_name, confidence)
    root, pelvis = _laid_upon(points, joints_m, weight / weight.sum(1, keepdim=True))
    rotations = mean.repeat(len(joints_m), 1, 1, 1)
    rotations[:, 0] = root
    rest = solver.joints.rest_joints
    known = confidence > 0
    for upper, middle, end, hinge in LIMBS:
        if not {upper, middle}.issubset(names):
            continue
        at = {name: names.index(name) for name in (upper, middle, end) if name in names}
        a, b = smpl.index(upper), smpl.index(middle)
        above = _orientation(rotations, smpl.parents[a])
        usual = above @ means[a - 1]
        u0 = normalize(rest[b] - rest[a], dim=0)
        u = normalize(joints_m[:, at[middle]] - joints_m[:, at[upper]], dim=-1)
        has_upper = known[:, at[upper]] & known[:, at[middle]]
        bent = torch.zeros_like(u)
        v, has_lower = u, torch.zeros_like(has_upper)
        if end in at:
            v = normalize(joints_m[:, at[end]] - joints_m[:, at[middle]], dim=-1)
            has_lower = has_upper & known[:, at[end]]
            bent = torch.where(has_lower[:, None], torch.linalg.cross(u, v), bent)
        axis = rest.new_tensor(hinge)
        # Of a straight limb the axis is that of the mean pose, carried along.
        turned = usual @ axis
        axis_now = bent + _STRAIGHT * (turned - (turned * u).sum(-1, keepdim=True) * u)
        orientation = _frame(u, axis_now) @ _frame(u0, axis).mT
        rotations[:, a] = _where(has_upper, above.mT @ orientation, rotations[:, a])
        if end in at:
            c = smpl.index(end)
            here = orientation @ means[b - 1]
            bone = here @ normalize(rest[c] - rest[b], dim=0)
            bending = orientation.mT @ _shortest_turn(bone, v) @ here
            rotations[:, b] = _where(has_lower, bending, rotations[:, b])
    return rotations, pelvis


def _laid_upon(
    points: Float[Tensor, "j 3"], target: Float[Tensor, "n j 3"], share: Float[Tensor, "n j"]
) -> tuple[Float[Tensor, "n 3 3"], Float[Tensor, "n 3"]]:
    """Return rotations and shifts that bring points nearest to their targets, weighted."""
    centre = torch.einsum("nj,jc->nc", share, points)
    goal = torch.einsum("nj,njc->nc", share, target)
    spread = torch.einsum("nj,nja,njb->nab", share, target - goal[:, None], points - centre[:, None])
    u, _, vt = torch.linalg.svd(spread)
    signs = torch.ones_like(goal)
    signs[:, 2] = torch.linalg.det(u @ vt)
    rotation = (u * signs[:, None]) @ vt
    return rotation, goal - (rotation @ centre[..., None])[..., 0]


def _orientation(rotations: Float[Tensor, "n 24 3 3"], joint: int) -> Float[Tensor, "n 3 3"]:
    """Return how a joint is turned in the frame of the root's rotation."""
    parents = SKELETONS["smpl24"].parents
    turned = rotations[:, joint]
    while parents[joint] >= 0:
        joint = parents[joint]
        turned = rotations[:, joint] @ turned
    return turned


def _frame(first: Float[Tensor, "*b 3"], second: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """Return the rotation whose first column points along ``first``, the second as near to ``second`` as it can."""
    y = normalize(second - (first * second).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, y, torch.linalg.cross(first, y)], dim=-1)


def _shortest_turn(source: Float[Tensor, "n 3"], target: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3 3"]:
    """Return the smallest rotations that bring unit vectors to others."""
    side = torch.linalg.cross(source, target)
    # Of opposite vectors any axis across will do.
    spare = torch.linalg.cross(source, source.roll(1, -1) + 0.1)
    axis = torch.where((side.norm(dim=-1, keepdim=True) > 1e-6), side, spare)
    return _frame(target, axis) @ _frame(source, axis).mT


def _where(known: Bool[Tensor, " n"], new: Float[Tensor, "n 3 3"], old: Float[Tensor, "n 3 3"]) -> Tensor:
    return torch.where(known[:, None, None], new, old)
