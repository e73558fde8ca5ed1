"""From a crop to the picture: a body's camera turned back, then its place, so that perspective shows it where it was.

A network's weak-perspective camera says where every point of the body falls, as if all were equally far away. The
closed form (:func:`monobody.camera.full_image_translation`) agrees with it for points at the depth of the body's
origin. Limbs nearer to the camera or farther away then land some pixels off, the more so the nearer the person and the
farther from the picture's middle. Here the body is moved, as a whole, to where its joints fit best.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from monobody.camera import Camera, full_image_translation, project_weak
from monobody.data.crop import Crop

STEPS = 3
"""Each step weighs the equations with the depth found before; three settle to well below a pixel."""
FARTHEST_FACTOR = 2.0
"""A depth that leaves the closed form's by more than this factor is no refinement; the closed form is kept."""


def turn_back_shift(
    shift_m: Float[Tensor, "*b 2"], pelvis_m: Float[Tensor, "*b 2"], angle_rad: float
) -> Float[Tensor, "*b 2"]:
    """Return the weak-perspective shift for the upright crop of the same centre and size.

    The root rotation turns the body about its pelvis, which is not the origin. With the root turned by R = Rz(a), a
    body point X becomes R (X - pelvis) + pelvis, and must fall where R (X + t) would:

        t' = R (t + pelvis) - pelvis.
    """
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    turn = shift_m.new_tensor([[cos, -sin], [sin, cos]])
    return (shift_m + pelvis_m) @ turn.T - pelvis_m


def place(
    points_m: Float[Tensor, "k 3"],
    weak: Float[Tensor, "3"],
    crop: Crop,
    camera: Camera,
    *,
    width_px: int,
    height_px: int,
) -> Float[Tensor, "3"]:
    """Return the translation that brings the perspective image of points nearest to their weak-perspective one.

    Args:
        points_m: joints of the posed body, in the picture's camera frame but not yet before the camera.
        weak: s, tx, ty for the crop.
        crop: upright (not turned).
        camera: the picture's.
        width_px: of the picture.
        height_px: of the picture.
    """
    closed = full_image_translation(weak, crop, camera.focal_px, width_px, height_px)
    seen_px = (
        crop.to_picture(project_weak(points_m.double(), weak.double())) - torch.tensor(camera.principal_px).double()
    )
    rays = seen_px / camera.focal_px
    # (X + t)_xy / (Z + t_z) = ray   <=>   t_xy - ray t_z = ray Z - X_xy, an error in metres; over Z + t_z, in pixels.
    identity = torch.eye(2, dtype=torch.float64).expand(len(rays), 2, 2)
    equations = torch.cat([identity, -rays[:, :, None]], dim=2)
    constants = rays * points_m[:, 2:].double() - points_m[:, :2].double()
    found = closed.double()
    for _ in range(STEPS):
        weight = 1 / (points_m[:, 2].double() + found[2]).clamp_min(0.1 * float(closed[2]))
        matrix, vector = (
            (equations * weight[:, None, None]).reshape(-1, 3),
            (constants * weight[:, None]).reshape(-1, 1),
        )
        found = torch.linalg.lstsq(matrix, vector).solution[:, 0]
    factor = float(found[2] / closed[2])
    return found.float() if 1 / FARTHEST_FACTOR < factor < FARTHEST_FACTOR else closed
