"""3DPW made small, pickled as Python 2 did: bodies before the camera must be where the pictures show them."""

import io
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_people
import torch
from PIL import Image

from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.body.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from monobody.body.skeleton import SKELETONS
from monobody.data.datasets import threedpw
from monobody.data.marks import marks_from_joints
from monobody.errors import UserError

SIZE = (360, 640)
FRAMES = 5
K = np.array([[600.0, 0, 180], [0, 600, 320], [0, 0, 1]])
# The data set's own list of the 18 detected joints, from its documentation.
COCO_18 = (
    "Nose Neck RShoulder RElbow RWrist LShoulder LElbow LWrist RHip RKnee RAnkle LHip LKnee LAnkle REye LEye REar LEar"
)


def cameras(rng: np.random.Generator) -> np.ndarray:
    """World to camera: a different, known place in each frame."""
    matrices = np.tile(np.eye(4), (FRAMES, 1, 1))
    matrices[:, :3, :3] = axis_angle_to_matrix(torch.from_numpy(rng.uniform(-1, 1, (FRAMES, 3)))).numpy()
    matrices[:, :3, 3] = rng.uniform(-2, 2, (FRAMES, 3))
    return matrices


def spelled(name: str) -> str:
    side, _, joint = name.partition("_")
    return {"left": "L", "right": "R"}[side] + joint.capitalize() if side in ("left", "right") else name.capitalize()


def joints_cam(person: int, frame: int) -> np.ndarray:
    return tiny_people.person("smpl24", (-0.3 + 0.7 * person, -0.1, 3.2 + 0.1 * frame), turn_deg=10.0)


def seen(points: np.ndarray) -> np.ndarray:
    return (points @ K.T)[..., :2] / points[..., 2:]


def sequence(rng: np.random.Generator) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Return a sequence of two people, the roots' true rotations before the camera, and the true cameras."""
    world_to_camera = cameras(rng)
    poses = rng.uniform(-0.8, 0.8, (2, FRAMES, 72))
    roots = axis_angle_to_matrix(torch.from_numpy(poses[..., :3])).numpy()
    places, detections = [], []
    for person in range(2):
        cam = np.array([joints_cam(person, frame) for frame in range(FRAMES)])
        turn, shift = world_to_camera[:, :3, :3], world_to_camera[:, None, :3, 3]
        places.append(((cam - shift) @ turn).reshape(FRAMES, 72))
        names = {spelled(name): name for name in tiny_people.POINTS}
        found = np.zeros((FRAMES, 3, 18))
        for place, name in enumerate(COCO_18.split()):
            smpl = SKELETONS["smpl24"].joints
            if names[name] in smpl:
                found[:, :2, place] = seen(cam[:, smpl.index(names[name])])
                found[:, 2, place] = 0.9
        detections.append(found)
    detections[0][2, 2, 3:] = 0  # Three joints are left in this frame.
    detections[0][3, 2, 4] = 0.1  # Of the right wrist, OpenPose is not sure.
    content = {
        "poses": list(poses),
        "betas": [np.arange(10) * 0.1, np.arange(300) * -0.1],
        "genders": ["m", "f"],
        "trans": [np.zeros((FRAMES, 3))] * 2,
        "jointPositions": places,
        "poses2d": detections,
        "campose_valid": [np.array([1, 0, 1, 1, 1], bool), np.array([0, 1, 1, 1, 1])],
        "cam_poses": world_to_camera,
        "cam_intrinsics": K,
        "img_frame_ids": np.arange(FRAMES) * 2,
        "v_template_clothed": [np.zeros((20, 3))] * 2,
        "texture_maps": [],
        "sequence": "downtown_tiny_00",
    }
    return content, roots, world_to_camera


class Python2Pickler(pickle._Pickler):
    """Writes texts and bytes alike as Python 2 wrote its strings."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_string(self, value: str | bytes) -> None:
        data = value.encode("latin1") if isinstance(value, str) else value
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string


def as_python2(content: dict[str, Any]) -> bytes:
    """Pickle with protocol 2, byte strings and numpy's module names of old."""
    buffer = io.BytesIO()
    Python2Pickler(buffer, protocol=2).dump(content)
    return buffer.getvalue().replace(b"cnumpy._core.", b"cnumpy.core.")


def write_set(root: Path, content: dict[str, Any], split: str = "test") -> Path:
    path = root / "sequenceFiles" / split / "downtown_tiny_00.pkl"
    path.parent.mkdir(parents=True)
    path.write_bytes(as_python2(content))
    images = root / "imageFiles" / "downtown_tiny_00"
    images.mkdir(parents=True)
    for frame in range(FRAMES):
        both = [tiny_people.painted("smpl24", seen(joints_cam(person, frame)), SIZE) for person in (0, 1)]
        picture = np.where((both[0] == 128).all(-1, keepdims=True), both[1], both[0])
        Image.fromarray(picture).save(images / f"image_{frame:05d}.jpg", quality=95)
    return path


def test_people_are_where_the_pictures_show_them(tmp_path: Path) -> None:
    content, roots, world_to_camera = sequence(np.random.default_rng(3))
    write_set(tmp_path, content)
    people = threedpw.samples(tmp_path, "test")
    names = [people.name(i) for i in range(len(people))]
    kept = [(0, 0), (0, 3), (0, 4), (1, 1), (1, 2), (1, 3), (1, 4)]
    assert names == [f"downtown_tiny_00/{person}/{frame:05d}" for person, frame in kept]
    assert people.left_out == {"the camera was not aligned": 2, "fewer than 6 joints detected": 1}
    cocoplus = SKELETONS["cocoplus19"].joints
    for index, (number, frame) in enumerate(kept):
        sample = people[index]
        part, place = people.find(index)
        person = people.people[part]
        np.testing.assert_allclose(person.joints_cam_m[place], joints_cam(number, frame), atol=1e-9)
        expected = marks_from_joints(person.joints_cam_m[place], person.rotations[place])[:14]
        np.testing.assert_allclose(sample.joints_cam_m, expected, atol=1e-5)
        assert sample.focal_px == 600
        assert sample.principal_px == (180, 320)
        projected = seen(person.joints_cam_m[place])
        for joint, name in enumerate(cocoplus):
            if sample.visible[joint]:
                smpl = projected[SKELETONS["smpl24"].index(name)]
                np.testing.assert_allclose(sample.keypoints_px[joint], smpl, atol=1e-3)
                found = tiny_people.centroid(sample.image, smpl, name)
                assert np.linalg.norm(found - smpl) < 0.9, name
        hips = projected[[1, 2]].mean(0)
        assert np.linalg.norm(np.array(sample.crop.centre_px) - hips) < 0.1 * sample.crop.size_px
        assert sample.rotations is not None
        expected_root = world_to_camera[frame, :3, :3] @ roots[number, frame]
        np.testing.assert_allclose(sample.rotations[0], expected_root, atol=1e-6)
        limb = axis_angle_to_matrix(torch.from_numpy(content["poses"][number][frame, 3 * 18 : 3 * 19])).numpy()
        np.testing.assert_allclose(sample.rotations[18], limb, atol=1e-6)
        assert sample.shape_space == f"smpl-{('male', 'female')[number]}"
        np.testing.assert_allclose(sample.betas, content["betas"][number][:10], atol=1e-6)
        sides = [cocoplus.index(name) for name in ("left_shoulder", "right_shoulder")]
        assert sample.keypoints_px[sides[0], 0] > sample.keypoints_px[sides[1], 0]
    wrist = cocoplus.index("right_wrist")
    assert [people[i].visible[wrist] for i in range(3)] == [1, 0, 1]


def test_a_known_body_has_its_joints_in_3d(tmp_path: Path) -> None:
    """A body larger than the shipped one, posed and placed: LSP's joints come back where they were detected."""
    rng = np.random.default_rng(5)
    content, _, world_to_camera = sequence(rng)
    poses = 0.3 * rng.normal(size=(FRAMES, 24, 3))
    poses[:, 0] = (np.pi, 0, 0)  # Upright before a camera whose y is down.
    poses[:, 16, 2], poses[:, 4, 0] = -0.9, 0.7
    rotations = axis_angle_to_matrix(torch.from_numpy(poses)).float()
    posed = JointBody.from_body(Body.load(), ("cocoplus19", "smpl24"))(rotations, torch.zeros(FRAMES, 10))
    marks, bones = (1.08 * posed[name].double().numpy() + (0.1, 0.0, 3.5) for name in ("cocoplus19", "smpl24"))
    turn, shift = world_to_camera[:, :3, :3], world_to_camera[:, None, :3, 3]
    in_world = rotations.double().numpy()
    in_world[:, 0] = turn.swapaxes(1, 2) @ in_world[:, 0]
    poses[:, 0] = matrix_to_axis_angle(torch.from_numpy(in_world[:, 0])).numpy()
    names = [name for name in SKELETONS["cocoplus19"].joints if name in threedpw.DETECTED]
    found = np.full((FRAMES, 3, 18), 0.9)
    for name in names:
        found[:, :2, threedpw.DETECTED.index(name)] = seen(marks[:, SKELETONS["cocoplus19"].index(name)])
    one = {"poses": [poses.reshape(FRAMES, 72)], "jointPositions": [((bones - shift) @ turn).reshape(FRAMES, 72)]}
    write_set(tmp_path, content | one | {"poses2d": [found]})
    for sample, frame in zip(threedpw.samples(tmp_path, "test"), (0, 2, 3, 4), strict=True):
        assert sample.joints_cam_m is not None
        np.testing.assert_allclose(sample.joints_cam_m, marks[frame, :14], atol=2e-3)
        known = sample.visible[:14] > 0
        assert known.sum() == 12, "all but the neck and the top of the head"
        away = np.linalg.norm(seen(sample.joints_cam_m.astype(float)) - sample.keypoints_px[:14], axis=1)
        assert away[known].max() < 1
        assert sample.crop.to_crop(seen(marks[frame, 13:14])).max() < 1, "the top of the head is in the region"


def test_order_of_the_detected_joints() -> None:
    assert [spelled(name) for name in threedpw.DETECTED] == COCO_18.split()


class Exploit:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("run",))


def test_mistakes_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, _, _ = sequence(np.random.default_rng(4))
    problems = threedpw.check(tmp_path)
    assert any("test holds 0 of 24 sequences" in problem for problem in problems)
    with pytest.raises(UserError, match=r"holds no sequences of 3DPW\. Accept the licence"):
        threedpw.samples(tmp_path)
    path = write_set(tmp_path, content)
    assert not any("lacks the pictures" in problem for problem in threedpw.check(tmp_path))
    assert [problem.split(" holds ")[1] for problem in threedpw.check(tmp_path, "test")] == ["1 of 24 sequences."]
    (tmp_path / "imageFiles" / "downtown_tiny_00" / "image_00000.jpg").unlink()
    assert any("lacks the pictures of 1 test sequences" in problem for problem in threedpw.check(tmp_path))
    with pytest.raises(UserError, match=r"image_00000\.jpg does not exist"):
        threedpw.samples(tmp_path, "test")[0]
    path.write_bytes(as_python2(content | {"texture_maps": Exploit()}))
    with pytest.raises(UserError, match="refused: it asks for"):
        threedpw.samples(tmp_path, "test")
    assert "run" not in capsys.readouterr().out
    path.write_bytes(as_python2({name: value for name, value in content.items() if name != "cam_poses"}))
    with pytest.raises(UserError, match=r"not a sequence of 3DPW.*cam_poses"):
        threedpw.samples(tmp_path, "test")
    path.write_bytes(as_python2(content | {"poses": [np.zeros((FRAMES + 1, 72))]}))
    with pytest.raises(UserError, match=r"not a sequence of 3DPW"):
        threedpw.samples(tmp_path, "test")
    path.write_bytes(as_python2(content)[:5000])
    with pytest.raises(UserError, match="damaged or not a pickle"):
        threedpw.samples(tmp_path, "test")
