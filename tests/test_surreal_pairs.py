"""SURREAL as synthetic pairs: which frames, that left is left, and shapes told in our body's terms."""

import numpy as np
import pytest
import torch
from test_surreal import CAMERA, poses, world_rotations, write_set

from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS
from monobody.data.datasets import surreal, surreal_pairs
from monobody.data.faults import Fault, read_sample
from monobody.data.own_shape import betas_of_joints
from monobody.data.prepare import prepare
from monobody.data.prepared import Prepared

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def body():
    return Body.load()


@pytest.fixture(scope="module")
def root(tmp_path_factory, body):
    root = tmp_path_factory.mktemp("surreal")
    write_set(root, body)
    return root


@pytest.fixture
def wide(monkeypatch):
    """The tiny set's person does not stand quite in the middle, and is drawn as discs."""
    monkeypatch.setattr(surreal_pairs, "NEAR_PX", 60)
    monkeypatch.setattr(surreal_pairs, "RIM_PX", 0)


@pytest.mark.usefixtures("wide")
def test_pairs_have_masks_and_sides_and_our_shape(root, body):
    pairs = surreal.samples(root, "pairs")
    assert len(pairs) == 5
    frames = [int(pairs.name(number)[-3:]) for number in range(5)]
    assert frames == sorted(set(frames))
    assert frames == [int(surreal.samples(root, "pairs").name(number)[-3:]) for number in range(5)]
    right_side = []
    for number, sample in enumerate(pairs):
        seen = pairs.joints(0, number)[1].astype(int)
        assert (sample.mask[seen[:, 1], seen[:, 0]] == 255).all()
        for (x, y), name in zip(seen, SKELETONS["smpl24"].joints, strict=True):
            if name in SKELETONS["lsp14"].joints:
                red, _, blue = sample.image[y, x].astype(int)
                right_side.append((red > blue) == name.startswith("left"))
        assert sample.shape_space == "monobody"
        posed = body(torch.from_numpy(sample.rotations)[None], torch.from_numpy(sample.betas)[None])
        ours = body.keypoints(posed.vertices_m, "lsp14")[0].numpy()
        off = ours - ours.mean(0) - (sample.joints_cam_m - sample.joints_cam_m.mean(0))
        assert np.linalg.norm(off, axis=1).max() < 0.02
    assert np.mean(right_side) > 0.9  # Here and there a disc covers another.


def test_people_away_from_the_middle_are_left_out(root, monkeypatch):
    everyone = surreal.Surreal(root, every=1)
    x = np.array([everyone.joints(0, frame)[1][0, 0] for frame in range(12)])
    monkeypatch.setattr(surreal_pairs, "NEAR_PX", np.sort(np.abs(x - 160))[7] + 0.6)
    monkeypatch.setattr(surreal_pairs, "RIM_PX", 0)
    monkeypatch.setattr(surreal_pairs, "PRINCIPAL_PX", (160.0, float(everyone.joints(0, 0)[1][0, 1])))
    monkeypatch.setattr(surreal_pairs, "PER_CLIP", 99)
    pairs = surreal.samples(root, "pairs")
    assert 0 < len(pairs) <= 12
    assert len(pairs) + pairs.left_out.get("frames whose person is not in the middle", 0) == 12
    for number in range(len(pairs)):
        assert abs(pairs.joints(0, number)[1][0, 0] - 160) <= surreal_pairs.NEAR_PX + 0.5


@pytest.mark.usefixtures("wide")
def test_joints_beside_the_body_are_a_fault(root, tmp_path, body, monkeypatch):
    write_set(tmp_path, body)
    segm = tmp_path / "cmu/train/run0/01_01/01_01_c0001_segm.mat"
    from scipy.io import loadmat, savemat

    content = {name: value for name, value in loadmat(segm).items() if not name.startswith("__")}
    savemat(segm, {name: np.roll(value, 40, axis=1) for name, value in content.items()}, do_compression=True)
    fault = read_sample(surreal.samples(tmp_path, "pairs"), 0)
    assert isinstance(fault, Fault)
    assert "joints of frame 1 lie beside the body" in fault.reason
    segm.unlink()
    fault = read_sample(surreal.samples(tmp_path, "pairs"), 0)
    assert isinstance(fault, Fault)
    assert "has no mask" in fault.reason


@pytest.mark.usefixtures("wide")
def test_pairs_are_prepared_with_masks(root, tmp_path):
    assert prepare("surreal", root, tmp_path, split="pairs")["count"] == 5
    shard = Prepared(tmp_path)[2]
    assert shard.mask is not None
    assert shard.betas is not None
    assert shard.shape_space == "monobody"


def test_shapes_of_our_own_body_are_found_again(body):
    rng = np.random.default_rng(0)
    rotations = world_rotations(poses(4), 0.3)
    betas = rng.normal(size=(4, 10))
    posed = body(torch.from_numpy(rotations).float(), torch.from_numpy(betas).float())
    for number in range(4):
        joints = posed.joints_m[number].numpy() + CAMERA
        found = betas_of_joints(joints, rotations[number])
        again = body(torch.from_numpy(rotations[number : number + 1]).float(), torch.from_numpy(found)[None])
        off = again.joints_m[0] - again.joints_m[0, :1] - posed.joints_m[number] + posed.joints_m[number, :1]
        assert off.norm(dim=-1).max() < 0.01
        assert abs(found[0] - betas[number, 0]) < 0.5
    twice = betas_of_joints(3 * joints, rotations[3])
    assert np.abs(twice).max() == 3
