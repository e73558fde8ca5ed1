"""Stick figures as GLB, of people who are skeletons without a body: each hypothesis a mesh of rods with its joints.

A person is a node ``person_0`` with a child for each hypothesis, the heaviest first: ``person_0_h0`` has the rods, the
weight in its extras, and below it the joints as nodes named like them, hung on each other. y is up, lengths are metres,
the picture's camera stands at the origin.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from monobody.body.skeleton import SKELETONS
from monobody.errors import UserError
from monobody.export.glb import COLOURS, add_camera, material
from monobody.export.gltf_buffer import TRIANGLES, VERTICES, Buffer, append, container
from monobody.export.skin import Y_UP
from monobody.files import atomic_write
from monobody.render.shade import vertex_normals
from monobody.render.stick_figure import stick_figure, stick_figure_faces
from monobody.scene import Hypothesis, Scene, skeleton_of


def write_stick_glb(
    scene: Scene, path: str | Path, *, hypotheses: Literal["all", "best"] = "all", **others: object
) -> Path:
    """Write the skeletons of a scene, whole or not at all.

    Args:
        scene: without bodies.
        path: the ``.glb`` file.
        hypotheses: of each person all or the best one.
        others: choices of other exporters, which stick figures do not have.

    Raises:
        UserError: a choice that stick figures do not have, or the file cannot be written.
    """
    if others:
        raise UserError(
            f"Stick figures have no choice of {', '.join(others)}: predict with --lift to get bodies, which have."
        )
    if hypotheses not in ("all", "best"):
        raise UserError(f"There is no hypotheses {hypotheses!r}: choose from best, all.")
    content = stick_glb_bytes(scene, only_best=hypotheses == "best")
    with atomic_write(path, suffix=".glb") as temporary:
        temporary.write_bytes(content)
    return Path(path)


def stick_glb_bytes(scene: Scene, *, only_best: bool = False) -> bytes:
    """Return the skeletons of a scene as the bytes of a GLB file."""
    buffer = Buffer()
    document: dict[str, Any] = {
        "asset": {
            "version": "2.0",
            "generator": f"monobody {scene.versions.get('monobody', '')}".strip(),
            "extras": {"model": scene.model, "terms": scene.terms},
        },
        "scene": 0,
        "scenes": [{"name": scene.name, "nodes": []}],
        "nodes": [],
        "meshes": [],
        "materials": [],
    }
    add_camera(document, scene.camera, scene.width_px, scene.height_px)
    for number, person in enumerate(scene.people):
        top: dict[str, Any] = {"name": f"person_{number}", "children": []}
        document["scenes"][0]["nodes"].append(append(document["nodes"], top))
        ranked = sorted(person.hypotheses, key=lambda one: -one.weight)[: 1 if only_best else None]
        for rank, hypothesis in enumerate(ranked):
            # Less likely ones are paler.
            own = np.array(COLOURS[number % len(COLOURS)])
            pale = own + (1 - own) * 0.6 * rank / len(ranked)
            name = f"person_{number}_h{rank}"
            top["children"].append(_add_skeleton(document, buffer, hypothesis, name, tuple(pale.tolist())))
    if buffer.data:
        document |= {"buffers": [{"byteLength": len(buffer.data)}], "bufferViews": buffer.views}
        document["accessors"] = buffer.accessors
    else:  # glTF forbids empty lists.
        del document["meshes"], document["materials"]
    return container(document, bytes(buffer.data))


def _add_skeleton(
    document: dict[str, Any],
    buffer: Buffer,
    hypothesis: Hypothesis,
    name: str,
    colour: tuple[float, float, float],
) -> int:
    """Append a hypothesis's node with its rods and joints; return its index."""
    set_name, joints_cam_m = skeleton_of(hypothesis)
    skeleton, joints_m = SKELETONS[set_name], joints_cam_m.astype(np.float64) @ Y_UP.T
    vertices_m, faces = stick_figure(joints_m, set_name).reshape(-1, 3), stick_figure_faces(set_name)
    primitive = {
        "attributes": {
            "POSITION": buffer.add(vertices_m, VERTICES, bounds=True),
            "NORMAL": buffer.add(vertex_normals(vertices_m, faces), VERTICES),
        },
        "indices": buffer.add(faces.astype(np.uint16), TRIANGLES),
        "material": append(document["materials"], material(name, colour)),
    }
    mesh = append(document["meshes"], {"name": f"{name}_rods", "primitives": [primitive]})
    extras = {"weight": float(hypothesis.weight), "joint_set": set_name}
    node: dict[str, Any] = {"name": name, "mesh": mesh, "children": [], "extras": extras}
    index = append(document["nodes"], node)
    joints: list[dict[str, Any]] = [{"name": joint} for joint in skeleton.joints]
    places = [append(document["nodes"], joint) for joint in joints]
    for joint, parent in enumerate(skeleton.parents):
        above = joints_m[parent] if parent >= 0 else np.zeros(3)
        joints[joint]["translation"] = (joints_m[joint] - above).tolist()
        (joints[parent] if parent >= 0 else node).setdefault("children", []).append(places[joint])
    return index
