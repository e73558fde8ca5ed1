"""Teach the encoder of `hmr-small` the landmarks themselves, beside the bodies that are made of them.

Its regressor corrects a body until its landmarks fall where the encoder sees them, so whatever the encoder sees wrongly
the body inherits: a lifter that is given the true joints errs by two thirds of what a network does that has to find
them (`scripts/where_errors_come_from.py`). The body's losses reach the encoder only through three corrections; these
reach it directly.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from monobody.body.kinematics import JointBody
from monobody.body.landmarks import Landmarks
from monobody.body.skeleton import SKELETONS, correspondence
from monobody.losses import keypoint_loss
from monobody.train.task import Batch

_SEEN = [(i, source) for i, source in enumerate(correspondence("blazepose33", "cocoplus19")) if source >= 0]
_LABELS, _LANDMARKS = ([pair[side] for pair in _SEEN] for side in (0, 1))
"""Which labelled keypoints are which landmarks: the twelve of the limbs, nose, eyes and ears."""
_HIPS = [SKELETONS["blazepose33"].joints.index(f"{side}_hip") for side in ("left", "right")]


def landmark_losses(seen: Landmarks, batch: Mapping[str, Tensor], body: JointBody, weight: float) -> Batch:
    """Return the weighted mean absolute errors of the encoder's landmarks.

    Args:
        seen: the encoder's landmarks in crop coordinates, and in metres about any origin.
        batch: the labels; 2D is compared where keypoints are visible, 3D where the body is known.
        body: gives the set ``blazepose33``.
        weight: of both terms.
    """
    image = keypoint_loss(seen.image[:, _LANDMARKS], batch["keypoints_2d"][:, _LABELS], batch["visible"][:, _LABELS])
    with torch.no_grad():
        true = _from_hips(body(batch["rotations"], batch["betas"])["blazepose33"])
    known = batch["has_body"][:, None].expand(true.shape[:2])
    space = keypoint_loss(_from_hips(seen.world_m[:, : true.shape[1]]), true, known)
    return {"landmarks": weight * image, "landmarks_3d": weight * space}


def _from_hips(points: Float[Tensor, "b 33 3"]) -> Float[Tensor, "b 33 3"]:
    return points - points[:, _HIPS].mean(dim=1, keepdim=True)
