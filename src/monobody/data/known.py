"""Everything that is known about a synthetic person, put into the frames of a picture and its region of interest."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from monobody.data.crop import Crop, turn_back
from monobody.data.figure import Figure
from monobody.data.region import region_from_joints
from monobody.data.sample import Sample
from monobody.jit import compiled


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticSample(Sample):
    """A sample of which everything is known."""

    theta: Float[np.ndarray, "85"]
    """HMR's vector: weak camera in the region of interest, axis-angle pose in the picture's camera frame, betas."""
    keypoints: dict[str, tuple[Float[np.ndarray, "k 2"], Float[np.ndarray, "k 3"]]]
    """By joint set: pixels, and metres in the camera frame."""
    translation_m: Float[np.ndarray, "3"]
    """Added to the body model's vertices, it puts them before the camera."""


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
        visible=np.asarray(inside, np.float32),
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


@compiled()
def to_axis_angle(rotation):
    """Return the axis-angle vector of one rotation matrix (3, 3), exact at half turns too.

    One matrix at a time: the library's batched form (``body.rotation``) takes longer to start than this to finish.
    """
    # The quaternion's largest component is well conditioned; the others follow from it.
    r, q = rotation, np.empty(4)
    trace = r[0, 0] + r[1, 1] + r[2, 2]
    squares = np.array([trace, 2 * r[0, 0] - trace, 2 * r[1, 1] - trace, 2 * r[2, 2] - trace])
    k = int(np.argmax(squares))
    q[k] = 0.5 * np.sqrt(1 + squares[k])
    over = 0.25 / q[k]
    odd = np.array([r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]]) * over
    if k == 0:
        q[1:] = odd
    else:
        a, b, c = k - 1, k % 3, (k + 1) % 3
        q[0] = odd[a]
        q[1 + b] = (r[a, b] + r[b, a]) * over
        q[1 + c] = (r[a, c] + r[c, a]) * over
    if q[0] < 0:
        q = -q
    length = np.sqrt(q[1] ** 2 + q[2] ** 2 + q[3] ** 2)
    scale = 2 * np.arctan2(length, q[0]) / length if length > 1e-8 else 2.0
    return (scale * q[1:]).astype(np.float32)
