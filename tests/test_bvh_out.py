"""BVH files, read back by our own reader and, where it is installed, by bvhio."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from motions import track, waving_motion

from monobody.data.bvh import euler_to_matrix, read_bvh
from monobody.errors import UserError
from monobody.export.armature import posed_joints_m
from monobody.export.euler import euler_degrees
from monobody.export.rigs import RIGS
from monobody.motion import Motion


@pytest.fixture(scope="module")
def motion() -> Motion:
    return waving_motion(people=2, frames=9)


def read_joints_m(path: Path, rig: str = "smpl", up: str = "y", unit: str = "m") -> np.ndarray:
    """Joints (f, 24, 3) in a y-up world, metres."""
    read = read_bvh(path)
    order = [read.names.index(name) for name in RIGS[rig].named(0)]
    joints_m = read.world()[1][:, order] / (100 if unit == "cm" else 1)
    x, y, z = np.moveaxis(joints_m, -1, 0)
    return np.stack([x, z, -y], axis=-1) if up == "z" else joints_m


CHOICES: list[dict[str, Any]] = [
    {}, {"rig": "mixamo"}, {"rig": "ue5"}, {"rig": "unity"}, {"rest": "a"}, {"rig": "ue5", "rest": "t"},
    {"up": "z"}, {"unit": "cm"}, {"rig": "mixamo", "rest": "a", "up": "z", "unit": "cm"},
]  # fmt: skip


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_joints_come_back_whatever_is_chosen(motion: Motion, choice: dict[str, Any], tmp_path: Path) -> None:
    paths = motion.save(tmp_path / "clip.bvh", **choice)
    assert [path.name for path in paths] == ["clip_person_0.bvh", "clip_person_1.bvh"]
    said = {name: value for name, value in choice.items() if name != "rest"}
    for path, one in zip(paths, motion.tracks, strict=True):
        np.testing.assert_allclose(read_joints_m(path, **said), posed_joints_m(one, motion), atol=1e-4)
        assert read_bvh(path).fps == pytest.approx(25, abs=1e-5)


def test_bvhio_reads_the_same_joints(motion: Motion, tmp_path: Path) -> None:
    bvhio = pytest.importorskip("bvhio", reason="bvhio is not installed: pip install bvhio")
    path, _ = motion.save(tmp_path / "clip.bvh", unit="cm")
    root = bvhio.readAsHierarchy(str(path))
    for frame in (0, 4, 8):
        root.loadPose(frame, recursive=True)
        found = {joint.Name: np.array(joint.PositionWorld) for joint, _, _ in root.layout()}
        theirs = np.stack([found[name] for name in RIGS["smpl"].joints]) / 100
        np.testing.assert_allclose(theirs, posed_joints_m(motion.tracks[0], motion)[frame], atol=1e-3)


@pytest.mark.parametrize("root", ["origin", "in-place"])
def test_people_stand_where_they_are_asked_to(motion: Motion, root: str, tmp_path: Path) -> None:
    paths = motion.save(tmp_path / "clip.bvh", root=root)
    ours = [posed_joints_m(one, motion) for one in motion.tracks]
    theirs = [read_joints_m(path) for path in paths]
    # The first person begins above the origin; the others keep their places beside them; poses are what they were.
    np.testing.assert_allclose(theirs[0][0, 0, [0, 2]], 0, atol=1e-5)
    np.testing.assert_allclose(theirs[1][0, 0] - theirs[0][0, 0], ours[1][0, 0] - ours[0][0, 0], atol=1e-5)
    for mine, read in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(read - read[:, :1], mine - mine[:, :1], atol=1e-4)
        moved = read[:, 0] - read[0, 0]
        expected = (mine[:, 0] - mine[0, 0]) * ([0, 1, 0] if root == "in-place" else [1, 1, 1])
        np.testing.assert_allclose(moved, expected, atol=1e-5)
    lowest = min(read[..., 1].min() for read in theirs)
    assert -0.05 < lowest < 0.15  # Joints are some centimetres above the soles, and the soles are on the floor.


def test_a_variable_rate_becomes_even(motion: Motion, tmp_path: Path) -> None:
    uneven = replace(motion, times_s=motion.times_s + np.array([0, 0, 0, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02]))
    (path,) = uneven.save(tmp_path / "clip.bvh", person=(1,), fps=50)
    read = read_bvh(path)
    assert read.fps == pytest.approx(50, abs=1e-4)
    assert len(read.positions) == 18
    theirs, ours = read_joints_m(path), posed_joints_m(uneven.tracks[1], uneven)
    np.testing.assert_allclose(theirs[[0, 2, 4, 7]], ours[[0, 1, 2, 3]], atol=1e-4)


def test_who_comes_late_stands_still_before(motion: Motion, tmp_path: Path) -> None:
    late = replace(motion, tracks=(track(3, np.arange(2, 6), seed=1),))
    (path,) = late.save(tmp_path / "clip.bvh")
    theirs, ours = read_joints_m(path), posed_joints_m(late.tracks[0], late)
    np.testing.assert_allclose(theirs, ours[[0, 0, 0, 1, 2, 3, 3, 3, 3]], atol=1e-4)


def test_every_hypothesis_is_a_file(tmp_path: Path) -> None:
    several = waving_motion(people=1, frames=4, several=3)
    assert len(several.save(tmp_path / "best.bvh")) == 1
    paths = several.save(tmp_path / "all.bvh", hypotheses="all")
    assert [path.name for path in paths] == [f"all_person_0_h{h}.bvh" for h in range(3)]
    for path, take in zip(paths, several.tracks[0].takes(), strict=True):
        np.testing.assert_allclose(read_joints_m(path), posed_joints_m(take, several), atol=1e-4)


def test_a_full_disk_leaves_no_file(motion: Motion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second person's file fails: the first one's does not appear either, and an older one stays."""
    (tmp_path / "clip_person_0.bvh").write_text("older")
    write, written = Path.write_bytes, []

    def fill_up(self: Path, content: bytes) -> int:
        written.append(self)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", fill_up)
    with pytest.raises(UserError, match="No space left"):
        motion.save(tmp_path / "clip.bvh")
    assert [path.name for path in tmp_path.iterdir()] == ["clip_person_0.bvh"]
    assert (tmp_path / "clip_person_0.bvh").read_text() == "older"


@pytest.mark.parametrize("axes", ["ZXY", "XYZ", "YXZ"])
def test_angles_give_the_rotations_and_do_not_jump(axes: str) -> None:
    steps = np.random.default_rng(0).normal(size=(300, 5, 3)) * 0.1
    rotations = euler_to_matrix(np.cumsum(steps, axis=0), axes)
    degrees = euler_degrees(rotations, axes)
    np.testing.assert_allclose(euler_to_matrix(np.deg2rad(degrees), axes), rotations, atol=1e-9)
    assert np.abs(np.diff(degrees, axis=0)).max() < 120  # Unless they were followed, full turns would jump by 360.


@pytest.mark.parametrize("sign", [1, -1])
def test_gimbal_lock_is_passed_through(sign: int) -> None:
    angles = np.stack([np.linspace(0, 2, 40), np.full(40, sign * np.pi / 2), np.linspace(0, -1, 40)], axis=-1)
    rotations = euler_to_matrix(angles, "XYZ")
    degrees = euler_degrees(rotations, "XYZ")
    np.testing.assert_allclose(euler_to_matrix(np.deg2rad(degrees), "XYZ"), rotations, atol=1e-9)
    assert np.abs(np.diff(degrees, axis=0)).max() < 5
