"""From what was seen in each frame to people who move: one id, one shape, gaps bridged or marked, calm motion."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from monobody.body.kinematics import JointBody, forward_kinematics
from monobody.body.model import Body
from monobody.motion import Hypotheses, Track
from monobody.predict.journal import Answer, Moment
from monobody.predict.select import likeliest_path
from monobody.predict.smooth import doubts, nearest_rotations, smoothed_places, smoothed_rotations
from monobody.predict.track import Sighting

SMOOTH_S = 0.1
"""How long motion is smoothed over, seconds; chosen on synthetic clips (``benchmarks/video_accuracy.py``)."""
MAX_GAP_S = 0.5
"""Gaps up to this are bridged."""
SHORTEST_S = 0.25
"""Whoever is seen for less is left out, unless the clip is as short as that."""
_BRIDGE_WEIGHT = 0.05
"""What a bridged frame counts when motion is smoothed."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Seen:
    """One person of a clip before anything was smoothed: f frames, the chosen answer in each, one shape."""

    id: int
    frames: Int[np.ndarray, " f"]
    times_s: Float[np.ndarray, " f"]
    rotations: Float[np.ndarray, "f 24 3 3"]
    betas: Float[np.ndarray, "10"]
    pelvis_m: Float[np.ndarray, "f 3"]
    """Before the camera."""
    seen: Bool[np.ndarray, " f"]
    score: Float[np.ndarray, " f"]
    landmarks_px: Float[np.ndarray, "f 33 2"]
    landmarks_score: Float[np.ndarray, "f 33"]
    """0 in bridged frames."""
    hypotheses: Hypotheses | None = None


class Shapes:
    """What a shape decides of places: where its pelvis rests, and how tall it is."""

    def __init__(self, body: Body) -> None:
        joints = JointBody.from_body(body, ("smpl24",))
        self._rest = joints.rest_joints.cpu().double().numpy()
        self._by_shape = joints.rest_joints_shape.cpu().double().numpy()
        self._parents = np.array(body.data.parents)

    def pelvis_m(self, betas: Float[np.ndarray, "*b 10"]) -> Float[np.ndarray, "*b 3"]:
        """Return where the pelvis of a shape rests."""
        return self.joints_m(betas)[..., 0, :]

    def size_m(self, betas: Float[np.ndarray, "*b 10"]) -> Float[np.ndarray, "*b"]:
        """Return the length of all bones together."""
        joints = self.joints_m(betas)
        bones = joints[..., 1:, :] - joints[..., self._parents[1:], :]
        return np.linalg.norm(bones, axis=-1).sum(axis=-1)

    def joints_m(self, betas: Float[np.ndarray, "*b 10"]) -> Float[np.ndarray, "*b 24 3"]:
        """Return where the joints of a shape rest."""
        return self._rest + np.einsum("jcb,...b->...jc", self._by_shape, np.asarray(betas, np.float64))

    def posed_m(
        self, rotations: Float[np.ndarray, "*b 24 3 3"], betas: Float[np.ndarray, "*b 10"]
    ) -> Float[np.ndarray, "*b 24 3"]:
        """Return where the joints of a pose are; the pelvis stays where it rests."""
        turned, rest = (torch.from_numpy(np.asarray(each, np.float64)) for each in (rotations, self.joints_m(betas)))
        return forward_kinematics(turned, rest, tuple(self._parents.tolist()))[1].numpy()


def people_of(moments: Sequence[Moment], body: Body, *, max_gap_s: float = MAX_GAP_S) -> tuple[list[Seen], int]:
    """Return everybody of a clip, by their ids, and how many were left out because they were seen too briefly."""
    times_s = np.array([moment.time_s for moment in moments])
    places: dict[int, list[tuple[int, Sighting, Answer]]] = {}
    for frame, moment in enumerate(moments):
        for sighting, answer in zip(moment.sightings, moment.answers, strict=True):
            places.setdefault(sighting.id, []).append((frame, sighting, answer))
    step_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1.0
    fewest = min(max(2, round(SHORTEST_S / step_s)), max(1, len(moments) // 2))
    shapes, kept = Shapes(body), {person: rows for person, rows in places.items() if len(rows) >= fewest}
    people = [_bridged(_one(person, rows, times_s, shapes), times_s, max_gap_s) for person, rows in kept.items()]
    # Ids without holes, in the order in which people came.
    people = [replace(one, id=number) for number, one in enumerate(sorted(people, key=lambda one: one.id))]
    return people, len(places) - len(kept)


def _one(
    person: int,
    rows: Sequence[tuple[int, Sighting, Answer]],
    times_s: Float[np.ndarray, " F"],
    shapes: Shapes,
) -> Seen:
    frames = np.array([frame for frame, _, _ in rows])
    score = np.array([each.detection.score for _, each, _ in rows], np.float64)
    most = max(len(answer.weight) for _, _, answer in rows)
    weight = np.array([_padded(a.weight, most) for _, _, a in rows], np.float64)
    weight[np.arange(most) >= np.array([[len(a.weight)] for _, _, a in rows])] = 0.0
    rotations = np.array([_padded(a.rotations, most) for _, _, a in rows], np.float64)
    betas = np.array([_padded(a.betas, most) for _, _, a in rows], np.float64)
    pelvis_m = np.array([_padded(a.translation_m, most) for _, _, a in rows]) + shapes.pelvis_m(betas)
    path = likeliest_path(shapes.posed_m(rotations, betas), weight, times_s[frames])
    here = np.arange(len(rows))
    shape = _median(betas[here, path], score)
    # Somebody taller is as large in the picture from farther away.
    pelvis_m *= (shapes.size_m(shape) / shapes.size_m(betas))[..., None]
    hypotheses = None
    if most > 1:
        order = np.argsort(-weight, axis=1, kind="stable")
        order = np.array([[chosen, *row[row != chosen]] for chosen, row in zip(path, order, strict=True)]).T
        hypotheses = Hypotheses(
            rotations=nearest_rotations(rotations[here, order]),
            betas=np.tile(shape, (most, 1)),
            translation_m=pelvis_m[here, order] - shapes.pelvis_m(shape),
            weight=weight[here, order],
        )
    return Seen(
        id=person,
        frames=frames,
        times_s=times_s[frames],
        rotations=nearest_rotations(rotations[here, path]),
        betas=shape,
        pelvis_m=pelvis_m[here, path],
        seen=np.ones(len(rows), bool),
        score=score,
        landmarks_px=np.array([each.detection.landmarks_px for _, each, _ in rows], np.float64),
        landmarks_score=np.array([each.detection.landmarks_score for _, each, _ in rows], np.float64),
        hypotheses=hypotheses,
    )


def _bridged(one: Seen, times_s: Float[np.ndarray, " F"], max_gap_s: float) -> Seen:
    """Fill gaps that are short enough: rotations and places half-way between those before and after."""
    frames = list(one.frames)
    for before, after in pairwise(one.frames):
        if after - before > 1 and times_s[after] - times_s[before] <= max_gap_s + 1e-9:
            frames += range(before + 1, after)
    frames = np.array(sorted(frames))
    if len(frames) == len(one.frames):
        return one
    after = np.searchsorted(one.frames, frames)
    exact = one.frames[after] == frames
    before = np.where(exact, after, after - 1)
    spans = one.times_s[after] - one.times_s[before]
    share = np.where(exact, 0.0, (times_s[frames] - one.times_s[before]) / np.where(exact, 1.0, spans))

    def between(values: Float[np.ndarray, "f *d"], axis: int = 0) -> Float[np.ndarray, "g *d"]:
        pull = share.reshape([-1 if each == axis else 1 for each in range(values.ndim)])
        return (1 - pull) * values.take(before, axis) + pull * values.take(after, axis)

    hypotheses = one.hypotheses
    if hypotheses is not None:
        hypotheses = Hypotheses(
            rotations=nearest_rotations(between(hypotheses.rotations, 1)),
            betas=hypotheses.betas,
            translation_m=between(hypotheses.translation_m, 1),
            weight=between(hypotheses.weight, 1),
        )
    return replace(
        one,
        frames=frames,
        times_s=times_s[frames],
        rotations=nearest_rotations(between(one.rotations)),
        pelvis_m=between(one.pelvis_m),
        seen=exact,
        score=between(one.score),
        landmarks_px=between(one.landmarks_px),
        landmarks_score=np.where(exact[:, None], one.landmarks_score[before], 0.0),
        hypotheses=hypotheses,
    )


def calmed(one: Seen, seconds: float) -> Seen:
    """Return a person's motion smoothed, each stretch without a gap by itself; frames that went wrong pull less."""
    if seconds <= 0:
        return one
    rotations, pelvis_m = one.rotations.astype(np.float64), one.pelvis_m.astype(np.float64)
    ends = [0, *(np.flatnonzero(np.diff(one.frames) > 1) + 1), len(one.frames)]
    for start, end in pairwise(ends):
        part = slice(start, end)
        times_s = one.times_s[part]
        weight = np.where(one.seen[part], np.maximum(one.score[part], 0.05), _BRIDGE_WEIGHT)
        turned, placed = one.rotations[part], one.pelvis_m[part]
        calm = smoothed_rotations(turned, times_s, seconds, weight)
        calm_m = smoothed_places(placed, times_s, seconds, weight)
        flat = (len(turned), -1)
        sure = doubts(turned.reshape(flat), calm.reshape(flat), weight)
        rotations[part] = smoothed_rotations(turned, times_s, seconds, sure)
        pelvis_m[part] = smoothed_places(placed, times_s, seconds, doubts(placed, calm_m, weight))
    return replace(one, rotations=rotations, pelvis_m=pelvis_m)


def as_track(one: Seen, body: Body) -> Track:
    """Return a person as the result has them."""
    return Track(
        id=one.id,
        frames=one.frames,
        rotations=nearest_rotations(one.rotations),
        betas=one.betas,
        translation_m=one.pelvis_m - Shapes(body).pelvis_m(one.betas),
        seen=one.seen,
        score=one.score,
        hypotheses=one.hypotheses,
    )


def _padded(values: np.ndarray, most: int) -> np.ndarray:
    """Repeat the first answer where a frame has fewer."""
    return (
        values if len(values) == most else np.concatenate([values, np.repeat(values[:1], most - len(values), axis=0)])
    )


def _median(values: Float[np.ndarray, "f d"], weight: Float[np.ndarray, " f"]) -> Float[np.ndarray, " d"]:
    """Return the weighted median of each column."""
    order = np.argsort(values, axis=0)
    cumulative = np.cumsum(np.maximum(weight, 1e-6)[order], axis=0)
    middle = (cumulative >= cumulative[-1] / 2).argmax(axis=0)
    return np.take_along_axis(values, np.take_along_axis(order, middle[None], 0), 0)[0]
