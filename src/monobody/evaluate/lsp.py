"""LSP as HMR measures it (table 4): bodies rendered into the photos, held to masks and six parts that people drew.

The masks are UPi-S1h's (Lassner et al., "Unite the People", CVPR 2017), for LSP's last thousand photos:

    im1001_segmentation.png        0 beside the person
    im1001_part_segmentation.png   0 background, 1 head, 2 torso, 3 right arm, 4 left arm, 5 right leg, 6 left leg,
                                   255 nobody said what

Counts are UP-3D's: pixels of all photos are added up, then one accuracy and one F1 are taken of the whole set; F1 is
the mean over the classes, background included. `metrics/segmentation.py` says what becomes of 255.
"""

from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS
from monobody.data.datasets import lsp
from monobody.errors import UserError
from monobody.evaluate import published
from monobody.evaluate.bodies import body_of, drawn_parts, vertices_cam_m
from monobody.evaluate.choices import Pick, picks
from monobody.evaluate.keypoints_2d import (
    BOXES,
    CAMERA,
    box_shares,
    by_joint,
    clicked_people,
    data_folder,
    outcomes_of,
    per_person,
    pooled,
)
from monobody.evaluate.predictions import Predictions, as_joints
from monobody.evaluate.protocol import Column, EvaluationSet, Protocol, Result, Row
from monobody.evaluate.protocols import chosen_variant
from monobody.metrics import segmentation_accuracy, segmentation_counts, segmentation_f1
from monobody.render.parts import LABELS, part_labels

Numbers = dict[str, float | None]

COLUMNS = (
    Column(key="fg_accuracy", heading="foreground accuracy %", better="higher", digits=2),
    Column(key="fg_f1", heading="foreground F1", better="higher", digits=2),
    Column(key="parts_accuracy", heading="parts accuracy %", better="higher", digits=2),
    Column(key="parts_f1", heading="parts F1", better="higher", digits=2),
    Column(key="pck_0.1", heading="PCK@0.1 %", better="higher"),
    Column(key="pck_0.05", heading="PCK@0.05 %", better="higher"),
    Column(key="seconds_a_person", heading="s a person", better="lower", digits=2),
)


def protocol(name: str = "lsp", *, variant: str | None = None, body: str | Path | None = None) -> Protocol:
    """Return the protocol for predictions of a body, the shipped one where left out."""
    chosen_variant(name, variant, ())
    return Protocol(
        name=name,
        title="LSP: foreground and six parts",
        people="LSP's last thousand photos, im1001 to im2000, one person each, at their original size",
        joints=(
            "the 14 of LSP, those clicked as visible (PCK alone); predicted ones are read off the body by its own "
            "regressor of the set, and projected"
        ),
        root="none",
        alignment="none",
        boxes=BOXES,
        columns=COLUMNS,
        headline="pck_0.1",
        expected=lsp.EXPECTED["test"],
        open=open_lsp,
        measure=partial(measure, body_path=body),
        published=published.LSP,
        notes=(
            "The body is drawn at the photo's own size, a pixel's part being that of the nearest corner of the "
            "triangle at its centre. HMR and SPIN draw 224 pixels and resample the crop to the nearest pixel.",
            "Neck and caps of the shoulders are torso, hands arms, feet legs, as in UP-3D; the cap ends "
            "15 % of the upper arm beyond the shoulder joint (render/parts.py).",
            "An oracle chooses among hypotheses by the clicked joints, not by the masks; joints chosen one by one make "
            "no body to draw.",
            "Time: ours from the given crop to the body, one person at a time, the median of 20, without finding the "
            "person; the facts say on what, others' papers mostly do not. Files of predictions have none.",
            CAMERA,
        ),
    )


def open_lsp(root: Path | None) -> EvaluationSet:
    """Open LSP and its masks at LSP's folder, or at one that holds `lsp/`.

    Raises:
        UserError: there is no LSP, masks are missing, or one is of another size than its photo.
    """
    folder = data_folder(root, "lsp", "joints.mat", lsp.GET_IT)
    photos = lsp.samples(folder, "test")
    people = clicked_people(photos, "lsp14")
    masks, parts = lsp.masks(folder, photos.names)
    truth = {
        "mask_files": np.array([str(path) for path in masks]),
        "part_files": np.array([str(path) for path in parts]),
        "sizes_px": lsp.checked_sizes([folder / file for file in photos.files], masks, parts),
    }
    return EvaluationSet(
        samples=people.samples,
        names=people.names,
        truth=dict(people.truth) | truth,
        left_out=people.left_out,
        lacking=people.lacking,
    )


def measure(
    protocol: Protocol, people: EvaluationSet, predictions: Predictions, *, body_path: str | Path | None = None
) -> Result:
    """Draw every body into its photo and count; the oracle of several hypotheses goes by the clicked joints.

    Raises:
        UserError: the predictions have no bodies, or those of another body than this one.
    """
    body = body_of(predictions, body_path)
    found_px = as_joints(predictions, "lsp14", "joints_px")
    true_px, visible = people.truth["keypoints_px"], people.truth["visible"]
    off = box_shares(found_px, true_px, visible)
    chosen = picks(predictions, off, counted=visible)
    outcomes = [outcomes_of(pick.joints(found_px), true_px, visible, "lsp14") for pick in chosen]
    drawn = [None if pick.of_person is None else counts_of(people, predictions, pick, body) for pick in chosen]
    rows = []
    for pick, outcome, counts in zip(chosen, outcomes, drawn, strict=True):
        segmentation: Numbers = {} if counts is None else numbers_of(*(table.sum(0) for table in counts))
        rows.append(
            Row(
                method=predictions.model,
                numbers=segmentation | {key: pooled(outcome[key]) for key in ("pck_0.1", "pck_0.05")},
                hypotheses=predictions.hypotheses,
                choice=pick.choice,
                ours=True,
                source=predictions.terms,
            )
        )
    names = SKELETONS["lsp14"].joints
    shown = drawn[0]
    assert shown is not None, "the first choice is a whole pose"
    errors = {key: per_person(outcomes[0][key]) for key in ("pck_0.1", "pck_0.05")}
    errors |= {"fg_accuracy": segmentation_accuracy(shown[0]), "parts_accuracy": segmentation_accuracy(shown[1])}
    return Result(
        protocol=protocol,
        rows=tuple(rows),
        count=len(people.names),
        left_out=people.left_out,
        names=people.names,
        errors=errors,
        joint_errors=dict(zip(names, (100 * chosen[0].joints(off)).T, strict=True)),
        joint_unit="% of the box",
        breakdown={
            "part": by_part(shown[1]),
            "joint": by_joint({key: outcomes[0][key] for key in ("pck_0.1", "pck_0.05")}, visible, names),
        },
        facts={"visible_joints": int(visible.sum()), "pixels": int(shown[0].sum()), "body": body.digest},
    )


def counts_of(
    people: EvaluationSet, predictions: Predictions, pick: Pick, body: Body
) -> tuple[Int[np.ndarray, "n 3 3"], Int[np.ndarray, "n 8 8"]]:
    """Return every photo's pixel counts by true (row) and drawn label: of foreground, and of the six parts."""
    assert pick.of_person is not None
    labels = part_labels(body.data)
    fg, parts = [], []
    for person in range(len(people.names)):
        vertices_m = vertices_cam_m(predictions, body, person, int(pick.of_person[person]))
        width, height = people.truth["sizes_px"][person].tolist()
        drawn = drawn_parts(predictions, body, labels, person, vertices_m, (width, height))
        mask, part = (lsp.read_mask(str(people.truth[kind][person])) for kind in ("mask_files", "part_files"))
        fg.append(segmentation_counts(drawn > 0, mask > 0, classes=2))
        parts.append(_counted(drawn, part, str(people.truth["part_files"][person])))
    return np.stack(fg), np.stack(parts)


def numbers_of(fg: Int[np.ndarray, "3 3"], parts: Int[np.ndarray, "8 8"]) -> Numbers:
    """Return the four numbers of the table from counts of the whole set."""
    return {
        "fg_accuracy": float(segmentation_accuracy(fg)),
        "fg_f1": float(segmentation_f1(fg).mean()),
        "parts_accuracy": float(segmentation_accuracy(parts)),
        "parts_f1": float(segmentation_f1(parts).mean()),
    }


def by_part(parts: Int[np.ndarray, "n 8 8"]) -> dict[str, dict[str, float]]:
    """Return each part's F1 over the whole set; ``count`` is how many people it was drawn on."""
    scores, people = segmentation_f1(parts.sum(0)), (parts.sum(2) > 0).sum(0)
    return {
        label: {"parts_f1": float(scores[number]), "count": int(people[number])} for number, label in enumerate(LABELS)
    }


def _counted(drawn: UInt8[np.ndarray, "h w"], part: UInt8[np.ndarray, "h w"], path: str) -> Int[np.ndarray, "8 8"]:
    try:
        return segmentation_counts(drawn, part, classes=len(LABELS))
    except ValueError as error:
        raise UserError(f"{path} is no map of LSP's six parts: {error}") from error
