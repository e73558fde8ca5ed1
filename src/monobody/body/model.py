"""The body: shape and pose to vertices and joints by SMPL's linear blend skinning (Loper et al. 2015, section 3).

    identity:  b = template + shapedirs β,   J = J_regressor b
    pose:      v = Σ_j w_vj T_j (b + posedirs (R - I)),   T_j = rest joint j -> posed joint j

Identity is computed apart from pose, so that many poses of one person cost one shape. Inside, coordinates are kept as
planes (``3 V``): every product then runs along contiguous vertices.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from monobody.body.assets import BodyData, load_body_data
from monobody.body.kinematics import forward_kinematics, pose_features


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """A person at rest in T-pose: what depends on the shape alone."""

    vertices_m: Float[Tensor, "*b V 3"]
    joints_m: Float[Tensor, "*b J 3"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Posed:
    """A posed person, in the frame in which the root's rotation was given; the pelvis stays where it rests."""

    vertices_m: Float[Tensor, "*b V 3"]
    joints_m: Float[Tensor, "*b J 3"]
    transforms: Float[Tensor, "*b J 4 4"]
    """Takes a point of the resting body, moved with joint j alone, to its posed place."""


class Body(nn.Module):
    """A body in SMPL's format as a differentiable function without trainable parameters.

    A person has J = 24 joints and B = 10 shape coefficients, an animal its own numbers of both.
    """

    faces: Int[Tensor, "F 3"]
    template: Float[Tensor, "V 3"]
    shapedirs: Float[Tensor, "B V*3"]
    joint_template: Float[Tensor, "J 3"]
    joint_shapedirs: Float[Tensor, "B J*3"]
    posedirs: Float[Tensor, "P 3*V"]
    weights: Float[Tensor, "J V"]

    def __init__(self, data: BodyData) -> None:
        super().__init__()
        self.data = data
        self.parents = data.parents

        def buffer(name: str, value: Tensor) -> None:
            self.register_buffer(name, value.contiguous(), persistent=False)

        buffer("faces", torch.from_numpy(data.faces).long())
        buffer("template", torch.from_numpy(data.v_template))
        buffer("shapedirs", torch.from_numpy(data.shapedirs).flatten(0, 1).T)
        joint_regressor, shapedirs = torch.from_numpy(data.J_regressor).double(), torch.from_numpy(data.shapedirs)
        buffer("joint_template", (joint_regressor @ self.template.double()).float())
        buffer("joint_shapedirs", torch.einsum("jv,vcb->bjc", joint_regressor, shapedirs.double()).flatten(1).float())
        buffer("posedirs", torch.from_numpy(data.posedirs).permute(2, 1, 0).flatten(1))
        buffer("weights", torch.from_numpy(data.weights).T)
        self._regressors: dict[tuple[str, torch.device, torch.dtype], tuple[Tensor, Tensor]] = {}

    @classmethod
    def load(cls, path: str | Path | None = None, *, animals: bool = False) -> "Body":
        """Load a SMPL .npz or .pkl file, or the shipped body; with ``animals`` SMAL's too.

        Raises:
            UserError: the file is not a usable body.
        """
        return cls(load_body_data(path, animals=animals))

    @property
    def digest(self) -> str:
        """What a checkpoint remembers of the body that it was trained with."""
        return self.data.digest

    def identity(self, betas: Float[Tensor, "*b B"]) -> Identity:
        """Return the resting vertices and joints of a shape; its unit is one standard deviation."""
        return Identity(
            vertices_m=self.template + (betas @ self.shapedirs).unflatten(-1, (-1, 3)),
            joints_m=self.joint_template + (betas @ self.joint_shapedirs).unflatten(-1, (-1, 3)),
        )

    def forward(
        self,
        rotations: Float[Tensor, "*b J 3 3"],
        betas: Float[Tensor, "*b B"] | None = None,
        identity: Identity | None = None,
    ) -> Posed:
        """Pose a body by the rotation of every joint relative to its parent.

        Give ``betas``, or an ``identity`` made before (its batch dimensions broadcast against the pose's), or neither
        for the mean shape.
        """
        if identity is None:
            identity = self.identity(self.template.new_zeros(len(self.shapedirs)) if betas is None else betas)
        batch = torch.broadcast_shapes(rotations.shape[:-3], identity.joints_m.shape[:-2])
        count = len(self.parents)
        rotations = rotations.expand(*batch, count, 3, 3)
        rest_joints = identity.joints_m.expand(*batch, count, 3)
        orientations, joints = forward_kinematics(rotations, rest_joints, self.parents)
        shifts = joints - (orientations @ rest_joints[..., None]).squeeze(-1)
        corrections = (pose_features(rotations) @ self.posedirs).unflatten(-1, (3, -1))
        x, y, z = (identity.vertices_m.mT + corrections).unbind(-2)
        # One affine map per vertex, (*b, 3 rows, 4 columns, V), applied plane by plane.
        affine = torch.cat([orientations, shifts[..., None]], dim=-1)
        blended = affine.movedim(-3, -1).reshape(*batch, 12, count) @ self.weights
        a, b, c, t = blended.unflatten(-2, (3, 4)).unbind(-2)
        vertices = a * x[..., None, :] + b * y[..., None, :] + c * z[..., None, :] + t
        bottom = affine.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*batch, count, 1, 4)
        return Posed(
            vertices_m=vertices.mT.contiguous(), joints_m=joints, transforms=torch.cat([affine, bottom], dim=-2)
        )

    def keypoints(self, vertices_m: Float[Tensor, "*b V 3"], set_name: str) -> Float[Tensor, "*b K 3"]:
        """Read a joint set off posed vertices by its linear regressor.

        For ``smpl24`` this is an approximation of ``Posed.joints_m``, whose centres lie inside the limbs.
        """
        key = (set_name, vertices_m.device, vertices_m.dtype)
        if key not in self._regressors:
            regressor = torch.from_numpy(self.data.keypoint_regressors[set_name]).to(vertices_m)
            # The zeros of the vertices that a set does not read would be most of the work.
            used = regressor.any(dim=0).nonzero().squeeze(1)
            self._regressors[key] = (used, regressor[:, used])
        used, weights = self._regressors[key]
        return weights @ vertices_m[..., used, :]
