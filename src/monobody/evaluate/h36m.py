"""Human3.6M's protocols 1 and 2 as HMR, SPIN, X as Supervision and the lifting literature measure them.

    h36m-p1   S9 and S11, all clips and cameras       hmr (default), spin, root-aligned, xas
    h36m-p2   the same in the frontal camera          hmr (first trials), spin (both trials), root-aligned

Every fifth frame counts (10 a second). The corrupt first camera of S11's second Directions is left out. The numbers of
the variants are not comparable: they differ in joints, root, clips and in what is known beforehand.

    hmr            HMR's 14 joints, the middle of the hips as root; box: the joints' own, 150 of 224 pixels in diagonal
    spin           14 of the 17 joints that Human3.6M's regressor reads from the mesh, its pelvis as root
    root-aligned   all 17 joints, pelvis as root
    xas            18 joints in the world, the pelvis's true depth given, no root (`h36m_xas.py`)
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float

from monobody.body.skeleton import SKELETONS, correspondence
from monobody.data.crop import hmr_crop, square_box_crop
from monobody.data.datasets.h36m import FRONTAL, H36M, SUBJECTS
from monobody.data.datasets.h36m_clip import ACTIONS, Clip
from monobody.data.datasets.h36m_folders import CAMERAS
from monobody.errors import UserError
from monobody.evaluate import published
from monobody.evaluate.answers import LOOKED
from monobody.evaluate.measure_3d import (
    ByPerson,
    Errors,
    each_by_itself,
    errors_about_root,
    errors_after_similarity,
    means,
    measured,
    percentiles,
)
from monobody.evaluate.people import Chosen, CropRule
from monobody.evaluate.predictions import Predictions, as_joints
from monobody.evaluate.protocol import Column, EvaluationSet, Protocol, Result
from monobody.evaluate.protocols import chosen_variant
from monobody.metrics import n_mpjpe

VARIANTS = {"h36m-p1": ("hmr", "spin", "root-aligned", "xas"), "h36m-p2": ("hmr", "spin", "root-aligned")}
ACTION_ORDER = (
    "Directions", "Discussion", "Eating", "Greeting", "Phoning", "TakingPhoto", "Posing", "Purchases", "Sitting",
    "SittingDown", "Smoking", "Waiting", "WalkDog", "Walking", "WalkTogether",
)  # fmt: skip
"""HMR's order of print."""
SUBSET = ("Waiting", "Posing", "Greeting", "Directions", "Discussion", "Walking")
"""The six actions of X as Supervision's second table."""
STEP = 5
CORRUPT_CLIP = (11, "Directions", "54138969")
FRAMES = "every 5th frame, 10 a second; the corrupt clip (S11, Directions, second trial, camera 54138969) left out"
COLUMNS = (
    Column(key="mpjpe_mm", heading="MPJPE mm", better="lower"),
    Column(key="pa_mpjpe_mm", heading="PA-MPJPE mm", better="lower"),
    Column(key="median_mpjpe_mm", heading="median MPJPE", better="lower"),
    Column(key="median_pa_mpjpe_mm", heading="median PA", better="lower"),
    Column(key="actions_mpjpe_mm", heading="MPJPE, mean of actions", better="lower"),
    Column(key="actions_pa_mpjpe_mm", heading="PA, mean of actions", better="lower"),
)
N_COLUMN = Column(key="n_mpjpe_mm", heading="N-MPJPE mm", better="lower")
PA_ONLY = tuple(column for column in COLUMNS if "pa_mpjpe" in column.key)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What a variant compares: joints of which set, laid upon each other where."""

    joint_set: str
    compared: tuple[str, ...]
    root: tuple[str, ...]
    normalised: bool = False
    """Whether N-MPJPE is measured as well."""


AS = {
    "hmr": Measured(
        joint_set="lsp14",
        compared=SKELETONS["lsp14"].joints,
        root=("right_hip", "left_hip"),
    ),
    "spin": Measured(joint_set="h36m17", compared=SKELETONS["lsp14"].joints, root=("pelvis",)),
    "root-aligned": Measured(
        joint_set="h36m17", compared=SKELETONS["h36m17"].joints, root=("pelvis",), normalised=True
    ),
}


def protocol(name: str, *, variant: str | None = None, body: str | Path | None = None) -> Protocol:
    """Return protocol 1 or 2 in one of its variants.

    Raises:
        UserError: there is no such variant.
    """
    del body  # Only joints are measured.
    variant = chosen_variant(name, variant, VARIANTS[name])
    if variant == "xas":
        from monobody.evaluate.h36m_xas import xas_protocol

        return xas_protocol(name)
    second = name == "h36m-p2"
    clips = {
        "h36m-p1": "S9 and S11, 15 actions, 2 trials, 4 cameras",
        "h36m-p2": f"S9 and S11, 15 actions, camera {FRONTAL}, "
        + ("both trials" if variant == "spin" else "first trials"),
    }[name]
    stated = {
        "hmr": {
            "joints": "LSP's 14, by the body's own regressor; the truth is the mocap joints, neck and head top too",
            "root": "the middle of the hips on both sides",
            "boxes": "an upright square about the true 2D joints, their box's diagonal 150 of 224 pixels",
        },
        "spin": {
            "joints": "14, read from the mesh by the Human3.6M regressor (h36m17), against the mocap joints",
            "root": "the pelvis, joint 0 of the 17",
            "boxes": "an upright square, 1.2 of the longer side of the true 2D joints' box (SPIN: 0.9 of the longer "
            "side of the true silhouette's box)",
        },
        "root-aligned": {
            "joints": "all 17 of Human3.6M, by its regressor from the mesh (h36m17)",
            "root": "the pelvis",
            "boxes": "an upright square about the true 2D joints, their box's diagonal 150 of 224 pixels",
        },
    }[variant]
    columns = PA_ONLY if second and variant != "root-aligned" else COLUMNS
    measured_as = AS[variant]
    return Protocol(
        name=name,
        title=f"Human3.6M, protocol {2 if second else 1}",
        variant=variant,
        people=f"{clips}; {FRAMES}",
        alignment="MPJPE: roots laid upon each other, nothing else; PA: the best similarity of each frame"
        + ("; N: the best size about the root" if measured_as.normalised else ""),
        joint_set=measured_as.joint_set,
        columns=(columns[0], N_COLUMN, *columns[1:]) if measured_as.normalised else columns,
        headline="pa_mpjpe_mm" if columns is PA_ONLY else "mpjpe_mm",
        expected=None,
        open=partial(open_people, second=second, both_trials=variant == "spin", variant=variant),
        measure=partial(_measure, how=measured_as),
        published={
            ("h36m-p1", "hmr"): published.H36M_P1,
            ("h36m-p2", "hmr"): published.H36M_P2,
            ("h36m-p2", "spin"): published.H36M_P2_SPIN,
        }.get((name, variant), ()),
        notes=NOTES,
        **stated | {"boxes": stated["boxes"] + LOOKED},
    )


NOTES = (
    "Totals are means over frames, as HMR quotes them; the mean over actions, which weighs short actions more, stands "
    "beside them.",
    "Nobody has published how many frames these are; a data set that lacks clips is refused.",
    "SPIN's reader of videos loses the first frame, so that its frames are off by one; these are not.",
    "SPIN's protocol 2 has both trials, HMR's the first alone; SPIN's squares are 0.9 of a silhouette's longer side.",
    "Older scripts lack S11's Phoning 2; it is measured here.",
)


def open_people(
    root: Path | None, *, second: bool, both_trials: bool, variant: str, crop: CropRule | None = None
) -> EvaluationSet:
    """Open the test frames of a protocol, all 17 joints, and who does what before which camera.

    Raises:
        UserError: there is no such data set.
    """
    if root is None:
        raise UserError("Human3.6M's folder is not known: give it with --root.")
    frames = H36M(root, "test_p2" if second and not both_trials else "test")
    joints, px, focals, principals, poses, groups = [], [], [], [], [], []
    numbers: list[int] = []
    kept: list[Clip] = []
    for part, clip in enumerate(frames.clips):
        start = sum(len(each.frames) for each in frames.clips[:part])
        if second and clip.camera != FRONTAL:
            continue
        kept.append(clip)
        labels, count = frames.labels(part), len(clip.frames)
        numbers += range(start, start + count)
        focal, principal = labels.lens.pinhole_focal_px, labels.lens.principal_px
        true = labels.joints_cam_m
        joints.append(true)
        px.append(true[..., :2] / true[..., 2:] * focal + np.asarray(principal))
        focals.append(np.full(count, focal))
        principals.append(np.tile(principal, (count, 1)))
        poses.append(np.tile(_pose(labels.pose), (count, 1, 1)))
        trial = "?" if clip.trial is None else str(clip.trial + 1)
        groups += [(clip.action, f"S{clip.subject}", trial, clip.camera)] * count
    if not numbers:
        raise UserError(f"{root} holds no clip of camera {FRONTAL}, the frontal one.")
    left_out = frames.left_out if not second else {}
    keypoints_px = np.concatenate(px)
    rule: CropRule = crop or (
        (lambda number, sample: square_box_crop(_box(sample.keypoints_px[:14])))
        if variant == "spin"
        else (lambda number, sample: hmr_crop(sample.keypoints_px[:14]))
    )
    return EvaluationSet(
        samples=Chosen(frames, numbers, crop=rule),
        names=tuple(frames.name(number) for number in numbers),
        truth={
            "joints_cam_m": np.concatenate(joints),
            "joints_px": keypoints_px,
            "focal_px": np.concatenate(focals),
            "principal_px": np.concatenate(principals),
            "world_to_camera": np.concatenate(poses),
        },
        groups={
            name: tuple(each[place] for each in groups)
            for place, name in enumerate(("action", "subject", "trial", "camera"))
        },
        left_out=left_out,
        lacking=tuple(
            lacking(kept, cameras=(FRONTAL,) if second else CAMERAS, trials=1 if second and not both_trials else 2)
        ),
    )


def lacking(clips: Sequence[Clip], cameras: Sequence[str], trials: int) -> Iterator[str]:
    """Yield what is missing of the clips and frames that a protocol wants, in whatever form they are."""
    there = Counter((clip.subject, clip.action, clip.camera) for clip in clips)
    wanted = {
        (subject, action, camera): trials - (trials == 2 and (subject, action, camera) == CORRUPT_CLIP)
        for subject in SUBJECTS["test"]
        for action in ACTIONS
        for camera in cameras
    }
    lost = {clip: count - there[clip] for clip, count in wanted.items() if there[clip] != count}
    if lost:
        subject, action, camera = next(iter(lost))
        yield (
            f"{len(clips)} of {sum(wanted.values())} clips are there; the first that is not is S{subject}, {action}, "
            f"camera {camera}."
        )
    if strange := sorted({clip.action for clip in clips} - set(ACTIONS)):
        yield f"There are actions that Human3.6M does not have: {', '.join(strange)}."
    uneven = [clip.name for clip in clips if len(clip.frames) > 1 and set(np.diff(clip.frames)) != {STEP}]
    if uneven:
        yield f"{len(uneven)} clips hold other frames than every fifth ({uneven[0]}): their form chooses its own."


def over_actions(by_person: ByPerson, actions: Sequence[str]) -> dict[str, float]:
    """Return frame means, medians, and means over the actions' means."""
    known = np.asarray(actions)
    parts = [known == action for action in sorted(set(actions))]
    numbers = means(by_person)
    for name, values in by_person.items():
        numbers[f"median_{name}"] = float(np.median(values))
        numbers[f"actions_{name}"] = float(np.mean([values[part].mean() for part in parts]))
    return numbers


def _measure(protocol: Protocol, people: EvaluationSet, predictions: Predictions, *, how: Measured) -> Result:
    found = as_joints(predictions, how.joint_set)
    true = people.truth["joints_cam_m"][:, list(correspondence("h36m17", how.joint_set))]
    names = SKELETONS[how.joint_set].joints
    root, kept = [names.index(name) for name in how.root], [names.index(name) for name in how.compared]
    errors = {
        "root": errors_about_root(found, true, root)[..., kept],
        "similarity": errors_after_similarity(found[:, :, kept], true[:, kept]),
    }
    if how.normalised:
        # One number a hypothesis, as if of one joint: joints are chosen among only where each has an error.
        errors["size"] = np.stack(
            [n_mpjpe(found[:, h].astype(np.float64), true, root=root) for h in range(found.shape[1])], axis=1
        )[..., None]

    def summary(best: Errors) -> ByPerson:
        numbers = {"mpjpe_mm": best["root"].mean(1), "pa_mpjpe_mm": best["similarity"].mean(1)}
        return numbers | ({"n_mpjpe_mm": best["size"].mean(1)} if "size" in best else {})

    actions = people.groups["action"]
    order = {"action": ACTION_ORDER}
    result = measured(
        protocol,
        people,
        predictions,
        each_by_itself(errors, predictions),
        how.compared,
        summary,
        summed=partial(over_actions, actions=actions),
        order=order,
    )
    return replace(result, facts={"percentiles": percentiles(dict(result.errors))})


def _box(points_px: Float[np.ndarray, "k 2"]) -> list[float]:
    return np.concatenate([points_px.min(0), points_px.max(0)]).tolist()


def _pose(pose: tuple[np.ndarray, np.ndarray] | None) -> Float[np.ndarray, "3 4"]:
    """Return R and t side by side; NaN where the data set's form does not tell."""
    return np.full((3, 4), np.nan) if pose is None else np.concatenate([pose[0], pose[1][:, None]], axis=1)
