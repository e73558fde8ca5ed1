"""What the viewer is given: the mesh once, and for each frame the turns of the joints; nothing vertex by vertex.

Everything is in a world with y up, metres. A vertex of a take t in frame f is

    v = Σ_j w_vj T_j(f) (b_v + Σ_k s_k(t) S_kv + Σ_k c_k(t, f) C_kv)

with the body's template b, shapes S and pose correctives C. Of the correctives only the few are kept that the clip
needs: the leading ones by what they do to vertices, shared by everybody. Skinning keeps each vertex's four strongest
weights. Of people who are skeletons without bodies there are the joints alone.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8

from monobody.body.kinematics import pose_features
from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS
from monobody.camera import Camera
from monobody.export.quaternion import quaternions_xyzw
from monobody.export.skin import Y_UP, strongest_weights
from monobody.motion import LEVEL_CAMERA, Motion, Track
from monobody.render.overlay import COLOURS
from monobody.scene import Scene, skeleton_of
from monobody.web.viewer_block import Block

MOST_CORRECTIVES = 16
SMALLEST_CORRECTIVE_M = 5e-4
"""Correctives that move no vertex farther than this in any frame are left out."""


@dataclass(frozen=True, slots=True)
class _Take:
    """One of the answers for a person."""

    track: Track
    weight: Float[np.ndarray, " f"]


def viewer_data(result: Scene | Motion) -> tuple[dict[str, Any], Block]:
    """Return the header, which JSON can hold, and the block of numbers that it describes."""
    if isinstance(result, Scene) and result.has_bodies:
        result = Motion.from_scene(result)
    block = Block()
    header: dict[str, Any] = {
        "name": result.name,
        "model": result.model,
        "terms": result.terms,
        "notes": list(result.notes),
    }
    if isinstance(result, Scene):
        camera = _camera(result.camera, result.width_px, result.height_px, LEVEL_CAMERA)
        return header | {"camera": camera, "times": block.add(np.zeros(1)), "mesh": None} | _skeletons(
            result, block
        ), block
    camera = _camera(result.camera, result.width_px, result.height_px, result.T_world_camera)
    times = block.add(result.times_s - result.times_s[0])
    return header | {"camera": camera, "times": times} | _bodies(result, block), block


def _bodies(motion: Motion, block: Block) -> dict[str, Any]:
    body = motion.with_body()
    people = [(track, _takes(track)) for track in motion.tracks]
    takes = [take for _, several in people for take in several]
    fields, parts = _correctives([take.track for take in takes], body)
    shapes, mixes = _shapes([take.track for take in takes], body)
    world = np.asarray(motion.T_world_camera, np.float64)
    described = iter(
        _described(block, take, body, world) | {"shape": mix, "correctives": block.add(part)}
        for take, mix, part in zip(takes, mixes, parts, strict=True)
    )
    return {
        "joints": _joint_sets({"smpl24"}),
        "mesh": _mesh(block, body, shapes, fields) if takes else None,
        "people": [
            _person(block, place, track.id, track.frames, track.seen) | {"takes": [next(described) for _ in several]}
            for place, (track, several) in enumerate(people)
        ],
    }


def _skeletons(scene: Scene, block: Block) -> dict[str, Any]:
    people, sets = [], set()
    for place, person in enumerate(scene.people):
        takes = []
        for one in sorted(person.hypotheses, key=lambda item: -item.weight):
            name, joints_m = skeleton_of(one)
            sets.add(name)
            points, weight = block.add(joints_m @ Y_UP.T), block.add(np.array([one.weight]))
            takes.append({"kind": "sticks", "set": name, "points": points, "weight": weight})
        once = np.zeros(1, int)
        people.append(_person(block, place, place, once, once == 0) | {"takes": takes})
    return {"joints": _joint_sets(sets), "people": people}


def _person(block: Block, place: int, name: int, frames: np.ndarray, seen: np.ndarray) -> dict[str, Any]:
    return {
        "id": name,
        "colour": "#" + bytes(COLOURS[place % len(COLOURS)]).hex(),
        "frames": block.add(frames.astype(np.int32)),
        "seen": block.add(seen.astype(np.uint8)),
    }


def _joint_sets(names: set[str]) -> dict[str, Any]:
    return {
        name: {"names": list(SKELETONS[name].joints), "parents": list(SKELETONS[name].parents)}
        for name in sorted(names)
    }


def _takes(track: Track) -> list[_Take]:
    """Return a person's answers, the strongest first, with their weights in each frame."""
    weights = np.ones((1, len(track.frames))) if track.hypotheses is None else track.hypotheses.weight
    order = np.argsort(-weights.sum(axis=1), kind="stable")
    return [_Take(take, weights[h]) for take, h in zip(track.takes(), order, strict=True)]


def _camera(
    camera: Camera | None, width_px: int | None, height_px: int | None, T_world_camera: Float[np.ndarray, "4 4"]
) -> dict[str, Any] | None:
    """Return the pinhole and where it stands, in the script's terms: it looks along -z, y up."""
    if camera is None or not width_px or not height_px:
        return None
    stands = np.asarray(T_world_camera) @ np.diag([1.0, -1.0, -1.0, 1.0])
    return {
        "width": width_px,
        "height": height_px,
        "focal": camera.focal_px,
        "principal": list(camera.principal_px),
        "stands": stands.T.ravel().tolist(),
    }


def _mesh(
    block: Block, body: Body, shapes: Float[np.ndarray, "k v 3"], fields: Float[np.ndarray, "c v 3"]
) -> dict[str, Any]:
    index, weight = strongest_weights(body.data.weights)
    faces = body.data.faces
    return {
        "template": block.add_quantised(body.data.v_template, "uint16"),
        "faces": block.add(faces.astype(np.uint16 if len(body.data.v_template) <= 1 << 16 else np.uint32)),
        "index": block.add(index),
        "weight": block.add(_as_bytes(weight)),
        "shapes": block.add_quantised(shapes, "int16"),
        "correctives": block.add_quantised(fields, "int8"),
    }


def _as_bytes(weight: Float[np.ndarray, "v 4"]) -> UInt8[np.ndarray, "v 4"]:
    """Return weights in 255ths that add up to 255 exactly: a sum of 254 would pull a vertex towards the origin."""
    whole = np.rint(weight * 255).astype(np.int64)
    whole[:, 0] += 255 - whole.sum(axis=1)
    return whole.astype(np.uint8)


def _described(block: Block, take: _Take, body: Body, world: Float[np.ndarray, "4 4"]) -> dict[str, Any]:
    track = take.track
    with torch.no_grad():
        rest_m = body.identity(torch.from_numpy(np.asarray(track.betas, np.float32))).joints_m.double().numpy()
    rotations = np.asarray(track.rotations, np.float64).copy()
    rotations[:, 0] = world[:3, :3] @ rotations[:, 0]
    pelvis_m = (track.translation_m + rest_m[0]) @ world[:3, :3].T + world[:3, 3]
    return {
        "kind": "mesh",
        "set": "smpl24",
        "weight": block.add(take.weight.astype(np.float32)),
        "rest": block.add(rest_m),
        "turns": block.add_quantised(quaternions_xyzw(rotations), "int16"),
        "places": block.add(pelvis_m),
    }


def _shapes(tracks: list[Track], body: Body) -> tuple[Float[np.ndarray, "k v 3"], list[list[float]]]:
    """Return displacements of the template, and how much of each every take has: its own, or the body's ten."""
    dirs = body.data.shapedirs.transpose(2, 0, 1).astype(np.float64)
    betas = np.array([track.betas for track in tracks], np.float64).reshape(-1, dirs.shape[0])
    if len(tracks) >= len(dirs):
        return dirs, betas.tolist()
    own = np.einsum("tk,kvc->tvc", betas, dirs)
    return own, np.eye(len(tracks)).tolist()


def _correctives(tracks: list[Track], body: Body) -> tuple[Float[np.ndarray, "c v 3"], list[Float[np.ndarray, "f c"]]]:
    """Return the few displacements that the clip's correctives are made of, and each frame's share of each."""
    posedirs = body.posedirs.double().numpy()
    features = [_features(track) for track in tracks]
    stacked = np.concatenate([np.zeros((0, len(posedirs))), *features])
    values, vectors = np.linalg.eigh(posedirs @ posedirs.T)
    # In these coordinates a length is what a feature does to all vertices together.
    weighed = stacked @ vectors * np.sqrt(values.clip(0))
    _, main = np.linalg.eigh(weighed.T @ weighed)
    fields, shares = [], []
    for direction in main.T[::-1][:MOST_CORRECTIVES]:
        share = weighed @ direction
        energy = float(share @ share)
        if energy < 1e-12:
            break
        field = ((share @ stacked) / energy @ posedirs).reshape(3, -1).T
        most_m = float(np.abs(share).max() * np.linalg.norm(field, axis=1).max())
        if most_m < SMALLEST_CORRECTIVE_M:
            break
        # Fields of equal size lose equally little when they are stored in bytes.
        largest = float(np.abs(field).max())
        fields.append(field / largest)
        shares.append(share * largest)
    count = len(body.data.v_template)
    table = np.stack(shares, axis=1) if shares else np.zeros((len(stacked), 0))
    ends = np.cumsum([len(one) for one in features])
    parts = np.split(table, ends[:-1]) if tracks else []
    return np.stack(fields) if fields else np.zeros((0, count, 3)), list(parts)


def _features(track: Track) -> Float[np.ndarray, "f 207"]:
    return pose_features(torch.from_numpy(np.asarray(track.rotations, np.float64))).numpy()
