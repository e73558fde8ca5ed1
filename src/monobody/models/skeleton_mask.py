"""A skeleton as a mask: how near each pixel is to a limb, differentiable in where the joints are, without parameters.

"X as Supervision" (arXiv:2411.13026) and "Mask as Supervision" (arXiv:2312.07051) compare it with the mask of the
person:

    response_l(p) = exp(-distance(p, limb l)^2 / width_l^2),        mask(p) = max over l of response_l(p)

Limbs are the bones of `xas18` and eight links more that fill trunk and thighs. A limb's `width` is where its response
has fallen to 1/e, in halves of the crop; the published ones are sqrt(0.003) and, for the four arm bones, sqrt(0.0015).

Shapes: b people, k joints, l limbs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from monobody.body.skeleton import SKELETONS

WIDTH = 0.003**0.5
ARM_WIDTH = 0.0015**0.5
FILLERS = (
    ("torso", "right_hip"),
    ("torso", "left_hip"),
    ("torso", "left_shoulder"),
    ("torso", "right_shoulder"),
    ("pelvis", "right_knee"),
    ("pelvis", "left_knee"),
    ("right_hip", "right_shoulder"),
    ("left_hip", "left_shoulder"),
)
_LOWER_ARMS = ("left_elbow", "left_wrist", "right_elbow", "right_wrist")


@dataclass(frozen=True, kw_only=True, slots=True)
class Limbs:
    """Which joints are linked, and how thick the links are."""

    links: tuple[tuple[int, int], ...]
    width: tuple[float, ...]
    """In halves of the crop, one for each link."""

    @staticmethod
    def of(
        joint_set: str = "xas18",
        *,
        fillers: Sequence[tuple[str, str]] | None = None,
        width: float = WIDTH,
        arm_width: float = ARM_WIDTH,
    ) -> "Limbs":
        """Return the bones of a joint set, and fillers between joints that are named.

        Where left out, the fillers are those of `FILLERS` whose joints the set has.
        """
        skeleton = SKELETONS[joint_set]
        names = skeleton.joints
        if fillers is None:
            fillers = [pair for pair in FILLERS if set(pair) <= set(names)]
        bones = [(joint, parent) for joint, parent in enumerate(skeleton.parents) if parent >= 0]
        thin = [names[joint] in _LOWER_ARMS for joint, _ in bones] + [False] * len(fillers)
        links = bones + [(names.index(a), names.index(b)) for a, b in fillers]
        return Limbs(links=tuple(links), width=tuple(arm_width if is_thin else width for is_thin in thin))


def limb_responses(
    places: Float[Tensor, "b k 2"], limbs: Limbs, size: int, *, width: Float[Tensor, "b l"] | None = None
) -> Float[Tensor, "b l s s"]:
    """Return every limb's response at the centres of `size` by `size` pixels across the crop.

    Args:
        places: of the joints, in crop coordinates from -1 to 1.
        limbs: which joints are linked.
        size: of the mask.
        width: everybody's own widths instead of those of `limbs`.
    """
    axis = (2 * torch.arange(size, device=places.device, dtype=places.dtype) + 1) / size - 1
    start, end = (places[:, [link[side] for link in limbs.links]] for side in (0, 1))
    along = end - start
    square = along.square().sum(-1).clamp_min(1e-9)
    if width is None:
        width = places.new_tensor(limbs.width)[None]
    # Written out in x and y: an axis of two is the slowest there is.
    dx, dy = (axis[None, None] - start[..., 0, None], axis[None, None] - start[..., 1, None])
    ax, ay = along[..., 0, None, None], along[..., 1, None, None]
    share = ((dx[:, :, None, :] * ax + dy[:, :, :, None] * ay) / square[..., None, None]).clamp(0, 1)
    off = (dx[:, :, None, :] - share * ax).square() + (dy[:, :, :, None] - share * ay).square()
    return torch.exp(-off / width.square()[..., None, None])


def skeleton_mask(
    places: Float[Tensor, "b k 2"], limbs: Limbs, size: int, *, width: Float[Tensor, "b l"] | None = None
) -> Float[Tensor, "b s s"]:
    """Return the mask of a skeleton, 1 on its limbs; see :func:`limb_responses`."""
    return limb_responses(places, limbs, size, width=width).amax(1)
