"""Retargeting: the body's 24 rotations from the points and bone orientations of any skeleton.

Two passes of gradient descent over all frames of a source at once:

1. *Directions.* The body's bones are turned to point as the source's do. Twists are what a mild preference for small
   angles, and knees and elbows as one-sided hinges, make of them.
2. *Matched rest poses.* Bone under joint j has the orientation S_j in the source and G_j on the body; the two differ
   by a constant, G_j = S_j C_j, once the skeletons stand in the same pose. C_j is the robust mean of S_jᵀ G_j over
   the frames of the first pass, so no rest pose need be known. S_j C_j then brings the source's own twists, turns of
   the head and hands included, as a second data term; directions stay the stronger one.

Directions do not depend on bone lengths, hence neither do the poses; :func:`normalised_joint_error` measures what is
left after both skeletons were given the same bone lengths.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize, relu

from monobody.body.kinematics import forward_kinematics
from monobody.body.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from monobody.body.skeleton import SKELETONS
from monobody.data.mocap import POINTS
from monobody.data.rest_poses import match_rest_poses

_BODY = SKELETONS["smpl24"]
_J = _BODY.index

# (from, to, weight) of the directions that are matched. Feet and head count less: where a skeleton puts the points
# on them is a matter of taste.
_BONES = (
    *(
        (f"{side}_{start}", f"{side}_{end}", weight)
        for side in ("left", "right")
        for start, end, weight in (
            ("hip", "knee", 3.0),
            ("knee", "ankle", 3.0),
            ("ankle", "foot", 0.7),
            ("shoulder", "elbow", 3.0),
            ("elbow", "wrist", 3.0),
        )
    ),
    ("right_hip", "left_hip", 3.0),
    ("right_shoulder", "left_shoulder", 2.0),
    ("hips", "shoulders", 3.0),
    ("shoulders", "head", 0.5),
)
_FOOT_BONE = 2  # Of the left; the right one stands five further on.
_TREE = (
    ("hips", "left_hip"),
    ("hips", "right_hip"),
    ("hips", "shoulders"),
    ("shoulders", "left_shoulder"),
    ("shoulders", "right_shoulder"),
    ("shoulders", "head"),
    *((start, end) for start, end, _ in _BONES[:10]),
)


# Two points closer than this are one point, in any unit of length that sources use.
_SHORTEST = 1e-4


@dataclass(frozen=True, kw_only=True, slots=True)
class Retargeted:
    """The rotations found for the frames of one source, and how well they fit."""

    rotations: Float[Tensor, "n 24 3 3"]
    """The root turns the body frame to the source's y-up world."""
    direction_error_deg: Float[Tensor, "n bones"]
    joint_error: Float[Tensor, "n joints"]
    """Metres, after bone-length normalisation; without the head."""


def retarget(
    points: Float[Tensor, "n 15 3"],
    orientations: Float[Tensor, "n 24 3 3"],
    has_orientation: Float[Tensor, "24"],
    rest_joints_m: Float[Tensor, "24 3"],
    *,
    chunk: int = 4096,
) -> Retargeted:
    """Turn the body so that it moves as the source does; ``points`` in the order of ``mocap.POINTS``."""
    targets = _Targets.of(points)
    upright = torch.zeros(24, 3)
    upright[_J("left_shoulder"), 2], upright[_J("right_shoulder"), 2] = -0.8, 0.8
    upright[_J("left_elbow"), 1], upright[_J("right_elbow"), 1] = -0.3, 0.3
    upright[[_J("left_knee"), _J("right_knee")], 0] = 0.3
    start = upright.repeat(len(points), 1, 1)
    start[:, 0] = matrix_to_axis_angle(targets.trunk)
    by_directions = torch.cat(
        [
            _descend(part, target, rest_joints_m, steps=110, posture=1.0)
            for part, target in zip(start.split(chunk), targets.split(chunk), strict=True)
        ]
    )
    world, _ = _posed(axis_angle_to_matrix(by_directions), rest_joints_m)
    footless = targets.present[:, [_FOOT_BONE, _FOOT_BONE + 5]].amax() == 0
    matched = match_rest_poses(orientations, world, has_orientation, level_feet=bool(footless))
    found = []
    for part, target, aim, local in zip(
        by_directions.split(chunk),
        targets.split(chunk),
        matched.split(chunk),
        _local(torch.where(has_orientation[:, None, None] > 0, matched, world)).split(chunk),
        strict=True,
    ):
        known = has_orientation[:, None] > 0
        found.append(
            _descend(
                torch.where(known, matrix_to_axis_angle(local), part),
                target,
                rest_joints_m,
                steps=90,
                posture=0.05,
                aim=aim,
                aim_weight=_AIM_WEIGHT * has_orientation,
            )
        )
    rotations = _share_forearm_twist(axis_angle_to_matrix(torch.cat(found)))
    positions = _places(_posed(rotations, rest_joints_m)[1], _BODY.joints)
    cosine = (_directions(positions) * targets.directions).sum(-1)
    return Retargeted(
        rotations=rotations,
        direction_error_deg=torch.rad2deg(cosine.clamp(-1, 1).acos()) * targets.present,
        joint_error=normalised_joint_error(positions, _places(points, POINTS), rest_joints_m),
    )


def normalised_joint_error(
    body: dict[str, Float[Tensor, "n 3"]],
    source: dict[str, Float[Tensor, "n 3"]],
    rest_joints_m: Float[Tensor, "24 3"],
) -> Float[Tensor, "n joints"]:
    """Measure the distance between joints, metres, when both skeletons have the bone lengths of the body at rest.

    Each skeleton is laid out again from the middle of the hips along its own bone directions.
    """
    rest = _places(rest_joints_m[None], _BODY.joints)
    ours, theirs = {"hips": torch.zeros_like(body["hips"])}, {"hips": torch.zeros_like(source["hips"])}
    for start, end in _TREE:
        length = (rest[end] - rest[start]).norm(dim=-1, keepdim=True)
        direction = normalize(body[end] - body[start], dim=-1)
        span = source[end] - source[start]
        # A source without feet has them at its ankles: nothing is known, so nothing is wrong.
        known = span.norm(dim=-1, keepdim=True) > _SHORTEST
        ours[end] = ours[start] + length * direction
        theirs[end] = theirs[start] + length * torch.where(known, normalize(span, dim=-1), direction)
    ends = [end for _, end in _TREE if end not in ("shoulders", "head")]
    return torch.stack([(ours[end] - theirs[end]).norm(dim=-1) for end in ends], -1)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Targets:
    directions: Float[Tensor, "n bones 3"]
    present: Float[Tensor, "n bones"]
    trunk: Float[Tensor, "n 3 3"]

    @staticmethod
    def of(points: Float[Tensor, "n 15 3"]) -> "_Targets":
        places = _places(points, POINTS)
        directions = _directions(places)
        spans = torch.stack([(places[end] - places[start]).norm(dim=-1) for start, end, _ in _BONES], -1)
        x = normalize(places["left_hip"] - places["right_hip"], dim=-1)
        up = places["shoulders"] - places["hips"]
        y = normalize(up - (up * x).sum(-1, keepdim=True) * x, dim=-1)
        trunk = torch.stack([x, y, torch.linalg.cross(x, y)], -1)
        return _Targets(directions=directions, present=(spans > _SHORTEST).to(points.dtype), trunk=trunk)

    def split(self, size: int) -> list["_Targets"]:
        parts = zip(self.directions.split(size), self.present.split(size), self.trunk.split(size), strict=True)
        return [_Targets(directions=d, present=p, trunk=t) for d, p, t in parts]


def _descend(
    start: Float[Tensor, "n 24 3"],
    target: _Targets,
    rest_joints_m: Float[Tensor, "24 3"],
    *,
    steps: int,
    posture: float,
    aim: Float[Tensor, "n 24 3 3"] | None = None,
    aim_weight: Float[Tensor, "24"] | None = None,
) -> Float[Tensor, "n 24 3"]:
    """Minimise over axis-angle rotations; ``posture`` scales the preference for small angles."""
    pose = start.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([pose], lr=0.06)
    weight = torch.tensor([w for *_, w in _BONES])
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 0.06 * (1 - step / steps) + 0.002
        world, joints = _posed(axis_angle_to_matrix(pose), rest_joints_m)
        off = (_directions(_places(joints, _BODY.joints)) - target.directions).square().sum(-1) * target.present
        loss = (off * weight).sum() + posture * (_PREFERENCE * pose.square()).sum() + _backward_bend(pose)
        if aim is not None and aim_weight is not None:
            loss = loss + (aim_weight * (world - aim).square().sum((-1, -2))).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return pose.detach()


def _backward_bend(pose: Float[Tensor, "n 24 3"]) -> Float[Tensor, ""]:
    left, right = pose[:, _J("left_elbow"), 1], -pose[:, _J("right_elbow"), 1]
    knees = -pose[:, [_J("left_knee"), _J("right_knee")], 0]
    return sum((relu(angle).square().sum() for angle in (left, right, knees)), torch.zeros(()))


def _share_forearm_twist(rotations: Float[Tensor, "n 24 3 3"]) -> Float[Tensor, "n 24 3 3"]:
    """Put half of the turn about the forearm's axis (x at rest) on the elbow and half on the wrist.

    A forearm's skin turns little at the elbow and fully at the wrist; sources put it all on one of the two.
    """
    rotations = rotations.clone()
    for side in ("left", "right"):
        elbow, wrist = _J(f"{side}_elbow"), _J(f"{side}_wrist")
        # Elbow = swing after twist, wrist = twist after swing: so both twists act on the forearm itself.
        elbow_twist = _twist_about_x(rotations[:, elbow])
        wrist_twist = _twist_about_x(rotations[:, wrist])
        half = (elbow_twist + wrist_twist) / 2
        rotations[:, elbow] = rotations[:, elbow] @ _about_x(half - elbow_twist)
        rotations[:, wrist] = _about_x(half - wrist_twist) @ rotations[:, wrist]
    return rotations


def _twist_about_x(rotation: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b"]:
    return torch.atan2(rotation[..., 2, 1] - rotation[..., 1, 2], rotation[..., 1, 1] + rotation[..., 2, 2])


def _about_x(angle: Float[Tensor, "*b"]) -> Float[Tensor, "*b 3 3"]:
    return axis_angle_to_matrix(torch.stack([angle, torch.zeros_like(angle), torch.zeros_like(angle)], -1))


def _posed(
    rotations: Float[Tensor, "n 24 3 3"], rest_joints_m: Float[Tensor, "24 3"]
) -> tuple[Float[Tensor, "n 24 3 3"], Float[Tensor, "n 24 3"]]:
    return forward_kinematics(rotations, rest_joints_m.expand(len(rotations), 24, 3), _BODY.parents)


def _local(world: Float[Tensor, "n 24 3 3"]) -> Float[Tensor, "n 24 3 3"]:
    above = torch.cat([torch.eye(3).expand(len(world), 1, 3, 3), world[:, list(_BODY.parents[1:])]], 1)
    return above.transpose(-1, -2) @ world


def _places(points: Float[Tensor, "n k 3"], names: tuple[str, ...]) -> dict[str, Float[Tensor, "n 3"]]:
    places = {name: points[:, names.index(name)] for name in POINTS}
    for middle in ("hip", "shoulder"):
        places[f"{middle}s"] = 0.5 * (places[f"left_{middle}"] + places[f"right_{middle}"])
    return places


def _directions(places: dict[str, Float[Tensor, "n 3"]]) -> Float[Tensor, "n bones 3"]:
    spans = [places[end] - places[start] for start, end, _ in _BONES]
    return normalize(torch.stack(spans, 1), dim=-1)


def _preference() -> Float[Tensor, "24 3"]:
    """How much each angle (axis-angle component) is kept small: hinges by axis, hands and toes all round."""
    weights = {"pelvis": 0.0, "collar": 0.03, "hip": 0.01, "shoulder": 0.01}
    table = torch.full((24, 3), 0.03)
    for j, joint in enumerate(_BODY.joints):
        place = joint.split("_")[-1]
        if place in weights:
            table[j] = weights[place]
        elif place == "knee":
            table[j] = torch.tensor([0.003, 0.3, 0.3])
        elif place == "elbow":
            table[j] = torch.tensor([0.3, 0.003, 0.3])
        elif place in ("ankle", "foot", "wrist", "hand"):
            table[j] = 0.3 if place != "ankle" else 0.02
    return table


def _aim_weight() -> Float[Tensor, "24"]:
    """How much each orientation of the source counts: most where directions say nothing."""
    weights = {"head": 0.5, "wrist": 0.5, "foot": 0.3, "ankle": 0.1, "neck": 0.1, "collar": 0.02, "pelvis": 0.05}
    return torch.tensor([weights.get(joint.split("_")[-1], 0.05) for joint in _BODY.joints])


_PREFERENCE = _preference()
_AIM_WEIGHT = _aim_weight()
