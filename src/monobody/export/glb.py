"""GLB (glTF 2.0, binary): every person a skinned, moving mesh on a skeleton, and the camera that filmed them.

Opens in Blender and everything else that reads glTF. y is up, lengths are metres, the camera is where the clip's was.
One frame gives a still figure whose pose is in the joints; several give one animation of everybody, with the joints'
nodes at rest. Written with the standard library and numpy.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from monobody.camera import Camera
from monobody.export.armature import Armature, armatures
from monobody.export.correctives import corrective_targets
from monobody.export.gltf_buffer import TRIANGLES, VERTICES, Buffer, append, container
from monobody.export.options import ExportOptions
from monobody.export.quaternion import quaternions_xyzw
from monobody.export.resample import evenly
from monobody.export.seams import split_seams
from monobody.files import atomic_write
from monobody.motion import LEVEL_CAMERA, Motion
from monobody.render.shade import vertex_normals

COLOURS = ((0.35, 0.55, 0.85), (0.85, 0.50, 0.35), (0.45, 0.72, 0.45), (0.75, 0.55, 0.80), (0.85, 0.75, 0.40))
"""Materials of the people, in turn; linear RGB."""


def write_motion_glb(motion: Motion, path: str | Path, options: ExportOptions) -> list[Path]:
    """Write a motion as GLB, whole or not at all.

    Vertices keep the body's order; those on a seam of the texture are repeated at the end, once for each further
    texture coordinate. Frames keep their own times unless a rate is asked for.
    """
    content = glb_bytes(motion, options)
    with atomic_write(path, suffix=".glb") as temporary:
        temporary.write_bytes(content)
    return [Path(path)]


def glb_bytes(motion: Motion, options: ExportOptions | None = None) -> bytes:
    """Return a motion as the bytes of a GLB file."""
    options = options or ExportOptions()
    motion = motion if options.fps is None else evenly(motion, options.fps)
    buffer = Buffer()
    document: dict[str, Any] = {
        "asset": {
            "version": "2.0",
            "generator": f"monobody {motion.versions.get('monobody', '')}".strip(),
            "extras": {
                "model": motion.model,
                "terms": motion.terms,
                "people": [{"id": one.id, "betas": [float(value) for value in one.betas]} for one in motion.tracks],
            },
        },
        "scene": 0,
        "scenes": [{"name": motion.name, "nodes": []}],
        "nodes": [],
    }
    if motion.camera is not None and motion.width_px and motion.height_px:
        add_camera(document, motion.camera, motion.width_px, motion.height_px, motion.T_world_camera)
    people = armatures(motion, options, up="y", unit="m", namesakes=True)
    if people:
        _add_people(document, buffer, people, motion, options)
        document |= {"buffers": [{"byteLength": len(buffer.data)}], "bufferViews": buffer.views}
        document["accessors"] = buffer.accessors
    if not document["scenes"][0]["nodes"]:  # glTF forbids empty lists.
        del document["scenes"][0]["nodes"], document["nodes"]
    return container(document, bytes(buffer.data))


def _add_people(
    document: dict[str, Any], buffer: Buffer, people: list[Armature], motion: Motion, options: ExportOptions
) -> None:
    body = motion.with_body()
    data, nodes, roots = body.data, document["nodes"], document["scenes"][0]["nodes"]
    textured = len(data.ft) > 0
    source, triangles, uv = split_seams(data.faces, data.ft if textured else data.faces, data.vt)
    # Every person has the same triangles and weights: they are stored once.
    indices = buffer.add(triangles.astype(np.uint32 if len(source) > 65535 else np.uint16), TRIANGLES)
    shared = {
        "JOINTS_0": buffer.add(people[0].joint_index[source], VERTICES),
        "WEIGHTS_0": buffer.add(people[0].joint_weight[source], VERTICES),
    }
    if textured:  # glTF's texture coordinates have their origin at the top left.
        shared["TEXCOORD_0"] = buffer.add(np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1), VERTICES)
    document |= {"meshes": [], "skins": [], "materials": []}
    samplers: list[dict[str, Any]] = []
    channels: list[dict[str, Any]] = []
    for number, person in enumerate(people):
        top, joints = _add_joints(nodes, person)
        attributes = _shape(buffer, person.rest_vertices, data.faces, source) | shared
        colour = append(document["materials"], material(person.name, COLOURS[number % len(COLOURS)]))
        primitive = {"attributes": attributes, "indices": indices, "material": colour}
        mesh: dict[str, Any] = {"name": f"{person.name}_mesh", "primitives": [primitive]}
        weights = np.zeros((len(person.turns), 0))
        if options.correctives:
            targets, weights = corrective_targets(person, body)
            if len(targets):
                primitive["targets"] = [{"POSITION": buffer.add(t[source], VERTICES, bounds=True)} for t in targets]
                mesh |= {
                    "weights": [0.0] * len(targets),
                    "extras": {"targetNames": [f"corrective_{k}" for k in range(len(targets))]},
                }
        skin = {
            "name": f"{person.name}_skin",
            "inverseBindMatrices": buffer.add(_inverse_bind_matrices(person)),
            "joints": joints,
            "skeleton": joints[0],
        }
        shown = {
            "name": f"{person.name}_body",
            "mesh": append(document["meshes"], mesh),
            "skin": append(document["skins"], skin),
        }
        # A skinned mesh ignores the nodes above it, so it belongs at the top of the scene.
        roots += [top, append(nodes, shown)]
        if len(person.turns) > 1:
            tracks = [(joints[j], "rotation", q) for j, q in enumerate(_turns_over_time(person))]
            tracks += [(joints[joint], "translation", places) for joint, places in person.moves.items()]
            if weights.shape[1]:
                tracks.append((roots[-1], "weights", weights.reshape(-1)))
            times = buffer.add(person.times_s, bounds=True)
            for node, what, values in tracks:
                sampler = {"input": times, "output": buffer.add(values), "interpolation": "LINEAR"}
                channels.append({"sampler": append(samplers, sampler), "target": {"node": node, "path": what}})
    if channels:
        document["animations"] = [{"name": motion.name, "samplers": samplers, "channels": channels}]


def _shape(
    buffer: Buffer,
    vertices_m: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "t 3"],
    source: Int[np.ndarray, " n"],
) -> dict[str, int]:
    normals = vertex_normals(vertices_m, faces)
    normals[~normals.any(axis=1)] = (0, 0, 1)  # A vertex without triangles; glTF wants unit length.
    return {
        "POSITION": buffer.add(vertices_m[source], VERTICES, bounds=True),
        "NORMAL": buffer.add(normals[source], VERTICES),
    }


def _add_joints(nodes: list[dict[str, Any]], person: Armature) -> tuple[int, list[int]]:
    """Append a person's node and joints: at rest where they will move, else posed. Return its index and theirs."""
    still = len(person.turns) == 1
    top = append(nodes, {"name": person.name, "children": []})
    turns = quaternions_xyzw((person.turns[0] if still else person.rest_turns())[None])[0]
    joints: list[int] = []
    for joint, (label, parent) in enumerate(zip(person.names, person.parents, strict=True)):
        place = person.moves[joint][0] if still and joint in person.moves else person.offsets[joint]
        joints.append(append(nodes, {"name": label, "translation": place.tolist(), "rotation": turns[joint].tolist()}))
        nodes[joints[parent] if parent >= 0 else top].setdefault("children", []).append(joints[joint])
    return top, joints


def _turns_over_time(person: Armature) -> Float[np.ndarray, "n f 4"]:
    return quaternions_xyzw(person.turns).transpose(1, 0, 2)


def _inverse_bind_matrices(person: Armature) -> Float[np.ndarray, "n 4 4"]:
    """From the mesh at rest into each joint's axes. glTF stores columns first."""
    matrices = np.tile(np.eye(4), (len(person.names), 1, 1))
    matrices[:, :3, :3] = person.rest_axes
    matrices[:, 3, :3] = -np.einsum("nji,nj->ni", person.rest_axes, person.rest_places)
    return matrices


def add_camera(
    document: dict[str, Any],
    camera: Camera,
    width_px: int,
    height_px: int,
    T_world_camera: Float[np.ndarray, "4 4"] = LEVEL_CAMERA,
) -> None:
    """Append the picture's camera to the scene; glTF's looks along -z with y up."""
    document["asset"]["extras"]["focal_px"] = camera.focal_px
    perspective = {
        "aspectRatio": width_px / height_px,
        "yfov": 2 * math.atan(height_px / (2 * camera.focal_px)),
        "znear": 0.01,
    }
    document["cameras"] = [{"name": "picture_camera", "type": "perspective", "perspective": perspective}]
    stands = T_world_camera @ np.diag([1.0, -1.0, -1.0, 1.0])
    node = {"name": "picture_camera", "camera": 0, "translation": stands[:3, 3].tolist()}
    node["rotation"] = quaternions_xyzw(stands[None, None, :3, :3])[0, 0].tolist()
    document["scenes"][0]["nodes"].append(append(document["nodes"], node))


def material(name: str, colour: tuple[float, float, float]) -> dict[str, Any]:
    """Return a matt material of one colour, linear RGB."""
    factors = {"baseColorFactor": [*colour, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.8}
    return {"name": name, "pbrMetallicRoughness": factors}
