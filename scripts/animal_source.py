"""Five animals on one rig as one mesh: the fox's, brought into the shape of each of the others.

The animals' meshes differ, their bones do not. So the fox is first carried along by the bones: every bone moved, turned
and stretched onto its namesake. Then its vertices are drawn onto the other surface, to places that face the same way
and hang on the same limb, while neighbours are kept from moving apart. Left and right are the same throughout.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import splu
from scipy.spatial import KDTree

from monobody.data.glb_in import SkinnedGlb, read_glb
from monobody.render.raster import rasterise
from monobody.render.shade import vertex_normals

ANIMALS = ("fox", "cat", "dog", "horse", "panda")
TRUNK_M = 0.5
"""Every animal is brought to this length from between its hips to between its shoulders."""
COAT_SIZE = 256
_MIDLINE: tuple[str, ...] = ("Hips", "Spine_1", "Spine_2", "Spine_2.001", "Spine_3", "Spine_4", "Head", "Chin")
_TAIL: tuple[str, ...] = ("Tail_Base", "Tail_Mid", "Tail_Mid.001", "Tail_End")
_SIDES = (
    *("Ear", "Front_Leg_Shoulder", "Front_Leg_Upper", "Front_Leg_Lower", "Front_Leg_Ankle", "Front_Leg_Foot"),
    *("Back_Leg_Pelvis", "Back_Leg_Upper", "Back_Leg_Lower", "Back_Leg_Ankle", "Back_Leg_Foot"),
)
BONES = (*_MIDLINE, *_TAIL, *(f"{name}_{side}" for side in "LR" for name in _SIDES))
"""The bones that are kept, parents first; tips go to the bones they hang on."""
_TIPS = {"Head": "Head.tip", "Chin": "Chin_Tip", "Tail_End": "Tail_Tip"} | {
    f"{bone}_{side}": f"{tip}_{side}"
    for bone, tip in (("Ear", "Ear_Tip"), ("Front_Leg_Foot", "Front_Leg_Tip"), ("Back_Leg_Foot", "Back_Leg_Foot_1"))
    for side in "LR"
}
_NEXT: dict[str, str] = {bone: after for chain in (_MIDLINE[:7], _TAIL) for bone, after in pairwise(chain)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Rig:
    """Bones at rest: where they begin, which way they point and where they end."""

    parents: tuple[int, ...]
    heads: np.ndarray
    tips: np.ndarray
    axes: np.ndarray
    """World rotations, the second column along the bone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """The fox's mesh without its seams, the same on both sides."""

    vertices: np.ndarray
    faces: np.ndarray
    weights: np.ndarray
    uv: np.ndarray
    uv_faces: np.ndarray
    mirror: np.ndarray
    """The vertex on the other side."""
    rig: Rig


def flip_bones() -> list[int]:
    """Return the bone on the other side of each."""
    exchanged = [name[:-1] + {"L": "R", "R": "L"}[name[-1]] if name[-2:] in ("_L", "_R") else name for name in BONES]
    return [BONES.index(name) for name in exchanged]


def read_animals(folder: Path) -> tuple[Template, dict[str, np.ndarray], dict[str, Rig], dict[str, np.ndarray]]:
    """Return the template, every animal's vertices on it, its rig, and its coat as a texture of the template's."""
    files = {name: read_glb(folder / f"fox-{name}.glb") for name in ANIMALS}
    template = _template(files["fox"])
    shapes, rigs, coats = {}, {}, {}
    for name, glb in files.items():
        rig = rig_of(glb)
        scale = _trunk(template.rig) / _trunk(rig)
        surface = glb.skinned(glb.world(glb.placed()))
        shapes[name] = template.vertices if name == "fox" else _fitted(template, glb, rig, surface)
        coats[name] = glb.texture if name == "fox" else _coat(template, glb, shapes[name], surface)
        shapes[name] = shapes[name] * scale
        rigs[name] = Rig(parents=rig.parents, heads=rig.heads * scale, tips=rig.tips * scale, axes=rig.axes)
    unit = TRUNK_M / _trunk(template.rig)
    shapes = {name: shape * unit for name, shape in shapes.items()}
    rigs = {n: Rig(parents=r.parents, heads=r.heads * unit, tips=r.tips * unit, axes=r.axes) for n, r in rigs.items()}
    return template, shapes, rigs, coats


def rig_of(glb: SkinnedGlb) -> Rig:
    """Return the kept bones at rest, made the same on both sides."""
    world = glb.world(glb.placed())
    parents = [-1]
    for name in BONES[1:]:
        above = glb.parents[glb.names.index(name)]
        while glb.names[above] not in BONES:
            above = glb.parents[above]
        parents.append(BONES.index(glb.names[above]))

    def place(name: str) -> np.ndarray:
        return world[glb.names.index(name)][:3, 3]

    def end(name: str) -> np.ndarray:
        follower = _TIPS.get(name) or _NEXT.get(name)
        if follower is None:
            follower = next(n for n in BONES if parents[BONES.index(n)] == BONES.index(name))
        return place(follower)

    axes = world[[glb.names.index(name) for name in BONES], :3, :3]
    axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    flip, sign = flip_bones(), np.array([-1.0, 1, 1])
    heads, tips = np.stack([place(n) for n in BONES]), np.stack([end(n) for n in BONES])
    return Rig(
        parents=tuple(parents),
        heads=0.5 * (heads + heads[flip] * sign),
        tips=0.5 * (tips + tips[flip] * sign),
        axes=axes,
    )


def bone_weights(glb: SkinnedGlb) -> np.ndarray:
    """Return how much each kept bone moves each vertex; a bone that is not kept hands on to the next above."""
    table = np.zeros((len(glb.vertices), len(BONES)))
    for place, node in enumerate(glb.bones):
        while glb.names[node] not in BONES and glb.parents[node] >= 0:
            node = glb.parents[node]
        kept = BONES.index(glb.names[node]) if glb.names[node] in BONES else 0
        table[:, kept] += (glb.weights * (glb.vertex_bones == place)).sum(1)
    return table


def carried(
    points: np.ndarray,
    weights: np.ndarray,
    source: Rig,
    heads: np.ndarray,
    axes: np.ndarray,
    along: np.ndarray,
    across: np.ndarray,
) -> np.ndarray:
    """Return points moved with bones put at ``heads`` along ``axes``, stretched along and across themselves."""
    stretch = np.stack([across, along, across], 1)
    turn = np.einsum("jik,jk,jlk->jil", axes, stretch, source.axes)
    moved = np.einsum("jik,vjk->jvi", turn, points[:, None] - source.heads) + heads[:, None]
    return np.einsum("vj,jvi->vi", weights, moved)


def _template(glb: SkinnedGlb) -> Template:
    points = glb.skinned(glb.world(glb.placed()))
    _, first, place = np.unique(points.round(4), axis=0, return_index=True, return_inverse=True)
    place = place.ravel()
    vertices, weights = points[first], bone_weights(glb)[first]
    mirrored = vertices * [-1, 1, 1]
    distance, mirror = (np.asarray(part) for part in KDTree(vertices).query(mirrored))
    if not (mirror[mirror] == np.arange(len(mirror))).all() or distance.max() > 0.03:
        raise SystemExit("the fox's mesh is not its own mirror image")
    weights = 0.5 * (weights + weights[mirror][:, flip_bones()])
    return Template(
        vertices=0.5 * (vertices + vertices[mirror] * [-1, 1, 1]),
        faces=place[glb.faces],
        weights=weights / weights.sum(1, keepdims=True),
        uv=np.stack([glb.uv[:, 0], 1 - glb.uv[:, 1]], 1),
        uv_faces=glb.faces,
        mirror=mirror,
        rig=rig_of(glb),
    )


def _trunk(rig: Rig) -> float:
    hips, shoulders = (
        np.mean([rig.heads[BONES.index(f"{name}_{side}")] for side in "LR"], 0)
        for name in ("Back_Leg_Upper", "Front_Leg_Upper")
    )
    return float(np.linalg.norm(hips - shoulders))


_LIMBS = (
    *(("Ear_L",), ("Ear_R",), ("Head",), ("Chin",), ("Spine_3", "Spine_4"), ("Tail",)),
    *(
        tuple(f"{leg}_{part}_{side}" for part in ("Upper", "Lower", "Ankle", "Foot"))
        for leg in ("Front_Leg", "Back_Leg")
        for side in "LR"
    ),
)
_LIMB_OF_BONE = np.zeros((len(BONES), 11))
for _number, _prefixes in enumerate(_LIMBS):
    for _bone, _name in enumerate(BONES):
        _LIMB_OF_BONE[_bone, _number] = _name.startswith(_prefixes)
_LIMB_OF_BONE[:, 10] = _LIMB_OF_BONE[:, :10].sum(1) == 0


def _sampled(
    glb: SkinnedGlb, surface: np.ndarray, count: int = 80000
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return places all over a surface, which way they face, which limbs they belong to, and their texture places."""
    rng = np.random.default_rng(0)
    corners = surface[glb.faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(cross, axis=1)
    chosen = rng.choice(len(area), count, p=area / area.sum())
    share = rng.dirichlet((1, 1, 1), count)
    normals = cross[chosen] / area[chosen][:, None]
    limbs = bone_weights(glb) @ _LIMB_OF_BONE
    return (
        np.einsum("nk,nkc->nc", share, corners[chosen]),
        normals,
        np.einsum("nk,nkc->nc", share, limbs[glb.faces[chosen]]),
        np.einsum("nk,nkc->nc", share, glb.uv[glb.faces[chosen]]),
    )


def _fitted(template: Template, glb: SkinnedGlb, rig: Rig, surface: np.ndarray) -> np.ndarray:
    """Return the template's vertices on another animal's surface."""
    source = template.rig
    whole = _trunk(rig) / _trunk(source)
    along = np.linalg.norm(rig.tips - rig.heads, axis=1) / np.linalg.norm(source.tips - source.heads, axis=1)
    across = np.full(len(BONES), whole)
    for name in ("Head", "Chin", "Ear_L", "Ear_R"):
        across[BONES.index(name)] = along[BONES.index(name)]
    warped = carried(template.vertices, template.weights, source, rig.heads, rig.axes, along.clip(0.2, 4), across)
    warped = _same_on_both_sides(warped, template.mirror)
    places, facing, limbs, _ = _sampled(glb, surface)
    size = _trunk(rig)
    tree = KDTree(np.concatenate([places / size, 0.12 * facing, 0.35 * limbs], 1))
    laplacian = _laplacian(template.faces, len(warped))
    smooth = (laplacian.T @ laplacian).tocsc()
    mine = 0.35 * template.weights @ _LIMB_OF_BONE
    points = warped
    for stiffness in np.geomspace(30, 0.15, 40):
        normals = vertex_normals(points, template.faces)
        _, nearest = tree.query(np.concatenate([points / size, 0.12 * normals, mine], 1))
        trust = np.clip((normals * facing[nearest]).sum(1), 0, 1) + 1e-3
        solve = splu((diags(trust) + stiffness * smooth).tocsc())
        points = solve.solve(trust[:, None] * places[nearest] + stiffness * (smooth @ warped))
        points = _same_on_both_sides(points, template.mirror)
        # What is kept smooth is how far one is from the last place, so that big changes of form are learnt too.
        warped = 0.5 * warped + 0.5 * points
    return points


def _coat(template: Template, glb: SkinnedGlb, fitted: np.ndarray, surface: np.ndarray) -> np.ndarray:
    """Return an animal's colours as a texture of the template's."""
    pixels = np.concatenate([template.uv * COAT_SIZE, np.ones((len(template.uv), 1))], 1)
    pixels[:, 1] = COAT_SIZE - pixels[:, 1]
    seen = rasterise(pixels[None].astype(np.float32), template.uv_faces, COAT_SIZE, COAT_SIZE)
    there = seen.triangle[0] >= 0
    share, corners = seen.barycentrics[0][there], template.faces[seen.triangle[0][there]]
    points = np.einsum("nk,nkc->nc", share, fitted[corners])
    normals = np.einsum("nk,nkc->nc", share, vertex_normals(fitted, template.faces)[corners])
    mine = np.einsum("nk,nkc->nc", share, (template.weights @ _LIMB_OF_BONE)[corners])
    places, facing, limbs, uv = _sampled(glb, surface)
    size = np.ptp(surface[:, 2]) / 3
    tree = KDTree(np.concatenate([places / size, 0.06 * facing, 0.1 * limbs], 1))
    _, nearest = tree.query(np.concatenate([points / size, 0.06 * normals, 0.1 * mine], 1))
    picture = glb.texture
    assert picture is not None
    rows, columns = (
        (uv[nearest][:, axis] % 1 * side).astype(int) % side for axis, side in ((1, len(picture)), (0, len(picture[0])))
    )
    coat = np.zeros((COAT_SIZE, COAT_SIZE, 3), np.uint8)
    coat[there] = picture[rows, columns]
    # Beyond its islands the texture goes on as at their edges.
    index = np.asarray(distance_transform_edt(~there, return_distances=False, return_indices=True))
    return coat[index[0], index[1]]


def _same_on_both_sides(points: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    return 0.5 * (points + points[mirror] * [-1, 1, 1])


def _laplacian(faces: np.ndarray, count: int) -> coo_matrix:
    rows = np.concatenate([faces[:, [0, 1, 2]].ravel(), faces[:, [1, 2, 0]].ravel()])
    columns = np.concatenate([faces[:, [1, 2, 0]].ravel(), faces[:, [0, 1, 2]].ravel()])
    linked = coo_matrix((np.ones(len(rows)), (rows, columns)), (count, count)).tocsr()
    linked.data[:] = 1.0
    degree = np.asarray(linked.sum(1)).ravel()
    return diags(np.ones(count)) - diags(1 / np.maximum(degree, 1)) @ linked
