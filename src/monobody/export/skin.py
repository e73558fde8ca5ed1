"""What animation files can hold of a skin: at most four weights a vertex, and a rest mesh solved for.

Animation files know no fifth weight, and pose correctives only as morph targets. For a single pose the rest mesh is
therefore solved for: it is the one that, skinned with four weights, gives our posed mesh. The correctives of this pose
are baked into it, and so is what the dropped weights would have done.
"""

import numpy as np
from jaxtyping import Float, Int, UInt8

MOST_WEIGHTS = 4
Y_UP = np.diag([1.0, -1.0, -1.0])
"""Takes the camera frame (y down, z forward) to the file's (y up, z backward)."""


def strongest_weights(
    weights: Float[np.ndarray, "v j"], count: int = MOST_WEIGHTS
) -> tuple[UInt8[np.ndarray, "v c"], Float[np.ndarray, "v c"]]:
    """Return each vertex's ``count`` strongest joints, strongest first, and their weights scaled to add up to 1.

    Unused places hold joint 0 with weight 0, as glTF wants it.
    """
    index = np.argsort(-weights, axis=1, kind="stable")[:, :count]
    chosen = np.take_along_axis(weights, index, axis=1).astype(np.float64)
    chosen /= chosen.sum(axis=1, keepdims=True)
    return np.where(chosen > 0, index, 0).astype(np.uint8), chosen.astype(np.float32)


def blended(
    skinning: Float[np.ndarray, "j 3 4"], index: Int[np.ndarray, "v c"], weight: Float[np.ndarray, "v c"]
) -> Float[np.ndarray, "v 3 4"]:
    """Return each vertex's affine map: its joints' maps, averaged by weight."""
    return np.einsum("vc,vcij->vij", weight.astype(np.float64), skinning[index])


def unposed(
    posed_m: Float[np.ndarray, "v 3"],
    skinning: Float[np.ndarray, "j 3 4"],
    index: Int[np.ndarray, "v c"],
    weight: Float[np.ndarray, "v c"],
) -> Float[np.ndarray, "v 3"]:
    """Return the rest mesh that skinning takes to ``posed_m``.

    Where joints turn against each other by nearly half a turn, their blend flattens space and has no good inverse.
    The damping keeps such a vertex near where a rigid inverse would put it, instead of metres away, and costs
    hundredths of a millimetre elsewhere.
    """
    maps = blended(skinning, index, weight)
    linear, shift = maps[:, :, :3], maps[:, :, 3]
    # The strongest joint's map alone is a rotation; its inverse is a safe first guess.
    strongest = skinning[index[:, 0]]
    guess = np.einsum("vji,vj->vi", strongest[:, :, :3], posed_m - strongest[:, :, 3])
    residual = posed_m - shift - np.einsum("vij,vj->vi", linear, guess)
    normal = np.einsum("vki,vkj->vij", linear, linear) + 1e-5 * np.eye(3)
    pulled = np.einsum("vki,vk->vi", linear, residual)
    return guess + np.linalg.solve(normal, pulled[:, :, None])[:, :, 0]
