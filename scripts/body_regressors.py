"""Regressors of the body fitted by least squares: the skeleton's joints from vertices, and symmetric marks.

Every regressor is exactly left-right symmetric. Used by ``build_body.py``; needs scipy.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import nnls

from monobody.body.skeleton import SKELETONS, mirrored_name

JOINTS = SKELETONS["smpl24"].joints
PARENTS = SKELETONS["smpl24"].parents
_CANDIDATES = 300
_NEAREST = 2500
_SPARSITY_M = 0.005
_RIDGE_M = 0.05


def joint_regressor(
    vertices_m: Float[np.ndarray, "N V 3"],
    joints_m: Float[np.ndarray, "N 24 3"],
    weights: Float[np.ndarray, "V 24"],
    mirror: Int[np.ndarray, " V"],
    rng: np.random.Generator,
    *,
    template: Float[np.ndarray, "V 3"],
    rest_joints: Float[np.ndarray, "24 3"],
    tolerance_m: float,
) -> Float[np.ndarray, "24 V"]:
    """Return the regressor that reads the joints off these bodies.

    Each joint looks at a random choice of the skin near it. Its weights are convex and sparse where that reaches the
    tolerance, else signed: inside a thick trunk no convex mixture of skin follows the spine.
    """
    regressor = np.zeros((24, len(template)))
    for joint, name in enumerate(JOINTS):
        if name.startswith("right_"):
            regressor[joint] = regressor[JOINTS.index(mirrored_name(name))][mirror]
            continue
        related = [k for k in range(24) if k == joint or PARENTS[k] == joint or PARENTS[joint] == k]
        near = np.flatnonzero(weights[:, related].sum(1) > 0.5)
        near = near[np.argsort(np.linalg.norm(template[near] - rest_joints[joint], axis=1))[:_NEAREST]]
        if name.startswith("left_"):
            chosen = rng.permutation(near)[:_CANDIDATES]
            regressor[joint, chosen] = fit_point(vertices_m[:, chosen], joints_m[:, joint], tolerance_m)
        else:  # On the midline a pair of mirrored vertices shares one weight.
            chosen = rng.permutation(near[near <= mirror[near]])[:_CANDIDATES]
            pairs = 0.5 * (vertices_m[:, chosen].astype(np.float64) + vertices_m[:, mirror[chosen]])
            half = 0.5 * fit_point(pairs, joints_m[:, joint], tolerance_m)
            np.add.at(regressor[joint], chosen, half)
            np.add.at(regressor[joint], mirror[chosen], half)
    return regressor


def fit_point(
    vertices_m: Float[np.ndarray, "N C 3"], points_m: Float[np.ndarray, "N 3"], tolerance_m: float
) -> Float[np.ndarray, " C"]:
    """Return weights with sum 1 that take C vertices to a point, convex if that is within the tolerance on average."""
    count, candidates, _ = vertices_m.shape
    offsets = (vertices_m.astype(np.float64) - points_m[:, None]).transpose(0, 2, 1).reshape(count * 3, candidates)
    unity = np.full((1, candidates), 10 * np.sqrt(count * 3))
    goal = np.concatenate([np.zeros(count * 3), unity[0, :1], np.zeros(candidates)])

    def system(damping_m: float) -> np.ndarray:
        return np.concatenate([offsets, unity, damping_m * np.eye(candidates)])

    # The triangular factor of the system and its right side is a small system with the same solution.
    factor = np.asarray(np.linalg.qr(np.column_stack([system(_SPARSITY_M), goal]), mode="r"))[:candidates]
    weights = nnls(factor[:, :candidates], factor[:, candidates], maxiter=50 * candidates)[0]
    weights[weights < 2e-3 * weights.max()] = 0
    weights /= weights.sum()
    if np.linalg.norm(np.einsum("nci,c->ni", vertices_m, weights) - points_m, axis=1).mean() > tolerance_m:
        weights = np.linalg.lstsq(system(_RIDGE_M), goal, rcond=None)[0]
        weights /= weights.sum()
    return weights


def symmetric_marks(
    marks: dict[str, Float[np.ndarray, " V"]], mirror: Int[np.ndarray, " V"]
) -> dict[str, Float[np.ndarray, " V"]]:
    """Return marks made exactly left-right symmetric; a mark given for one side only gets its mirror image."""
    complete = {}
    for name, given in marks.items():
        other = mirrored_name(name)
        row = 0.5 * (given + marks[other][mirror]) if other in marks else given
        complete[name], complete[other] = row, row[mirror]
    return {name: row / row.sum() for name, row in complete.items()}
