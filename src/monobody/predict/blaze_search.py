"""Everybody in a picture: BlazePose over windows of several sizes; its proposals read, checked and sorted out.

The detector looks at 224 pixels and was made for one upright person who fills about half of them. So it is shown the
whole picture and the picture with a wide margin (for somebody who fills it), both turned four ways (for somebody upside
down), and overlapping smaller windows (for groups). A person is proposed by several windows, a chance likeness by one:
the sum of the scores of the proposals of one region, its support, tells them apart better than any score. What has
support is read by the landmark network, twice, and of the readings that lie on one body only the surest stays.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, UInt8

from monobody.data.crop import Crop
from monobody.predict.blazepose import QUARTER_TURNS, Candidate, distinct, find_candidates, nearly_equal
from monobody.predict.detection import Detection, inside_picture
from monobody.predict.landmarks import Reading, read_again, read_region
from monobody.predict.outline import clearness, outline_box

WIDE = 1.6
"""Side of the largest window over the picture's longer side."""
TILES = (0.6, 0.36)
"""Sides of the smaller windows over the picture's longer side; they overlap by half at least."""
MIN_TILE_PX = 150
"""Smaller windows would only be enlarged; in small pictures they bring false boxes, no people."""
THRESHOLD = 0.15
"""Score from which a proposal counts."""
TURNED_WEIGHT = 0.6
"""What a score counts in a turned window."""
MIN_SUPPORT = 0.3
"""Support from which a region is read."""
MAX_REGIONS = 30
"""Regions that are read at most, the best supported ones."""
MIN_PRESENCE = 0.3
"""Presence below which the landmark network says that a region holds nobody."""
MIN_CERTAINTY = 0.35
"""Certainty (see :class:`Found`) from which somebody is there."""
SETTLED = 1.0
"""Certainty from which no other reading of the same body is looked for."""
SAME_PLACE, SAME_SHARE = 0.12, 0.3
"""Two readings are of one body if this share of the landmarks are nearer than so many sizes of the region."""
PART_INSIDE, PART_CERTAINTY = 0.8, 0.5
"""A box that lies so far inside another is a part of that person unless it is at least so sure in comparison."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A reading, the support of its region, how clear it is, and the box of its outline inside the picture."""

    reading: Reading
    support: float
    share: float
    """Of the landmarks, inside the picture."""
    score: float
    on_mask: float
    box_px: Float[np.ndarray, "4"]

    @cached_property
    def certainty(self) -> float:
        """Support, times share, how clearly landmarks are seen (squared) and how well they lie on the mask (cubed).

        The powers separate people from likenesses best on composed pictures other than the benchmark's.
        """
        return self.support * self.share * self.score**2 * self.on_mask**3


def everybody(rgb: UInt8[np.ndarray, "h w 3"], known: Sequence[Reading] = ()) -> list[Reading]:
    """Return one reading for each person in the picture, the surest first; none where nobody is.

    Those whose readings are ``known`` already, as in a film, are not looked for again and not returned.
    """
    return look_over(rgb, known)[0]


def look_over(rgb: UInt8[np.ndarray, "h w 3"], known: Sequence[Reading] = ()) -> tuple[list[Reading], int]:
    """Return :func:`everybody`, and how many other places look like somebody and were not read, being too many.

    Every picture has places that look a little like somebody. That some were not read counts where the picture is
    crowded: where there are half as many people, known ones included, as places can be read, or more places were left.
    """
    proposals = [c for window in search_windows(*rgb.shape[:2]) for c in _proposals(rgb, window)]
    regions = sorted(((support(c.region, proposals), c.region) for c in distinct(proposals)), key=lambda r: -r[0])
    found: list[Found] = []
    for strength, region in regions[:MAX_REGIONS]:
        if strength < MIN_SUPPORT:
            break
        settled = [f.reading for f in found if f.certainty >= SETTLED]
        reading = read_twice(rgb, region, [*known, *settled])
        if reading is not None:
            box = inside_picture(outline_box(reading), rgb)
            share, score, on_mask = clearness(reading, *rgb.shape[:2])
            strength = support(reading.crop, proposals)
            found.append(
                Found(reading=reading, support=strength, share=share, score=score, on_mask=on_mask, box_px=box)
            )
    seen = [*known, *(f.reading for f in found)]
    unread = [
        region
        for strength, region in regions[MAX_REGIONS:]
        if strength >= MIN_SUPPORT and not any(nearly_equal(region, reading.crop) for reading in seen)
    ]
    people = [f.reading for f in one_a_body(found) if f.certainty >= MIN_CERTAINTY]
    crowded = 2 * (len(known) + len(people)) >= MAX_REGIONS or len(unread) > MAX_REGIONS
    return people, len(unread) if crowded else 0


def crowd_note(unread: int) -> tuple[str, ...]:
    """Return what a reader should know where places were not read: nothing, or one sentence."""
    if not unread:
        return ()
    places = "1 other place looks" if unread == 1 else f"{unread} other places look"
    return (f"no more than {MAX_REGIONS} people are looked for, and {places} like somebody: show fewer at once",)


def read_twice(rgb: UInt8[np.ndarray, "h w 3"], region: Crop, known: Sequence[Reading]) -> Reading | None:
    """Return the reading of a region where it moves to by itself; None where nobody new is there.

    Readings move towards the person, so a region where a known reading settled needs no look at all, and a first
    look that lies on a known body no second.
    """
    if any(nearly_equal(region, other.crop) for other in known):
        return None
    reading = read_region(rgb, region)
    if reading.presence < MIN_PRESENCE or any(same_body(reading, other) for other in known):
        return None
    reading = read_again(rgb, reading)
    return reading if reading.presence >= MIN_PRESENCE else None


def search_windows(height: int, width: int) -> list[Crop]:
    """Return the windows to look at in a picture of that size, the largest first."""
    longer = float(max(height, width))
    middle = (width / 2, height / 2)
    windows = [Crop(middle, scale * longer, angle) for scale in (WIDE, 1.0) for angle in QUARTER_TURNS]
    for side in (share * longer for share in TILES):
        if side >= MIN_TILE_PX:
            windows += [Crop((x, y), side) for y in _centres(height, side) for x in _centres(width, side)]
    return windows


def support(region: Crop, proposals: Sequence[Candidate]) -> float:
    """Return the sum of the scores of the proposals of a region."""
    return sum(c.score for c in proposals if nearly_equal(c.region, region))


def one_a_body(found: Sequence[Found]) -> list[Found]:
    """Return what was found, the surest first, without what lies on the body of something surer."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda f: -f.certainty):
        if not any(same_body(one.reading, other.reading) or is_part(one, other) for other in kept):
            kept.append(one)
    return kept


def same_body(first: Reading | Detection, second: Reading | Detection) -> bool:
    """Tell whether two readings lie on one body; a reading of half a body shares the landmarks of that half."""
    apart = np.linalg.norm(first.landmarks_px - second.landmarks_px, axis=1)
    near = apart < SAME_PLACE * min(first.crop.size_px, second.crop.size_px)
    return bool(near.mean() >= SAME_SHARE)


def is_part(one: Found, other: Found) -> bool:
    """Tell whether one box lies inside another that is much surer: a limb taken for a person."""
    low, high = np.maximum(one.box_px[:2], other.box_px[:2]), np.minimum(one.box_px[2:], other.box_px[2:])
    shared, area = (float(np.prod(np.maximum(side, 0))) for side in (high - low, one.box_px[2:] - one.box_px[:2]))
    return shared > PART_INSIDE * area and one.certainty < PART_CERTAINTY * other.certainty


def _proposals(rgb: UInt8[np.ndarray, "h w 3"], window: Crop) -> list[Candidate]:
    """Return what stage one sees in a window, with less weight in a turned one: most people are upright."""
    weight = 1.0 if window.angle_rad == 0 else TURNED_WEIGHT
    return [replace(c, score=weight * c.score) for c in find_candidates(rgb, window, THRESHOLD)]


def _centres(length: float, side: float) -> list[float]:
    """Return centres of windows that cover a length, half overlapping; one in the middle if a single one does."""
    if side >= length:
        return [length / 2]
    count = math.ceil((length - side) / (side / 2)) + 1
    return np.linspace(side / 2, length - side / 2, count).tolist()
