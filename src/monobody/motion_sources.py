"""Where motions come from: the scenes of a clip, another model's SMPL parameters, another model's 3D joints."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float

from monobody.camera import Camera
from monobody.errors import UserError
from monobody.motion import Hypotheses, Motion, Track
from monobody.scene import Hypothesis, Scene, of_body

if TYPE_CHECKING:
    from monobody.body.model import Body

Frame = Literal["camera", "y-up", "z-up"]
FRAMES: dict[str, Float[np.ndarray, "3 3"]] = {
    "camera": np.eye(3),
    "y-up": np.diag([1.0, -1.0, -1.0]),
    "z-up": np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]]),
}
"""How each frame is turned into the camera's: x right, y down, z forward. In a z-up world y points forward."""


def motion_from_scenes(
    scenes: Sequence[Scene], times_s: Sequence[float], ids: Sequence[Sequence[int]] | None = None
) -> Motion:
    """What :meth:`monobody.motion.Motion.from_scenes` returns."""
    if not scenes or len(times_s) != len(scenes):
        raise UserError(f"A clip needs at least one frame and as many times as frames, not {len(times_s)}.")
    first = scenes[0]
    for scene in scenes:
        for person in scene.people:
            of_body(person.best.theta)  # A motion is one of bodies.
    for number, scene in enumerate(scenes):
        for what in ("body_digest", "model", "width_px", "height_px"):
            if getattr(scene, what) != getattr(first, what):
                raise UserError(f"Frame {number} has another {what} than the first: they are not one clip.")
        if asdict(scene.camera) != asdict(first.camera):
            raise UserError(f"Frame {number} has another camera than the first: give the focal length for all of them.")
    if ids is None:
        if len(scenes) > 1 and any(len(scene.people) > 1 for scene in scenes):
            raise UserError("Frames with several people need ids: which of them are one and the same person?")
        ids = [range(len(scene.people)) for scene in scenes]
    if [len(row) for row in ids] != [len(scene.people) for scene in scenes] or any(len(set(r)) < len(r) for r in ids):
        raise UserError("Every person of every frame needs one id, and no two of one frame the same.")
    places: dict[int, list[tuple[int, int]]] = {}
    for frame, row in enumerate(ids):
        for place, person in enumerate(row):
            places.setdefault(int(person), []).append((frame, place))
    return Motion(
        times_s=np.asarray(times_s, np.float64),
        tracks=tuple(_track(person, scenes, places[person]) for person in sorted(places)),
        camera=first.camera,
        width_px=first.width_px,
        height_px=first.height_px,
        body_digest=first.body_digest,
        model=first.model,
        terms=first.terms,
        name=first.name,
        versions=first.versions,
        notes=tuple(dict.fromkeys(note for scene in scenes for note in scene.notes)),
        body=first.body,
    )


def _track(person: int, scenes: Sequence[Scene], places: Sequence[tuple[int, int]]) -> Track:
    """Put one person's frames together; hypotheses by their rank in each frame."""
    people = [scenes[frame].people[place] for frame, place in places]
    most = max(len(one.hypotheses) for one in people)
    ranked: list[list[Hypothesis]] = []
    weight = np.zeros((most, len(people)))
    for column, one in enumerate(people):
        row = sorted(one.hypotheses, key=lambda item: -item.weight)
        weight[: len(row), column] = [item.weight for item in row]
        ranked.append([*row, *[row[0]] * (most - len(row))])
    rotations = np.array([[row[h].rotations for row in ranked] for h in range(most)], np.float64)
    shapes = np.array([[row[h].betas for row in ranked] for h in range(most)], np.float64)
    translation_m = np.array([[row[h].translation_m for row in ranked] for h in range(most)], np.float64)
    betas = np.median(shapes, axis=1)
    if len(people) > 1:
        translation_m += _pelvis_m(scenes[0].with_body(), shapes) - _pelvis_m(scenes[0].with_body(), betas)[:, None]
    several = Hypotheses(rotations=rotations, betas=betas, translation_m=translation_m, weight=weight)
    return Track(
        id=person,
        frames=np.array([frame for frame, _ in places]),
        rotations=rotations[0],
        betas=betas[0],
        translation_m=translation_m[0],
        seen=np.ones(len(people), bool),
        score=np.array([one.score for one in people], np.float64),
        hypotheses=several if most > 1 else None,
    )


def motion_from_parameters(
    poses_rad: Float[np.ndarray, "f 72"],
    betas: Float[np.ndarray, "10"],
    translation_m: Float[np.ndarray, "f 3"],
    *,
    body: "Body",
    fps: float | None = None,
    times_s: Sequence[float] | None = None,
    frame: Frame = "camera",
    camera: Camera | None = None,
    width_px: int | None = None,
    height_px: int | None = None,
    model: str = "unknown",
    terms: str = "as that model's",
    name: str = "motion",
) -> Motion:
    """Take over another model's SMPL parameters for one person.

    Args:
        poses_rad: 24 axis-angles a frame, the root's first.
        betas: shape coefficients of ``body``.
        translation_m: what SMPL adds to the posed body, in ``frame``.
        body: the very body that these numbers were made for: shape and rest pose are meaningless on another.
        fps: frames in a second, or
        times_s: when each frame was taken.
        frame: "camera" (x right, y down, z forward), or a world with "y-up" or "z-up" (as AMASS has it).
        camera: what filmed it, where that is known.
        width_px: of the film.
        height_px: of the film.
        model: what made the numbers.
        terms: on which terms they may be used.
        name: of the clip.

    Raises:
        UserError: arrays of other shapes, a frame that does not exist, no rate.
    """
    import torch

    from monobody.body.rotation import axis_angle_to_matrix

    poses = np.asarray(poses_rad, np.float64)
    if poses.ndim != 2 or poses.shape[1] != 72 or not np.isfinite(poses).all():
        raise UserError(f"SMPL's poses are finite arrays of 72 numbers a frame, not {poses.shape}.")
    if frame not in FRAMES:
        raise UserError(f"There is no frame {frame!r}; it is one of {', '.join(FRAMES)}.")
    shape = np.asarray(betas, np.float64)
    if shape.shape != (10,) or np.shape(translation_m) != (len(poses), 3):
        raise UserError(
            f"{len(poses)} frames need 10 betas and a place each, not {shape.shape} and {np.shape(translation_m)}."
        )
    rotations = axis_angle_to_matrix(torch.from_numpy(poses.reshape(-1, 24, 3))).numpy()
    turn, pelvis_m = FRAMES[frame], _pelvis_m(body, shape)
    rotations[:, 0] = turn @ rotations[:, 0]
    # The root turns about the pelvis, which is not the origin.
    translation_m = (np.asarray(translation_m, np.float64) + pelvis_m) @ turn.T - pelvis_m
    track = Track(
        id=0,
        frames=np.arange(len(poses)),
        rotations=rotations,
        betas=shape,
        translation_m=translation_m,
        seen=np.ones(len(poses), bool),
        score=np.ones(len(poses)),
    )
    return Motion(
        times_s=_times(len(poses), fps, times_s),
        tracks=(track,),
        camera=camera,
        width_px=width_px,
        height_px=height_px,
        body_digest=body.digest,
        model=model,
        terms=terms,
        name=name,
        body=body,
    )


def motion_from_joints(
    joints_m: Float[np.ndarray, "f k 3"],
    joint_set: str,
    *,
    body: "Body",
    fps: float | None = None,
    times_s: Sequence[float] | None = None,
    frame: Frame = "camera",
    model: str = "unknown",
    terms: str = "as that model's",
    name: str = "motion",
) -> Motion:
    """Fit the body to one person's 3D joints of any model: one shape, calm over time (:mod:`monobody.fit`).

    Args:
        joints_m: metres, in ``frame``; NaN where a joint is unknown.
        joint_set: a name of :data:`monobody.body.skeleton.SKELETONS`.
        body: what is fitted.
        fps: frames in a second, or
        times_s: when each frame was taken.
        frame: as in :func:`motion_from_parameters`.
        model: what found the joints.
        terms: on which terms they may be used.
        name: of the clip.

    Raises:
        UserError: the joints cannot be fitted.
    """
    import torch

    from monobody.fit.evidence import Evidence, Frames
    from monobody.fit.smplify import fit_bodies

    if frame not in FRAMES:
        raise UserError(f"There is no frame {frame!r}; it is one of {', '.join(FRAMES)}.")
    joints = torch.from_numpy(np.asarray(joints_m, np.float64) @ FRAMES[frame].T).float()
    known = torch.isfinite(joints).all(-1).float()
    times = _times(len(joints), fps, times_s)
    same = Frames(person=torch.zeros(len(joints), dtype=torch.long), time_s=torch.from_numpy(times).float())
    evidence = Evidence(
        joints_m=joints, joints_confidence=known, joint_set=joint_set, joints_absolute=True, frames=same
    )
    fits = fit_bodies(evidence, body)
    track = Track(
        id=0,
        frames=np.arange(len(joints)),
        rotations=fits.rotations.double().numpy(),
        betas=fits.betas[0].double().numpy(),
        translation_m=fits.translation_m.double().numpy(),
        seen=np.ones(len(joints), bool),
        score=np.ones(len(joints)),
    )
    error_mm, settled = float(fits.joints_mm.mean()), int(fits.converged.sum())
    return Motion(
        times_s=times,
        tracks=(track,),
        body_digest=body.digest,
        model=model,
        terms=terms,
        name=name,
        notes=(f"fitted to 3D joints: {error_mm:.1f} mm mean error, {settled} of {len(joints)} frames settled",),
        body=body,
    )


def _times(count: int, fps: float | None, times_s: Sequence[float] | None) -> Float[np.ndarray, " F"]:
    if (fps is None) == (times_s is None):
        raise UserError("Give either the frames in a second (fps) or the time of every frame (times_s).")
    if fps is None:
        return np.asarray(times_s, np.float64)
    if not 0 < fps < 1e4:
        raise UserError(f"{fps:g} frames in a second are impossible.")
    return np.arange(count) / fps


def _pelvis_m(body: "Body", betas: Float[np.ndarray, "*b 10"]) -> Float[np.ndarray, "*b 3"]:
    """Return where the pelvis of a shape rests."""
    import torch

    with torch.no_grad():
        return body.identity(torch.from_numpy(betas).float()).joints_m[..., 0, :].cpu().double().numpy()
