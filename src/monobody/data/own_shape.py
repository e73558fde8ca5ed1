"""The shipped body's shape for somebody whose joints and rotations are known in another body's terms (SMPL's).

Undoing each bone's rotation gives the skeleton at rest, which is linear in the shape coefficients:

    R_parent^T (x_j - x_parent) = (J_j - J_parent) + (S_j - S_parent) beta

23 bones, ten coefficients; a weak preference for the mean shape keeps what bones do not tell (girth) where it is.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float

from monobody.body.assets import load_body_data
from monobody.body.skeleton import SKELETONS

ERROR_M = 0.01
"""How far bones of two bodies differ besides their shape: the weight of the mean shape."""
LARGEST = 3.0


def betas_of_joints(joints_m: Float[np.ndarray, "24 3"], rotations: Float[np.ndarray, "24 3 3"]) -> np.ndarray:
    """Return the shape coefficients (10,) by which the shipped body has these joints best, within 3 of the mean.

    Args:
        joints_m: joints of the set smpl24.
        rotations: relative to the parents; the root's to the frame of the joints.
    """
    parents = SKELETONS["smpl24"].parents
    turned = [np.asarray(rotations[0], np.float64)]
    for joint in range(1, 24):
        turned.append(turned[parents[joint]] @ rotations[joint])
    template, spread = _bones()
    bones = np.stack([turned[p].T @ (joints_m[j] - joints_m[p]) for j, p in enumerate(parents) if p >= 0])
    left = spread.reshape(-1, spread.shape[-1])
    right = (bones - template).ravel()
    betas = np.linalg.solve(left.T @ left + ERROR_M**2 * np.eye(left.shape[1]), left.T @ right)
    return np.clip(betas, -LARGEST, LARGEST).astype(np.float32)


@lru_cache(maxsize=1)
def _bones() -> tuple[Float[np.ndarray, "23 3"], Float[np.ndarray, "23 3 10"]]:
    """Return the resting bones of the mean shape, and how each coefficient changes them."""
    data = load_body_data()
    regressor = np.asarray(data.J_regressor, np.float64)
    joints = regressor @ data.v_template
    spread = np.einsum("jv,vcb->jcb", regressor, data.shapedirs)
    pairs = [(j, p) for j, p in enumerate(SKELETONS["smpl24"].parents) if p >= 0]
    child, parent = (list(each) for each in zip(*pairs, strict=True))
    return joints[child] - joints[parent], spread[child] - spread[parent]
