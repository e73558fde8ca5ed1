"""HMR's networks: shapes, the iterations' gradients, the mean, and foreign checkpoints."""

import pytest
import torch
from torch import nn

from monobody.body.model import Body
from monobody.body.rotation import axis_angle_to_matrix
from monobody.errors import UserError
from monobody.models.backbone import resnet18, resnet34, resnet50
from monobody.models.hmr import (
    HMR,
    HMR_MODELS,
    HMROutput,
    IterativeRegressor,
    build_model,
    model_on_card,
    standing_pose,
)


def images(count: int, size: int) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(count))


def features(count: int) -> torch.Tensor:
    return torch.randn(count, 20, generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize("name", HMR_MODELS)
def test_models_give_bodies(name: str) -> None:
    torch.manual_seed(0)
    model = build_model(name, published=False).eval()
    with torch.no_grad():
        outputs = model(images(2, model.input_size))
    assert len(outputs) == 3
    for output in outputs:
        assert output.camera.shape == (2, 3)
        assert output.betas.shape == (2, 10)
        identity = output.rotations @ output.rotations.mT
        torch.testing.assert_close(identity, torch.eye(3).expand(2, 24, 3, 3), atol=1e-4, rtol=0)
    theta = outputs[-1].theta()
    assert theta.shape == (2, 85)
    assert theta.isfinite().all()
    torch.testing.assert_close(theta[:, :3], outputs[-1].camera)
    torch.testing.assert_close(axis_angle_to_matrix(theta[:, 3:75].reshape(2, 24, 3)), outputs[-1].rotations)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UserError, match="hmr-small"):
        build_model("hmr-large")


def test_axis_angle_state_is_hmrs_85_numbers() -> None:
    regressor = IterativeRegressor(20, rotation="axis-angle")
    assert regressor.mean.shape == (85,)
    with torch.no_grad():
        regressor.mean[3] -= 0.1  # At pi itself an axis and its opposite mean the same rotation.
    torch.testing.assert_close(regressor.output(regressor.mean).theta(), regressor.mean)


@pytest.mark.parametrize("rotation", ["6d", "axis-angle"])
def test_the_mean_stands_upright(rotation: str) -> None:
    regressor = IterativeRegressor(20, rotation=rotation)
    mean = regressor.output(regressor.mean)
    torch.testing.assert_close(mean.rotations, axis_angle_to_matrix(standing_pose()), atol=1e-5, rtol=0)
    up_and_facing = mean.rotations[0] @ torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    # The camera's y points down and its z away from the viewer.
    torch.testing.assert_close(up_and_facing.T, torch.tensor([[0.0, -1, 0], [0, 0, -1]]), atol=1e-5, rtol=0)


def test_the_last_output_trains_encoder_mean_and_all_iterations() -> None:
    torch.manual_seed(0)
    model = HMR("tiny", nn.Sequential(nn.Flatten(), nn.Linear(12, 20)), IterativeRegressor(20), input_size=2).eval()
    seen: list[torch.Tensor] = []

    def keep(_module: nn.Module, _inputs: object, correction: torch.Tensor) -> None:
        correction.retain_grad()
        seen.append(correction)

    model.regressor.correction.register_forward_hook(keep)
    model(images(4, 2))[-1].theta().square().sum().backward()
    assert len(seen) == 3
    assert all(correction.grad is not None and correction.grad.abs().sum() > 0 for correction in seen)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_iterations_share_weights_and_correct_the_previous_estimate() -> None:
    torch.manual_seed(0)
    regressor = IterativeRegressor(20, rotation="axis-angle").eval()
    x = features(3)
    state = regressor.mean.expand(3, -1)
    for output in regressor(x):
        h = regressor.fc2(regressor.fc1(torch.cat([x, state], 1)).relu()).relu()
        state = state + regressor.correction(h)
        torch.testing.assert_close(output.camera, state[:, :3])
        torch.testing.assert_close(output.betas, state[:, 75:])


def test_dropout_is_for_training_only() -> None:
    torch.manual_seed(0)
    regressor = IterativeRegressor(20)
    x = features(3)
    assert not torch.equal(regressor(x)[-1].camera, regressor(x)[-1].camera)
    regressor.eval()
    assert torch.equal(regressor(x)[-1].camera, regressor(x)[-1].camera)


@pytest.mark.parametrize("name", ["hmr-small", "hmr-resnet18"])
def test_a_batch_gives_what_its_pictures_give(name: str) -> None:
    torch.manual_seed(0)
    model = build_model(name).eval()
    batch = images(3, model.input_size)
    with torch.no_grad():
        together, alone = model(batch)[-1], model(batch[1:2])[-1]
    torch.testing.assert_close(together.theta()[1:2], alone.theta(), atol=1e-3, rtol=1e-3)


def test_the_place_in_the_picture_is_looked_at_where_asked_for() -> None:
    torch.manual_seed(0)
    model = build_model("hmr-resnet18", size=64, full_image=True).eval()
    batch, view = images(2, 64), torch.tensor([[0.1, -0.2, 0.3], [0.0, 0.4, 0.8]])
    view.requires_grad_()
    model(batch, view)[-1].theta().sum().backward()
    assert (view.grad != 0).all()
    with pytest.raises(ValueError, match="view"):
        model(batch)
    plain = build_model("hmr-resnet18", size=64).eval()
    with torch.no_grad():
        torch.testing.assert_close(plain(batch)[-1].theta(), plain(batch, view)[-1].theta())
    assert plain.input_size == 64


def test_a_card_brings_its_network_back() -> None:
    card = {"model": "hmr-resnet18", "rotation": "axis-angle", "size": 96, "full_image": True}
    model = model_on_card(card, body=Body.load())
    assert (model.input_size, model.full_image, model.regressor.rotation) == (96, True, "axis-angle")
    assert model.regressor.fc1.in_features == 512 + 3 + 85
    assert not model_on_card({"model": "hmr-resnet34"}, body=Body.load()).full_image
    with pytest.raises(UserError, match="ResNet"):
        model_on_card({"model": "hmr-small", "full_image": True}, body=Body.load())


def test_outputs_keep_leading_dimensions() -> None:
    output = HMROutput(
        camera=torch.ones(2, 5, 3), rotations=torch.eye(3).expand(2, 5, 24, 3, 3), betas=torch.zeros(2, 5, 10)
    )
    assert output.theta().shape == (2, 5, 85)


@pytest.mark.parametrize(
    ("build", "parameters"), [(resnet18, 11_689_512), (resnet34, 21_797_672), (resnet50, 25_557_032)]
)
def test_resnets_have_torchvisions_layout(build, parameters: int) -> None:
    network = build()
    classifier = 1000 * network.output_size + 1000
    assert sum(p.numel() for p in network.parameters()) == parameters - classifier
    names = set(network.state_dict())
    assert {"conv1.weight", "bn1.running_var", "layer2.0.downsample.0.weight", "layer4.1.conv2.weight"} <= names
    assert ("layer1.0.downsample.0.weight" in names) == (build is resnet50)


def test_imagenet_checkpoints_load_without_their_classifier(tmp_path) -> None:
    torch.manual_seed(0)
    donor, network = resnet18(), resnet18()
    path = tmp_path / "resnet18.pth"
    torch.save(donor.state_dict() | {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}, path)
    network.load_imagenet(path)
    torch.testing.assert_close(network.layer3[0].conv1.weight, donor.layer3[0].conv1.weight)
    with pytest.raises(UserError, match="torchvision"):
        resnet34().load_imagenet(path)
    path.write_bytes(b"cut short")
    with pytest.raises(UserError, match="damaged"):
        network.load_imagenet(path)
