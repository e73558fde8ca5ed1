"""MPI-INF-3DHP's test set: 3D PCK, its area under the curve and MPJPE, as they are and after rigid alignment.

As the data set's own tools have it (Mehta et al., 3DV 2017): 17 joints, the pelvis as root, bodies scaled to one height
(`univ_annot3`), PCK and AUC over the first 14 joints, MPJPE over all 17 with the pelvis as zero, all frames pooled.
"After rigid alignment" every frame's pose is first brought nearest to the truth by a similarity, in size too. Two
further rows count the same joints throughout: 14, or 17.

Predictions without spine and head (HMR's 19 points have neither) are measured on the 14 alone; their root is the middle
of the hips, the truth's the pelvis.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float

from monobody.body.skeleton import SKELETONS, correspondence
from monobody.data.crop import Crop, hmr_crop
from monobody.data.datasets.mpi_inf_3dhp import EXPECTED, MpiInf3dhp
from monobody.data.datasets.mpi_inf_3dhp_clips import ACTIVITIES, Clip
from monobody.data.sample import Sample
from monobody.errors import UserError
from monobody.evaluate import published
from monobody.evaluate.answers import LOOKED
from monobody.evaluate.measure_3d import (
    ByPerson,
    Errors,
    each_by_itself,
    errors_about_root,
    errors_after_similarity,
    measured,
)
from monobody.evaluate.people import Chosen
from monobody.evaluate.predictions import Predictions, as_joints
from monobody.evaluate.protocol import Column, EvaluationSet, Protocol, Result, Row
from monobody.evaluate.protocols import chosen_variant
from monobody.metrics import auc_3d, pck_3d

NAMES = SKELETONS["mpi_inf_3dhp17"].joints
PELVIS = NAMES.index("pelvis")
COUNTED = 14
"""The first joints are those of PCK; pelvis, spine and head follow."""
FRAMES = {"TS1": 603, "TS2": 540, "TS3": 505, "TS4": 553, "TS5": 276, "TS6": 452}
"""Valid frames of each sequence."""
COLUMNS = (
    Column(key="pck_percent", heading="PCK %", better="higher"),
    Column(key="auc_percent", heading="AUC %", better="higher"),
    Column(key="mpjpe_mm", heading="MPJPE mm", better="lower"),
    Column(key="pa_pck_percent", heading="rigid PCK %", better="higher"),
    Column(key="pa_auc_percent", heading="rigid AUC %", better="higher"),
    Column(key="pa_mpjpe_mm", heading="rigid MPJPE mm", better="lower"),
)


def protocol(name: str, *, variant: str | None = None, body: str | Path | None = None) -> Protocol:
    """Return the protocol; it has no variants."""
    del body  # Only joints are measured.
    chosen_variant(name, variant, ())
    return Protocol(
        name=name,
        title="MPI-INF-3DHP, test set",
        people="TS1 to TS6, frames marked valid, one person each",
        joints="17, by the body's regressor of them (mpi_inf_3dhp17: spine and head from the mesh, too); PCK and AUC "
        "over the first 14 (head top to ankles), MPJPE over all 17, the pelvis counting as 0",
        joint_set="mpi_inf_3dhp17",
        root="the pelvis, the 15th joint; in predictions without one, the middle of the hips",
        alignment="roots laid upon each other, nothing scaled; rigid: the best similarity of each frame. "
        "The truth is univ_annot3, bodies scaled to one height",
        boxes="an upright square about LSP's 14 of the true 2D joints, their box's diagonal 150 of 224 pixels" + LOOKED,
        columns=COLUMNS,
        headline="mpjpe_mm",
        expected=EXPECTED["test"],
        open=open_people,
        measure=_measure,
        published=published.MPI_INF_3DHP,
        notes=(
            "PCK counts errors strictly below 150 mm; AUC is the mean of PCK at 0, 5, ..., 150 mm.",
            "All frames are pooled, as in the data set's row All; the mean of the six sequences is another number.",
            "HMR's code has no program for its table: how its spine and head were made is not known.",
            "SPIN leaves out frames with a joint outside of the picture; none is left out here.",
        ),
    )


def open_people(root: Path | None) -> EvaluationSet:
    """Open the valid frames of the six sequences with all 17 joints, sequence and activity.

    Raises:
        UserError: there is no such data set.
    """
    if root is None:
        raise UserError("MPI-INF-3DHP's folder is not known: give it with --root.")
    frames = MpiInf3dhp(root, "test")
    to_lsp = list(correspondence("mpi_inf_3dhp17", "lsp14"))
    seen_px = np.concatenate([clip.seen_px for clip in frames.clips])
    there = {clip.name: len(clip.frames) for clip in frames.clips}

    def crop(number: int, sample: Sample) -> Crop:
        return hmr_crop(seen_px[number][to_lsp])

    return EvaluationSet(
        samples=Chosen(frames, crop=crop),
        names=tuple(frames.name(number) for number in range(len(frames))),
        truth={"joints_cam_m": np.concatenate([clip.joints_cam_m for clip in frames.clips]), "joints_px": seen_px},
        groups={
            "activity": tuple(_activity(int(number)) for clip in frames.clips for number in _numbers(clip)),
            "sequence": tuple(clip.name for clip in frames.clips for _ in clip.frames),
        },
        left_out=frames.left_out,
        lacking=tuple(
            f"{name} has {there.get(name, 0)} valid frames, not {count}."
            for name, count in FRAMES.items()
            if there.get(name, 0) != count
        ),
    )


def _numbers(clip: Clip) -> np.ndarray:
    assert clip.activities is not None, "the test set's clips know what is done"
    return clip.activities


def _activity(number: int) -> str:
    return ACTIVITIES[number - 1] if 1 <= number <= len(ACTIVITIES) else f"number {number}"


def _joints(predictions: Predictions) -> tuple[Float[np.ndarray, "n h k 3"], bool]:
    """Return the 17 joints, and whether spine and head are among them; else these are not numbers."""
    order = correspondence(predictions.joint_set, "mpi_inf_3dhp17")
    if min(order) >= 0:
        return as_joints(predictions, "mpi_inf_3dhp17").astype(np.float64), True
    found = as_joints(predictions, "lsp14").astype(np.float64)
    joints = np.full((*found.shape[:2], len(NAMES), 3), np.nan)
    for place, name in enumerate(SKELETONS["lsp14"].joints):
        joints[:, :, NAMES.index(name)] = found[:, :, place]
    hips = [NAMES.index("left_hip"), NAMES.index("right_hip")]
    joints[:, :, PELVIS] = joints[:, :, hips].mean(2)
    return joints, False


def _measure(protocol: Protocol, people: EvaluationSet, predictions: Predictions) -> Result:
    found, whole = _joints(predictions)
    true = people.truth["joints_cam_m"].astype(np.float64)
    # Without spine and head the pose is aligned by the others, and only they are measured.
    among = len(NAMES) if whole else COUNTED
    errors = {
        "as it is": errors_about_root(found, true, (PELVIS,))[..., :among],
        "rigid": errors_after_similarity(found[:, :, :among], true[:, :among]),
    }
    rigid_14 = errors_after_similarity(found[:, :, :COUNTED], true[:, :COUNTED])

    def rows(errors: dict[str, np.ndarray], pck_over: int, mpjpe_over: int) -> Result:
        return measured(
            protocol,
            people,
            predictions,
            each_by_itself(errors, predictions),
            NAMES[: errors["as it is"].shape[-1]],
            partial(_summary, pck_over=pck_over, mpjpe_over=mpjpe_over),
            order={"activity": ACTIVITIES, "sequence": tuple(FRAMES)},
        )

    only_14 = rows({"as it is": errors["as it is"][..., :COUNTED], "rigid": rigid_14}, COUNTED, COUNTED)
    if not whole:
        facts = {"joints": f"{predictions.joint_set} has no spine and head: all numbers are over the 14 others"}
        return replace(only_14, rows=_named(only_14.rows, "14 joints throughout"), facts=facts)
    result, all_17 = rows(errors, COUNTED, among), rows(errors, among, among)
    return replace(
        result,
        rows=(
            *result.rows,
            *_named(only_14.rows, "14 joints throughout"),
            *_named(all_17.rows, "17 joints throughout"),
        ),
    )


def _named(rows: Sequence[Row], what: str) -> tuple[Row, ...]:
    return tuple(replace(row, method=f"{row.method}, {what}") for row in rows)


def _summary(best: Errors, *, pck_over: int, mpjpe_over: int) -> ByPerson:
    numbers: ByPerson = {}
    for prefix, kind in (("", "as it is"), ("pa_", "rigid")):
        counted = best[kind][:, :pck_over]
        numbers[f"{prefix}pck_percent"] = pck_3d(counted)
        numbers[f"{prefix}auc_percent"] = auc_3d(counted)
        numbers[f"{prefix}mpjpe_mm"] = best[kind][:, :mpjpe_over].mean(1)
    return numbers
