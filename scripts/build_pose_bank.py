"""Build the pose bank from motion capture: read, thin, retarget to the 24-joint body, weigh, write.

    python scripts/build_pose_bank.py --data DATA/mocap -o bank.npz [--sheets out/poses]

Prints, per source, how many frames were kept and how far joints are from the source's after both skeletons were given
the same bone lengths. ``--sheets`` draws a contact sheet of every source. Needs SciPy: ``pip install monobody[train]``.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

import monobody
from monobody.body.kinematics import forward_kinematics
from monobody.body.model import Body
from monobody.body.rotation import matrix_to_axis_angle
from monobody.data.mocap import POINTS, Motion, read_motions
from monobody.data.pose_bank import PoseBank, balanced_weights
from monobody.data.retarget import retarget
from monobody.files import atomic_write
from monobody.render.pose_sheet import draw_pose_sheet

HELD_OUT = Path(monobody.__file__).parent / "assets" / "held_out_clips.json"

# In this conversion people are tipped over, feet in the air, in some frames in which they turn round.
_TIPPED_SOURCES = ("cmu_expmap",)
# Frames nearer to a kept frame than this (root mean square over bone directions) show nothing new.
_SAME_POSE_RAD = np.deg2rad(3.0)


@dataclass(frozen=True, kw_only=True)
class Options:
    data: Path
    """Folder with motion capture: pools (*_15fps.npz), *.bvh, *.amc with *.asf."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The bank to write."""
    sheets: Path | None = None
    """Folder for contact sheets, one per source."""
    body: Path | None = None
    """Body file; without it the shipped body."""


def main(options: Options) -> None:
    torch.manual_seed(0)
    motions = read_motions(options.data)
    held_out_clips = set(json.loads(HELD_OUT.read_text())["clips"])
    # Held-out clips come first, so that of two equal frames the one in training is dropped.
    motions.sort(key=lambda motion: motion.clip not in held_out_clips)
    kept = thin(motions)

    body = Body.load(options.body)
    rest = body.identity(torch.zeros(10)).joints_m
    table = Table("source", "clips", "frames", "kept", "direction deg", "joints mm", "95 % mm")
    parts: dict[str, list[NDArray]] = defaultdict(list)
    for source in sorted({motion.source for motion in motions}):
        mine = [(motion, keep) for motion, keep in zip(motions, kept, strict=True) if motion.source == source]
        result = retarget(
            torch.from_numpy(np.concatenate([m.points[k] for m, k in mine])).float(),
            torch.from_numpy(np.concatenate([m.orientations[k] for m, k in mine])).float(),
            torch.from_numpy(mine[0][0].has_orientation).float(),
            rest,
        )
        joints = forward_kinematics(result.rotations, rest.expand(len(result.rotations), 24, 3), body.parents)[1]
        parts["rotations_aa"].append(matrix_to_axis_angle(result.rotations).numpy())
        parts["joints"].append(joints.numpy())
        for name, value in (("source", source), ("clip", None), ("action", None)):
            parts[name].append(np.concatenate([np.repeat(value or getattr(m, name), k.sum()) for m, k in mine]))
        error_mm = 1000 * result.joint_error.numpy()
        table.add_row(
            source,
            str(len(mine)),
            str(sum(len(k) for _, k in mine)),
            str(len(error_mm)),
            f"{result.direction_error_deg.mean():.2f}",
            f"{error_mm.mean():.1f}",
            f"{np.quantile(error_mm, 0.95):.1f}",
        )
        if options.sheets:
            write_sheet(body, result.rotations, options.sheets / f"{source}.png")
    columns: dict[str, Any] = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    joints = columns.pop("joints")
    held_out = np.isin(columns["clip"], sorted(held_out_clips))
    balanced, unusual = balanced_weights(joints, columns["action"], held_out)
    PoseBank(**columns, held_out=held_out, balanced=balanced, unusual=unusual).save(options.output)
    Console().print(table)
    print(f"{len(held_out)} poses, {held_out.sum()} of them held out -> {options.output}")


def thin(motions: Sequence[Motion]) -> list[Bool[NDArray, " t"]]:
    """Choose the frames to keep: none that repeats an earlier one, no calibration T-pose, none that is damaged."""
    from scipy.spatial import KDTree

    features = np.concatenate([_directions(motion.points) for motion in motions])
    tipped = [_is_tipped(motion.points) & (motion.source in _TIPPED_SOURCES) for motion in motions]
    keep = ~_is_t_pose(features) & ~np.concatenate(tipped)
    pairs = KDTree(features.reshape(len(features), -1)).query_pairs(
        _SAME_POSE_RAD * np.sqrt(features.shape[1]), output_type="ndarray"
    )
    # In order of the earlier frame: a frame is dropped only for one that is itself kept.
    for earlier, later in pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]:
        if keep[earlier]:
            keep[later] = False
    return np.split(keep, np.cumsum([len(motion.points) for motion in motions])[:-1])


_LIMBS = [
    (f"{side}_{start}", f"{side}_{end}")
    for side in ("left", "right")
    for start, end in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
]


def _directions(points: Float[NDArray, "t 15 3"]) -> Float[NDArray, "t bones 3"]:
    """Return bone directions with the turn about the vertical taken out: eight limb bones, hips, shoulders, trunk."""
    place = {name: points[:, i] for i, name in enumerate(POINTS)}
    spans = [place[end] - place[start] for start, end in _LIMBS]
    spans += [place[f"left_{name}"] - place[f"right_{name}"] for name in ("hip", "shoulder")]
    spans.append(place["left_shoulder"] + place["right_shoulder"] - place["left_hip"] - place["right_hip"])
    spans.append(place["head"] - (place["left_shoulder"] + place["right_shoulder"]) / 2)
    directions = np.stack(spans, 1)
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True) + 1e-9
    hips = directions[:, len(_LIMBS)]
    angle = np.arctan2(-hips[:, 2], hips[:, 0])
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y, z = np.moveaxis(directions, -1, 0)
    return np.stack([cos * x - sin * z, y, sin * x + cos * z], -1)


def _is_t_pose(directions: Float[NDArray, "t bones 3"]) -> Bool[NDArray, " t"]:
    """Tell frames in which arms point sideways and legs down, each bone within 14 degrees."""
    side, down = np.array([1.0, 0, 0]), np.array([0, -1.0, 0])
    rest = np.stack([side, side, down, down, -side, -side, down, down])
    return ((directions[:, : len(rest)] * rest).sum(-1) > np.cos(np.deg2rad(14))).all(1)


def _is_tipped(points: Float[NDArray, "t 15 3"]) -> Bool[NDArray, " t"]:
    """Tell frames in which the trunk leans by more than 25 degrees and both feet are more than 8 cm off the floor."""
    place = {name: points[:, i] for i, name in enumerate(POINTS)}
    trunk = place["left_shoulder"] + place["right_shoulder"] - place["left_hip"] - place["right_hip"]
    lean = np.arccos(trunk[:, 1] / np.linalg.norm(trunk, axis=1))
    lowest = np.minimum(place["left_foot"][:, 1], place["right_foot"][:, 1])
    return (lean > np.deg2rad(25)) & (lowest > np.quantile(lowest, 0.05) + 0.08)


def write_sheet(body: Body, rotations: Float[torch.Tensor, "n 24 3 3"], path: Path) -> None:
    """Draw poses evenly spread over a source, each from the front and from its left."""
    chosen = rotations[torch.linspace(0, len(rotations) - 1, min(60, len(rotations))).long()]
    views = [draw_pose_sheet(body, chosen, yaw_deg=yaw) for yaw in (0, 90)]
    size_px = 120
    rows = [view[top : top + size_px] for top in range(0, len(views[0]), size_px) for view in views]
    with atomic_write(path, suffix=".png") as temporary:
        Image.fromarray(np.concatenate(rows)).save(temporary)


if __name__ == "__main__":
    main(tyro.cli(Options))
