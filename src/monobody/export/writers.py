"""Which writer makes a file of which extension out of a motion."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from monobody.errors import UserError
from monobody.export.options import ExportOptions, options_for
from monobody.export.paths import suffix_of
from monobody.export.resample import evenly
from monobody.motion import Motion

WRITERS = {
    ".glb": ("monobody.export.glb", "write_motion_glb"),
    ".fbx": ("monobody.export.fbx", "write_fbx"),
    ".bvh": ("monobody.export.bvh", "write_bvh"),
    ".obj": ("monobody.export.obj", "write_obj_sequence"),
    ".csv": ("monobody.export.csv", "write_csv"),
    ".json": ("monobody.export.motion_json", "write_motion_json"),
    ".smpl.npz": ("monobody.export.smpl", "write_smpl"),
}
ONE_EACH = (".fbx", ".bvh", ".smpl.npz")


def save_motion(motion: Motion, path: str | Path, **choices: Any) -> list[Path]:
    """Write a motion in the format of the extension; ``choices`` are the fields of ``ExportOptions``.

    Returns:
        The files written.

    Raises:
        UserError: extension, choice or person is unknown, or a file cannot be written.
    """
    path = Path(path)
    suffix = suffix_of(path)
    options = options_for(suffix, choices)
    if options.person:
        motion = motion.only(options.person)
    if suffix == ".npz":
        from monobody.export.motion_npz import write_motion

        return [write_motion(motion if options.fps is None else evenly(motion, options.fps), path)]
    if not motion.tracks and suffix in ONE_EACH:
        raise UserError(f"There is nobody in {motion.name}, and a {suffix} file without anybody is none.")
    module, function = WRITERS[suffix]
    write: Callable[[Motion, Path, ExportOptions], list[Path]] = getattr(import_module(module), function)
    return write(motion, path, options)


def report(motion: Motion) -> list[str]:
    """Return what a reader of the files should know of the people's comings and goings."""
    lines = list(motion.notes)
    count = len(motion.times_s)
    for track in motion.tracks:
        inside = track.frames[-1] - track.frames[0] + 1
        missing, bridged = int(inside - len(track.frames)), int((~track.seen).sum())
        absent = int(count - inside)
        told = [
            text
            for number, text in (
                (bridged, f"{bridged} bridged"),
                (missing, f"{missing} interpolated"),
                (absent, f"absent in {absent}"),
            )
            if number
        ]
        if told:
            lines.append(f"person {track.id}: {', '.join(told)} of {count} frames")
    return lines
