"""JSON: a scene's numbers for people and programs that have never heard of this library.

``people[i]`` has ``box`` (x0, y0, x1, y1 in pixels), ``score``, ``camera``, ``theta`` (85 numbers) and ``joints``: for
each joint set ``px`` (in the upright picture) and ``cam_m`` (x right, y down, z forward, metres). A joint that the
body does not have is null.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from monobody.body.skeleton import SKELETONS
from monobody.files import atomic_write
from monobody.scene import Person, Scene


def write_json(scene: Scene, path: str | Path) -> Path:
    """Write a scene as JSON, whole or not at all."""
    text = json.dumps(scene_table(scene), allow_nan=False, indent=1)
    with atomic_write(path, suffix=".json") as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return Path(path)


def scene_table(scene: Scene) -> dict[str, Any]:
    """Return a scene as what JSON knows: dicts, lists, numbers, strings, None."""
    sets = list(scene.people[0].joints_px) if scene.people else []
    return {
        "picture": {"name": scene.name, "width_px": scene.width_px, "height_px": scene.height_px},
        "camera": {
            "focal_px": round(scene.camera.focal_px, 3),
            "principal_px": list(scene.camera.principal_px),
            "focal_source": scene.camera.source,
        },
        "model": scene.model,
        "terms": scene.terms,
        "body_digest": scene.body_digest,
        "versions": dict(scene.versions),
        "notes": list(scene.notes),
        "joint_names": {name: list(SKELETONS[name].joints) for name in sets},
        "people": [_person_table(person) for person in scene.people],
    }


def _person_table(person: Person) -> dict[str, Any]:
    scale, shift_x, shift_y = (float(value) for value in person.camera_weak)
    return {
        "box": _rounded(person.box_px, 2),
        "score": round(person.score, 4),
        "camera": {
            "weak_perspective": {"s": scale, "tx": shift_x, "ty": shift_y},
            "crop": {
                "centre_px": [round(value, 3) for value in person.crop.centre_px],
                "size_px": round(person.crop.size_px, 3),
                "detector_angle_rad": round(person.crop.angle_rad, 5),
            },
            "translation_m": _rounded(person.translation_m, 5),
        },
        "theta": [float(value) for value in person.theta],
        "joints": {
            name: {"px": _rounded(person.joints_px[name], 2), "cam_m": _rounded(person.joints_cam_m[name], 5)}
            for name in person.joints_px
        },
    }


def _rounded(values: np.ndarray, digits: int) -> list[Any]:
    """Return nested lists of numbers; points that are not known become null."""
    if values.ndim > 1:
        return [_rounded(row, digits) if np.isfinite(row).all() else None for row in values]
    return [round(float(value), digits) for value in values]
