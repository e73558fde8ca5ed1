"""OBJ: posed meshes with texture coordinates, one object a person; of a clip one file a frame.

A scene is written in glTF's frame (x right, y up, z towards the viewer, metres, the picture's camera at the origin),
which is what programs expect of an OBJ file; a clip likewise unless asked otherwise.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from monobody.body.assets import BodyData
from monobody.export.armature import Z_UP, places_of
from monobody.export.options import ExportOptions
from monobody.export.paths import numbered, written_together
from monobody.export.resample import evenly
from monobody.export.skin import Y_UP
from monobody.files import atomic_write
from monobody.motion import Motion
from monobody.scene import Scene, of_body


def write_obj(scene: Scene, path: str | Path) -> Path:
    """Write a scene as OBJ, whole or not at all.

    Raises:
        UserError: the scene has skeletons without bodies, or the file cannot be written.
    """
    for person in scene.people:
        of_body(person.best.theta)
    note = f"monobody {scene.versions.get('monobody', '')}, model {scene.model}: {scene.terms}"
    people = [(f"person_{n}", scene.vertices_cam_m(one) @ Y_UP.T) for n, one in enumerate(scene.people)]
    text = obj_text(people, scene.with_body().data if people else None, note, "metres")
    with atomic_write(path, suffix=".obj") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def write_obj_sequence(motion: Motion, path: str | Path, options: ExportOptions) -> list[Path]:
    """Write a clip as OBJ files numbered by frame, all of them or none; a clip of one frame as one file."""
    motion = motion if options.fps is None else evenly(motion, options.fps)
    count = len(motion.times_s)
    digits = max(4, len(str(count - 1)))
    paths = [Path(path)] if count == 1 else [numbered(path, f"{frame:0{digits}d}") for frame in range(count)]
    return written_together(paths, _frames(motion, options))


def _frames(motion: Motion, options: ExportOptions) -> Iterator[bytes]:
    """Yield each frame's file; people who are not there are not in it."""
    body = motion.with_body()
    to_file = (Z_UP if options.up == "z" else np.eye(3)) * (100.0 if options.unit == "cm" else 1.0)
    note = f"monobody {motion.versions.get('monobody', '')}, model {motion.model}: {motion.terms}"
    takes = places_of(motion, options)
    for frame in range(len(motion.times_s)):
        people = []
        for name, take, shift_m, _ in takes:
            here = np.flatnonzero(take.frames == frame)
            if not len(here):
                continue
            (n,) = here
            posed = body(torch.from_numpy(take.rotations[n]).float(), torch.from_numpy(take.betas).float())
            cam_m = posed.vertices_m.double().numpy() + take.translation_m[n]
            world_m = cam_m @ motion.T_world_camera[:3, :3].T + motion.T_world_camera[:3, 3] + shift_m[n]
            people.append((name, world_m @ to_file.T))
        yield obj_text(people, body.data, note, "centimetres" if options.unit == "cm" else "metres").encode()


def obj_text(
    people: Sequence[tuple[str, Float[np.ndarray, "v 3"]]], data: BodyData | None, note: str, unit: str
) -> str:
    """Return meshes as OBJ; texture coordinates are everybody's, vertices count through the file, from 1."""
    parts = [f"# {' '.join(note.split())}\n# {unit}\n"]
    if data is not None:
        parts.append(_lines("vt %.5f %.5f\n", data.vt))
        for number, (name, vertices) in enumerate(people):
            triangles = data.faces + 1 + number * len(vertices)
            parts += [f"o {name}\n", _lines("v %.5f %.5f %.5f\n", vertices)]
            if len(data.ft):
                corners = np.stack([triangles, data.ft + 1], axis=2).reshape(-1, 6)
                parts.append(_lines("f %d/%d %d/%d %d/%d\n", corners))
            else:
                parts.append(_lines("f %d %d %d\n", triangles))
    return "".join(parts)


def _lines(pattern: str, rows: np.ndarray) -> str:
    """Format all rows at once, which takes a tenth of the time of one by one."""
    return (pattern * len(rows)) % tuple(rows.reshape(-1).tolist())
