"""BVH (Biovision hierarchy): a skeleton as offsets and angles, one file for each person.

The format knows no bone axes, no unit and no up: all joints' axes are the world's, lengths are metres and y is up
unless asked otherwise. Rotation channels are Z, X, Y in degrees. All files of a clip have the clip's frames: before
people come and after they have gone they stand still (``writers.report`` counts these frames).
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from monobody.export.armature import Armature, armatures
from monobody.export.euler import euler_degrees
from monobody.export.options import ExportOptions
from monobody.export.paths import numbered, written_together
from monobody.export.resample import evenly
from monobody.export.rigs import RIGS
from monobody.motion import Motion

CHANNELS = "Zrotation Xrotation Yrotation"


def write_bvh(motion: Motion, path: str | Path, options: ExportOptions) -> list[Path]:
    """Write a file for each person, or for each of their hypotheses: all of them or none."""
    motion = evenly(motion, options.fps)
    people = armatures(motion, options, up="y", unit="m", namesakes=True)
    paths = [Path(path)] if len(people) == 1 else [numbered(path, one.name) for one in people]
    count = len(motion.times_s)
    texts = (bvh_text(one, count, motion.fps, bool(RIGS[options.rig].along)) for one in people)
    return written_together(paths, (text.encode("ascii", "replace") for text in texts))


def bvh_text(person: Armature, frames: int, fps: float, own_axes: bool) -> str:
    """Return one person as BVH, standing still in those of the clip's frames that they are not in."""
    turns, moves = person.turns, person.moves
    offsets = {joint: person.offsets[joint] for joint in range(len(person.names))}
    tips = {joint: tip - person.rest_places[joint] for joint, tip in person.tips.items()}
    if own_axes:
        turns, moves, offsets = _in_world_axes(person)
    children: dict[int, list[int]] = {joint: [] for joint in range(len(person.names))}
    for joint, parent in enumerate(person.parents):
        if parent >= 0:
            children[parent].append(joint)
    lines, order = ["HIERARCHY"], []

    def describe(joint: int, depth: int) -> None:
        pad = "\t" * depth
        order.append(joint)
        kind = "JOINT" if depth else "ROOT"
        lines.extend([f"{pad}{kind} {person.names[joint]}", f"{pad}{{"])
        # Readers differ in whether a root's offset is added to its channels: zero is the same to all of them.
        offset = np.zeros(3) if depth == 0 else offsets[joint]
        lines.append(f"{pad}\tOFFSET {_numbers(offset)}")
        places = "Xposition Yposition Zposition " if joint in moves else ""
        lines.append(f"{pad}\tCHANNELS {6 if places else 3} {places}{CHANNELS}")
        for child in children[joint]:
            describe(child, depth + 1)
        if not children[joint]:
            lines.extend([f"{pad}\tEnd Site", f"{pad}\t{{", f"{pad}\t\tOFFSET {_numbers(tips[joint])}", f"{pad}\t}}"])
        lines.append(f"{pad}}}")

    describe(0, 0)
    lines += ["MOTION", f"Frames: {frames}", f"Frame Time: {1 / fps:.8f}"]
    angles = euler_degrees(turns, "ZXY")
    columns = []
    for joint in order:
        if joint in moves:
            columns.append(moves[joint])
        columns.append(angles[:, joint])
    table = np.concatenate(columns, axis=1)
    here = np.searchsorted(person.track.frames, np.arange(frames), side="right") - 1
    lines += [_numbers(row) for row in table[here.clip(0)]]
    return "\n".join(lines) + "\n"


def _in_world_axes(
    person: Armature,
) -> tuple[Float[np.ndarray, "f n 3 3"], dict[int, Float[np.ndarray, "f 3"]], dict[int, Float[np.ndarray, "3"]]]:
    """Return turns, moves and offsets for joints whose axes at rest are the world's."""
    turns, offsets, moves = person.turns.copy(), {}, {}
    for joint, parent in enumerate(person.parents):
        above = person.rest_axes[parent] if parent >= 0 else np.eye(3)
        turns[:, joint] = above @ person.turns[:, joint] @ person.rest_axes[joint].T
        offsets[joint] = above @ person.offsets[joint]
        if joint in person.moves:
            moves[joint] = person.moves[joint] @ above.T
    return turns, moves, offsets


def _numbers(values: Float[np.ndarray, " n"]) -> str:
    return " ".join(f"{value:.6f}" for value in values)
