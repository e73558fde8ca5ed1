"""Estimators: people found in a picture -> a body for each, in the frame of each person's crop.

There are three ways: a network that sees pixels (HMR), a network that sees the detector's landmarks (lift), and no
network at all (the mean pose, the yardstick for the other two). All answer with an
:class:`~monobody.models.hmr.HMROutput`, batched over people.
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from jaxtyping import UInt8

from monobody.body.landmarks import Landmarks
from monobody.body.rotation import axis_angle_to_matrix
from monobody.data.crop import extract
from monobody.fit.lift import Lift
from monobody.models.hmr import HMR, HMROutput, standing_pose
from monobody.predict.detect import Detection

if TYPE_CHECKING:
    from monobody.body.model import Body

PEOPLE_AT_ONCE = 16
"""Crops in one pass through a network: enough to keep it busy, few enough to fit anywhere."""


class Estimator(Protocol):
    """Whatever turns detections into bodies."""

    def __call__(self, rgb: UInt8[np.ndarray, "h w 3"], detections: Sequence[Detection]) -> HMROutput:
        """Return camera, rotations and betas, one row for each detection."""
        ...


class PixelEstimator:
    """Runs HMR on the detections' crops."""

    def __init__(self, model: HMR, device: torch.device) -> None:
        self.model = model.to(device).eval()
        self.device = device

    def __call__(self, rgb: UInt8[np.ndarray, "h w 3"], detections: Sequence[Detection]) -> HMROutput:
        """Cut out, normalise and regress; the last iteration is the answer."""
        size = self.model.input_size
        crops = np.stack([extract(rgb, detection.crop, size) for detection in detections])
        images = torch.from_numpy(crops).permute(0, 3, 1, 2)
        with torch.inference_mode():
            parts = [self.model(part.to(self.device).float() / 255)[-1] for part in images.split(PEOPLE_AT_ONCE)]
        return _joined(parts)


class LandmarkEstimator:
    """Runs the lifting network on the detections' landmarks."""

    def __init__(self, model: Lift, device: torch.device) -> None:
        self.model = model.to(device).eval()
        self.device = device

    def __call__(self, rgb: UInt8[np.ndarray, "h w 3"], detections: Sequence[Detection]) -> HMROutput:
        """Take 2D landmarks in crop coordinates, 3D ones in metres, and how sure the detector is of each."""
        landmarks = Landmarks.from_detections(detections)
        moved = replace(
            landmarks, **{field.name: getattr(landmarks, field.name).to(self.device) for field in fields(landmarks)}
        )
        with torch.inference_mode():
            return _joined([self.model(moved)[-1].output])


class MeanPose:
    """Answers with one and the same body: upright, hips in the middle of the crop, arms to the sides."""

    def __init__(self, body: "Body") -> None:
        with torch.no_grad():
            self.pelvis = body.identity(torch.zeros(1, 10)).joints_m[0, 0].cpu()

    def __call__(self, rgb: UInt8[np.ndarray, "h w 3"], detections: Sequence[Detection]) -> HMROutput:
        """Repeat the mean for each detection."""
        count = len(detections)
        rotations = axis_angle_to_matrix(standing_pose()).repeat(count, 1, 1, 1)
        camera = torch.tensor([0.9, -float(self.pelvis[0]), -float(self.pelvis[1])]).repeat(count, 1)
        return HMROutput(camera=camera, rotations=rotations, betas=torch.zeros(count, 10))


def _joined(parts: Sequence[HMROutput]) -> HMROutput:
    """Return the parts as one batch on the CPU."""
    return HMROutput(
        camera=torch.cat([part.camera for part in parts]).float().cpu(),
        rotations=torch.cat([part.rotations for part in parts]).float().cpu(),
        betas=torch.cat([part.betas for part in parts]).float().cpu(),
    )
