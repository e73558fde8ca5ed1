"""Everything that is known about a synthetic person, put into the frames of a picture and its region of interest."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from monobody.data.crop import Crop, turn_back
from monobody.data.figure import Figure
from monobody.data.region import region_from_joints
from monobody.data.sample import Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticSample(Sample):
    """A sample of which everything is known."""

    theta: Float[np.ndarray, "85"]
    """HMR's vector: weak camera in the region of interest, axis-angle pose in the picture's camera frame, betas."""
    keypoints: dict[str, tuple[Float[np.ndarray, "k 2"], Float[np.ndarray, "k 3"]]]
    """By joint set: pixels, and metres in the camera frame."""
    translation_m: Float[np.ndarray, "3"]
    """Added to the body model's vertices, it puts them before the camera."""
    focal_px: float
    principal_px: tuple[float, float]


def labelled(
    figure: Figure,
    image: UInt8[np.ndarray, "s s 3"],
    mask: Float[np.ndarray, "s s"],
    parts: UInt8[np.ndarray, "s s"],
    points: dict[str, Float[np.ndarray, "k 2"]],
    joints: dict[str, Float[np.ndarray, "k 3"]],
    focal_px: float,
    principal_px: Float[np.ndarray, "2"],
) -> SyntheticSample:
    """Put a sample together; joints beyond the picture's edge are not ``visible``."""
    crop = region_from_joints(points["lsp14"])
    size = len(image)
    inside = ((points["cocoplus19"] > -0.05 * size) & (points["cocoplus19"] < 1.05 * size)).all(1)
    camera = fit_weak_camera(crop, points["lsp14"], joints["lsp14"] - figure.translation_m)
    return SyntheticSample(
        image=image,
        crop=crop,
        keypoints_px=points["cocoplus19"].astype(np.float32),
        visible=inside.astype(np.float32),
        joints_cam_m=joints["lsp14"].astype(np.float32),
        rotations=figure.rotations,
        betas=figure.betas,
        mask=np.round(255 * mask).astype(np.uint8),
        parts=parts,
        theta=np.concatenate([camera, figure.axis_angle.ravel(), figure.betas]).astype(np.float32),
        keypoints={name: (points[name].astype(np.float32), joints[name]) for name in points},
        translation_m=figure.translation_m,
        focal_px=focal_px,
        principal_px=(float(principal_px[0]), float(principal_px[1])),
    )


def fit_weak_camera(
    crop: Crop, points_px: Float[np.ndarray, "k 2"], joints_m: Float[np.ndarray, "k 3"]
) -> Float[np.ndarray, "3"]:
    """Return the weak camera (s, tx, ty) of a crop that fits the joints best: crop coordinates = s (XY + t).

    ``joints_m`` are as the body model gives them, in the camera frame of the picture (no translation).
    """
    seen = crop.to_crop(np.asarray(points_px, np.float64))
    flat = turn_back(np.asarray(joints_m, np.float64)[..., None], -crop.angle_rad)[:, :2, 0]
    spread, apart = flat - flat.mean(0), seen - seen.mean(0)
    scale = max(float((spread * apart).sum() / (spread * spread).sum()), 1e-3)
    return np.array([scale, *(seen.mean(0) / scale - flat.mean(0))])


def to_axis_angle(rotations: Float[np.ndarray, "*b 3 3"]) -> Float[np.ndarray, "*b 3"]:
    """Turn rotation matrices into axis-angle vectors."""
    import torch

    from monobody.body.rotation import matrix_to_axis_angle

    return matrix_to_axis_angle(torch.from_numpy(rotations)).numpy()
