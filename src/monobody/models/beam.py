"""The beam search of `whole_poses.py` as a compiled loop, for processors: far quicker than torch for few people."""

import numpy as np
from jaxtyping import Float, Int

from monobody.jit import SAFE_FASTMATH, compiled


def search(
    points: Float[np.ndarray, "b k m 3"],
    believed: Float[np.ndarray, "b k m"],
    bones: Float[np.ndarray, "b k"],
    order: Int[np.ndarray, "k 2"],
    *,
    beam: int,
    tolerance: float,
) -> tuple[Int[np.ndarray, "b p k"], Float[np.ndarray, "b p"]]:
    """Return the modes and scores of the most plausible bodies, the best first.

    Args:
        points: where each mode of each joint is.
        believed: logarithm of each mode's probability; minus infinity where there is none.
        bones: how long each joint's bone should be, in the unit of the points; the root's is not looked at.
        order: (joint, parent) pairs, every parent before its children, -1 above the root.
        beam: parts of bodies that are kept at every joint.
        tolerance: of the bones' lengths, in logarithms.
    """
    count, joints, modes = believed.shape
    found = min(beam, modes**joints)
    chosen, score = np.zeros((count, found, joints), np.int64), np.zeros((count, found), np.float32)
    where, log, long = (np.ascontiguousarray(each, np.float32) for each in (points, believed, bones))
    _search(where, log, long, order, np.float32(1 / tolerance), chosen, score)
    return chosen, score


@compiled(nogil=True, fastmath=SAFE_FASTMATH)
def _search(points, believed, bones, order, sharpness, chosen, score):
    """Fill the bodies of everybody in."""
    people, most, joints = chosen.shape
    modes = points.shape[2]
    options = np.empty(most * modes, np.float32)
    before, before_score = np.empty((most, joints), np.int64), np.empty(most, np.float32)
    for b in range(people):
        parts = 1
        for step in range(joints):
            joint, parent = order[step, 0], order[step, 1]
            before[:parts], before_score[:parts] = chosen[b, :parts], score[b, :parts]
            for part in range(parts):
                for mode in range(modes):
                    value = before_score[part] + believed[b, joint, mode]
                    if parent >= 0:
                        x = points[b, joint, mode] - points[b, parent, before[part, parent]]
                        length = max(np.sqrt(x[0] * x[0] + x[1] * x[1] + x[2] * x[2]), np.float32(1e-6))
                        off = np.log(length / bones[b, joint]) * sharpness
                        value -= np.float32(0.5) * off * off
                    options[part * modes + mode] = value
            grown = parts * modes
            best = np.argsort(-options[:grown], kind="mergesort")
            parts = min(most, grown)
            for place in range(parts):
                part, mode = best[place] // modes, best[place] % modes
                chosen[b, place] = before[part]
                chosen[b, place, joint] = mode
                score[b, place] = options[best[place]]
