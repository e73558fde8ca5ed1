"""Synthetic held-out people: everything is known of them, so that everything can be measured, mesh and shape included.

    MPJPE, N-MPJPE, PA-MPJPE    14 joints of LSP; the middle of the hips laid upon the true one, then the best size, or
                                the best similarity instead
    3D PCK, AUC                 of the same joints, hips aligned: nearer than 150 mm; mean over 0, 5, ..., 150 mm
    PVE, area PVE               all vertices, pelvis upon pelvis; the latter weighs vertices by the skin about them
    shape                       the same of both bodies in T-pose: what is left when the poses are alike
    PCK@0.1, PCK@0.05           in the picture, in shares of the larger side of the box about the visible joints
    IoU, parts                  the predicted body drawn into the picture, against the true one drawn likewise: bare,
                                and whole even where something is in front; `parts` is the per cent of the true body's
                                pixels that show the right one of six parts
    mask IoU                    against the mask that the set comes with: dressed, and only what is seen of the person
    impossible joints           of 21, those bent further than `body/prior.py` has ever seen
    through itself              bodies that intersect themselves (`body/collision.py`)

All are means over people but the two of 2D PCK, which pool joints.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float

from monobody.body.skeleton import SKELETONS
from monobody.data.shards import LABELS as LABELS_FILE
from monobody.data.shards import SampleFiles
from monobody.errors import UserError
from monobody.evaluate.bodies import lacking, same_body
from monobody.evaluate.choices import picks
from monobody.evaluate.keypoints_2d import outcomes_of, per_person, pooled
from monobody.evaluate.measure_3d import errors_about_root, errors_after_similarity, means
from monobody.evaluate.predictions import Predictions, as_joints
from monobody.evaluate.protocol import Column, EvaluationSet, Protocol, Result, Row
from monobody.evaluate.protocols import chosen_variant
from monobody.evaluate.quick import SYNTHETIC
from monobody.evaluate.true_people import truth_of
from monobody.evaluate.whole_bodies import Values, compare_bodies
from monobody.metrics import LSP_HIPS, auc_3d, joint_errors_mm, mpjpe, n_mpjpe, pck_3d

COLUMNS = (
    Column(key="mpjpe_mm", heading="MPJPE mm", better="lower"),
    Column(key="pa_mpjpe_mm", heading="PA-MPJPE mm", better="lower"),
    Column(key="n_mpjpe_mm", heading="N-MPJPE mm", better="lower"),
    Column(key="pck_3d", heading="3D PCK %", better="higher"),
    Column(key="auc_3d", heading="AUC %", better="higher"),
    Column(key="pve_mm", heading="PVE mm", better="lower"),
    Column(key="area_pve_mm", heading="area PVE mm", better="lower"),
    Column(key="shape_mm", heading="shape mm", better="lower"),
    Column(key="pck_0.1", heading="PCK@0.1 %", better="higher"),
    Column(key="pck_0.05", heading="PCK@0.05 %", better="higher"),
    Column(key="iou", heading="IoU %", better="higher"),
    Column(key="mask_iou", heading="mask IoU %", better="higher"),
    Column(key="parts", heading="parts %", better="higher"),
    Column(key="impossible_joints", heading="impossible joints %", better="lower", digits=2),
    Column(key="through_itself", heading="through itself %", better="lower"),
)
PCK = ("pck_0.1", "pck_0.05")


def protocol(name: str = "synthetic", *, variant: str | None = None, body: str | Path | None = None) -> Protocol:
    """Return the protocol for predictions of a body, the shipped one where left out."""
    chosen_variant(name, variant, ())
    return Protocol(
        name=name,
        title="Synthetic held-out people",
        people=(
            "the 500 shipped people, whose motion clips, shapes, textures and backgrounds no training of ours sees; or "
            "those of a folder or tar made by `monobody synthesize`"
        ),
        joints="the 14 of LSP; predicted ones are read off the body by its own regressor of the set",
        root="the middle of the hips; of meshes the pelvis",
        alignment="hips (MPJPE, 3D PCK, AUC), hips and size (N-MPJPE), similarity (PA-MPJPE), pelvis (PVE, shape)",
        boxes=(
            "about the joints within the picture, wider by a tenth of the larger side all round; models that look for "
            "the person do so within it"
        ),
        columns=COLUMNS,
        headline="mpjpe_mm",
        expected=None,
        open=open_synthetic,
        measure=partial(measure, body_path=body),
        notes=(
            "The shipped people's cameras are not told: models that answer with HMR's weak-perspective camera are seen "
            "through that one. People of one's own come with their cameras, and are seen through these.",
            "Of several hypotheses the oracle takes the one of the least MPJPE, and for PA-MPJPE that of the least "
            "PA-MPJPE; joints taken one by one make no body to compare.",
            "IoU is of bare bodies: a perfect body has 100 %. Against the mask of a dressed person nobody has.",
            "Poses and pictures are rendered: such numbers are not those of photos, nor of Human3.6M.",
        ),
    )


def open_synthetic(root: Path | None) -> EvaluationSet:
    """Open the shipped people, a folder or tar of people, or a folder of such tars.

    Raises:
        UserError: there are no such people there, or not everything is known of them.
    """
    paths = [SYNTHETIC if root is None else root]
    if root is not None and not root.exists():
        raise UserError(f"There is no {root}: give a folder or tar made by `monobody synthesize`, or leave it out.")
    if root is not None and root.is_dir() and not (root / LABELS_FILE).is_file():
        paths = sorted(root.glob("*.tar"))
        if not paths:
            raise UserError(
                f"{root} holds neither {LABELS_FILE} nor tars of people: give what `monobody synthesize` has made, or "
                "leave it out for the shipped people."
            )
    parts = [SampleFiles(path) for path in paths]
    prefixes = [f"{path.stem}/" if len(paths) > 1 else "" for path in paths]
    names = [f"{prefix}{row:06d}" for part, prefix in zip(parts, prefixes, strict=True) for row in range(len(part))]
    samples = SampleFiles(*paths)
    truth = truth_of(samples, names)
    return EvaluationSet(samples=samples, names=tuple(names), truth=truth, groups=groups_of(truth))


def groups_of(truth: Mapping[str, np.ndarray]) -> dict[str, tuple[str, ...]]:
    """Return everybody's visibility, the tilt of their trunk, and which way they face, in words."""
    hips, neck = truth["joints_cam_m"][:, 2:4].mean(1), truth["joints_cam_m"][:, 12]
    tilt = _angle_deg(neck - hips, np.array([0.0, -1.0, 0.0]))
    # The body frame's z axis is where the chest faces.
    facing = _angle_deg(truth["rotations"][:, 0, :, 2], -hips)
    seen = np.where(truth["visible"].all(1), "whole in the picture", "cut by the picture's edge")
    return {
        "visibility": tuple(seen.tolist()),
        "trunk": _in_words(tilt, ("upright (under 45 degrees)", "tilted (45 to 135)", "upside down (over 135)")),
        "facing": _in_words(facing, ("the camera (under 45 degrees)", "sideways (45 to 135)", "away (over 135)")),
    }


def measure(
    protocol: Protocol, people: EvaluationSet, predictions: Predictions, *, body_path: str | Path | None = None
) -> Result:
    """Measure everything that predictions say; what they do not say is None in the table.

    Raises:
        UserError: the predictions have no 3D joints, or bodies of another body than this one.
    """
    found_m = as_joints(predictions, "lsp14", "joints_cam_m").astype(np.float64)
    true_m = people.truth["joints_cam_m"].astype(np.float64)
    found_px = None if predictions.joints_px is None else as_joints(predictions, "lsp14", "joints_px")
    body = None if predictions.rotations is None else same_body(predictions, body_path)
    errors_mm, aligned_mm = errors_about_root(found_m, true_m, LSP_HIPS), errors_after_similarity(found_m, true_m)
    rows, tables = [], []
    # What a similarity leaves is chosen for by itself, as in the other protocols; all else goes by MPJPE.
    for pick, aligned in zip(picks(predictions, errors_mm), picks(predictions, aligned_mm), strict=True):
        values = of_joints(pick.joints(found_m), true_m) | {"pa_mpjpe_mm": aligned.joints(aligned_mm).mean(1)}
        outcomes = {}
        if found_px is not None:
            seen = outcomes_of(pick.joints(found_px), people.truth["keypoints_px"], people.truth["visible"], "lsp14")
            outcomes = {key: seen[key] for key in PCK}
        if body is not None and pick.of_person is not None:
            values |= compare_bodies(people, predictions, pick.of_person, body)
        tables.append((values, outcomes))
        rows.append(
            Row(
                method=predictions.model,
                numbers=numbers_of(values, outcomes, np.ones(len(true_m), bool)),
                hypotheses=predictions.hypotheses,
                choice=pick.choice,
                ours=True,
                source=predictions.terms,
            )
        )
    values, outcomes = tables[0]
    shown = picks(predictions, errors_mm)[0].joints(errors_mm)
    return Result(
        protocol=protocol,
        rows=tuple(rows),
        count=len(people.names),
        names=people.names,
        errors=values | {key: per_person(outcome) for key, outcome in outcomes.items()},
        joint_errors=dict(zip(SKELETONS["lsp14"].joints, shown.T, strict=True)),
        groups=people.groups,
        breakdown={kind: by_group(values, outcomes, labels) for kind, labels in people.groups.items()},
        facts={
            "visible_joints": int(people.truth["visible"].sum()),
            "body": "" if body is None else body.digest,
            "not_drawn_for_want_of": lacking(predictions),
        },
    )


def of_joints(found_m: Float[np.ndarray, "n 14 3"], true_m: Float[np.ndarray, "n 14 3"]) -> Values:
    """Return the columns of 3D joints with the hips aligned."""
    errors_mm = joint_errors_mm(found_m, true_m)
    return {
        "mpjpe_mm": mpjpe(found_m, true_m),
        "n_mpjpe_mm": n_mpjpe(found_m, true_m),
        "pck_3d": pck_3d(errors_mm),
        "auc_3d": auc_3d(errors_mm),
    }


def by_group(
    values: Values, outcomes: Mapping[str, Float[np.ndarray, "n k"]], labels: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """Return the numbers of the people of each label; ``count`` is how many these are."""
    table: dict[str, dict[str, float]] = {}
    for label in sorted(set(labels)):
        chosen = np.array([each == label for each in labels])
        numbers = numbers_of(values, outcomes, chosen)
        table[label] = {key: value for key, value in numbers.items() if value is not None}
        table[label]["count"] = int(chosen.sum())
    return table


def numbers_of(
    values: Values, outcomes: Mapping[str, Float[np.ndarray, "n k"]], chosen: np.ndarray
) -> dict[str, float | None]:
    """Return the columns of some of the people: means, and joints pooled."""
    return means({key: value[chosen] for key, value in values.items()}) | {
        key: pooled(outcome[chosen]) for key, outcome in outcomes.items()
    }


def _angle_deg(first: Float[np.ndarray, "n 3"], second: np.ndarray) -> Float[np.ndarray, " n"]:
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    return np.degrees(np.arccos(np.clip((first * second).sum(-1) / lengths, -1, 1)))


def _in_words(angle_deg: Float[np.ndarray, " n"], words: tuple[str, str, str]) -> tuple[str, ...]:
    return tuple(words[int(np.digitize(angle, (45, 135)))] for angle in angle_deg)
