"""What somebody looks like, whatever the pose: the colours of head, trunk, arms and legs, to know them again by."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from monobody.body.skeleton import SKELETONS

_AT = {name: number for number, name in enumerate(SKELETONS["blazepose33"].joints)}
_SHARES = (0.25, 0.4, 0.5, 0.6, 0.75)
SURE = 0.5
"""Parts with a landmark of a lower score are not looked at."""


@dataclass(frozen=True, slots=True)
class Looks:
    """A colour for each part; left and right count as one, since a detector may mix them up."""

    colour: Float[np.ndarray, "6 3"]
    """0 to 1."""
    seen: Float[np.ndarray, "6"]
    """How much each part was seen, 0 to 1."""

    def distance(self, other: "Looks") -> float | None:
        """Return how different two people look, 0 to 1; None where no part was seen of both."""
        weight = self.seen * other.seen
        if weight.sum() < 0.2:
            return None
        return float((np.abs(self.colour - other.colour).mean(axis=1) * weight).sum() / weight.sum())

    def joined(self, newer: "Looks", share: float) -> "Looks":
        """Return these looks after another glance, which counts ``share`` where both saw a part."""
        pull = np.where(self.seen > 0, share * newer.seen, newer.seen > 0)[:, None]
        return Looks(self.colour + pull * (newer.colour - self.colour), np.maximum(self.seen, newer.seen))


def looks_of(
    rgb: UInt8[np.ndarray, "h w 3"], landmarks_px: Float[np.ndarray, "33 2"], score: Float[np.ndarray, "33"]
) -> Looks:
    """Look at a person by their landmarks."""
    colours, seen = np.zeros((6, 3)), np.zeros(6)
    for part, lines in enumerate(_lines()):
        samples = []
        for a, b in lines:
            known = float(min(score[list(a + b)]))
            if known < SURE:
                continue
            start, end = landmarks_px[list(a)].mean(axis=0), landmarks_px[list(b)].mean(axis=0)
            samples += [start + share * (end - start) for share in _SHARES]
            seen[part] = max(seen[part], known)
        if samples:
            places = np.array(samples)
            inside = np.all((places >= 0) & (places < [rgb.shape[1], rgb.shape[0]]), axis=1)
            if inside.sum() < 3:
                seen[part] = 0
                continue
            columns, rows = places[inside].astype(int).T
            colours[part] = np.median(rgb[rows, columns], axis=0) / 255
    return Looks(colours, seen)


def _lines() -> list[list[tuple[tuple[int, ...], tuple[int, ...]]]]:
    """Return for each part the lines, between means of landmarks, along which it is looked at."""

    def at(*names: str) -> tuple[int, ...]:
        return tuple(_AT[name] for name in names)

    def both(first: str, second: str) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        return [(at(f"{side}_{first}"), at(f"{side}_{second}")) for side in ("left", "right")]

    shoulders, hips = at("left_shoulder", "right_shoulder"), at("left_hip", "right_hip")
    crossed = [(at("left_shoulder"), at("right_hip")), (at("right_shoulder"), at("left_hip"))]
    return [
        [(at("left_ear"), at("right_ear")), (at("nose"), at("left_eye", "right_eye"))],
        [(shoulders, hips), *crossed],
        both("shoulder", "elbow"),
        both("elbow", "wrist"),
        both("hip", "knee"),
        both("knee", "ankle"),
    ]
