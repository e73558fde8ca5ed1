"""Rotations as matrices, axis-angle, quaternions (wxyz) and the continuous 6D code of Zhou et al. (CVPR 2019).

Everything takes any leading batch dimensions (``*b``), keeps dtype and device, and has finite gradients everywhere
that a gradient exists, the identity included. Angles are radians; matrices act on column vectors.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

# Below this squared angle the series' next term is under the rounding of the type.
_SMALL_SQUARED_ANGLE = {torch.float64: 1e-8, torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 1e-2}


def axis_angle_to_matrix(axis_angle: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """Return the rotation about ``axis_angle`` by its length (Rodrigues' formula)."""
    squared = (axis_angle * axis_angle).sum(-1)
    small = squared < _SMALL_SQUARED_ANGLE[axis_angle.dtype]
    # The branch not taken still gets a gradient, so its argument must stay away from the root's pole at zero.
    angle = torch.where(small, torch.ones_like(squared), squared).sqrt()
    sine = torch.where(small, 1 - squared / 6, angle.sin() / angle)
    half = (angle / 2).sin() / angle
    versine = torch.where(small, 0.5 - squared / 24, 2 * half * half)
    cross = _cross_matrix(axis_angle)
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    # The square of the cross matrix, without a product of matrices, which autocast would round to bfloat16.
    square = axis_angle[..., :, None] * axis_angle[..., None, :] - squared[..., None, None] * identity
    return identity + sine[..., None, None] * cross + versine[..., None, None] * square


def matrix_to_axis_angle(matrix: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3"]:
    """Return the axis times the angle, the angle in [0, pi]."""
    w, xyz = matrix_to_quaternion(matrix).split([1, 3], dim=-1)
    squared = (xyz * xyz).sum(-1, keepdim=True)
    small = squared < _SMALL_SQUARED_ANGLE[matrix.dtype]
    sine = torch.where(small, torch.ones_like(squared), squared).sqrt()
    # For a small half angle h: 2 h / sin h = 2 + sin² h / 3 + ...
    return xyz * torch.where(small, 2 + squared / 3, 2 * torch.atan2(sine, w) / sine)


def quaternion_to_matrix(wxyz: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3 3"]:
    """Return the rotation of a quaternion, which need not have unit length."""
    w, x, y, z = normalize(wxyz, dim=-1).unbind(-1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def matrix_to_quaternion(matrix: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 4"]:
    """Return the unit quaternion with w >= 0.

    The symmetric matrix 4 q qᵀ is linear in the rotation; its row with the largest diagonal entry is a well
    conditioned multiple of q.
    """
    m = matrix
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    xy, xz, yz = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]
    outer = torch.stack(
        [
            torch.stack([1 + xx + yy + zz, wx, wy, wz], dim=-1),
            torch.stack([wx, 1 + xx - yy - zz, xy, xz], dim=-1),
            torch.stack([wy, xy, 1 - xx + yy - zz, yz], dim=-1),
            torch.stack([wz, xz, yz, 1 - xx - yy + zz], dim=-1),
        ],
        dim=-2,
    )
    best = outer.diagonal(dim1=-2, dim2=-1).argmax(dim=-1)
    row = outer.gather(-2, best[..., None, None].expand(*best.shape, 1, 4)).squeeze(-2)
    quaternion = normalize(row, dim=-1)
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def rotation_6d_to_matrix(code: Float[Tensor, "*b 6"]) -> Float[Tensor, "*b 3 3"]:
    """Return the rotation whose first two columns are the two halves of ``code``, made orthonormal (Gram-Schmidt)."""
    first, second = code[..., :3], code[..., 3:]
    x = normalize(first, dim=-1)
    y = normalize(second - (x * second).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y, dim=-1)], dim=-1)


def matrix_to_rotation_6d(matrix: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 6"]:
    """Return the first column followed by the second."""
    return torch.cat([matrix[..., 0], matrix[..., 1]], dim=-1)


def rotation_about(axis: Literal["x", "y", "z"], angle_rad: float | Float[Tensor, "*b"]) -> Float[Tensor, "*b 3 3"]:
    """Return the rotation about one coordinate axis; a plain number gives a float32 matrix without batch dimensions."""
    angle = torch.as_tensor(angle_rad, dtype=None if isinstance(angle_rad, Tensor) else torch.float32)
    unit = torch.tensor([axis == name for name in "xyz"], dtype=angle.dtype, device=angle.device)
    return axis_angle_to_matrix(angle[..., None] * unit)


def _cross_matrix(vector: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """Return the matrix K with K p = vector x p."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    rows = ((zero, -z, y), (z, zero, -x), (-y, x, zero))
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
