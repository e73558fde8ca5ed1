"""Synthetic people: repeatable, resumable, and labelled with what the pictures show."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from monobody.body.model import Body
from monobody.body.prior import PosePrior
from monobody.body.rotation import axis_angle_to_matrix
from monobody.camera import project_weak
from monobody.data.crop import turn_back
from monobody.data.known import to_axis_angle
from monobody.data.lighting import harmonics, light_from_panorama, studio_lights
from monobody.data.staging import rotation_y, sample_view, wide_pose
from monobody.data.synthetic import BLOCK, PLAIN, SyntheticPeople
from monobody.data.textures import Textures, is_held_out
from monobody.data.wardrobe import sample_outfit

SMALL = replace(PLAIN, size=96, bystanders=0.5, occluders=0.0, truncated=0.0, shadows=True, finish=True)


@pytest.fixture(scope="module")
def textures() -> Textures:
    return Textures.load(None)


@pytest.fixture(scope="module")
def people(textures: Textures) -> SyntheticPeople:
    return SyntheticPeople(3, PosePrior.load(), textures, setting=SMALL)


def test_sample_depends_on_seed_and_index_alone(people: SyntheticPeople, textures: Textures) -> None:
    again = SyntheticPeople(3, people.poses, textures, setting=SMALL)
    again[40]  # Another history, the same sample.
    first, second = people[5], again[5]
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.theta, second.theta)
    other = SyntheticPeople(4, people.poses, textures, setting=SMALL)[5]
    assert (other.image != first.image).any()


def test_stream_resumes_and_workers_share_it(people: SyntheticPeople, textures: Textures) -> None:
    stream = iter(people)
    taken = [next(stream).theta for _ in range(3)]
    resumed = SyntheticPeople(people.seed, people.poses, textures, setting=SMALL, start=people.state()["start"])
    np.testing.assert_array_equal(next(iter(resumed)).theta, people[3].theta)
    np.testing.assert_array_equal(taken[2], people[2].theta)
    second = SyntheticPeople(3, people.poses, textures, setting=SMALL, start=BLOCK, step=2)
    indices = []
    for _ in range(BLOCK + 1):
        indices.append(second.index)
        second.index += 1 if (second.index + 1) % BLOCK else 1 + BLOCK * (second.step - 1)
    assert indices == [*range(BLOCK, 2 * BLOCK), 3 * BLOCK]


def test_streams_travel_to_workers(people: SyntheticPeople) -> None:
    copy = pickle.loads(pickle.dumps(people))
    np.testing.assert_array_equal(copy[7].image, people[7].image)


def test_labels_pose_the_body_where_the_mask_is(people: SyntheticPeople) -> None:
    body = Body.load()
    for index in range(4):
        sample = replace_bystanders(people)[index]
        assert sample.rotations is not None
        assert sample.betas is not None
        assert sample.mask is not None
        posed = body(torch.from_numpy(sample.rotations), torch.from_numpy(sample.betas))
        vertices = posed.vertices_m.numpy() + sample.translation_m
        joints = body.keypoints(posed.vertices_m, "lsp14").numpy() + sample.translation_m
        np.testing.assert_allclose(joints, sample.joints_cam_m, atol=2e-4)
        pixels = vertices[:, :2] / vertices[:, 2:] * sample.focal_px + sample.principal_px
        np.testing.assert_allclose(sample.keypoints["lsp14"][0], sample.keypoints_px[:14], atol=1e-3)
        rows, columns = np.clip(pixels[:, ::-1].astype(int).T, 0, 95)
        # Skin and thin cloth: the bare body's vertices fall on the mask but for the outline's last pixel.
        assert (sample.mask[rows, columns] > 0).mean() > 0.97
        low, high = pixels.min(0) - 3, pixels.max(0) + 3
        seen = np.argwhere(sample.mask > 127)[:, ::-1] + 0.5
        assert (seen > low).all()
        assert (seen < high).all()


def replace_bystanders(people: SyntheticPeople) -> SyntheticPeople:
    alone = replace(SMALL, bystanders=0.0)
    return SyntheticPeople(people.seed, people.poses, people.textures, setting=alone)


def test_parts_lie_under_their_joints(people: SyntheticPeople) -> None:
    agree = total = 0
    for index in range(24):
        sample = people[index]
        assert sample.parts is not None
        points, _ = sample.keypoints["smpl24"]
        for joint in (4, 5, 18, 19, 15):  # Knees, elbows, head: well inside of their limb.
            x, y = points[joint].astype(int)
            if 0 <= x < 96 and 0 <= y < 96 and sample.parts[y, x]:
                part = int(sample.parts[y, x]) - 1
                total += 1
                agree += part in (joint, {4: 1, 5: 2, 18: 16, 19: 17, 15: 12}[joint])
    assert total > 40
    assert agree / total > 0.6  # The rest is hidden behind other limbs.


def test_theta_projects_onto_the_keypoints(people: SyntheticPeople) -> None:
    for index in range(6):
        sample = people[index]
        points, joints = sample.keypoints["lsp14"]
        in_crop = turn_back((joints - sample.translation_m)[..., None], -sample.crop.angle_rad)[..., 0]
        seen = project_weak(torch.from_numpy(in_crop).float(), torch.from_numpy(sample.theta[:3]))
        error = np.abs(seen.numpy() - sample.crop.to_crop(points)).max()
        # A weak camera cannot follow perspective: near people have long arms.
        assert error < 0.25


def test_region_stands_the_person_up(people: SyntheticPeople) -> None:
    for index in range(8):
        sample = people[index]
        points = sample.crop.to_crop(sample.keypoints_px[:14].astype(float))
        trunk = points[[8, 9]].mean(0) - points[[2, 3]].mean(0)
        assert abs(np.arctan2(trunk[0], -trunk[1])) < 1e-3
        assert np.abs(points).max() < 1


@pytest.mark.parametrize("held_out", [False, True])
def test_procedural_textures_are_complete(held_out: bool) -> None:
    made = Textures.load(None, held_out=held_out)
    assert made.skins
    assert made.backgrounds
    assert made.lights
    assert made.tiles.shape[1:] == (128, 128, 3)


def test_held_out_share_is_about_a_fifth() -> None:
    share = np.mean([is_held_out(f"picture_{number}.jpg") for number in range(2000)])
    assert 0.17 < share < 0.23


def test_even_light_reflects_evenly() -> None:
    light = light_from_panorama(np.full((32, 64, 3), 5.0, np.float32))
    directions = np.random.default_rng(0).normal(size=(50, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    np.testing.assert_allclose(harmonics(directions) @ light.irradiance, 1, atol=0.01)
    assert np.abs(light.sun).max() < 1e-6


def test_light_from_the_left_is_brighter_on_the_left_and_turns() -> None:
    panorama = np.zeros((32, 64, 3), np.float32)
    panorama[12:20, 12:20] = 5.0  # Azimuth 90 degrees is +x.
    light = light_from_panorama(panorama)
    assert light.sun_direction[0] > 0.9
    reflected = harmonics(np.array([[1.0, 0, 0], [-1, 0, 0]])) @ light.irradiance
    assert reflected[0, 0] > reflected[1, 0]
    turned = light.turned(np.pi / 2)
    np.testing.assert_allclose(turned.sun_direction, rotation_y(np.pi / 2) @ light.sun_direction, atol=1e-5)
    for normal in np.eye(3):
        before = harmonics(normal) @ light.irradiance
        after = harmonics(rotation_y(np.pi / 2) @ normal) @ turned.irradiance
        np.testing.assert_allclose(after, before, atol=1e-4)


def test_studio_lights_and_outfits_are_in_range() -> None:
    rng = np.random.default_rng(0)
    for light in studio_lights(rng, 20):
        assert light.sun.min() >= 0
    for _ in range(200):
        outfit = sample_outfit(rng, 7)
        assert (outfit.colour >= 0).all()
        assert (outfit.colour <= 1).all()
        assert outfit.tile.max() < 7


def test_wide_poses_and_views_are_rotations() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        np.testing.assert_allclose(np.linalg.det(wide_pose(rng)), 1, atol=1e-4)
        view = sample_view(rng)
        np.testing.assert_allclose(view.world_from_camera @ view.world_from_camera.T, np.eye(3), atol=1e-5)


def test_axis_angle_is_the_librarys() -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(300, 3, generator=generator) * 1.2
    vectors[:3] = torch.pi * torch.eye(3)  # Half turns.
    vectors[3] = 0
    for matrix in axis_angle_to_matrix(vectors.double()):
        back = torch.from_numpy(to_axis_angle(matrix.numpy())).double()
        torch.testing.assert_close(axis_angle_to_matrix(back), matrix, atol=1e-5, rtol=0)
        assert back.norm() < torch.pi + 1e-5
