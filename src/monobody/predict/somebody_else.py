"""Whether keypoints are wrong: what the detector sees at their place is another pose, the other side, or nobody.

Two looks, measured by ``benchmarks/somebody_else.py`` (docs/fitting.md). The first is at the keypoints' own place and
costs little. Where it speaks against them, the second looks for everybody in the picture, without knowing of them: if
it finds them, the first was wrong; if it surely finds somebody and nobody there stands like that, the keypoints are
somebody else's, and refused. What lies between is worth a warning.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8

from monobody.body.skeleton import SKELETONS
from monobody.fit.pseudo_labels import Seen
from monobody.predict.detect import find_detector
from monobody.predict.given_keypoints import mapped, region_of
from monobody.predict.landmarks import Reading, read_region

LANDMARKS = "blazepose33"
FARTHEST = 0.2
"""Of the joints that both have, half are usually nearer than this to where the detector sees them, in person sizes."""
PRESENT, SURELY = 0.5, 0.9
"""The detector's probability that anybody is there at all, from which on it is believed, and is sure."""
FOUND, NOBODY = 0.15, 0.25
"""Nearer than the one, somebody who was found without the keypoints is theirs; farther than the other they are not."""
LIMBS = slice(11, 29)
"""Of BlazePose's landmarks: shoulders to ankles."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What speaks against keypoints."""

    why: str
    sure: bool
    """Whether the detector found somebody else in their stead."""


def doubt_about(rgb: UInt8[np.ndarray, "h w 3"], keypoints: Float[np.ndarray, "k 3"], set_name: str) -> Doubt | None:
    """Return what speaks against these keypoints (x, y, confidence) being those of a person in the picture, or None.

    Raises:
        UserError: fewer than two of them are joints of the trunk, the limbs or the head.
    """
    reading = read_region(rgb, region_of(keypoints, set_name))
    why = _first_look(reading, keypoints, set_name)
    if why is None:
        return None
    people = [each.landmarks_px for each in find_detector("blazepose")(rgb) if each.score > SURELY]
    size_px = _size_px(keypoints)

    def nearest(given: Float[np.ndarray, "k 3"]) -> float:
        # Of somebody larger than the keypoints, joints are near who are near for that person.
        sizes_px = [max(size_px, float(np.ptp(points[LIMBS], axis=0).max())) for points in people]
        apart = (_apart(points, given, set_name, size) for points, size in zip(people, sizes_px, strict=True))
        return min(apart, default=np.inf)

    as_given, turned = nearest(keypoints), nearest(keypoints[list(SKELETONS[set_name].flip)])
    if as_given < min(FOUND, turned):
        return None
    return Doubt(why, sure=bool(people) and min(as_given, turned) > NOBODY)


def _first_look(reading: Reading, keypoints: Float[np.ndarray, "k 3"], set_name: str) -> str | None:
    if reading.presence < PRESENT:
        return "the detector sees nobody there: are these keypoints of this picture?"
    if _sides_exchanged(keypoints, set_name, reading):
        return "the detector sees left and right exchanged: are these keypoints in the right order?"
    if _apart(reading.landmarks_px, keypoints, set_name, _size_px(keypoints)) > FARTHEST:
        return "the detector sees another pose there: are these keypoints of this person?"
    return None


def _apart(
    landmarks_px: Float[np.ndarray, "33 2"], keypoints: Float[np.ndarray, "k 3"], set_name: str, size_px: float
) -> float:
    """Return how far half of the joints that both have are from each other, in sizes of a person."""
    given, known = mapped(keypoints, set_name, LANDMARKS)
    if not known.any():
        return 0.0
    return float(np.median(np.linalg.norm(given[known, :2] - landmarks_px[known], axis=1)) / size_px)


def _size_px(keypoints: Float[np.ndarray, "k 3"]) -> float:
    return float(np.ptp(keypoints[keypoints[:, 2] > 0, :2], axis=0).max())


def _sides_exchanged(keypoints: Float[np.ndarray, "k 3"], set_name: str, reading: Reading) -> bool:
    """Tell whether the limbs fit the detector's landmarks better with left and right exchanged."""
    limbs, known = mapped(keypoints, set_name, "lsp14")
    seen = Seen(
        clicks_px=torch.from_numpy(limbs[None, :, :2]).float(),
        marked=torch.from_numpy(known[None]).float(),
        landmarks_px=torch.from_numpy(reading.landmarks_px[None]).float(),
        scores=torch.from_numpy(reading.scores[None]).float(),
        # Which way the camera looks does not matter for this.
        focal_px=torch.ones(1),
        principal_px=torch.zeros(1, 2),
    )
    return bool(seen.sides_exchanged())
