"""People drawn in torch: the same rules as on the CPU, with labels that belong together."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from monobody.body.kinematics import JointBody
from monobody.body.prior import PosePrior
from monobody.data.lighting import harmonics, studio_lights
from monobody.data.paint_torch import layers_at, reflected
from monobody.data.region import region_from_joints
from monobody.data.sample import NO_AUGMENT, Augment, TrainingRow
from monobody.data.synthetic_torch import TorchPeople, into_region, regions
from monobody.data.textures import Textures
from monobody.data.wardrobe import layer_at, sample_outfit


@pytest.fixture(scope="module")
def textures() -> Textures:
    return Textures.load(None)


@pytest.fixture(scope="module")
def people(textures: Textures) -> TorchPeople:
    return TorchPeople(PosePrior.load(), textures, device="cpu", size=48, augment=NO_AUGMENT, oversampling=1)


def test_regions_are_those_of_single_people() -> None:
    joints = np.random.default_rng(0).normal(size=(20, 14, 2)) * 100
    centre, half, angle = regions(torch.from_numpy(joints))
    for index, points in enumerate(joints):
        crop = region_from_joints(points)
        np.testing.assert_allclose(centre[index], crop.centre_px, atol=1e-6)
        assert 2 * half[index].item() == pytest.approx(crop.size_px)
        assert angle[index].item() == pytest.approx(crop.angle_rad)
        row = slice(index, index + 1)
        seen = into_region(torch.from_numpy(joints[row]), centre[row], half[row], angle[row])[0]
        np.testing.assert_allclose(seen, crop.to_crop(points), atol=1e-6)


def test_layers_are_those_of_the_compiled_loop() -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform([-0.85, -1.17, -0.1], [0.85, 0.53, 0.22], (4000, 3)).astype(np.float32)
    for _ in range(10):
        cuts = sample_outfit(rng, 5).cuts
        expected = [layer_at(cuts, *place) for place in places]
        got = layers_at(torch.from_numpy(cuts).expand(len(places), -1), torch.from_numpy(places))
        # Points within rounding of a border may fall on either side.
        assert (got.numpy() != expected).mean() < 1e-3


def test_light_is_that_of_the_panorama() -> None:
    rng = np.random.default_rng(1)
    light = studio_lights(rng, 1)[0]
    normals = rng.normal(size=(30, 3)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    expected = np.maximum(harmonics(normals) @ light.irradiance, 0.02)
    expected += light.sun * np.maximum(normals @ light.sun_direction, 0)[:, None]
    fields = (torch.from_numpy(value)[None] for value in (light.irradiance, light.sun_direction, light.sun))
    got = reflected(torch.from_numpy(normals), torch.zeros(30, dtype=torch.long), *fields)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_batches_repeat_and_differ(people: TorchPeople) -> None:
    first, again, other = people.batch(0, 3), people.batch(0, 3), people.batch(1, 3)
    for name in first:
        torch.testing.assert_close(first[name], again[name], rtol=0, atol=0)
    assert (first["images"] != other["images"]).any()
    assert first["images"].shape == (3, 3, 48, 48)
    assert first["images"].dtype == torch.uint8


@pytest.mark.parametrize("augment", [NO_AUGMENT, replace(Augment(), full_turn_share=1.0)])
def test_labels_belong_together(people: TorchPeople, textures: Textures, augment: Augment) -> None:
    drawn = TorchPeople(people.poses, textures, device="cpu", size=32, augment=augment, oversampling=1)
    batch = drawn.batch(5, 6)
    joints = JointBody.from_body(drawn.body, ("lsp14",))(batch["rotations"], batch["betas"])["lsp14"]
    apart = batch["joints_3d"] - batch["joints_3d"].mean(1, keepdim=True)
    torch.testing.assert_close(apart, joints - joints.mean(1, keepdim=True), atol=1e-4, rtol=0)
    # Projected from where they are, 3D joints fall on the 2D ones but for a similarity without rotation (the region).
    flat = batch["joints_3d"][..., :2] / batch["joints_3d"][..., 2:]
    seen = batch["keypoints_2d"][:, :14]
    spread, placed = flat - flat.mean(1, keepdim=True), seen - seen.mean(1, keepdim=True)
    scale = (spread * placed).sum((1, 2), keepdim=True) / (spread**2).sum((1, 2), keepdim=True)
    assert (scale > 0).all()
    torch.testing.assert_close(placed, scale * spread, atol=2e-4, rtol=0)
    # The view tells which similarity.
    view = batch["view"]
    torch.testing.assert_close(view[:, None, :2] + seen * view[:, None, 2:] / 2, flat, atol=2e-5, rtol=0)
    assert set(batch) == set(TrainingRow.__required_keys__)


def test_without_moves_the_person_stands_up_in_the_middle(people: TorchPeople) -> None:
    points = people.batch(2, 8)["keypoints_2d"][:, :14]
    trunk = points[:, [8, 9]].mean(1) - points[:, [2, 3]].mean(1)
    assert torch.atan2(trunk[:, 0], -trunk[:, 1]).abs().max() < 1e-3
    assert points.abs().max() < 1
    assert points[:, [2, 3]].mean(1).abs().max() < 0.1


def test_pixels_show_a_person_where_the_joints_are(people: TorchPeople) -> None:
    scene = people._scenes(4, np.random.default_rng(0))
    scene["background_gain"] *= 0  # Night: what is not black is a person.
    scene["exposure"] = torch.full_like(scene["exposure"], 3.0)
    batch = people._draw(scene, torch.Generator().manual_seed(0))
    for image, points in zip(batch["images"], batch["keypoints_2d"], strict=True):
        x, y = ((points[[1, 4, 7, 10, 12]] + 1) * 24).long().clamp(0, 47).unbind(-1)
        assert (image[:, y, x].amax(0) > 2).float().mean() > 0.75
        assert image[:, 0].float().mean() < 1
