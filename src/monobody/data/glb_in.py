"""Skinned meshes and their clips out of binary glTF files (GLB): nodes, skin, mesh, animations and the picture.

What a rigged animal needs and no more, after the glTF 2.0 specification: one skin, triangles, animations of
translations, rotations and scales with steps or straight lines between keys. Sparse accessors, Draco and morph targets
are refused. Frames are glTF's: y up, quaternions as x, y, z, w; numbers come as they stand in the file.
"""

import io
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int, Int32, UInt8

from monobody.errors import UserError

_NUMBER = {5120: "i1", 5121: "u1", 5122: "i2", 5123: "u2", 5125: "u4", 5126: "f4"}
_WIDTH = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_PARTS = ("translation", "rotation", "scale")
_REST = {"translation": (0.0, 0.0, 0.0), "rotation": (0.0, 0.0, 0.0, 1.0), "scale": (1.0, 1.0, 1.0)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Every node relative to its parent."""

    translation: Float32[np.ndarray, "n 3"]
    rotation: Float32[np.ndarray, "n 4"]
    scale: Float32[np.ndarray, "n 3"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Track:
    """One moving part of one node."""

    node: int
    part: str
    """translation, rotation or scale."""
    times_s: Float32[np.ndarray, " k"]
    values: Float32[np.ndarray, "k c"]
    steps: bool
    """Whether a value holds until the next key."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SkinnedGlb:
    """A skinned mesh with its tree of nodes. ``V`` vertices, ``F`` triangles, ``N`` nodes, ``B`` bones."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    """-1 for the roots."""
    rest: Placement
    bones: tuple[int, ...]
    """The nodes of the skin."""
    inverse_bind: Float32[np.ndarray, "B 4 4"]
    vertices: Float32[np.ndarray, "V 3"]
    faces: Int32[np.ndarray, "F 3"]
    uv: Float32[np.ndarray, "V 2"]
    """v counts downwards, as in glTF."""
    vertex_bones: Int32[np.ndarray, "V 4"]
    """Places in ``bones``,"""
    weights: Float32[np.ndarray, "V 4"]
    """and how much each moves the vertex."""
    texture: UInt8[np.ndarray, "h w 3"] | None
    clips: dict[str, tuple[Track, ...]]

    def placed(self, clip: str | None = None, time_s: float = 0.0) -> Placement:
        """Return where the nodes are at a time of a clip, or at rest."""
        parts = {part: getattr(self.rest, part).copy() for part in _PARTS}
        for track in self.clips[clip] if clip is not None else ():
            parts[track.part][track.node] = _at(track, time_s)
        return Placement(**parts)

    def world(self, placement: Placement) -> Float[np.ndarray, "N 4 4"]:
        """Return every node's transform to the scene."""
        local = matrices(placement)
        world = np.empty_like(local)
        for node in _outwards(self.parents):
            parent = self.parents[node]
            world[node] = local[node] if parent < 0 else world[parent] @ local[node]
        return world

    def skinned(self, world: Float[np.ndarray, "N 4 4"]) -> Float[np.ndarray, "V 3"]:
        """Return the mesh as the bones carry it."""
        carry = (world[list(self.bones)] @ self.inverse_bind)[:, :3]
        mixed = np.einsum("vk,vkij->vij", self.weights, carry[self.vertex_bones])
        return np.einsum("vij,vj->vi", mixed[..., :3], self.vertices) + mixed[..., 3]

    def duration_s(self, clip: str) -> float:
        """Return the time of a clip's last key."""
        return max(float(track.times_s[-1]) for track in self.clips[clip])


def read_glb(path: str | Path) -> SkinnedGlb:
    """Read a GLB with one skin.

    Raises:
        UserError: there is no such file, it is damaged, or it has what this reader does not know.
    """
    file = Path(path)
    try:
        document, binary = _chunks(file.read_bytes())
        return _Reader(document, binary).read()
    except OSError as error:
        raise UserError(f"Cannot read {file}: {error.strerror}.") from error
    except _Unusable as problem:
        raise UserError(f"{file} cannot be used: {problem}. Give a GLB with one skinned mesh.") from None
    except (LookupError, TypeError, ValueError, AttributeError, struct.error) as error:
        raise UserError(f"{file} is damaged or not a GLB; export it anew.") from error


def matrices(placement: Placement) -> Float[np.ndarray, "N 4 4"]:
    """Return translation x rotation x scale of every node."""
    x, y, z, w = placement.rotation.astype(np.float64).T
    turn = np.empty((len(x), 3, 3))
    turn[:, 0] = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], 1)
    turn[:, 1] = np.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], 1)
    turn[:, 2] = np.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], 1)
    made = np.tile(np.eye(4), (len(x), 1, 1))
    made[:, :3, :3] = turn * placement.scale[:, None, :]
    made[:, :3, 3] = placement.translation
    return made


class _Unusable(ValueError):
    """Says what about a file this reader cannot use."""


def _chunks(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the document and the binary part of a GLB."""
    magic, version, _ = struct.unpack_from("<4sII", data)
    if magic != b"glTF" or version != 2:
        raise _Unusable("it is not binary glTF 2.0")
    place, found = 12, {}
    while place + 8 <= len(data):
        length, kind = struct.unpack_from("<I4s", data, place)
        found.setdefault(kind, data[place + 8 : place + 8 + length])
        place += 8 + length
    return json.loads(found[b"JSON"]), found.get(b"BIN\0", b"")


class _Reader:
    """Turns a document's parts into arrays."""

    def __init__(self, document: dict[str, Any], binary: bytes) -> None:
        self.document, self.binary = document, binary

    def read(self) -> SkinnedGlb:
        nodes, skins = self.document["nodes"], self.document.get("skins", [])
        if len(skins) != 1:
            raise _Unusable(f"it has {len(skins)} skins, not one")
        if any("matrix" in node for node in nodes):
            raise _Unusable("its nodes are placed by matrices instead of translation, rotation and scale")
        parents = [-1] * len(nodes)
        for number, node in enumerate(nodes):
            for child in node.get("children", ()):
                parents[child] = number
        _outwards(tuple(parents))
        rest = {
            part: np.array([node.get(part, _REST[part]) for node in nodes], np.float32).reshape(len(nodes), -1)
            for part in _PARTS
        }
        skin = skins[0]
        return SkinnedGlb(
            names=tuple(str(node.get("name", number)) for number, node in enumerate(nodes)),
            parents=tuple(parents),
            rest=Placement(**rest),
            bones=tuple(skin["joints"]),
            # Matrices are stored column by column.
            inverse_bind=self.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).swapaxes(1, 2),
            **self.mesh(),
            texture=self.texture(),
            clips={clip["name"]: self.tracks(clip) for clip in self.document.get("animations", [])},
        )

    def mesh(self) -> dict[str, np.ndarray]:
        """Join the triangles of every mesh that the skin carries."""
        parts, count = [], 0
        for node in self.document["nodes"]:
            if "skin" not in node:
                continue
            for primitive in self.document["meshes"][node["mesh"]]["primitives"]:
                if primitive.get("mode", 4) != 4 or "KHR_draco_mesh_compression" in primitive.get("extensions", {}):
                    raise _Unusable("its mesh is not plain triangles")
                found = {name: self.array(number) for name, number in primitive["attributes"].items()}
                points = found["POSITION"]
                faces = self.array(primitive["indices"]) if "indices" in primitive else np.arange(len(points))
                weights = found["WEIGHTS_0"]
                parts.append(
                    {
                        "vertices": points,
                        "faces": faces.reshape(-1, 3).astype(np.int32) + count,
                        "uv": found.get("TEXCOORD_0", np.zeros((len(points), 2), np.float32)),
                        "vertex_bones": found["JOINTS_0"].astype(np.int32),
                        "weights": weights / weights.sum(1, keepdims=True),
                    }
                )
                count += len(points)
        if not parts:
            raise _Unusable("no mesh has its skin")
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        if not 0 <= joined["faces"].min() <= joined["faces"].max() < count:
            raise _Unusable("its triangles name vertices that it does not have")
        return joined

    def tracks(self, clip: dict[str, Any]) -> tuple[Track, ...]:
        made = []
        for channel in clip["channels"]:
            sampler, target = clip["samplers"][channel["sampler"]], channel["target"]
            how = sampler.get("interpolation", "LINEAR")
            if target["path"] not in _PARTS or how not in ("LINEAR", "STEP"):
                raise _Unusable(f"its clip {clip['name']} moves {target['path']} by {how} interpolation")
            made.append(
                Track(
                    node=target["node"],
                    part=target["path"],
                    times_s=self.array(sampler["input"]),
                    values=self.array(sampler["output"]),
                    steps=how == "STEP",
                )
            )
        return tuple(made)

    def texture(self) -> np.ndarray | None:
        """Return the colour picture of the first material that has one."""
        for material in self.document.get("materials", []):
            colour = material.get("pbrMetallicRoughness", {}).get("baseColorTexture")
            if colour is None:
                continue
            picture = self.document["images"][self.document["textures"][colour["index"]]["source"]]
            view = self.document["bufferViews"][picture["bufferView"]]
            start = view.get("byteOffset", 0)
            from PIL import Image

            with Image.open(io.BytesIO(self.binary[start : start + view["byteLength"]])) as image:
                return np.asarray(image.convert("RGB"))
        return None

    def array(self, number: int) -> np.ndarray:
        """Return an accessor's values: (n,) or (n, c); integers that stand for fractions as fractions."""
        accessor = self.document["accessors"][number]
        if "sparse" in accessor or "bufferView" not in accessor:
            raise _Unusable("it has sparse accessors")
        kind, width = np.dtype("<" + _NUMBER[accessor["componentType"]]), _WIDTH[accessor["type"]]
        view = self.document["bufferViews"][accessor["bufferView"]]
        start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        stride, count = view.get("byteStride", kind.itemsize * width), accessor["count"]
        if start + stride * (count - 1) + kind.itemsize * width > len(self.binary):
            raise _Unusable("it is cut off")
        values = np.ndarray((count, width), kind, self.binary, start, (stride, kind.itemsize))
        if accessor.get("normalized") and kind.kind != "f":
            values = np.maximum(values / np.float32(np.iinfo(kind).max), -1).astype(np.float32)
        return np.ascontiguousarray(values[:, 0] if width == 1 else values)


def _at(track: Track, time_s: float) -> Float[np.ndarray, " c"]:
    """Return a track's value at a time; the first and the last hold before and after."""
    times, values = track.times_s, track.values.reshape(len(track.times_s), -1)
    after = int(np.searchsorted(times, time_s, side="right"))
    if after in (0, len(times)) or track.steps:
        return values[max(after - 1, 0)]
    a, b = values[after - 1], values[after]
    share = float((time_s - times[after - 1]) / (times[after] - times[after - 1]))
    if track.part != "rotation":
        return a + share * (b - a)
    cosine = float(a @ b)
    if cosine < 0:
        b, cosine = -b, -cosine
    angle = np.arccos(min(cosine, 1.0))
    # Along the shortest arc; of nearly equal rotations it is the chord.
    near = angle < 1e-4
    first, second = (1 - share, share) if near else (np.sin((1 - share) * angle), np.sin(share * angle))
    mixed = first * a + second * b
    return mixed / np.linalg.norm(mixed)


def _outwards(parents: tuple[int, ...]) -> list[int]:
    """Return the nodes with every parent before its children."""
    depth: Int[np.ndarray, " n"] = np.zeros(len(parents), int)
    for node in range(len(parents)):
        above = parents[node]
        while above >= 0:
            depth[node] += 1
            if depth[node] > len(parents):
                raise _Unusable("its nodes go round in a circle")
            above = parents[above]
    return [int(node) for node in np.argsort(depth, kind="stable")]
