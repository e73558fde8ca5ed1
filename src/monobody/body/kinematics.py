"""Joints without the mesh: forward kinematics, mirrored poses, and keypoints reduced exactly to the skeleton.

A keypoint that is linear in the posed vertices, ``k = Σ_v r_v v``, is under linear blend skinning an affine function
of the joints' transforms: with weights w_vj, bind positions b_v(β, R) and joint transforms x -> G_j (x - J_j) + P_j,

    k = Σ_j G_j (c_j - a_j J_j) + a_j P_j,    a_j = Σ_v r_v w_vj,    c_j = Σ_v r_v w_vj b_v(β, R),

and c_j is affine in the shape β and in the pose features R - I. ``JointBody`` keeps those few numbers per keypoint and
joint, so that training on joints needs no mesh.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from monobody.body.skeleton import SKELETONS

if TYPE_CHECKING:
    from monobody.body.model import Body


def forward_kinematics(
    rotations: Float[Tensor, "*b J 3 3"], rest_joints: Float[Tensor, "*b J 3"], parents: tuple[int, ...]
) -> tuple[Float[Tensor, "*b J 3 3"], Float[Tensor, "*b J 3"]]:
    """Return every joint's orientation and position in the frame in which the root's rotation is given.

    ``rotations`` are relative to the parent. The root joint stays where it rests.
    """
    orientations, positions = [rotations[..., :1, :, :]], [rest_joints[..., :1, :]]
    order, levels = _levels(parents)
    for joints, above, places in levels:
        orientation, offset = (
            orientations[-1][..., places, :, :],
            rest_joints[..., joints, :] - rest_joints[..., above, :],
        )
        positions.append(positions[-1][..., places, :] + (orientation @ offset[..., None]).squeeze(-1))
        orientations.append(orientation @ rotations[..., joints, :, :])
    return torch.cat(orientations, dim=-3)[..., order, :, :], torch.cat(positions, dim=-2)[..., order, :]


@lru_cache
def _levels(parents: tuple[int, ...]) -> tuple[list[int], list[tuple[list[int], list[int], list[int]]]]:
    """Sort a tree by depth, so that all joints of one depth move together.

    Returns, for each joint, its place in that order; and per depth the joints, their parents, and the parents' places
    within the depth above.
    """
    depths = [0] * len(parents)
    for joint, parent in enumerate(parents):
        depths[joint] = depths[parent] + 1 if parent >= 0 else 0
    rows = [[joint for joint, d in enumerate(depths) if d == depth] for depth in range(max(depths) + 1)]
    flat = [joint for row in rows for joint in row]
    levels = []
    for row, above in zip(rows[1:], rows[:-1], strict=True):
        levels.append((row, [parents[j] for j in row], [above.index(parents[j]) for j in row]))
    return [flat.index(joint) for joint in range(len(parents))], levels


def pose_features(rotations: Float[Tensor, "*b J 3 3"]) -> Float[Tensor, "*b P"]:
    """Return R - I of all joints but the root, flattened row-major: what SMPL's pose correctives are factors of."""
    identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
    return (rotations[..., 1:, :, :] - identity).flatten(-3)


def mirror_pose(rotations: Float[Tensor, "*b 24 3 3"]) -> Float[Tensor, "*b 24 3 3"]:
    """Return the pose seen in a mirror across x: sides exchanged, every rotation conjugated by diag(-1, 1, 1).

    For axis-angle the same is an exchange of sides and the signs (1, -1, -1). Holds in the body's and in the camera's
    frame.
    """
    mirrored = rotations[..., list(SKELETONS["smpl24"].flip), :, :]
    signs = torch.tensor([-1.0, 1.0, 1.0], dtype=rotations.dtype, device=rotations.device)
    return signs[:, None] * mirrored * signs


class JointBody(nn.Module):
    """Posed keypoints of a body, exact and without its mesh.

    ``smpl24`` are the centres of rotation that forward kinematics gives; every other set is what its linear regressor
    reads from the posed mesh.
    """

    # One row for each pair of a keypoint and a joint that moves some of its vertices.
    keypoint: Int[Tensor, " P"]
    joint: Int[Tensor, " P"]
    share: Float[Tensor, " P"]
    base: Float[Tensor, "P 3"]
    by_shape: Float[Tensor, "P 3 10"]
    by_pose: Float[Tensor, "P*3 207"]
    rest_joints: Float[Tensor, "24 3"]
    rest_joints_shape: Float[Tensor, "24 3 10"]

    def __init__(
        self,
        sets: Sequence[str],
        parents: tuple[int, ...],
        rest_joints: Float[Tensor, "24 3"],
        rest_joints_shape: Float[Tensor, "24 3 10"],
        regressors: dict[str, Float[Tensor, "K V"]],
        weights: Float[Tensor, "V 24"],
        template: Float[Tensor, "V 3"],
        shapedirs: Float[Tensor, "V 3 10"],
        posedirs: Float[Tensor, "V 3 207"],
    ) -> None:
        super().__init__()
        self.sets = tuple(sets)
        self.parents = parents
        rows = [regressors[name] for name in self.sets if name != "smpl24"]
        regressor = torch.cat(rows) if rows else weights.new_zeros(0, len(weights))
        self.sizes = [len(row) for row in rows]
        # Vertices that no set reads are left out before anything is multiplied.
        used = regressor.any(dim=0).nonzero().squeeze(1)
        moved_by = weights[used].double().T
        keypoint, joint, shares = [], [], []
        for k, row in enumerate(regressor[:, used].double()):
            factors = row * moved_by
            joints = factors.any(dim=1).nonzero().squeeze(1)
            keypoint += [k] * len(joints)
            joint += joints.tolist()
            shares.append(factors[joints])
        factor = torch.cat(shares) if shares else moved_by[:0]

        def summed(directions: Tensor) -> Tensor:
            """Return the sums over the vertices that belong to each row."""
            return (factor @ directions[used].double().flatten(1)).unflatten(1, directions.shape[1:])

        def buffer(name: str, value: Tensor) -> None:
            self.register_buffer(name, value.to(template.dtype) if value.is_floating_point() else value, False)

        buffer("rest_joints", rest_joints)
        buffer("rest_joints_shape", rest_joints_shape)
        buffer("keypoint", torch.tensor(keypoint, dtype=torch.long))
        buffer("joint", torch.tensor(joint, dtype=torch.long))
        buffer("share", factor.sum(1))
        buffer("base", summed(template))
        buffer("by_shape", summed(shapedirs))
        buffer("by_pose", summed(posedirs).flatten(0, 1))

    @classmethod
    def from_body(cls, body: "Body", sets: Sequence[str] = ("cocoplus19", "lsp14", "smpl24")) -> "JointBody":
        """Reduce a body to the named joint sets."""
        data = body.data
        template, shapedirs = torch.from_numpy(data.v_template), torch.from_numpy(data.shapedirs)
        joint_regressor = torch.from_numpy(data.J_regressor).double()
        return cls(
            sets=sets,
            parents=data.parents,
            rest_joints=(joint_regressor @ template.double()).float(),
            rest_joints_shape=torch.einsum("jv,vcb->jcb", joint_regressor, shapedirs.double()).float(),
            regressors={name: torch.from_numpy(data.keypoint_regressors[name]) for name in sets},
            weights=torch.from_numpy(data.weights),
            template=template,
            shapedirs=shapedirs,
            posedirs=torch.from_numpy(data.posedirs),
        ).to(device=body.template.device, dtype=body.template.dtype)

    def forward(
        self, rotations: Float[Tensor, "*b 24 3 3"], betas: Float[Tensor, "*b 10"]
    ) -> dict[str, Float[Tensor, "*b K 3"]]:
        """Return the keypoints of every set in metres, in the frame in which the root's rotation is given."""
        # Under autocast matrices would be multiplied in bfloat16, and joints end up 5 mm from where they are.
        with torch.autocast(rotations.device.type, enabled=False):
            return self._posed(rotations, betas)

    def _posed(
        self, rotations: Float[Tensor, "*b 24 3 3"], betas: Float[Tensor, "*b 10"]
    ) -> dict[str, Float[Tensor, "*b K 3"]]:
        batch = rotations.shape[:-3]
        rest = self.rest_joints + torch.einsum("jcb,...b->...jc", self.rest_joints_shape, betas)
        rest = rest.expand(*batch, 24, 3)
        orientations, joints = forward_kinematics(rotations, rest, self.parents)
        shaped = self.base + torch.einsum("pcb,...b->...pc", self.by_shape, betas)
        corrected = (pose_features(rotations) @ self.by_pose.T).unflatten(-1, (-1, 3))
        offset = shaped + corrected - self.share[:, None] * rest[..., self.joint, :]
        turned = (orientations[..., self.joint, :, :] @ offset[..., None]).squeeze(-1)
        terms = turned + self.share[:, None] * joints[..., self.joint, :]
        points = terms.new_zeros(*batch, sum(self.sizes), 3).index_add(-2, self.keypoint, terms)
        found = iter(points.split(self.sizes, dim=-2))
        return {name: joints if name == "smpl24" else next(found) for name in self.sets}
