"""The critic: its parts as published, its losses against their formulas, and whom each gradient reaches."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.body.rotation import axis_angle_to_matrix
from monobody.camera import project_weak
from monobody.data.mix import fixed_rows
from monobody.data.pose_bank import PoseBank
from monobody.data.real_bodies import RealBodies
from monobody.errors import UserError
from monobody.losses import adversarial_encoder_loss, critic_loss, joint_loss, keypoint_loss, parameter_loss
from monobody.metrics import pa_mpjpe
from monobody.models.critic import SCORES, Critic
from monobody.models.hmr import HMR, IterativeRegressor
from monobody.models.output import HMROutput
from monobody.train.checkpoint import load as load_checkpoint
from monobody.train.engine import fit
from monobody.train.hmr_task import HMRTask, LossWeights, adversarial_losses, as_input, body_losses
from monobody.train.log import read_table
from monobody.train.plan import Plan
from monobody.train.sources import people_of, real_bodies_of
from monobody.train.task import Findings

PLAN = Plan(steps=4, warmup_steps=1, log_every=1, checkpoint_minutes=None, device="cpu", clip_norm=None, final_rate=1.0)
SIZE = 8


@pytest.fixture(scope="module")
def joints() -> JointBody:
    return JointBody.from_body(Body.load(), ("cocoplus19",))


def random_bodies(number: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Stand in for real ones."""
    generator = torch.Generator().manual_seed(number)
    rotations = axis_angle_to_matrix(0.5 * torch.randn(count, 23, 3, generator=generator))
    return rotations.numpy(), torch.randn(count, 10, generator=generator).numpy()


def batch_of(count: int, number: int = 0) -> dict[str, torch.Tensor]:
    """Noise with all labels."""
    generator = torch.Generator().manual_seed(number)
    rotations = axis_angle_to_matrix(0.4 * torch.randn(count, 24, 3, generator=generator))
    return {
        "images": torch.randint(0, 256, (count, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8),
        "keypoints_2d": torch.randn(count, 19, 2, generator=generator),
        "visible": torch.ones(count, 19),
        "joints_3d": torch.randn(count, 14, 3, generator=generator),
        "has_joints_3d": torch.ones(count),
        "rotations": rotations,
        "betas": torch.randn(count, 10, generator=generator),
        "has_body": torch.ones(count),
    }


def network() -> HMR:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 20))
    model = HMR("tiny", encoder, IterativeRegressor(20, hidden=32, rotation="axis-angle"), input_size=SIZE)
    with torch.no_grad():  # Iterations that differ, and rotations away from the identity.
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape)
    return model


def task_of(joints: JointBody, weights: LossWeights | None = None, count: int = 3, **options) -> HMRTask:
    def stream(first, process, processes):
        number = first
        while True:
            yield batch_of(count, number * processes + process)
            number += 1

    options = {"regressor_rate": 1e-3, "encoder_rate": 1e-3, "bodies": random_bodies, "weight_decay": 0.0} | options
    weights = LossWeights(squared_joints=True, adversarial=1.0) if weights is None else weights
    return HMRTask(network(), joints, stream, lambda *_: Findings(numbers={}), weights=weights, **options)


def gradients(losses: dict[str, torch.Tensor], names: list[str], *modules: nn.Module) -> list[torch.Tensor | None]:
    parameters = [parameter for module in modules for parameter in module.parameters()]
    total = torch.stack([losses[name] for name in names]).sum()
    return list(torch.autograd.grad(total, parameters, retain_graph=True, allow_unused=True))


def test_the_critic_is_the_published_one():
    critic = Critic()
    assert SCORES == 25
    shared = 9 * 32 + 32 + 32 * 32 + 32
    assert sum(p.numel() for p in critic.shared.parameters()) == shared
    assert sum(p.numel() for p in critic.joints.parameters()) == 23 * 33
    assert sum(p.numel() for p in critic.pose.parameters()) == 736 * 1024 + 1024 + 1024 * 1024 + 1024 + 1024 + 1
    assert sum(p.numel() for p in critic.shape.parameters()) == 10 * 10 + 10 + 10 * 5 + 5 + 5 + 1
    assert not any(isinstance(module, (nn.Dropout, nn.BatchNorm1d, nn.Sigmoid)) for module in critic.modules())
    for module in critic.modules():
        if isinstance(module, nn.Linear):
            limit = (6 / (module.in_features + module.out_features)) ** 0.5
            assert module.weight.abs().max() <= limit
            assert module.weight.numel() < 30 or module.weight.abs().max() > 0.8 * limit
            assert not module.bias.any()


def test_scores_against_plain_numpy():
    torch.manual_seed(0)
    critic = Critic()
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter += 0.1 * torch.randn(parameter.shape)
    rotations, betas = random_bodies(0, 4)
    weights = {name: value.detach().double().numpy() for name, value in critic.named_parameters()}

    def layer(name: str, x: np.ndarray) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    seen = np.stack([rotations[:, k].reshape(4, 9) for k in range(23)], axis=1).astype(np.float64)
    seen = np.maximum(layer("shared.2", np.maximum(layer("shared.0", seen), 0)), 0)
    columns = [layer(f"joints.{k}", seen[:, k])[:, 0] for k in range(23)]
    h = np.maximum(layer("pose.2", np.maximum(layer("pose.0", seen.reshape(4, 736)), 0)), 0)
    columns.append(layer("pose.4", h)[:, 0])
    h = np.maximum(layer("shape.2", np.maximum(layer("shape.0", betas.astype(np.float64)), 0)), 0)
    columns.append(layer("shape.4", h)[:, 0])
    found = critic(torch.from_numpy(rotations), torch.from_numpy(betas)).detach().numpy()
    assert found.shape == (4, 25)
    np.testing.assert_allclose(found, np.stack(columns, axis=1), rtol=1e-4, atol=1e-5)


def test_each_joint_has_a_judge_of_its_own():
    critic = Critic()
    rotations, betas = (torch.from_numpy(value) for value in random_bodies(0, 2))
    before = critic(rotations, betas)
    rotations[:, 5] = torch.eye(3)
    changed = (critic(rotations, betas) != before).all(0)
    assert changed.nonzero().flatten().tolist() == [5, 23]
    changed = (critic(rotations, betas + 1) != critic(rotations, betas)).all(0)
    assert changed.nonzero().flatten().tolist() == [24]


def rodrigues(vector: np.ndarray) -> np.ndarray:
    """R = I + sin(a) K + (1 - cos(a)) K K, for one vector."""
    angle = np.linalg.norm(vector)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def test_all_five_losses_against_plain_numpy():
    """The formulas, with axis-angle vectors at the border, half of the labels missing, in plain numbers."""
    rng = np.random.default_rng(0)
    b = 6
    pose, target_pose = rng.normal(size=(2, b, 24, 3))
    matrices, target_matrices = (
        np.array([[rodrigues(vector) for vector in person] for person in people]) for people in (pose, target_pose)
    )
    betas, target_betas = rng.normal(size=(2, b, 10))
    points, target_points = rng.normal(size=(2, b, 19, 2))
    joints, target_joints = rng.normal(size=(2, b, 14, 3))
    visible = (rng.random((b, 19)) < 0.5).astype(float)
    has_joints, has_body = np.array([1, 0, 1, 0, 0, 1.0]), np.array([0, 0, 1, 1, 0, 0.0])

    expected_2d = sum(
        visible[i, k] * abs(points[i, k, c] - target_points[i, k, c])
        for i in range(b) for k in range(19) for c in range(2)
    ) / (2 * visible.sum())  # fmt: skip
    squares = []
    for i in np.flatnonzero(has_joints):
        own = joints[i] - (joints[i, 2] + joints[i, 3]) / 2
        other = target_joints[i] - (target_joints[i, 2] + target_joints[i, 3]) / 2
        squares += [(own - other).ravel() ** 2]
    expected_3d = 0.5 * np.concatenate(squares).mean()
    numbers = []
    for i in np.flatnonzero(has_body):
        numbers += [(matrices[i] - target_matrices[i]).ravel() ** 2, (betas[i] - target_betas[i]) ** 2]
    assert len(np.concatenate(numbers)) == 226 * 2
    expected_parameters = 0.5 * np.concatenate(numbers).mean()

    t = torch.from_numpy
    rotations, target_rotations = axis_angle_to_matrix(t(pose)), axis_angle_to_matrix(t(target_pose))
    np.testing.assert_allclose(rotations.numpy(), matrices, atol=1e-12)
    assert float(keypoint_loss(t(points), t(target_points), t(visible))) == pytest.approx(expected_2d)
    assert float(joint_loss(t(joints), t(target_joints), t(has_joints))) == pytest.approx(expected_3d)
    value = parameter_loss(rotations, t(betas), target_rotations, t(target_betas), t(has_body))
    assert float(value) == pytest.approx(expected_parameters)

    fake, real = rng.normal(size=(3 * b, 25)), rng.normal(size=(3 * b, 25))
    expected = np.mean([sum((score - 1) ** 2 for score in scores) for scores in fake])
    assert float(adversarial_encoder_loss(t(fake))) == pytest.approx(expected)
    expected = np.mean([sum((score - 1) ** 2 for score in scores) for scores in real])
    expected += np.mean([sum(score**2 for score in scores) for scores in fake])
    assert float(critic_loss(t(real), t(fake))) == pytest.approx(expected)


def test_rotations_without_betas_are_compared_alone():
    generator = torch.Generator().manual_seed(0)
    rotations, other = torch.randn(2, 3, 24, 3, 3, generator=generator)
    betas = torch.randn(3, 10, generator=generator, requires_grad=True)
    has_body, has_betas = torch.tensor([1.0, 1.0, 0.0]), torch.tensor([1.0, 0.0, 0.0])
    target = torch.full((3, 10), torch.nan)
    target[0] = 0
    loss = parameter_loss(rotations, betas, other, target, has_body, has_betas)
    total = ((rotations - other)[:2] ** 2).sum() + (betas[0] ** 2).sum()
    assert loss.item() == pytest.approx(0.5 * total.item() / (216 * 2 + 10), rel=1e-5)
    loss.backward()
    assert betas.grad[0].all()
    assert not betas.grad[1:].any()


def test_no_gradient_leaks_between_the_two_sides(joints):
    task = task_of(joints)
    model, critic = task.modules["model"], task.modules["critic"]
    batch = next(task.batches(0, process=0, processes=1))
    losses = task.losses(batch)
    assert set(losses) == {"keypoints", "joints", "parameters", "adversarial", "critic"}
    own = ["keypoints", "joints", "parameters", "adversarial"]
    assert all(g is None for g in gradients(losses, own, critic))
    assert all(g is None for g in gradients(losses, ["critic"], model))
    assert all(g is not None and g.any() for g in gradients(losses, ["adversarial"], model.encoder))
    assert all(g is not None and g.any() for g in gradients(losses, ["adversarial"], model.regressor))
    assert all(g is not None and g.any() for g in gradients(losses, ["critic"], critic))
    # What one backward pass of the sum leaves is each side's own.
    alone = gradients(losses, own, model) + gradients(losses, ["critic"], critic)
    torch.stack(list(losses.values())).sum().backward()
    for parameter, gradient in zip([*model.parameters(), *critic.parameters()], alone, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-5)


def test_three_iterations_are_judged_but_only_the_last_is_held_to_labels(joints):
    generator = torch.Generator().manual_seed(0)
    rotations = [
        axis_angle_to_matrix(torch.randn(2, 24, 3, generator=generator)).requires_grad_() for _ in range(3)
    ]  # fmt: skip
    outputs = [
        HMROutput(camera=torch.tensor([[0.9, 0, 0]]).repeat(2, 1), rotations=r, betas=torch.zeros(2, 10))
        for r in rotations
    ]
    batch = batch_of(2)
    real = random_bodies(0, 6)
    batch |= {"real_rotations": torch.from_numpy(real[0]), "real_betas": torch.from_numpy(real[1])}
    weights, critic = LossWeights(adversarial=1.0), Critic()
    supervised = sum(body_losses(outputs, batch, joints, weights).values())
    first, second, last = torch.autograd.grad(supervised, rotations, allow_unused=True)
    assert first is None
    assert second is None
    assert last is not None
    adversarial = adversarial_losses(outputs, batch, critic, 1.0)["adversarial"]
    judged = torch.autograd.grad(adversarial, rotations, retain_graph=True)
    for gradient in judged:
        assert gradient[:, 1:].any(dim=-1).any(dim=-1).all()
        assert not gradient[:, 0].any(), "the root is nobody's business"
    # With the last iteration's labels taken away, the adversarial gradient is all that is left in it.
    nothing = {name: torch.zeros_like(batch[name]) for name in ("visible", "has_joints_3d", "has_body")}
    unlabelled = sum(body_losses(outputs, batch | nothing, joints, weights).values())
    left = torch.autograd.grad(unlabelled + adversarial, rotations)
    for gradient, alone in zip(left, judged, strict=True):
        torch.testing.assert_close(gradient, alone)


def test_as_many_real_bodies_as_predicted_ones(joints):
    task = task_of(joints, count=5)
    batch = next(task.batches(0, process=0, processes=1))
    assert len(batch["real_rotations"]) == len(batch["real_betas"]) == 3 * 5
    seen = []
    task.modules["critic"].register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    task.losses(batch)
    assert seen == [15, 30], "predictions alone as it stands, then all together as it learns"


def test_real_bodies_depend_on_the_batch_and_the_process(joints):
    task = task_of(joints)
    fourth = next(task.batches(4, process=0, processes=1))
    stream = task.batches(0, process=0, processes=1)
    again = [next(stream) for _ in range(5)][4]
    torch.testing.assert_close(fourth["real_rotations"], again["real_rotations"], rtol=0, atol=0)
    pair = [next(task.batches(2, process=process, processes=2)) for process in range(2)]
    torch.testing.assert_close(pair[0]["real_betas"], fourth["real_betas"], rtol=0, atol=0)
    assert not torch.equal(pair[0]["real_betas"], pair[1]["real_betas"])


def test_nothing_visible_and_nothing_labelled_leaves_the_critic_alone(joints):
    task = task_of(joints)
    batch = next(task.batches(0, process=0, processes=1))
    for name in ("visible", "has_joints_3d", "has_body"):
        batch[name] = torch.zeros_like(batch[name])
    for name in ("keypoints_2d", "joints_3d", "rotations", "betas"):
        batch[name] = torch.full_like(batch[name], torch.nan)
    losses = task.losses(batch)
    assert losses["keypoints"].item() == losses["joints"].item() == losses["parameters"].item() == 0
    torch.stack(list(losses.values())).sum().backward()
    for parameter in task.modules["model"].parameters():
        assert parameter.grad.isfinite().all()


def test_a_critic_without_real_bodies_is_refused(joints):
    with pytest.raises(UserError, match=r"pose_bank\.npz"):
        task_of(joints, bodies=None)


def test_both_step_together_and_a_resumed_run_is_the_same(joints, tmp_path):
    start = {name: value.clone() for name, value in task_of(joints).modules["model"].state_dict().items()}
    whole = task_of(joints)
    judge = {name: value.clone() for name, value in whole.modules["critic"].state_dict().items()}
    fit(whole, PLAN, tmp_path / "whole")
    for module, before in (("model", start), ("critic", judge)):
        assert all(not torch.equal(v, before[k]) for k, v in whole.modules[module].state_dict().items())
    fit(task_of(joints), replace(PLAN, steps=2), tmp_path / "pieces")
    pieces = task_of(joints)
    torch.nn.init.zeros_(pieces.modules["critic"].pose[0].weight)  # What is not restored would be noticed.
    fit(pieces, PLAN, tmp_path / "pieces", resume=True)
    tables = [read_table(tmp_path / name / "train.csv") for name in ("whole", "pieces")]
    for name in ("keypoints", "adversarial", "critic"):
        assert tables[0][name][2] == pytest.approx(tables[1][name][2], rel=1e-6)
    assert (tmp_path / "pieces" / "checkpoints" / "step_00000004" / "critic_optimiser.pt").is_file()
    fresh = task_of(joints)
    averages = {name: dict(module.state_dict()) for name, module in fresh.modules.items()}
    path = tmp_path / "whole" / "checkpoints" / "step_00000004"
    assert load_checkpoint(path, modules=fresh.modules, averages=averages, optimisers=fresh.optimisers).step == 4


def test_weight_decay_of_zero_makes_the_optimiser_adam(joints):
    def trained(optimiser: torch.optim.Optimizer | None) -> list[torch.Tensor]:
        task = task_of(joints)
        model = task.modules["model"].eval()
        optimiser = optimiser or task.optimisers["model"]
        if isinstance(optimiser, torch.optim.Adam) and not isinstance(optimiser, torch.optim.AdamW):
            optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.999), eps=1e-8)
        for number in range(3):
            optimiser.zero_grad()
            model(batch_of(3, number)["images"] / 255)[-1].theta().square().sum().backward()
            optimiser.step()
        return [parameter.detach().clone() for parameter in model.parameters()]

    adam = torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    for one, other in zip(trained(None), trained(adam), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.slow
def test_the_critic_learns_to_tell_a_bank_from_noise():
    """Real poses, mild and correlated, against random ones of the same spread in every joint."""
    rng = np.random.default_rng(0)
    bend = rng.normal(size=(400, 1, 1))
    poses = (0.4 * bend * rng.normal(size=(1, 24, 3)) + 0.05 * rng.normal(size=(400, 24, 3))).astype(np.float32)
    names, weights = np.array(["made"] * 400), np.full(400, 1 / 400, np.float32)
    held_out = np.arange(400) >= 300
    bank = PoseBank(
        rotations_aa=poses, source=names, clip=names, action=names,
        held_out=held_out, balanced=weights, unusual=weights,
    )  # fmt: skip
    real, kept = RealBodies(banks=[bank]), RealBodies(banks=[bank], held_out=True)
    shuffled = np.stack([rng.permutation(poses[:, joint]) for joint in range(24)], axis=1)

    def fakes(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = shuffled[rng.integers(400, size=count), 1:]
        return axis_angle_to_matrix(torch.from_numpy(chosen)), torch.randn(count, 10)

    torch.manual_seed(0)
    critic = Critic()
    optimiser = torch.optim.Adam(critic.parameters(), lr=1e-3)
    for number in range(60):
        rotations, betas = (torch.from_numpy(value) for value in real(number, 64))
        loss = critic_loss(critic(rotations, betas), critic(*fakes(64)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        real_score = critic(*(torch.from_numpy(value) for value in kept(0, 200)))[:, 23]
        fake_score = critic(*fakes(200))[:, 23]
    assert (real_score[:, None] > fake_score[None]).float().mean() > 0.9


@pytest.mark.slow
def test_sixteen_people_are_learnt_by_heart_and_become_monsters_without_3d(joints):
    """2D errors below 0.02 either way; in space, who has no 3D labels and no critic is far off."""
    people = people_of(None, seed=5)
    rows = fixed_rows([people[number] for number in range(16)], 32)
    errors, errors_mm = {}, {}
    published = LossWeights(squared_joints=True, adversarial=1.0)
    for kind, weights in (("all", published), ("2d", LossWeights(joints=0.0, parameters=0.0))):
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 256), nn.ReLU())
        regressor = IterativeRegressor(256, hidden=256, rotation="axis-angle", dropout=0.0)
        model = HMR("small", encoder, regressor, input_size=32)
        task = HMRTask(
            model, joints, lambda *_: itertools.repeat(rows), lambda *_: Findings(numbers={}), weights=weights,
            regressor_rate=1e-3, encoder_rate=1e-3, weight_decay=0.0, bodies=real_bodies_of(None),
        )  # fmt: skip
        batches = task.batches(0, process=0, processes=1)
        for _ in range(300):
            torch.stack(list(task.losses(next(batches)).values())).sum().backward()
            for optimiser in task.optimisers.values():
                optimiser.step()
                optimiser.zero_grad()
        with torch.no_grad():
            output = model(as_input(rows["images"]))[-1]
            points = joints(output.rotations, output.betas)["cocoplus19"]
            seen = project_weak(points, output.camera)
            errors[kind] = keypoint_loss(seen, rows["keypoints_2d"], rows["visible"]).item()
            errors_mm[kind] = pa_mpjpe(points[:, :14], rows["joints_3d"]).mean().item()
    assert max(errors.values()) < 0.02, errors
    assert errors_mm["all"] < 0.6 * errors_mm["2d"], errors_mm
