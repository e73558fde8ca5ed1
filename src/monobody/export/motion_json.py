"""JSON: a motion's numbers for people and programs that have never heard of this library.

``people[i]`` has ``id``, ``betas``, ``frames``, ``seen``, ``score``, and for each of its frames ``pose`` (24
axis-angles, the first into the camera frame), ``translation_m`` and ``joints_cam_m`` (x right, y down, z forward,
metres).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from monobody.body.rotation import matrix_to_axis_angle
from monobody.body.skeleton import SKELETONS
from monobody.export.armature import joints_cam_m_of, places_of
from monobody.export.options import ExportOptions
from monobody.export.resample import evenly
from monobody.files import atomic_write
from monobody.motion import Motion, Track


def write_motion_json(motion: Motion, path: str | Path, options: ExportOptions) -> list[Path]:
    """Write a motion as JSON, whole or not at all."""
    motion = motion if options.fps is None else evenly(motion, options.fps)
    text = json.dumps(motion_table(motion, options), allow_nan=False)
    with atomic_write(path, suffix=".json") as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return [Path(path)]


def motion_table(motion: Motion, options: ExportOptions) -> dict[str, Any]:
    """Return a motion as what JSON knows: dicts, lists, numbers, strings, None."""
    camera = motion.camera
    return {
        "clip": {"name": motion.name, "width_px": motion.width_px, "height_px": motion.height_px},
        "camera": camera
        and {
            "focal_px": round(camera.focal_px, 3),
            "principal_px": list(camera.principal_px),
            "focal_source": camera.source,
        },
        "T_world_camera": np.asarray(motion.T_world_camera).tolist(),
        "model": motion.model,
        "terms": motion.terms,
        "body_digest": motion.body_digest,
        "versions": dict(motion.versions),
        "notes": list(motion.notes),
        "times_s": _rounded(motion.times_s, 6),
        "joint_names": list(SKELETONS["smpl24"].joints),
        "people": [_person(name, take, motion) for name, take, _, _ in places_of(motion, options)],
    }


def _person(name: str, take: Track, motion: Motion) -> dict[str, Any]:
    pose = matrix_to_axis_angle(torch.from_numpy(take.rotations.astype(np.float64))).numpy()
    return {
        "id": take.id,
        "name": name,
        "betas": _rounded(take.betas, 6),
        "frames": take.frames.tolist(),
        "seen": take.seen.tolist(),
        "score": _rounded(take.score, 4),
        "pose": _rounded(pose, 6),
        "translation_m": _rounded(take.translation_m, 6),
        "joints_cam_m": _rounded(joints_cam_m_of(take, motion.with_body()), 5),
    }


def _rounded(values: np.ndarray, digits: int) -> list[Any]:
    return np.round(np.asarray(values, np.float64), digits).tolist()
