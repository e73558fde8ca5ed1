"""What training rows of people say to X as Supervision: where the joints of its set are in the crop's cube.

The cube is that of :mod:`monobody.models.hypotheses`: x and y across the crop, and depth from the root's in the same
unit. People of whom the whole body is known (synthetic ones) have such joints; photos have their mask.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from monobody.body.kinematics import JointBody
from monobody.body.skeleton import SKELETONS
from monobody.train.task import Batch

SETS = ("xas18", "lsp14")
"""The joint sets that the body has to know."""


def people_labels(rows: Mapping[str, Tensor], body: JointBody, *, depth_range: float = 1.0) -> Batch:
    """Return rows as :class:`monobody.data.hypothesis_row.HypothesisRow` has them, of rows of `data/sample.py`.

    Args:
        rows: a batch of training rows with masks.
        body: poses the sets of `SETS`.
        depth_range: joints farther before or behind the root are not `known`.
    """
    labels = {"images": rows["images"], "mask": rows["mask"], "has_mask": rows["has_mask"]}
    whole = rows["has_body"] * rows["has_betas"] * rows["has_joints_3d"]
    joints_m, roots_m, half_m = cube_of(rows, body)
    joints = to_cube(joints_m, roots_m, half_m, rows["view"])
    joints = torch.where(whole[:, None, None] > 0, joints, 0.0)
    inside = (joints[..., :2].abs() < 1).all(-1) & (joints[..., 2].abs() < depth_range)
    labels["joints"], labels["has_joints"], labels["known"] = joints, whole, inside * whole[:, None]
    return labels


def cube_of(
    rows: Mapping[str, Tensor], body: JointBody
) -> tuple[Float[Tensor, "b 18 3"], Float[Tensor, "b 3"], Float[Tensor, "b"]]:
    """Return the true joints before the camera (metres, the crop's axes), the root, and half the crop in metres there.

    Rows without a body give the mean one at some place; ask `has_body`.
    """
    posed = body(rows["rotations"], rows["betas"])
    # The 14 joints say where the person stands, the body where its other joints are from there.
    stands = (rows["joints_3d"] - posed["lsp14"]).mean(1, keepdim=True)
    joints_m = posed["xas18"] + stands
    root = SKELETONS["xas18"].parents.index(-1)
    roots_m = joints_m[:, root]
    return joints_m, roots_m, rows["view"][:, 2] * roots_m[:, 2] / 2


def to_cube(
    joints_m: Float[Tensor, "b k 3"],
    roots_m: Float[Tensor, "b 3"],
    half_m: Float[Tensor, "b"],
    view: Float[Tensor, "b 3"],
) -> Float[Tensor, "b k 3"]:
    """Return joints before the camera as the cube has them; :func:`from_cube` is the way back."""
    depth_m = torch.where(joints_m[..., 2:].abs() > 1e-3, joints_m[..., 2:], 1e-3)
    flat = 2 * (joints_m[..., :2] / depth_m - view[:, None, :2]) / view[:, None, 2:].clamp_min(1e-6)
    deep = (joints_m[..., 2:] - roots_m[:, None, 2:]) / half_m.abs().clamp_min(1e-6)[:, None, None]
    return torch.cat([flat, deep], dim=-1)


def from_cube(
    joints: Float[Tensor, "b *h k 3"],
    roots_m: Float[Tensor, "b 3"],
    half_m: Float[Tensor, "b"],
    view: Float[Tensor, "b 3"],
) -> Float[Tensor, "b *h k 3"]:
    """Return points of the cube before the camera, in metres, for a root whose depth is known."""
    between = (1,) * (joints.ndim - 2)
    deep = joints[..., 2:] * half_m.view(-1, *between, 1) + roots_m[:, 2].view(-1, *between, 1)
    seen = view.view(-1, *between, 3)
    return torch.cat([(seen[..., :2] + joints[..., :2] * seen[..., 2:] / 2) * deep, deep], dim=-1)
