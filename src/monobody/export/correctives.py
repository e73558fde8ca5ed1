"""Pose correctives as morph targets: what bent joints do to the flesh around them, in a few shapes.

SMPL's correctives are linear in 207 pose features, so those of a clip are a sum of shapes times functions of time:
the leading singular vectors over the clip (weighed by what they do to vertices, not by angles) give the fewest shapes.
"""

import numpy as np
import torch
from jaxtyping import Float

from monobody.body.kinematics import pose_features
from monobody.body.model import Body
from monobody.export.armature import Armature
from monobody.export.rigs import BODY

MOST_TARGETS = 32
TOLERANCE_M = 5e-4
"""Targets are added until no vertex is farther off than this in the frames that are checked."""
_CHECKED = 64


def corrective_targets(person: Armature, body: Body) -> tuple[Float[np.ndarray, "k v 3"], Float[np.ndarray, "f k"]]:
    """Return displacements of the rest mesh, in the file's frame and unit, and how much of each a frame needs.

    A single pose has its correctives in its rest mesh and needs none.
    """
    frames = len(person.turns)
    if frames == 1:
        return np.zeros((0, *person.rest_vertices.shape)), np.zeros((1, 0))
    features = _features(person.track.rotations) - _features(person.rest_rotations)
    shapes = body.posedirs.double().numpy()
    values, vectors = np.linalg.eigh(shapes @ shapes.T)
    over_time, _, _ = np.linalg.svd(features @ vectors * np.sqrt(values.clip(0)), full_matrices=False)
    checked = np.unique(np.linspace(0, frames - 1, _CHECKED).round().astype(int))
    left = features[checked] @ shapes
    targets, weights = [], []
    for column in over_time.T[:MOST_TARGETS]:
        if _largest(left) < TOLERANCE_M:
            break
        most = np.abs(column).max()
        target = (column @ features) @ shapes
        left = left - column[checked, None] * target
        targets.append(target * most)
        weights.append(column / most)
    if not targets:
        return np.zeros((0, *person.rest_vertices.shape)), np.zeros((frames, 0))
    displaced_m = np.stack(targets).reshape(len(targets), 3, -1).transpose(0, 2, 1)
    orientations = _rest_orientations(person.rest_rotations)
    at_rest = np.einsum("vj,jab->vab", body.weights.double().numpy().T, orientations)
    return np.einsum("ab,vbc,kvc->kva", person.to_file, at_rest, displaced_m, optimize=True), np.stack(weights, axis=1)


def _largest(flat: Float[np.ndarray, "f n"]) -> float:
    """Return the length of the longest displacement; coordinates are stored in planes."""
    return float(np.sqrt(np.square(flat.reshape(len(flat), 3, -1)).sum(axis=1).max()))


def _features(rotations: Float[np.ndarray, "*b 24 3 3"]) -> Float[np.ndarray, "*b 207"]:
    return pose_features(torch.from_numpy(np.asarray(rotations, np.float64))).numpy()


def _rest_orientations(rotations: Float[np.ndarray, "24 3 3"]) -> Float[np.ndarray, "24 3 3"]:
    turned = rotations.copy()
    for joint, parent in enumerate(BODY.parents):
        if parent >= 0:
            turned[joint] = turned[parent] @ rotations[joint]
    return turned
