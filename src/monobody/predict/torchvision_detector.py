"""torchvision's Keypoint R-CNN as the detector, for users who have a torchvision that works.

monobody does not depend on torchvision. Its weights (237 MB, trained on COCO) come from torchvision's own download,
which using this detector asks for.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from monobody.errors import UserError
from monobody.predict.blaze_detector import BlazeDetector
from monobody.predict.detection import Detection
from monobody.predict.given_keypoints import detection_from_keypoints

MIN_SCORE = 0.7
KEYPOINT_LOGIT_KNOWN = 0.0
"""Keypoint scores of torchvision are heat-map logits; it leaves the choice of a threshold to the user."""


class TorchvisionDetector:
    """Finds people with ``keypointrcnn_resnet50_fpn``.

    Raises:
        UserError: torchvision is missing or does not work beside this torch.
    """

    def __init__(self) -> None:
        try:
            from torchvision.models import detection  # pyright: ignore[reportMissingImports]
        except Exception as error:  # A torchvision for another build of torch fails in many ways, not by ImportError.
            raise UserError(
                f"torchvision does not import here ({type(error).__name__}: {_first_line(error)}): install the build "
                "that belongs to your torch (see pytorch.org), or use --detector blazepose."
            ) from error
        self._detection = detection

    @cached_property
    def network(self) -> Any:
        """The network with COCO weights; the first use downloads them.

        Raises:
            UserError: the weights cannot be fetched.
        """
        weights = self._detection.KeypointRCNN_ResNet50_FPN_Weights.DEFAULT
        try:
            return self._detection.keypointrcnn_resnet50_fpn(weights=weights).eval()
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"torchvision cannot fetch its weights ({_first_line(error)}): connect to the network once, or use "
                "--detector blazepose."
            ) from error

    def __call__(
        self,
        rgb: UInt8[np.ndarray, "h w 3"],
        box: Sequence[Sequence[float]] | Sequence[float] | None = None,
        *,
        name: str | None = None,
    ) -> list[Detection]:
        """Return the people of the picture, best first; given boxes take precedence."""
        if box is not None:
            return BlazeDetector()(rgb, box)
        with torch.inference_mode():
            found = self.network([torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1) / 255])[0]
        people = []
        for score, points, logits in zip(
            found["scores"].tolist(), found["keypoints"].numpy(), found["keypoints_scores"].numpy(), strict=True
        ):
            confidence = np.where(logits > KEYPOINT_LOGIT_KNOWN, 1 / (1 + np.exp(-logits)), 0)
            if score >= MIN_SCORE and (confidence > 0).sum() >= 2:
                keypoints = np.column_stack([points[:, :2], confidence])
                people.append(detection_from_keypoints(rgb, keypoints, "coco17", score=score))
        return people


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else "no reason given"
