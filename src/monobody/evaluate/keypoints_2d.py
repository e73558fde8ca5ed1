"""2D joints on photos: LSP Extended's clicked joints, COCO's keypoints, and how many of them a model finds (PCK).

A joint is found when it lies within some share of the person's size of where it was clicked. Three sizes are in use:

    PCK@0.05, PCK@0.1    the larger side of the box about the person's visible joints (Yang & Ramanan, PAMI 2013)
    PCKh@0.5             the head: from the neck to its top, both clicked (Andriluka et al., CVPR 2014, have head boxes,
                         which neither set has); not of COCO, which knows neither
    torso PCK@0.2        from the left shoulder to the right hip (Toshev & Szegedy, CVPR 2014)

All joints of all people are pooled, those of people whose head or torso is not clicked left out of that column alone.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, cast

import numpy as np
from jaxtyping import Bool, Float

from monobody.body.skeleton import SKELETONS, correspondence
from monobody.data.clicked import NO_PICTURE, ClickedPhotos
from monobody.data.datasets import coco, lsp_extended
from monobody.errors import UserError
from monobody.evaluate.choices import picks
from monobody.evaluate.predictions import Predictions, as_joints
from monobody.evaluate.protocol import Column, EvaluationSet, Protocol, Result, Row
from monobody.evaluate.protocols import chosen_variant
from monobody.metrics import box_side, hits, segment_length

COLUMNS = (
    Column(key="pck_0.1", heading="PCK@0.1 %", better="higher"),
    Column(key="pck_0.05", heading="PCK@0.05 %", better="higher"),
    Column(key="pckh_0.5", heading="PCKh@0.5 %", better="higher"),
    Column(key="torso_pck_0.2", heading="torso PCK@0.2 %", better="higher"),
)
BOXES = (
    "about the person's visible clicked joints, wider by a tenth of the larger side all round; models that look for "
    "the person do so within it"
)
CAMERA = (
    "Nobody knows the photos' cameras. Models that answer with HMR's weak-perspective camera are seen through it; "
    "`monobody predict` guesses a perspective camera instead, in which the same bodies fit less closely."
)
"""What all protocols on photos have to say of cameras."""
PEOPLE = {
    "validation": "the 500 photos of LSP Extended that no training of ours sees (assets/lsp_extended_validation.txt)",
    "all": "all 10,000 photos of LSP Extended; our models have trained on 9,500 of them",
    "val2017": "COCO val2017: everybody but crowds with at least two of LSP's joints marked",
    "val2014": "COCO val2014: everybody but crowds with at least two of LSP's joints marked",
}
VARIANTS = {"lsp-extended": ("validation", "all"), "coco": ("val2017", "val2014")}
CocoPart = Literal["val2014", "val2017"]


def protocol(name: str, *, variant: str | None = None, body: str | Path | None = None) -> Protocol:
    """Return `lsp-extended` (variants validation, all) or `coco` (val2017, val2014).

    Raises:
        UserError: there is no such variant.
    """
    chosen = chosen_variant(name, variant, VARIANTS[name])
    clicked = name == "lsp-extended"
    return Protocol(
        name=name,
        title="LSP Extended: 2D joints" if clicked else "COCO: 2D joints",
        variant=chosen,
        people=PEOPLE[chosen],
        joints=(
            "the 14 of LSP, those clicked as visible"
            if clicked
            else "the 17 of COCO, those marked, hidden ones included (v > 0)"
        )
        + "; predicted ones are read off the body by its own regressor of the set, and projected",
        joint_set="lsp14" if clicked else "coco17",
        root="none",
        alignment="none",
        boxes=BOXES,
        columns=COLUMNS,
        headline="pck_0.1",
        expected=lsp_extended.EXPECTED[chosen] if clicked else None,
        open=partial(open_lsp_extended, variant=chosen) if clicked else partial(open_coco, variant=chosen),
        measure=measure,
        notes=(
            "PCK has as many forms as papers: LSP's tables divide by the torso, MPII's by the head box, Yang & Ramanan "
            "by the person's box. Numbers of different columns cannot be compared.",
            CAMERA,
        ),
    )


def open_lsp_extended(root: Path | None, *, variant: str) -> EvaluationSet:
    """Open LSP Extended at its folder, or at one that holds `lsp_extended/`.

    Raises:
        UserError: there is no LSP Extended.
    """
    folder = data_folder(root, "lsp_extended", "joints.mat", lsp_extended.GET_IT)
    return clicked_people(lsp_extended.LspExtended(folder, cast(lsp_extended.Split, variant)), "lsp14")


def open_coco(root: Path | None, *, variant: str) -> EvaluationSet:
    """Open a part of COCO at its folder, or at one that holds `coco/`.

    Raises:
        UserError: the part is not there.
    """
    folder = data_folder(root, "coco", "annotations", coco.GET_IT)
    if not (folder / "annotations" / f"person_keypoints_{variant}.json").is_file():
        other = [part for part in VARIANTS["coco"] if not coco.check(folder, part)]
        there = f"{other[0]} is there: add --variant {other[0]}." if other else f"Get it: {coco.GET_IT}."
        raise UserError(f"{folder} has no annotations/person_keypoints_{variant}.json. {there}")
    return clicked_people(coco.samples(folder, cast(CocoPart, variant), masks=False), "coco17")


def clicked_people(photos: ClickedPhotos, joint_set: str) -> EvaluationSet:
    """Return the people of photos with their clicked joints of a set."""
    order = list(correspondence("cocoplus19", joint_set))
    # Nobody without a picture can be measured; that they are wanted makes the set incomplete.
    lost = photos.left_out[NO_PICTURE]
    return EvaluationSet(
        samples=photos,
        names=tuple(photos.names),
        truth={"keypoints_px": photos.keypoints_px[:, order], "visible": photos.visible[:, order] > 0},
        left_out={reason: count for reason, count in photos.left_out.items() if count and reason != NO_PICTURE},
        lacking=(f"{lost:,} people of the set have no picture on disk.",) if lost else (),
    )


def data_folder(root: Path | None, name: str, sign: str, get_it: str) -> Path:
    """Return the folder of a data set, given it or the folder that holds it.

    Args:
        root: what the user gave.
        name: what the data set's folder is called in a folder of data.
        sign: a file or folder that the data set always has.
        get_it: where to get it.

    Raises:
        UserError: no folder was given, or there is no such data set.
    """
    if root is None:
        raise UserError(f"Say where the pictures are: --data FOLDER, which is or holds {name}/. Get them: {get_it}.")
    for folder in (root, root / name):
        if (folder / sign).exists():
            return folder
    raise UserError(f"Neither {root} nor {root / name} has {sign}: give the folder of the data set. Get it: {get_it}.")


def measure(protocol: Protocol, people: EvaluationSet, predictions: Predictions) -> Result:
    """Measure 2D joints; the oracle chooses by the distance in shares of the person's box."""
    joint_set = protocol.joint_set
    found_px = as_joints(predictions, joint_set, "joints_px")
    true_px, visible = people.truth["keypoints_px"], people.truth["visible"]
    off = box_shares(found_px, true_px, visible)
    rows, outcomes = [], []
    for pick in picks(predictions, off, counted=visible):
        outcomes.append(outcomes_of(pick.joints(found_px), true_px, visible, joint_set))
        rows.append(
            Row(
                method=predictions.model,
                numbers={key: pooled(outcome) for key, outcome in outcomes[-1].items()},
                hypotheses=predictions.hypotheses,
                choice=pick.choice,
                ours=True,
                source=predictions.terms,
            )
        )
    shown = picks(predictions, off, counted=visible)[0]
    names = SKELETONS[joint_set].joints
    return Result(
        protocol=protocol,
        rows=tuple(rows),
        count=len(people.names),
        left_out=people.left_out,
        names=people.names,
        errors={key: per_person(outcome) for key, outcome in outcomes[0].items()},
        joint_errors=dict(zip(names, (100 * shown.joints(off)).T, strict=True)),
        joint_unit="% of the box",
        groups=people.groups,
        breakdown={"joint": by_joint(outcomes[0], visible, names)},
        facts={
            "visible_joints": int(visible.sum()),
            "people_with_a_head_length": _people_with(outcomes[0]["pckh_0.5"]),
            "people_with_a_torso_length": _people_with(outcomes[0]["torso_pck_0.2"]),
        },
    )


def box_shares(
    found_px: Float[np.ndarray, "n h k 2"], true_px: Float[np.ndarray, "n k 2"], visible: Bool[np.ndarray, "n k"]
) -> Float[np.ndarray, "n h k"]:
    """Return how far each joint is off in sides of the person's box, NaN where the truth is not visible."""
    off_px = np.linalg.norm(found_px.astype(np.float64) - true_px[:, None], axis=-1)
    shares = off_px / box_side(true_px.astype(np.float64), visible)[:, None, None]
    return np.where(visible[:, None], shares, np.nan)


def outcomes_of(
    found_px: Float[np.ndarray, "n k 2"],
    true_px: Float[np.ndarray, "n k 2"],
    visible: Bool[np.ndarray, "n k"],
    joint_set: str,
) -> dict[str, Float[np.ndarray, "n k"]]:
    """Return, by column, 1 for joints that are found, 0 for others, NaN for those that are not judged."""
    found_px, true_px = found_px.astype(np.float64), true_px.astype(np.float64)
    size, names = box_side(true_px, visible), SKELETONS[joint_set].joints

    def between(first: str, second: str) -> Float[np.ndarray, " n"]:
        if first not in names or second not in names:
            return np.full(len(true_px), np.nan)
        return segment_length(true_px, visible, (names.index(first), names.index(second)))

    within = {
        "pck_0.1": 0.1 * size,
        "pck_0.05": 0.05 * size,
        "pckh_0.5": 0.5 * between("neck", "head_top"),
        "torso_pck_0.2": 0.2 * between("left_shoulder", "right_hip"),
    }
    return {key: hits(found_px, true_px, visible, within=limit) for key, limit in within.items()}


def pooled(outcome: Float[np.ndarray, "n k"]) -> float | None:
    """Return the per cent of judged joints that are found; None where none is judged."""
    judged = ~np.isnan(outcome)
    return 100 * float(outcome[judged].sum()) / int(judged.sum()) if judged.any() else None


def per_person(outcome: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " n"]:
    """Return the per cent of each person's judged joints that are found; NaN where none is judged."""
    judged = ~np.isnan(outcome)
    with np.errstate(invalid="ignore"):
        return 100 * np.where(judged, outcome, 0).sum(1) / judged.sum(1)


def by_joint(
    outcomes: Mapping[str, Float[np.ndarray, "n k"]], visible: Bool[np.ndarray, "n k"], names: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return each joint's numbers; ``count`` is in how many people it is visible."""
    table: dict[str, dict[str, float]] = {}
    for place, name in enumerate(names):
        values = {key: pooled(outcome[:, place]) for key, outcome in outcomes.items()}
        known = {key: value for key, value in values.items() if value is not None}
        table[name] = known | {"count": int(visible[:, place].sum())}
    return table


def _people_with(outcome: Float[np.ndarray, "n k"]) -> int:
    return int((~np.isnan(outcome)).any(1).sum())
