"""The body: skinning against its definition, gradients, invariances, symmetry; and JointBody against the mesh."""

from collections.abc import Callable

import pytest
import torch

from monobody.body.kinematics import JointBody, forward_kinematics, mirror_pose
from monobody.body.model import Body
from monobody.body.rotation import axis_angle_to_matrix, rotation_about
from monobody.body.skeleton import HUMAN_SETS, SKELETONS, correspondence

MIRROR = torch.tensor([-1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.load()


@pytest.fixture(scope="module")
def joint_body(body: Body) -> JointBody:
    return JointBody.from_body(body, sets=tuple(HUMAN_SETS))


def poses(*batch: int, seed: int = 0, spread: float = 0.6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return axis_angle_to_matrix(spread * torch.randn(*batch, 24, 3, generator=generator))


def shapes(*batch: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*batch, 10, generator=torch.Generator().manual_seed(seed))


def millimetres(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest distance between points."""
    return 1000 * (a - b).norm(dim=-1).max().item()


def skin_by_definition(body: Body, rotations: torch.Tensor, betas: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Skin one body in float64 by 4 x 4 matrices joint by joint, straight from the paper's equations."""
    data = body.data
    as_double = {name: torch.from_numpy(getattr(data, name)).double() for name in ("v_template", "shapedirs")}
    rest = as_double["v_template"] + as_double["shapedirs"] @ betas.double()
    joints = torch.from_numpy(data.J_regressor).double() @ rest
    rotations = rotations.double()
    features = (rotations[1:] - torch.eye(3)).reshape(-1)
    rest = rest + torch.from_numpy(data.posedirs).double() @ features
    world: list[torch.Tensor] = []
    for joint, parent in enumerate(data.parents):
        local = torch.eye(4, dtype=torch.float64)
        local[:3, :3] = rotations[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
        world.append(local if parent < 0 else world[parent] @ local)
    posed = torch.zeros_like(rest)
    for joint, matrix in enumerate(world):
        moved = (rest - joints[joint]) @ matrix[:3, :3].T + matrix[:3, 3]
        posed += torch.from_numpy(data.weights[:, joint, None]).double() * moved
    return posed, torch.stack(world)[:, :3, 3]


def test_skinning_follows_the_definition(body: Body) -> None:
    rotations, betas = poses(3), shapes(3)
    posed = body(rotations, betas)
    for n in range(3):
        vertices, joints = skin_by_definition(body, rotations[n], betas[n])
        assert millimetres(posed.vertices_m[n].double(), vertices) < 0.01
        assert millimetres(posed.joints_m[n].double(), joints) < 0.01


def test_zero_pose_is_the_template(body: Body) -> None:
    rest = body(torch.eye(3).expand(24, 3, 3))
    assert millimetres(rest.vertices_m, body.template) < 1e-3
    assert millimetres(rest.joints_m, body.joint_template) < 1e-3
    torch.testing.assert_close(rest.transforms, torch.eye(4).expand(24, 4, 4), atol=1e-6, rtol=0)


def test_identity_once_equals_betas_every_time(body: Body) -> None:
    rotations, betas = poses(4), shapes()
    once = body.identity(betas)
    posed = body(rotations, identity=once)
    for n in range(4):
        assert millimetres(posed.vertices_m[n], body(rotations[n], betas).vertices_m) < 1e-2
    torch.testing.assert_close(
        once.joints_m, torch.from_numpy(body.data.J_regressor) @ once.vertices_m, atol=1e-5, rtol=0
    )


def test_any_leading_dimensions(body: Body, joint_body: JointBody) -> None:
    rotations, betas = poses(2, 3), shapes(2, 3)
    posed, points = body(rotations, betas), joint_body(rotations, betas)
    assert posed.vertices_m.shape == (2, 3, len(body.template), 3)
    assert posed.transforms.shape == (2, 3, 24, 4, 4)
    single = body(rotations[1, 2], betas[1, 2])
    assert millimetres(posed.vertices_m[1, 2], single.vertices_m) < 1e-2
    assert millimetres(points["coco17"][1, 2], joint_body(rotations[1, 2], betas[1, 2])["coco17"]) < 1e-2
    assert body(rotations[:0], betas[:0]).vertices_m.shape == (0, 3, len(body.template), 3)
    assert joint_body(rotations[:0], betas[:0])["lsp14"].shape == (0, 3, 14, 3)
    one_shape = body(rotations, betas[0, 0])
    assert millimetres(one_shape.vertices_m[0, 0], posed.vertices_m[0, 0]) < 1e-2


def test_turning_the_root_turns_everything(body: Body) -> None:
    rotations, betas = poses(1), shapes(1)
    turn = rotation_about("y", 0.8) @ rotation_about("x", 2.0)
    turned = rotations.clone()
    turned[:, 0] = turn @ rotations[:, 0]
    before, after = body(rotations, betas), body(turned, betas)
    centre = before.joints_m[:, :1]
    expected = (before.vertices_m - centre) @ turn.T + centre
    assert millimetres(after.vertices_m, expected) < 0.01


def test_transforms_carry_rest_joints_to_posed_joints(body: Body) -> None:
    rotations, betas = poses(2), shapes(2)
    posed, rest = body(rotations, betas), body.identity(betas).joints_m
    carried = (posed.transforms[..., :3, :3] @ rest[..., None]).squeeze(-1) + posed.transforms[..., :3, 3]
    assert millimetres(carried, posed.joints_m) < 0.01


def check_gradients(function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
    """Compare a scalar's gradients by pose and shape with central differences along random directions (float64)."""
    axis_angle = (0.5 * torch.randn(24, 3, generator=torch.Generator().manual_seed(2))).double()
    axis_angle[5] = 0  # The identity has gradients too.
    inputs = (axis_angle.requires_grad_(), shapes().double().requires_grad_())
    gradients = torch.autograd.grad(function(*inputs), inputs)
    step = 1e-6
    for which, gradient in enumerate(gradients):
        assert gradient.abs().min() > 0, "every number moves something"
        for seed in range(4):
            along = torch.randn(gradient.shape, generator=torch.Generator().manual_seed(seed)).double()
            ends = []
            for sign in (-1, 1):
                moved = [value.detach() for value in inputs]
                moved[which] = moved[which] + sign * step * along
                ends.append(function(*moved))
            numerical = (ends[1] - ends[0]) / (2 * step)
            torch.testing.assert_close((gradient * along).sum(), numerical, rtol=1e-5, atol=1e-6)


def test_skinning_gradients(body: Body) -> None:
    exact = Body(body.data).double()
    direction = torch.randn(len(body.template), 3, generator=torch.Generator().manual_seed(3)).double()
    check_gradients(lambda pose, shape: (exact(axis_angle_to_matrix(pose), shape).vertices_m * direction).sum())


def test_joint_body_gradients(body: Body) -> None:
    exact = JointBody.from_body(Body(body.data).double(), sets=("blazepose33", "smpl24"))
    direction = torch.randn(33, 3, generator=torch.Generator().manual_seed(6)).double()

    def projection(pose: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
        points = exact(axis_angle_to_matrix(pose), shape)
        return (points["blazepose33"] * direction).sum() + (points["smpl24"] * direction[:24]).sum()

    check_gradients(projection)


@pytest.mark.parametrize("set_name", [name for name in HUMAN_SETS if name != "smpl24"])
def test_joint_body_equals_the_mesh(body: Body, joint_body: JointBody, set_name: str) -> None:
    rotations, betas = poses(5), shapes(5)
    from_mesh = body.keypoints(body(rotations, betas).vertices_m, set_name)
    assert millimetres(joint_body(rotations, betas)[set_name], from_mesh) < 0.1


def test_joint_body_has_the_centres_of_rotation(body: Body, joint_body: JointBody) -> None:
    rotations, betas = poses(5), shapes(5)
    posed = body(rotations, betas)
    assert millimetres(joint_body(rotations, betas)["smpl24"], posed.joints_m) < 0.01
    read = body.keypoints(posed.vertices_m, "smpl24")
    assert 1000 * (read - posed.joints_m).norm(dim=-1).mean() < 5


def test_forward_kinematics_of_a_bent_chain() -> None:
    rest = torch.tensor([[0.0, 0, 0], [1.0, 0, 0], [2.0, 0, 0], [1.0, 1, 0]])
    rotations = torch.eye(3).repeat(4, 1, 1)
    rotations[1] = rotation_about("z", torch.pi / 2)
    orientations, joints = forward_kinematics(rotations, rest, (-1, 0, 1, 1))
    expected = torch.tensor([[0.0, 0, 0], [1.0, 0, 0], [1.0, 1, 0], [0.0, 0, 0]])
    torch.testing.assert_close(joints, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(orientations[2], rotations[1])


def test_mirroring_twice_changes_nothing() -> None:
    rotations = poses(3)
    torch.testing.assert_close(mirror_pose(mirror_pose(rotations)), rotations)
    axis_angle = torch.randn(24, 3, generator=torch.Generator().manual_seed(5))
    signs = torch.tensor([1.0, -1.0, -1.0])
    by_signs = axis_angle_to_matrix(axis_angle[list(SKELETONS["smpl24"].flip)] * signs)
    torch.testing.assert_close(mirror_pose(axis_angle_to_matrix(axis_angle)), by_signs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("set_name", list(HUMAN_SETS))
def test_a_mirrored_pose_gives_mirrored_points(body: Body, joint_body: JointBody, set_name: str) -> None:
    rotations, betas = poses(3), shapes(3)
    points = joint_body(rotations, betas)[set_name]
    mirrored = joint_body(mirror_pose(rotations), betas)[set_name]
    flip = list(SKELETONS[set_name].flip)
    assert millimetres(mirrored, (points * MIRROR)[:, flip]) < 0.05


def test_a_mirrored_pose_gives_a_mirrored_mesh(body: Body) -> None:
    rotations, betas = poses(1), shapes(1)
    original = body(rotations, betas).vertices_m[0] * MIRROR
    mirrored = body(mirror_pose(rotations), betas).vertices_m[0]
    exact = "donot_use_mm_for_euclid_dist"
    nearest = torch.cdist(original[::17], mirrored, compute_mode=exact).min(dim=1).values
    assert 1000 * nearest.max() < 0.05


@pytest.mark.parametrize("source", list(HUMAN_SETS))
@pytest.mark.parametrize("target", list(HUMAN_SETS))
def test_corresponding_points_lie_close_on_the_mesh(joint_body: JointBody, source: str, target: str) -> None:
    points = joint_body(poses(4, spread=0.3), shapes(4))
    for joint, found in enumerate(correspondence(source, target)):
        if found >= 0:
            distance = (points[source][:, found] - points[target][:, joint]).norm(dim=-1).mean()
            name = SKELETONS[target].joints[joint]
            assert distance < 0.08, f"{name} lies {100 * distance:.1f} cm apart in {source} and {target}"
