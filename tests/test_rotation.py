"""Rotations: group axioms, round trips, agreement with scipy, gradients at the awkward angles."""

import pytest
import torch

from monobody.body import rotation

PI = torch.pi


@pytest.fixture
def axis_angles() -> torch.Tensor:
    """Random rotations of every size up to pi, the identity and half turns among them (float64)."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(200, 3, generator=generator, dtype=torch.float64), dim=-1)
    angles = torch.linspace(0, PI - 1e-6, 200, dtype=torch.float64)
    angles[1:6] = torch.tensor([1e-12, 1e-8, 1e-6, 1e-4, 3e-3], dtype=torch.float64)
    return directions * angles[:, None]


def test_axis_angle_agrees_with_scipy(axis_angles: torch.Tensor) -> None:
    scipy_rotation = pytest.importorskip("scipy.spatial.transform").Rotation
    reference = scipy_rotation.from_rotvec(axis_angles.numpy())
    matrix = rotation.axis_angle_to_matrix(axis_angles)
    torch.testing.assert_close(matrix, torch.from_numpy(reference.as_matrix()), atol=1e-12, rtol=0)
    xyzw = torch.from_numpy(reference.as_quat(canonical=True))
    quaternion = rotation.matrix_to_quaternion(matrix)
    torch.testing.assert_close(quaternion, xyzw[:, [3, 0, 1, 2]], atol=1e-9, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_matrices_are_rotations(axis_angles: torch.Tensor, dtype: torch.dtype) -> None:
    matrix = rotation.axis_angle_to_matrix(axis_angles.to(dtype))
    assert matrix.dtype == dtype
    tolerance = 2e-6 if dtype == torch.float32 else 1e-13
    identity = torch.eye(3, dtype=dtype).expand_as(matrix)
    torch.testing.assert_close(matrix @ matrix.mT, identity, atol=tolerance, rtol=0)
    torch.testing.assert_close(torch.linalg.det(matrix), torch.ones(len(matrix), dtype=dtype), atol=tolerance, rtol=0)


def test_group_axioms(axis_angles: torch.Tensor) -> None:
    matrix = rotation.axis_angle_to_matrix(axis_angles)
    torch.testing.assert_close(rotation.axis_angle_to_matrix(-axis_angles), matrix.mT, atol=1e-13, rtol=0)
    twice = rotation.axis_angle_to_matrix(2 * axis_angles)
    torch.testing.assert_close(matrix @ matrix, twice, atol=1e-12, rtol=0)
    a, b, c = matrix[:60], matrix[60:120], matrix[120:180]
    torch.testing.assert_close((a @ b) @ c, a @ (b @ c))
    moved = torch.einsum("nij,nj->ni", matrix, axis_angles)
    torch.testing.assert_close(moved, axis_angles, atol=1e-12, rtol=0)  # The axis stays where it is.


def test_round_trips(axis_angles: torch.Tensor) -> None:
    matrix = rotation.axis_angle_to_matrix(axis_angles)
    torch.testing.assert_close(rotation.matrix_to_axis_angle(matrix), axis_angles, atol=1e-8, rtol=0)
    through_6d = rotation.rotation_6d_to_matrix(rotation.matrix_to_rotation_6d(matrix))
    torch.testing.assert_close(through_6d, matrix, atol=1e-12, rtol=0)
    through_quaternion = rotation.quaternion_to_matrix(rotation.matrix_to_quaternion(matrix))
    torch.testing.assert_close(through_quaternion, matrix, atol=1e-12, rtol=0)


def test_half_turns_come_back_as_half_turns() -> None:
    axis_angle = PI * torch.eye(3, dtype=torch.float64)
    matrix = rotation.axis_angle_to_matrix(axis_angle)
    back = rotation.matrix_to_axis_angle(matrix)
    torch.testing.assert_close(rotation.axis_angle_to_matrix(back), matrix, atol=1e-12, rtol=0)
    torch.testing.assert_close(back.norm(dim=-1), torch.full((3,), PI, dtype=torch.float64))


def test_6d_code_is_first_column_then_second() -> None:
    quarter = rotation.rotation_about("z", PI / 2)
    expected = torch.tensor([0.0, 1.0, 0.0, -1.0, 0.0, 0.0])
    torch.testing.assert_close(rotation.matrix_to_rotation_6d(quarter), expected, atol=1e-6, rtol=0)
    # Length and skew of the code do not matter.
    skewed = torch.cat([3 * expected[:3], 0.5 * expected[3:] + 0.7 * expected[:3]])
    torch.testing.assert_close(rotation.rotation_6d_to_matrix(skewed), quarter, atol=1e-6, rtol=0)


def test_right_hand_rule() -> None:
    for axis, start, end in (("x", 1, 2), ("y", 2, 0), ("z", 0, 1)):
        turned = rotation.rotation_about(axis, torch.tensor([PI / 2]))[0, :, start]
        torch.testing.assert_close(turned, torch.eye(3)[end], atol=1e-6, rtol=0)


@pytest.mark.parametrize("length", [0.0, 1e-10, 1e-5, 1e-2, 1.0, 3.0])
def test_gradients_by_finite_differences(length: float) -> None:
    vector = length * torch.tensor([0.6, -0.64, 0.48], dtype=torch.float64)
    vector.requires_grad_()
    assert torch.autograd.gradcheck(rotation.axis_angle_to_matrix, vector)

    def there_and_back(x: torch.Tensor) -> torch.Tensor:
        return rotation.matrix_to_axis_angle(rotation.axis_angle_to_matrix(x))

    assert torch.autograd.gradcheck(there_and_back, vector)
    code = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(rotation.rotation_6d_to_matrix, code)


def test_gradient_at_zero_is_the_cross_product_in_float32() -> None:
    zero = torch.zeros(3, requires_grad=True)
    rotation.axis_angle_to_matrix(zero)[2, 1].backward()
    torch.testing.assert_close(zero.grad, torch.tensor([1.0, 0.0, 0.0]))


def test_any_leading_dimensions() -> None:
    for shape in ((), (1,), (0,), (2, 3, 4)):
        vector = torch.randn(*shape, 3)
        matrix = rotation.axis_angle_to_matrix(vector)
        assert matrix.shape == (*shape, 3, 3)
        assert rotation.matrix_to_axis_angle(matrix).shape == (*shape, 3)
        assert rotation.matrix_to_rotation_6d(matrix).shape == (*shape, 6)
        assert rotation.matrix_to_quaternion(matrix).shape == (*shape, 4)
        assert rotation.rotation_about("y", torch.zeros(shape)).shape == (*shape, 3, 3)
