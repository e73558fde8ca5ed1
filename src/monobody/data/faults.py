"""Samples that nothing can be learnt from: found when they are drawn, passed over, counted; refused where many.

A picture that does not decode or a label that is no number concerns one sample of perhaps a million, and must not end a
week of training. It is passed over, and its row of the batch is another sample (`data/mix.py`). But a tenth of the
pictures missing is a data set that was not unpacked whole: above `LARGEST_SHARE` training ends with a sentence that
names the first few.
"""

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

import numpy as np

from monobody.body.skeleton import SKELETONS
from monobody.data.mask import fault_of_mask
from monobody.data.sample import Sample
from monobody.errors import UserError

LARGEST_SHARE = 0.01
"""Share of bad samples above which training refuses to go on."""
NAMED = 3
"""How many bad samples are named."""
SMALLEST_PX = 8
"""Smaller pictures show nobody, whatever their labels say."""
FARTHEST = 20.0
"""How far from the middle of the region a visible joint may be, in halves of the region's size."""
SPAN_M = (0.1, 5.0)
"""Between which sizes the box of somebody's joints lies, its longest side in metres."""
ROTATION_TOLERANCE = 0.02
"""How far R^T R may be from the identity; half precision is off by a thousandth."""


class Samples(Protocol):
    """Samples by number: a data set (which has a length too), or an endless stream such as synthetic people."""

    def __getitem__(self, number: int, /) -> Sample: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """A sample that cannot be used."""

    source: str
    index: int
    reason: str

    def __str__(self) -> str:
        return f"{self.source} {self.index}: {self.reason}"


def read_sample(samples: Samples, index: int) -> Sample | Fault:
    """Return a sample, or what is wrong with it."""
    try:
        sample = samples[index]
        reason = fault_of(sample)
    except MemoryError:
        raise
    except Exception as error:  # Damaged files make decoders raise nearly anything; all of it is counted and shown.
        reason = str(error).rstrip(".") if isinstance(error, UserError) else f"{type(error).__name__} ({error})"
        return Fault(source=type(samples).__name__, index=index, reason=reason)
    return sample if reason is None else Fault(source=type(samples).__name__, index=index, reason=reason)


def fault_of(sample: Sample) -> str | None:
    """Say why nothing can be learnt from a sample; None where nothing is wrong with it.

    Labels that are missing are no fault as long as others are there, and what lies under a joint that is not visible
    is not looked at.
    """
    return _fault_of_picture(sample) or _fault_of_keypoints(sample) or _fault_of_body(sample)


def usable(samples: Samples, indices: Iterable[int], *, what: str) -> list[Sample]:
    """Read samples, without the bad ones, which are named on the terminal.

    Raises:
        UserError: more than `LARGEST_SHARE` of them are bad.
    """
    read = [read_sample(samples, index) for index in indices]
    faults = [each for each in read if isinstance(each, Fault)]
    if faults:
        sentence = f"{len(faults)} of {len(read)} {what} cannot be used: {listed(faults, len(faults))}."
        if len(faults) > max(LARGEST_SHARE * len(read), 1):
            raise UserError(f"{sentence} Check that the data set was unpacked whole.")
        print(sentence, file=sys.stderr, flush=True)
    return [each for each in read if isinstance(each, Sample)]


@dataclass(kw_only=True, slots=True)
class Tally:
    """Counts the samples of a run, bad ones apart."""

    drawn: int = 0
    bad: int = 0
    named: list[Fault] = field(default_factory=list)

    def add(self, drawn: int, faults: int, examples: Iterable[Fault] = ()) -> None:
        """Count samples that were drawn, and how many of them were bad; name the first bad ones on the terminal.

        Raises:
            UserError: more are bad than a share of `LARGEST_SHARE` brings by chance.
        """
        self.drawn += drawn
        self.bad += faults
        for fault in islice(examples, NAMED - len(self.named)):
            self.named.append(fault)
            print(f"passed over {fault}", file=sys.stderr, flush=True)
        # Three standard deviations above what the share would bring: the first bad sample of a run is not 1 in 32.
        expected = LARGEST_SHARE * self.drawn
        if self.bad > expected + 3 * math.sqrt(expected) + 1:
            raise UserError(
                f"{self.bad} of the {self.drawn} samples drawn so far cannot be used, more than "
                f"{100 * LARGEST_SHARE:g} %: {listed(self.named, self.bad)}. Check that the data sets were unpacked "
                "and prepared whole, then go on with --resume."
            )


def listed(faults: Sequence[Fault], count: int) -> str:
    """Name the first of `count` faults."""
    named = "; ".join(str(fault) for fault in faults[:NAMED])
    return f"{named}; and {count - NAMED} more" if count > NAMED else named


def _fault_of_picture(sample: Sample) -> str | None:
    image = sample.image
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        return "its picture is not 8-bit RGB"
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST_PX:
        return f"its picture has {width} x {height} pixels"
    if not SMALLEST_PX < sample.crop.size_px < FARTHEST * max(width, height):
        return f"its person's region is {sample.crop.size_px:.4g} pixels large"
    low, high = sample.crop.corners_px().min(0), sample.crop.corners_px().max(0)
    if (high <= 0).any() or low[0] >= width or low[1] >= height:
        return "its person lies outside of the picture"
    if sample.mask is not None and np.shape(sample.mask) != (height, width):
        return f"its mask has the shape {np.shape(sample.mask)}, not that of its picture"
    return None


def _fault_of_keypoints(sample: Sample) -> str | None:
    if sample.keypoints_px is None or sample.visible is None:
        return "it has no keypoints"
    points, visible = np.asarray(sample.keypoints_px), np.asarray(sample.visible)
    if points.shape != (19, 2) or visible.shape != (19,):
        return f"its keypoints have the shape {points.shape}"
    if not ((visible >= 0) & (visible <= 1)).all():
        return "the visibility of a joint is not between 0 and 1"
    seen = visible > 0
    if not seen.any() and sample.joints_cam_m is None and sample.rotations is None:
        nothing = "no joint is visible and nothing else is known"
        return nothing if sample.mask is None else fault_of_mask(sample.mask)
    unknown = ~np.asarray(np.isfinite(points[seen]).all(-1))
    if unknown.any():
        return f"{_joint(seen, unknown)} is no number"
    away = np.abs(sample.crop.to_crop(points[seen].astype(np.float64))).max(-1, initial=0.0)
    if (away > FARTHEST).any():
        return f"{_joint(seen, away > FARTHEST)} lies {away.max() / 2:.0f} regions away from the person"
    return None


def _fault_of_body(sample: Sample) -> str | None:
    shapes = (("joints_cam_m", (14, 3)), ("rotations", (24, 3, 3)), ("betas", (10,)))
    for name, shape in shapes:
        value = getattr(sample, name)
        if value is not None and np.shape(value) != shape:
            return f"{name} has the shape {np.shape(value)}"
        if value is not None and not np.isfinite(value).all():
            return f"{name} is no number"
    camera = [] if sample.focal_px is None else [sample.focal_px, *(sample.principal_px or ())]
    if not all(map(math.isfinite, camera)) or (camera and camera[0] <= 0):
        return "its focal length or principal point is no such number"
    if sample.joints_cam_m is not None:
        joints = np.asarray(sample.joints_cam_m)
        span = float((joints.max(0) - joints.min(0)).max())
        if not SPAN_M[0] < span < SPAN_M[1]:
            return f"its 3D joints span {span:.4g} m"
    if sample.rotations is not None and _improper(np.asarray(sample.rotations, np.float32)):
        return "its rotations are none"
    return None


def _improper(rotations: np.ndarray) -> bool:
    """Tell whether any of the matrices is no rotation: not orthonormal, or mirrored."""
    off = rotations.transpose(0, 2, 1) @ rotations - np.eye(3, dtype=np.float32)
    return bool(np.abs(off).max() > ROTATION_TOLERANCE or (np.linalg.det(rotations) < 0).any())


def _joint(seen: np.ndarray, which: np.ndarray) -> str:
    name = SKELETONS["cocoplus19"].joints[int(np.flatnonzero(seen)[np.flatnonzero(which)[0]])]
    return f"its {name.replace('_', ' ')}"
