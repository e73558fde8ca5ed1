"""Whether a body runs through itself: a capsule for every body part, and how deep any two of them overlap.

Each of 18 parts (the vertices that one joint moves, hands with fingers, feet with toes) is a capsule, all points within
a radius of a segment. It is read from the body's own vertices at rest, for every shape anew: the axis lies along the
part's longest extent, the radius is the mean distance of its surface from that axis, and the capsule ends where the
part does. The joint then carries it along. Bones of the trunk lie across it, so that a stack of capsules is as flat as
a trunk. SMPLify (Bogo et al., ECCV 2016, section 3.2) has capsules too, there as spheres.

    overlap(a, b) = radius_a + radius_b - distance(segment_a, segment_b)      metres, negative where there is a gap

Parts fewer than three joints apart touch in any pose, and upper arms lie against the trunk: neither are compared. Flesh
gives way, and a capsule is no arm: `DEPTH_M` is how deep an overlap has to be before it counts. Motion capture knows
no flesh either, so a tenth of captured poses overlap that deep (hands and forearms, in the hips beside which they
hang): compare a share with that of real poses, not with zero.

Everything is batched and differentiable but where two axes cross, which is as deep as an overlap gets.
Shapes: *b people, c = 18 capsules, p pairs of them.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from monobody.body.kinematics import forward_kinematics
from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS

PARTS: dict[str, tuple[str, ...]] = {
    "pelvis": ("pelvis",),
    "spine1": ("spine1",),
    "spine2": ("spine2",),
    "spine3": ("spine3", "left_collar", "right_collar"),
    "neck": ("neck",),
    "head": ("head",),
    "left_hip": ("left_hip",),
    "right_hip": ("right_hip",),
    "left_knee": ("left_knee",),
    "right_knee": ("right_knee",),
    "left_ankle": ("left_ankle", "left_foot"),
    "right_ankle": ("right_ankle", "right_foot"),
    "left_shoulder": ("left_shoulder",),
    "right_shoulder": ("right_shoulder",),
    "left_elbow": ("left_elbow",),
    "right_elbow": ("right_elbow",),
    "left_wrist": ("left_wrist", "left_hand"),
    "right_wrist": ("right_wrist", "right_hand"),
}
"""The joint that carries each capsule: all joints whose vertices it encloses."""
DEPTH_M = 0.05
"""An overlap deeper than this is a body that runs through itself."""
APART = 3
"""Parts whose joints are nearer than this in the skeleton are neighbours."""
_TRUNK, _UPPER_ARMS = ("pelvis", "spine1", "spine2"), ("left_shoulder", "right_shoulder")
_POINTS = 160
_INNER = 0.6
"""Share of a part's length, about its middle, over which its radius is measured: ends are rounded, or cut."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Capsules:
    """The parts of posed bodies, in the frame in which the root's rotation was given, metres."""

    start_m: Float[Tensor, "*b c 3"]
    end_m: Float[Tensor, "*b c 3"]
    radius_m: Float[Tensor, "*b c"]


class CapsuleBody(nn.Module):
    """A body as capsules: pose and shape in, capsules out."""

    points: Float[Tensor, "c n 3"]
    points_shape: Float[Tensor, "c n 3 10"]
    weight: Float[Tensor, "c n"]
    axis: Float[Tensor, "c 3"]
    carrier: Int[Tensor, " c"]
    rest_joints: Float[Tensor, "24 3"]
    rest_joints_shape: Float[Tensor, "24 3 10"]

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.parents = body.parents
        joints = SKELETONS["smpl24"].joints
        template, shapedirs = body.template, body.shapedirs.T.unflatten(0, (-1, 3))
        area = _vertex_areas(template, body.faces)
        owner = body.weights.argmax(0)
        mirror = torch.tensor([-1.0, 1.0, 1.0])
        points, by_shape, weights = [], [], []
        for part, names in PARTS.items():
            if part.startswith("right_"):
                # The body is its own mirror image: the left part, which came just before, once more.
                points.append(points[-1] * mirror)
                by_shape.append(by_shape[-1] * mirror[:, None])
                weights.append(weights[-1])
                continue
            mine = torch.isin(owner, torch.tensor([joints.index(name) for name in names]))
            middle = not part.startswith("left_")
            mine = (mine & (template[:, 0] > 0) if middle else mine).nonzero().squeeze(1)
            mine = mine[torch.linspace(0, len(mine) - 1, _POINTS // 2 if middle else _POINTS).round().long()]
            own = (template[mine], shapedirs[mine], area[mine])
            twins = (own[0] * mirror, own[1] * mirror[:, None], own[2])
            chosen = [torch.cat(pair) for pair in zip(own, twins, strict=True)] if middle else own
            for kept, values in zip((points, by_shape, weights), chosen, strict=True):
                kept.append(values)
        rest, weight = torch.stack(points), torch.stack(weights)
        weight = weight / weight.sum(1, keepdim=True)
        centred = rest - (weight[..., None] * rest).sum(1, keepdim=True)
        spread = torch.einsum("cn,cni,cnj->cij", weight, centred, centred)
        buffers = {
            "points": rest,
            "points_shape": torch.stack(by_shape),
            "weight": weight,
            "axis": torch.linalg.eigh(spread).eigenvectors[..., -1],
            "carrier": torch.tensor([joints.index(name) for name in PARTS]),
            "rest_joints": body.joint_template,
            "rest_joints_shape": body.joint_shapedirs.T.unflatten(0, (-1, 3)),
        }
        for name, value in buffers.items():
            self.register_buffer(name, value.contiguous(), persistent=False)

    def forward(
        self, rotations: Float[Tensor, "*b 24 3 3"], betas: Float[Tensor, "*b 10"], rest: Capsules | None = None
    ) -> Capsules:
        """Return the capsules of posed bodies; the pelvis stays where it rests. Batch dimensions broadcast.

        Measuring a shape's capsules is most of the work: give those of :meth:`at_rest` where they are known.
        """
        rest = self.at_rest(betas) if rest is None else rest
        rest_joints = self.rest_joints + torch.einsum("jdk,...k->...jd", self.rest_joints_shape, betas)
        rest_joints = rest_joints.expand(torch.broadcast_shapes(rotations.shape[:-1], rest_joints.shape))
        orientations, joints = forward_kinematics(rotations.expand(*rest_joints.shape, 3), rest_joints, self.parents)
        turn, at, about = (x[..., self.carrier, :] for x in (orientations.flatten(-2), joints, rest_joints))
        turn = turn.unflatten(-1, (3, 3))

        def carried(points: Tensor) -> Tensor:
            return at + (turn @ (points - about)[..., None]).squeeze(-1)

        return Capsules(start_m=carried(rest.start_m), end_m=carried(rest.end_m), radius_m=rest.radius_m)

    def at_rest(self, betas: Float[Tensor, "*b 10"]) -> Capsules:
        """Return the capsules of a shape in the T-pose."""
        points = self.points + torch.einsum("cndk,...k->...cnd", self.points_shape, betas)
        centre = (self.weight[..., None] * points).sum(-2)
        from_centre = points - centre[..., None, :]
        along = (from_centre * self.axis[:, None]).sum(-1)
        low, high = along.amin(-1), along.amax(-1)
        middle, half = (low + high) / 2, (high - low) / 2
        off_axis = (from_centre - along[..., None] * self.axis[:, None]).norm(dim=-1)
        inner = self.weight * ((along - middle[..., None]).abs() <= _INNER * half[..., None])
        radius = (inner * off_axis).sum(-1) / inner.sum(-1)
        # A part that is thicker than long is a ball about its middle.
        reach = (half - radius).clamp(min=0)
        return Capsules(
            start_m=centre + (middle - reach)[..., None] * self.axis,
            end_m=centre + (middle + reach)[..., None] * self.axis,
            radius_m=radius,
        )


def compared_pairs() -> list[tuple[int, int]]:
    """Return the pairs of capsules that are no neighbours, in the order of :func:`overlaps_m`."""
    skeleton = SKELETONS["smpl24"]
    roots = []
    for part in PARTS:
        line = [skeleton.index(part)]
        while skeleton.parents[line[-1]] >= 0:
            line.append(skeleton.parents[line[-1]])
        roots.append(line)

    def apart(a: list[int], b: list[int]) -> int:
        return min(i + b.index(joint) for i, joint in enumerate(a) if joint in b)

    names = list(PARTS)
    return [
        (i, j)
        for i in range(len(roots))
        for j in range(i + 1, len(roots))
        if apart(roots[i], roots[j]) >= APART and not (names[i] in _TRUNK and names[j] in _UPPER_ARMS)
    ]


def overlaps_m(capsules: Capsules) -> Float[Tensor, "*b p"]:
    """Return how deep every pair of parts overlaps in metres; negative values are gaps."""
    first, second = torch.tensor(compared_pairs(), device=capsules.radius_m.device).T
    between = segment_distance(
        capsules.start_m[..., first, :],
        capsules.end_m[..., first, :],
        capsules.start_m[..., second, :],
        capsules.end_m[..., second, :],
    )
    return capsules.radius_m[..., first] + capsules.radius_m[..., second] - between


def self_intersecting(overlaps: Float[Tensor, "*b p"], *, depth_m: float = DEPTH_M) -> Bool[Tensor, "*b"]:
    """Tell which bodies have a pair of parts that overlap by more than a depth."""
    return (overlaps > depth_m).any(-1)


def segment_distance(
    a0: Float[Tensor, "*b 3"], a1: Float[Tensor, "*b 3"], b0: Float[Tensor, "*b 3"], b1: Float[Tensor, "*b 3"]
) -> Float[Tensor, "*b"]:
    """Return the distance between the segments a0 a1 and b0 b1, which may be single points.

    The nearest points of the two lines are kept to the segments one after the other (Ericson, "Real-time collision
    detection", section 5.1.9), with parallel lines at any place.
    """
    u, v, w = a1 - a0, b1 - b0, a0 - b0
    tiny = torch.finfo(u.dtype).eps
    uu, vv, uv, uw, vw = ((x * y).sum(-1) for x, y in ((u, u), (v, v), (u, v), (u, w), (v, w)))
    uu, vv = uu.clamp(min=tiny), vv.clamp(min=tiny)
    s = ((uv * vw - uw * vv) / (uu * vv - uv * uv).clamp(min=tiny)).clamp(0, 1)
    t = ((uv * s + vw) / vv).clamp(0, 1)
    s = ((uv * t - uw) / uu).clamp(0, 1)
    apart = w + s[..., None] * u - t[..., None] * v
    return (apart.square().sum(-1) + tiny * tiny).sqrt()


def _vertex_areas(vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"]) -> Float[Tensor, " v"]:
    """Return a third of the area of the triangles about each vertex."""
    a, b, c = vertices[faces].unbind(1)
    area = torch.linalg.cross(b - a, c - a).norm(dim=-1) / 6
    return torch.zeros(len(vertices)).index_add(0, faces.flatten(), area.repeat_interleave(3))
