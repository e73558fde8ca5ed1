"""What a model answered for the people of a test set, whoever's model it was; kept in one file.

A file of predictions (.npz, no pickles) lets anybody measure another model by our protocols, and lets a measurement be
repeated without the network. It holds the fields of :class:`Predictions` that are not None, each under its own name:

    names (n,) text   joint_set, model, terms text   joints_cam_m (n, h, k, 3)   joints_px (n, h, k, 2)
    weights (n, h)   absolute   rotations (n, h, 24, 3, 3)   betas (n, h, 10)   translation_m (n, h, 3)
    focal_px (n,)   principal_px (n, 2)   body_digest text   made_with text

`names`, `joint_set` and one of the two kinds of joints are needed. Shapes: n people, h hypotheses, k joints of one set.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from monobody.body.skeleton import HUMAN_SETS, correspondence
from monobody.errors import UserError
from monobody.files import atomic_write

WEIGHTS_TOLERANCE = 1e-3
ROTATION_TOLERANCE = 1e-2
LARGEST_M = 10.0
"""Nobody is larger; a network's single monster may be, and is measured, but not most of a file's people."""
TEXTS = ("model", "terms", "joint_set", "body_digest", "made_with")


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """Answers in the order of the test set's people; what a model does not give is None."""

    model: str
    terms: str
    """On what terms the answers may be used."""
    names: tuple[str, ...]
    """Of the people, as the test set calls them."""
    joint_set: str
    """Which of `body.skeleton.HUMAN_SETS` the joints belong to."""
    joints_cam_m: Float[np.ndarray, "n h k 3"] | None = None
    """Metres, in the picture's camera frame; where the person stands may be unknown (see `absolute`)."""
    absolute: bool = False
    """Whether `joints_cam_m` are where the model believes the person stands before the camera."""
    joints_px: Float[np.ndarray, "n h k 2"] | None = None
    """In pixels of the upright picture."""
    weights: Float[np.ndarray, "n h"] | None = None
    """How much the model believes in each hypothesis; each person's add up to 1. None where there is one."""
    rotations: Float[np.ndarray, "n h 24 3 3"] | None = None
    """Bodies: the joints' rotations, the root's into the picture's camera frame."""
    betas: Float[np.ndarray, "n h 10"] | None = None
    translation_m: Float[np.ndarray, "n h 3"] | None = None
    """Where the posed body stands before the picture's camera."""
    focal_px: Float[np.ndarray, " n"] | None = None
    principal_px: Float[np.ndarray, "n 2"] | None = None
    body_digest: str = ""
    """Which body `rotations` and `betas` belong to."""
    made_with: str = ""
    """Digest of the weights and of what was asked, by which a stopped run knows its answers; "" in others' files."""

    @property
    def hypotheses(self) -> int:
        """How many hypotheses each person has."""
        arrays = (self.joints_cam_m, self.joints_px, self.rotations)
        return next(array.shape[1] for array in arrays if array is not None)

    def of(self, people: slice) -> "Predictions":
        """Return the predictions of some of the people."""
        parts = {name: array[people] for name, array in arrays_of(self).items()}
        return replace(self, names=self.names[people], **parts)


def arrays_of(predictions: Predictions) -> dict[str, np.ndarray]:
    """Return the arrays that are there by their names; the first axis of each is people."""
    return {
        field.name: value
        for field in fields(predictions)
        if isinstance(value := getattr(predictions, field.name), np.ndarray)
    }


def joined(parts: Sequence[Predictions]) -> Predictions:
    """Return predictions of one model for several lots of people as those for all of them."""
    first = parts[0]
    arrays = {name: np.concatenate([arrays_of(part)[name] for part in parts]) for name in arrays_of(first)}
    return replace(first, names=tuple(name for part in parts for name in part.names), **arrays)


def as_joints(predictions: Predictions, joint_set: str, kind: str = "joints_cam_m") -> Float[np.ndarray, "n h k d"]:
    """Return the predicted joints in the order of another set, matched by name.

    Args:
        kind: "joints_cam_m" or "joints_px".

    Raises:
        UserError: there are no such joints, or the predictions' set lacks some of the wanted ones.
    """
    joints = getattr(predictions, kind)
    what = {"joints_cam_m": "3D joints (joints_cam_m)", "joints_px": "joints in the picture (joints_px)"}[kind]
    if joints is None:
        raise UserError(f"The predictions of {predictions.model} hold no {what}, which this protocol measures.")
    order = correspondence(predictions.joint_set, joint_set)
    lost = [name for name, place in zip(HUMAN_SETS[joint_set].joints, order, strict=True) if place < 0]
    if lost:
        raise UserError(
            f"The predictions of {predictions.model} have the joints of {predictions.joint_set}, which lacks "
            f"{', '.join(lost)} of {joint_set}: predict {joint_set}."
        )
    return joints[:, :, list(order)]


def ensure_of(predictions: Predictions, names: Sequence[str], source: str) -> None:
    """Make sure that predictions are those of a test set's people, in its order.

    Raises:
        UserError: there are others, more, fewer, or the order is another.
    """
    if len(predictions.names) != len(names):
        raise UserError(
            f"{source} has predictions of {len(predictions.names):,} people, the test set has {len(names):,}: "
            "predict everybody, in the order of the set."
        )
    wrong = next((i for i, pair in enumerate(zip(predictions.names, names, strict=True)) if pair[0] != pair[1]), None)
    if wrong is not None:
        known = "in another order" if set(predictions.names) == set(names) else "of other people"
        raise UserError(
            f'{source} has predictions {known}: number {wrong + 1} is "{predictions.names[wrong]}", in the test set it '
            f'is "{names[wrong]}".'
        )


def write_predictions(predictions: Predictions, path: str | Path) -> None:
    """Write predictions as one .npz, whole or not at all.

    Raises:
        UserError: they contradict themselves (:func:`ensure_sound`), or the file cannot be written.
    """
    ensure_sound(predictions, "The predictions")
    content: dict[str, Any] = {name: np.asarray(getattr(predictions, name)) for name in TEXTS}
    content |= {"names": np.asarray(predictions.names, dtype=np.str_), "absolute": np.asarray(predictions.absolute)}
    with atomic_write(path, suffix=".npz") as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **content, **arrays_of(predictions))


def read_predictions(path: str | Path) -> Predictions:
    """Read predictions that :func:`write_predictions`, or somebody else's program, has written.

    Raises:
        UserError: the file is missing, damaged or incomplete, or what it says cannot be.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no file of predictions {path}: check the path.")
    wanted = {field.name for field in fields(Predictions)}
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files if name in wanted}
    except Exception as error:  # Archives of damaged bytes raise nearly anything; so does a single array.
        raise UserError(f"{path} is no .npz of predictions, or damaged ({error}): write it again.") from error
    if lost := [name for name in ("names", "joint_set") if name not in content]:
        raise UserError(f"{path} lacks {' and '.join(lost)}: an .npz of predictions has them (`docs/evaluation.md`).")
    texts = {name: _text(content.pop(name), path, name) for name in TEXTS if name in content}
    names = content.pop("names")
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise UserError(f"{path}: names must be one text for each person, not {names.dtype} of shape {names.shape}.")
    absolute = content.pop("absolute", np.asarray(False))
    if absolute.ndim != 0 or absolute.dtype.kind not in "biu":
        raise UserError(
            f"{path}: absolute must be one yes or no (True or False), not {absolute.dtype} of shape {absolute.shape}."
        )
    for name, array in content.items():
        if array.dtype.kind not in "fiu":
            raise UserError(f"{path}: {name} does not hold numbers but {array.dtype}.")
    given = {"model": path.stem, "terms": "not stated"} | texts
    predictions = Predictions(
        names=tuple(_decoded(name, path, "names") for name in names.tolist()),
        absolute=bool(absolute),
        **given,
        **content,
    )
    ensure_sound(predictions, str(path))
    return predictions


def ensure_sound(predictions: Predictions, source: str) -> None:
    """Make sure that predictions can be what they say.

    Raises:
        UserError: an unknown joint set, arrays of other shapes, nobody's answers, numbers that are not finite, weights
            that do not add up to 1, rotations that are none or mirror, bodies without saying which body's, focal
            lengths that are none, somebody's file with most people behind the camera, or lengths that are not metres.
    """
    if predictions.joint_set not in HUMAN_SETS:
        known = ", ".join(HUMAN_SETS)
        raise UserError(f'{source}: there is no joint set "{predictions.joint_set}"; choose from {known}.')
    arrays = arrays_of(predictions)
    if not arrays.keys() & {"joints_cam_m", "joints_px"}:
        raise UserError(f"{source} has neither joints_cam_m nor joints_px: there is nothing to measure.")
    n, k = len(predictions.names), len(HUMAN_SETS[predictions.joint_set].joints)
    h = next((array.shape[1] for name, array in arrays.items() if array.ndim > 2), 1)
    shapes = {
        "joints_cam_m": (n, h, k, 3), "joints_px": (n, h, k, 2), "weights": (n, h), "rotations": (n, h, 24, 3, 3),
        "betas": (n, h, 10), "translation_m": (n, h, 3), "focal_px": (n,), "principal_px": (n, 2),
    }  # fmt: skip
    if h < 1:
        raise UserError(f"{source} has no hypotheses: give at least one answer for each person.")
    for name, array in arrays.items():
        if array.shape != shapes[name]:
            meaning = f"{n} people, {h} hypotheses, {k} joints of {predictions.joint_set}"
            raise UserError(f"{source}: {name} has the shape {array.shape}, not {shapes[name]} ({meaning}).")
        if not np.isfinite(array).all():
            person = predictions.names[int(np.argwhere(~np.isfinite(array))[0, 0])]
            raise UserError(f'{source}: {name} of "{person}" is not a finite number: nobody may be left out.')
    weights = predictions.weights
    if weights is None and h > 1:
        raise UserError(f"{source} has {h} hypotheses but no weights: say how much the model believes in each.")
    if weights is not None and ((weights < 0).any() or (np.abs(weights.sum(1) - 1) > WEIGHTS_TOLERANCE).any()):
        person = int(((weights < 0).any(1) | (np.abs(weights.sum(1) - 1) > WEIGHTS_TOLERANCE)).argmax())
        raise UserError(
            f'{source}: the weights of "{predictions.names[person]}" add up to {weights[person].sum():.4g}, the least '
            f"is {weights[person].min():.4g}: they must be shares of 1."
        )
    if predictions.rotations is not None:
        if not predictions.body_digest or predictions.betas is None:
            raise UserError(f"{source} has rotations without betas or body_digest: nobody can tell which body's.")
        r = predictions.rotations.reshape(-1, 3, 3)
        if n and np.abs(r @ r.swapaxes(1, 2) - np.eye(3)).max() > ROTATION_TOLERANCE:
            raise UserError(f"{source}: some of the rotations are no rotation matrices.")
        if (np.linalg.det(r) < 0).any():
            raise UserError(f"{source}: some of the rotations mirror (their determinant is -1): give rotations alone.")
    _ensure_before_camera(predictions, source)


def _ensure_before_camera(predictions: Predictions, source: str) -> None:
    """Make sure that people are of people's size, in metres, and that most stand where a camera can see them.

    A single one behind the camera is a network's mistake, most of them are another convention.
    """
    focal_px, joints_m = predictions.focal_px, predictions.joints_cam_m
    if focal_px is not None and (focal_px <= 0).any():
        person = int((focal_px <= 0).argmax())
        raise UserError(
            f'{source}: focal_px of "{predictions.names[person]}" is {focal_px[person]:g}: a focal length is positive.'
        )
    if joints_m is not None and joints_m.size:
        size_m = float(np.median(np.ptp(joints_m, axis=2).max(-1)))
        if size_m > LARGEST_M:
            raise UserError(
                f"{source}: in joints_cam_m people are {size_m:,.0f} m large (the median): give metres, not "
                "millimetres."
            )
    if predictions.made_with:
        return  # A network of ours may put somebody there, and is measured by it.
    for name, depth_m in _depths_m(predictions).items():
        behind = np.atleast_1d((depth_m <= 0).any(1))
        if 2 * behind.sum() > len(behind):
            person = int(behind.argmax())
            raise UserError(
                f"{source}: by {name} {behind.sum():,} of {len(behind):,} people stand behind the camera, "
                f'"{predictions.names[person]}" at z = {depth_m[person].min():.3g} m: z points away from it.'
            )


def behind_camera(predictions: Predictions) -> int:
    """Return how many people have an answer that stands behind the camera; they are measured like all others."""
    behind = [(depth_m <= 0).any(1) for depth_m in _depths_m(predictions).values()]
    return int(np.any(behind, axis=0).sum()) if behind else 0


def _depths_m(predictions: Predictions) -> dict[str, Float[np.ndarray, "n h"]]:
    """Return how far people stand before the camera, by the arrays that say so."""
    joints_m, translation_m = predictions.joints_cam_m, predictions.translation_m
    depths_m = {} if translation_m is None else {"translation_m": translation_m[..., 2]}
    if joints_m is not None and predictions.absolute:
        # Of the whole person: a hand may well be beside or behind a near camera.
        depths_m["joints_cam_m"] = joints_m[..., 2].mean(-1)
    return depths_m


def _text(array: np.ndarray, path: Path, name: str) -> str:
    if array.ndim != 0 or array.dtype.kind not in "US":
        raise UserError(f"{path}: {name} must be one text, not {array.dtype} of shape {array.shape}.")
    return _decoded(array.item(), path, name)


def _decoded(text: str | bytes, path: Path, name: str) -> str:
    try:
        return text.decode() if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: {name} is no text in UTF-8: write it as such.") from error
