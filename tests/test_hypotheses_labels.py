"""What rows of people say to X as Supervision: joints in the crop's cube, and the way back to metres."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from monobody.body import assets, model
from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS
from monobody.data import synthetic
from monobody.data.mix import collate
from monobody.data.sample import NO_AUGMENT, Augment, jitter, training_row
from monobody.data.synthetic import PLAIN, SyntheticPeople, SyntheticSample
from monobody.train.hypotheses_labels import SETS, cube_of, from_cube, people_labels, to_cube


@pytest.fixture(scope="module")
def body() -> JointBody:
    return JointBody.from_body(Body.load(), SETS)


@pytest.fixture(scope="module")
def people() -> list[SyntheticSample]:
    stream = SyntheticPeople(3, setting=PLAIN)
    return [stream[index] for index in range(6)]


def rows_of(people: list[SyntheticSample], augment: Augment, seed: int = 0) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    return collate([training_row(person, rng, 64, augment, masks=True) for person in people])


def test_joints_lie_where_the_renderer_put_them(body: JointBody, people: list[SyntheticSample]) -> None:
    """The renderer's own pixels, through the crop, are what the cube says; depths are metres over half the crop's."""
    rows = rows_of(people, NO_AUGMENT)
    labels = people_labels(rows, body)
    for number, person in enumerate(people):
        pixels, metres = person.keypoints["xas18"]
        np.testing.assert_allclose(labels["joints"][number, :, :2], person.crop.to_crop(pixels), atol=5e-3)
        deep = metres[:, 2] - metres[0, 2]
        half_m = person.crop.size_px / 2 * metres[0, 2] / person.focal_px
        np.testing.assert_allclose(labels["joints"][number, :, 2], deep / half_m, atol=5e-3)


@pytest.mark.parametrize("zoom", [0.7, 1.0, 1.5])
def test_a_crop_magnified_magnifies_its_joints_in_all_three_axes(
    zoom: float, body: JointBody, people: list[SyntheticSample]
) -> None:
    """The renderer's pixels and metres, enlarged by hand; and back in metres everybody is as large as before."""
    rows = rows_of(people, replace(NO_AUGMENT, even_zoom=(zoom, zoom)))
    joints = people_labels(rows, body, depth_range=9.0)["joints"]
    _, roots_m, half_m = cube_of(rows, body)
    metres = from_cube(joints, roots_m, half_m, rows["view"])
    for number, person in enumerate(people):
        pixels, true_m = person.keypoints["xas18"]
        flat = (pixels - person.crop.centre_px) @ person.crop.axes() / (person.crop.size_px / 2)
        np.testing.assert_allclose(joints[number, :, :2], zoom * flat, atol=8e-3)
        deep = (true_m[:, 2] - true_m[0, 2]) * person.focal_px / true_m[0, 2] / (person.crop.size_px / 2)
        np.testing.assert_allclose(joints[number, :, 2], zoom * deep, atol=8e-3)
        spread = np.ptp(true_m[:, 2])
        assert float(metres[number, :, 2].max() - metres[number, :, 2].min()) == pytest.approx(spread, abs=5e-3)


def test_crops_moved_at_random_have_their_joints_where_the_renderer_s_pixels_went(
    body: JointBody, people: list[SyntheticSample]
) -> None:
    """Moved, scaled and turned: pixels through the moved crop; depths over half of that crop, in metres at the root."""
    moved = Augment(appearance=None, mirror_share=0.0, shift=0.1, log_scale=0.3, turn_rad=0.5)
    for seed, person in enumerate(people):
        joints = people_labels(rows_of([person], moved, seed), body, depth_range=9.0)["joints"][0]
        crop = jitter(person.crop, np.random.default_rng(seed), moved)
        assert crop.size_px != person.crop.size_px
        pixels, metres = person.keypoints["xas18"]
        np.testing.assert_allclose(joints[:, :2], crop.to_crop(pixels), atol=1e-2)
        half_m = crop.size_px / 2 * metres[0, 2] / person.focal_px
        np.testing.assert_allclose(joints[:, 2], (metres[:, 2] - metres[0, 2]) / half_m, atol=1e-2)


def test_the_body_is_read_once_however_many_rows_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rendering, cutting out and labelling people of two blocks."""
    read = []
    original = assets.load_body_data

    def counted(*args: object, **options: object) -> assets.BodyData:
        read.append(args)
        return original(*args, **options)  # pyright: ignore

    for module in (assets, synthetic, model):
        monkeypatch.setattr(module, "load_body_data", counted)
    stream = SyntheticPeople(3, setting=replace(PLAIN, size=48, oversampling=1))
    poser = JointBody.from_body(Body.load(), SETS)
    assert len(read) == 2
    for index in (0, 1, 16):
        people_labels(rows_of([stream[index]], NO_AUGMENT), poser)
    assert len(read) == 2


def test_a_moved_turned_and_mirrored_crop_moves_its_joints(body: JointBody, people: list[SyntheticSample]) -> None:
    """Left stays the person's left in a mirror; joints stay on their pixels: the mask's, and the picture's."""
    moved = Augment(appearance=None, mirror_share=1.0, turn_rad=math.radians(40))
    rows = rows_of(people, moved)
    labels = people_labels(rows, body)
    flip = list(SKELETONS["xas18"].flip)
    plain = people_labels(rows_of(people, replace(moved, mirror_share=0.0)), body)
    mirrored = plain["joints"][:, flip] * torch.tensor([-1.0, 1.0, 1.0])
    np.testing.assert_allclose(labels["joints"], mirrored, atol=5e-3)
    assert torch.equal(labels["mask"], plain["mask"].flip(-1))
    trunk = [SKELETONS["xas18"].index(name) for name in ("pelvis", "torso", "thorax")]
    places = ((labels["joints"][:, trunk, :2] + 1) * 32).long().clamp(0, 63)
    hit = labels["mask"][torch.arange(len(people))[:, None], places[..., 1], places[..., 0]]
    assert float((hit > 127).float().mean()) > 0.75


def test_the_cube_is_left_as_it_was_entered(body: JointBody, people: list[SyntheticSample]) -> None:
    rows = rows_of(people, Augment(appearance=None))
    joints_m, roots_m, half_m = cube_of(rows, body)
    cube = to_cube(joints_m, roots_m, half_m, rows["view"])
    back = from_cube(cube[:, None].expand(-1, 3, -1, -1), roots_m, half_m, rows["view"])
    torch.testing.assert_close(back, joints_m[:, None].expand(-1, 3, -1, -1), atol=1e-4, rtol=0)
    assert cube[:, 0, 2].abs().max() == 0


def test_people_of_whom_little_is_known_have_no_joints(body: JointBody, people: list[SyntheticSample]) -> None:
    sample = replace(people[0], rotations=None, betas=None, joints_cam_m=None, mask=None)
    labels = people_labels(rows_of([people[0], sample], NO_AUGMENT), body)
    assert labels["has_joints"].tolist() == [1, 0]
    assert labels["has_mask"].tolist() == [1, 0]
    assert not labels["joints"][1].any()
    assert not labels["known"][1].any()
    assert not labels["mask"][1].any()
