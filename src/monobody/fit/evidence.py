"""What is known of people to whom bodies are fitted: keypoints, 3D joints, masks, cameras, which rows are one person.

Everything that cannot be fitted is refused here, with the row and the reason, before anything is computed. A joint with
confidence 0 is unknown: its coordinates mean nothing and may be NaN.
Shapes: n people (or frames), k keypoints of the set `keypoint_set`, j joints of the set `joint_set`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from monobody.body.skeleton import HUMAN_SETS
from monobody.errors import UserError

FEWEST_JOINTS = 3
"""Fewer known joints than these leave open where a person is and which way they face."""
_ASPECT_TOLERANCE = 0.02
_ONE_PLACE = {2: 1.0, 3: 0.01}
"""Keypoints within so many pixels of each other, or 3D joints within so many metres, are nobody."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Mask:
    """Where a person is seen: a raster over a window of the picture."""

    coverage: Float[Tensor, "h w"]
    """Which part of each pixel the person covers, 0 to 1."""
    window_px: tuple[float, float, float, float]
    """x0, y0, x1, y1 of the raster's outer corners in the picture, pixels."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Frames:
    """Which rows show one and the same person: these share their shape, and move smoothly where times are given."""

    person: Int[Tensor, " n"]
    """Rows with the same number are the same person."""
    time_s: Float[Tensor, " n"] | None = None
    """When each row was taken, seconds; None for pictures that are no film."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Evidence:
    """What is known of n people. At least one of keypoints, 3D joints and masks must be there.

    Raises:
        UserError: something cannot be fitted; the sentence says which row, and why.
    """

    keypoints_px: Float[Tensor, "n k 2"] | None = None
    """Pixels of the picture, the centre of the first one at 0.5."""
    confidence: Float[Tensor, "n k"] | None = None
    """How much each keypoint counts, from 0 (unknown) to 1."""
    keypoint_set: str = "cocoplus19"
    """A name of `body.skeleton.HUMAN_SETS`."""
    joints_m: Float[Tensor, "n j 3"] | None = None
    """3D joints in metres, the picture's camera frame: x right, y down, z forward."""
    joints_confidence: Float[Tensor, "n j"] | None = None
    """As `confidence`; all 1 where left out."""
    joint_set: str = "lsp14"
    joints_absolute: bool = False
    """Whether `joints_m` are where they were before the camera; else only their places among each other count."""
    masks: Sequence[Mask | None] | None = None
    """One for each row, None for rows without."""
    focal_px: Float[Tensor, " n"] | None = None
    """Focal length of each row's picture; needed for keypoints and masks."""
    principal_px: Float[Tensor, "n 2"] | None = None
    """Where the optical axis meets each row's picture."""
    frames: Frames | None = None

    def __post_init__(self) -> None:
        if self.keypoints_px is None and self.joints_m is None and not self.has_masks:
            raise UserError("There is nothing to fit a body to: give keypoints, 3D joints or a mask.")
        if self.keypoints_px is not None:
            if self.confidence is None:
                raise UserError("Keypoints need a confidence each: give 1 for those that are known and 0 for others.")
            _check_points("keypoint", self.keypoint_set, self.keypoints_px, self.confidence, 2)
        if self.joints_m is not None:
            confidence = self.joints_confidence
            known = self.joints_m.new_ones(self.joints_m.shape[:-1]) if confidence is None else confidence
            _check_points("3D joint", self.joint_set, self.joints_m, known, 3)
        counts = [len(x) for x in (self.keypoints_px, self.joints_m, self.masks) if x is not None]
        if len(set(counts)) > 1:
            raise UserError(
                f"The evidence is of different numbers of people ({sorted(set(counts))}); give one row each."
            )
        self._check_camera()
        for row, mask in enumerate(self.masks or ()):
            if mask is not None:
                _check_mask(row, mask)
        if self.frames is not None:
            _check_frames(self.frames, self.count)

    @property
    def count(self) -> int:
        """Number of rows."""
        first = next(x for x in (self.keypoints_px, self.joints_m, self.masks) if x is not None)
        return len(first)

    @property
    def has_masks(self) -> bool:
        """Whether any row has a mask."""
        return any(mask is not None for mask in self.masks or ())

    @property
    def seen(self) -> bool:
        """Whether anything is known in pixels, so that the camera matters."""
        return self.keypoints_px is not None or self.has_masks

    def _check_camera(self) -> None:
        if not self.seen:
            return
        if self.focal_px is None or self.principal_px is None:
            raise UserError("Keypoints and masks need their camera: give focal_px and principal_px of every row.")
        if self.focal_px.shape != (self.count,) or self.principal_px.shape != (self.count, 2):
            raise UserError(f"{self.count} rows need {self.count} focal lengths and as many principal points (x, y).")
        good = torch.isfinite(self.focal_px) & (self.focal_px > 0) & torch.isfinite(self.principal_px).all(1)
        if not good.all():
            row = int((~good).nonzero()[0])
            raise UserError(f"The camera of row {row} has no positive focal length, or no finite principal point.")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Start:
    """Bodies to start from, such as a network's: the fit may be tied to them (`Settings.start_error_rad`)."""

    rotations: Float[Tensor, "n 24 3 3"]
    """In the picture's camera frame."""
    betas: Float[Tensor, "n 10"]
    translation_m: Float[Tensor, "n 3"] | None = None
    """Where the bodies stand; found from the keypoints where left out."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Fits:
    """Fitted bodies, and how good each fit is. A measure for which the evidence has nothing is NaN."""

    rotations: Float[Tensor, "n 24 3 3"]
    """Joint rotations; the first takes the body's frame to the picture's camera frame."""
    betas: Float[Tensor, "n 10"]
    translation_m: Float[Tensor, "n 3"]
    """Added to the posed body, it puts the body before the camera (or among 3D joints that were all that was known)."""

    reprojection_px: Float[Tensor, " n"]
    """Mean distance of the known keypoints from the body's, weighted by confidence."""
    reprojection_relative: Float[Tensor, " n"]
    """The same over the person's size: the larger side of the box about the known keypoints."""
    worst_joint: Int[Tensor, " n"]
    """Index, in the set of the keypoints (else of the 3D joints), of the known joint that fits worst; -1 without."""
    worst_relative: Float[Tensor, " n"]
    """Distance of that keypoint over the person's size; metres for 3D joints."""
    joints_mm: Float[Tensor, " n"]
    """Mean distance of the known 3D joints from the body's in mm, centred where they are not absolute."""
    silhouette_iou: Float[Tensor, " n"]
    """Of mask and body: the sum of the smaller over that of the larger coverage."""
    prior_nats: Float[Tensor, " n"]
    """What `PosePrior.log_density` gives the pose: nats above chance."""
    beyond_limits: Float[Tensor, " n"]
    """Share of the 21 joints that motion capture moves which are bent further than it has ever seen."""
    overlap_m: Float[Tensor, " n"]
    """How deep the body runs through itself (`body/collision.py`); 0 where it does not."""
    loss: Float[Tensor, " n"]
    """What was minimised, nats."""
    converged: Bool[Tensor, " n"]
    """Whether the last steps no longer changed the loss; else the number of evaluations ran out."""
    keypoint_set: str | None
    joint_set: str | None


def _check_points(kind: str, set_name: str, points: Tensor, confidence: Tensor, axes: int) -> None:
    if set_name not in HUMAN_SETS:
        raise UserError(f"There is no joint set {set_name!r}; it is one of {', '.join(sorted(HUMAN_SETS))}.")
    joints = HUMAN_SETS[set_name].joints
    if points.ndim != 3 or points.shape[1:] != (len(joints), axes) or confidence.shape != points.shape[:2]:
        raise UserError(
            f"The set {set_name} has {len(joints)} joints of {axes} numbers and a confidence each, not an array of "
            f"{tuple(points.shape)} with confidences of {tuple(confidence.shape)}."
        )
    if len(points) == 0:
        raise UserError("There is nobody to fit: the evidence has no rows.")
    if not torch.isfinite(confidence).all() or (confidence < 0).any():
        raise UserError(f"A {kind}'s confidence is negative or not a number; give 0 for what is unknown.")
    known = confidence > 0
    broken = (known & ~torch.isfinite(points).all(-1)).nonzero()
    if len(broken):
        row, joint = broken[0].tolist()
        raise UserError(
            f"The {kind} {joints[joint]} of row {row} is not a finite number but has a confidence above 0; "
            "set that to 0 where a joint is unknown."
        )
    few = (known.sum(1) < FEWEST_JOINTS).nonzero()
    if len(few):
        row = int(few[0])
        raise UserError(
            f"Row {row} has {int(known[row].sum())} known {kind}s; a body needs at least {FEWEST_JOINTS} of them."
        )
    spread = torch.where(known[..., None], points, torch.nan)
    seen = [person[~person.isnan().any(-1)] for person in spread]
    flat = [row for row, at in enumerate(seen) if (at.amax(0) - at.amin(0)).amax() <= _ONE_PLACE[axes]]
    if flat:
        raise UserError(f"All known {kind}s of row {flat[0]} are at one and the same place.")


def _check_mask(row: int, mask: Mask) -> None:
    coverage, (x0, y0, x1, y1) = mask.coverage, mask.window_px
    if coverage.ndim != 2 or min(coverage.shape) < 2:
        raise UserError(f"The mask of row {row} is no picture of height and width: {tuple(coverage.shape)}.")
    if not torch.isfinite(coverage).all() or coverage.min() < 0 or coverage.max() > 1:
        raise UserError(f"The mask of row {row} has values outside of 0 to 1.")
    if coverage.max() < 0.5:
        raise UserError(f"The mask of row {row} is empty: nobody is in it.")
    if coverage.min() > 0.5:
        raise UserError(f"The mask of row {row} is full: it has no outline to fit to. Widen its window.")
    height, width = coverage.shape
    if not (x1 > x0 and y1 > y0) or abs((x1 - x0) / width * height / (y1 - y0) - 1) > _ASPECT_TOLERANCE + 1 / height:
        raise UserError(
            f"The mask of row {row} is {width} x {height}, which is not the shape of its window "
            f"({x1 - x0:g} x {y1 - y0:g} pixels)."
        )


def _check_frames(frames: Frames, count: int) -> None:
    if frames.person.shape != (count,):
        raise UserError(f"{count} rows need {count} numbers that say whose they are, not {len(frames.person)}.")
    if frames.time_s is None:
        return
    if frames.time_s.shape != (count,) or not torch.isfinite(frames.time_s).all():
        raise UserError(f"{count} frames need {count} finite times in seconds.")
    for person in frames.person.unique():
        times = frames.time_s[frames.person == person]
        if len(times.unique()) < len(times):
            raise UserError(f"Two frames of person {int(person)} have the same time; give each frame its own.")
