"""JSON: a scene's numbers for people and programs that have never heard of this library.

``people[i]`` has ``box`` (x0, y0, x1, y1 in pixels), ``score``, ``camera``, ``theta`` (85 numbers) and ``joints``: for
each joint set ``px`` (in the upright picture) and ``cam_m`` (x right, y down, z forward, metres). A joint that the
body does not have is null. All of this is the best hypothesis's; ``hypotheses[j]`` has every one's ``weight`` (they
add up to 1), ``joints``, ``theta`` and ``translation_m``. Skeletons without a body have null in place of the last two
and of the weak-perspective camera.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from monobody.body.skeleton import SKELETONS
from monobody.files import atomic_write
from monobody.scene import Hypothesis, Person, Scene


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
    best = _hypothesis_table(person.best)
    weak = person.camera_weak if person.best.has_body else None
    return {
        "box": _rounded(person.box_px, 2),
        "score": round(person.score, 4),
        "camera": {
            "weak_perspective": weak if weak is None else dict(zip(("s", "tx", "ty"), weak.tolist(), strict=True)),
            "crop": {
                "centre_px": [round(value, 3) for value in person.crop.centre_px],
                "size_px": round(person.crop.size_px, 3),
                "detector_angle_rad": round(person.crop.angle_rad, 5),
            },
            "translation_m": best["translation_m"],
        },
        "theta": best["theta"],
        "joints": best["joints"],
        "hypotheses": [_hypothesis_table(hypothesis) for hypothesis in person.hypotheses],
    }


def _hypothesis_table(one: Hypothesis) -> dict[str, Any]:
    return {
        "weight": float(one.weight),
        "joints": {
            name: {"px": _rounded(one.joints_px[name], 2), "cam_m": _rounded(one.joints_cam_m[name], 5)}
            for name in one.joints_px
        },
        "theta": None if one.theta is None else [float(value) for value in one.theta],
        "translation_m": None if one.translation_m is None else _rounded(one.translation_m, 5),
    }


def _rounded(values: np.ndarray, digits: int) -> list[Any]:
    """Return nested lists of numbers; points that are not known become null."""
    if values.ndim > 1:
        return [_rounded(row, digits) if np.isfinite(row).all() else None for row in values]
    return [round(float(value), digits) for value in values]
