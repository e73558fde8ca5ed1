"""Human3.6M as "X as Supervision" measures it (its code; Charrrrrlie/X-as-Supervision): 18 joints where they stand.

A model answers in the picture and in depth about the pelvis. Its joints are lifted with the **true** depth of the
pelvis, so that how far away and how large people are is known beforehand:

    Z = Z_pelvis + dz,   (X, Y) = ((u, v) - principal point) Z / f,   then into the world, mm

and nothing is aligned. Left and right of the hips, knees, ankles, shoulders, elbows and wrists are repaired joint by
joint: where the partner's prediction is nearer to the true point in the picture (L1), it is taken, in depth too.
N-MPJPE is the best size about the **origin of the world**, not about a root. "Best" is the best hypothesis of each
joint, by the truth; "confident" the model's own first. All three errors are of the pose so put together.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float

from monobody.body.skeleton import SKELETONS, mirrored_name
from monobody.data.crop import Crop
from monobody.data.sample import Sample
from monobody.evaluate.choices import picks
from monobody.evaluate.h36m import ACTION_ORDER, FRAMES, SUBSET, open_people
from monobody.evaluate.measure_3d import ByPerson, Errors, errors_about_root, errors_after_similarity, means, measured
from monobody.evaluate.people import Chosen
from monobody.evaluate.predictions import Predictions, as_joints
from monobody.evaluate.protocol import Column, EvaluationSet, Protocol, Result
from monobody.metrics import n_mpjpe

BOX_M = 2.0
HELPED = "true depth and sides given"
"""What every row says of itself: these are no numbers of a model alone."""
KINDS = {"mpjpe_mm": "MPJPE mm", "n_mpjpe_mm": "N-MPJPE mm", "pa_mpjpe_mm": "PA-MPJPE mm"}
COLUMNS = (
    *(Column(key=f"actions_{key}", heading=f"{heading}, 15 actions", better="lower") for key, heading in KINDS.items()),
    *(Column(key=f"subset_{key}", heading=f"{heading}, 6 actions", better="lower") for key, heading in KINDS.items()),
    Column(key="mpjpe_mm", heading="MPJPE mm, frames", better="lower"),
)
NAMES = SKELETONS["xas18"].joints
PARTNERS = tuple(NAMES.index(mirrored_name(name)) for name in NAMES)


def xas_protocol(name: str) -> Protocol:
    """Return the protocol."""
    return Protocol(
        name=name,
        title="Human3.6M, as X as Supervision measures it",
        variant="xas",
        people=f"S9 and S11, 15 actions, 2 trials, 4 cameras, each view by itself; {FRAMES}",
        joints="18: Human3.6M's 17 and the thorax, half-way between the shoulders; from a body by xas18's regressor",
        joint_set="xas18",
        root="none: joints are compared where they stand in the world",
        alignment="MPJPE: none; the pelvis's true depth is given, and left and right are repaired by the truth; "
        "N: the best size about the world's origin; PA: the best similarity of each frame",
        boxes="an upright square of 2 x 2 m about the true pelvis, at its true depth, for models that look, too; those "
        "that ask for the focal length are told the data set's",
        columns=COLUMNS,
        headline="mpjpe_mm",
        expected=None,
        open=_open,
        measure=_measure,
        notes=(
            "Their numbers are means over actions of this measure; no table of theirs was at hand, none is quoted.",
            "Their networks see the person cut out by the true mask, on black; models measured here see the picture.",
            "Our rows are helped by the truth, as theirs are: by the pelvis's depth, and by which side is left.",
            "MPJPE without a root, with the depth given, is not the MPJPE of the other variants.",
        ),
    )


def _open(root: Path | None) -> EvaluationSet:
    people = open_people(root, second=False, both_trials=True, variant="xas")
    pelvis_px, depth_m = people.truth["joints_px"][:, 0], people.truth["joints_cam_m"][:, 0, 2]
    sizes = BOX_M * people.truth["focal_px"] / depth_m
    corners = [pelvis_px - sizes[:, None] / 2, pelvis_px + sizes[:, None] / 2]

    def crop(number: int, sample: Sample) -> Crop:
        return Crop((float(pelvis_px[number, 0]), float(pelvis_px[number, 1])), float(sizes[number]))

    return replace(people, samples=Chosen(people.samples, crop=crop), boxes_px=np.concatenate(corners, axis=1))


def with_thorax(points: Float[np.ndarray, "*b 17 d"]) -> Float[np.ndarray, "*b 18 d"]:
    """Return Human3.6M's joints and the middle of the shoulders."""
    shoulders = [NAMES.index("left_shoulder"), NAMES.index("right_shoulder")]
    return np.concatenate([points, points[..., shoulders, :].mean(-2, keepdims=True)], axis=-2)


def lifted(
    joints_px: Float[np.ndarray, "n h k 2"],
    depths_m: Float[np.ndarray, "n h k"],
    focal_px: Float[np.ndarray, " n"],
    principal_px: Float[np.ndarray, "n 2"],
) -> Float[np.ndarray, "n h k 3"]:
    """Return the points before the camera that are seen at pixels in given depths."""
    rays = (joints_px - principal_px[:, None, None]) / focal_px[:, None, None, None]
    return np.concatenate([rays * depths_m[..., None], depths_m[..., None]], axis=-1)


def repaired(
    joints_px: Float[np.ndarray, "n h k 2"], true_px: Float[np.ndarray, "n k 2"]
) -> Float[np.ndarray, "n h k"]:
    """Return which predicted joint stands for each joint: its own, or its partner's where that is nearer (L1)."""
    own = np.abs(joints_px - true_px[:, None]).sum(-1)
    other = np.abs(joints_px[:, :, list(PARTNERS)] - true_px[:, None]).sum(-1)
    return np.where(other < own, np.array(PARTNERS), np.arange(len(NAMES)))


def _measure(protocol: Protocol, people: EvaluationSet, predictions: Predictions) -> Result:
    true_m, true_px = with_thorax(people.truth["joints_cam_m"]), with_thorax(people.truth["joints_px"])
    # The thorax is no joint of Human3.6M's set; its place in the picture is that of the point between the shoulders.
    focal_px, principal_px = people.truth["focal_px"], people.truth["principal_px"]
    true_px[:, -1] = true_m[:, -1, :2] / true_m[:, -1, 2:] * focal_px[:, None] + principal_px
    found_px, found_m = (_all_18(predictions, kind) for kind in ("joints_px", "joints_cam_m"))
    stands = repaired(found_px, true_px)
    depths_m = found_m[..., 2] - found_m[:, :, :1, 2] + true_m[:, None, :1, 2]
    placed_m = lifted(found_px, depths_m, focal_px, principal_px)
    placed_m = np.take_along_axis(placed_m, stands[..., None], axis=2)
    off_mm = errors_about_root(placed_m, true_m, None)

    world = people.truth["world_to_camera"]
    rotation, shift_m = world[:, :, :3], world[:, None, :, 3]

    def errors(pose_m: Float[np.ndarray, "n k 3"]) -> Errors:
        in_world = [(points - shift_m) @ rotation for points in (pose_m, true_m)]
        return {
            "mpjpe_mm": errors_about_root(pose_m[:, None], true_m, None)[:, 0],
            "n_mpjpe_mm": n_mpjpe(in_world[0], in_world[1], root=None)[:, None],
            "pa_mpjpe_mm": errors_after_similarity(pose_m[:, None], true_m)[:, 0],
        }

    result = measured(
        protocol,
        people,
        predictions,
        {pick.choice: errors(pick.joints(placed_m)) for pick in picks(predictions, off_mm)},
        NAMES,
        lambda best: {kind: each.mean(1) for kind, each in best.items()},
        summed=partial(_over_actions, actions=people.groups["action"]),
        order={"action": ACTION_ORDER},
        facts={"left_right_repaired_percent": round(100 * float((stands != np.arange(len(NAMES))).mean()), 3)},
    )
    return replace(result, rows=tuple(replace(row, source=f"{row.source}; {HELPED}") for row in result.rows))


def _all_18(predictions: Predictions, kind: str) -> Float[np.ndarray, "n h 18 d"]:
    """Return the 18 joints, the thorax half-way between the shoulders where the predictions have only the 17."""
    if "thorax" in SKELETONS[predictions.joint_set].joints:
        return as_joints(predictions, "xas18", kind).astype(np.float64)
    return with_thorax(as_joints(predictions, "h36m17", kind).astype(np.float64))


def _over_actions(by_person: ByPerson, actions: Sequence[str]) -> dict[str, float]:
    """Return means over frames, over all actions' means, and over those of the six."""
    known = np.asarray(actions)
    numbers = means(by_person)
    for name, values in by_person.items():
        by_action = {action: float(values[known == action].mean()) for action in set(actions)}
        subset = [by_action[action] for action in SUBSET if action in by_action]
        numbers[f"actions_{name}"] = float(np.mean(list(by_action.values())))
        numbers[f"subset_{name}"] = float(np.mean(subset)) if len(subset) == len(SUBSET) else float("nan")
    return numbers
