"""A motion at other times: rotations by slerp (Shoemake, 1985), places by straight lines, gaps bridged and marked."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from monobody.body.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from monobody.errors import UserError
from monobody.motion import Hypotheses, Motion, Track

MOST_FRAMES = 1_000_000
_EVEN = 1e-3
"""Frames whose distances differ by less than this share are evenly spaced."""


def evenly(motion: Motion, fps: float | None = None) -> Motion:
    """Return the motion at a constant rate, every track without gaps; its own rate where that is one already.

    The first frame stays where it is; the last is at or before the old one. Frames that a track gains inside are
    marked as bridged, as are those that lie between frames of which one was.

    Raises:
        UserError: that would be more than a million frames.
    """
    times = motion.times_s
    steps = np.diff(times)
    if len(times) == 1:
        return motion
    if fps is None:
        even = bool((np.abs(steps - np.median(steps)) <= _EVEN * np.median(steps)).all())
        if even and all(_whole(track) for track in motion.tracks):
            return motion
    rate = motion.fps if fps is None else fps
    count = int(np.floor((times[-1] - times[0]) * rate * (1 + 1e-9) + 1e-6)) + 1
    if count > MOST_FRAMES:
        raise UserError(f"{rate:g} frames in a second make {count} frames; at most {MOST_FRAMES} are written.")
    return at_times(motion, times[0] + np.arange(count) / rate)


def at_times(motion: Motion, times_s: Float[np.ndarray, " n"]) -> Motion:
    """Return the motion at other times; people are there from their first to their last frame."""
    tracks = tuple(filter(None, (_resampled(track, motion.times_s, times_s) for track in motion.tracks)))
    return replace(motion, times_s=times_s, tracks=tracks)


def slerp(
    first: Float[np.ndarray, "*b 3 3"], second: Float[np.ndarray, "*b 3 3"], share: Float[np.ndarray, "*b"]
) -> Float[np.ndarray, "*b 3 3"]:
    """Turn from one rotation towards another, at constant speed the short way."""
    between = torch.from_numpy(np.swapaxes(first, -1, -2) @ second)
    turned = axis_angle_to_matrix(matrix_to_axis_angle(between) * torch.from_numpy(share)[..., None])
    return first @ turned.numpy()


def _whole(track: Track) -> bool:
    return len(track.frames) == track.frames[-1] - track.frames[0] + 1


def _resampled(track: Track, old_s: Float[np.ndarray, " F"], new_s: Float[np.ndarray, " n"]) -> Track | None:
    """Return the track at new times, or None where it has none of them."""
    known_s = old_s[track.frames]
    slack = 1e-6 + (new_s[1] - new_s[0]) / 2 if len(new_s) > 1 else 1e-6
    frames = np.flatnonzero((new_s >= known_s[0] - slack) & (new_s <= known_s[-1] + slack))
    if not len(frames):
        return None
    here_s = new_s[frames]
    after = np.searchsorted(known_s, here_s).clip(1, max(len(known_s) - 1, 1))
    before, after = after - 1, np.minimum(after, len(known_s) - 1)
    span = known_s[after] - known_s[before]
    share = np.clip((here_s - known_s[before]) / np.where(span > 0, span, 1.0), 0.0, 1.0)

    def turned(rotations: Float[np.ndarray, "f 24 3 3"]) -> Float[np.ndarray, "n 24 3 3"]:
        return slerp(
            rotations[before].astype(np.float64),
            rotations[after].astype(np.float64),
            np.repeat(share[:, None], 24, axis=1),
        )

    def moved(values: Float[np.ndarray, "f *c"]) -> Float[np.ndarray, "n *c"]:
        weight = share.reshape(-1, *[1] * (values.ndim - 1))
        return values[before] * (1 - weight) + values[after] * weight

    several = track.hypotheses
    if several is not None:
        several = Hypotheses(
            rotations=np.stack([turned(one) for one in several.rotations]),
            betas=several.betas,
            translation_m=np.stack([moved(one) for one in several.translation_m]),
            weight=np.stack([moved(one) for one in several.weight]),
        )
    # On a known frame only that frame counts; between two, both, and none may be missing in between.
    seen = np.where(share < 1e-6, track.seen[before], np.where(share > 1 - 1e-6, track.seen[after], False))
    between = (share >= 1e-6) & (share <= 1 - 1e-6)
    joined = track.seen[before] & track.seen[after] & (track.frames[after] - track.frames[before] <= 1)
    return replace(
        track,
        frames=frames,
        rotations=turned(track.rotations),
        translation_m=moved(track.translation_m),
        seen=np.where(between, joined, seen),
        score=moved(track.score),
        hypotheses=several,
    )
