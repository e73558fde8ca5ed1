"""The detectors of several hypotheses by their names, and as a weights file's card describes them."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from monobody.body.skeleton import SKELETONS
from monobody.errors import UserError
from monobody.models.hypotheses import HypothesisDetector

WIDTHS: Mapping[str, Mapping[str, Any]] = {
    "xas-resnet50": {"depth": 50, "width": 256, "bins": 64, "input_size": 256},
    "xas-small": {"depth": 18, "width": 128, "bins": 64, "input_size": 256},
    "xas-mini": {"depth": 18, "width": 96, "bins": 32, "first": 32, "lateral": True, "input_size": 64},
}
"""The published network, the small one of the same crops, and one that learns within an hour on a processor."""
BLAZE = "xas-blaze"
NAMES = (*WIDTHS, BLAZE)


class Detector(nn.Module):
    """What all of them have in common; for type checkers."""

    joints: int
    bins: int
    depth_range: float
    input_size: int
    joint_set: str
    __call__: Callable[[Float[Tensor, "b 3 s s"]], Float[Tensor, "b k d h w"]]


def build_detector(
    name: str, *, size: int | None = None, bins: int | None = None, joint_set: str = "xas18", **widths: Any
) -> Detector:
    """Return a detector with fresh weights.

    Args:
        name: one of `NAMES`.
        size: side of the crops that it is meant for, in pixels; its own where left out.
        bins: slices of the volume; its own where left out.
        joint_set: whose joints it finds.
        widths: other arguments of :class:`HypothesisDetector`, in place of the named ones.

    Raises:
        KeyError: there is no such detector or joint set.
    """
    joints = len(SKELETONS[joint_set].joints)
    if name == BLAZE:
        from monobody.models.blaze_hypotheses import BlazeHypotheses

        detector: Any = BlazeHypotheses(joints=joints, bins=bins or 32, joint_set=joint_set)
    else:
        fields = {**WIDTHS[name], **widths, "joints": joints, "joint_set": joint_set}
        fields |= {"input_size": size} if size else {}
        fields |= {"bins": bins} if bins else {}
        detector = HypothesisDetector(**fields)
    return detector.to(memory_format=torch.channels_last)


def detector_of(card: Mapping[str, Any]) -> Detector:
    """Return the detector that a weights file's card describes, with fresh weights.

    Raises:
        UserError: the card describes none.
    """
    try:
        return build_detector(
            card["model"], size=card["size"], bins=card["bins"], joint_set=card["joint_set"], **card.get("widths", {})
        )
    except (KeyError, TypeError) as error:
        raise UserError(
            f"The weights' card describes no detector ({error}): take the file that training left."
        ) from error
