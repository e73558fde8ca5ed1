"""The graph critic of X as Supervision: is this a pose that a body can take?

"X as Supervision" (arXiv:2411.13026) judges 3D joints by graph convolutions over the skeleton, in two streams: where
the joints are, and which way the bones point. Each node takes the mean of its neighbours and itself (GraphSAGE,
Hamilton et al., 2017, arXiv:1706.02216). Every node is normalised by itself, so that a body's score does not depend on
whose bodies are judged beside it; and with 18 nodes that are always the same, the graph is one small dense matrix.

Both kinds of bodies, real ones in metres and predicted ones in halves of a crop, are brought into one frame first
(:func:`canonical`): the root at the origin, the mean bone of length one. Which way a body faces is part of its pose
here.

Shapes: n bodies, k joints.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from monobody.body.skeleton import SKELETONS

WIDTH, HIDDEN, DROPOUT = 128, 512, 0.2


def canonical(joints: Float[Tensor, "*n k 3"], joint_set: str = "xas18") -> Float[Tensor, "*n k 3"]:
    """Return bodies with their root at the origin and bones of mean length one, whatever unit they came in."""
    root, bones = SKELETONS[joint_set].parents.index(-1), bones_of(joints, joint_set)
    size = bones.norm(dim=-1).sum(-1) / (joints.shape[-2] - 1)
    return (joints - joints[..., root, None, :]) / size.clamp_min(1e-6)[..., None, None]


def bones_of(joints: Float[Tensor, "*n k 3"], joint_set: str = "xas18") -> Float[Tensor, "*n k 3"]:
    """Return each joint's bone, from the joint to its parent; zero for the root."""
    parents = SKELETONS[joint_set].parents
    return joints[..., [joint if parent < 0 else parent for joint, parent in enumerate(parents)], :] - joints


class PoseGraphCritic(nn.Module):
    """3D joints in, one score a body out; 1 is real, 0 is predicted, without a sigmoid (least squares)."""

    neighbours: Tensor
    place: Tensor

    def __init__(self, joint_set: str = "xas18", *, width: int = WIDTH) -> None:
        super().__init__()
        self.joint_set = joint_set
        count = len(SKELETONS[joint_set].joints)
        self.register_buffer("neighbours", _means_over_neighbours(joint_set), persistent=False)
        self.register_buffer("place", _place_code(count), persistent=False)
        self.joints, self.bones = _Stream(width), _Stream(width)
        self.head = nn.Sequential(
            nn.Linear(count * 2 * width, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(HIDDEN, 1)
        )

    def forward(self, joints: Float[Tensor, "n k 3"]) -> Float[Tensor, " n"]:
        """Judge bodies in any unit and at any place: they are brought into the canonical frame here."""
        joints = canonical(joints, self.joint_set)
        place = self.place.expand(len(joints), -1, -1)
        seen = [
            stream(torch.cat([values, place], dim=-1), self.neighbours)
            for stream, values in ((self.joints, joints), (self.bones, bones_of(joints, self.joint_set)))
        ]
        return self.head(torch.cat(seen, dim=-1).flatten(1)).squeeze(1)


class _Stream(nn.Module):
    """Six numbers a node in, two residual blocks and one plain layer of graph convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.input = nn.Linear(6, width)
        self.layers = nn.ModuleList(_Sage(width) for _ in range(5))

    def forward(self, x: Float[Tensor, "n k 6"], neighbours: Float[Tensor, "k k"]) -> Float[Tensor, "n k w"]:
        x = self.input(x)
        for first, second in ((self.layers[0], self.layers[1]), (self.layers[2], self.layers[3])):
            x = x + second(first(x, neighbours), neighbours)
        return self.layers[4](x, neighbours)


class _Sage(nn.Module):
    """W1 mean(neighbours) + W2 self + b, normalised node by node, then a ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.around, self.own = nn.Linear(width, width, bias=False), nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Float[Tensor, "n k w"], neighbours: Float[Tensor, "k k"]) -> Float[Tensor, "n k w"]:
        return F.relu(self.norm(self.around(neighbours @ x) + self.own(x)))


def _means_over_neighbours(joint_set: str) -> Float[Tensor, "k k"]:
    """Return the matrix that takes the mean over a joint's neighbours in the skeleton and itself."""
    parents = SKELETONS[joint_set].parents
    linked = torch.eye(len(parents))
    for joint, parent in enumerate(parents):
        if parent >= 0:
            linked[joint, parent] = linked[parent, joint] = 1
    return linked / linked.sum(1, keepdim=True)


def _place_code(count: int) -> Float[Tensor, "k 3"]:
    """Return three numbers that tell joints apart: sine, cosine and sine of their number at falling frequencies."""
    number = torch.arange(count)[:, None] / 10000 ** (2 * torch.arange(3) / 3)
    return torch.stack([number[:, 0].sin(), number[:, 1].cos(), number[:, 2].sin()], dim=1)
