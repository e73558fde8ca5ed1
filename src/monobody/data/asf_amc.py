"""Acclaim skeleton and motion files (ASF/AMC), the form in which the CMU database gives its motion capture.

An ASF bone has a direction and a length in the rest pose's world axes, and axes of its own C in which the AMC file
gives its angles M. Its rotation relative to its parent, in world axes, is C M C⁻¹. Here each bone becomes a joint at
the bone's start, as in BVH, and a bone without children gets an end joint, so that both readers give the same thing.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from monobody.data.bvh import SkeletonMotion, euler_to_matrix
from monobody.errors import UserError

# The AMC files of the CMU database do not state their frame rate; its web site does.
_CMU_FPS = 120.0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Bone:
    name: str
    direction: Float[NDArray, "3"]
    length: float
    axes: Float[NDArray, "3 3"]
    degrees_of_freedom: tuple[str, ...]


def read_asf_amc(asf_path: str | Path, amc_path: str | Path, *, fps: float = _CMU_FPS) -> SkeletonMotion:
    """Read a motion (AMC) on its skeleton (ASF); lengths in the ASF's unit after its own scale.

    Raises:
        UserError: one of the files is not what its name says, or they do not belong together.
    """
    try:
        bones, children, root_order = _parse_asf(Path(asf_path).read_text(errors="replace"))
    except (IndexError, ValueError, KeyError) as error:
        raise UserError(f"{asf_path} is not a complete ASF skeleton ({error}).") from error
    try:
        frames = _parse_amc(Path(amc_path).read_text(errors="replace"))
        return _assemble(bones, children, root_order, frames, fps)
    except (IndexError, ValueError, KeyError) as error:
        raise UserError(f"{amc_path} is not a motion of the skeleton {asf_path} ({error}).") from error


def _parse_asf(text: str) -> tuple[dict[str, _Bone], dict[str, list[str]], tuple[str, ...]]:
    """Return bones by name, children by name, and the order of the root's values."""
    sections: dict[str, list[list[str]]] = {}
    current: list[list[str]] = []
    for line in text.splitlines():
        words = line.split("#")[0].replace("(", " ").replace(")", " ").split()
        if words and words[0].startswith(":"):
            current = sections.setdefault(words[0], [])
        elif words:
            current.append(words)
    units = {words[0]: words[1] for words in sections.get(":units", [])}
    scale = 1 / float(units.get("length", 1))
    to_radians = np.pi / 180 if units.get("angle", "deg") == "deg" else 1.0
    bones: dict[str, _Bone] = {}
    fields: dict[str, list[str]] = {}
    for words in sections[":bonedata"]:
        if words[0] == "begin":
            fields = {}
        elif words[0] == "end":
            *angles, order = fields["axis"]
            name = fields["name"][0]
            bones[name] = _Bone(
                name=name,
                direction=np.array(fields["direction"], np.float64),
                length=float(fields["length"][0]) * scale,
                axes=_turn(np.array(angles, np.float64) * to_radians, order),
                degrees_of_freedom=tuple(fields.get("dof", ())),
            )
        else:
            fields[words[0]] = words[1:]
    children = {words[0]: words[1:] for words in sections[":hierarchy"] if words[0] not in ("begin", "end")}
    root_order = next(tuple(words[1:]) for words in sections[":root"] if words[0] == "order")
    return bones, children, root_order


def _parse_amc(text: str) -> list[dict[str, list[float]]]:
    frames: list[dict[str, list[float]]] = []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0][0] in "#:":
            continue
        if words[0].isdigit():
            frames.append({})
        else:
            frames[-1][words[0]] = [float(word) for word in words[1:]]
    # Files of the database are found cut off in the middle of the last frame.
    if len(frames) > 1 and frames[-1].keys() != frames[0].keys():
        frames.pop()
    if not frames:
        raise ValueError("no frames")
    return frames


def _assemble(
    bones: dict[str, _Bone],
    children: dict[str, list[str]],
    root_order: tuple[str, ...],
    frames: list[dict[str, list[float]]],
    fps: float,
) -> SkeletonMotion:
    unknown = set(frames[0]) - set(bones) - {"root"}
    if unknown:
        raise ValueError(f"bones {sorted(unknown)} are not in the skeleton")
    names, parents, offsets = ["root"], [-1], [np.zeros(3)]
    rotations = [_motion(frames, "root", root_order)]
    pending = [("root", 0)]
    while pending:
        bone, index = pending.pop()
        span = np.zeros(3) if bone == "root" else bones[bone].direction * bones[bone].length
        for child in children.get(bone, []):
            names.append(child)
            parents.append(index)
            offsets.append(span)
            axes = bones[child].axes
            rotations.append(axes @ _motion(frames, child, bones[child].degrees_of_freedom) @ axes.T)
            pending.append((child, len(names) - 1))
        if bone not in children:
            names.append(f"{bone}_end")
            parents.append(index)
            offsets.append(span)
            rotations.append(np.tile(np.eye(3), (len(frames), 1, 1)))
    positions = np.tile(np.array(offsets), (len(frames), 1, 1))
    columns = [next(i for i, word in enumerate(root_order) if word.lower() == f"t{axis}") for axis in "xyz"]
    positions[:, 0] = np.array([frame["root"] for frame in frames])[:, columns]
    return SkeletonMotion(
        names=tuple(names),
        parents=tuple(parents),
        offsets=np.array(offsets),
        rotations=np.stack(rotations, 1),
        positions=positions,
        fps=fps,
    )


def _motion(frames: list[dict[str, list[float]]], bone: str, order: tuple[str, ...]) -> Float[NDArray, "t 3 3"]:
    """Return M of one bone for all frames: the rotation by its free angles, identity where it has none."""
    columns = [i for i, word in enumerate(order) if word.lower() in ("rx", "ry", "rz")]
    if not columns:
        return np.tile(np.eye(3), (len(frames), 1, 1))
    angles = np.deg2rad(np.array([frame[bone] for frame in frames])[:, columns])
    return _turn(angles, "".join(order[i][1] for i in columns))


def _turn(angles_rad: Float[NDArray, "*b n"], order: str) -> Float[NDArray, "*b 3 3"]:
    """Rotate about the axes in turn: Acclaim's "XYZ" turns about x first, that is Rz Ry Rx."""
    return euler_to_matrix(angles_rad[..., ::-1], order.upper()[::-1])
