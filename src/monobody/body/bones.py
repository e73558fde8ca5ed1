"""How long bones usually are: the yardstick that gives a picture's skeleton its size in metres."""

from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from monobody.body.skeleton import SKELETONS

if TYPE_CHECKING:
    from monobody.body.model import Body


def usual_bones_m(body: "Body", joint_set: str = "xas18") -> Float[Tensor, " k"]:
    """Return the length in metres of the bone between each joint of a set and its parent, on the mean body at rest.

    The root's is 0. Bones between points of the skin change a little with the pose; at rest is near enough.
    """
    joints = body.keypoints(body.template.cpu().double(), joint_set).to(body.template)
    parents = SKELETONS[joint_set].parents
    ends = joints[[joint if parent < 0 else parent for joint, parent in enumerate(parents)]]
    return (joints - ends).norm(dim=-1)
