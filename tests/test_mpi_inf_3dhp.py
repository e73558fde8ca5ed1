"""MPI-INF-3DHP made small, in its true file formats: joints must lie where the pictures show them."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import tiny_people
from PIL import Image

from monobody.body.skeleton import SKELETONS, correspondence
from monobody.camera import project
from monobody.data.datasets import mpi_inf_3dhp
from monobody.data.datasets.mpi_inf_3dhp_clips import moved
from monobody.data.sample import Sample
from monobody.errors import UserError

SIZE = (320, 320)
FRAMES = 9
PUBLISHED_17 = (8, 6, 15, 16, 17, 10, 11, 12, 24, 25, 26, 19, 20, 21, 5, 4, 7)
"""From 1: which of the 28 joints make the set of the test set, as the data set's own tools list them."""


def intrinsic(camera: int) -> np.ndarray:
    k = np.eye(4)
    k[0, 0], k[1, 1], k[0, 2], k[1, 2] = 300 + camera, 300.1 + camera, 159.5, 162 + camera
    return k


def joints_28(frame: int, camera: int) -> np.ndarray:
    """Metres before a camera. The person steps by 130 mm a frame."""
    return tiny_people.person("mpi_inf_3dhp28", (-0.5 + 0.13 * frame, 0.1, 3.0 + 0.1 * camera), turn_deg=20.0)


def seen(points: np.ndarray, k: np.ndarray) -> np.ndarray:
    return (points @ k[:3, :3].T)[..., :2] / points[..., 2:]


def photo(frame: int, camera: int) -> np.ndarray:
    return tiny_people.painted("mpi_inf_3dhp28", seen(joints_28(frame, camera), intrinsic(camera)), SIZE, 4)


def write_sequence(folder: Path, *, videos: bool = False) -> None:
    savemat = pytest.importorskip("scipy.io").savemat
    folder.mkdir(parents=True)
    cells = {name: np.empty((14, 1), object) for name in ("annot2", "annot3", "univ_annot3")}
    text = "Skeletool Camera Calibration File V1.0\n"
    for camera in range(14):
        joints = np.array([joints_28(frame, camera) for frame in range(FRAMES)])
        if camera == 8:
            joints[3, :, 0] += 1.9  # Half out of this camera's picture, and then gone.
            joints[4:, :, 0] += 3
        cells["annot2"][camera, 0] = seen(joints, intrinsic(camera)).reshape(FRAMES, 56)
        cells["annot3"][camera, 0] = joints.reshape(FRAMES, 84) * 1000
        cells["univ_annot3"][camera, 0] = joints.reshape(FRAMES, 84) * 900
        numbers, turn = (" ".join(f"{x:.7g}" for x in matrix.ravel()) for matrix in (intrinsic(camera), np.eye(4)))
        text += (
            f"name          {camera}\n  sensor      10 10\n  size        {SIZE[0]} {SIZE[1]}\n  animated    0\n"
            f"  intrinsic   {numbers} \n  extrinsic   {turn} \n  radial      0\n"
        )
        if camera in (0, 8):
            write_pictures(folder, camera, videos)
    savemat(folder / "annot.mat", cells | {"frames": np.arange(FRAMES)[:, None]})
    (folder / "camera.calibration").write_text(text)


def write_pictures(folder: Path, camera: int, videos: bool) -> None:
    pictures = [photo(frame, camera) for frame in range(FRAMES)]
    if not videos:
        (folder / "imageFrames" / f"video_{camera}").mkdir(parents=True)
        for number, picture in enumerate(pictures, start=1):
            path = folder / "imageFrames" / f"video_{camera}" / f"frame_{number:06d}.jpg"
            Image.fromarray(picture).save(path, quality=95)
        return
    av = pytest.importorskip("av")
    (folder / "imageSequence").mkdir(exist_ok=True)
    with av.open(str(folder / "imageSequence" / f"video_{camera}.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.bit_rate, stream.pix_fmt = *SIZE, 8_000_000, "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def assert_labels_fit(sample: Sample, expected_m: np.ndarray, scale: float = 1.0) -> None:
    assert sample.joints_cam_m is not None
    assert sample.focal_px is not None
    assert sample.principal_px is not None
    to_lsp = list(correspondence("mpi_inf_3dhp28", "lsp14"))
    np.testing.assert_allclose(sample.joints_cam_m, expected_m[to_lsp] * scale, atol=1e-5)
    projected = project(sample.joints_cam_m.astype(float), sample.focal_px, sample.principal_px)
    np.testing.assert_allclose(projected, sample.keypoints_px[:14], atol=0.1)
    for joint, name in enumerate(SKELETONS["lsp14"].joints):
        if sample.visible[joint]:
            found = tiny_people.centroid(sample.image, sample.keypoints_px[joint], name, reach_px=6)
            assert np.linalg.norm(found - sample.keypoints_px[joint]) < 0.9, name
    left, right, top = (SKELETONS["lsp14"].index(name) for name in ("left_shoulder", "right_shoulder", "head_top"))
    assert sample.keypoints_px[left, 0] > sample.keypoints_px[right, 0]
    assert sample.joints_cam_m[top, 1] < sample.joints_cam_m[left, 1]


@pytest.mark.parametrize("videos", [False, True])
def test_training(tmp_path: Path, videos: bool) -> None:
    write_sequence(tmp_path / "S1" / "Seq2", videos=videos)
    people = mpi_inf_3dhp.samples(tmp_path, "train")
    # Every second frame has moved by 260 mm; camera 8 shows the person in four frames.
    names = [people.name(i) for i in range(len(people))]
    assert names == [f"S1/Seq2/video_0/{n:06d}" for n in (1, 3, 5, 7, 9)] + [
        f"S1/Seq2/video_8/{n:06d}" for n in (1, 3, 4)
    ]
    assert people.left_out == {"fewer than 8 joints in the picture": 5, "moved by less than 200 mm": 5}
    for index, frame in ((1, 2), (3, 6), (0, 0)):
        assert_labels_fit(people[index], joints_28(frame, 0))
    assert_labels_fit(pickle.loads(pickle.dumps(people))[-2], joints_28(2, 8))
    with pytest.raises(UserError, match="split validation"):
        mpi_inf_3dhp.samples(tmp_path, "validation")


def test_joints_beside_the_picture_are_not_visible(tmp_path: Path) -> None:
    write_sequence(tmp_path / "S8" / "Seq1")
    people = mpi_inf_3dhp.samples(tmp_path, "validation")
    last = people[-1]
    assert people.name(len(people) - 1) == "S8/Seq1/video_8/000004"
    outside = (last.keypoints_px[:14] >= SIZE).any(1)
    assert 0 < outside.sum() <= 6
    assert last.visible[:14].tolist() == (~outside).astype(float).tolist()


def test_order_of_joints_is_the_published_one() -> None:
    """The data set's tools pick 17 of the 28 joints by number; by name, the same are picked here."""
    by_name = correspondence("mpi_inf_3dhp28", "mpi_inf_3dhp17")
    assert [joint + 1 for joint in by_name] == list(PUBLISHED_17)


def test_frames_are_kept_by_movement() -> None:
    joints = np.zeros((7, 3, 3))
    joints[:, 1, 2] = [0, 0.19, 0.2, 0.3, 0.39, 0.41, 0.1]
    assert moved(joints, 0.2).tolist() == [0, 2, 5, 6]
    assert moved(joints[:0], 0.2).tolist() == []


def write_test_sequence(folder: Path, univ: float) -> None:
    """MATLAB 7.3: HDF5 behind a header of 512 bytes, axes in reverse."""
    h5py = pytest.importorskip("h5py")
    (folder / "imageSequence").mkdir(parents=True)
    order = [number - 1 for number in PUBLISHED_17]
    joints = np.array([joints_28(frame, 2)[order] for frame in range(FRAMES)])[:, None]
    with h5py.File(folder / "annot_data.mat", "w", userblock_size=512) as file:
        file["annot2"] = seen(joints, intrinsic(2))
        file["annot3"] = joints * 1000
        file["univ_annot3"] = joints * 1000 * univ
        file["valid_frame"] = np.array([[1.0], [0], [1], [1], [0], [0], [1], [0], [0]])
        file["activity_annotation"] = np.ones((FRAMES, 1))
    with (folder / "annot_data.mat").open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    for frame in range(FRAMES):
        path = folder / "imageSequence" / f"img_{frame + 1:06d}.jpg"
        Image.fromarray(photo(frame, 2)).save(path, quality=95)


def test_the_test_set(tmp_path: Path) -> None:
    write_test_sequence(tmp_path / "mpi_inf_3dhp_test_set" / "TS3", univ=0.9)
    people = mpi_inf_3dhp.samples(tmp_path, "test")
    assert [people.name(i) for i in range(len(people))] == [f"TS3/{n:06d}" for n in (1, 3, 4, 7)]
    assert people.left_out == {"not among the valid frames": 5}
    # Scaled about the camera, bodies are seen in their places still.
    for index, frame in enumerate((0, 2, 3, 6)):
        assert_labels_fit(people[index], joints_28(frame, 2), scale=0.9)
    metric = mpi_inf_3dhp.MpiInf3dhp(tmp_path, "test", universal=False)
    assert_labels_fit(metric[2], joints_28(3, 2))
    assert metric[2].focal_px == pytest.approx(302.05, abs=1e-3)
    part, place = metric.find(2)
    clip = metric.clips[part]
    pelvis = SKELETONS[clip.skeleton].index("pelvis")
    np.testing.assert_allclose(clip.joints_cam_m[place, pelvis], joints_28(3, 2)[4], atol=1e-6)


def test_no_camera_is_claimed_where_none_fits(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    write_test_sequence(tmp_path / "TS1", univ=1.0)
    with h5py.File(tmp_path / "TS1" / "annot_data.mat", "r+") as file:
        file["univ_annot3"][...] = file["univ_annot3"][...] - file["univ_annot3"][:, :, 14:15] + [0, 0, 3000]
    sample = mpi_inf_3dhp.samples(tmp_path, "test")[3]
    assert sample.focal_px is None
    assert sample.principal_px is None
    assert sample.joints_cam_m is not None


def test_mistakes_are_one_sentence(tmp_path: Path) -> None:
    problems = mpi_inf_3dhp.check(tmp_path)
    assert problems[:8] == [f"{tmp_path}/S{subject} is missing." for subject in range(1, 9)]
    assert any("TS6 lacks annot_data.mat" in problem for problem in problems)
    assert mpi_inf_3dhp.check(tmp_path, "train") == problems[:7]
    assert mpi_inf_3dhp.check(tmp_path, "validation") == problems[7:8]
    assert mpi_inf_3dhp.check(tmp_path, "test") == problems[8:]
    with pytest.raises(UserError, match=r"nothing of MPI-INF-3DHP's split train.*3dhp-dataset"):
        mpi_inf_3dhp.samples(tmp_path)
    folder = tmp_path / "S1" / "Seq1"
    write_sequence(folder)
    assert any("neither frames nor videos of the cameras 1, 2, 4, 5" in p for p in mpi_inf_3dhp.check(tmp_path))
    assert f"{tmp_path}/S1/Seq2 is missing." in mpi_inf_3dhp.check(tmp_path, "train")
    calibration = folder / "camera.calibration"
    text = calibration.read_text()
    calibration.write_text(text.replace("intrinsic   300 ", "intrinsic   600 "))
    with pytest.raises(UserError, match=r"camera 0 sees the 3D joints \d+ pixels from the 2D joints"):
        mpi_inf_3dhp.samples(tmp_path)
    calibration.write_text(text[:900])
    with pytest.raises(UserError, match="lacks some of the cameras"):
        mpi_inf_3dhp.samples(tmp_path)
    calibration.write_text(text)
    (folder / "annot.mat").write_bytes((folder / "annot.mat").read_bytes()[:700])
    with pytest.raises(UserError, match=r"annot\.mat cannot be read"):
        mpi_inf_3dhp.samples(tmp_path)
    (tmp_path / "TS2").mkdir()
    (tmp_path / "TS2" / "annot_data.mat").write_bytes(b"MATLAB 7.3")
    with pytest.raises(UserError, match=r"annot_data\.mat cannot be read"):
        mpi_inf_3dhp.samples(tmp_path, "test")
