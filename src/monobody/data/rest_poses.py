"""Matching rest poses: what constant turn lies between a bone of a source skeleton and the body's bone under a joint.

Each rig measures turns from a rest pose of its own, which files seldom say. Once the body has been brought into the
source's poses by directions, the constant follows from many frames at once (:func:`match_rest_poses`).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from monobody.body.rotation import axis_angle_to_matrix
from monobody.body.skeleton import SKELETONS

_J = SKELETONS["smpl24"].index


def match_rest_poses(
    source: Float[Tensor, "n 24 3 3"],
    world: Float[Tensor, "n 24 3 3"],
    known: Float[Tensor, "24"],
    *,
    level_feet: bool,
) -> Float[Tensor, "n 24 3 3"]:
    """Return S C, the source's orientations seen from the body's rest pose, with C the robust mean of Sᵀ G.

    The twist of a straight limb cannot be told from directions, so frames count by how far the limb is bent. Nor can
    the nod of a head, or a foot whose toes the source does not have. What is known of them is that people who stand
    upright hold their heads level on average, and their feet.
    """
    weight = torch.ones(world.shape[:2])
    world = world.clone()
    level = [("head", "spine3")]
    if level_feet:
        level += [(f"{side}_ankle", f"{side}_knee") for side in ("left", "right")]
    for joint, facing in level:
        world[:, _J(joint)] = _level(world[:, _J(facing)])
        weight[:, _J(joint)] = (world[:, _J("spine3"), 1, 1] - 0.8).clamp(min=1e-4)
    offset = source.transpose(-1, -2) @ world
    for upper, lower in (("shoulder", "elbow"), ("hip", "knee")):
        for side in ("left", "right"):
            a, b = _J(f"{side}_{upper}"), _J(f"{side}_{lower}")
            local = world[:, a].transpose(-1, -2) @ world[:, b]
            bend = ((local.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).clamp(-1, 1).acos()
            weight[:, a] = weight[:, b] = bend.sin().square().clamp(min=1e-3)
    trust = torch.ones_like(weight)
    mean = torch.eye(3).expand(24, 3, 3)
    for _ in range(6):
        mean = nearest_rotation(((weight * trust)[..., None, None] * offset).sum(0))
        trust = 1 / (1 + ((offset - mean).square().sum((-1, -2)) / 0.1))
    return torch.where(known[:, None, None] > 0, source @ mean, source)


def _level(facing: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n 3 3"]:
    """Keep only the turn about the vertical: level, with the same heading."""
    heading = torch.atan2(facing[:, 0, 2], facing[:, 2, 2])
    zero = torch.zeros_like(heading)
    return axis_angle_to_matrix(torch.stack([zero, heading, zero], -1))


def nearest_rotation(matrix: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
    """Return the rotation nearest to a matrix (Frobenius norm): of a sum of rotations, their mean."""
    u, _, vt = torch.linalg.svd(matrix)
    sign = torch.ones(*matrix.shape[:-2], 3)
    sign[..., 2] = torch.linalg.det(u @ vt)
    return u @ (sign[..., None] * vt)
