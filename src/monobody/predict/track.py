"""Who is who from frame to frame: people are followed by their landmarks, and known again by place, pose and looks.

The detector looks over the whole picture in every k-th frame only. In between each person is read in the region that
their landmarks of the frame before define, as MediaPipe does. Whoever is hidden or leaves is remembered: close by and
soon after, they are known by where they were going, what they look like and how they stood; later and elsewhere by
their looks alone. Everything the tracker knows follows from what it was told to remember, so that it can go on where
another process was stopped.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from monobody.data.crop import Crop
from monobody.data.region import region_from_points
from monobody.predict.assign import pairs_of_least_cost
from monobody.predict.blaze_detector import BlazeDetector, detection_of
from monobody.predict.blaze_search import look_over, same_body
from monobody.predict.detection import Detection, Detector
from monobody.predict.landmarks import Reading, read_region
from monobody.predict.looks import Looks, looks_of
from monobody.predict.outline import clearness

DETECT_EVERY = 12
"""The detector looks in every so manieth frame."""
MIN_PRESENCE, MIN_INSIDE, MIN_SCORE, MIN_ON_MASK = 0.5, 0.35, 0.3, 0.5
"""Below these (presence, share of the landmarks in the picture, their score, how well they lie on the person's mask) a
followed person is no longer seen."""
LARGEST_JUMP, LARGEST_GROWTH = 0.45, 1.5
"""Between successive frames nobody's hips move by more than this share of their region, or grow by more."""
SOON_S = 2.0
"""For so long somebody who was lost is expected near where they were going."""
FORGET_S = 120.0
"""After so long nobody is known again."""
REACH, REACH_PER_S = 0.3, 1.5
"""How far from the expected place somebody may be, in region sizes, at once and for every second since."""
NEAR_LOOKS, FAR_LOOKS = 0.25, 0.1
"""How different somebody may look from how they looked before: near where they were lost, and anywhere."""
LOOKS_SHARE = 0.05
"""How much of what somebody looks like in a frame is taken over."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """One person in one frame."""

    id: int
    detection: Detection
    region: Crop
    """Where they are to be read in the next frame."""
    looks: Looks


@dataclass(slots=True)
class _Known:
    """What is remembered of a person."""

    last: Sighting
    time_s: float
    number: int
    looks: Looks
    velocity_px_s: Float[np.ndarray, "2"]


class Tracker:
    """Finds the people of successive frames and says who they are.

    Args:
        detector: finds people in whole pictures.
        every: how many frames lie between two looks over the whole picture.
    """

    def __init__(self, detector: Detector, every: int = DETECT_EVERY) -> None:
        self.detector, self.every = detector, max(int(every), 1)
        self._known: dict[int, _Known] = {}
        self.searched = -(10**9)
        """The last frame in which the detector looked over the whole picture."""
        self.unread = 0
        """How many places of the last frame look like somebody and were not read, being too many."""

    def __call__(self, rgb: UInt8[np.ndarray, "h w 3"], time_s: float, number: int) -> list[Sighting]:
        """Return who is in a frame, by their ids; frames come in order."""
        followed = self._followed(rgb, time_s, number)
        found: list[Detection] = []
        self.unread = 0
        searched = self._wants_search(time_s, number, followed)
        if searched:
            found = self._search(rgb, followed)
        seen = [
            Sighting(
                id=person,
                detection=detection_of(reading, rgb),
                region=next_region(reading),
                looks=looks_of(rgb, reading.landmarks_px, reading.scores),
            )
            for person, reading in followed.items()
        ]
        seen += self._named(rgb, found, {one.id for one in seen}, time_s)
        seen.sort(key=lambda one: one.id)
        self.remember(seen, time_s, number, searched=searched)
        return seen

    def remember(self, sightings: Sequence[Sighting], time_s: float, number: int, *, searched: bool) -> None:
        """Take note of who was in a frame: what ``__call__`` does itself, and what somebody who goes on starts with."""
        if searched:
            self.searched = number
        for one in sightings:
            known = self._known.get(one.id)
            if known is None:
                self._known[one.id] = _Known(one, time_s, number, one.looks, np.zeros(2))
                continue
            passed_s = time_s - known.time_s
            moved = np.subtract(one.region.centre_px, known.last.region.centre_px)
            if 0 < passed_s <= 0.5:
                known.velocity_px_s = 0.7 * known.velocity_px_s + 0.3 * moved / passed_s
            else:
                known.velocity_px_s = np.zeros(2)
            known.last, known.time_s, known.number = one, time_s, number
            known.looks = known.looks.joined(one.looks, LOOKS_SHARE)

    def _followed(self, rgb: UInt8[np.ndarray, "h w 3"], time_s: float, number: int) -> dict[int, Reading]:
        """Read everybody of the frame before where they should be now; of two readings on one body one stays."""
        readings: dict[int, Reading] = {}
        strange: dict[int, float] = {}
        for person, known in self._known.items():
            if known.number != number - 1:
                continue
            reading = read_region(rgb, known.last.region)
            jump = math.dist(reading.auxiliary_px[0], known.last.region.centre_px) / known.last.region.size_px
            if not _is_somebody(reading, rgb) or jump > LARGEST_JUMP:
                continue
            growth = abs(math.log(next_region(reading).size_px / known.last.region.size_px))
            if growth > math.log(LARGEST_GROWTH):
                continue
            unlike = known.looks.distance(looks_of(rgb, reading.landmarks_px, reading.scores))
            readings[person] = reading
            strange[person] = jump + (0.1 if unlike is None else unlike) / NEAR_LOOKS
        for person in sorted(readings, key=lambda one: -strange[one]):
            others = [reading for other, reading in readings.items() if other != person]
            if any(same_body(readings[person], other) for other in others):
                del readings[person]
        return readings

    def _wants_search(self, time_s: float, number: int, followed: dict[int, Reading]) -> bool:
        if number - self.searched >= self.every:
            return True
        missed = any(p not in followed and time_s - known.time_s < SOON_S for p, known in self._known.items())
        return missed and number - self.searched >= max(self.every // 3, 1)

    def _search(self, rgb: UInt8[np.ndarray, "h w 3"], followed: dict[int, Reading]) -> list[Detection]:
        """Return those in the picture who are not followed."""
        known = list(followed.values())
        if isinstance(self.detector, BlazeDetector):
            readings, self.unread = look_over(rgb, known)
            found = [detection_of(reading, rgb) for reading in readings]
        else:
            found = self.detector(rgb)
        return [each for each in found if not any(_one_person(each, other, rgb) for other in known)]

    def _named(
        self, rgb: UInt8[np.ndarray, "h w 3"], found: Sequence[Detection], present: set[int], time_s: float
    ) -> list[Sighting]:
        """Say who of those that were lost has been found again, and give the others new ids."""
        missing = [
            person
            for person, known in self._known.items()
            if person not in present and time_s - known.time_s < FORGET_S
        ]
        looks = [looks_of(rgb, each.landmarks_px, each.landmarks_score) for each in found]
        cost = np.array(
            [
                [self._unlikely(each, look, self._known[person], time_s) for person in missing]
                for each, look in zip(found, looks, strict=True)
            ]
        ).reshape(len(found), len(missing))
        ids = {row: missing[column] for row, column in pairs_of_least_cost(cost)}
        fresh = 1 + max(self._known, default=-1)
        named = []
        for row, (each, look) in enumerate(zip(found, looks, strict=True)):
            if row not in ids:
                ids[row], fresh = fresh, fresh + 1
            named.append(Sighting(id=ids[row], detection=each, region=each.crop, looks=look))
        return named

    def _unlikely(self, found: Detection, looks: Looks, known: _Known, time_s: float) -> float:
        """Return how unlikely it is that somebody found is somebody lost; infinity where it is out of question."""
        passed_s = time_s - known.time_s
        unlike = known.looks.distance(looks)
        region = known.last.region
        if passed_s <= SOON_S:
            expected = np.add(region.centre_px, known.velocity_px_s * min(passed_s, 0.7))
            off = math.dist(found.crop.centre_px, expected) / max(region.size_px, found.crop.size_px)
            reach = REACH + REACH_PER_S * passed_s
            growth = abs(math.log(found.crop.size_px / region.size_px))
            if off <= reach and growth < math.log(2) and (unlike is None or unlike < NEAR_LOOKS):
                # How they stood counts only as long as nobody can have changed it.
                turned = _pose_apart(found, known.last.detection) * max(0.0, 1 - passed_s)
                return 0.5 * off / reach + (0.1 if unlike is None else unlike) / NEAR_LOOKS + turned
        return 2 + unlike / FAR_LOOKS if unlike is not None and unlike < FAR_LOOKS else math.inf


def next_region(reading: Reading) -> Crop:
    """Return where a person is to be read in the next frame."""
    hip_px, full_body_px = reading.auxiliary_px
    if np.linalg.norm(full_body_px - hip_px) < 1e-3 * reading.crop.size_px:
        return reading.crop
    return region_from_points(hip_px, full_body_px)


def _is_somebody(reading: Reading, rgb: UInt8[np.ndarray, "h w 3"]) -> bool:
    share, score, on_mask = clearness(reading, *rgb.shape[:2])
    enough = share >= MIN_INSIDE and score >= MIN_SCORE and on_mask >= MIN_ON_MASK
    return reading.presence >= MIN_PRESENCE and enough


def _one_person(found: Detection, followed: Reading, rgb: UInt8[np.ndarray, "h w 3"]) -> bool:
    """Tell whether a detection is of somebody who is followed; without landmarks the boxes tell."""
    if found.landmarks_score.any():
        return same_body(found, followed)
    from monobody.predict.anchors import box_iou

    return float(box_iou(found.box_px, detection_of(followed, rgb).box_px)) > 0.5


def _pose_apart(first: Detection, second: Detection) -> float:
    """Return how far two poses are apart, metres: the mean over the limbs' landmarks."""
    return float(np.linalg.norm(first.world_m[11:] - second.world_m[11:], axis=1).mean())
