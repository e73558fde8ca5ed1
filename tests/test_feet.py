"""Feet: legs reach where they are told to, walks by formula do not slide, shaken ones much less once locked."""

import numpy as np
import pytest
from clips import noisy, truth_of

from monobody.body.legs import leg_joints, reach, turning
from monobody.data.clip_scenes import Cast, SyntheticClip, circling, crossing
from monobody.export.armature import joints_cam_m_of
from monobody.motion import LEVEL_CAMERA, Motion
from monobody.predict.assemble import Shapes
from monobody.predict.ground import find_floor, lock_feet, stands


@pytest.fixture(scope="module")
def walks() -> SyntheticClip:
    return circling(Cast.of(seed=1, people=1), seconds=4)


def slide_mm(motion: Motion, clip: SyntheticClip) -> float:
    """How far the balls of standing feet move from frame to frame."""
    shapes, moved = Shapes(motion.with_body()), []
    for track, act in zip(motion.tracks, clip.acts, strict=True):
        rest = shapes.joints_m(track.betas)
        for side in (0, 1):
            ball = leg_joints(track.rotations, rest, track.translation_m + rest[0], side)[1][3]
            standing = act.standing[:, side]
            moved.append(np.linalg.norm(np.diff(ball, axis=0), axis=1)[standing[1:] & standing[:-1]])
    return 1000 * float(np.concatenate(moved).mean())


def test_legs_reach_and_feet_keep_their_turn() -> None:
    generator = np.random.default_rng(0)
    rest = Cast.of(people=1).rest(0)[0]
    axis = 0.3 * generator.normal(size=(30 * 24, 3))
    rotations = turning(axis, np.linalg.norm(axis, axis=1)).reshape(30, 24, 3, 3)
    pelvis = generator.normal(size=(30, 3))
    for side in (0, 1):
        before = leg_joints(rotations, rest, pelvis, side)
        goal = before[1][0] + 0.8 * (before[1][2] - before[1][0]) + 0.05 * generator.normal(size=(30, 3))
        reached = reach(rotations, rest, pelvis, side, goal)
        after = leg_joints(reached, rest, pelvis, side)
        assert np.abs(after[1][2] - goal).max() < 1e-6
        assert np.abs(after[0][2] - before[0][2]).max() < 1e-9
        assert np.allclose(reached @ np.swapaxes(reached, -1, -2), np.eye(3), atol=1e-9)


def test_straight_legs_bend_forward() -> None:
    """A straight leg has no plane of its own: the knee must go to the front, not to the back."""
    rest = Cast.of(people=1).rest(0)[0]
    still = np.tile(np.eye(3), (1, 24, 1, 1))
    hip, ankle = rest[1], rest[7]
    bent = reach(still, rest, rest[:1], 0, (hip + 0.8 * (ankle - hip))[None])
    knee = leg_joints(bent, rest, rest[:1], 0)[1][1][0]
    assert knee[2] > rest[4][2] + 0.05


def test_walks_by_formula_do_not_slide(walks: SyntheticClip) -> None:
    assert slide_mm(truth_of(walks), walks) < 0.01
    view = walks.camera_from_world
    world = (walks.joints_cam_m(0) - view[:, 3]) @ view[:, :3]
    for side, ball in enumerate((10, 11)):
        standing = walks.acts[0].standing[:, side]
        assert 0.5 < standing.mean() < 0.7
        assert np.ptp(world[standing, ball, 1]) < 1e-4


def test_standing_feet_are_found(walks: SyntheticClip) -> None:
    motion, rest = truth_of(walks), walks.cast.rest(0)[0]
    track = motion.tracks[0]
    for side in (0, 1):
        places = leg_joints(track.rotations, rest, track.translation_m + rest[0], side)[1]
        told, real = stands(places[2], places[3], walks.times_s), walks.acts[0].standing[:, side]
        assert (told & real).sum() > 0.9 * real.sum()
        assert (told & real).sum() > 0.8 * told.sum()


def test_locked_feet_slide_much_less_and_poses_stay(walks: SyntheticClip) -> None:
    truth = truth_of(walks)
    shaken = noisy(truth, np.random.default_rng(0), turn_rad=0.015, place_m=0.015)
    locked = lock_feet(shaken)
    assert slide_mm(locked, walks) < 0.3 * slide_mm(shaken, walks)
    real, before, after = (joints_cam_m_of(each.tracks[0], truth.with_body()) for each in (truth, shaken, locked))

    def error(guess: np.ndarray) -> float:
        return float(np.linalg.norm((guess - guess[:, :1]) - (real - real[:, :1]), axis=2).mean())

    assert error(after) < 1.2 * error(before)


def test_who_never_stands_is_left_alone(walks: SyntheticClip) -> None:
    motion = truth_of(walks)
    track = motion.tracks[0]
    from dataclasses import replace

    flying = replace(track, translation_m=track.translation_m + np.arange(len(track.frames))[:, None] * [0.2, 0, 0])
    locked = lock_feet(replace(motion, tracks=(flying,)))
    assert np.array_equal(locked.tracks[0].translation_m, flying.translation_m)


def test_the_floor_is_found_from_a_camera_that_is_thought_level() -> None:
    from dataclasses import replace

    clip = crossing(Cast.of(seed=2, people=2))
    motion = truth_of(clip)
    found = find_floor(replace(motion, T_world_camera=LEVEL_CAMERA), motion.with_body())
    up = motion.T_world_camera[1, :3]
    assert np.degrees(np.arccos(np.clip(found[1, :3] @ up, -1, 1))) < 0.7
    assert found[1, 3] == pytest.approx(motion.T_world_camera[1, 3], abs=0.06)
    assert np.allclose(found[:3, :3] @ found[:3, :3].T, np.eye(3), atol=1e-9)


def test_nobody_has_no_feet(walks: SyntheticClip) -> None:
    from dataclasses import replace

    assert lock_feet(replace(truth_of(walks), tracks=())).tracks == ()
