"""Estimators: people found in a picture -> a body for each, in the frame of each person's crop.

There are three ways: a network that sees pixels (HMR), a network that sees the detector's landmarks (lift), and no
network at all (the mean pose, the yardstick for the other two). All answer with an
:class:`~monobody.models.hmr.HMROutput`, batched over people.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Literal, Protocol, TypeGuard

import numpy as np
import torch
from jaxtyping import Float, UInt8

from monobody.body.landmarks import Landmarks
from monobody.body.rotation import axis_angle_to_matrix
from monobody.camera import Camera, default_focal_px
from monobody.data.crop import Crop, extract, hmr_crop
from monobody.data.region import ANIMAL_MARGIN
from monobody.data.sample import view_of
from monobody.fit.lift import Lift
from monobody.models.hmr import HMR, HMROutput, standing_pose
from monobody.predict.detect import Detection

if TYPE_CHECKING:
    from monobody.body.model import Body

PEOPLE_AT_ONCE = 16
"""Crops in one pass through a network: enough to keep it busy, few enough to fit anywhere."""
SURE = 0.2
"""Landmarks with a lower score do not place HMR's crop."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A picture and who was found in it."""

    rgb: UInt8[np.ndarray, "h w 3"]
    detections: Sequence[Detection]
    camera: Camera | None = None
    """The picture's; what is assumed of any picture where left out."""


class Estimator(Protocol):
    """Whatever turns detections into bodies."""

    def __call__(self, rgb: UInt8[np.ndarray, "h w 3"], detections: Sequence[Detection]) -> HMROutput:
        """Return camera, rotations and betas, one row for each detection."""
        ...


class PixelEstimator:
    """Runs HMR on the detections' crops.

    Args:
        model: the network.
        device: where it runs.
        crop: which crops it was trained on: the detector's regions, or HMR's upright boxes.
    """

    def __init__(self, model: HMR, device: torch.device, *, crop: Literal["region", "hmr"] = "region") -> None:
        self.model = model.to(device).eval()
        self.device = device
        self.crop = crop

    def __call__(
        self, rgb: UInt8[np.ndarray, "h w 3"], detections: Sequence[Detection], camera: Camera | None = None
    ) -> HMROutput:
        """Cut out, normalise and regress; the last iteration is the answer.

        ``camera`` is the picture's; what is assumed of any picture where left out. Few networks ask for it.
        """
        return self.together([Seen(rgb=rgb, detections=detections, camera=camera)])

    def together(self, pictures: Sequence[Seen]) -> HMROutput:
        """Return one row for each person of several pictures, picture by picture."""
        size = self.model.input_size
        crops = np.stack([extract(each.rgb, one.crop, size) for each in pictures for one in each.detections])
        images = torch.from_numpy(crops).permute(0, 3, 1, 2)
        views = torch.cat([views_of(each.rgb, each.detections, each.camera) for each in pictures])
        with torch.inference_mode():
            parts = [
                self.model(part.to(self.device).float() / 255, view.to(self.device))[-1]
                for part, view in zip(images.split(PEOPLE_AT_ONCE), views.split(PEOPLE_AT_ONCE), strict=True)
            ]
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

    def together(self, pictures: Sequence[Seen]) -> HMROutput:
        """Return one row for each person of several pictures, picture by picture; nobody looks at pixels."""
        return self(pictures[0].rgb, [one for each in pictures for one in each.detections])


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


def estimate(estimator: Estimator, pictures: Sequence[Seen]) -> HMROutput:
    """Return one row for each person of several pictures; in one go where the estimator can do that."""
    if isinstance(estimator, PixelEstimator | LandmarkEstimator):
        return estimator.together(pictures)
    return _joined([estimator(each.rgb, each.detections) for each in pictures])


def with_own_crops(estimator: Estimator, detections: Sequence[Detection]) -> list[Detection]:
    """Return the detections with the crops that an estimator was trained on in place of the detector's regions."""
    if getattr(estimator, "joint_set", None) == "quadruped":
        return [replace(detection, crop=animal_crop_of(detection)) for detection in detections]
    if not (isinstance(estimator, PixelEstimator) and estimator.crop == "hmr"):
        return list(detections)
    return [replace(detection, crop=hmr_crop_of(detection)) for detection in detections]


def animal_crop_of(detection: Detection) -> Crop:
    """Return the upright square about an animal's box, with the margin that it is trained with."""
    x0, y0, x1, y1 = (float(value) for value in detection.box_px)
    return Crop(((x0 + x1) / 2, (y0 + y1) / 2), ANIMAL_MARGIN * max(x1 - x0, y1 - y0))


def hmr_crop_of(detection: Detection) -> Crop:
    """Return HMR's crop about a person: by the landmarks that the detector is sure of, else by the box."""
    sure = detection.landmarks_score > SURE
    points = detection.landmarks_px[sure]
    spread = len(points) > 1 and np.ptp(points, axis=0).any()
    return hmr_crop(points) if spread else hmr_crop(detection.box_px)


def knows_picture(estimator: Estimator) -> TypeGuard[PixelEstimator]:
    """Tell whether an estimator's cameras are to be seen through the whole picture's (CLIFF), and so asks for that."""
    return isinstance(estimator, PixelEstimator) and estimator.model.full_image


def views_of(
    rgb: UInt8[np.ndarray, "h w 3"], detections: Sequence[Detection], camera: Camera | None
) -> Float[torch.Tensor, "n 3"]:
    """Return where each crop lies before the picture's camera, as in training (`data.sample.view_of`)."""
    height, width = rgb.shape[:2]
    focal_px = default_focal_px(width, height) if camera is None else camera.focal_px
    principal_px = (width / 2, height / 2) if camera is None else camera.principal_px
    return torch.from_numpy(np.stack([view_of(each.crop, focal_px, principal_px) for each in detections]))


def _joined(parts: Sequence[HMROutput]) -> HMROutput:
    """Return the parts as one batch on the CPU."""
    return HMROutput(
        camera=torch.cat([part.camera for part in parts]).float().cpu(),
        rotations=torch.cat([part.rotations for part in parts]).float().cpu(),
        betas=torch.cat([part.betas for part in parts]).float().cpu(),
    )
