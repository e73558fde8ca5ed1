"""Build the shipped quadruped from five animals on one rig: ``python scripts/build_animal.py DATA/animals_cc0``.

The animals (CC0) are brought onto one mesh (`animal_source.py`). What they differ in from their mean are the first four
shape coefficients; the other six are bones made longer and thicker. The fox's clips become poses of this body. Writes
the body with its poses, the card beside it and, with ``--coats``, the animals' own textures for synthetic pictures.
About a minute on one core.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from animal_source import ANIMALS, BONES, TRUNK_M, Rig, Template, carried, flip_bones, read_animals

from monobody.body.assets import SHIPPED_ANIMAL, load_body_data
from monobody.body.model import Body
from monobody.body.rotation import axis_angle_to_matrix
from monobody.body.skeleton import SKELETONS
from monobody.data.glb_in import SkinnedGlb, read_glb
from monobody.files import atomic_write

FRAMES_PER_S = 15
STRETCHES = {
    "longer legs": (("Front_Leg_Upper", "Front_Leg_Lower", "Front_Leg_Ankle", "Back_Leg_"), 0.12, 0.0),
    "a longer neck": (("Spine_3", "Spine_4"), 0.25, 0.0),
    "a bigger head": (("Head", "Chin", "Ear"), 0.12, 0.12),
    "a longer tail": (("Tail",), 0.3, 0.0),
    "a thicker trunk": (("Hips", "Spine_1", "Spine_2", "Spine_2.001"), 0.0, 0.15),
    "thicker legs": (
        ("Front_Leg_Upper", "Front_Leg_Lower", "Front_Leg_Ankle", "Back_Leg_Upper", "Back_Leg_Lower"),
        0.0,
        0.2,
    ),
}
"""What one unit of the last six coefficients does: which bones, how much longer, how much thicker."""
_JOINTS = {
    "torso": "Spine_2.001",
    "neck": "Spine_4",
    "head": "Head",
    "tail": "Tail_Mid",
    **{
        f"{side}_{joint}": f"{bone}_{side[0].upper()}"
        for side in ("left", "right")
        for joint, bone in {
            "hip": "Back_Leg_Upper",
            "knee": "Back_Leg_Lower",
            "ankle": "Back_Leg_Ankle",
            "toe": "Back_Leg_Foot",
            "shoulder": "Front_Leg_Upper",
            "elbow": "Front_Leg_Lower",
            "wrist": "Front_Leg_Ankle",
        }.items()
    },
}
"""The bones that begin at the joints of the set ``quadruped``."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("animals", type=Path, help="folder with fox-fox.glb, fox-cat.glb, ..., fox-animations.glb")
    parser.add_argument("-o", "--output", type=Path, default=SHIPPED_ANIMAL)
    parser.add_argument("--coats", type=Path, help="where to write the animals' own textures, for synthetic pictures")
    options = parser.parse_args()
    template, shapes, rigs, coats = read_animals(options.animals)
    mean, directions, animal_betas = _shape_space(template, shapes, rigs)
    regressor, joint_error_m = _joint_regressor(template, mean, directions, shapes, rigs, animal_betas)
    clips = read_glb(options.animals / "fox-animations.glb")
    rotations, clip_of_pose, names = _poses(clips)
    arrays = {
        "name": np.array("quadruped"),
        "v_template": mean[0].astype(np.float32),
        "shapedirs": directions[0].astype(np.float16),
        "J_regressor": regressor.astype(np.float32),
        "weights": template.weights.astype(np.float16),
        "kintree_table": np.array([rigs["fox"].parents, range(len(BONES))]).astype(np.int32),
        "f": template.faces.astype(np.uint16),
        "vt": template.uv.astype(np.float32),
        "ft": template.uv_faces.astype(np.uint16),
        "keypoints_quadruped": _keypoints(template, mean[0], regressor).astype(np.float32),
        "bones": np.array(BONES),
        "flip": np.array(flip_bones(), np.uint8),
        "animals": np.array(ANIMALS),
        "animal_betas": animal_betas.astype(np.float32),
        "pose_rotations": np.round(rotations * 32767).astype(np.int16),
        "pose_clip": clip_of_pose.astype(np.uint8),
        "clips": np.array(names),
    }
    with atomic_write(options.output) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)
    if options.coats:
        with atomic_write(options.coats) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **coats)
    print(f"{options.output}: {options.output.stat().st_size / 1000:.0f} kB")
    _card(options.output, template, joint_error_m, clips, shapes)


def _shape_space(
    template: Template, shapes: dict[str, np.ndarray], rigs: dict[str, Rig]
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Return (vertices, joints) of the mean, of ten directions, and the animals' coefficients."""
    hips = {name: _pelvis(rig) for name, rig in rigs.items()}
    vertices = np.stack([shapes[name] - hips[name] for name in ANIMALS])
    joints = np.stack([rigs[name].heads - hips[name] for name in ANIMALS])
    both = np.concatenate([vertices, joints], 1)
    mean = both.mean(0)
    left = np.linalg.svd((both - mean).reshape(len(ANIMALS), -1), full_matrices=False)[0]
    # Five animals differ in four ways; each has unit variance over them.
    coefficients = left[:, :4] * np.sqrt(len(ANIMALS) - 1)
    species = np.linalg.lstsq(coefficients, (both - mean).reshape(len(ANIMALS), -1), rcond=None)[0]
    count = vertices.shape[1]
    tips = np.mean([rigs[name].tips - hips[name] for name in ANIMALS], 0)
    axes = _nearest_rotations(np.mean([rigs[name].axes for name in ANIMALS], 0))
    # Bones of the mean point from its heads to its tips, not as any animal's axes.
    axes = _aligned(axes, tips - mean[count:])
    rig = Rig(parents=rigs["fox"].parents, heads=mean[count:], tips=tips, axes=axes)
    moved = [_stretched(template, mean[:count], rig, *stretch) - mean for stretch in STRETCHES.values()]
    directions = np.stack([*species.reshape(4, -1, 3), *moved], -1)
    betas = np.concatenate([coefficients, np.zeros((len(ANIMALS), len(STRETCHES)))], 1)
    return (mean[:count], mean[count:]), (directions[:count], directions[count:]), betas


def _stretched(
    template: Template, vertices: np.ndarray, rig: Rig, prefixes: tuple[str, ...], longer: float, thicker: float
) -> np.ndarray:
    """Return vertices and joints with some bones longer and thicker."""
    chosen = np.array([name.startswith(prefixes) for name in BONES])
    along, across = 1 + longer * chosen, 1 + thicker * chosen
    heads = rig.heads.copy()
    for bone, parent in enumerate(rig.parents):
        if parent >= 0:
            offset = rig.heads[bone] - rig.heads[parent]
            axis = rig.axes[parent][:, 1]
            heads[bone] = heads[parent] + offset + longer * chosen[parent] * (offset @ axis) * axis
    moved = carried(vertices, template.weights, rig, heads, rig.axes, along, across)
    return np.concatenate([0.5 * (moved + moved[template.mirror] * [-1, 1, 1]), heads])


def _joint_regressor(
    template: Template,
    mean: tuple[np.ndarray, np.ndarray],
    directions: tuple[np.ndarray, np.ndarray],
    shapes: dict[str, np.ndarray],
    rigs: dict[str, Rig],
    betas: np.ndarray,
) -> tuple[np.ndarray, float]:
    """Return rows that find every joint from nearby vertices for all shapes, and how well they do."""
    columns = np.concatenate([mean[0][..., None], directions[0]], -1).transpose(0, 2, 1).reshape(len(mean[0]), -1)
    targets = np.concatenate([mean[1][..., None], directions[1]], -1).transpose(0, 2, 1).reshape(len(BONES), -1)
    rows = np.zeros((len(BONES), len(mean[0])))
    parents = rigs["fox"].parents
    for bone in range(len(BONES)):
        kin = [bone, *(b for b, p in enumerate(parents) if p == bone), *([parents[bone]] if parents[bone] >= 0 else [])]
        near = np.argsort(np.linalg.norm(mean[0] - mean[1][bone], axis=1))
        near = near[(template.weights[near][:, kin].sum(1) > 0.3)][:90]
        # Weights that are equal but for what the joints ask; their sum is 1 by a heavy row of ones.
        system = np.concatenate([columns[near].T, np.full((1, len(near)), 10.0)])
        target = np.append(targets[bone], 10.0)
        even = np.full(len(near), 1 / len(near))
        damped = np.concatenate([system, 0.003 * np.eye(len(near))])
        shift = np.linalg.lstsq(damped, np.concatenate([target - system @ even, np.zeros(len(near))]), rcond=None)[0]
        rows[bone, near] = even + shift
    rows = 0.5 * (rows + rows[flip_bones()][:, template.mirror])
    rows /= rows.sum(1, keepdims=True)
    errors = [np.linalg.norm(rows @ shapes[name] - rigs[name].heads, axis=1) for name in ANIMALS]
    return rows, float(np.mean(errors))


def _keypoints(template: Template, vertices: np.ndarray, regressor: np.ndarray) -> np.ndarray:
    """Return the regressor of the joint set ``quadruped``."""
    places = {joint: regressor[BONES.index(bone)] for joint, bone in _JOINTS.items()}
    for middle, pair in (("pelvis", "hip"), ("thorax", "shoulder")):
        places[middle] = 0.5 * (places[f"left_{pair}"] + places[f"right_{pair}"])
    head = template.weights[:, BONES.index("Head")] > 0.5
    end = template.weights[:, BONES.index("Tail_End")] > 0.5
    for joint, mine, sign in (("nose", head, 1), ("tail_tip", end, -1)):
        order = np.argsort(-sign * np.where(mine, vertices[:, 2], -sign * np.inf))[:6]
        row = np.zeros(len(vertices))
        row[order] = 1
        row = row + row[template.mirror]
        places[joint] = row / row.sum()
    return np.stack([places[joint] for joint in SKELETONS["quadruped"].joints])


def _poses(glb: SkinnedGlb) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return the clips' poses as every bone's rotation from rest relative to its parent's (wxyz)."""
    nodes = [glb.names.index(name) for name in BONES]
    rest = _nearest_rotations(glb.world(glb.placed())[nodes, :3, :3])
    parents = [BONES.index(_kept_above(glb, name)) if bone else -1 for bone, name in enumerate(BONES)]
    made, clip_of_pose = [], []
    names = sorted(glb.clips)
    for number, name in enumerate(names):
        for time_s in np.arange(0, glb.duration_s(name) + 1e-6, 1 / FRAMES_PER_S):
            world = _nearest_rotations(glb.world(glb.placed(name, float(time_s)))[nodes, :3, :3])
            turned = world @ rest.swapaxes(1, 2)
            local = np.stack([turned[b] if p < 0 else turned[p].T @ turned[b] for b, p in enumerate(parents)])
            made.append(_quaternions(local))
            clip_of_pose.append(number)
    return np.stack(made), np.array(clip_of_pose), names


def _kept_above(glb: SkinnedGlb, name: str) -> str:
    node = glb.parents[glb.names.index(name)]
    while glb.names[node] not in BONES:
        node = glb.parents[node]
    return glb.names[node]


def _quaternions(rotations: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(rotations).as_quat().T
    quaternion = np.stack([w, x, y, z], 1)
    return quaternion * np.where(quaternion[:, :1] < 0, -1, 1)


def _nearest_rotations(matrices: np.ndarray) -> np.ndarray:
    left, _, right = np.linalg.svd(matrices)
    return left @ right


def _aligned(axes: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """Return rotations turned by as little as needed for their second column to point somewhere."""
    wanted = towards / np.linalg.norm(towards, axis=1, keepdims=True)
    cross, cosine = np.cross(axes[:, :, 1], wanted), (axes[:, :, 1] * wanted).sum(1, keepdims=True)
    sine = np.linalg.norm(cross, axis=1, keepdims=True)
    angle = np.arctan2(sine, cosine)
    turn = axis_angle_to_matrix(torch.from_numpy(cross / np.maximum(sine, 1e-9) * angle)).numpy()
    return turn @ axes


def _pelvis(rig: Rig) -> np.ndarray:
    return np.mean([rig.heads[BONES.index(f"Back_Leg_Upper_{side}")] for side in "LR"], 0)


def _card(
    output: Path, template: Template, joint_error_m: float, clips: SkinnedGlb, shapes: dict[str, np.ndarray]
) -> None:
    """Measure the written body against the animals' own rig and write what it is."""
    body = Body(load_body_data(output, animals=True))
    with np.load(output) as arrays:
        betas = torch.from_numpy(arrays["animal_betas"])
        quaternions, pose_clip, names = arrays["pose_rotations"] / 32767, arrays["pose_clip"], list(arrays["clips"])
    made = body.identity(betas).vertices_m.numpy()
    shape_mm = 1000 * np.mean(
        [np.linalg.norm(m - m.mean(0) - s + s.mean(0), axis=1) for m, s in zip(made, shapes.values(), strict=True)]
    )
    pose_mm = _against_rig(body, betas[0], quaternions, pose_clip, names, clips, template)
    print(f"shapes {shape_mm:.2f} mm, joints {1000 * joint_error_m:.2f} mm, poses {pose_mm:.2f} mm")
    counts = ", ".join(f"{name} {int((pose_clip == number).sum())}" for number, name in enumerate(names))
    stretches = ", ".join(STRETCHES)
    output.with_suffix(".md").write_text(f"""# The quadruped in `{output.name}`

An animal on four legs in SMPL's file format ({len(BONES)} joints, {betas.shape[1]} shape coefficients), and poses.

- **Source**: the fox, cat, dog, horse and panda of Mesh2Motion (github.com/Mesh2Motion/mesh2motion-app,
  `static/models`), five drawn, low-polygon animals on one rig, and the fox's clips. No animal was measured.
- **Licence**: CC0.
- **Recipe**: `python scripts/build_animal.py DATA/animals_cc0`: about a minute on one core.
- **Mesh**: {len(template.vertices)} vertices, {len(template.faces)} triangles: the fox's, drawn onto the others.
  Left-right symmetric.
- **Shape**: the first four coefficients are what the five differ in; the others are
  {stretches}.
  `animal_betas` has the five animals. Size is none: the trunk, from between the hips to between the shoulders, is
  {TRUNK_M} m in all five.
- **Poses**: {len(pose_clip)} at {FRAMES_PER_S} a second, as quaternions (wxyz, in 1/32767) of every joint relative to
  its parent, by clip: {counts}.
- **Joints**: `bones` names them; `keypoints_quadruped` is the joint set `quadruped` of 22 places.
- **File**: {output.stat().st_size / 1000:.0f} kB; digest `{body.digest}`.

| Error | mean mm |
|---|---|
| the five animals' meshes by their coefficients | {shape_mm:.2f} |
| `J_regressor` on the five animals | {1000 * joint_error_m:.2f} |
| the fox in all poses of its clips, against its own rig of 49 bones | {pose_mm:.2f} |
""")


def _against_rig(
    body: Body,
    betas: torch.Tensor,
    quaternions: np.ndarray,
    pose_clip: np.ndarray,
    names: list[str],
    glb: SkinnedGlb,
    template: Template,
) -> float:
    """Return how far the body's vertices are from the fox's own in the same poses, in millimetres."""
    from monobody.body.rotation import quaternion_to_matrix

    rest = glb.skinned(glb.world(glb.placed()))
    first = np.unique(rest.round(4), axis=0, return_index=True)[1]
    unit = np.ptp(body.identity(betas).vertices_m.numpy()[:, 2]) / np.ptp(rest[:, 2])
    errors = []
    for number, name in enumerate(names):
        mine = np.flatnonzero(pose_clip == number)
        for frame in range(0, len(mine), 4):
            rotations = quaternion_to_matrix(torch.from_numpy(quaternions[mine[frame]]).float())
            posed = body(rotations, betas).vertices_m.numpy()
            true = unit * glb.skinned(glb.world(glb.placed(name, frame / FRAMES_PER_S)))[first]
            errors.append(np.linalg.norm(posed - posed.mean(0) - true + true.mean(0), axis=1).mean())
    return 1000 * float(np.mean(errors))


if __name__ == "__main__":
    main()
