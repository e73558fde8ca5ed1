"""SURREAL, made small in its true formats with the reflecting camera of its own scripts: left must come out left."""

import numpy as np
import pytest
import tiny_people
import torch

from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS
from monobody.camera import project
from monobody.data.datasets import surreal
from monobody.data.marks import marks_from_joints
from monobody.data.staging import rotation_y, to_matrices
from monobody.errors import UserError

FRAMES = 12
NAMES = SKELETONS["smpl24"].joints
# As the data set's scripts have it: K [R | -R camLoc], R a reflection.
K = np.array([[600.0, 0, 160], [0, 600, 120], [0, 0, 1]])
R_PUBLISHED = np.array([[0.0, 0, -1], [0, 1, 0], [-1, 0, 0]])
CAMERA = np.array([6.7456, -0.9839, -1.9293])


@pytest.fixture(scope="module")
def body():
    return Body.load()


def poses(frames=FRAMES, seed=3):
    """Upright in the motion capture's z-up world, with arms and legs apart."""
    rng = np.random.default_rng(seed)
    posed = 0.15 * rng.normal(size=(frames, 24, 3))
    posed[:, 0] = (np.pi / 2, 0, 0)  # Takes y to z.
    posed[:, 16, 2], posed[:, 17, 2] = -0.9, 0.4  # The left arm down, the right arm up a little.
    posed[:, 4, 0] = 0.7  # The left knee bent.
    return posed


def world_rotations(poses, zrot):
    """The root as SURREAL's script `rotateBody` has it, written out."""
    cos, sin = np.cos(zrot), np.sin(zrot)
    rotations = to_matrices(poses).astype(np.float64)
    rotations[:, 0] = (
        np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
        @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        @ rotations[:, 0]
    )
    return rotations


def write_set(root, body, *, zrot=0.8, split="train", frames=FRAMES, seed=3, lost=()):
    """Write one clip; return its world joints and its poses."""
    from scipy.io import savemat

    av = pytest.importorskip("av")
    posed = poses(frames, seed)
    rotations = torch.from_numpy(world_rotations(posed, zrot)).float()
    joints = body(rotations).joints_m.numpy() + np.array([-0.8645, -1.0915, -1.9])
    joints[list(lost)] = 0
    homogeneous = (joints - CAMERA) @ R_PUBLISHED.T @ K.T
    exact = homogeneous[..., :2] / homogeneous[..., 2:]
    clip = root / "cmu" / split / "run0" / "01_01"
    clip.mkdir(parents=True, exist_ok=True)
    segm, images = {}, []
    rows, columns = np.mgrid[:240, :320] + 0.5
    for frame in range(frames):
        images.append(tiny_people.painted("smpl24", exact[frame], (320, 240), radius_px=4))
        parts = np.zeros((240, 320), np.uint8)
        for number in sorted(range(24), key=lambda j: NAMES[j] in SKELETONS["lsp14"].joints):
            parts[np.hypot(columns - exact[frame, number, 0], rows - exact[frame, number, 1]) < 3] = 1 + number
        segm[f"segm_{frame + 1}"] = parts
    savemat(clip / "01_01_c0001_segm.mat", segm, do_compression=True)
    info = {
        "pose": posed.reshape(frames, 72).T.astype(np.float32),
        "shape": np.tile(np.linspace(-1, 1, 10)[:, None], frames).astype(np.float32),
        "joints2D": np.round(np.moveaxis(exact, 0, -1).swapaxes(0, 1)).astype(np.float32),
        "joints3D": np.moveaxis(joints, 0, -1).swapaxes(0, 1).astype(np.float32),
        "zrot": np.full((frames, 1), zrot, np.float32),
        "camLoc": CAMERA[:, None].astype(np.float32),
        "camDist": np.float32(7),
        "gender": np.ones((frames, 1), np.uint8),
        "source": "cmu",
    }
    savemat(clip / "01_01_c0001_info.mat", info, do_compression=True)
    with av.open(str(clip / "01_01_c0001.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return joints, posed


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, body):
    root = tmp_path_factory.mktemp("surreal")
    return root, *write_set(root, body)


def test_left_is_left_in_the_picture_the_parts_and_the_joints(tiny):
    root, *_ = tiny
    people = surreal.Surreal(root, every=5)
    assert len(people) == 3
    for sample in people:
        for name in ("left_wrist", "right_wrist", "left_knee", "right_ankle", "right_elbow"):
            index = SKELETONS["cocoplus19"].index(name)
            # The red discs are the left ones. Clicked places lie a little off the joints.
            place = tiny_people.centroid(sample.image, sample.keypoints_px[index], name, reach_px=7)
            assert np.linalg.norm(place - sample.keypoints_px[index]) < 4
            x, y = place.astype(int)
            assert sample.parts[y, x] == 1 + NAMES.index(name)
            assert sample.mask[y, x] == 255
    assert people.name(1) == "run0/01_01_c0001/005"


def test_the_camera_is_the_published_one():
    # A joint, its pixel and the camera as the comments of the data set's own `3Dto2D/main.m` give them.
    joint, pixel = np.array([-0.8645, -1.0915, -1.0260]), (89, 112)
    seen = project((joint - CAMERA) @ surreal.CAMERA_FROM_WORLD.T, surreal.FOCAL_PX, surreal.PRINCIPAL_PX)
    np.testing.assert_array_equal(np.round((320 - seen[0], seen[1])), pixel)


def test_joints_rotations_and_camera_agree(tiny, body):
    root, joints_world, _ = tiny
    for number, sample in enumerate(surreal.Surreal(root, every=5)):
        np.testing.assert_allclose(
            project(sample.joints_cam_m, sample.focal_px, sample.principal_px), sample.keypoints_px[:14], atol=1e-3
        )
        # The same body, posed by the sample's rotations, stands as the data set's joints do in the mirrored camera.
        posed = body(torch.from_numpy(sample.rotations)).joints_m.numpy()
        published = (joints_world[5 * number] - CAMERA) @ R_PUBLISHED.T * (-1, 1, 1)
        np.testing.assert_allclose(posed - posed[0], published - published[0], atol=2e-5)
        assert np.linalg.det(sample.rotations[0]) == pytest.approx(1, abs=1e-5)
        upright = posed[15] - posed[0]
        assert upright[1] < -0.4  # y down.
        assert sample.visible.all()
        assert sample.shape_space == "smpl-male"
        np.testing.assert_allclose(sample.betas, np.linspace(-1, 1, 10), atol=1e-6)


def test_marks_of_the_shipped_body_are_its_own(tiny, body):
    _, _, posed = tiny
    rotations = to_matrices(posed[:1])
    person = body(torch.from_numpy(rotations))
    marks = marks_from_joints(person.joints_m[0].numpy(), rotations[0])
    np.testing.assert_allclose(marks, body.keypoints(person.vertices_m, "cocoplus19")[0].numpy(), atol=2e-5)
    betas = torch.tensor([[1.5, -1, 1, 0.5, -1, 1, 0, 0, 1, -1]])
    other = body(torch.from_numpy(rotations), betas)
    marks = marks_from_joints(other.joints_m[0].numpy(), rotations[0])
    off = np.linalg.norm(marks - body.keypoints(other.vertices_m, "cocoplus19")[0].numpy(), axis=1)
    assert off.max() < 0.03


def test_a_turned_world_gives_the_same_body_before_a_turned_camera(tmp_path, tiny, body):
    root, *_ = tiny
    write_set(tmp_path, body, zrot=0.8 + 0.5)
    for first, second in zip(surreal.Surreal(root), surreal.Surreal(tmp_path), strict=True):
        np.testing.assert_allclose(first.rotations[1:], second.rotations[1:], atol=1e-6)
        # A turn about the world's z is one about the camera's upright axis, which points down.
        np.testing.assert_allclose(second.rotations[0], rotation_y(-0.5) @ first.rotations[0], atol=1e-5)


def test_frames_without_joints_and_torn_files_have_their_sentence(tmp_path, body):
    write_set(tmp_path, body, lost=(0,))
    people = surreal.Surreal(tmp_path, every=5)
    with pytest.raises(UserError, match="no joints"):
        people[0]
    assert people[1].visible.any()
    info = tmp_path / "cmu/train/run0/01_01/01_01_c0001_info.mat"
    info.write_bytes(info.read_bytes()[:140])
    assert len(surreal.Surreal(tmp_path)) == 1
    with pytest.raises(UserError, match="unpack it again"):
        surreal.Surreal(tmp_path)[0]


def test_joints_of_another_clip_are_noticed(tmp_path, body):
    from scipy.io import loadmat, savemat

    write_set(tmp_path, body)
    info = tmp_path / "cmu/train/run0/01_01/01_01_c0001_info.mat"
    content = {name: value for name, value in loadmat(info).items() if not name.startswith("__")}
    content["joints3D"] = content["joints3D"][:, list(SKELETONS["smpl24"].flip)]
    savemat(info, content, do_compression=True)
    with pytest.raises(UserError, match="pixels from"):
        surreal.Surreal(tmp_path)[0]


def test_a_clip_of_one_frame_without_parts(tmp_path, body):
    write_set(tmp_path, body, frames=1)
    (tmp_path / "cmu/train/run0/01_01/01_01_c0001_segm.mat").unlink()
    assert surreal.check(tmp_path, "train") == [], "masks and parts may be missing"
    people = surreal.samples(tmp_path)
    assert people.left_out == {"masks and parts, of samples whose clips have no *_segm.mat": 1}
    sample = people[0]
    assert sample.mask is None
    assert sample.parts is None


def test_what_is_missing_is_told(tmp_path, tiny, body):
    assert "https://" in surreal.check(tmp_path)[0]
    with pytest.raises(UserError, match="https://"):
        surreal.Surreal(tmp_path)
    root, *_ = tiny
    assert [words.split()[0] for words in surreal.check(root)] == [str(root / "cmu" / "test")]
    assert surreal.check(root, "train") == []
    assert surreal.Surreal(root).left_out == {}
    write_set(tmp_path / "SURREAL/data", body, split="test")
    (tmp_path / "SURREAL/data/cmu/test/run0/01_01/01_01_c0001.mp4").unlink()
    assert any("lack their video" in words for words in surreal.check(tmp_path))
