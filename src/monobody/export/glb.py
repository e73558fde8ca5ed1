"""GLB (glTF 2.0, binary): every person a skinned mesh on 24 joints, and the picture's camera.

Opens in Blender and everything else that reads glTF. The pose is in the joints' rotations, so animators can go on
from it; the person's place is in the node above the pelvis. The camera stands at the origin and sees what the
picture's camera saw. Written with the standard library and numpy.
"""

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from monobody.export.rig import Rig, rig_person
from monobody.files import atomic_write
from monobody.render.shade import vertex_normals
from monobody.scene import Scene

FLOAT, UNSIGNED_BYTE, UNSIGNED_SHORT, UNSIGNED_INT = 5126, 5121, 5123, 5125
VERTICES, TRIANGLES = 34962, 34963
COLOURS = ((0.35, 0.55, 0.85), (0.85, 0.50, 0.35), (0.45, 0.72, 0.45), (0.75, 0.55, 0.80), (0.85, 0.75, 0.40))
"""Materials of the people, in turn; linear RGB."""


def write_glb(scene: Scene, path: str | Path) -> Path:
    """Write a scene as GLB, whole or not at all.

    Vertices keep the body's order; those on a seam of the texture are repeated at the end, once for each further
    texture coordinate.
    """
    container = glb_bytes(scene)
    with atomic_write(path, suffix=".glb") as temporary:
        temporary.write_bytes(container)
    return Path(path)


def glb_bytes(scene: Scene) -> bytes:
    """Return a scene as the bytes of a GLB file."""
    buffer = _Buffer()
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": f"monobody {scene.versions.get('monobody', '')}".strip()},
        "scene": 0,
        "scenes": [{"name": scene.name, "nodes": []}],
        "nodes": [],
        "cameras": [_camera(scene)],
    }
    document["asset"]["extras"] = {
        "model": scene.model,
        "terms": scene.terms,
        "focal_px": scene.camera.focal_px,
        "people": [{"theta": [float(value) for value in person.theta]} for person in scene.people],
    }
    roots, nodes = document["scenes"][0]["nodes"], document["nodes"]
    roots.append(_append(nodes, {"name": "picture_camera", "camera": 0}))
    if scene.people:
        data = scene.with_body().data
        textured = len(data.ft) > 0
        source, triangles, uv = split_seams(data.faces, data.ft if textured else data.faces, data.vt)
        # Every person has the same triangles and weights: they are stored once.
        indices = buffer.add(triangles.astype(np.uint32 if len(source) > 65535 else np.uint16), TRIANGLES)
        shared: dict[str, int] = {}
        if textured:  # glTF's texture coordinates have their origin at the top left.
            shared["TEXCOORD_0"] = buffer.add(np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1).astype(np.float32), VERTICES)
        document |= {"meshes": [], "skins": [], "materials": []}
        for number, person in enumerate(scene.people):
            rig = rig_person(scene, person)
            if number == 0:
                shared["JOINTS_0"] = buffer.add(rig.joint_index[source], VERTICES)
                shared["WEIGHTS_0"] = buffer.add(rig.joint_weight[source], VERTICES)
            normals = vertex_normals(rig.rest_vertices_m, data.faces)
            normals[~normals.any(axis=1)] = (0, 0, 1)  # A vertex without triangles; glTF wants unit length.
            attributes = {
                "POSITION": buffer.add(rig.rest_vertices_m[source].astype(np.float32), VERTICES, bounds=True),
                "NORMAL": buffer.add(normals[source], VERTICES),
                **shared,
            }
            material = _append(document["materials"], _material(f"person_{number}", COLOURS[number % len(COLOURS)]))
            primitive = {"attributes": attributes, "indices": indices, "material": material}
            mesh = _append(document["meshes"], {"name": f"person_{number}_mesh", "primitives": [primitive]})
            top, joints = _joint_nodes(nodes, rig, f"person_{number}")
            inverse = buffer.add(_inverse_bind_matrices(rig.rest_joints_m))
            skin = {"name": f"person_{number}_skin", "inverseBindMatrices": inverse, "joints": joints, "skeleton": top}
            skin_index = _append(document["skins"], skin)
            roots.append(top)
            # A skinned mesh ignores the nodes above it, so it belongs at the top of the scene.
            roots.append(_append(nodes, {"name": f"person_{number}_body", "mesh": mesh, "skin": skin_index}))
        document |= {"buffers": [{"byteLength": len(buffer.data)}], "bufferViews": buffer.views}
        document["accessors"] = buffer.accessors
    return _container(document, bytes(buffer.data))


def split_seams(
    faces: Int[np.ndarray, "f 3"], faces_uv: Int[np.ndarray, "f 3"], uv: Float[np.ndarray, "t 2"]
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "f 3"], Float[np.ndarray, "n 2"]]:
    """Give each vertex one texture coordinate, as glTF wants it, by repeating the vertices on seams.

    Returns:
        For each new vertex the one it repeats (the first V are the V old ones in order), the new triangles, and the
        new vertices' texture coordinates.
    """
    count = int(faces.max()) + 1
    pairs, corner = np.unique(np.stack([faces.ravel(), faces_uv.ravel()], axis=1), axis=0, return_inverse=True)
    first = np.ones(len(pairs), bool)
    first[1:] = pairs[1:, 0] != pairs[:-1, 0]
    position = np.empty(len(pairs), np.int64)
    position[first] = pairs[first, 0]
    position[~first] = count + np.arange((~first).sum())
    total = count + int((~first).sum())
    source, new_uv = np.arange(total), np.zeros((total, 2))
    source[position] = pairs[:, 0]
    if len(uv):
        new_uv[position] = uv[pairs[:, 1]]
    return source, position[corner.reshape(faces.shape)], new_uv


def _camera(scene: Scene) -> dict[str, Any]:
    """The picture's camera: glTF's looks along -z with y up, as the file's frame has it."""
    return {
        "name": "picture_camera",
        "type": "perspective",
        "perspective": {
            "aspectRatio": scene.width_px / scene.height_px,
            "yfov": 2 * math.atan(scene.height_px / (2 * scene.camera.focal_px)),
            "znear": 0.01,
        },
    }


def _material(name: str, colour: tuple[float, float, float]) -> dict[str, Any]:
    factors = {"baseColorFactor": [*colour, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.8}
    return {"name": name, "pbrMetallicRoughness": factors}


def _joint_nodes(nodes: list[dict[str, Any]], rig: Rig, name: str) -> tuple[int, list[int]]:
    """Append a person's node and its 24 joints; return the person's index and the joints'."""
    top = _append(nodes, {"name": name, "translation": rig.translation_m.tolist(), "children": []})
    joints: list[int] = []
    for joint, (label, parent) in enumerate(zip(rig.names, rig.parents, strict=True)):
        offset = rig.rest_joints_m[joint] - (rig.rest_joints_m[parent] if parent >= 0 else 0)
        turn = _quaternion_xyzw(rig.rotations[joint])
        joints.append(_append(nodes, {"name": label, "translation": offset.tolist(), "rotation": turn.tolist()}))
        nodes[joints[parent] if parent >= 0 else top].setdefault("children", []).append(joints[joint])
    return top, joints


def _quaternion_xyzw(rotation: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "4"]:
    """Return glTF's quaternion of a rotation, by the eigenvector of Bar-Itzhack's symmetric matrix."""
    m = rotation
    k = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], 0, 0, 0],
            [m[1, 0] + m[0, 1], m[1, 1] - m[0, 0] - m[2, 2], 0, 0],
            [m[2, 0] + m[0, 2], m[2, 1] + m[1, 2], m[2, 2] - m[0, 0] - m[1, 1], 0],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], m[0, 0] + m[1, 1] + m[2, 2]],
        ]
    )
    quaternion = np.linalg.eigh(k)[1][:, -1]  # eigh reads the lower triangle.
    return quaternion if quaternion[3] >= 0 else -quaternion


def _inverse_bind_matrices(rest_joints_m: Float[np.ndarray, "j 3"]) -> Float[np.ndarray, "j 4 4"]:
    """Rest joints are not turned, so these only move each joint to the origin. glTF stores columns first."""
    matrices = np.tile(np.eye(4, dtype=np.float32), (len(rest_joints_m), 1, 1))
    matrices[:, 3, :3] = -rest_joints_m
    return matrices


def _append(items: list[dict[str, Any]], item: dict[str, Any]) -> int:
    """Append and return the index, by which glTF's parts refer to each other."""
    items.append(item)
    return len(items) - 1


class _Buffer:
    """The binary part: arrays one after the other, with the views and accessors that describe them."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add(self, array: np.ndarray, target: int | None = None, *, bounds: bool = False) -> int:
        """Append an array and return its accessor's index. Matrices are (n, 4, 4), vectors (n, k), indices (f, 3)."""
        kinds = {"f4": FLOAT, "u1": UNSIGNED_BYTE, "u2": UNSIGNED_SHORT, "u4": UNSIGNED_INT}
        if target == TRIANGLES:
            array, kind = array.reshape(-1), "SCALAR"
        else:
            kind = "MAT4" if array.ndim == 3 else f"VEC{array.shape[1]}"
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.data), "byteLength": array.nbytes}
        if target is not None:
            view["target"] = target
        self.data += np.ascontiguousarray(array).tobytes()
        self.data += b"\0" * (-len(self.data) % 4)
        accessor: dict[str, Any] = {
            "bufferView": _append(self.views, view),
            "componentType": kinds[array.dtype.str[1:]],
            "count": len(array),
            "type": kind,
        }
        if bounds:
            accessor |= {"min": array.min(axis=0).tolist(), "max": array.max(axis=0).tolist()}
        return _append(self.accessors, accessor)


def _container(document: dict[str, Any], binary: bytes) -> bytes:
    """Return header, JSON chunk and binary chunk, each padded to four bytes."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    if binary:
        chunks += struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
