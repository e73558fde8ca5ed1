"""Texture seams: one texture coordinate a vertex, as glTF wants it, by repeating vertices."""

import numpy as np
from jaxtyping import Float, Int


def split_seams(
    faces: Int[np.ndarray, "f 3"], faces_uv: Int[np.ndarray, "f 3"], uv: Float[np.ndarray, "t 2"]
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "f 3"], Float[np.ndarray, "n 2"]]:
    """Give each vertex one texture coordinate, as glTF wants it, by repeating the vertices on seams.

    Returns:
        For each new vertex the one it repeats (the first V are the V old ones in order), the new triangles, and the
        new vertices' texture coordinates.
    """
    count = int(faces.max()) + 1
    pairs, corner = np.unique(np.stack([faces.ravel(), faces_uv.ravel()], axis=1), axis=0, return_inverse=True)
    first = np.ones(len(pairs), bool)
    first[1:] = pairs[1:, 0] != pairs[:-1, 0]
    position = np.empty(len(pairs), np.int64)
    position[first] = pairs[first, 0]
    position[~first] = count + np.arange((~first).sum())
    total = count + int((~first).sum())
    source, new_uv = np.arange(total), np.zeros((total, 2))
    source[position] = pairs[:, 0]
    if len(uv):
        new_uv[position] = uv[pairs[:, 1]]
    return source, position[corner.reshape(faces.shape)], new_uv
