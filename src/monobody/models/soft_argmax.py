"""The soft-argmax about a joint's likeliest cell, as a compiled loop for processors: `places.py` in one call."""

import numpy as np

from monobody.jit import SAFE_FASTMATH, compiled


@compiled(nogil=True, fastmath=SAFE_FASTMATH)
def fill_soft_argmax(plane, reach, place):
    """Fill in x and y, expected over the cells within so many of the most probable one.

    Args:
        plane: (people, joints, height, width) probabilities.
        reach: cells to either side.
        place: (people, joints, 2), written.
    """
    people, joints, height, width = plane.shape
    for person in range(people):
        for joint in range(joints):
            cells = plane[person, joint]
            row, column = np.divmod(cells.argmax(), width)
            top, left = max(row - reach, 0), max(column - reach, 0)
            total, x, y = cells[0, 0] * 0, cells[0, 0] * 0, cells[0, 0] * 0
            for i in range(top, min(row + reach + 1, height)):
                for j in range(left, min(column + reach + 1, width)):
                    total += cells[i, j]
                    x += cells[i, j] * (j - column)
                    y += cells[i, j] * (i - row)
            total = max(total, np.float32(1e-38))
            place[person, joint, 0] = (2 * (column + x / total) + 1) / width - 1
            place[person, joint, 1] = (2 * (row + y / total) + 1) / height - 1
