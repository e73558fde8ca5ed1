"""A video in, a :class:`~monobody.motion.Motion` out: people found, followed, posed, and their motion put together.

    motion = monobody.load()("dance.mp4")
    motion.save("dance.glb", rig="mixamo")

Frames are read, looked at and forgotten one by one. What was seen in each is noted in a journal (``journal.py``), from
which a run that was stopped goes on; only when the clip has ended are people put together (``assemble.py``), since the
best guess of a moment needs those after it.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monobody import __version__
from monobody.camera import Camera
from monobody.errors import UserError
from monobody.motion import Motion
from monobody.predict.assemble import MAX_GAP_S, SMOOTH_S, Seen, as_track, calmed, people_of
from monobody.predict.blaze_search import crowd_note
from monobody.predict.content import detector_digest, estimator_digest, listing_digest
from monobody.predict.detect import Detector, find_detector
from monobody.predict.frames import Source, open_source
from monobody.predict.given import choose_camera, versions
from monobody.predict.journal import Answer, Journal, Moment
from monobody.predict.track import DETECT_EVERY, Tracker

if TYPE_CHECKING:
    from monobody.predict.predictor import Predictor
    from monobody.scene import Person

Progress = Callable[[int, int | None], None]
"""Called with how many frames are done, and of how many, as far as that is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoOptions:
    """How a clip is predicted.

    Raises:
        UserError: a number that makes no sense.
    """

    detector: str | Path | Detector = "blazepose"
    every: int = DETECT_EVERY
    """The detector looks over the whole picture in every so manieth frame; in between people are followed."""
    smooth_s: float = SMOOTH_S
    """How long motion is smoothed over, seconds; 0 leaves every frame as it was seen."""
    max_gap_s: float = MAX_GAP_S
    """Gaps up to this are bridged, and marked as that; longer ones stay."""
    fps: float | None = None
    """Frames in a second of a folder of frames."""
    focal_px: float | None = None
    fov_deg: float | None = None
    seconds: float | None = None
    """No more of the clip is read than this."""
    refine: bool = False
    """Whether each person's whole motion is fitted to the landmarks that the detector saw."""
    foot_lock: bool = False
    """Whether feet that stand are held where they stand."""

    def __post_init__(self) -> None:
        for name, lowest, what in (
            ("every", 1, "frames between two looks"), ("smooth_s", 0, "seconds of smoothing"),
            ("max_gap_s", 0, "seconds of a gap"),
        ):  # fmt: skip
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= lowest):
                raise UserError(f"{value:g} {what} are impossible: give a number of at least {lowest}.")
        if self.seconds is not None and not (np.isfinite(self.seconds) and self.seconds > 0):
            raise UserError(f"{self.seconds:g} seconds of a clip are nothing: give a positive number.")


def options_of(given: dict[str, Any]) -> VideoOptions:
    """Return the options that keywords name.

    Raises:
        UserError: one is unknown, or makes no sense.
    """
    known = {each.name for each in fields(VideoOptions)}
    unknown = next((name for name in given if name not in known), None)
    if unknown is not None:
        raise UserError(f"There is no option {unknown!r} for videos: it is one of {', '.join(sorted(known))}.")
    return VideoOptions(**given)


def predict_video(
    predictor: "Predictor",
    source: str | int | Path,
    options: VideoOptions | None = None,
    *,
    progress: Progress | None = None,
    journal: Path | None = None,
) -> Motion:
    """Predict everybody in a clip.

    Args:
        predictor: the model.
        source: a video file, a folder of frames (with ``options.fps``), or the number of a webcam (with
            ``options.seconds``).
        options: how.
        progress: told after every frame.
        journal: a folder in which what was seen is noted, so that the same call goes on where it was killed. It is for
            the caller to remove (:func:`~monobody.predict.journal.discard`) once the results are safe.

    Raises:
        UserError: the clip cannot be read, or a choice makes no sense.
    """
    options = options or VideoOptions()
    people, motion = watched(predictor, source, options, progress=progress, journal=journal)
    return _finished(people, motion, predictor, options)


def watched(
    predictor: "Predictor",
    source: str | int | Path,
    options: VideoOptions,
    *,
    progress: Progress | None = None,
    journal: Path | None = None,
) -> tuple[list[Seen], Motion]:
    """Look at a clip: return everybody in it before anything is smoothed, and a motion with all but its tracks.

    Arguments and errors are those of :func:`predict_video`.
    """
    clip = open_source(source, fps=options.fps)
    if clip.kind == "webcam" and options.seconds is None:
        raise UserError("A webcam never ends: say for how many seconds to watch, or use stream().")
    camera = camera_of(clip, options)
    kept = Journal(journal, _key(predictor, clip, options))
    try:
        _watch(predictor, clip, camera, options, kept, progress)
    finally:  # Also where the clip breaks off or somebody presses Ctrl-C.
        kept.flush()
    # An earlier run may have been asked for more of the clip.
    moments = [one for one in kept.moments if options.seconds is None or one.time_s < options.seconds]
    if not moments:
        raise UserError(f"{clip.path} has no frame in the time that was asked for.")
    people, brief = people_of(moments, predictor.body, max_gap_s=options.max_gap_s)
    notes = [*sorted(clip.notes), *crowd_note(max(moment.unread for moment in moments))]
    if brief:
        notes.append(f"{brief} {'person' if brief == 1 else 'people'} seen too briefly left out")
    return people, Motion(
        times_s=np.array([moment.time_s for moment in moments]),
        tracks=(),
        camera=camera,
        width_px=clip.width_px,
        height_px=clip.height_px,
        body_digest=predictor.body.digest,
        model=predictor.model,
        terms=predictor.terms,
        name=clip.name,
        versions=versions(),
        notes=tuple(notes),
        body=predictor.body,
    )


def _finished(people: list[Seen], motion: Motion, predictor: "Predictor", options: VideoOptions) -> Motion:
    """Refine, smooth and lock what was asked for."""
    notes = list(motion.notes)
    if options.refine and people and motion.camera is not None:
        from monobody.predict.refine_track import refined

        fits = [refined(one, motion.camera, predictor.body) for one in people]
        people = [one for one, _, _ in fits]
        off, left = (float(np.nanmean(values)) for values in ([b for _, b, _ in fits], [a for _, _, a in fits]))
        notes.append(f"refined: landmarks {off:.1f} px off before, {left:.1f} px after")
        motion = replace(motion, model=f"{motion.model}, refined")
    tracks = tuple(as_track(calmed(one, options.smooth_s), predictor.body) for one in people)
    motion = replace(motion, tracks=tracks, notes=tuple(notes))
    if options.foot_lock:
        from monobody.predict.ground import lock_feet

        motion = lock_feet(motion)
    return motion


def _watch(
    predictor: "Predictor",
    clip: Source,
    camera: Camera,
    options: VideoOptions,
    journal: Journal,
    progress: Progress | None,
) -> None:
    """Look at every frame that is not in the journal yet."""
    tracker = Tracker(detector_of(options), options.every)
    for number, moment in enumerate(journal.moments):
        tracker.remember(moment.sightings, moment.time_s, number, searched=moment.searched)
    known = len(journal.moments)
    total = clip.count
    if options.seconds is not None:
        asked = round(options.seconds * clip.rate)
        total = asked if total is None else min(total, asked)
    for number, shot in enumerate(clip):
        if options.seconds is not None and shot.time_s >= options.seconds:
            break
        # Frames that an earlier run has seen are only decoded again, which is no measure of the time left.
        if number >= known:
            seen = tracker(shot.rgb, shot.time_s, number)
            people = predictor.people(shot.rgb, [one.detection for one in seen], camera)
            answers = tuple(_answer(person) for person in people)
            journal.append(
                Moment(
                    time_s=shot.time_s,
                    sightings=tuple(seen),
                    answers=answers,
                    searched=tracker.searched == number,
                    unread=tracker.unread,
                )
            )
            if progress is not None:
                progress(number + 1, None if total is None else max(total, number + 1))
    if progress is not None and known and known == len(journal.moments):
        progress(known, known)


def camera_of(clip: Source, options: VideoOptions) -> Camera:
    """Return the camera that is assumed of a clip.

    Raises:
        UserError: a focal length or field of view that makes no sense.
    """
    return choose_camera(clip.width_px, clip.height_px, focal_px=options.focal_px, fov_deg=options.fov_deg)


def detector_of(options: VideoOptions) -> Detector:
    """Return the detector that was chosen.

    Raises:
        UserError: there is none of that name.
    """
    chosen = options.detector
    return find_detector(chosen) if isinstance(chosen, str | Path) else chosen


def _key(predictor: "Predictor", clip: Source, options: VideoOptions) -> dict[str, object]:
    """Return what a journal depends on: of models, bodies and files what is in them, not only what they are called."""
    path = Path(clip.path)
    stat = path.stat() if path.exists() else None
    detector = options.detector
    return {
        "format": 2,
        "clip": str(path.resolve()),
        "bytes": stat and stat.st_size,
        "changed": stat and stat.st_mtime_ns,
        "frames": listing_digest(clip.pictures),
        "fps": options.fps,
        "focal_px": options.focal_px,
        "fov_deg": options.fov_deg,
        "detector": detector_digest(detector) if isinstance(detector, str | Path) else type(detector).__name__,
        "every": options.every,
        "model": predictor.model,
        "estimator": estimator_digest(predictor.estimator),
        "body": predictor.body.digest,
        "versions": __version__,
    }


def _answer(person: "Person") -> Answer:
    """Keep the numbers of a person."""
    several = person.hypotheses
    if any(one.rotations is None for one in several):
        raise UserError("This model gives skeletons, and motion needs bodies: predict with --lift (lift=True).")
    return Answer(
        rotations=np.array([one.rotations for one in several], np.float32),
        betas=np.array([one.betas for one in several], np.float32),
        translation_m=np.array([one.translation_m for one in several], np.float32),
        weight=np.array([one.weight for one in several], np.float32),
    )
