"""FBX files: read by a small reader of our own that knows the format alone, and by ufbx where that is installed."""

import json
import os
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from motions import waving_motion
from scenes import posed_scene

from monobody.errors import UserError
from monobody.export.armature import posed_joints_m
from monobody.export.rigs import RIGS
from monobody.export.skin import Y_UP
from monobody.motion import Motion

ARRAYS = {b"f": "<f4", b"d": "<f8", b"i": "<i4", b"l": "<i8"}
PLAIN = {b"C": "<?", b"I": "<i", b"L": "<q", b"D": "<d"}


def parse(content: bytes) -> list[tuple[str, list[Any], list[Any]]]:
    """The tree of (name, properties, children), from the format's description alone."""
    assert content[:23] == b"Kaydara FBX Binary  \0\x1a\0"
    assert struct.unpack_from("<I", content, 23) == (7400,)

    def nodes(at: int) -> tuple[list[Any], int]:
        found = []
        while True:
            end, _, length, size = struct.unpack_from("<IIIB", content, at)
            if end == 0:
                return found, at + 13
            name, at = content[at + 13 : at + 13 + size].decode(), at + 13 + size
            properties, stop = [], at + length
            while at < stop:
                kind, at = content[at : at + 1], at + 1
                if kind in PLAIN:
                    properties.append(struct.unpack_from(PLAIN[kind], content, at)[0])
                    at += struct.calcsize(PLAIN[kind])
                elif kind in ARRAYS:
                    number, packed, bytes_ = struct.unpack_from("<III", content, at)
                    raw = content[at + 12 : at + 12 + bytes_]
                    values = np.frombuffer(zlib.decompress(raw) if packed else raw, ARRAYS[kind])
                    assert len(values) == number
                    properties.append(values)
                    at += 12 + bytes_
                else:
                    (bytes_,) = struct.unpack_from("<I", content, at)
                    properties.append(content[at + 4 : at + 4 + bytes_])
                    at += 4 + bytes_
            assert at == stop
            children, at = nodes(at) if at < end else ([], at)
            assert at == end
            found.append((name, properties, children))

    return nodes(27)[0]


def child(node: tuple[str, list[Any], list[Any]], name: str) -> Any:
    return next(each for each in node[2] if each[0] == name)


def properties70(node: tuple[str, list[Any], list[Any]]) -> dict[str, list[Any]]:
    return {each[1][0].decode(): each[1][4:] for each in child(node, "Properties70")[2]}


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """FBX's Euler order XYZ, degrees: about x first."""
    (a, b, c), (d, e, f) = np.cos(np.deg2rad([x, y, z])), np.sin(np.deg2rad([x, y, z]))
    about_x = np.array([[1, 0, 0], [0, a, -d], [0, d, a]])
    about_y = np.array([[b, 0, e], [0, 1, 0], [-e, 0, b]])
    about_z = np.array([[c, -f, 0], [f, c, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


class Read:
    """A file's models, where they are at each key, and their skins."""

    def __init__(self, path: Path) -> None:
        top = {node[0]: node for node in parse(path.read_bytes())}
        self.settings = properties70(top["GlobalSettings"])
        self.objects = {node[1][0]: node for node in top["Objects"][2]}
        links = [node[1] for node in top["Connections"][2]]
        self.below = [(link[1], link[2]) for link in links if link[0] == b"OO"]
        self.above = {a: b for a, b in self.below if self.is_model(a) and (b == 0 or self.is_model(b))}
        self.driven = {(link[2], link[3]): link[1] for link in links if link[0] == b"OP"}

    def is_model(self, number: int) -> bool:
        return number in self.objects and self.objects[number][0] == "Model"

    def name(self, number: int) -> str:
        return self.objects[number][1][1].split(b"\0\1")[0].decode()

    def numbers(self, name: str) -> list[int]:
        return [number for number in self.objects if self.is_model(number) and self.name(number) == name]

    def curve(self, model: int, what: str, key: int) -> np.ndarray:
        still = np.array(properties70(self.objects[model])[what])
        node = self.driven.get((model, what.encode()))
        if node is None:
            return still
        curves = [self.objects[self.driven[(node, f"d|{axis}".encode())]] for axis in "XYZ"]
        return np.array([child(one, "KeyValueFloat")[1][0][key] for one in curves], float)

    def matrix(self, model: int, key: int) -> np.ndarray:
        local = np.eye(4)
        local[:3, :3] = rotation(*self.curve(model, "Lcl Rotation", key))
        local[:3, 3] = self.curve(model, "Lcl Translation", key)
        above = self.above.get(model, 0)
        return local if above == 0 else self.matrix(above, key) @ local

    def joints_m(self, names: tuple[str, ...], key: int) -> np.ndarray:
        places = np.stack([self.matrix(self.numbers(name)[0], key)[:3, 3] for name in names])
        places = places * self.settings["UnitScaleFactor"][0] / 100
        return np.stack([places[:, 0], places[:, 2], -places[:, 1]], 1) if self.settings["UpAxis"][0] == 2 else places

    def skinned(self, mesh: str, key: int) -> np.ndarray:
        """A mesh as any program shows it: clusters carry their vertices from the bind pose to the joint."""
        (model,) = self.numbers(mesh)
        geometry = next(a for a, b in self.below if b == model and self.objects[a][0] == "Geometry")
        skin = next(a for a, b in self.below if b == geometry)
        rest = child(self.objects[geometry], "Vertices")[1][0].reshape(-1, 3)
        rest, moved = np.concatenate([rest, np.ones((len(rest), 1))], 1), np.zeros((len(rest), 3))
        for cluster in (a for a, b in self.below if b == skin):
            node = self.objects[cluster]
            if not any(each[0] == "Indexes" for each in node[2]):
                continue
            (joint,) = [a for a, b in self.below if b == cluster]
            index, weight = child(node, "Indexes")[1][0], child(node, "Weights")[1][0]
            bind = child(node, "Transform")[1][0].reshape(4, 4).T
            moved[index] += weight[:, None] * (rest[index] @ (self.matrix(joint, key) @ bind).T)[:, :3]
        return moved


@pytest.fixture(scope="module")
def motion() -> Motion:
    return waving_motion(people=2, frames=5)


CHOICES: list[dict[str, Any]] = [
    {}, {"rig": "mixamo"}, {"rig": "ue5", "up": "z"}, {"rig": "unity", "unit": "m"}, {"rest": "a", "up": "z"},
]  # fmt: skip


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_joints_come_back_whatever_is_chosen(motion: Motion, choice: dict[str, Any], tmp_path: Path) -> None:
    (path,) = motion.save(tmp_path / "clip.fbx", **choice)
    read, style = Read(path), RIGS[choice.get("rig", "smpl")]
    for number, one in enumerate(motion.tracks):
        ours = posed_joints_m(one, motion)
        for key in (0, 3):
            np.testing.assert_allclose(read.joints_m(style.named(number), key), ours[key], atol=1e-4)


def test_one_person_stands_alone_and_names_are_unique(motion: Motion, tmp_path: Path) -> None:
    (path,) = motion.save(tmp_path / "one.fbx", person=(1,), rig="ue5")
    read = Read(path)
    assert read.above[read.numbers("root")[0]] == 0  # Unreal takes a node above the root for a bone.
    (path,) = motion.save(tmp_path / "two.fbx", rig="mixamo")
    read = Read(path)
    models = [read.name(number) for number in read.objects if read.is_model(number)]
    assert len(models) == len(set(models))
    assert {"mixamorig:Hips", "mixamorig1:Hips"} <= set(models)


def test_times_and_rate(motion: Motion, tmp_path: Path) -> None:
    (path,) = motion.save(tmp_path / "clip.fbx")
    read = Read(path)
    curve = next(node for node in read.objects.values() if node[0] == "AnimationCurve")
    np.testing.assert_array_equal(child(curve, "KeyTime")[1][0], np.arange(5) * 46186158000 // 25)
    assert read.settings["TimeMode"] == [10]  # 25 frames in a second.
    (path,) = motion.save(tmp_path / "odd.fbx", fps=12.5)
    assert (Read(path).settings["TimeMode"], Read(path).settings["CustomFrameRate"]) == ([14], [12.5])


def test_the_skin_follows(motion: Motion, tmp_path: Path) -> None:
    """Vertices near the pose's own: what is left are correctives and fifth weights, which the file cannot hold."""
    (path,) = motion.save(tmp_path / "clip.fbx", person=(0,), unit="m")
    one, body = motion.tracks[0], motion.with_body()
    posed = body(torch.from_numpy(one.rotations[3]).float(), torch.from_numpy(one.betas).float())
    ours = (posed.vertices_m.numpy() + one.translation_m[3]) @ Y_UP.T
    off_m = np.linalg.norm(Read(path).skinned("person_0_body", 3) - ours, axis=1)
    assert np.median(off_m) < 0.005
    assert off_m.max() < 0.08


def test_a_still_scene_is_exact(tmp_path: Path) -> None:
    scene = posed_scene(people=1, seed=3, spread_rad=0.8)
    read = Read(scene.save(tmp_path / "scene.fbx", unit="m"))
    assert not any(node[0] == "AnimationStack" for node in read.objects.values())
    ours = scene.vertices_cam_m(scene.people[0]) @ Y_UP.T
    assert np.linalg.norm(read.skinned("person_0_body", 0) - ours, axis=1).max() < 1e-3


def test_nobody_is_refused(motion: Motion, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nobody"):
        replace(motion, tracks=()).save(tmp_path / "clip.fbx")


@pytest.mark.slow
@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_ufbx_reads_the_same(motion: Motion, choice: dict[str, Any], tmp_path: Path) -> None:
    """In a process of its own; MONOBODY_UFBX_PYTHON may name another Python that has ufbx."""
    python = os.environ.get("MONOBODY_UFBX_PYTHON") or (sys.executable if find_spec("ufbx") else None)
    if python is None:
        pytest.skip("ufbx is not installed: pip install ufbx")
    (path,) = motion.save(tmp_path / "clip.fbx", **choice)
    times = [float(motion.times_s[frame]) for frame in (0, 2, 4)]
    command = [python, str(Path(__file__).with_name("ufbx_reads.py")), str(path), ",".join(map(str, times))]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "READ " in result.stdout, result.stderr
    read = json.loads(result.stdout.split("READ ")[1])
    assert read["fps"] == 25
    assert read["unit_m"] == (1 if choice.get("unit") == "m" else 0.01)
    assert read["up"] == ("POSITIVE_Z" if choice.get("up") == "z" else "POSITIVE_Y")
    for number, one in enumerate(motion.tracks):
        names = RIGS[choice.get("rig", "smpl")].named(number)
        joints_m = np.array([[row[name] for name in names] for row in read["joints"]]) * read["unit_m"]
        x, y, z = np.moveaxis(joints_m, -1, 0)
        joints_m = np.stack([x, z, -y], -1) if choice.get("up") == "z" else joints_m
        np.testing.assert_allclose(joints_m, posed_joints_m(one, motion)[[0, 2, 4]], atol=1e-3)
