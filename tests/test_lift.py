"""The lifter: landmarks by name, its exact frame, what it is trained on, and that it learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from monobody.body.landmarks import COUNT, FLIP, NAMES, Landmarks
from monobody.body.model import Body
from monobody.body.skeleton import HUMAN_SETS, SKELETONS
from monobody.camera import project_weak
from monobody.errors import UserError
from monobody.fit.lift import Lift
from monobody.fit.readings import Readings, concatenate, mirrored, turned
from monobody.train.landmark_noise import Mistakes, misread
from monobody.train.lift_task import LiftSettings, LiftTask, landmarks_of, posed_batch

PERFECT = Mistakes(
    error=0.0, hidden_limb=0, cut_off=0, swapped_limb=0, swapped_person=0, flipped_limb=0, lean=0, world_error_m=0,
    no_world=0, one_set=0, dropped=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.load()


@pytest.fixture
def lift(body: Body) -> Lift:
    torch.manual_seed(0)
    return Lift(body, width=64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def seen(people: int = 4, seed: int = 0) -> Landmarks:
    rng = generator(seed)
    return Landmarks(
        image=torch.randn(people, COUNT, 2, generator=rng) * 0.4,
        score=torch.rand(people, COUNT, generator=rng),
        world_m=torch.randn(people, COUNT, 3, generator=rng) * 0.4,
        world_score=torch.rand(people, COUNT, generator=rng),
    )


def batch_of(lift: Lift, people: int, mistakes: Mistakes, seed: int = 0) -> dict[str, torch.Tensor]:
    rng = generator(seed)
    poses = 0.2 * torch.randn(people, 24, 3, generator=rng)
    return posed_batch(lift.joint_body, poses, torch.randn(people, 10, generator=rng), mistakes, rng)


class Poses:
    """Stands in for a pose bank."""

    def sample(self, n: int, rng: np.random.Generator, *, held_out: bool = False) -> np.ndarray:
        return 0.2 * rng.normal(size=(n, 24, 3)).astype(np.float32)


@pytest.mark.parametrize("name", list(HUMAN_SETS))
def test_any_joint_set_takes_its_places(name: str) -> None:
    joints = SKELETONS[name].joints
    image = torch.arange(2.0 * len(joints)).view(1, -1, 2)
    landmarks = Landmarks.from_joints(name, image, torch.full((1, len(joints)), 0.5))
    for i, joint in enumerate(NAMES):
        if joint in joints:
            assert torch.equal(landmarks.image[0, i], image[0, joints.index(joint)])
        assert landmarks.score[0, i] == (0.5 if joint in joints else 0)
    assert (landmarks.world_score == 0).all()


def test_unknown_landmarks_mean_nothing(lift: Lift) -> None:
    landmarks = seen()
    landmarks.score[:, 5:9] = 0
    landmarks.world_score[:, 5:9] = 0
    changed = replace(landmarks, image=landmarks.image.clone(), world_m=landmarks.world_m.clone())
    changed.image[:, 5:9] += 3
    changed.world_m[:, 5:9] -= 2
    torch.testing.assert_close(lift(changed)[-1].output.theta(), lift(landmarks)[-1].output.theta())


def test_the_answer_moves_along_with_the_crop(lift: Lift) -> None:
    landmarks = seen()
    moved = replace(landmarks, image=0.7 * landmarks.image + torch.tensor([0.3, -0.2]), world_m=landmarks.world_m + 1)
    here, there = lift(landmarks)[-1], lift(moved)[-1]
    torch.testing.assert_close(there.output.rotations, here.output.rotations, atol=1e-4, rtol=0)
    expected = 0.7 * project_weak(here.joints_m, here.output.camera) + torch.tensor([0.3, -0.2])
    torch.testing.assert_close(project_weak(there.joints_m, there.output.camera), expected, atol=1e-4, rtol=1e-4)


def test_nothing_known_gives_a_finite_body(lift: Lift) -> None:
    landmarks = seen()
    nothing = replace(landmarks, score=landmarks.score * 0, world_score=landmarks.world_score * 0)
    assert lift(nothing)[-1].output.theta().isfinite().all()


def test_bodies_without_mistakes_are_consistent(lift: Lift) -> None:
    batch = batch_of(lift, 32, PERFECT)
    sets = lift.joint_body(batch["rotations"], batch["betas"])
    joints = sets["lsp14"] - sets["blazepose33"][:, [23, 24]].mean(1, keepdim=True)
    torch.testing.assert_close(batch["joints_3d"], joints, atol=1e-4, rtol=0)
    # The wrists are the same place in both sets, so that image and clicks coincide.
    wrists = [NAMES.index("right_wrist"), NAMES.index("left_wrist")]
    torch.testing.assert_close(batch["image"][:, wrists], batch["keypoints_2d"][:, [6, 11]], atol=1e-4, rtol=0)
    assert (batch["keypoints_2d"].abs() < 1.5).all()
    upright = batch["keypoints_2d"][:, 12, 1] < batch["keypoints_2d"][:, 2, 1]
    assert upright.float().mean() > 0.8, "the crop's up is the body's axis, but for a few"


def test_each_mistake_is_made() -> None:
    image, world = seen(400, seed=3).image, seen(400, seed=4).world_m

    def made(mistakes: Mistakes) -> Landmarks:
        return misread(image, world, mistakes, generator())

    perfect = made(PERFECT)
    torch.testing.assert_close(perfect.image, image)
    assert not torch.equal(made(replace(PERFECT, error=0.01)).image, image)
    left, right = NAMES.index("left_wrist"), NAMES.index("right_wrist")
    for name in ("swapped_limb", "swapped_person"):
        swapped = made(replace(PERFECT, **{name: 1.0}))
        torch.testing.assert_close(swapped.image[:, left], image[:, right])
    torch.testing.assert_close(made(replace(PERFECT, swapped_person=1.0)).image, image[:, list(FLIP)])
    assert (made(replace(PERFECT, no_world=1.0)).world_score == 0).all()
    others = made(replace(PERFECT, one_set=1.0))
    assert (others.world_score == 0).all()
    assert (others.score[:, NAMES.index("left_heel")] == 0).all()
    assert (others.score[:, NAMES.index("neck")] > 0).any()
    hidden, known = made(replace(PERFECT, hidden_limb=1.0)).score, perfect.score
    assert hidden[:, left].mean() < 0.7 * known[:, left].mean()
    flipped = made(replace(PERFECT, flipped_limb=1.0)).world_m
    assert (flipped[:, left, 2] - perfect.world_m[:, left, 2]).abs().mean() > 0.1


def test_gradient_reaches_every_parameter_and_all_iterations(lift: Lift) -> None:
    task = LiftTask(lift, Poses(), LiftSettings(batch_size=8))  # type: ignore[arg-type]
    batch = task.batch(0)
    torch.stack(list(task.losses(batch).values())).sum().backward()
    for name, parameter in lift.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    assert len(lift(landmarks_of(batch))) == 3


def test_batches_depend_on_seed_number_and_process_alone(lift: Lift) -> None:
    task = LiftTask(lift, Poses(), LiftSettings(batch_size=8))  # type: ignore[arg-type]
    stream = task.batches(3, process=0, processes=2)
    first, second = next(stream), next(stream)
    for name, value in task.batch(4, 0).items():
        assert torch.equal(value, second[name]), name
    assert not torch.equal(first["image"], second["image"])
    assert not torch.equal(task.batch(4, 1)["image"], second["image"])


@pytest.mark.slow
def test_it_learns_bodies_from_perfect_landmarks(body: Body) -> None:
    torch.manual_seed(0)
    lift = Lift(body, width=128)
    task = LiftTask(lift, Poses(), LiftSettings(batch_size=64, mistakes=PERFECT))  # type: ignore[arg-type]
    with torch.no_grad():
        before = task.validate().numbers
    for number in range(60):
        loss = torch.stack(list(task.losses(task.batch(number)).values())).sum()
        task.optimisers["lift"].zero_grad()
        loss.backward()
        task.optimisers["lift"].step()
    with torch.no_grad():
        after = task.validate().numbers
    assert after["bodies_pck_0.1"] > before["bodies_pck_0.1"] + 20
    assert after["bodies_mpjpe_mm"] < 0.8 * before["bodies_mpjpe_mm"]


def readings(people: int, *, with_body: bool, seed: int = 0) -> Readings:
    rng = np.random.default_rng(seed)
    shapes = {
        "image": (COUNT, 2), "score": (COUNT,), "world_m": (COUNT, 3), "world_score": (COUNT,), "keypoints_2d": (14, 2),
        "visible": (14,), "joints_3d": (14, 3), "rotations": (24, 3, 3), "betas": (10,),
    }  # fmt: skip
    arrays = {name: rng.random((people, *shape)).astype(np.float32) for name, shape in shapes.items()}
    known = np.full(people, float(with_body), np.float32)
    return Readings(**arrays, has_joints_3d=known, has_body=known)


def test_readings_are_kept_mixed_and_mirrored(tmp_path) -> None:
    both = concatenate([readings(30, with_body=True), readings(3, with_body=False, seed=1)])
    both.save(tmp_path / "r.npz")
    again = Readings.load(tmp_path / "r.npz")
    np.testing.assert_array_equal(again.image, both.image)
    rows = again.sample(100, np.random.default_rng(0))
    assert rows["has_body"].sum() == 50, "rare kinds of readings are drawn as often as common ones"
    arrays = {name: value.numpy() for name, value in both.all().items()}
    twice = mirrored(mirrored(arrays))
    for name, array in arrays.items():
        np.testing.assert_array_equal(twice[name], array)
    with pytest.raises(UserError, match=r"read_landmarks\.py"):
        Readings.load(tmp_path / "none.npz")


def test_a_mirrored_reading_is_the_reading_of_the_mirrored_person(lift: Lift) -> None:
    """Landmarks, clicks, joints and rotations of a row must move together."""
    batch = batch_of(lift, 6, PERFECT)
    turned = mirrored({name: value.numpy() for name, value in batch.items()})
    sets = lift.joint_body(torch.from_numpy(turned["rotations"]), torch.from_numpy(turned["betas"]))
    hips = sets["blazepose33"][:, [23, 24]].mean(1, keepdim=True)
    # The body is symmetrical to within a millimetre or two.
    torch.testing.assert_close(sets["lsp14"] - hips, torch.from_numpy(turned["joints_3d"]), atol=4e-3, rtol=0)
    world = torch.from_numpy(turned["world_m"])[:, :33]
    world = world - world[:, [23, 24]].mean(1, keepdim=True)
    direction = torch.nn.functional.cosine_similarity(
        (sets["blazepose33"] - hips)[..., :2].flatten(1), world[..., :2].flatten(1)
    )
    assert (direction > 0.99).all()


def test_a_turned_reading_is_the_reading_of_the_turned_person(lift: Lift) -> None:
    batch = {name: value.numpy() for name, value in batch_of(lift, 6, PERFECT).items()}
    angle = np.linspace(-3, 3, 6)
    rows = turned(batch, angle)
    sets = lift.joint_body(torch.from_numpy(rows["rotations"]), torch.from_numpy(rows["betas"]))
    joints = sets["lsp14"] - sets["blazepose33"][:, [23, 24]].mean(1, keepdim=True)
    torch.testing.assert_close(joints, torch.from_numpy(rows["joints_3d"]), atol=1e-4, rtol=0)
    u, v = batch["image"][5, 0]
    expected = [u * np.cos(3) - v * np.sin(3), u * np.sin(3) + v * np.cos(3)]
    np.testing.assert_allclose(rows["image"][5, 0], expected, atol=1e-5)
    back = turned(rows, -angle)
    for name, array in batch.items():
        np.testing.assert_allclose(back[name], array, atol=1e-5)


def test_the_recipe_leaves_weights_with_a_card(body: Body, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("accelerate")
    from monobody.data.pose_bank import PoseBank
    from monobody.models.storage import load_weights, read_card
    from monobody.train import lift_run, lift_task
    from monobody.train.plan import Plan

    monkeypatch.setattr(lift_task, "VALIDATION_PEOPLE", 8)
    settings, plan = LiftSettings(batch_size=8), Plan(steps=2, warmup_steps=1, device="cpu", validate_minutes=None)
    with pytest.raises(UserError, match=r"pose_bank\.npz"):
        lift_run.train_lift(settings, plan, body, tmp_path, tmp_path / "out", resume=False, start=None)

    poses = 0.2 * np.random.default_rng(0).normal(size=(20, 24, 3)).astype(np.float32)
    names, even = np.array(["a"] * 20), np.ones(20, np.float32)
    held_out = np.arange(20) % 2 == 0
    PoseBank(
        rotations_aa=poses, source=names, clip=names, action=names, held_out=held_out, balanced=even, unusual=even
    ).save(tmp_path / "pose_bank.npz")
    (tmp_path / "readings").mkdir()
    readings(9, with_body=False).save(tmp_path / "readings" / "photos.npz")
    readings(5, with_body=True).save(tmp_path / "readings" / "validation.npz")
    lift_run.train_lift(settings, plan, body, tmp_path, tmp_path / "out", resume=False, start=None)

    weights = tmp_path / "out" / "weights.safetensors"
    card = read_card(weights)
    assert card["model"] == "lift"
    assert "9 of LSP Extended" in card["data"]
    assert "research" in card["terms"]
    assert card["validation"].keys() >= {"bodies_pa_mpjpe_mm", "readings_mpjpe_mm", "readings_pck_0.1"}
    load_weights(Lift(body), weights, body_digest=body.digest)
