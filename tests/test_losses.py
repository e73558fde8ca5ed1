"""The losses against their plain formulas, and where their gradients go."""

import math

import numpy as np
import pytest
import torch

from monobody.losses import joint_l1_loss, joint_loss, keypoint_loss, parameter_loss


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_keypoint_loss_divides_by_visible_numbers(generator):
    predicted, target = torch.randn(2, 5, 19, 2, generator=generator)
    visible = (torch.rand(5, 19, generator=generator) < 0.5).float()
    total = count = 0.0
    for person in range(5):
        for joint in range(19):
            for axis in range(2):
                error = abs(float(predicted[person, joint, axis]) - float(target[person, joint, axis]))
                total += float(visible[person, joint]) * error
                count += float(visible[person, joint])
    assert float(keypoint_loss(predicted, target, visible)) == pytest.approx(total / count, rel=1e-5)


def test_hiding_half_of_the_keypoints_does_not_halve_the_loss():
    predicted, target = torch.zeros(3, 19, 2), torch.full((3, 19, 2), 0.25)
    visible = torch.ones(3, 19)
    whole = keypoint_loss(predicted, target, visible)
    visible[:, ::2] = 0
    assert float(keypoint_loss(predicted, target, visible)) == pytest.approx(float(whole)) == pytest.approx(0.25)


def test_joint_loss_is_half_the_mean_square_after_mid_hip(generator):
    predicted, target = torch.randn(2, 4, 14, 3, generator=generator)
    labelled = torch.tensor([1.0, 0.0, 1.0, 1.0])
    p, t = predicted.numpy().astype(np.float64), target.numpy().astype(np.float64)
    p = p - (p[:, 2:3] + p[:, 3:4]) / 2
    t = t - (t[:, 2:3] + t[:, 3:4]) / 2
    kept = labelled.numpy() > 0
    expected = 0.5 * ((p[kept] - t[kept]) ** 2).mean()
    assert float(joint_loss(predicted, target, labelled)) == pytest.approx(expected, rel=1e-5)
    assert float(joint_l1_loss(predicted, target, labelled)) == pytest.approx(np.abs(p - t)[kept].mean(), rel=1e-5)


def test_joint_loss_ignores_where_the_body_stands(generator):
    predicted, target = torch.randn(2, 4, 14, 3, generator=generator)
    labelled = torch.ones(4)
    moved = joint_loss(predicted + torch.tensor([3.0, -2.0, 9.0]), target, labelled)
    assert float(moved) == pytest.approx(float(joint_loss(predicted, target, labelled)), rel=1e-4)


def test_parameter_loss_is_half_the_mean_square_of_226_numbers(generator):
    rotations, target_rotations = torch.randn(2, 3, 24, 3, 3, generator=generator)
    betas, target_betas = torch.randn(2, 3, 10, generator=generator)
    labelled = torch.tensor([0.0, 1.0, 1.0])
    squares = ((rotations - target_rotations)[1:] ** 2).sum() + ((betas - target_betas)[1:] ** 2).sum()
    expected = 0.5 * float(squares) / (2 * 226)
    value = parameter_loss(rotations, betas, target_rotations, target_betas, labelled)
    assert float(value) == pytest.approx(expected, rel=1e-5)


def losses_of(predicted, nothing: float):
    """All four losses with labels of NaN, which must not matter while `nothing` says that no label exists."""
    keypoints, joints, rotations, betas = predicted
    labelled = torch.full((2,), nothing)
    return [
        keypoint_loss(keypoints, torch.full_like(keypoints, math.nan), torch.full((2, 19), nothing)),
        joint_loss(joints, torch.full_like(joints, math.nan), labelled),
        joint_l1_loss(joints, torch.full_like(joints, math.nan), labelled),
        parameter_loss(
            rotations, betas, torch.full_like(rotations, math.nan), torch.full_like(betas, math.nan), labelled
        ),
    ]


def test_nothing_labelled_is_zero_with_a_gradient_of_zero(generator):
    shapes = [(2, 19, 2), (2, 14, 3), (2, 24, 3, 3), (2, 10)]
    predicted = [torch.randn(*shape, generator=generator, requires_grad=True) for shape in shapes]
    losses = losses_of(predicted, nothing=0.0)
    assert [loss.item() for loss in losses] == [0.0] * 4
    sum(losses).backward()
    for tensor in predicted:
        assert tensor.grad is not None
        assert torch.equal(tensor.grad, torch.zeros_like(tensor))


def test_gradient_reaches_exactly_what_is_labelled(generator):
    keypoints = torch.randn(3, 19, 2, generator=generator, requires_grad=True)
    joints = torch.randn(3, 14, 3, generator=generator, requires_grad=True)
    rotations = torch.randn(3, 24, 3, 3, generator=generator, requires_grad=True)
    betas = torch.randn(3, 10, generator=generator, requires_grad=True)
    visible = torch.zeros(3, 19)
    visible[0, 4] = visible[2, 18] = 1
    labelled = torch.tensor([0.0, 1.0, 0.0])
    total = (
        keypoint_loss(keypoints, torch.zeros(3, 19, 2), visible)
        + joint_loss(joints, torch.zeros(3, 14, 3), labelled)
        + parameter_loss(rotations, betas, torch.zeros(3, 24, 3, 3), torch.zeros(3, 10), labelled)
    )
    total.backward()
    assert torch.equal((keypoints.grad != 0).all(-1), visible > 0)
    assert torch.equal((keypoints.grad != 0).any(-1), visible > 0)
    for tensor in (joints, rotations, betas):
        touched = (tensor.grad != 0).flatten(1)
        assert touched[1].all()
        assert not touched[[0, 2]].any()


def test_gradients_agree_with_finite_differences(generator):
    predicted = torch.randn(2, 14, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    target = torch.randn(2, 14, 3, generator=generator, dtype=torch.float64)
    labelled = torch.ones(2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: joint_loss(x, target, labelled), predicted)
    visible = torch.ones(2, 14, dtype=torch.float64)
    flat = predicted.detach()[..., :2].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: keypoint_loss(x, target[..., :2], visible), flat)
