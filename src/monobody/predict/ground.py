"""Feet that stay where they stand: the floor found, contacts found, footprints held, the body carried along.

A foot stands where neither its ball nor its ankle moves for a while. All frames of one stand get one footprint; the
body's way is moved so that its feet stay on them (``carry.py``), and the legs reach for what is left
(``body/legs.py``). At its borders a stand is let go softly.
"""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float

from monobody.body.legs import CHAINS, leg_joints, reach
from monobody.body.model import Body
from monobody.motion import Motion, Track
from monobody.predict.assemble import Shapes
from monobody.predict.carry import Stand, carried
from monobody.predict.smooth import nearest_rotations, smoothed_rotations

STANDING_M_S = 0.5
"""A foot that moves slower stands; its movement away from the camera, which is seen worst, counts a third."""
DEPTH_SHARE = 1 / 3
LOOK_S = 0.08
"""Over so much time (standard deviation) the speed of a foot is taken."""
STILL_M_S = 0.85
"""A stand lasts until the foot is faster than this."""
SHORTEST_S = 0.12
"""Shorter stands are chance, and so are shorter gaps between stands at one place."""
SAME_PLACE_M, STAND_M = 0.08, 0.04
"""Stands of one foot so near to each other are one; and a foot so near to its stand still stands."""
FLAT_S = 0.15
"""Over so much time the turns of a standing foot are smoothed."""
RELEASE_S = 0.08
"""In so much time before and after a stand a foot comes from and goes to where it was seen."""
MOST_TILT = 0.35
"""Floors are not taken for steeper than this (rise over run) before a camera of which nothing is known."""
TILT_SPREAD = 0.08
"""How far cameras usually are from level, standard deviation of the floor's slope."""
HEIGHT_SPREAD_M = 0.05
"""How exactly the height of a standing foot is known."""


def lock_feet(motion: Motion) -> Motion:
    """Return the motion with every standing foot held where it stands, and the world's floor under the feet.

    The world's y axis becomes the floor's normal, and y = 0 the floor, where the motion's camera was not known before.
    Hypotheses other than the tracks' own stay as they are.
    """
    if not motion.tracks:
        return motion
    body = motion.with_body()
    shapes = Shapes(body)
    motion = replace(motion, T_world_camera=find_floor(motion, body))
    tracks = tuple(_locked(track, motion, shapes) for track in motion.tracks)
    return replace(motion, tracks=tracks, notes=(*motion.notes, "feet held where they stand"))


def find_floor(motion: Motion, body: Body) -> Float[np.ndarray, "4 4"]:
    """Return how the camera stands over the floor on which the clip's people stand: ``T_world_camera``.

    A plane through all standing feet, as level as these allow; people who stand in one place leave its tilt open.
    """
    world, shapes, points = motion.T_world_camera, Shapes(body), []
    for track in motion.tracks:
        with torch.no_grad():
            sole_m = float(body.identity(torch.from_numpy(np.float32(track.betas))).vertices_m[:, 1].min())
        rest, pelvis_m = shapes.joints_m(track.betas), track.translation_m + shapes.pelvis_m(track.betas)
        times_s = motion.times_s[track.frames]
        for side in (0, 1):
            places = leg_joints(track.rotations, rest, pelvis_m, side)[1]
            standing = stands(places[2], places[3], times_s)
            ball = places[3] @ world[:3, :3].T + world[:3, 3]
            points.append(ball[standing] - [0, rest[CHAINS[side][3], 1] - sole_m, 0])
    feet = np.concatenate(points)
    if len(feet) < 3:
        return world
    across = feet[:, [0, 2]] - np.median(feet[:, [0, 2]], axis=0)
    design = np.concatenate([across, np.ones((len(feet), 1))], axis=1)
    # As one stand is seen in many frames, a few of these count as one.
    count = max(1.0, len(feet) / 10)
    prior = np.diag([1 / TILT_SPREAD**2, 1 / TILT_SPREAD**2, 0.0]) * HEIGHT_SPREAD_M**2 * len(feet) / count
    weight = np.ones(len(feet))
    slope = np.zeros(3)
    for _ in range(10):
        normal = (design * weight[:, None]).T @ design + prior
        slope = np.linalg.solve(normal + 1e-9 * np.eye(3), (design * weight[:, None]).T @ feet[:, 1])
        off = feet[:, 1] - design @ slope
        weight = 1 / (1 + (off / HEIGHT_SPREAD_M) ** 2)
    slope[:2] = np.clip(slope[:2], -MOST_TILT, MOST_TILT)
    up = np.array([-slope[0], 1.0, -slope[1]])
    up /= np.linalg.norm(up)
    right = np.cross(up, np.cross([1.0, 0, 0], up))
    right /= np.linalg.norm(right)
    turn = np.stack([right, up, np.cross(right, up)])
    origin = np.array([*np.median(feet[:, [0, 2]], axis=0), slope[2]])[[0, 2, 1]]
    levelled = np.eye(4)
    levelled[:3, :3] = turn @ world[:3, :3]
    levelled[:3, 3] = turn @ (world[:3, 3] - origin) + [origin[0], 0, origin[2]]
    return levelled


def stands(
    ankle_m: Float[np.ndarray, "f 3"], ball_m: Float[np.ndarray, "f 3"], times_s: Float[np.ndarray, " f"]
) -> Bool[np.ndarray, " f"]:
    """Return in which frames a foot stands; places are before the camera."""
    if len(times_s) < 3:
        return np.zeros(len(times_s), bool)
    speed = np.minimum(_speed(ankle_m, times_s), _speed(ball_m, times_s))
    slow = np.zeros(len(times_s), bool)
    for start, end in _runs(speed < STILL_M_S):
        slow[start:end] = (speed[start:end] < STANDING_M_S).any()
    for start, end in _runs(slow):
        # The speed is that of some frames around; at its ends a stand goes on as long as the foot is there.
        off = _across(ball_m - ball_m[start:end].mean(axis=0), ball_m)
        near = np.linalg.norm(off, axis=1) < STAND_M
        while start > 0 and near[start - 1]:
            start -= 1
            slow[start] = True
        while end < len(times_s) and near[end]:
            slow[end] = True
            end += 1
    for start, end in _runs(~slow):
        inside = start > 0 and end < len(times_s)
        if inside and times_s[end] - times_s[start - 1] < SHORTEST_S + 1e-9:
            slow[start:end] = np.linalg.norm(ball_m[end] - ball_m[start - 1]) < SAME_PLACE_M
    for start, end in _runs(slow):
        if times_s[end - 1] - times_s[start] < SHORTEST_S:
            slow[start:end] = False
    return slow


def _locked(track: Track, motion: Motion, shapes: Shapes) -> Track:
    """Hold one person's feet."""
    times_s = motion.times_s[track.frames]
    rest = shapes.joints_m(track.betas)
    pelvis_m = track.translation_m + rest[0]
    feet = [_foot(track, rest, pelvis_m, side, times_s) for side in (0, 1)]
    if not any(found for _, found in feet):
        return track
    # First the body goes along with the feet that stand, as far as they agree; then the legs do the rest.
    way, prints = carried(pelvis_m, times_s, [stand for _, found in feet for stand in found])
    rotations, remaining = track.rotations, iter(prints)
    for side, (foot, found) in enumerate(feet):
        ankle_m = leg_joints(track.rotations, rest, pelvis_m, side)[1][2]
        lever = foot @ (rest[CHAINS[side][3]] - rest[CHAINS[side][2]])
        free = ankle_m + way - pelvis_m
        goal, held = free.copy(), np.zeros(len(times_s))
        for stand in found:
            over = next(remaining) - lever
            near, ends = _release(times_s, stand)
            closer = near > held
            # At its borders a foot is let go from where it stands, not drawn back to it.
            inside = np.clip(np.arange(len(times_s)), stand.start, stand.end - 1)
            pull = np.where(ends[:, None], (over - free)[inside], over - free)
            goal[closer] = (free + near[:, None] * pull)[closer]
            held[closer] = near[closer]
        rotations = reach(rotations, rest, way, side, goal, foot)
    return replace(track, rotations=rotations, translation_m=way - rest[0])


def _foot(
    track: Track,
    rest: Float[np.ndarray, "24 3"],
    pelvis_m: Float[np.ndarray, "f 3"],
    side: int,
    times_s: Float[np.ndarray, " f"],
) -> tuple[Float[np.ndarray, "f 3 3"], list[Stand]]:
    """Return how a foot is turned, calmer while it stands, and its stands.

    The ball of the foot is what is held: a heel may rise from it.
    """
    turns, places = leg_joints(track.rotations, rest, pelvis_m, side)
    standing = stands(places[2], places[3], times_s)
    calm = smoothed_rotations(turns[2], times_s, FLAT_S, np.ones(len(times_s)))
    found = [Stand(start=start, end=end, place_m=np.empty((0, 3))) for start, end in _runs(standing)]
    held = np.zeros(len(times_s))
    for stand in found:
        held = np.maximum(held, _release(times_s, stand)[0])
    foot = nearest_rotations(turns[2] + held[:, None, None] * (calm - turns[2]))
    ball_m = places[2] + foot @ (rest[CHAINS[side][3]] - rest[CHAINS[side][2]])
    return foot, [replace(stand, place_m=ball_m[stand.start : stand.end]) for stand in found]


def _release(times_s: Float[np.ndarray, " f"], stand: Stand) -> tuple[Float[np.ndarray, " f"], Bool[np.ndarray, " f"]]:
    """Return how firmly a foot is held for a stand, 1 while it stands, and which frames are beyond its borders."""
    beyond_s = np.maximum(times_s[stand.start] - times_s, times_s - times_s[stand.end - 1])
    near = np.clip(1 - beyond_s / RELEASE_S, 0, 1)
    return near * near * (3 - 2 * near), beyond_s > 0


def _speed(places_m: Float[np.ndarray, "f 3"], times_s: Float[np.ndarray, " f"]) -> Float[np.ndarray, " f"]:
    """Return metres a second over :data:`LOOK_S`, without most of what goes along the line of sight."""
    off = (times_s[None, :] - times_s[:, None]) / LOOK_S
    pull = np.exp(-0.5 * off**2)
    pull /= pull.sum(axis=1, keepdims=True)
    lever = off - (pull * off).sum(axis=1, keepdims=True)
    slope = pull * lever
    slope /= (slope * off).sum(axis=1, keepdims=True) * LOOK_S
    return np.linalg.norm(_across(slope @ places_m, places_m), axis=1)


def _across(vectors: Float[np.ndarray, "f 3"], places_m: Float[np.ndarray, "f 3"]) -> Float[np.ndarray, "f 3"]:
    """Return vectors at places without most of what goes along the line of sight."""
    sight = places_m / np.maximum(np.linalg.norm(places_m, axis=1, keepdims=True), 1e-9)
    return vectors - (1 - DEPTH_SHARE) * (vectors * sight).sum(axis=1, keepdims=True) * sight


def _runs(marks: Bool[np.ndarray, " f"]) -> list[tuple[int, int]]:
    """Return where marks begin and end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marks, [False]]).astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
