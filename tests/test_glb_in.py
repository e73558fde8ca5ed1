"""The reader of skinned GLBs, held to pygltflib, trimesh and skinning done anew."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from motions import waving_motion
from test_animated_glb import load, set_time, skinned_m
from test_glb import world_matrices

from monobody.data.glb_in import SkinnedGlb, read_glb
from monobody.errors import UserError


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person who waves, with one skin and one clip."""
    return waving_motion(people=1).save(tmp_path_factory.mktemp("glb") / "clip.glb")[0]


@pytest.mark.parametrize("time_s", [0.0, 0.101, 0.26, 9.0])
def test_a_clip_moves_bones_and_mesh_as_elsewhere(clip: Path, time_s: float) -> None:
    glb, gltf = read_glb(clip), load(clip)
    (name,) = glb.clips
    set_time(gltf, time_s)
    world = glb.world(glb.placed(name, time_s))
    assert np.abs(world - glb.world(glb.placed())).max() > 0.1
    np.testing.assert_allclose(world, world_matrices(gltf), atol=1e-5)
    np.testing.assert_allclose(glb.skinned(world), skinned_m(gltf, "person_0", {}), atol=1e-5)
    assert glb.duration_s(name) == pytest.approx(11 / 25)


def container(document: dict[str, Any], binary: bytes) -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def small(**changes: Any) -> bytes:
    """A triangle on two bones: interleaved attributes, weights as bytes, a node with a scale, steps between keys."""
    corner = struct.Struct("<3f4B4B")
    corners = [((0, 0, 0), (255, 0, 0, 0)), ((1, 0, 0), (0, 255, 0, 0)), ((0, 1, 0), (51, 204, 0, 0))]
    vertices = b"".join(corner.pack(*place, *weight, 0, 1, 0, 0) for place, weight in corners)
    inverse = np.tile(np.eye(4, dtype="<f4"), (2, 1, 1)).tobytes()
    times = np.array([0, 1, 2], "<f4").tobytes()
    turns = np.array([[0, 0, 0, 1], [0, 0, np.sqrt(0.5), np.sqrt(0.5)], [0, 0, 1, 0]], "<f4").tobytes()
    views: list[tuple[int, int, int | None]] = [(0, len(vertices), corner.size)]
    for part in (inverse, times, turns):
        views.append((views[-1][0] + views[-1][1], len(part), None))
    document: dict[str, Any] = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0, 2]}],
        "nodes": [
            {"name": "root", "scale": [2, 2, 2], "children": [1]},
            {"name": "bone", "translation": [0, 3, 0], "rotation": [0, 0, 0.6, 0.8]},
            {"name": "mesh", "mesh": 0, "skin": 0},
        ],
        "skins": [{"joints": [0, 1], "inverseBindMatrices": 3}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "WEIGHTS_0": 1, "JOINTS_0": 2}}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]},
            {"bufferView": 0, "byteOffset": 12, "componentType": 5121, "count": 3, "type": "VEC4", "normalized": True},
            {"bufferView": 0, "byteOffset": 16, "componentType": 5121, "count": 3, "type": "VEC4"},
            {"bufferView": 1, "componentType": 5126, "count": 2, "type": "MAT4"},
            {"bufferView": 2, "componentType": 5126, "count": 3, "type": "SCALAR"},
            {"bufferView": 3, "componentType": 5126, "count": 3, "type": "VEC4"},
        ],
        "animations": [
            {
                "name": "turn",
                "channels": [{"sampler": 0, "target": {"node": 1, "path": "rotation"}}],
                "samplers": [{"input": 4, "output": 5, "interpolation": "STEP"}],
            }
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": start, "byteLength": length} | ({"byteStride": stride} if stride else {})
            for start, length, stride in views
        ],
        "buffers": [{"byteLength": views[-1][0] + views[-1][1]}],
    }
    return container(document | changes, vertices + inverse + times + turns)


def read_small(tmp_path: Path, **changes: Any) -> SkinnedGlb:
    file = tmp_path / "small.glb"
    file.write_bytes(small(**changes))
    return read_glb(file)


def test_strides_fractions_scales_and_steps(tmp_path: Path) -> None:
    glb = read_small(tmp_path)
    np.testing.assert_array_equal(glb.vertices, [[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    np.testing.assert_allclose(glb.weights[:, :2], [[1, 0], [0, 1], [0.2, 0.8]], atol=1e-6)
    world = glb.world(glb.placed())
    graph = trimesh.load_scene(tmp_path / "small.glb").graph
    np.testing.assert_allclose(world[2], graph["mesh"][0], atol=1e-6)
    np.testing.assert_allclose(world[1] @ [0, 0, 0, 1], [0, 6, 0, 1], atol=1e-6)
    # A quarter turn from the second key on, until the third.
    quarter = glb.world(glb.placed("turn", 1.7))[1, :3, :3]
    np.testing.assert_allclose(quarter, [[0, -2, 0], [2, 0, 0], [0, 0, 2]], atol=1e-6)
    np.testing.assert_allclose(glb.skinned(glb.world(glb.placed("turn", 1.7)))[1], [0, 8, 0], atol=1e-5)


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    file = tmp_path / "small.glb"
    whole = small()
    for content, reason in [
        (b"", "damaged"),
        (b"PK\3\4" + bytes(40), "not binary glTF"),
        (whole[:300], "damaged"),
        (small(skins=[]), "0 skins"),
        (small(accessors=[]), "damaged"),
        (small(nodes=[{"matrix": list(range(16))}]), "matrices"),
        (small(nodes=[{"children": [1]}, {"children": [0]}, {"mesh": 0, "skin": 0}]), "circle"),
    ]:
        file.write_bytes(content)
        with pytest.raises(UserError, match=reason):
            read_glb(file)
    with pytest.raises(UserError, match="Cannot read"):
        read_glb(tmp_path / "none.glb")
