"""A motion as .npz: plain arrays for numpy users, and the file a :class:`~monobody.motion.Motion` is read back from.

Keys: ``times_s`` (F,), ``T_world_camera`` (4, 4); for the n-th track ``track_n.frames``, ``.rotations``, ``.betas``,
``.translation_m``, ``.seen``, ``.score`` and, where the model gave several answers, ``.hypotheses.rotations`` and so
on; and ``facts``: a JSON string with ids, camera, model, terms, versions. Nothing in it is pickled.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monobody.errors import UserError
from monobody.export.npz import FORMAT as SCENE_FORMAT
from monobody.export.npz import camera_from, scene_from
from monobody.export.safe_npz import damaged, facts_in, read_arrays, typed
from monobody.files import atomic_write
from monobody.motion import Hypotheses, Motion, Track

if TYPE_CHECKING:
    from monobody.body.model import Body

FORMAT = "monobody-motion-1"
_TRACK = ("frames", "rotations", "betas", "translation_m", "seen", "score")
_HYPOTHESES = ("rotations", "betas", "translation_m", "weight")


def write_motion(motion: Motion, path: str | Path) -> Path:
    """Write all numbers of a motion, whole or not at all. Rotations and places are kept in single precision."""
    arrays: dict[str, np.ndarray] = {
        "times_s": np.asarray(motion.times_s, np.float64),
        "T_world_camera": np.asarray(motion.T_world_camera, np.float64),
    }
    for number, track in enumerate(motion.tracks):
        arrays |= {f"track_{number}.{name}": _stored(getattr(track, name)) for name in _TRACK}
        if track.hypotheses is not None:
            several = track.hypotheses
            arrays |= {f"track_{number}.hypotheses.{name}": _stored(getattr(several, name)) for name in _HYPOTHESES}
    facts = {
        "format": FORMAT,
        "ids": [track.id for track in motion.tracks],
        "name": motion.name,
        "camera": None if motion.camera is None else asdict(motion.camera),
        "width_px": motion.width_px,
        "height_px": motion.height_px,
        "body_digest": motion.body_digest,
        "model": motion.model,
        "terms": motion.terms,
        "versions": dict(motion.versions),
        "notes": list(motion.notes),
    }
    arrays["facts"] = np.array(json.dumps(facts))
    with atomic_write(path, suffix=".npz") as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **arrays)
    return Path(path)


def read_motion(path: str | Path, body: "Body | None" = None) -> Motion:
    """Read what :func:`write_motion` wrote, or a scene as a motion of one frame.

    Raises:
        UserError: the file is missing, damaged, or neither; or a number in it is not finite.
    """
    return motion_from(read_arrays(path, "motion"), path, body)


def motion_from(arrays: dict[str, np.ndarray], path: str | Path, body: "Body | None" = None) -> Motion:
    """Build the motion from a file's arrays.

    Raises:
        UserError: they are no motion's and no scene's, or a number is not finite.
    """
    try:
        facts = facts_in(dict(arrays))
        if facts["format"] == SCENE_FORMAT:
            return Motion.from_scene(scene_from(arrays, path, body))
        if facts["format"] != FORMAT:
            raise ValueError("unknown format")
        known = typed(facts, name=str, body_digest=str, model=str, terms=str)
        sizes = typed(facts, width_px=(int, type(None)), height_px=(int, type(None)))
        typed(facts, versions=dict, notes=list, camera=(dict, type(None)), ids=list)
        return Motion(
            times_s=arrays["times_s"],
            T_world_camera=arrays["T_world_camera"],
            tracks=tuple(_track(arrays, number, int(person)) for number, person in enumerate(facts["ids"])),
            camera=None if facts["camera"] is None else camera_from(facts["camera"]),
            versions={str(key): str(value) for key, value in facts["versions"].items()},
            notes=tuple(str(note) for note in facts["notes"]),
            body=body,
            **known,
            **sizes,
        )
    except UserError as error:
        raise error if str(path) in str(error) else UserError(f"{path}: {error}") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise damaged(path, "motion") from error


def _track(arrays: dict[str, np.ndarray], number: int, person: int) -> Track:
    prefix = f"track_{number}."
    fields: dict[str, Any] = {name: arrays[prefix + name] for name in _TRACK}
    if fields["frames"].dtype.kind not in "iu" or fields["seen"].dtype.kind != "b":
        raise TypeError("frames are no whole numbers, or marks no truth values")
    several = None
    if f"{prefix}hypotheses.weight" in arrays:
        several = Hypotheses(**{name: _computed(arrays[f"{prefix}hypotheses.{name}"]) for name in _HYPOTHESES})
    return Track(id=person, hypotheses=several, **{name: _computed(value) for name, value in fields.items()})


def _stored(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    return values.astype(np.float32) if values.dtype.kind == "f" else values


def _computed(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float64) if values.dtype.kind == "f" else values
