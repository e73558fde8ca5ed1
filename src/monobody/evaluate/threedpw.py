"""3DPW's test split: joints about a root and after a similarity, meshes where there are SMPL's files.

    14 (default)   LSP's 14 joints, the middle of the hips as root
    24             SMPL's 24 joints as the data set gives them, the pelvis as root (as its authors' challenge has it)

Published figures regress 14 joints from the mesh of everybody's own gender. So is it here where `--body` is SMPL's
neutral file and the male and the female one lie beside it; the regressor is then the neutral body's, for truth and
predictions alike, and PVE is measured as well. Without these files the truth's 14 joints are read from the set's 24 and
the pose (`data/marks.py`), which puts hips and neck where the shipped body has them.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float

from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS
from monobody.data.crop import Crop, hmr_crop
from monobody.data.datasets.threedpw import LEAST_DETECTED, ThreeDPW, check
from monobody.data.marks import marks_from_joints
from monobody.data.sample import Sample
from monobody.errors import UserError
from monobody.evaluate import published
from monobody.evaluate.answers import LOOKED
from monobody.evaluate.choices import picks
from monobody.evaluate.gendered import GENDERS, LOT, gendered_bodies, posed_vertices, true_vertices
from monobody.evaluate.measure_3d import (
    ByPerson,
    Errors,
    broken_down,
    each_by_itself,
    errors_about_root,
    errors_after_similarity,
    measured,
)
from monobody.evaluate.people import Chosen
from monobody.evaluate.predictions import Predictions, as_joints
from monobody.evaluate.protocol import Choice, Column, EvaluationSet, Protocol, Result
from monobody.evaluate.protocols import chosen_variant
from monobody.metrics import pve

VARIANTS = ("14", "24")
COLUMNS = (
    Column(key="mpjpe_mm", heading="MPJPE mm", better="lower"),
    Column(key="pa_mpjpe_mm", heading="PA-MPJPE mm", better="lower"),
    Column(key="pve_mm", heading="PVE mm", better="lower"),
)
JOINTS = {
    "14": "LSP's 14, by the body's own regressor; the truth's from SMPL's true meshes by the same regressor where "
    "SMPL's files are there, else from the set's 24 joints and poses as on the shipped body",
    "24": "SMPL's 24, the centres that limbs turn about, on both sides",
}


def protocol(name: str, *, variant: str | None = None, body: str | Path | None = None) -> Protocol:
    """Return the protocol with 14 or 24 joints, for predictions of a body (the shipped one where left out)."""
    variant = chosen_variant(name, variant, VARIANTS)
    return Protocol(
        name=name,
        title="3DPW, test split",
        variant=variant,
        people=f"24 sequences, one or two people each, every frame in which a person's camera is aligned and OpenPose "
        f"has at least {LEAST_DETECTED} joints of the person",
        joints=JOINTS[variant],
        joint_set="lsp14" if variant == "14" else "smpl24",
        root="the middle of the hips" if variant == "14" else "the pelvis",
        alignment="MPJPE: roots laid upon each other; PVE: SMPL's pelvises; PA: the best similarity of each frame",
        boxes="an upright square about the true 14 joints in the picture, their box's diagonal 150 of 224 pixels"
        + LOOKED,
        columns=COLUMNS,
        headline="mpjpe_mm",
        expected=None,
        open=partial(open_people, body=body),
        measure=partial(_measure, body=body),
        published=published.THREEDPW,
        notes=(
            "SPIN's list of the test split has 35,515 people, VIBE's and TCMR's 34,561: each left out others.",
            "Published numbers regress their joints with Human3.6M's regressor from meshes of everybody's own gender.",
            "The challenge's measure has 24 joints; its numbers are not those of tables with 14.",
        ),
    )


def open_people(root: Path | None, *, body: str | Path | None = None) -> EvaluationSet:
    """Open the test split with SMPL's joints, LSP's, and poses.

    Raises:
        UserError: there is no such data set.
    """
    if root is None:
        raise UserError("3DPW's folder is not known: give it with --root.")
    frames = ThreeDPW(root, "test")
    people = frames.people
    truth = {
        "smpl24": np.concatenate([person.joints_cam_m for person in people]),
        "rotations": np.concatenate([person.rotations for person in people]),
        "betas": np.concatenate([np.tile(person.betas, (len(person.frames), 1)) for person in people]),
        "gender": np.concatenate([np.full(len(person.frames), GENDERS.index(person.gender)) for person in people]),
    }
    truth["lsp14"] = _lsp14(truth, body)
    intrinsics_px = np.concatenate([np.tile(person.intrinsics_px, (len(person.frames), 1, 1)) for person in people])
    seen = truth["lsp14"] @ intrinsics_px.swapaxes(1, 2)
    seen_px = seen[..., :2] / seen[..., 2:]

    def crop(number: int, sample: Sample) -> Crop:
        return hmr_crop(seen_px[number])

    names = tuple(frames.name(number) for number in range(len(frames)))
    return EvaluationSet(
        samples=Chosen(frames, crop=crop),
        names=names,
        truth=truth,
        groups={"sequence": tuple(name.split("/")[0] for name in names)},
        left_out=frames.left_out,
        lacking=tuple(check(root, "test")),
    )


def _lsp14(truth: Mapping[str, np.ndarray], body: str | Path | None) -> Float[np.ndarray, "n 14 3"]:
    """Return the true 14 joints, from SMPL's meshes where its files are there."""
    bodies = gendered_bodies(body)
    if bodies is None:
        both = zip(truth["smpl24"], truth["rotations"], strict=True)
        return np.stack([marks_from_joints(joints, rotations)[:14] for joints, rotations in both])
    regressor = Body.load(body).data.keypoint_regressors["lsp14"]
    lots = [slice(start, start + LOT) for start in range(0, len(truth["betas"]), LOT)]
    return np.concatenate([regressor @ true_vertices(bodies, *_shapes(truth, lot)) for lot in lots])


def _shapes(truth: Mapping[str, np.ndarray], lot: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return what `true_vertices` wants to know of some of the people."""
    return truth["gender"][lot], truth["rotations"][lot], truth["betas"][lot], truth["smpl24"][lot, 0]


def _measure(protocol: Protocol, people: EvaluationSet, predictions: Predictions, *, body: str | Path | None) -> Result:
    joint_set = protocol.joint_set
    found, true = as_joints(predictions, joint_set).astype(np.float64), people.truth[joint_set]
    names = SKELETONS[joint_set].joints
    root = [names.index(name) for name in (("right_hip", "left_hip") if joint_set == "lsp14" else ("pelvis",))]
    errors = {
        "root": errors_about_root(found, true, root),
        "similarity": errors_after_similarity(found, true),
    }
    meshes = gendered_bodies(body)
    off_mm, told = _vertices_off(people, predictions, errors["root"], meshes, body)

    def summary(best: Errors) -> ByPerson:
        return {"mpjpe_mm": best["root"].mean(1), "pa_mpjpe_mm": best["similarity"].mean(1)}

    result = measured(protocol, people, predictions, each_by_itself(errors, predictions), names, summary)
    first = off_mm.get(result.rows[0].choice)
    by_sequence = result.breakdown
    if first is not None:
        by_person = {**result.errors, "pve_mm": first}
        by_sequence = {group: broken_down(by_person, labels) for group, labels in people.groups.items()}
        result = replace(result, errors=by_person)
    mean_mm = {choice: float(values.mean()) for choice, values in off_mm.items()}
    rows = tuple(replace(row, numbers={**row.numbers, "pve_mm": mean_mm.get(row.choice)}) for row in result.rows)
    return replace(result, rows=rows, breakdown=by_sequence, facts={"pve": told})


def _vertices_off(
    people: EvaluationSet,
    predictions: Predictions,
    errors: Float[np.ndarray, "n h k"],
    meshes: tuple[Body, Body] | None,
    path: str | Path | None,
) -> tuple[dict[Choice, Float[np.ndarray, " n"]], str]:
    """Return everybody's PVE by choice of hypothesis, none where joints come from several; and what is to be told.

    Raises:
        UserError: the predictions' bodies are not of the given file.
    """
    if meshes is None:
        return {}, "not measured: --body names no SMPL file with the male and the female one beside it"
    if predictions.rotations is None or predictions.betas is None:
        return {}, "not measured: the predictions have no bodies"
    body = Body.load(path)
    if predictions.body_digest != body.digest:
        raise UserError(
            f"The predictions of {predictions.model} are of another body than {path}: give the one that they were made "
            "with as --body."
        )
    off: dict[Choice, Float[np.ndarray, " n"]] = {}
    for pick in picks(predictions, errors):
        if pick.of_person is None:
            continue
        rotations, betas = pick.bodies(predictions.rotations), pick.bodies(predictions.betas)
        lots = [slice(start, start + LOT) for start in range(0, len(betas), LOT)]
        off[pick.choice] = np.concatenate(
            [
                pve(
                    posed_vertices(body, rotations[lot], betas[lot]),
                    true_vertices(meshes, *_shapes(people.truth, lot)) - people.truth["smpl24"][lot, :1],
                )
                for lot in lots
            ]
        )
    return off, f"meshes of {body.data.name} against male and female ones, pelvises laid upon each other"
