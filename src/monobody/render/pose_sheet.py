"""Contact sheets of poses, to look at: does each of these bodies stand as a person could?

Bodies are seen from the front of a y-up world, orthographically. Left limbs are blue and right limbs red, so that
swapped sides show; light comes from above, so that twisted feet and hands show.
"""

import math

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from monobody.body.model import Body
from monobody.body.rotation import rotation_about
from monobody.render.raster import rasterise

# LSP's parts: head, torso, right arm, left arm, right leg, left leg.
_PART_RGB = np.array(
    [[235, 205, 170], [215, 215, 205], [225, 120, 100], [100, 150, 225], [190, 90, 80], [75, 115, 190]], np.float32
)
_LIGHT = np.array([-0.35, 0.75, 0.55], np.float32) / np.linalg.norm([-0.35, 0.75, 0.55]).astype(np.float32)
_METRES_ACROSS = 2.2


def draw_pose_sheet(
    body: Body,
    rotations: Float[Tensor, "n 24 3 3"],
    *,
    columns: int = 12,
    size_px: int = 120,
    yaw_deg: float = 0.0,
) -> UInt8[NDArray, "h w 3"]:
    """Draw each pose in a square of its own, row by row.

    Args:
        body: the body to pose, in its mean shape.
        rotations: the root turns the body frame to a y-up world.
        columns: pictures in a row.
        size_px: side of one picture.
        yaw_deg: turn all bodies about the vertical; 90 shows from the side those that were seen from the front.
    """
    turn = rotation_about("y", math.radians(yaw_deg)).to(rotations.dtype)
    rotations = torch.cat([turn @ rotations[:, :1], rotations[:, 1:]], 1)
    rows = math.ceil(len(rotations) / columns)
    sheet = np.full((rows * size_px, columns * size_px, 3), 255, np.uint8)
    faces, part = body.data.faces, body.data.part6
    for i, rotation in enumerate(rotations):
        with torch.no_grad():
            vertices = body(rotation).vertices_m.numpy()
        top, left = i // columns * size_px, i % columns * size_px
        sheet[top : top + size_px, left : left + size_px] = _draw(vertices, faces, part, size_px)
    return sheet


def _draw(
    vertices_m: Float[NDArray, "v 3"], faces: NDArray, part: NDArray, size_px: int
) -> UInt8[NDArray, "size size 3"]:
    middle = (vertices_m.min(0) + vertices_m.max(0)) / 2
    scale = size_px / max(_METRES_ACROSS, float(np.ptp(vertices_m[:, :2], axis=0).max()) * 1.02)
    x, y, z = (vertices_m - middle).T
    projected = np.stack([size_px / 2 + scale * x, size_px / 2 - scale * y, 5 - z], -1).astype(np.float32)
    seen = rasterise(projected[None], faces, size_px, size_px).triangle[0]
    corner = vertices_m[faces]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    light = 0.45 + 0.55 * np.clip(normal @ _LIGHT, 0, 1)
    colour = _PART_RGB[part[faces[:, 0]]] * light[:, None]
    return np.where(seen[..., None] >= 0, colour[seen], 245).astype(np.uint8)
