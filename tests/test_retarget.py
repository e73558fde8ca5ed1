"""Retargeting: an actor with strange bones is imitated, twists are shared, errors measure angles."""

import math

import pytest
import torch

from monobody.body.kinematics import forward_kinematics
from monobody.body.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from monobody.body.skeleton import SKELETONS
from monobody.data.mocap import POINTS
from monobody.data.rest_poses import match_rest_poses
from monobody.data.retarget import _share_forearm_twist, normalised_joint_error, retarget

BODY = SKELETONS["smpl24"]
KNOWN = torch.tensor([float("hand" not in joint) for joint in BODY.joints])


@pytest.fixture(scope="module")
def rest():
    """A body at rest with round numbers: arms along x, legs down, feet forward."""
    at = {"pelvis": (0, 0, 0), "spine1": (0, 0.1, 0), "spine2": (0, 0.2, 0), "spine3": (0, 0.3, 0)}
    at |= {"neck": (0, 0.5, 0), "head": (0, 0.6, 0.03)}
    for side, x in (("left", 1), ("right", -1)):
        limbs = {"hip": (0.1, -0.05, 0), "knee": (0.1, -0.45, 0), "ankle": (0.1, -0.85, 0), "foot": (0.1, -0.9, 0.15)}
        limbs |= {"collar": (0.05, 0.42, 0), "shoulder": (0.18, 0.43, 0), "elbow": (0.45, 0.43, 0)}
        limbs |= {"wrist": (0.7, 0.43, 0), "hand": (0.8, 0.43, 0)}
        at |= {f"{side}_{place}": (x * px, py, pz) for place, (px, py, pz) in limbs.items()}
    return torch.tensor([at[joint] for joint in BODY.joints])


@pytest.fixture(scope="module")
def acted(rest):
    """A hundred frames of a made-up actor whose every bone also turns about itself."""
    generator = torch.Generator().manual_seed(0)
    pose = 0.15 * torch.randn(100, 24, 3, generator=generator)
    bend = torch.rand(100, 4, generator=generator)
    for j, joint in enumerate(BODY.joints):
        if "shoulder" in joint:
            pose[:, j, 2] += -0.9 if "left" in joint else 0.9
        if "elbow" in joint:
            pose[:, j, 1] = (-1.5 if "left" in joint else 1.5) * (0.2 + bend[:, 0])
        if "knee" in joint:
            pose[:, j, 0] = 1.5 * (0.2 + bend[:, 1])
        if "hand" in joint:
            pose[:, j] = 0
    pose[:, 0] = torch.randn(100, 3, generator=generator)
    rotations = axis_angle_to_matrix(pose)
    world, joints = forward_kinematics(rotations, rest.expand(100, 24, 3), BODY.parents)
    return rotations, world, joints


def angle_deg(a, b):
    return torch.rad2deg(matrix_to_axis_angle(a.mT @ b).norm(dim=-1))


def test_an_actor_with_strange_bone_axes_and_lengths_is_imitated(rest, acted):
    _, world, joints = acted
    # The source measures in centimetres and its bones' axes are turned by constants of its own.
    offset = axis_angle_to_matrix(torch.randn(24, 3, generator=torch.Generator().manual_seed(1)))
    points = 100 * joints[:, [BODY.index(name) for name in POINTS]]
    found = retarget(points, world @ offset, KNOWN, rest)
    assert found.joint_error.mean() < 0.004
    assert found.direction_error_deg.mean() < 0.5
    found_world, _ = forward_kinematics(found.rotations, rest.expand(100, 24, 3), BODY.parents)
    limbs = [BODY.index(f"{side}_{place}") for side in ("left", "right") for place in ("hip", "knee", "shoulder")]
    assert angle_deg(found_world, world)[:, limbs].mean() < 12  # Twists included; directions alone leave them open.


def test_constants_between_rest_poses_are_found(acted):
    _, world, _ = acted
    upright = world.clone()
    upright[:, BODY.index("spine3")] = torch.eye(3)
    upright[:, BODY.index("head")] = torch.eye(3)
    offset = axis_angle_to_matrix(torch.randn(24, 3, generator=torch.Generator().manual_seed(2)))
    matched = match_rest_poses(upright @ offset, upright, KNOWN, level_feet=False)
    torch.testing.assert_close(matched[:, KNOWN > 0], upright[:, KNOWN > 0], atol=1e-4, rtol=0)


def test_forearm_twist_is_shared_and_the_hand_stays(acted):
    rotations, _, _ = acted
    shared = _share_forearm_twist(rotations)
    for side in ("left", "right"):
        elbow, wrist = BODY.index(f"{side}_elbow"), BODY.index(f"{side}_wrist")
        before, after = (r[:, elbow] @ r[:, wrist] for r in (rotations, shared))
        torch.testing.assert_close(before, after, atol=1e-5, rtol=0)
        # The forearm points where it did.
        torch.testing.assert_close(rotations[:, elbow, :, 0], shared[:, elbow, :, 0], atol=1e-5, rtol=0)
    twisted = torch.eye(3).repeat(1, 24, 1, 1)
    twisted[:, BODY.index("left_wrist")] = axis_angle_to_matrix(torch.tensor([1.0, 0, 0]))
    halves = matrix_to_axis_angle(_share_forearm_twist(twisted))
    assert halves[0, BODY.index("left_elbow"), 0] == pytest.approx(0.5, abs=1e-5)
    assert halves[0, BODY.index("left_wrist"), 0] == pytest.approx(0.5, abs=1e-5)


def test_joint_error_ignores_lengths_and_measures_angles(rest):
    def places(joints):
        found = {name: joints[:, BODY.index(name)] for name in POINTS}
        for middle in ("hip", "shoulder"):
            found[f"{middle}s"] = 0.5 * (found[f"left_{middle}"] + found[f"right_{middle}"])
        return found

    straight = places(rest[None])
    assert normalised_joint_error(straight, {name: 7 * p for name, p in straight.items()}, rest).max() < 1e-6
    bent = dict(straight)
    angle = math.radians(10)
    forearm = rest[BODY.index("left_wrist")] - rest[BODY.index("left_elbow")]
    bent["left_wrist"] = bent["left_elbow"] + forearm.norm() * torch.tensor([math.cos(angle), math.sin(angle), 0])
    error = normalised_joint_error(bent, straight, rest)
    assert error.max() == pytest.approx(2 * forearm.norm().item() * math.sin(angle / 2), rel=1e-4)
    assert (error > 1e-6).sum() == 1
