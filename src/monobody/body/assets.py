"""Body files: SMPL's file format read into plain arrays, checked, with everything the rest needs beside them.

The shipped body (``monobody/assets/body.npz``, made by ``scripts/build_body.py``) carries UVs and its own keypoint
regressors. A user's SMPL file (``.npz``, or ``.pkl`` through the restricted reader of ``unpickle.py``) has neither:
its parts follow from the skinning weights, its keypoints from ``keypoints.py``.

Animals come in the same format with other numbers of joints and shape coefficients: the shipped quadruped
(``monobody/assets/quadruped.npz``, made by ``scripts/build_animal.py``) and a user's SMAL file. They load only where
animals are asked for, since most of the package is about people.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int32, UInt8

from monobody.body.keypoints import compose_regressors, openpose_regressor, substitute_marks
from monobody.errors import UserError

SHIPPED_BODY = Path(__file__).resolve().parents[1] / "assets" / "body.npz"
SHIPPED_ANIMAL = SHIPPED_BODY.with_name("quadruped.npz")
SHAPE_COEFFICIENTS = 10
PARTS6 = ("head", "torso", "right arm", "left arm", "right leg", "left leg")
# Which of LSP's six parts each of the 24 joints' skin belongs to.
NO_PART = 255
_PERSONS_JOINTS = 24
_PART6_OF_JOINT = np.array([1, 5, 4, 1, 5, 4, 1, 5, 4, 1, 5, 4, 0, 1, 1, 0, 3, 2, 3, 2, 3, 2, 3, 2], np.uint8)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BodyData:
    """A body in SMPL's format: metres, y up, facing +z, arms along x. ``V`` vertices, ``F`` triangles.

    A person has J = 24 joints and B = 10 shape coefficients; an animal has its own. An animal's file is taken as it is:
    SMAL's has z up and faces +x.
    """

    name: str
    digest: str
    """Identifies what a pose and a shape mean on this body; a checkpoint is bound to it. Keypoints are left out."""
    v_template: Float32[np.ndarray, "V 3"]
    shapedirs: Float32[np.ndarray, "V 3 B"]
    posedirs: Float32[np.ndarray, "V 3 P"]
    """Pose correctives: factors of the entries of R - I of all joints but the root, row-major; P = 9 (J - 1)."""
    J_regressor: Float32[np.ndarray, "J V"]
    weights: Float32[np.ndarray, "V J"]
    parents: tuple[int, ...]
    faces: Int32[np.ndarray, "F 3"]
    vt: Float32[np.ndarray, "T 2"]
    """Texture coordinates, the origin at the bottom left; empty where the body has none."""
    ft: Int32[np.ndarray, "F 3"]
    """Indices into ``vt`` for the corners of every triangle; empty where the body has none."""
    part24: UInt8[np.ndarray, " V"]
    """The joint that moves each vertex most."""
    part6: UInt8[np.ndarray, " V"]
    """LSP's parts, named in ``PARTS6``; ``NO_PART`` all over an animal."""
    vertex_area_m2: Float32[np.ndarray, " V"]
    keypoint_regressors: dict[str, Float32[np.ndarray, "K V"]]
    """By joint set; a row of zeros is a point that this body does not have (see ``placed``)."""

    def placed(self, set_name: str) -> np.ndarray:
        """Return which points of a joint set this body has, as booleans."""
        return np.abs(self.keypoint_regressors[set_name]).sum(axis=1) > 0


def load_body_data(path: str | Path | None = None, *, animals: bool = False) -> BodyData:
    """Read and check a body file; without a path the shipped body.

    Args:
        path: of a SMPL .npz or .pkl.
        animals: also take bodies that are no person's: SMAL's, with any number of joints and shape coefficients.

    Raises:
        UserError: the file is missing, not a body in SMPL's format, damaged, or holds anything but plain arrays.
    """
    file = SHIPPED_BODY if path is None else Path(path)
    if not file.is_file():
        raise UserError(f"There is no body file {file}; give a SMPL .npz or .pkl, or none for the shipped body.")
    if file.suffix.lower() == ".pkl":
        from monobody.body.unpickle import read_pickle

        arrays = read_pickle(file)
    else:
        arrays = _read_npz(file)
    try:
        return _assemble(arrays, file.stem, animals)
    except _WrongFile as problem:
        raise UserError(f"{file} is not a usable body: {problem}.") from None


class _WrongFile(ValueError):
    """Says what is wrong with a body's arrays, to be put after the file's name."""


def _read_npz(file: Path) -> dict[str, np.ndarray]:
    """Read the plain arrays of an npz; arrays that hold pickled objects are left out, never opened."""
    try:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise UserError(f"{file} is a single array, not a body; a body is a SMPL .npz or .pkl file.")
        arrays = {}
        with archive:
            for name in archive.files:
                try:
                    arrays[name] = archive[name]
                except ValueError as error:
                    if "allow_pickle" not in str(error):
                        raise
        return arrays
    except UserError:
        raise
    except Exception as error:  # A damaged archive makes zipfile and numpy raise nearly anything.
        raise UserError(f"{file} is damaged or not an .npz file; give a SMPL .npz or .pkl file.") from error


def _assemble(arrays: Mapping[str, np.ndarray], stem: str, animals: bool) -> BodyData:
    template = _floats(arrays, "v_template", (None, 3))
    count = len(template)
    if count == 0:
        raise _WrongFile("it has no vertices")
    faces = _array(arrays, "f" if "f" in arrays else "faces", (None, 3)).astype(np.int64)
    if faces.size and not (faces.min() >= 0 and faces.max() < count):
        raise _WrongFile(f"its faces name vertices outside 0..{count - 1}")
    parents = _parents(arrays, animals)
    joints = len(parents)
    person = joints == _PERSONS_JOINTS
    shapedirs = _floats(arrays, "shapedirs", (count, 3, None))
    if person:
        if shapedirs.shape[2] < SHAPE_COEFFICIENTS:
            raise _WrongFile(f"it has {shapedirs.shape[2]} shape coefficients, fewer than {SHAPE_COEFFICIENTS}")
        shapedirs = np.ascontiguousarray(shapedirs[:, :, :SHAPE_COEFFICIENTS])
    entries = 9 * (joints - 1)
    if person or "posedirs" in arrays:
        posedirs = _floats(arrays, "posedirs", (count, 3, entries))
    else:
        posedirs = np.zeros((count, 3, entries), np.float32)
    regressor = _floats(arrays, "J_regressor", (joints, count))
    weights = _floats(arrays, "weights", (count, joints))
    total = weights.sum(axis=1, keepdims=True)
    if np.abs(total - 1).max() > 0.01 or weights.min() < -1e-3:
        raise _WrongFile("its skinning weights do not sum to 1 at every vertex")
    digest = _digest(template, shapedirs, posedirs, regressor, weights, np.array(parents), faces)
    part24 = weights.argmax(axis=1).astype(np.uint8)
    regressors = {
        name.removeprefix("keypoints_"): _floats(arrays, name, (None, count))
        for name in arrays
        if name.startswith("keypoints_")
    }
    if person and not regressors:
        if missing := [joint for joint in (7, 8, 10, 11, 15, 20, 21, 22, 23) if joint not in part24]:
            raise _WrongFile(f"no vertex follows joint {missing[0]} most: its skinning weights are not a whole body's")
        regressors = compose_regressors(regressor, substitute_marks(template, regressor, part24))
        if "cocoplus_regressor" in arrays:  # HMR's own file brings the points it was trained with.
            regressors["cocoplus19"] = _floats(arrays, "cocoplus_regressor", (19, count))
            regressors["lsp14"] = regressors["cocoplus19"][:14]
    if person:
        regressors.setdefault("openpose25", openpose_regressor(regressors, template, part24))
    vt = _floats(arrays, "vt", (None, 2)) if "vt" in arrays else np.zeros((0, 2), np.float32)
    ft = _array(arrays, "ft", (len(faces), 3)).astype(np.int32) if "ft" in arrays else np.zeros((0, 3), np.int32)
    if ft.size and not (ft.min() >= 0 and ft.max() < len(vt)):
        raise _WrongFile("its ft names texture coordinates that vt does not have")
    return BodyData(
        name=str(arrays["name"]) if "name" in arrays else stem,
        digest=digest,
        v_template=template,
        shapedirs=shapedirs,
        posedirs=posedirs,
        J_regressor=regressor,
        weights=(weights / total).astype(np.float32),
        parents=parents,
        faces=faces.astype(np.int32),
        vt=vt,
        ft=ft,
        part24=part24,
        part6=_PART6_OF_JOINT[part24] if person else np.full(count, NO_PART, np.uint8),
        vertex_area_m2=vertex_areas(template, faces),
        keypoint_regressors=regressors,
    )


def vertex_areas(vertices_m: Float[np.ndarray, "V 3"], faces: Int32[np.ndarray, "F 3"]) -> Float32[np.ndarray, " V"]:
    """Return a third of the area of the triangles round each vertex: weights that undo an uneven mesh."""
    corners = vertices_m[faces].astype(np.float64)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    thirds = np.repeat(np.linalg.norm(normal, axis=1) / 6, 3)
    return np.bincount(faces.ravel(), weights=thirds, minlength=len(vertices_m)).astype(np.float32)


def _array(arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """Take an array by name and check its shape, where None is any size."""
    if name not in arrays:
        raise _WrongFile(f"it has no {name} (a SMPL file has v_template, shapedirs, posedirs, weights, ...)")
    array = np.asarray(arrays[name])
    if array.ndim != len(shape) or any(want not in (None, have) for want, have in zip(shape, array.shape, strict=True)):
        wanted = " x ".join("any" if size is None else str(size) for size in shape)
        raise _WrongFile(f"{name} has the shape {' x '.join(map(str, array.shape))} where {wanted} is needed")
    if array.dtype.kind not in "fiu":
        raise _WrongFile(f"{name} does not hold numbers")
    return array


def _floats(arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    array = _array(arrays, name, shape).astype(np.float32)
    if not np.isfinite(array).all():
        raise _WrongFile(f"{name} has values that are not finite numbers")
    return array


def _parents(arrays: Mapping[str, np.ndarray], animals: bool) -> tuple[int, ...]:
    """Read the tree; SMPL writes the root's parent as -1 or as that in unsigned 32 bits."""
    table = _array(arrays, "kintree_table", (2, None)).astype(np.int64)
    if table.shape[1] != _PERSONS_JOINTS and not animals:
        raise _WrongFile(f"it has {table.shape[1]} joints; SMPL has 24 (SMPL-H and SMPL-X files are not supported)")
    if not 1 < table.shape[1] < 256:
        raise _WrongFile(f"it has {table.shape[1]} joints, where 2 to 255 are possible")
    parents = tuple(int(parent) for parent in table[0])
    if parents[0] not in (-1, 2**32 - 1) or any(not 0 <= p < j for j, p in enumerate(parents) if j):
        raise _WrongFile("its kintree_table is not a tree whose parents come before their children")
    return (-1, *parents[1:])


def _digest(*arrays: np.ndarray) -> str:
    """Hash arrays by shape and value, the same on every platform."""
    state = hashlib.sha256()
    for array in arrays:
        state.update(str(array.shape).encode())
        state.update(np.ascontiguousarray(array, dtype="<f4" if array.dtype.kind == "f" else "<i8").tobytes())
    return state.hexdigest()
