"""A clip as the result of a model: who moves how, when, and before which camera; a scene is a motion of one frame.

What the animation writers (``export/``) take. A person is a :class:`Track`: an id, one shape, and a pose and a place
for every frame in which the person is there. Frames have times of their own, so that a film of variable rate keeps
them. Everything is numpy and in the camera's frame (x right, y down, z forward, metres); ``T_world_camera`` says how
that camera stands in a world whose y points up.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from monobody.camera import Camera
from monobody.errors import UserError
from monobody.scene import Scene

if TYPE_CHECKING:
    from monobody.body.model import Body

LEVEL_CAMERA = np.diag([1.0, -1.0, -1.0, 1.0])
"""A camera at the world's origin that looks along -z, y up: half a turn about x."""
_ROTATION_TOLERANCE = 1e-3


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Hypotheses:
    """Everything that a person's pose may have been, the track's own included: h answers in each of f frames."""

    rotations: Float[np.ndarray, "h f 24 3 3"]
    betas: Float[np.ndarray, "h 10"]
    translation_m: Float[np.ndarray, "h f 3"]
    weight: Float[np.ndarray, "h f"]
    """How much the model believes in each; 0 where a frame has fewer hypotheses."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Track:
    """One person of a clip.

    Raises:
        UserError: shapes do not fit, a number is not finite, or a rotation is none.
    """

    id: int
    frames: Int[np.ndarray, " f"]
    """In which frames of the motion the person is there, ascending."""
    rotations: Float[np.ndarray, "f 24 3 3"]
    """Each joint's rotation against its parent; the first takes the body frame to the camera frame."""
    betas: Float[np.ndarray, "10"]
    """One shape for the whole clip."""
    translation_m: Float[np.ndarray, "f 3"]
    """Added to the posed body, it puts the body before the camera."""
    seen: Bool[np.ndarray, " f"]
    """True where the pose is what a model saw, False where it bridges a gap."""
    score: Float[np.ndarray, " f"]
    """How sure the detector was, 0 to 1."""
    hypotheses: Hypotheses | None = None
    """The other answers, where the model gives several."""

    def __post_init__(self) -> None:
        f, who = len(self.frames), f"Person {self.id}"
        shapes: dict[str, tuple[int, ...]] = {
            "rotations": (f, 24, 3, 3), "betas": (10,), "translation_m": (f, 3), "seen": (f,), "score": (f,),
        }  # fmt: skip
        _check(who, {name: (getattr(self, name), shape) for name, shape in shapes.items()})
        if f == 0 or np.ndim(self.frames) != 1 or (np.diff(self.frames) <= 0).any() or self.frames[0] < 0:
            raise UserError(f"{who} needs at least one frame, and frame numbers that ascend from 0 or above.")
        if self.hypotheses is not None:
            given = self.hypotheses
            h = len(given.weight)
            shapes = {
                "rotations": (h, f, 24, 3, 3), "betas": (h, 10), "translation_m": (h, f, 3), "weight": (h, f),
            }  # fmt: skip
            _check(f"{who}'s hypotheses", {name: (getattr(given, name), shape) for name, shape in shapes.items()})

    def takes(self) -> list["Track"]:
        """Return each hypothesis as a track of its own, the strongest first; just this one where there are none."""
        if self.hypotheses is None:
            return [self]
        given = self.hypotheses
        order = np.argsort(-given.weight.sum(axis=1), kind="stable")
        return [
            replace(
                self,
                rotations=given.rotations[h],
                betas=given.betas[h],
                translation_m=given.translation_m[h],
                hypotheses=None,
            )
            for h in order
        ]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Motion:
    """The people of a clip.

    Raises:
        UserError: times do not ascend, two people have one id, or a track leaves the clip.
    """

    times_s: Float[np.ndarray, " F"]
    """When each frame was taken, seconds; the rate may vary."""
    tracks: tuple[Track, ...]
    body_digest: str
    """Which body the poses belong to."""
    model: str
    """Name of the model that made it."""
    terms: str
    """On what terms the model, and with it this result, may be used."""
    camera: Camera | None = None
    """None where the motion was not filmed, or nobody knows how."""
    width_px: int | None = None
    height_px: int | None = None
    T_world_camera: Float[np.ndarray, "4 4"] = field(default_factory=LEVEL_CAMERA.copy)
    """Takes the camera frame to a world with y up; a level camera at its origin where nothing is known."""
    name: str = "motion"
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    body: "Body | None" = None
    """The body itself; not stored in files."""

    def __post_init__(self) -> None:
        count = len(self.times_s)
        _check("The clip", {"times_s": (self.times_s, (count,)), "T_world_camera": (self.T_world_camera, (4, 4))})
        _check_rotations("The clip's camera", np.asarray(self.T_world_camera)[:3, :3])
        if count == 0 or (np.diff(self.times_s) <= 0).any():
            raise UserError("A clip needs at least one frame, and times that ascend.")
        ids = [track.id for track in self.tracks]
        doubled = next((one for one in ids if ids.count(one) > 1), None)
        if doubled is not None:
            raise UserError(f"Two people have the id {doubled}: give each person an id of their own.")
        for track in self.tracks:
            if track.frames[-1] >= count:
                raise UserError(f"Person {track.id} is in frame {track.frames[-1]} of a clip of {count} frames.")

    @staticmethod
    def from_scene(scene: Scene) -> "Motion":
        """Return a scene as a motion of one frame; people's ids are their places in the scene."""
        return Motion.from_scenes([scene], times_s=[0.0])

    @staticmethod
    def from_scenes(
        scenes: Sequence[Scene], times_s: Sequence[float], ids: Sequence[Sequence[int]] | None = None
    ) -> "Motion":
        """Put the scenes of a clip together.

        A person's shape is the median of their frames, with the pelvis kept in place. The h-th heaviest hypotheses of
        the frames become one hypothesis.

        Args:
            scenes: one for each frame, by one model, with one body and one camera.
            times_s: when each was taken.
            ids: who each person of each scene is; needed where the scenes have several people.

        Raises:
            UserError: the scenes do not go together, or have skeletons without bodies.
        """
        from monobody.motion_sources import motion_from_scenes

        return motion_from_scenes(scenes, times_s, ids)

    @staticmethod
    def from_parameters(
        poses_rad: np.ndarray, betas: np.ndarray, translation_m: np.ndarray, **options: Any
    ) -> "Motion":
        """Take over another model's SMPL parameters: :func:`monobody.motion_sources.motion_from_parameters`."""
        from monobody.motion_sources import motion_from_parameters

        return motion_from_parameters(poses_rad, betas, translation_m, **options)

    @staticmethod
    def from_joints(joints_m: np.ndarray, joint_set: str, **options: Any) -> "Motion":
        """Fit the body to another model's 3D joints: :func:`monobody.motion_sources.motion_from_joints`."""
        from monobody.motion_sources import motion_from_joints

        return motion_from_joints(joints_m, joint_set, **options)

    def only(self, ids: Iterable[int]) -> "Motion":
        """Return the motion of some people.

        Raises:
            UserError: somebody is not in it.
        """
        wanted, here = list(ids), {track.id: track for track in self.tracks}
        missing = next((one for one in wanted if one not in here), None)
        if missing is not None:
            raise UserError(f"There is no person {missing} in it: choose from {', '.join(map(str, here)) or 'nobody'}.")
        return replace(self, tracks=tuple(here[one] for one in wanted))

    @property
    def fps(self) -> float:
        """Frames in a second by the median distance of frames; 30 for a single frame."""
        return float(1 / np.median(np.diff(self.times_s))) if len(self.times_s) > 1 else 30.0

    def with_body(self) -> "Body":
        """Return the body, loading the shipped one where the motion carries none.

        Raises:
            UserError: the motion was made with another body.
        """
        from monobody.body.model import Body

        body = self.body or Body.load()
        if body.digest != self.body_digest:
            raise UserError(
                f"This motion was made with the body {self.body_digest[:12]}, not with {body.digest[:12]}: "
                "give the body file it was made with."
            )
        return body

    def save(self, path: str | Path, **options: Any) -> list[Path]:
        """Write the motion in the format of the extension; options are those of ``monobody export``.

        Returns:
            The files written; some formats take one for each person or frame.

        Raises:
            UserError: extension or option is unknown, or a file cannot be written.
        """
        from monobody.export.writers import save_motion

        return save_motion(self, path, **options)

    @staticmethod
    def load(path: str | Path, body: "Body | None" = None) -> "Motion":
        """Read a motion, or a scene as a motion of one frame, back from .npz.

        Raises:
            UserError: the file is missing, damaged, or neither.
        """
        from monobody.export.motion_npz import read_motion

        return read_motion(path, body)


def _check(who: str, fields: Mapping[str, tuple[np.ndarray, tuple[int, ...]]]) -> None:
    """Refuse arrays of other shapes, numbers that are none, and rotations that are none."""
    for name, (value, shape) in fields.items():
        if np.shape(value) != shape:
            raise UserError(f"{who}: {name} has the shape {np.shape(value)}; it must be {shape}.")
        if not np.isfinite(value).all():
            raise UserError(f"{who}: {name} has a number that is not finite.")
        if name == "rotations":
            _check_rotations(who, value)


def _check_rotations(who: str, rotations: Float[np.ndarray, "*b 3 3"]) -> None:
    off = np.abs(rotations @ np.swapaxes(rotations, -1, -2) - np.eye(3)).max(initial=0.0)
    if off > _ROTATION_TOLERANCE or (np.linalg.det(rotations) < 0).any():
        raise UserError(f"{who}: a rotation is no rotation; matrices must be orthonormal and not mirrored.")
