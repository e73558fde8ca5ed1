"""Bodies and losses in mixed precision: bfloat16 is for the networks; what is measured in millimetres stays exact."""

import pytest
import torch

from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.body.rotation import axis_angle_to_matrix, rotation_6d_to_matrix
from monobody.losses import critic_loss, joint_l1_loss, joint_loss, keypoint_loss, parameter_loss


@pytest.fixture(autouse=True)
def _mixed() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (torch.eye(2) @ torch.eye(2)).dtype is torch.bfloat16
        yield


def test_rotations_stay_rotations() -> None:
    for matrices in (axis_angle_to_matrix(torch.randn(500, 3)), rotation_6d_to_matrix(torch.randn(500, 6))):
        assert matrices.dtype is torch.float32
        products = (matrices[..., :, :, None] * matrices[..., :, None, :]).sum(-3)
        torch.testing.assert_close(products, torch.eye(3).expand(500, 3, 3), atol=1e-5, rtol=0)


def test_joints_stay_where_they_are() -> None:
    joints = JointBody.from_body(Body.load(), ("cocoplus19",))
    rotations, betas = axis_angle_to_matrix(0.5 * torch.randn(8, 24, 3)), torch.randn(8, 10)
    with torch.autocast("cpu", enabled=False):
        exact = joints(rotations, betas)["cocoplus19"]
    torch.testing.assert_close(joints(rotations, betas)["cocoplus19"], exact, atol=1e-6, rtol=0)


def test_losses_are_what_they_are_without_it() -> None:
    points, places, known = torch.randn(2, 4, 19, 2), torch.randn(2, 4, 14, 3), torch.ones(4)
    turns, betas, scores = torch.randn(2, 4, 24, 3, 3), torch.randn(2, 4, 10), torch.randn(2, 4, 25)

    def losses() -> torch.Tensor:
        return torch.stack(
            [
                keypoint_loss(*points, torch.ones(4, 19)),
                joint_loss(*places, known),
                joint_l1_loss(*places, known),
                parameter_loss(turns[0], betas[0], turns[1], betas[1], known),
                critic_loss(*scores),
            ]
        )

    with torch.autocast("cpu", enabled=False):
        exact = losses()
    assert losses().dtype is torch.float32
    torch.testing.assert_close(losses(), exact, atol=0, rtol=1e-6)
