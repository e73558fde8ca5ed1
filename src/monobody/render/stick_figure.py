"""Stick figures in three dimensions: a rod with round ends for every bone, each of the same triangles.

What is drawn, and written into files, of skeletons without a body.
"""

from functools import cache

import numpy as np
from jaxtyping import Float, Int

from monobody.body.skeleton import SKELETONS

RADIUS_M = 0.022
_SIDES, _RINGS = 12, 3
"""Corners of a rod's section, and rings of each round end."""


def stick_figure(
    joints_m: Float[np.ndarray, "k 3"], set_name: str, *, radius_m: float = RADIUS_M
) -> Float[np.ndarray, "bones v 3"]:
    """Return the vertices of the rods along a joint set's bones, in the frame of the joints.

    Args:
        joints_m: of the set ``set_name`` of :data:`monobody.body.skeleton.SKELETONS`.
        set_name: whose bones are drawn.
        radius_m: of the rods.
    """
    parents, joints = (np.array(side) for side in zip(*SKELETONS[set_name].bones, strict=True))
    start, end = (np.asarray(joints_m, np.float64)[side] for side in (parents, joints))
    along = end - start
    length = np.linalg.norm(along, axis=1, keepdims=True)
    # Joints on the same place make a ball.
    axis = np.where(length > 1e-9, along / np.maximum(length, 1e-9), [0.0, 1.0, 0.0])
    aside = np.cross(axis, np.eye(3)[np.abs(axis).argmin(axis=1)])
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    frame = np.stack([aside, np.cross(axis, aside), axis], axis=1)
    rod, is_end = _rod()
    return start[:, None] + radius_m * rod @ frame + is_end[:, None] * along[:, None]


def stick_figure_faces(set_name: str) -> Int[np.ndarray, "f 3"]:
    """Return the triangles of all rods of a joint set, whose vertices follow each other; outward ones turn right."""
    vertices = len(_rod()[0])
    return np.concatenate([rod_faces() + number * vertices for number in range(len(SKELETONS[set_name].bones))])


@cache
def rod_faces() -> Int[np.ndarray, "f 3"]:
    """Return the triangles of a single rod."""
    rings = 2 * _RINGS
    corner = np.arange(_SIDES)
    following = (corner + 1) % _SIDES
    faces = [np.stack([np.zeros_like(corner), 1 + following, 1 + corner], axis=1)]
    for ring in range(rings - 1):
        near, far = 1 + ring * _SIDES, 1 + (ring + 1) * _SIDES
        faces.append(np.stack([near + corner, near + following, far + corner], axis=1))
        faces.append(np.stack([near + following, far + following, far + corner], axis=1))
    last = 1 + (rings - 1) * _SIDES
    faces.append(np.stack([np.full_like(corner, 1 + rings * _SIDES), last + corner, last + following], axis=1))
    return np.concatenate(faces).astype(np.int32)


@cache
def _rod() -> tuple[Float[np.ndarray, "v 3"], Float[np.ndarray, " v"]]:
    """Return a ball of radius 1 about the origin, cut in two along z, and which vertices belong to the rod's end."""
    heights = np.linspace(-np.pi / 2, 0, _RINGS + 1)[1:]
    latitudes = np.concatenate([heights, -heights[::-1]])
    angle = 2 * np.pi * np.arange(_SIDES) / _SIDES
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    rings = [np.column_stack([np.cos(up) * circle, np.full(_SIDES, np.sin(up))]) for up in latitudes]
    vertices = np.concatenate([[[0, 0, -1.0]], *rings, [[0, 0, 1.0]]])
    is_end = np.zeros(len(vertices))
    is_end[1 + _RINGS * _SIDES :] = 1.0
    return vertices, is_end
