"""The quadruped: its body, its poses, its fur, pictures of it; and animals' body files of users."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch
from few_textures import few_textures

from monobody.body.assets import NO_PART, SHIPPED_ANIMAL, load_body_data
from monobody.body.describe import describe_body
from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS
from monobody.data.animal_poses import HELD_OUT_CLIPS, AnimalPoses
from monobody.data.coats import SPOTS, Anatomy, albedo, read_coats, sample_coat
from monobody.data.paint import bump_volume
from monobody.data.synthetic_animals import SyntheticAnimals, animal_row
from monobody.errors import UserError
from monobody.render.shade import vertex_normals

QUADRUPED = SKELETONS["quadruped"]
SIGNS = np.array([-1, 1, 1], np.float32)


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.load(SHIPPED_ANIMAL, animals=True)


@pytest.fixture(scope="module")
def poses() -> AnimalPoses:
    return AnimalPoses.load()


@pytest.fixture(scope="module")
def animals() -> SyntheticAnimals:
    return SyntheticAnimals(seed=5, textures=few_textures())


def posed(body: Body, rotations: np.ndarray, betas: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    made = body(torch.from_numpy(rotations), torch.from_numpy(betas))
    return made.vertices_m.numpy(), made.joints_m.numpy(), body.keypoints(made.vertices_m, "quadruped").numpy()


def test_the_quadruped_stands_as_it_should(body: Body) -> None:
    template = body.data.v_template
    at = dict(zip(QUADRUPED.joints, body.data.keypoint_regressors["quadruped"] @ template, strict=True))
    assert at["nose"][2] > at["head"][2] > at["thorax"][2] > at["pelvis"][2] > at["tail"][2] > at["tail_tip"][2]
    for side in ("left", "right"):
        assert at[f"{side}_hip"][1] > at[f"{side}_knee"][1] > at[f"{side}_ankle"][1] > at[f"{side}_toe"][1]
        assert at[f"{side}_shoulder"][1] > at[f"{side}_elbow"][1] > at[f"{side}_wrist"][1]
        assert (at[f"{side}_hip"][0] > 0) == (side == "left")
    assert np.linalg.norm(at["thorax"] - at["pelvis"]) == pytest.approx(0.5, abs=0.005)
    floor = template[:, 1].min()
    assert at["left_toe"][1] - floor < 0.15 * (at["left_hip"][1] - floor)


def test_mirrored_poses_give_mirrored_animals(body: Body, poses: AnimalPoses) -> None:
    rng = np.random.default_rng(0)
    rotations, betas = poses.sample(6, rng, held_out=False), poses.sample_betas(6, rng)
    _, joints, points = posed(body, rotations, betas)
    mirrored = (SIGNS[:, None] * rotations * SIGNS)[:, list(poses.flip)]
    _, other_joints, other_points = posed(body, mirrored, betas)
    np.testing.assert_allclose(other_joints, (joints * SIGNS)[:, list(poses.flip)], atol=1e-4)
    np.testing.assert_allclose(other_points, (points * SIGNS)[:, list(QUADRUPED.flip)], atol=1e-4)


def test_joints_follow_the_skin(body: Body, poses: AnimalPoses) -> None:
    """What is read from the posed skin is where the bones turn, to within two centimetres of a metre long animal."""
    rng = np.random.default_rng(1)
    _, joints, points = posed(body, poses.sample(40, rng, held_out=False), poses.sample_betas(40, rng))
    with np.load(SHIPPED_ANIMAL) as arrays:
        bones = list(arrays["bones"])
    for side in ("left", "right"):
        for joint, bone in (("knee", "Back_Leg_Lower"), ("elbow", "Front_Leg_Lower"), ("wrist", "Front_Leg_Ankle")):
            apart = points[:, QUADRUPED.index(f"{side}_{joint}")] - joints[:, bones.index(f"{bone}_{side[0].upper()}")]
            assert np.linalg.norm(apart, axis=1).mean() < 0.02, joint


def test_the_animals_are_among_the_shapes(body: Body, poses: AnimalPoses) -> None:
    rest = body.identity(torch.from_numpy(poses.betas)).vertices_m.numpy()
    with np.load(SHIPPED_ANIMAL) as arrays:
        animals = dict(zip(arrays["animals"], rest, strict=True))
    width = {name: np.ptp(v[:, 0]) / np.ptp(v[:, 1]) for name, v in animals.items()}
    tall = {name: np.ptp(v[:, 1]) for name, v in animals.items()}
    assert max(width, key=width.__getitem__) == "panda"
    assert tall["dog"] > tall["fox"] > tall["panda"]
    assert np.linalg.norm(animals["horse"] - animals["panda"], axis=1).mean() > 0.05


def test_held_out_clips_are_never_trained_on(poses: AnimalPoses) -> None:
    rng = np.random.default_rng(2)
    mirror = (SIGNS[:, None] * poses.rotations * SIGNS)[:, list(poses.flip)]
    held = np.isin(np.array(poses.clips)[poses.clip], HELD_OUT_CLIPS)
    assert held.any()
    for drawn, wanted in ((poses.sample(60, rng, held_out=True), True), (poses.real(60, rng), False)):
        for pose in drawn:
            same = [np.abs(one - pose).max((1, 2, 3)) < 1e-6 for one in (poses.rotations, mirror)]
            assert set(held[same[0] | same[1]]) == {wanted}
    varied = poses.sample(60, rng, held_out=False)
    np.testing.assert_allclose(varied @ varied.swapaxes(-1, -2), np.broadcast_to(np.eye(3), varied.shape), atol=1e-5)


def test_samples_depend_on_seed_and_number_alone(animals: SyntheticAnimals) -> None:
    again = SyntheticAnimals(seed=5, textures=animals.textures, start=17)
    first, second = animals[17], next(iter(again))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.joints_cam_m, second.joints_cam_m)
    assert again.state() == {"seed": 5, "start": 18}
    assert np.abs(animals[18].image.astype(int) - first.image).max() > 20
    strided = SyntheticAnimals(seed=5, textures=animals.textures, start=15, step=3)
    next(iter(strided))
    assert strided.state()["start"] == 48


def test_the_animal_is_where_mask_and_joints_say(animals: SyntheticAnimals) -> None:
    animals = SyntheticAnimals(seed=6, textures=animals.textures, size=96, occluders=0)
    inside = []
    for number in range(12):
        sample = animals[number]
        assert sample.image.shape == (96, 96, 3)
        assert 0.04 < sample.mask.mean() < 0.7
        points = np.floor(sample.points_px).astype(int)
        good = ((points >= 0) & (points < 96)).all(1)
        inside.append(sample.mask[points[good, 1], points[good, 0]] > 0.5)
        # The pelvis stays within the picture.
        assert good[QUADRUPED.index("pelvis")]
    assert np.concatenate(inside).mean() > 0.85


def test_rows_are_in_halves_of_the_crop_and_mirror_exactly(animals: SyntheticAnimals) -> None:
    sample = animals[3]
    row, mirrored = animal_row(sample), animal_row(sample, mirrored=True)
    assert row["images"].shape == (3, 64, 64)
    np.testing.assert_array_equal(row["images"].transpose(1, 2, 0), sample.image)
    np.testing.assert_array_equal(mirrored["images"], row["images"][:, :, ::-1])
    np.testing.assert_array_equal(mirrored["mask"], row["mask"][:, ::-1])
    np.testing.assert_allclose(mirrored["joints"], (row["joints"] * SIGNS)[list(QUADRUPED.flip)], atol=1e-6)
    np.testing.assert_array_equal(mirrored["known"], row["known"][list(QUADRUPED.flip)])
    # Seen from far away, x and y are in the unit of z: bones keep their lengths but for the perspective.
    root = QUADRUPED.index("pelvis")
    unit_m = 32 * sample.joints_cam_m[root, 2] / sample.focal_px
    assert row["joints"][root, 2] == 0
    np.testing.assert_allclose(
        row["joints"][:, 2], (sample.joints_cam_m[:, 2] - sample.joints_cam_m[root, 2]) / unit_m, rtol=1e-4, atol=1e-6
    )
    lateral = (row["joints"][:, :2] - row["joints"][root, :2]) * unit_m
    seen = sample.joints_cam_m[:, :2] * (sample.joints_cam_m[root, 2] / sample.joints_cam_m[:, 2:])
    np.testing.assert_allclose(lateral, seen - sample.joints_cam_m[root, :2], atol=1e-3)
    photo = animal_row(sample, labelled=False)
    assert photo["has_joints"] == 0
    assert photo["has_mask"] == 1
    assert not photo["known"].any()
    assert not photo["joints"].any()


def test_painted_fur(body: Body) -> None:
    data = body.data
    joints = data.keypoint_regressors["quadruped"] @ data.v_template
    anatomy = Anatomy.of(data.v_template, vertex_normals(data.v_template, data.faces), joints)
    corners = np.repeat(np.arange(len(data.v_template))[:, None], 3, 1)
    share, uv, noise = np.full(corners.shape, 1 / 3), np.zeros((len(corners), 2)), bump_volume()
    rng = np.random.default_rng(3)
    trained = [sample_coat(rng, [], held_out=False) for _ in range(60)]
    assert all(coat.pattern != SPOTS for coat in trained)
    for coat in trained[:20]:
        colour = albedo(coat, anatomy, corners, share, uv, noise)
        assert 0 <= colour.min() <= colour.max() <= 1
        # Fur is the same on both sides of the nose, which is dark.
        assert colour[anatomy.fields[:, 4] > 0.95].max() < 0.2
    assert any(sample_coat(rng, [], held_out=True).pattern == SPOTS for _ in range(60))


def test_own_textures_are_split_and_checked(tmp_path: Path) -> None:
    file = tmp_path / "coats.npz"
    np.savez(file, fox=np.full((4, 4, 3), 200, np.uint8), dog=np.full((4, 4, 3), 10, np.uint8))
    assert [int(coat[0, 0, 0]) for coat in read_coats(file, held_out=False)] == [200]
    assert [int(coat[0, 0, 0]) for coat in read_coats(file, held_out=True)] == [10]
    for wrong in (tmp_path / "none.npz", SHIPPED_ANIMAL):
        with pytest.raises(UserError, match="has no coats"):
            read_coats(wrong, held_out=False)


def smal_like(rng: np.random.Generator, vertices: int = 300) -> dict[str, np.ndarray]:
    """What a SMAL file holds: SMPL's fields with 33 joints and 41 shape coefficients."""
    parents = np.array([2**32 - 1, *(int(rng.integers(max(0, j - 4), j)) for j in range(1, 33))])
    weights = rng.dirichlet(np.full(33, 0.1), vertices)
    return {
        "v_template": rng.normal(size=(vertices, 3)),
        "shapedirs": rng.normal(scale=0.05, size=(vertices, 3, 41)),
        "posedirs": rng.normal(scale=1e-3, size=(vertices, 3, 288)),
        "J_regressor": rng.dirichlet(np.full(vertices, 0.05), 33),
        "weights": weights,
        "kintree_table": np.stack([parents, np.arange(33)]).astype(np.uint32),
        "f": rng.integers(vertices, size=(500, 3)).astype(np.uint32),
        "vert_sym_idxs": np.arange(vertices),
    }


@pytest.mark.parametrize("kind", ["npz", "pkl"])
def test_a_users_smal_file(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    arrays, file = smal_like(rng), tmp_path / f"my_smal.{kind}"
    if kind == "npz":
        np.savez(file, **arrays)
    else:
        content = {**arrays, "J_regressor": scipy.sparse.csc_matrix(arrays["J_regressor"]), "bs_style": "lbs"}
        file.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(UserError, match="33 joints; SMPL has 24"):
        Body.load(file)
    smal = Body.load(file, animals=True)
    assert smal.data.name == "my_smal"
    assert (smal.data.part6 == NO_PART).all()
    assert "33, where a person has 24" in describe_body(file)
    betas, angles = rng.normal(size=41).astype(np.float32), rng.normal(scale=0.4, size=33)
    rotations = np.tile(np.eye(3, dtype=np.float32), (33, 1, 1))
    rotations[:, :2, :2] = np.stack([np.cos(angles), -np.sin(angles), np.sin(angles), np.cos(angles)], 1).reshape(
        33, 2, 2
    )
    made = smal(torch.from_numpy(rotations), torch.from_numpy(betas))
    vertices, joints = _skinned_by_hand(arrays, betas, rotations.astype(np.float64))
    np.testing.assert_allclose(made.joints_m.numpy(), joints, atol=1e-4)
    np.testing.assert_allclose(made.vertices_m.numpy(), vertices, atol=1e-4)
    standing = smal(torch.eye(3).expand(33, 3, 3))
    np.testing.assert_allclose(standing.vertices_m.numpy(), arrays["v_template"], atol=1e-5)


def _skinned_by_hand(
    arrays: dict[str, np.ndarray], betas: np.ndarray, rotations: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """SMPL's formula, one vertex sum after the other."""
    shaped = arrays["v_template"] + arrays["shapedirs"] @ betas
    rest = arrays["J_regressor"] @ shaped
    parents = arrays["kintree_table"][0].astype(np.int64)
    world = np.zeros((33, 4, 4))
    for joint in range(33):
        local = np.eye(4)
        local[:3, :3] = rotations[joint]
        local[:3, 3] = rest[joint] - (rest[parents[joint]] if joint else 0)
        world[joint] = world[parents[joint]] @ local if joint else local
    bent = shaped + arrays["posedirs"] @ (rotations[1:] - np.eye(3)).ravel()
    vertices = np.zeros_like(shaped)
    for joint in range(33):
        moved = (bent - rest[joint]) @ world[joint, :3, :3].T + world[joint, :3, 3]
        vertices += arrays["weights"][:, joint, None] * moved
    return vertices, world[:, :3, 3]


def test_animals_are_not_taken_for_people(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="34 joints; SMPL has 24"):
        load_body_data(SHIPPED_ANIMAL)
    arrays = smal_like(np.random.default_rng(5))
    np.savez(tmp_path / "bare.npz", **{name: value for name, value in arrays.items() if name != "posedirs"})
    assert not load_body_data(tmp_path / "bare.npz", animals=True).posedirs.any()
    np.savez(tmp_path / "wrong.npz", **(arrays | {"posedirs": arrays["posedirs"][..., :207]}))
    with pytest.raises(UserError, match="posedirs has the shape 300 x 3 x 207 where 300 x 3 x 288 is needed"):
        load_body_data(tmp_path / "wrong.npz", animals=True)
