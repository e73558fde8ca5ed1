"""Biovision hierarchy files (BVH): a skeleton as a tree of offsets, then one line of channel values per frame."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from monobody.errors import UserError


@dataclass(frozen=True, kw_only=True, slots=True)
class SkeletonMotion:
    """A moving skeleton as its file has it: the file's own axes and length unit, nothing converted.

    Rotations are local, relative to a rest pose in which every joint's axes are the world's. End sites are joints
    that never turn.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    """-1 for the root; a parent always comes before its children."""
    offsets: Float[NDArray, "j 3"]
    rotations: Float[NDArray, "t j 3 3"]
    positions: Float[NDArray, "t j 3"]
    """Where each joint lies in its parent's axes."""
    fps: float

    def world(self) -> tuple[Float[NDArray, "t j 3 3"], Float[NDArray, "t j 3"]]:
        """Return every joint's orientation and position in the file's world."""
        rotations, positions = self.rotations.copy(), self.positions.copy()
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                positions[:, joint] = positions[:, parent] + _apply(rotations[:, parent], positions[:, joint])
                rotations[:, joint] = rotations[:, parent] @ rotations[:, joint]
        return rotations, positions


def read_bvh(path: str | Path) -> SkeletonMotion:
    """Read one BVH file.

    Raises:
        UserError: the file is not BVH, is cut short, or its numbers do not fit its channels.
    """
    try:
        tokens = Path(path).read_text(errors="replace").split()
        return _parse(tokens)
    except (IndexError, ValueError, KeyError) as error:
        raise UserError(f"{path} is not a complete BVH file ({error}). Export it again.") from error


def euler_to_matrix(angles_rad: Float[NDArray, "*b n"], axes: str) -> Float[NDArray, "*b 3 3"]:
    """Multiply rotations about the axes, e.g. "ZXY" -> Rz Rx Ry: the first named acts last."""
    result = np.broadcast_to(np.eye(3), (*angles_rad.shape[:-1], 3, 3))
    for i, axis in enumerate(axes):
        cos, sin = np.cos(angles_rad[..., i]), np.sin(angles_rad[..., i])
        first, second = {"X": (1, 2), "Y": (2, 0), "Z": (0, 1)}[axis]
        turn = np.zeros((*cos.shape, 3, 3))
        turn[..., 3 - first - second, 3 - first - second] = 1
        turn[..., first, first] = turn[..., second, second] = cos
        turn[..., second, first], turn[..., first, second] = sin, -sin
        result = result @ turn
    return result


def _parse(tokens: list[str]) -> SkeletonMotion:
    names: list[str] = []
    parents: list[int] = []
    offsets: list[list[float]] = []
    channels: list[list[str]] = []
    open_joints: list[int] = []
    position = tokens.index("HIERARCHY") + 1
    while tokens[position] != "MOTION":
        word = tokens[position]
        if word in ("ROOT", "JOINT", "End"):
            parents.append(open_joints[-1] if open_joints else -1)
            names.append(f"{names[parents[-1]]}_end" if word == "End" else tokens[position + 1])
            offsets.append([0.0, 0.0, 0.0])
            channels.append([])
            # The tokens are: the word, the name (or "Site"), an opening brace.
            open_joints.append(len(names) - 1)
            position += 3
        elif word == "OFFSET":
            offsets[open_joints[-1]] = [float(value) for value in tokens[position + 1 : position + 4]]
            position += 4
        elif word == "CHANNELS":
            count = int(tokens[position + 1])
            channels[open_joints[-1]] = tokens[position + 2 : position + 2 + count]
            position += 2 + count
        elif word == "}":
            open_joints.pop()
            position += 1
        else:
            raise ValueError(f"unexpected word {word[:40]!r} in the hierarchy")
    frames, frame_time = int(tokens[position + 2]), float(tokens[position + 5])
    width = sum(len(each) for each in channels)
    values = np.array(tokens[position + 6 : position + 6 + frames * width], np.float64)
    if len(values) != frames * width:
        raise ValueError(f"{frames} frames of {width} numbers announced, {len(values)} numbers found")
    rotations, positions = _channels_to_motion(values.reshape(frames, width), channels, np.array(offsets))
    return SkeletonMotion(
        names=tuple(names),
        parents=tuple(parents),
        offsets=np.array(offsets),
        rotations=rotations,
        positions=positions,
        fps=1 / frame_time,
    )


def _channels_to_motion(
    values: Float[NDArray, "t c"], channels: list[list[str]], offsets: Float[NDArray, "j 3"]
) -> tuple[Float[NDArray, "t j 3 3"], Float[NDArray, "t j 3"]]:
    rotations = np.tile(np.eye(3), (len(values), len(channels), 1, 1))
    positions = np.tile(offsets, (len(values), 1, 1))
    start = 0
    for joint, words in enumerate(channels):
        columns = {word: start + i for i, word in enumerate(words)}
        start += len(words)
        turns = [word for word in words if word.endswith("rotation")]
        if turns:
            angles = np.deg2rad(values[:, [columns[word] for word in turns]])
            rotations[:, joint] = euler_to_matrix(angles, "".join(word[0] for word in turns))
        if {"Xposition", "Yposition", "Zposition"} <= columns.keys():
            moved = values[:, [columns[f"{axis}position"] for axis in "XYZ"]]
            # The root's channels replace its offset. Of other joints some writers repeat the offset in them and
            # some give what is to be added (Blender): the values tell which.
            replaces = joint == 0 or np.linalg.norm(moved.mean(0) - offsets[joint]) < np.linalg.norm(moved.mean(0))
            positions[:, joint] = moved if replaces else offsets[joint] + moved
    return rotations, positions


def _apply(rotations: Float[NDArray, "t 3 3"], vectors: Float[NDArray, "t 3"]) -> Float[NDArray, "t 3"]:
    return np.einsum("tij,tj->ti", rotations, vectors)
