"""The one canonical training example, and the rows that a network is trained on.

A :class:`Sample` is a picture with one person of interest in it: the region of interest where the detector puts it,
and whatever is known of the person, in the picture's pixels and in the camera frame of the upright picture. Clicked
photos know 2D joints only; synthetic people know everything.

:func:`training_row` cuts the region out, moved, scaled, turned and mirrored at random, and moves every label along:

- a crop turned by ``a`` sees the camera turned about its axis, so rotations and 3D joints become ``Rz(-a) R``;
- a mirrored crop swaps left and right joints and conjugates rotations by ``diag(-1, 1, 1)``; the body's shape space
  is symmetrical, so the betas stay;
- where the crop lies before the camera (`view`) is told in the crop's own axes, turned and mirrored with it, so that
  ``xy / z = view[:2] + keypoints_2d * view[2] / 2`` holds for 3D joints that stand where they were seen.

The moves imitate, and exceed, how far the detector's region strays from the true one, and turn a share of the
samples by any angle, so that a wrongly turned region is not fatal (HMR, section 4, turns nothing; see the crop's rule).
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any, NotRequired, TypedDict

import numpy as np
from jaxtyping import Float, UInt8

from monobody.body.skeleton import SKELETONS
from monobody.data.augment import Appearance, degrade
from monobody.data.crop import Crop, extract, turn_back


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One person in one picture, with what is known about them."""

    image: UInt8[np.ndarray, "h w 3"]
    """RGB, with some margin around the region of interest, so that it can be moved and turned."""
    crop: Crop
    """The region of interest, where the detector would put it."""
    keypoints_px: Float[np.ndarray, "19 2"]
    """The joints of the set cocoplus19, in pixels of ``image``."""
    visible: Float[np.ndarray, "19"]
    """1 where ``keypoints_px`` is known, else 0 (the position then means nothing)."""
    joints_cam_m: Float[np.ndarray, "14 3"] | None = None
    """The joints of the set lsp14 in metres, camera frame of the picture."""
    rotations: Float[np.ndarray, "24 3 3"] | None = None
    """The joints' rotations; the root takes the body frame to the camera frame of the picture."""
    betas: Float[np.ndarray, "10"] | None = None
    """Shape coefficients of the body that ``shape_space`` names."""
    shape_space: str = "monobody"
    """Whose rotations and betas these are: the shipped body's, or "smpl" for SMPL's. Rotations serve the training of
    any body, betas that of their own alone."""
    focal_px: float | None = None
    """Focal length of the camera that took the picture, in pixels of ``image``, where it is known; then
    ``joints_cam_m`` are where they were before that camera, and are projected to ``keypoints_px``, near
    them where the two were found apart (3DPW)."""
    principal_px: tuple[float, float] | None = None
    """Where that camera's axis meets the picture; known where ``focal_px`` is."""
    frame_px: tuple[float, float, float, float] | None = None
    """Where ``image`` was cut from a larger picture: that picture's x0, y0, x1, y1 in pixels of ``image``."""
    mask: UInt8[np.ndarray, "h w"] | None = None
    """255 where the person is seen, 0 elsewhere."""
    parts: UInt8[np.ndarray, "h w"] | None = None
    """One plus the number of the body part (of 24) seen at a pixel, 0 elsewhere."""


class TrainingRow(TypedDict):
    """What the training tasks collate: the fields of one row, without the batch axis."""

    images: UInt8[np.ndarray, "3 s s"]
    keypoints_2d: Float[np.ndarray, "19 2"]
    visible: Float[np.ndarray, "19"]
    joints_3d: Float[np.ndarray, "14 3"]
    has_joints_3d: np.float32
    rotations: Float[np.ndarray, "24 3 3"]
    betas: Float[np.ndarray, "10"]
    has_body: np.float32
    """1 where the rotations are known."""
    has_betas: np.float32
    """1 where the betas are known, and are those of the body in training."""
    view: Float[np.ndarray, "3"]
    """The crop before the picture's camera (CLIFF, Li et al. 2022, section 3.2), in focal lengths: its centre from the
    principal point along the crop's axes, and its size."""
    mask: NotRequired[UInt8[np.ndarray, "s s"]]
    """255 where the person is seen; all 0 where that is not known. In rows that were asked for it."""
    has_mask: NotRequired[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Augment:
    """How far a region of interest is moved, and what happens to the picture's colours."""

    shift: float = 0.06
    """Standard deviation of the region's centre in each direction, in region sizes."""
    log_scale: float = 0.12
    """Standard deviation of the logarithm of the region's size."""
    turn_rad: float = math.radians(12)
    """Standard deviation of the region's angle."""
    full_turn_share: float = 0.1
    """Share of samples turned by a uniformly random angle instead."""
    even_shift_px: int = 0
    """HMR's own moves: both directions by whole pixels of a 224 px crop, from -n to n - 1 with equal chances."""
    even_zoom: tuple[float, float] = (1.0, 1.0)
    """HMR's own scaling: the picture is then magnified by a factor between these with equal chances."""
    mirror_share: float = 0.5
    """Share of samples mirrored."""
    appearance: Appearance | None = field(default_factory=Appearance)
    """Changes of colour, sharpness and compression; None leaves the pixels alone."""


NO_AUGMENT = Augment(shift=0, log_scale=0, turn_rad=0, full_turn_share=0, mirror_share=0, appearance=None)
"""Exactly the sample's own region: for validation."""

HMR_AUGMENT = replace(NO_AUGMENT, even_shift_px=20, even_zoom=(0.8, 1.23), mirror_share=0.5)
"""As HMR's authors trained: no turns, colours as they are."""


def training_row(
    sample: Sample,
    rng: np.random.Generator,
    out_size: int,
    augment: Augment,
    *,
    shape_space: str = "monobody",
    masks: bool = False,
) -> TrainingRow:
    """Cut out the sample's region, changed at random, with all labels in the frame of the crop.

    Keypoints come in crop coordinates ([-1, 1] across the crop), 3D joints (metres) and the root rotation in the
    crop-turned camera frame. Labels that the sample lacks are zeros (rotations: identities) with their flag at 0;
    so are betas of another ``shape_space`` than that of the body in training. The same ``rng`` state gives the same
    row. With ``masks`` it has the person's mask too, cut out as the picture is.
    """
    crop = jitter(sample.crop, rng, augment)
    mirrored = rng.random() < augment.mirror_share
    image = extract(sample.image, crop, out_size)
    if augment.appearance is not None:
        image = degrade(image, rng, augment.appearance)
    row = TrainingRow(
        images=np.ascontiguousarray(image.transpose(2, 0, 1)),
        keypoints_2d=crop.to_crop(np.asarray(sample.keypoints_px, np.float64)).astype(np.float32),
        visible=np.asarray(sample.visible, np.float32),
        joints_3d=np.zeros((14, 3), np.float32),
        has_joints_3d=np.float32(sample.joints_cam_m is not None),
        rotations=np.tile(np.eye(3, dtype=np.float32), (24, 1, 1)),
        betas=np.zeros(10, np.float32),
        has_body=np.float32(sample.rotations is not None),
        has_betas=np.float32(sample.betas is not None and sample.shape_space == shape_space),
        view=view_of(crop, *camera_of(sample)),
    )
    if masks:
        row["has_mask"] = np.float32(sample.mask is not None)
        row["mask"] = np.zeros((out_size, out_size), np.uint8)
        if sample.mask is not None:
            row["mask"] = np.ascontiguousarray(extract(np.repeat(sample.mask[..., None], 3, 2), crop, out_size)[..., 0])
    if sample.joints_cam_m is not None:
        joints = np.asarray(sample.joints_cam_m, np.float64)
        row["joints_3d"] = turn_back(joints[..., None], -crop.angle_rad)[..., 0].astype(np.float32)
    if sample.rotations is not None:
        rotations = np.array(sample.rotations, np.float64)
        rotations[0] = turn_back(rotations[0], -crop.angle_rad)
        row["rotations"] = rotations.astype(np.float32)
    if sample.betas is not None and row["has_betas"]:
        row["betas"] = np.asarray(sample.betas, np.float32)
    return mirror_row(row) if mirrored else row


def jitter(crop: Crop, rng: np.random.Generator, augment: Augment) -> Crop:
    """Move, scale and turn a region of interest at random."""
    shift_u, shift_v, log_scale, turn = rng.normal(size=4)
    angle = crop.angle_rad + turn * augment.turn_rad
    if rng.random() < augment.full_turn_share:
        angle = rng.uniform(-math.pi, math.pi)
    shift, size = augment.shift * np.array([shift_u, shift_v]), crop.size_px * math.exp(log_scale * augment.log_scale)
    if augment.even_shift_px > 0:
        shift = shift + rng.integers(-augment.even_shift_px, augment.even_shift_px, size=2) / 224
    if augment.even_zoom != (1.0, 1.0):
        size /= rng.uniform(*augment.even_zoom)
    centre = crop.to_picture(2 * shift)
    return Crop((float(centre[0]), float(centre[1])), size, angle)


def camera_of(sample: Sample) -> tuple[float, tuple[float, float]]:
    """Return the focal length and principal point of a sample's picture, in pixels.

    Where the camera is not known: the whole picture's diagonal and its middle, as CLIFF assumes.
    """
    height, width = sample.image.shape[:2]
    x0, y0, x1, y1 = sample.frame_px or (0.0, 0.0, float(width), float(height))
    focal = math.hypot(x1 - x0, y1 - y0) if sample.focal_px is None else sample.focal_px
    return focal, sample.principal_px or (0.5 * (x0 + x1), 0.5 * (y0 + y1))


def view_of(crop: Crop, focal_px: float, principal_px: tuple[float, float]) -> Float[np.ndarray, "3"]:
    """Return where a crop lies before its picture's camera: see ``TrainingRow.view``."""
    across, down = (np.asarray(crop.centre_px) - np.asarray(principal_px)) @ crop.axes()
    return np.array([across / focal_px, down / focal_px, crop.size_px / focal_px], np.float32)


def mirror_row(row: TrainingRow) -> TrainingRow:
    """Mirror a row left to right: pixels, mask, keypoints, 3D joints, rotations, view. Twice gives the row back."""
    flip2d, flip3d, flip_body = (list(SKELETONS[name].flip) for name in ("cocoplus19", "lsp14", "smpl24"))
    signs = np.array([-1, 1, 1], np.float32)
    mirrored = row.copy()
    mirrored["images"] = np.ascontiguousarray(row["images"][..., ::-1])
    mirrored["keypoints_2d"] = row["keypoints_2d"][flip2d] * signs[:2]
    mirrored["visible"] = row["visible"][flip2d]
    mirrored["joints_3d"] = row["joints_3d"][flip3d] * signs
    mirrored["rotations"] = row["rotations"][flip_body] * signs[:, None] * signs
    mirrored["view"] = row["view"] * signs
    if "mask" in row:
        mirrored["mask"] = np.ascontiguousarray(row["mask"][:, ::-1])
    return mirrored


def resized(sample: Sample, factor: float) -> Sample:
    """Shrink (or enlarge) a sample's picture by a factor, with its labels in pixels."""
    from PIL import Image

    height, width = sample.image.shape[:2]
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    scale = np.array([size[0] / width, size[1] / height])

    def scaled(plane: np.ndarray | None, kind: Image.Resampling) -> np.ndarray | None:
        return None if plane is None else np.asarray(Image.fromarray(plane).resize(size, kind))

    centre = np.asarray(sample.crop.centre_px) * scale
    image = scaled(sample.image, Image.Resampling.BOX if factor < 1 else Image.Resampling.BILINEAR)
    assert image is not None
    return replace(
        sample,
        image=image,
        crop=Crop((float(centre[0]), float(centre[1])), sample.crop.size_px * factor, sample.crop.angle_rad),
        keypoints_px=(sample.keypoints_px * scale).astype(np.float32),
        mask=scaled(sample.mask, Image.Resampling.NEAREST),
        parts=scaled(sample.parts, Image.Resampling.NEAREST),
        **_moved_camera(sample, np.zeros(2), scale, factor),
    )


def cut(sample: Sample, x0: int, y0: int, x1: int, y1: int) -> Sample:
    """Cut a window (whole pixels, within the picture) out of a sample's picture, with everything known moved along."""
    x, y = sample.crop.centre_px

    def window(plane: np.ndarray | None) -> np.ndarray | None:
        return None if plane is None else np.ascontiguousarray(plane[y0:y1, x0:x1])

    return replace(
        sample,
        image=np.ascontiguousarray(sample.image[y0:y1, x0:x1]),
        crop=Crop((x - x0, y - y0), sample.crop.size_px, sample.crop.angle_rad),
        keypoints_px=(sample.keypoints_px - np.array([x0, y0])).astype(np.float32),
        mask=window(sample.mask),
        parts=window(sample.parts),
        **_moved_camera(sample, np.array([x0, y0]), np.ones(2), 1.0),
    )


def _moved_camera(sample: Sample, corner: np.ndarray, scale: np.ndarray, factor: float) -> dict[str, Any]:
    """Return the fields of a sample's camera after cutting its picture at a corner and scaling it."""
    height, width = sample.image.shape[:2]

    def moved(points: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(float(value) for value in ((np.reshape(points, (-1, 2)) - corner) * scale).ravel())

    return {
        "focal_px": None if sample.focal_px is None else sample.focal_px * factor,
        "principal_px": None if sample.principal_px is None else moved(sample.principal_px),
        "frame_px": moved(sample.frame_px or (0.0, 0.0, float(width), float(height))),
    }
