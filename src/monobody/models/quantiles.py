"""Quantiles of joints' depth distributions, as a compiled loop."""

import numpy as np

from monobody.jit import SAFE_FASTMATH, compiled


@compiled(nogil=True, fastmath=SAFE_FASTMATH)
def fill_quantiles(probability, level, depth, depth_range):
    """Fill in the depths than which each joint is nearer with the probability `level`.

    Args:
        probability: (people, joints, slices).
        level: (sets of levels, joints).
        depth: (people, sets, joints), written.
        depth_range: half the depth of the volume.
    """
    people, joints, slices = probability.shape
    for person in range(people):
        for joint in range(joints):
            row = probability[person, joint]
            for one in range(len(level)):
                wanted, below, slice_ = level[one, joint], row[0] * 0, 0
                while slice_ < slices - 1 and below + row[slice_] < wanted:
                    below += row[slice_]
                    slice_ += 1
                within = min(max((wanted - below) / max(row[slice_], np.float32(1e-38)), 0.0), 1.0)
                depth[person, one, joint] = depth_range * (2 * (slice_ + within) / slices - 1)
