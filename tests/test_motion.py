"""Motions: what they refuse, where they come from, how they come back from files, and how they are resampled."""

import json
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from motions import track, waving, waving_motion
from scenes import posed_scene, shipped_body

from monobody.body.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from monobody.errors import UserError
from monobody.export.armature import joints_cam_m_of, posed_joints_m
from monobody.export.motion_npz import read_motion
from monobody.export.resample import evenly, slerp
from monobody.export.writers import report
from monobody.motion import Motion
from monobody.scene import Scene


@pytest.fixture(scope="module")
def motion() -> Motion:
    return waving_motion(people=2, frames=7, several=2)


def test_a_scene_is_a_motion_of_one_frame() -> None:
    scene = posed_scene(people=2, seed=1)
    motion = Motion.from_scene(scene)
    assert [one.id for one in motion.tracks] == [0, 1]
    for one, person in zip(motion.tracks, scene.people, strict=True):
        joints_m = joints_cam_m_of(one, shipped_body())[0]
        np.testing.assert_allclose(joints_m, person.joints_cam_m["smpl24"], atol=1e-5)


def test_frames_share_a_shape_and_keep_their_pelvis() -> None:
    scenes = [posed_scene(people=2, seed=seed) for seed in range(3)]
    motion = Motion.from_scenes(scenes, times_s=[0, 0.1, 0.3], ids=[[4, 7], [7, 4], [4, 9]])
    assert [(one.id, one.frames.tolist()) for one in motion.tracks] == [(4, [0, 1, 2]), (7, [0, 1]), (9, [2])]
    four = motion.tracks[0]
    people = [scenes[0].people[0], scenes[1].people[1], scenes[2].people[0]]
    np.testing.assert_allclose(four.betas, np.median([one.betas for one in people], axis=0), atol=1e-6)
    pelvis_m = joints_cam_m_of(four, shipped_body())[:, 0]
    np.testing.assert_allclose(pelvis_m, [one.joints_cam_m["smpl24"][0] for one in people], atol=1e-5)


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (None, "need ids"),
        ([[0, 0], [0, 1]], "no two of one frame"),
        ([[0], [0, 1]], "one id"),
    ],
)
def test_people_without_ids_are_refused(ids: list[list[int]] | None, words: str) -> None:
    scenes = [posed_scene(people=2, seed=seed) for seed in range(2)]
    with pytest.raises(UserError, match=words):
        Motion.from_scenes(scenes, times_s=[0, 1], ids=ids)


def test_scenes_of_two_cameras_are_refused() -> None:
    one = posed_scene(people=1, seed=0)
    with pytest.raises(UserError, match="another camera"):
        Motion.from_scenes([one, replace(one, camera=replace(one.camera, focal_px=1.0))], times_s=[0, 1])


@pytest.mark.parametrize("frame", ["camera", "y-up", "z-up"])
def test_parameters_of_another_model_come_through(frame: str) -> None:
    """Joints posed by hand in each frame are where the motion's world has them."""
    body, generator = shipped_body(), np.random.default_rng(2)
    poses, betas = generator.normal(size=(4, 72)) * 0.4, generator.normal(size=10)
    places_m = generator.normal(size=(4, 3))
    posed = body(
        axis_angle_to_matrix(torch.from_numpy(poses).reshape(4, 24, 3)).float(), torch.from_numpy(betas).float()
    )
    theirs = posed.joints_m.numpy() + places_m[:, None]
    x, y, z = np.moveaxis(theirs, -1, 0)
    world = {"camera": (x, -y, -z), "y-up": (x, y, z), "z-up": (x, z, -y)}[frame]
    motion = Motion.from_parameters(poses, betas, places_m, body=body, fps=30, frame=frame)
    np.testing.assert_allclose(posed_joints_m(motion.tracks[0], motion), np.stack(world, -1), atol=1e-4)


@pytest.mark.slow
def test_joints_of_another_model_are_fitted() -> None:
    calm = replace(track(0, np.arange(4), seed=1), rotations=waving(4, seed=1, spread_rad=0.15))
    joints_m = joints_cam_m_of(calm, shipped_body())
    motion = Motion.from_joints(joints_m, "smpl24", body=shipped_body(), fps=2)
    error_m = np.linalg.norm(joints_cam_m_of(motion.tracks[0], shipped_body()) - joints_m, axis=-1)
    assert error_m.mean() < 0.02
    assert "fitted to 3D joints" in motion.notes[0]


def test_a_file_gives_the_motion_back(motion: Motion, tmp_path: Path) -> None:
    moved = replace(motion, T_world_camera=np.diag([1.0, -1, -1, 1]) + np.eye(4, k=3) * 0.5, notes=("a note",))
    (path,) = moved.save(tmp_path / "clip.npz")
    again = Motion.load(path, body=shipped_body())
    assert (again.name, again.notes, again.camera) == (moved.name, moved.notes, moved.camera)
    np.testing.assert_array_equal(again.times_s, moved.times_s)
    np.testing.assert_array_equal(again.T_world_camera, moved.T_world_camera)
    for one, other in zip(again.tracks, moved.tracks, strict=True):
        assert one.id == other.id
        assert one.hypotheses is not None
        assert other.hypotheses is not None
        for name in ("frames", "rotations", "betas", "translation_m", "seen", "score"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-6)
        np.testing.assert_allclose(one.hypotheses.rotations, other.hypotheses.rotations, atol=1e-6)
        np.testing.assert_allclose(one.hypotheses.weight, other.hypotheses.weight, atol=1e-6)


def test_a_scene_file_is_read_as_a_motion(tmp_path: Path) -> None:
    scene = posed_scene(people=1, seed=0)
    motion = read_motion(scene.save(tmp_path / "scene.npz"), shipped_body())
    np.testing.assert_allclose(motion.tracks[0].rotations[0], scene.people[0].rotations, atol=1e-6)


def with_array(path: Path, name: str, value: np.ndarray | bytes) -> None:
    """Replace one array of a file."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry: archive.read(entry) for entry in archive.namelist()}
    if isinstance(value, np.ndarray):
        content = BytesIO()
        np.save(content, value)
        value = content.getvalue()
    entries[f"{name}.npy"] = value
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in entries.items():
            archive.writestr(entry, content)


def facts(**changes: object) -> np.ndarray:
    """A motion's facts with some of them changed."""
    usual = {
        "format": "monobody-motion-1", "ids": [0, 1], "name": "x", "camera": None, "width_px": None, "height_px": None,
        "body_digest": "0", "model": "m", "terms": "t", "versions": {}, "notes": [],
    }  # fmt: skip
    return np.array(json.dumps(usual | changes))


def bomb() -> bytes:
    """A header that announces a terabyte, and nothing after it."""
    content = BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "<f8", "fortran_order": False, "shape": (1 << 37,)})
    return content.getvalue()


def pickled() -> bytes:
    content = BytesIO()
    np.save(content, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return content.getvalue()


BAD_FILES = [
    ("times_s", np.array([0, np.nan, *range(5)]), "not finite"),
    ("times_s", np.zeros(7), "ascend"),
    ("times_s", bomb(), "damaged or no motion"),
    ("times_s", pickled(), "damaged or no motion"),
    ("times_s", b"\x93NUMPY\x09\x09", "damaged or no motion"),
    ("times_s", np.array(["a"] * 7), "damaged or no motion|not finite"),
    ("track_0.rotations", np.full((7, 24, 3, 3), np.nan), "not finite"),
    ("track_0.rotations", np.zeros((7, 24, 3, 3)), "no rotation"),
    ("track_0.rotations", np.tile(np.diag([1.0, 1, -1]), (7, 24, 1, 1)), "no rotation"),
    ("track_0.rotations", np.zeros((7, 23, 3, 3)), "shape"),
    ("track_0.translation_m", np.full((7, 3), np.inf), "not finite"),
    ("track_0.frames", np.array([0, 1, 2, 3, 4, 5, 5]), "ascend"),
    ("track_0.frames", np.array([0, 1, 2, 3, 4, 5, 99]), "frame 99"),
    ("track_0.frames", np.array([-1, 1, 2, 3, 4, 5, 6]), "ascend"),
    ("track_0.frames", np.arange(7.0), "damaged or no motion"),
    ("track_0.hypotheses.weight", np.full((2, 7), np.nan), "not finite"),
    ("facts", np.array("{}"), "damaged or no motion"),
    ("facts", np.array('{"format": NaN}'), "damaged or no motion"),
    ("facts", facts(ids=[3, 3]), "the id 3"),
    ("facts", facts(ids=["../../evil", 1]), "damaged or no motion"),
    ("facts", facts(ids=[0, 1, 2]), "damaged or no motion"),
    ("facts", facts(name=7), "damaged or no motion"),
    ("facts", facts(camera={"focal_px": -1, "principal_px": [0, 0], "source": "user"}), "damaged or no motion"),
    ("facts", facts(format="monobody-motion-99"), "damaged or no motion"),
]


@pytest.mark.parametrize(("name", "value", "words"), BAD_FILES)
def test_bad_files_are_one_sentence(
    motion: Motion, name: str, value: np.ndarray | bytes, words: str, tmp_path: Path
) -> None:
    (path,) = motion.save(tmp_path / "clip.npz")
    with_array(path, name, value)
    with pytest.raises(UserError, match=words) as caught:
        Motion.load(path, body=shipped_body())
    assert "\n" not in str(caught.value)
    assert "clip.npz" in str(caught.value)


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """Five gigabytes of zeros in five megabytes: refused by the archive's own table."""
    path = tmp_path / "bomb.npz"
    zeros = BytesIO()
    with zipfile.ZipFile(zeros, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("times_s.npy", bytes(1 << 20))
    content = bytearray(zeros.getvalue())
    # The archive's table says what the entry unpacks to.
    start = content.rindex(b"PK\x01\x02")
    content[start + 24 : start + 28] = (0xFFFFFFF0).to_bytes(4, "little")
    path.write_bytes(bytes(content))
    with pytest.raises(UserError, match=r"unpack to 4\.3 GB|damaged"):
        Motion.load(path)


@pytest.mark.parametrize("key", ["theta", "rotations", "translation_m", "box_px"])
def test_a_scene_file_with_nan_is_refused(key: str, tmp_path: Path) -> None:
    path = posed_scene(people=1, seed=0).save(tmp_path / "scene.npz")
    with np.load(path) as file:
        broken = np.full_like(file[key], np.nan)
    with_array(path, key, broken)
    with pytest.raises(UserError, match="not finite"):
        Scene.load(path)
    with pytest.raises(UserError, match="not finite"):
        Motion.load(path)


def test_slerp_turns_at_constant_speed_the_short_way() -> None:
    about = torch.tensor([[0.0, 0.0, 0.1], [0.0, 0.0, 3.0]], dtype=torch.float64)
    first, second = axis_angle_to_matrix(about).numpy()
    middle = slerp(first[None], second[None], np.array([0.25]))
    found = matrix_to_axis_angle(torch.from_numpy(middle))[0].numpy()
    np.testing.assert_allclose(found, [0, 0, 0.1 + 0.25 * 2.9], atol=1e-9)
    backwards = axis_angle_to_matrix(torch.tensor([[0.0, 0.0, -3.0]], dtype=torch.float64)).numpy()
    middle = slerp(second[None], backwards, np.array([0.5]))
    found = matrix_to_axis_angle(torch.from_numpy(middle))[0].numpy()
    assert abs(found[2]) == pytest.approx(np.pi)


def test_resampling_keeps_known_frames_and_marks_bridges() -> None:
    motion = waving_motion(people=1, frames=5, fps=10)
    gap = replace(motion, tracks=(track(0, np.array([0, 1, 4]), seed=3),))
    dense = evenly(gap, fps=20)
    np.testing.assert_allclose(dense.times_s, np.arange(9) / 20)
    (one,) = dense.tracks
    assert one.seen.tolist() == [True, True, True, False, False, False, False, False, True]
    old = gap.tracks[0]
    np.testing.assert_allclose(one.rotations[[0, 2, 8]], old.rotations, atol=1e-9)
    np.testing.assert_allclose(one.translation_m[[0, 2, 8]], old.translation_m, atol=1e-12)
    np.testing.assert_allclose(one.translation_m[5], (old.translation_m[1] + old.translation_m[2]) / 2, atol=1e-12)
    assert report(gap) == ["person 0: 2 interpolated of 5 frames"]
    assert report(dense) == ["person 0: 5 bridged of 9 frames"]


def test_an_even_clip_is_not_touched_and_an_uneven_one_becomes_even() -> None:
    motion = waving_motion(people=1, frames=6)
    assert evenly(motion) is motion
    uneven = replace(motion, times_s=np.array([0, 0.04, 0.08, 0.12, 0.24, 0.28]))
    even = evenly(uneven)
    np.testing.assert_allclose(np.diff(even.times_s), 0.04)
    assert len(even.times_s) == 8
    with pytest.raises(UserError, match="at most"):
        evenly(replace(motion, times_s=np.array([0, 0.04, 0.08, 0.12, 1e6, 1e9])))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rotations": waving(6, 0)}, "shape"),
        ({"betas": np.full(10, np.nan)}, "betas has a number"),
        ({"translation_m": np.zeros((7, 2))}, "shape"),
        ({"frames": np.arange(7)[::-1]}, "ascend"),
    ],
)
def test_tracks_that_cannot_be_are_refused(motion: Motion, change: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(UserError, match=f"Person 0.*{words}"):
        replace(motion.tracks[0], **change)


def test_people_are_chosen_by_id(motion: Motion) -> None:
    assert [one.id for one in motion.only([1]).tracks] == [1]
    with pytest.raises(UserError, match="no person 5"):
        motion.only([5])
