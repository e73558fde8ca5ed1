"""The softmax of a volume added up along the line of sight and over slices, as a compiled loop for processors."""

import numpy as np

from monobody.jit import SAFE_FASTMATH, compiled

_LOG2_E, _LOG_2 = np.float32(1.4426950408889634), np.float32(0.6931471805599453)
_SMALLEST = np.float32(-126.0)
"""Powers of two below are no normal numbers."""
_SIXTH, _FIFTH, _FOURTH, _THIRD, _HALF, _ONE = (np.float32(1 / n) for n in (6, 5, 4, 3, 2, 1))


# Sums may be taken in any order ("reassoc"), or they would be taken one number at a time.
@compiled(nogil=True, fastmath=SAFE_FASTMATH | {"reassoc"})
def add_up(cells, plane, depth):
    """Fill in the probabilities of places and of slices; NaN for joints that have NaN, +infinity, or nothing finite.

    e^x is 2^n e^r, n a whole number and r within half of log 2, where seven terms of the series err by 1e-7. The power
    of two is written into the number's exponent. All this is done for sixteen cells at once; exp is called for one.
    Cells that are 87 below the largest or more, -infinity too, count 1e-38.

    Args:
        cells: (joints, slices, places) logits.
        plane: (joints, places), written.
        depth: (joints, slices), written.
    """
    joints, slices, places = cells.shape
    for joint in range(joints):
        here, everything = plane[joint], np.float32(0)
        here[:] = cells[joint, 0]
        for slice_ in range(1, slices):
            row = cells[joint, slice_]
            for place in range(places):
                here[place] = max(here[place], row[place])
        top = here.max()
        here[:] = 0
        for slice_ in range(slices):
            row, total = cells[joint, slice_], np.float32(0)
            for place in range(places):
                power = (row[place] - top) * _LOG2_E
                # NaN is not smaller than anything, and stays.
                power = _SMALLEST if power < _SMALLEST else power
                n = np.rint(power)
                r = (power - n) * _LOG_2
                series = _ONE + r * _FIFTH * (_ONE + r * _SIXTH)
                series = _ONE + r * _THIRD * (_ONE + r * _FOURTH * series)
                series = _ONE + r * (_ONE + r * _HALF * series)
                value = series * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
                here[place] += value
                total += value
            depth[joint, slice_] = total
            everything += total
        here *= _ONE / everything
        depth[joint] *= _ONE / everything
