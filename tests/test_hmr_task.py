"""HMR in training: losses, gradients, freezing, mixing, cached features, and the recipes."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from monobody.body.kinematics import JointBody
from monobody.body.landmarks import Landmarks
from monobody.body.model import Body
from monobody.body.rotation import axis_angle_to_matrix
from monobody.body.skeleton import SKELETONS
from monobody.camera import project_weak
from monobody.data.crop import Crop
from monobody.data.mix import Mix, Part, batches, fixed_rows
from monobody.data.sample import NO_AUGMENT, Augment, Sample
from monobody.errors import UserError
from monobody.fit.lift import WEIGHTS as LIFT_WEIGHTS
from monobody.fit.lift import Lift
from monobody.losses import keypoint_loss
from monobody.models.hmr import build_model
from monobody.models.output import HMROutput
from monobody.models.storage import load_weights
from monobody.train.engine import fit
from monobody.train.feature_task import FeatureTask, cache_features
from monobody.train.hmr_task import HMRTask, LossWeights, Validation, as_input, body_losses, freeze_early
from monobody.train.landmark_loss import landmark_losses
from monobody.train.log import read_table
from monobody.train.plan import Plan
from monobody.train.recipes import RECIPES, find_recipe
from monobody.train.run import begin_with_lifter

PLAN = Plan(steps=3, warmup_steps=1, log_every=1, checkpoint_minutes=None, device="cpu", clip_norm=20.0)


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.load()


@pytest.fixture(scope="module")
def joints(body) -> JointBody:
    return JointBody.from_body(body, ("cocoplus19",))


class Figures:
    """Endless coloured noise with a posed body's labels: enough to train on, far too little to learn from."""

    def __init__(self, joints: JointBody, *, labelled: bool = True) -> None:
        self.joints, self.labelled = joints, labelled

    def __getitem__(self, number: int) -> Sample:
        rng = np.random.default_rng(number)
        pose = torch.tensor(0.3 * rng.normal(size=(24, 3)), dtype=torch.float32)
        pose[0] = torch.tensor([torch.pi, 0, 0])
        rotations = axis_angle_to_matrix(pose)
        betas = torch.tensor(rng.normal(size=10), dtype=torch.float32)
        keypoints = self.joints(rotations, betas)["cocoplus19"].numpy()
        return Sample(
            image=rng.integers(0, 256, (96, 96, 3), np.uint8),
            crop=Crop((48.0, 48.0), 80.0),
            keypoints_px=(48 + 30 * (keypoints[:, :2] - keypoints[2:4, :2].mean(0))).astype(np.float32),
            visible=np.ones(19, np.float32),
            joints_cam_m=keypoints[:14] if self.labelled else None,
            rotations=rotations.numpy() if self.labelled else None,
            betas=betas.numpy() if self.labelled else None,
        )


class Photos(Figures):
    """A finite set without 3D labels."""

    def __len__(self) -> int:
        return 5


def mix_of(joints: JointBody, size: int = 64, **changes) -> Mix:
    parts = [
        Part(samples=Figures(joints), share=2 / 3, augment=Augment()),
        Part(samples=Photos(joints, labelled=False), share=1 / 3, augment=Augment()),
    ]
    return Mix(parts, size=size, **{"seed": 0} | changes)


def test_perfect_bodies_cost_nothing(joints):
    sample = Figures(joints)[3]
    batch = fixed_rows([sample], 64)
    # The camera that the sample's picture was made with: 30 px a metre, the crop's half side is 40 px.
    hips = joints(batch["rotations"], batch["betas"])["cocoplus19"][:, 2:4, :2].mean(1)
    camera = torch.cat([torch.tensor([[30 / 40]]), -hips], dim=1)
    output = HMROutput(camera=camera, rotations=batch["rotations"], betas=batch["betas"])
    losses = body_losses([output], batch, joints, LossWeights())
    assert all(abs(loss.item()) < 1e-3 for loss in losses.values())
    moved = replace(output, camera=camera + torch.tensor([[0.0, 0.1, 0.0]]))
    keypoints = body_losses([moved], batch, joints, LossWeights())["keypoints"]
    # A shift by 0.1 m along x is 0.075 in crop coordinates, and the mean is over x and y.
    assert keypoints.item() == pytest.approx(60 * 0.075 / 2, rel=1e-3)


def test_only_the_last_iteration_counts_unless_asked(joints):
    batch = fixed_rows([Figures(joints)[0]], 64)
    rotations = batch["rotations"].clone().requires_grad_()
    camera = torch.tensor([[0.8, 0.0, 0.0]])
    first = HMROutput(camera=camera, rotations=rotations, betas=batch["betas"] + 1)
    last = HMROutput(camera=camera, rotations=batch["rotations"], betas=batch["betas"] + 1)
    sum(body_losses([first, first, last], batch, joints, LossWeights()).values()).requires_grad_().backward()
    assert rotations.grad is None
    all_three = body_losses([first, first, last], batch, joints, LossWeights(earlier=0.5))
    for name, loss in body_losses([last], batch, joints, LossWeights()).items():
        assert all_three[name].item() == pytest.approx(2 * loss.item(), rel=1e-4)


def test_gradient_of_pictures_without_3d_comes_from_keypoints_alone(joints):
    batch = fixed_rows([Photos(joints, labelled=False)[0]], 64)
    rotations = torch.eye(3).expand(1, 24, 3, 3).clone().requires_grad_()
    output = HMROutput(camera=torch.tensor([[0.8, 0.0, 0.0]]), rotations=rotations, betas=torch.zeros(1, 10))
    losses = body_losses([output], batch, joints, LossWeights())
    assert losses["joints"].item() == losses["parameters"].item() == 0
    sum(losses.values()).backward()
    given = rotations.grad.clone()
    rotations.grad = None
    points = project_weak(joints(rotations, torch.zeros(1, 10))["cocoplus19"], output.camera)
    (60 * keypoint_loss(points, batch["keypoints_2d"], batch["visible"])).backward()
    torch.testing.assert_close(given, rotations.grad)
    assert given.abs().sum() > 0


def test_gradient_reaches_everything_that_is_not_frozen(joints, body):
    model = build_model("hmr-small", body=body).train()
    freeze_early(model, residuals=2, depthwise=True)
    # The weights that look at the picture start at zero, which keeps the trunk behind them still; move them off.
    with torch.no_grad():
        for parameter in model.regressor.parameters():
            parameter += 0.01 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
    batch = next(batches(mix_of(joints, 256), size=2, first=0))
    task = HMRTask(
        model, joints, lambda *_: iter([batch]), lambda *_: None,
        weights=LossWeights(heat_maps=1.0), regressor_rate=1e-4, encoder_rate=1e-4,
    )  # fmt: skip
    sum(task.losses(batch).values()).backward()
    trunk = model.encoder.backbone
    assert all(p.grad is None for p in trunk.residuals[:2].parameters())
    assert trunk.residuals[5].depthwise.weight.grad is None
    assert trunk.residuals[2].expand.weight.grad.abs().sum() > 0
    silent = {name for name, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())}
    assert silent <= {"encoder.backbone.presence_head.weight", "encoder.backbone.presence_head.bias"}
    optimised = {id(p) for group in task.optimisers["model"].param_groups for p in group["params"]}
    assert optimised == {id(p) for p in model.parameters() if p.requires_grad}


def test_rows_depend_on_seed_and_number_alone(joints):
    first, second = mix_of(joints), mix_of(joints)
    for number in (0, 7, 12345):
        for name, value in first[number].items():
            np.testing.assert_array_equal(value, second[number][name])
    assert not np.array_equal(first[7]["images"], mix_of(joints, seed=1)[7]["images"])


def test_every_batch_has_nearly_exact_shares(joints):
    labelled = [
        float(batch["has_body"].sum())
        for batch, _ in zip(batches(mix_of(joints, 8), size=24, first=0), range(10), strict=False)
    ]
    assert all(abs(count - 16) <= 2 for count in labelled)
    assert sum(labelled) == pytest.approx(160, abs=2)


def test_batches_of_processes_and_resumed_ones_are_the_same_rows(joints):
    mix = mix_of(joints, 8)
    whole = batches(mix, size=4, first=0)
    expected = [next(whole)["keypoints_2d"] for _ in range(6)]
    resumed = batches(mix, size=4, first=4, workers=1)
    torch.testing.assert_close(next(resumed)["keypoints_2d"], expected[4])
    torch.testing.assert_close(next(resumed)["keypoints_2d"], expected[5])
    pair = [batches(mix, size=4, first=1, process=process, processes=2) for process in range(2)]
    torch.testing.assert_close(next(pair[0])["keypoints_2d"], expected[2])
    torch.testing.assert_close(next(pair[1])["keypoints_2d"], expected[3])


def test_validation_of_the_truth_is_perfect(joints):
    samples = [Figures(joints)[number] for number in range(4)]
    rows = fixed_rows(samples, 64)

    class Oracle(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(1))

        def forward(self, images):
            hips = joints(rows["rotations"], rows["betas"])["cocoplus19"][:, 2:4, :2].mean(1)
            camera = torch.cat([torch.full((4, 1), 30 / 40), -hips], dim=1)
            return [HMROutput(camera=camera, rotations=rows["rotations"], betas=rows["betas"])]

    with torch.no_grad():
        found = Validation(synthetic=samples, photos=samples, size=64)(Oracle(), joints)
    assert found.numbers["synthetic_mpjpe_mm"] < 0.1
    assert found.numbers["synthetic_pa_mpjpe_mm"] < 0.1
    assert found.numbers["real_pck_0.05"] == 100
    assert found.pictures["photos"].shape == (64, 512, 3)
    assert found.headline == "synthetic_pa_mpjpe_mm"


@pytest.mark.slow
def test_trains_first_on_cached_features_then_end_to_end(joints, body, tmp_path):
    torch.manual_seed(0)
    model = build_model("hmr-small", body=body)
    mix = mix_of(joints, 256)
    validation = Validation(synthetic=[Figures(joints)[99]], photos=[Photos(joints, labelled=False)[3]], size=256)

    def stream(first, process, processes):
        return batches(mix, size=4, first=first, process=process, processes=processes)

    cache_features(model, stream, tmp_path / "features", batches=2)
    features = np.load(tmp_path / "features" / "features.npy")
    assert features.shape == (8, model.encoder.output_size)
    assert features.dtype == np.float16
    with torch.no_grad():
        exact = model.encoder(as_input(next(stream(0, 0, 1))["images"]))
    torch.testing.assert_close(torch.from_numpy(features[:4]).float(), exact, rtol=2e-3, atol=2e-3)

    encoder = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    first = FeatureTask(
        model, joints, tmp_path / "features", validation, weights=LossWeights(earlier=0.3), rate=1e-3, batch=8
    )
    fit(first, replace(PLAN, steps=40, warmup_steps=5, log_every=20), tmp_path / "regressor")
    table = read_table(tmp_path / "regressor" / "train.csv")
    assert np.mean(table["joints"][-5:]) < 0.9 * np.mean(table["joints"][:5])
    for name, value in model.encoder.state_dict().items():
        torch.testing.assert_close(value, encoder[name], rtol=0, atol=0)

    task = HMRTask(
        model, joints, stream, validation, weights=LossWeights(), regressor_rate=1e-4, encoder_rate=1e-4
    )  # fmt: skip
    fit(task, PLAN, tmp_path / "run")
    changed = [name for name, value in model.encoder.state_dict().items() if not torch.equal(value, encoder[name])]
    assert len(changed) > 0.9 * len(encoder)
    assert len(read_table(tmp_path / "run" / "validation.csv")["real_pck_0.1"]) == 1


def test_maps_of_joints_that_blazepose_lacks_are_learnt_at_the_decoders_own_rate(joints, body):
    """Kept in units of what they say at first, which is nothing, they would stay there."""
    model = build_model("hmr-small", body=body)
    batch = next(batches(mix_of(joints, 256), size=2, first=0))
    before = model.encoder.backbone.decoder.maps.weight.detach().clone()
    task = HMRTask(
        model, joints, lambda *_: iter([batch]), lambda *_: None, weights=LossWeights(heat_maps=2.0),
        regressor_rate=0.0, encoder_rate=0.0, decoder_rate=1e-2, conditioned=True, weight_decay=0.0,
    )  # fmt: skip
    sum(task.losses(batch).values()).backward()
    task.optimisers["model"].step()
    moved = (model.encoder.backbone.decoder.maps.weight - before).abs().flatten(1).median(1)[0]
    alone = [SKELETONS["cocoplus19"].joints.index(name) for name in ("neck", "head_top")]
    assert not before[alone].any()
    torch.testing.assert_close(moved[alone], torch.full((2,), 1e-2), rtol=0.01, atol=0)


def test_the_lifters_regressor_forgets_what_another_saw_in_pictures(body):
    model, lift = build_model("hmr-small", body=body), Lift(body)
    load_weights(lift, LIFT_WEIGHTS, body_digest=body.digest)
    with torch.no_grad():
        model.regressor.feedback.look.weight.fill_(0.1)
    begin_with_lifter(model, body)
    assert not model.regressor.feedback.look.weight.any()
    found = model.regressor.feedback.state_dict()
    for name, value in lift.state_dict().items():
        assert torch.equal(found[name], value), name


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_says_how_it_is_run_and_what_comes_out(name):
    recipe = find_recipe(name)
    assert recipe.name == name
    for word in ("Command:", "Hardware:", "Time:", "Result:"):
        assert word in (RECIPES[name].__doc__ or "")
    assert asdict(recipe)["plan"]["seed"] == 0


def test_unknown_recipe_lists_the_known_ones():
    with pytest.raises(UserError, match="hmr-small"):
        find_recipe("hmr-huge")


def test_validation_crops_are_not_moved(joints):
    sample = Figures(joints)[0]
    row = fixed_rows([sample], 32)
    torch.testing.assert_close(row["keypoints_2d"][0], torch.from_numpy(sample.crop.to_crop(sample.keypoints_px)))
    assert NO_AUGMENT.mirror_share == 0


def test_landmark_losses_are_the_encoders_own_errors_and_reach_nothing_else(body):
    joints = JointBody.from_body(body, ("cocoplus19", "blazepose33"))
    rows = fixed_rows([Figures(joints)[0], Figures(joints, labelled=False)[1]], 64)
    truth = joints(rows["rotations"], rows["betas"])["blazepose33"]
    image = torch.randn(2, 35, 2, requires_grad=True)
    world = torch.zeros(2, 35, 3)
    # Wherever the origin: 3D landmarks are compared about their own hips.
    world[:, :33] = truth + torch.tensor([0.4, -0.2, 3.0])
    world[0, 11, 2] += 0.99
    world.requires_grad_()
    seen = Landmarks(image=image, score=torch.ones(2, 35), world_m=world, world_score=torch.ones(2, 35))
    losses = landmark_losses(seen, rows, joints, 10.0)
    places = SKELETONS["blazepose33"].joints
    wrong = [
        (image[person, places.index(name)] - rows["keypoints_2d"][person, i]).abs().mean().item()
        for person in range(2)
        for i, name in enumerate(SKELETONS["cocoplus19"].joints)
        if name in places
    ]
    assert len(wrong) == 2 * 17
    assert losses["landmarks"].item() == pytest.approx(10 * np.mean(wrong), rel=1e-5)
    # One of the 99 numbers of the one person whose body is known is off by 0.99 m.
    assert losses["landmarks_3d"].item() == pytest.approx(10 * 0.01, rel=1e-4)
    torch.stack(list(losses.values())).sum().backward()
    assert image.grad is not None
    assert world.grad is not None
    assert (image.grad[:, 33:] == 0).all()
    assert (world.grad[1] == 0).all()
