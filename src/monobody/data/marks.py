"""What people click in pictures, found from a skeleton: the 19 points of cocoplus19 from 24 joints and their rotations.

Data sets that were made with SMPL (SURREAL, 3DPW) know the centres that limbs turn about. Clicked places lie some
centimetres off (the hips, the neck), and face and head top are not among the 24 at all. They are read from the shipped
body: posed alike and made as large, each point keeps its way from the joint that carries it. What the person's own
shape would change is left out; it is small beside how far apart two people click.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from monobody.body.skeleton import SKELETONS

if TYPE_CHECKING:
    from monobody.body.kinematics import JointBody

_CARRIED_BY = {"head_top": "head", "nose": "head", "left_eye": "head", "right_eye": "head"}
_CARRIED_BY |= {"left_ear": "head", "right_ear": "head"}
_CARRIER = [SKELETONS["smpl24"].index(_CARRIED_BY.get(name, name)) for name in SKELETONS["cocoplus19"].joints]


def marks_from_joints(
    joints_m: Float[np.ndarray, "24 3"], rotations: Float[np.ndarray, "24 3 3"]
) -> Float[np.ndarray, "19 3"]:
    """Return cocoplus19, whose first 14 are lsp14, in the frame of the joints (metres).

    ``rotations`` are relative to the parents, the root's to the frame in which ``joints_m`` are given.
    """
    import torch

    with torch.no_grad():
        posed = _shipped()(torch.from_numpy(np.asarray(rotations, np.float32)), torch.zeros(10))
    marks, bones = posed["cocoplus19"].numpy(), posed["smpl24"].numpy()
    larger = _height(np.asarray(joints_m, np.float64)) / _height(bones)
    return joints_m[_CARRIER] + larger * (marks - bones[_CARRIER])


def _height(joints_m: Float[np.ndarray, "24 3"]) -> float:
    """Return the length of all bones together, which no pose changes."""
    parents = SKELETONS["smpl24"].parents
    return float(sum(np.linalg.norm(joints_m[j] - joints_m[parent]) for j, parent in enumerate(parents) if parent >= 0))


@lru_cache(maxsize=1)
def _shipped() -> "JointBody":
    from monobody.body.kinematics import JointBody
    from monobody.body.model import Body

    return JointBody.from_body(Body.load(), ("cocoplus19", "smpl24"))
