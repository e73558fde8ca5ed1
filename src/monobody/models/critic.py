"""HMR's critic: 25 small judges that tell real bodies from predicted ones.

"End-to-end Recovery of Human Shape and Pose" (CVPR 2018), section 3.3, factorised as the body is: one judge for each
joint's rotation, which learns its limits from very few numbers; one for all joints together; one for the shape. They
see rotation matrices, the root's left out, because how a body is turned says nothing about whether it is possible.

    rotations (n, 23, 3, 3) -> 9 -> 32 -> 32 for every joint, one set of weights
        -> 23 scores, each joint's own 32 weights
        -> all 736 numbers -> 1024 -> 1024 -> 1 score
    betas (n, 10) -> 10 -> 5 -> 1 score

Scores have no sigmoid: the losses are least squares (:mod:`monobody.losses`), 1 for real and 0 for predicted. No
normalisation, no dropout.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from monobody.models.output import BETAS, JOINTS

JUDGED_JOINTS = JOINTS - 1
"""All joints but the root."""
SCORES = JUDGED_JOINTS + 2
"""One score a joint, then the full pose's, then the shape's."""
WIDTH = 32


class Critic(nn.Module):
    """Bodies in, 25 scores each out: the 23 joints, the full pose, the shape.

    Args:
        hidden: width of the full pose's judge; HMR's is 1,024, and nine tenths of the critic's work.
    """

    def __init__(self, *, hidden: int = 1024) -> None:
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(9, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU())
        self.joints = nn.ModuleList(nn.Linear(WIDTH, 1) for _ in range(JUDGED_JOINTS))
        self.pose = nn.Sequential(
            nn.Linear(JUDGED_JOINTS * WIDTH, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 1),
        )
        self.shape = nn.Sequential(nn.Linear(BETAS, 10), nn.ReLU(), nn.Linear(10, 5), nn.ReLU(), nn.Linear(5, 1))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, rotations: Float[Tensor, "n 23 3 3"], betas: Float[Tensor, "n 10"]) -> Float[Tensor, "n 25"]:
        """Return the scores of bodies, of their joints' rotations without the root's and of their shapes."""
        seen = self.shared(rotations.flatten(2))
        joints = [judge(seen[:, number]) for number, judge in enumerate(self.joints)]
        return torch.cat([*joints, self.pose(seen.flatten(1)), self.shape(betas)], dim=1)
