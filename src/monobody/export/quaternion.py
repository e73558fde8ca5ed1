"""Quaternions in glTF's order (x, y, z, w), of the same sign from frame to frame."""

import numpy as np
import torch
from jaxtyping import Float

from monobody.body.rotation import matrix_to_quaternion


def quaternions_xyzw(rotations: Float[np.ndarray, "f n 3 3"]) -> Float[np.ndarray, "f n 4"]:
    """Return unit quaternions; q and -q are one rotation, and the one nearer to the frame before is taken."""
    wxyz = matrix_to_quaternion(torch.from_numpy(np.asarray(rotations, np.float64))).numpy()
    agree = np.where((wxyz[1:] * wxyz[:-1]).sum(axis=-1) < 0, -1.0, 1.0)
    wxyz[1:] *= np.cumprod(agree, axis=0)[..., None]
    return np.roll(wxyz, -1, axis=-1)
