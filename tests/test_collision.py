"""Capsules: segments against a dense search, capsules on the skin, poses that do and do not run through themselves."""

import math

import pytest
import torch
from torch import Tensor

from monobody.body.collision import (
    DEPTH_M,
    PARTS,
    CapsuleBody,
    compared_pairs,
    overlaps_m,
    segment_distance,
    self_intersecting,
)
from monobody.body.kinematics import mirror_pose
from monobody.body.model import Body
from monobody.body.rotation import axis_angle_to_matrix
from monobody.body.skeleton import SKELETONS

NAMES = list(PARTS)
JOINTS = SKELETONS["smpl24"]


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.load()


@pytest.fixture(scope="module")
def capsules(body: Body) -> CapsuleBody:
    return CapsuleBody(body)


def posed(**turns_deg: tuple[float, float, float]) -> Tensor:
    """A pose that turns the named joints of a body whose arms hang a little away from it."""
    pose = torch.zeros(24, 3)
    pose[JOINTS.index("left_shoulder"), 2], pose[JOINTS.index("right_shoulder"), 2] = -0.9, 0.9
    for name, turn in turns_deg.items():
        pose[JOINTS.index(name)] = torch.tensor(turn) * math.pi / 180
    return axis_angle_to_matrix(pose)


def deepest(capsules: CapsuleBody, rotations: Tensor) -> tuple[float, set[str]]:
    """The deepest overlap and the two parts that have it."""
    overlaps = overlaps_m(capsules(rotations, torch.zeros(10)))
    pair = compared_pairs()[int(overlaps.argmax())]
    return float(overlaps.max()), {NAMES[i] for i in pair}


def test_distance_of_segments_is_that_of_a_dense_search() -> None:
    a0, a1, b0, b1 = torch.rand(4, 300, 3, dtype=torch.float64)
    # Among them parallel ones, single points, and crossing ones.
    b1[:40] = b0[:40] + 0.7 * (a1[:40] - a0[:40])
    a1[40:60] = a0[40:60]
    b1[50:70] = b0[50:70]
    middle = (a0[70:90] + a1[70:90]) / 2
    b0[70:90], b1[70:90] = middle + (b0 - b1)[70:90], middle - (b0 - b1)[70:90]
    steps = torch.linspace(0, 1, 401, dtype=torch.float64)[:, None]
    a = a0[:, None] + steps * (a1 - a0)[:, None]
    b = b0[:, None] + steps * (b1 - b0)[:, None]
    dense = torch.cdist(a, b).flatten(1).amin(1)
    exact = segment_distance(a0, a1, b0, b1)
    assert (exact <= dense + 1e-9).all()
    assert (dense - exact).max() < 5e-3


def test_gradient_of_the_distance_is_the_finite_difference() -> None:
    ends = [end.requires_grad_() for end in torch.rand(4, 8, 3, dtype=torch.float64)]
    assert torch.autograd.gradcheck(segment_distance, ends)


def test_skin_lies_on_the_capsules(body: Body, capsules: CapsuleBody) -> None:
    """Limbs are capsules to within a centimetre or so, for a thin person and a heavy one."""
    joints, owner = JOINTS.joints, body.weights.argmax(0)
    for betas in (torch.zeros(10), torch.tensor([2.0, *[0.0] * 9]), torch.tensor([0, -2.0, 2, *[0.0] * 7])):
        skin = body.identity(betas).vertices_m
        rest = capsules.at_rest(betas)
        for part in ("left_hip", "left_knee", "right_shoulder", "right_elbow"):
            number = NAMES.index(part)
            start, end = rest.start_m[number], rest.end_m[number]
            mine = skin[owner == joints.index(part)]
            along = (mine - start) @ (end - start) / (end - start).square().sum()
            inner = mine[(along > 0.1) & (along < 0.9)]
            off = segment_distance(inner, inner, start.expand_as(inner), end.expand_as(inner)) - rest.radius_m[number]
            assert len(inner) > 20
            assert off.abs().mean() < 0.013, part


def test_sides_are_mirror_images(capsules: CapsuleBody) -> None:
    pose = axis_angle_to_matrix(0.4 * torch.randn(20, 24, 3))
    betas = torch.randn(20, 10)
    one, other = (overlaps_m(capsules(rotations, betas)).sort(-1).values for rotations in (pose, mirror_pose(pose)))
    torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


def test_where_a_body_stands_and_faces_does_not_matter(capsules: CapsuleBody) -> None:
    pose = axis_angle_to_matrix(0.4 * torch.randn(5, 24, 3))
    turned = pose.clone()
    turned[:, 0] = axis_angle_to_matrix(torch.randn(3)) @ pose[:, 0]
    betas = torch.randn(5, 10)
    torch.testing.assert_close(
        overlaps_m(capsules(pose, betas)), overlaps_m(capsules(turned, betas)), atol=1e-5, rtol=0
    )


def test_ordinary_poses_are_free(capsules: CapsuleBody) -> None:
    t_pose = axis_angle_to_matrix(torch.zeros(24, 3))
    sitting = posed(left_hip=(-85, 0, 0), right_hip=(-85, 0, 0), left_knee=(85, 0, 0), right_knee=(85, 0, 0))
    stride = posed(left_hip=(-40, 0, 0), right_hip=(25, 0, 0), right_knee=(40, 0, 0))
    poses = torch.stack([t_pose, posed(), sitting, stride])
    assert not self_intersecting(overlaps_m(capsules(poses, torch.zeros(10)))).any()


@pytest.mark.parametrize(
    ("turns", "parts"),
    [
        # The straight arm hangs down and inwards: it runs through the hip.
        ({"left_shoulder": (0, 0, -115)}, {"left_elbow", "left_wrist"}),
        # The thigh swings inwards, and the shins cross at the height of the knee.
        ({"left_hip": (0, 0, -25)}, {"left_knee", "right_knee", "right_hip", "left_ankle", "right_ankle"}),
        # Folded over backwards by far more than a spine bends.
        ({"spine1": (100, 0, 0), "spine2": (100, 0, 0)}, {"head", "neck", "spine3"}),
    ],
)
def test_impossible_poses_are_found(
    capsules: CapsuleBody, turns: dict[str, tuple[float, float, float]], parts: set[str]
) -> None:
    depth, deepest_parts = deepest(capsules, posed(**turns))
    assert depth > DEPTH_M
    assert deepest_parts & parts


def test_depth_falls_when_it_is_minimised(capsules: CapsuleBody) -> None:
    """Fitting can use it: a few steps downhill pull a hand out of a hip."""
    pose = torch.zeros(24, 3)
    pose[JOINTS.index("left_shoulder"), 2] = -1.45
    pose[JOINTS.index("left_elbow"), 2] = -0.35
    pose.requires_grad_()

    def depth() -> Tensor:
        return overlaps_m(capsules(axis_angle_to_matrix(pose), torch.zeros(10))).relu().square().sum()

    before = float(depth().detach())
    optimiser = torch.optim.Adam([pose], lr=0.02)
    for _ in range(40):
        optimiser.zero_grad()
        depth().backward()
        optimiser.step()
    assert before > 0.02**2
    assert float(depth().detach()) < 0.05 * before


def test_neighbours_are_not_compared() -> None:
    pairs = [{NAMES[i], NAMES[j]} for i, j in compared_pairs()]
    assert {"left_hip", "left_ankle"} not in pairs
    assert {"left_hip", "right_hip"} not in pairs
    assert {"spine2", "left_shoulder"} not in pairs
    assert {"left_knee", "right_knee"} in pairs
    assert {"spine3", "left_elbow"} in pairs
