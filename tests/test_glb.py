"""The GLB writer, judged by other people's readers and by skinning done anew from the file alone."""

import json
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pygltflib
import pytest
import trimesh
from scenes import posed_scene

from monobody.export.glb import glb_bytes
from monobody.export.seams import split_seams
from monobody.export.skin import Y_UP, strongest_weights, unposed
from monobody.motion import Motion
from monobody.scene import Scene

TYPES = {5126: np.float32, 5121: np.uint8, 5123: np.uint16, 5125: np.uint32}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Two people in wild poses."""
    return posed_scene(people=2, seed=3, spread_rad=0.8)


@pytest.fixture(scope="module")
def file(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scene.save(tmp_path_factory.mktemp("glb") / "scene.glb")


def read(gltf: pygltflib.GLTF2, index: int) -> np.ndarray:
    """One accessor's numbers."""
    accessor = gltf.accessors[index]
    view = gltf.bufferViews[accessor.bufferView]
    start = (view.byteOffset or 0) + (accessor.byteOffset or 0)
    count = accessor.count * WIDTHS[accessor.type]
    values = np.frombuffer(gltf.binary_blob(), TYPES[accessor.componentType], count, start)
    return values.reshape(accessor.count, -1)


def world_matrices(gltf: pygltflib.GLTF2) -> list[np.ndarray]:
    """Every node's place in the world, from translations, xyzw quaternions and the tree alone."""
    matrices: list[np.ndarray] = [np.eye(4)] * len(gltf.nodes)

    def visit(index: int, above: np.ndarray) -> None:
        node = gltf.nodes[index]
        local = np.eye(4)
        x, y, z, w = node.rotation or (0, 0, 0, 1)
        local[:3, :3] = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
        local[:3, 3] = node.translation or (0, 0, 0)
        matrices[index] = above @ local
        for child in node.children or []:
            visit(child, matrices[index])

    for root in gltf.scenes[gltf.scene].nodes:
        visit(root, np.eye(4))
    return matrices


def skinned(gltf: pygltflib.GLTF2, number: int) -> np.ndarray:
    """A person's vertices as any viewer would show them."""
    node = next(node for node in gltf.nodes if node.name == f"person_{number}_body")
    attributes = gltf.meshes[node.mesh].primitives[0].attributes
    skin = gltf.skins[node.skin]
    inverse = read(gltf, skin.inverseBindMatrices).reshape(-1, 4, 4).transpose(0, 2, 1)
    worlds = world_matrices(gltf)
    joints = np.stack([worlds[joint] @ inverse[i] for i, joint in enumerate(skin.joints)])
    maps = np.einsum("vc,vcij->vij", read(gltf, attributes.WEIGHTS_0), joints[read(gltf, attributes.JOINTS_0)])
    positions = np.concatenate([read(gltf, attributes.POSITION), np.ones((len(maps), 1))], axis=1)
    return np.einsum("vij,vj->vi", maps, positions)[:, :3]


def test_pygltflib_skins_the_same_mesh_within_a_millimetre(scene: Scene, file: Path) -> None:
    gltf = pygltflib.GLTF2().load(file)
    for number, person in enumerate(scene.people):
        ours = scene.vertices_cam_m(person) @ Y_UP.T
        theirs = skinned(gltf, number)[: len(ours)]
        assert np.linalg.norm(theirs - ours, axis=1).max() < 1e-3


def test_pygltflib_reads_the_same_joints(scene: Scene, file: Path) -> None:
    gltf = pygltflib.GLTF2().load(file)
    worlds = world_matrices(gltf)
    for number, person in enumerate(scene.people):
        theirs = np.stack([worlds[joint][:3, 3] for joint in gltf.skins[number].joints])
        np.testing.assert_allclose(theirs, person.joints_cam_m["smpl24"] @ Y_UP.T, atol=1e-3)
        names = [gltf.nodes[joint].name for joint in gltf.skins[number].joints]
        assert names[:3] == ["pelvis", "left_hip", "right_hip"]


def test_trimesh_reads_the_same_joints(scene: Scene, file: Path) -> None:
    loaded = trimesh.load(file, process=False)
    person = scene.people[0]
    for joint, name in enumerate(("pelvis", "left_hip", "right_hip", "spine1", "left_knee")):
        matrix, _ = loaded.graph[name]
        np.testing.assert_allclose(matrix[:3, 3], person.joints_cam_m["smpl24"][joint] @ Y_UP.T, atol=1e-3)


def test_camera_sees_what_the_picture_s_camera_saw(scene: Scene, file: Path) -> None:
    """Project the file's joints with the file's camera, by glTF's own rules, and land on our pixels."""
    gltf = pygltflib.GLTF2().load(file)
    perspective = gltf.cameras[0].perspective
    worlds = world_matrices(gltf)
    points = np.stack([worlds[joint][:3, 3] for joint in gltf.skins[0].joints])
    half = np.tan(perspective.yfov / 2)
    ndc = points[:, :2] / -points[:, 2:] / [half * perspective.aspectRatio, half]
    px = (ndc * [1, -1] + 1) / 2 * [scene.width_px, scene.height_px]
    np.testing.assert_allclose(px, scene.people[0].joints_px["smpl24"], atol=0.05)


def test_weights_are_normalised_and_unused_joints_are_zero(scene: Scene) -> None:
    index, weight = strongest_weights(scene.with_body().data.weights)
    assert index.shape[1] == weight.shape[1] == 4
    np.testing.assert_allclose(weight.sum(axis=1), 1, atol=1e-6)
    assert (index[weight == 0] == 0).all()


def test_degenerate_blend_keeps_the_rest_vertex_near() -> None:
    """Two joints turned against each other by half a turn flatten space; the solution must not fly away."""
    flat = np.stack([np.hstack([np.eye(3), np.zeros((3, 1))]), np.hstack([np.diag([1.0, -1, -1]), np.zeros((3, 1))])])
    posed = np.array([[0.1, 0.02, 0.0]])
    rest = unposed(posed, flat, np.array([[0, 1]]), np.array([[0.5, 0.5]], np.float32))
    assert np.abs(rest - posed).max() < 0.05


def test_seams_repeat_vertices_at_the_end() -> None:
    faces, faces_uv = np.array([[0, 1, 2], [2, 1, 3]]), np.array([[0, 1, 2], [4, 3, 5]])
    source, triangles, uv = split_seams(faces, faces_uv, np.linspace(0, 1, 12).reshape(6, 2))
    assert source[:4].tolist() == [0, 1, 2, 3]
    assert sorted(source[4:].tolist()) == [1, 2]
    np.testing.assert_array_equal(source[triangles], faces)
    np.testing.assert_allclose(uv[triangles], np.linspace(0, 1, 12).reshape(6, 2)[faces_uv])


def test_normals_have_unit_length_and_point_outwards(scene: Scene, file: Path) -> None:
    gltf = pygltflib.GLTF2().load(file)
    attributes = gltf.meshes[0].primitives[0].attributes
    normals, places = read(gltf, attributes.NORMAL), read(gltf, attributes.POSITION)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    # The divergence theorem: outward normals give the volume of a person, not minus that.
    count = len(scene.with_body().data.v_template)
    areas = scene.with_body().data.vertex_area_m2
    assert 0.03 < (areas * (normals[:count] * places[:count]).sum(1)).sum() / 3 < 0.2


def test_empty_scene_is_a_valid_file(scene: Scene) -> None:
    from dataclasses import replace

    data = glb_bytes(Motion.from_scene(replace(scene, people=())))
    magic, version, length = struct.unpack("<4sII", data[:12])
    assert (magic, version, length) == (b"glTF", 2, len(data))
    assert json.loads(data[20 : 20 + struct.unpack("<I", data[12:16])[0]])["cameras"]


VALIDATE = """
const validator = require(process.argv[1]);
const bytes = new Uint8Array(require('fs').readFileSync(process.argv[2]));
validator.validateBytes(bytes).then(report => console.log(JSON.stringify(report.issues)));
"""


@pytest.mark.slow
def test_passes_khronos_validator(file: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The glTF validator from npm; skipped where node or the registry is out of reach."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("validator")
    command = [npm, "install", "--silent", "--no-audit", "--prefix", str(folder), "gltf-validator@2.0.0-dev.3.10"]
    if subprocess.run(command, capture_output=True, timeout=120).returncode != 0:
        pytest.skip("npm cannot fetch gltf-validator")
    package = folder / "node_modules" / "gltf-validator"
    result = subprocess.run([node, "-e", VALIDATE, str(package), str(file)], capture_output=True, text=True, check=True)
    issues = json.loads(result.stdout)
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"][:5]
