"""The detector that does not look: the whole picture is one person."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from monobody.predict.blaze_detector import BlazeDetector
from monobody.predict.detection import Detection


@dataclass(frozen=True, slots=True)
class WholePicture:
    """Takes the whole picture as the box of one person; never returns nobody."""

    def __call__(
        self,
        rgb: UInt8[np.ndarray, "h w 3"],
        box: Sequence[Sequence[float]] | Sequence[float] | None = None,
        *,
        name: str | None = None,
    ) -> list[Detection]:
        """Return one person; given boxes take precedence."""
        height, width = rgb.shape[:2]
        return BlazeDetector()(rgb, (0, 0, width, height) if box is None else box)
