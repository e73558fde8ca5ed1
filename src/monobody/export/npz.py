"""A scene as .npz: plain arrays for numpy users, and the file a :class:`Scene` is read back from.

Keys (P people, H hypotheses): ``theta`` (P, H, 85), ``rotations`` (P, H, 24, 3, 3), ``translation_m`` (P, H, 3),
``weight`` (P, H), ``box_px`` (P, 4), ``score`` (P,), ``crop`` (P, 4: centre x, y, side in pixels, angle in radians),
``joints_cam_m.SET`` (P, H, K, 3) and ``joints_px.SET`` (P, H, K, 2) for every joint set, and ``facts``: a JSON string
with picture size, camera, model, terms, versions. Skeletons without a body have no ``theta``, ``rotations`` and
``translation_m``. Nothing in it is pickled.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monobody.body.skeleton import SKELETONS
from monobody.camera import Camera
from monobody.data.crop import Crop
from monobody.errors import UserError
from monobody.export.safe_npz import damaged, facts_in, read_arrays, typed
from monobody.files import atomic_write
from monobody.scene import Hypothesis, Person, Scene

if TYPE_CHECKING:
    from monobody.body.model import Body

FORMAT = "monobody-scene-1"
BODY: dict[str, tuple[int, ...]] = {"theta": (85,), "rotations": (24, 3, 3), "translation_m": (3,)}
"""What only bodies have, and its shape."""


def write_npz(scene: Scene, path: str | Path) -> Path:
    """Write all numbers of a scene, whole or not at all.

    People with fewer hypotheses than others are filled up with weight 0.
    """
    most = max((len(person.hypotheses) for person in scene.people), default=1)
    rows = [
        (*person.hypotheses, *[_weightless(person.best)] * (most - len(person.hypotheses))) for person in scene.people
    ]
    count = len(rows)
    sets = list(scene.people[0].best.joints_cam_m) if rows else []

    def stacked(get: Any, *shape: int) -> np.ndarray:
        return np.array([[get(item) for item in row] for row in rows], np.float32).reshape(count, most, *shape)

    arrays: dict[str, np.ndarray] = {
        "weight": stacked(lambda item: item.weight),
        "box_px": np.array([person.box_px for person in scene.people], np.float32).reshape(count, 4),
        "score": np.array([person.score for person in scene.people], np.float32),
        "crop": np.array(
            [[*person.crop.centre_px, person.crop.size_px, person.crop.angle_rad] for person in scene.people],
            np.float64,
        ).reshape(count, 4),
    }
    if scene.has_bodies:
        arrays |= {name: stacked(lambda item, name=name: getattr(item, name), *shape) for name, shape in BODY.items()}
    for name in sets:
        joints = len(scene.people[0].best.joints_cam_m[name])
        arrays[f"joints_cam_m.{name}"] = stacked(lambda item, name=name: item.joints_cam_m[name], joints, 3)
        arrays[f"joints_px.{name}"] = stacked(lambda item, name=name: item.joints_px[name], joints, 2)
    facts = {
        "format": FORMAT,
        "name": scene.name,
        "width_px": scene.width_px,
        "height_px": scene.height_px,
        "camera": asdict(scene.camera),
        "body_digest": scene.body_digest,
        "model": scene.model,
        "terms": scene.terms,
        "versions": dict(scene.versions),
        "notes": list(scene.notes),
    }
    arrays["facts"] = np.array(json.dumps(facts))
    with atomic_write(path, suffix=".npz") as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **arrays)
    return Path(path)


def read_npz(path: str | Path, body: "Body | None" = None) -> Scene:
    """Read what :func:`write_npz` wrote.

    Raises:
        UserError: the file is missing, damaged, or no scene.
    """
    return scene_from(read_arrays(path, "scene"), path, body)


def scene_from(arrays: dict[str, np.ndarray], path: str | Path, body: "Body | None" = None) -> Scene:
    """Build the scene from a file's arrays.

    Raises:
        UserError: they are no scene's, or a number is not finite.
    """
    try:
        facts = facts_in(arrays)
        if facts["format"] != FORMAT:
            raise ValueError("unknown format")
        known = typed(facts, name=str, width_px=int, height_px=int, body_digest=str, model=str, terms=str)
        typed(facts, versions=dict, notes=list, camera=dict)
        bodies = tuple(BODY) if BODY.keys() & arrays.keys() else ()
        # A body's joints may be NaN, where it has none; a skeleton has all of its own.
        for key in (*(bodies or _skeleton_shapes(arrays)), "weight", "box_px", "score", "crop"):
            if not np.isfinite(arrays[key]).all():
                raise UserError(f"{path}: {key} has a number that is not finite. Predict again.")
        count = len(arrays["weight"])
        if any(len(array) != count for array in arrays.values()):
            raise ValueError("arrays of different numbers of people")
        return Scene(
            people=tuple(_person(arrays, index) for index in range(count)),
            camera=camera_from(facts["camera"]),
            versions={str(key): str(value) for key, value in facts["versions"].items()},
            notes=tuple(str(note) for note in facts["notes"]),
            body=body,
            **known,
        )
    except UserError:
        raise
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise damaged(path, "scene") from error


def holds_skeletons(arrays: dict[str, np.ndarray]) -> bool:
    """Tell whether a file's arrays are a scene of people without bodies."""
    return "weight" in arrays and len(arrays["weight"]) > 0 and not BODY.keys() & arrays.keys()


def camera_from(facts: dict[str, Any]) -> Camera:
    """Return a camera from its facts.

    Raises:
        KeyError, TypeError, ValueError: they are no camera's.
    """
    x, y = (float(value) for value in facts["principal_px"])
    focal_px, source = float(facts["focal_px"]), facts["source"]
    if not focal_px > 0 or source not in ("user", "exif", "default"):
        raise ValueError("no camera")
    return Camera(focal_px=focal_px, principal_px=(x, y), source=source)


def _person(arrays: dict[str, np.ndarray], index: int) -> Person:
    """Build the person with this index from the file's arrays."""
    weight, bodies = arrays["weight"], BODY if "theta" in arrays else {}
    if weight.ndim != 2 or weight.shape[1] < 1:
        raise ValueError("weight has another shape")
    for key, shape in (bodies or _skeleton_shapes(arrays)).items():
        if arrays[key].shape[1:] != (weight.shape[1], *shape):
            raise ValueError(f"{key} has another shape")

    def joints(prefix: str, h: int) -> dict[str, np.ndarray]:
        return {key[len(prefix) :]: arrays[key][index, h] for key in arrays if key.startswith(prefix)}

    hypotheses = tuple(
        Hypothesis(
            weight=float(weight[index, h]),
            joints_cam_m=joints("joints_cam_m.", h),
            joints_px=joints("joints_px.", h),
            **{key: arrays[key][index, h] for key in bodies},
        )
        for h in range(weight.shape[1])
        if h == 0 or weight[index, h] > 0
    )
    x, y, size, angle = (float(value) for value in arrays["crop"][index])
    return Person(
        box_px=arrays["box_px"][index],
        score=float(arrays["score"][index]),
        crop=Crop((x, y), size, angle),
        hypotheses=hypotheses,
    )


def _skeleton_shapes(arrays: dict[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Return the keys of joints and the shapes that they have in files of skeletons.

    Raises:
        KeyError: there is no such joint set.
    """
    names = [key.partition(".")[2] for key in arrays if key.startswith("joints_cam_m.")]
    counts = {name: len(SKELETONS[name].joints) for name in names}
    return {
        f"{kind}.{name}": (count, d)
        for name, count in counts.items()
        for kind, d in (("joints_cam_m", 3), ("joints_px", 2))
    }


def _weightless(hypothesis: Hypothesis) -> Hypothesis:
    """Return a copy with weight 0, which fills a row of the file."""
    return replace(hypothesis, weight=0.0)
