"""HMR's own crops for training and testing: people whose whole body is seen fill 150 of 224 pixels (section 3.4).

The authors' code measures the diagonal of the tight box of the visible joints and scales by what is seen of a body:

    an ankle                       that diagonal becomes 150 px
    else head top and a hip        their distance becomes 75 px
    else a shoulder and a hip      their distance becomes 75 px (COCO; 56 px in MPII)
    else                           the diagonal becomes 50 px (COCO; people of MPII are left out, see `mpii.py`)

so that the half of a body in a portrait is about as large as it would be in a full figure. The crop is not turned; its
centre is the box's. Joints have the order of the set cocoplus19.
"""

from collections.abc import Sized
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from monobody.data.crop import Crop, hmr_crop
from monobody.data.faults import Samples
from monobody.data.sample import Sample

CROP_PX = 224
ANKLES, HIPS, SHOULDERS, HEAD_TOP = (0, 5), (2, 3), (8, 9), (13,)
HEAD_TO_HIP_PX = SHOULDER_TO_HIP_PX = 75
MPII_SHOULDER_TO_HIP_PX = 56
PORTRAIT_PX = 50
KEPT_PX = 400
"""Side of what HMR's authors stored about the centre of a 224 px crop, so that it can be moved and widened."""


def published_crop(
    keypoints_px: Float[np.ndarray, "19 2"],
    visible: Float[np.ndarray, "19"],
    *,
    shoulder_to_hip_px: float = SHOULDER_TO_HIP_PX,
) -> Crop:
    """Return HMR's crop for a person with these joints.

    Raises:
        UserError: fewer than two joints, at different places, are visible.
    """
    known = np.asarray(visible) > 0
    whole = hmr_crop(keypoints_px, known)
    if known[list(ANKLES)].any():
        return whole
    for ends, length_px in (
        ((HEAD_TOP, HIPS), HEAD_TO_HIP_PX),
        ((SHOULDERS, HIPS), shoulder_to_hip_px),
    ):
        upper, lower = (_middle(keypoints_px, known, joints) for joints in ends)
        if upper is not None and lower is not None and (distance := float(np.linalg.norm(upper - lower))) > 0:
            return Crop(whole.centre_px, distance * CROP_PX / length_px)
    return Crop(whole.centre_px, whole.size_px * 150 / PORTRAIT_PX)


def tells_size(visible: Float[np.ndarray, "19"]) -> bool:
    """Tell whether enough of somebody is seen to infer the size of the whole body: HMR's rule for people of MPII."""
    ankle, hip, shoulder, head_top = (
        bool((np.asarray(visible)[list(joints)] > 0).any()) for joints in (ANKLES, HIPS, SHOULDERS, HEAD_TOP)
    )
    return ankle or (hip and (head_top or shoulder))


def reach_of_published_crop(sample: Sample) -> float:
    """Return how far from the middle of a sample's region HMR's crop can look, in sizes of the region; 0 without one.

    Of a portrait, whose body it imagines, HMR's crop shows several times as much as the region.
    """
    if not _is_placed(sample):
        return 0.0
    crop = published_crop(sample.keypoints_px, sample.visible, shoulder_to_hip_px=MPII_SHOULDER_TO_HIP_PX)
    away_px = float(np.abs(np.subtract(crop.centre_px, sample.crop.centre_px)).max())
    return (away_px + KEPT_PX / 2 / CROP_PX * crop.size_px) / sample.crop.size_px


def with_published_crops(samples: Samples, *, shoulder_to_hip_px: float = SHOULDER_TO_HIP_PX) -> Samples:
    """Return the samples with HMR's crops in place of their regions; a data set keeps its length.

    Who has no two visible joints keeps the region.
    """
    kind = _CroppedSet if isinstance(samples, Sized) else _Cropped
    return kind(samples, shoulder_to_hip_px)


class _Cropped:
    def __init__(self, samples: Samples, shoulder_to_hip_px: float) -> None:
        self.samples = samples
        self.shoulder_to_hip_px = shoulder_to_hip_px

    def __getitem__(self, number: int) -> Sample:
        sample = self.samples[number]
        if not _is_placed(sample):
            return sample
        crop = published_crop(sample.keypoints_px, sample.visible, shoulder_to_hip_px=self.shoulder_to_hip_px)
        return replace(sample, crop=crop)


class _CroppedSet(_Cropped):
    def __len__(self) -> int:
        assert isinstance(self.samples, Sized)
        return len(self.samples)


def _is_placed(sample: Sample) -> bool:
    """Tell whether a sample has two visible joints at different places."""
    seen = sample.keypoints_px[np.asarray(sample.visible) > 0]
    return len(seen) >= 2 and bool(np.ptp(seen, axis=0).any())


def _middle(
    points: Float[np.ndarray, "19 2"], known: Bool[np.ndarray, "19"], of: tuple[int, ...]
) -> Float[np.ndarray, "2"] | None:
    """Return the mean of those of some joints that are known, None where none is."""
    there = [points[joint] for joint in of if known[joint]]
    return np.mean(there, axis=0) if there else None
