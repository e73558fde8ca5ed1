"""Human3.6M and its exports, made small in their true file formats: joints must lie where the pictures show them."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_people
from PIL import Image

from monobody.body.skeleton import SKELETONS, correspondence
from monobody.camera import project
from monobody.data.datasets import h36m
from monobody.data.datasets.h36m_clip import JOINTS_17
from monobody.data.datasets.h36m_metadata import read_metadata
from monobody.data.lens import seen_at
from monobody.data.prepare import prepare
from monobody.data.prepared import Prepared
from monobody.data.sample import Sample
from monobody.errors import UserError

CAMERAS = ("54138969", "55011271", "58860488", "60457274")
SIZE = (400, 402)
FRAMES = 12
LSP = list(correspondence("h36m17", "lsp14"))


def w0(rng: np.random.Generator) -> np.ndarray:
    """Random places of the cameras, and lenses that bend as the true ones do, for pictures of 400 pixels."""
    outer = np.concatenate([rng.uniform(-3, 3, (44, 3)), rng.uniform(-4000, 4000, (44, 3))], axis=1)
    inner = [[458 + c, 457 - c, 205, 206 + c, -0.2, 0.24, -0.01, -0.001, -0.0015] for c in range(4)]
    return np.concatenate([outer.ravel(), np.ravel(inner)])


def write_metadata(root: Path) -> None:
    subjects = (1, 5, 11)
    head = "".join(f"<td>S{s}</td>" for s in subjects)
    rows = [(1, 1, "_ALL"), (2, 1, "Directions 1"), (2, 2, "Directions"), (3, 1, "Phoning 2")]
    body = "".join(f"<tr><td>{a}</td><td>{t}</td>" + f"<td>{name}</td>" * 3 + "</tr>" for a, t, name in rows)
    ids = "".join(f"<id>{camera}</id>" for camera in CAMERAS)
    numbers = " ".join(f"{number:.17g}" for number in w0(np.random.default_rng(7)))
    (root / "metadata.xml").write_text(
        f"<metadata><mapping><tr><td>action</td><td>trial</td>{head}</tr>{body}</mapping>"
        f"<dbcameras><index2id>{ids}</index2id></dbcameras><w0>[{numbers}]</w0></metadata>"
    )


def joints_17(frame: int) -> np.ndarray:
    """Metres before the camera; the person walks from left to right."""
    return tiny_people.person("h36m17", (-0.5 + 0.08 * frame, 0.05, 4.0 + 0.02 * frame), turn_deg=15.0 * frame / FRAMES)


def all_joints() -> np.ndarray:
    joints = np.zeros((FRAMES, 32, 3))
    joints[:, list(JOINTS_17)] = [joints_17(frame) for frame in range(FRAMES)]
    joints[joints == 0] = 1.0  # The joints that repeat others.
    return joints


def photos(root: Path, camera: str) -> list[np.ndarray]:
    lens = read_metadata(root / "metadata.xml").lens(camera)
    return [tiny_people.painted("h36m17", seen_at(joints_17(frame), lens), SIZE) for frame in range(FRAMES)]


def write_video(path: Path, frames: list[np.ndarray]) -> None:
    av = pytest.importorskip("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=50)
        stream.width, stream.height, stream.bit_rate = *SIZE, 8_000_000
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def write_cdf(path: Path, numbers: np.ndarray) -> None:
    cdfwrite = pytest.importorskip("cdflib.cdfwrite")
    path.parent.mkdir(parents=True, exist_ok=True)
    spec = {"Variable": "Pose", "Data_Type": 21, "Num_Elements": 1, "Rec_Vary": True, "Dim_Sizes": [*numbers.shape]}
    with cdfwrite.CDF(str(path)) as file:
        file.write_var(spec, var_data=numbers[None].astype(np.float32))


def write_clip(root: Path, subject: int, recording: str, camera: str) -> None:
    lens = read_metadata(root / "metadata.xml").lens(camera)
    folder, joints = root / f"S{subject}", all_joints()
    write_video(folder / "Videos" / f"{recording}.{camera}.mp4", photos(root, camera))
    poses = folder / "MyPoseFeatures"
    write_cdf(poses / "D3_Positions_mono" / f"{recording}.{camera}.cdf", joints.reshape(FRAMES, 96) * 1000)
    write_cdf(poses / "D2_Positions" / f"{recording}.{camera}.cdf", seen_at(joints, lens).reshape(FRAMES, 64))


def assert_labels_fit(sample: Sample, frame: int, within_px: float = 0.9) -> None:
    """The joints are metres, y down, left the person's own; they project onto the 2D joints and onto the picture."""
    assert sample.joints_cam_m is not None
    assert sample.focal_px is not None
    assert sample.principal_px is not None
    np.testing.assert_allclose(sample.joints_cam_m, joints_17(frame)[LSP], atol=1e-4)
    seen = project(sample.joints_cam_m.astype(float), sample.focal_px, sample.principal_px)
    np.testing.assert_allclose(seen, sample.keypoints_px[:14], atol=1e-2)
    assert sample.visible.tolist() == [1.0] * 14 + [0.0] * 5
    for joint, name in enumerate(SKELETONS["lsp14"].joints):
        found = tiny_people.centroid(sample.image, sample.keypoints_px[joint], name)
        assert np.linalg.norm(found - sample.keypoints_px[joint]) < within_px, name
    names = SKELETONS["lsp14"].joints
    left, right, top = (names.index(name) for name in ("left_shoulder", "right_shoulder", "head_top"))
    assert sample.keypoints_px[left, 0] > sample.keypoints_px[right, 0]
    assert sample.keypoints_px[top, 1] < sample.keypoints_px[left, 1]


def test_orders_of_joints_are_the_published_ones() -> None:
    assert LSP == [3, 2, 1, 4, 5, 6, 16, 15, 14, 11, 12, 13, 8, 10]
    assert JOINTS_17 == (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_metadata(tmp_path)
    return tmp_path


def test_the_original_layout(root: Path) -> None:
    write_clip(root, 1, "Directions 1", CAMERAS[0])
    write_clip(root, 5, "Directions", CAMERAS[3])
    people = h36m.samples(root, "train")
    assert [people.name(i) for i in range(len(people))] == [
        f"{clip}/{frame:06d}" for clip in ("S1/Directions 1.54138969", "S5/Directions.60457274") for frame in (0, 5, 10)
    ]
    for index in (0, 2, 4, 1):  # The last one goes back in a video, and to another clip.
        assert_labels_fit(people[index], (0, 5, 10)[index % 3])
    assert_labels_fit(pickle.loads(pickle.dumps(people))[-1], 10)
    assert len(h36m.H36M(root, "train", every=4)) == 6
    problems = h36m.check(root)
    assert any("S1: 11 of 12 files of Videos" in problem for problem in problems)
    assert f"{root / 'S11'} is missing." in problems
    assert not any("S9" in problem or "S11" in problem for problem in h36m.check(root, "train"))
    assert not any("S1:" in problem or "S5:" in problem for problem in h36m.check(root, "test"))
    (root / "S11").mkdir()
    # The corrupt clip is not asked for; protocol 2 asks for first trials in one camera alone.
    for split, words in (("test", "S11: 11 of 11"), ("test_p2", "S11: 2 of 2")):
        assert any(problem.startswith(words) for problem in h36m.check(root, split)), split
    with pytest.raises(UserError, match=r"no recordings of S9, S11.*vision\.imar\.ro"):
        h36m.samples(root, "test")


def test_prepared_shards_hold_the_same(root: Path) -> None:
    for camera in CAMERAS[:2]:
        write_clip(root, 1, "Directions 1", camera)
    manifest = prepare("h36m", root, root / "out", workers=2, partial=True)
    assert manifest["count"] == 6
    assert manifest["skipped"] == 0
    people = Prepared(root / "out")
    assert_labels_fit(people[1], 5)
    assert_labels_fit(people[5], 10)


def test_protocols_leave_out_what_they_should(root: Path) -> None:
    for recording, camera in [("Directions", CAMERAS[0]), ("Directions", CAMERAS[3]), ("Directions 1", CAMERAS[3])]:
        write_clip(root, 11, recording, camera)
    everyone, frontal = h36m.H36M(root, "test"), h36m.H36M(root, "test_p2")
    assert [clip.name for clip in everyone.clips] == ["S11/Directions 1.60457274", "S11/Directions.60457274"]
    assert everyone.left_out == {"the video is corrupt as published": 3}
    assert [clip.name for clip in frontal.clips] == ["S11/Directions 1.60457274"]


def test_the_cameras_of_the_metadata(root: Path) -> None:
    """World points go where the formula of the data set's own tools puts them."""
    metadata, numbers = read_metadata(root / "metadata.xml"), w0(np.random.default_rng(7))
    assert metadata.cameras == CAMERAS
    assert {recording.name for recording in metadata.recordings} == {"Directions 1", "Directions", "Phoning 2"}
    a1, a2, a3, *place = numbers[6 * (2 * 11 + 4) :][:6]  # Camera 2, subject 5.
    rx = [[1, 0, 0], [0, np.cos(a1), -np.sin(a1)], [0, np.sin(a1), np.cos(a1)]]
    ry = [[np.cos(a2), 0, np.sin(a2)], [0, 1, 0], [-np.sin(a2), 0, np.cos(a2)]]
    rz = [[np.cos(a3), -np.sin(a3), 0], [np.sin(a3), np.cos(a3), 0], [0, 0, 1]]
    world = np.array([0.3, -0.2, 1.1])
    expected = np.array(rx) @ ry @ rz @ (world * 1000 - place) / 1000
    np.testing.assert_allclose(metadata.to_camera_m(world, 5, CAMERAS[2]), expected, atol=1e-12)
    assert metadata.lens(CAMERAS[3]).focal_px == (461, 454)


def test_videopose3d(root: Path) -> None:
    metadata = read_metadata(root / "metadata.xml")
    camera = CAMERAS[1]
    numbers = np.array(metadata.numbers[6 * 11 :][:6])  # Camera 1, subject 1.
    axes = metadata.to_camera_m(np.eye(3), 1, camera) - metadata.to_camera_m(np.zeros(3), 1, camera)
    world = all_joints() @ axes.T + numbers[3:] / 1000
    positions: Any = {"S1": {"Photo 1": world.astype(np.float32)}}
    np.savez_compressed(root / "data_3d_h36m.npz", positions_3d=positions)
    write_video(root / "S1" / "Videos" / f"TakingPhoto 1.{camera}.mp4", photos(root, camera))
    people = h36m.samples(root, "train")
    assert people.name(1) == "S1/TakingPhoto 1.55011271/000005"
    assert_labels_fit(people[1], 5)
    assert any("S5" in problem for problem in h36m.check(root))


class Exploit:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("run",))


def test_no_pickle_is_run(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil: Any = {"S1": {"Photo 1": Exploit()}}
    np.savez(root / "data_3d_h36m.npz", positions_3d=evil)
    with pytest.raises(UserError, match=r"refused: it asks for builtins\.print"):
        h36m.samples(root, "train")
    assert "run" not in capsys.readouterr().out


@pytest.mark.parametrize("with_cameras", [True, False])
def test_mmpose(tmp_path: Path, with_cameras: bool) -> None:
    write_metadata(tmp_path)
    lens, stem = read_metadata(tmp_path / "metadata.xml").lens(CAMERAS[2]), f"S5_Directions_1.{CAMERAS[2]}"
    pictures = photos(tmp_path, CAMERAS[2])
    (tmp_path / "metadata.xml").unlink()
    folder = tmp_path / "images" / "S5" / stem
    folder.mkdir(parents=True)
    numbers = range(0, FRAMES, 5)
    for frame in numbers:
        Image.fromarray(pictures[frame]).save(folder / f"{stem}_{frame + 1:06d}.jpg", quality=95)
    joints = np.array([joints_17(frame) for frame in numbers])
    one = np.ones((len(joints), 17, 1))
    annotations = tmp_path / "annotation_body3d"
    (annotations / "fps10").mkdir(parents=True)
    np.savez(
        annotations / "fps10" / "h36m_train.npz",
        imgname=np.array([f"S5/{stem}/{stem}_{frame + 1:06d}.jpg" for frame in numbers]),
        center=np.zeros((len(joints), 2)),
        scale=np.ones(len(joints)),
        part=np.concatenate([seen_at(joints, lens), one], -1),
        S=np.concatenate([joints, one], -1),
    )
    if with_cameras:
        column = {"f": lens.focal_px, "c": lens.principal_px, "k": lens.radial, "p": lens.tangential}
        cameras = {("S5", CAMERAS[2]): {name: np.array(value)[:, None] for name, value in column.items()} | {"w": 400}}
        (annotations / "cameras.pkl").write_bytes(pickle.dumps(cameras))
    people = h36m.samples(tmp_path, "train")
    assert people.name(2) == f"S5/Directions 1.{CAMERAS[2]}/000011"
    for place, frame in enumerate(numbers):
        assert_labels_fit(people[place], frame)
    with pytest.raises(UserError, match=r"metadata\.xml|no recordings"):
        h36m.H36M(tmp_path, "test_p2")
    assert h36m.check(tmp_path) == [f"{annotations}/fps10/h36m_test.npz is missing."]
    assert h36m.check(tmp_path, "train") == []


def test_h36m_fetch(root: Path) -> None:
    h5py = pytest.importorskip("h5py")
    folder, camera = root / "S9" / "Directions-2", CAMERAS[1]
    (folder / "imageSequence" / camera).mkdir(parents=True)
    kept = np.array([0, 3, 4, 9])
    pictures = photos(root, camera)
    for frame in kept:
        Image.fromarray(pictures[frame]).save(
            folder / "imageSequence" / camera / f"img_{frame + 1:06d}.jpg", quality=95
        )
    lens = read_metadata(root / "metadata.xml").lens(camera)
    with h5py.File(folder / "annot.h5", "w") as file:
        file["pose/3d"] = all_joints()[kept] * 1000
        file["pose/2d"] = seen_at(all_joints()[kept], lens)
        file["camera"], file["frame"] = np.full(4, int(camera)), kept + 1
    people = h36m.samples(root, "test")
    assert len(people) == 4
    assert people.clips[0].trial == 1
    for place, frame in enumerate(kept):
        assert_labels_fit(people[place], int(frame))


def test_mistakes_are_one_sentence(root: Path) -> None:
    write_clip(root, 1, "Directions 1", CAMERAS[0])
    deep = root / "S1/MyPoseFeatures/D3_Positions_mono/Directions 1.54138969.cdf"
    whole = deep.read_bytes()
    mirrored = all_joints() * (-1, 1, 1)
    deep.unlink()
    write_cdf(deep, mirrored.reshape(FRAMES, 96) * 1000)
    with pytest.raises(UserError, match=r"seen \d+ pixels from the 2D joints"):
        h36m.samples(root)[0]
    deep.write_bytes(whole[:200])
    with pytest.raises(UserError, match="no CDF file"):
        h36m.samples(root)
    deep.write_bytes(whole)
    video = root / "S1/Videos/Directions 1.54138969.mp4"
    video.write_bytes(video.read_bytes()[:300])
    with pytest.raises(UserError, match="damaged or no video"):
        h36m.samples(root)[0]
    write_video(video, photos(root, CAMERAS[0])[:7])
    assert h36m.samples(root)[1].image.shape == (SIZE[1], SIZE[0], 3)
    with pytest.raises(UserError, match="ends after 7 frames"):
        h36m.samples(root)[2]
    (root / "metadata.xml").write_text("<metadata><w0>[1 2 3]</w0></metadata>")
    with pytest.raises(UserError, match=r"lacks its file names"):
        h36m.samples(root)
    assert "metadata.xml" in h36m.check(root / "nowhere")[0]


def world_of(joints_cam_m: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return world joints (mm), R and t (mm) such that X_camera = R X + t."""
    rotation, shift = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0], np.array([300.0, -200, 5000])
    return (joints_cam_m * 1000 - shift) @ rotation, rotation, shift


def write_pictures(root: Path, folder: str, camera: str) -> None:
    (root / "images" / folder).mkdir(parents=True)
    for number, picture in enumerate(photos(root, camera), start=1):
        Image.fromarray(picture).save(root / "images" / folder / f"{folder}_{number:06d}.jpg", quality=95)


@pytest.mark.parametrize("with_metadata", [True, False])
def test_folders_with_json(root: Path, with_metadata: bool) -> None:
    lens = read_metadata(root / "metadata.xml").lens(CAMERAS[1])
    write_pictures(root, "s_05_act_03_subact_02_ca_02", CAMERAS[1])
    world, rotation, shift = world_of(np.array([joints_17(frame) for frame in range(FRAMES)]))
    camera = {"R": rotation.tolist(), "t": shift.tolist(), "f": list(lens.focal_px), "c": list(lens.principal_px)}
    (root / "annotations").mkdir()
    (root / "annotations" / "Human36M_subject5_camera.json").write_text(json.dumps({"2": camera}))
    frames = {str(frame): world[frame].tolist() for frame in range(FRAMES)}
    joints = root / "annotations" / "Human36M_subject5_joint_3d.json"
    joints.write_text(json.dumps({"3": {"2": frames}}))
    if not with_metadata:
        (root / "metadata.xml").unlink()
    people = h36m.samples(root, "train")
    assert [people.name(i) for i in range(3)] == [f"S5/act_03_subact_02.55011271/{n:06d}" for n in (1, 6, 11)]
    assert people.clips[0].trial == 1
    for index, frame in enumerate((0, 5, 10)):
        # Without the distortion the labels are those of a pinhole, and miss the pictures a little.
        assert_labels_fit(people[index], frame, within_px=0.9 if with_metadata else 4)
    assert "lacks 838 of 839 clips" in h36m.check(root)[0]
    assert "lacks 599 of 600 clips" in h36m.check(root, "train")[0]


def test_folders_with_text(root: Path) -> None:
    lens = read_metadata(root / "metadata.xml").lens(CAMERAS[3])
    name = "s_11_act_03_subact_01_ca_04"
    write_pictures(root, name, CAMERAS[3])
    write_pictures(root, "s_11_act_02_subact_02_ca_01", CAMERAS[0])
    (root / "metadata.xml").unlink()
    world, rotation, shift = world_of(all_joints())

    def line(word: str, numbers: Any) -> str:
        return " ".join([word, *(f"{number:.8f}" for number in np.ravel(numbers))]) + "\n"

    text = f"frames {FRAMES}\n" + line("size", SIZE) + line("R", rotation.T) + line("T", -rotation.T @ shift)
    text += (
        line("f", lens.focal_px) + line("c", lens.principal_px) + line("k", lens.radial) + line("p", lens.tangential)
    )
    text += line("joints", np.array(JOINTS_17) + 1) + "".join(line(str(n), world[n]) for n in range(FRAMES))
    for folder in (name, "s_11_act_02_subact_02_ca_01"):
        (root / "annot" / folder).mkdir(parents=True)
        (root / "annot" / folder / "matlab_meta.txt").write_text(text)
    people = h36m.H36M(root, "test_p2")
    assert [people.name(i) for i in range(3)] == [f"S11/act_03_subact_01.60457274/{n:06d}" for n in (1, 6, 11)]
    assert people.left_out == {"the video is corrupt as published": 3}
    for index, frame in enumerate((0, 5, 10)):
        assert_labels_fit(people[index], frame)
    (root / "annot" / name / "matlab_meta.txt").write_text(text.replace("T ", "T -"))
    with pytest.raises(UserError, match="% of the 3D joints lie in the picture"):
        h36m.H36M(root, "test")[0]
    (root / "annot" / name / "matlab_meta.txt").write_text(text[:900])
    with pytest.raises(UserError, match="damaged or of another form"):
        h36m.H36M(root, "test", every=1)[0]
