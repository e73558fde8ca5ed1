"""A webcam or a clip frame by frame, as it comes: scenes with times and ids, their people moving calmly.

for frame in monobody.load().stream(0):
    show(frame.scene.overlay())
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from monobody.camera import Camera, weak_camera
from monobody.errors import UserError
from monobody.predict.before_camera import hypothesis_of
from monobody.predict.blaze_search import crowd_note
from monobody.predict.frames import Shot, Source, open_source
from monobody.predict.given import versions
from monobody.predict.smooth import Calmed
from monobody.predict.track import Tracker
from monobody.predict.video import VideoOptions, camera_of, detector_of
from monobody.scene import Person, Scene

if TYPE_CHECKING:
    from monobody.predict.predictor import Predictor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LiveFrame:
    """A frame of a stream."""

    number: int
    time_s: float
    scene: Scene
    """Its people, each with the calmed pose."""
    ids: tuple[int, ...]
    """Who each of them is."""


def stream(
    predictor: "Predictor", source: str | int | Path, options: VideoOptions | None = None
) -> Iterator[LiveFrame]:
    """Predict a clip or a webcam frame by frame, as they come.

    Nothing is known of later frames here: motion is smoothed by following it, gaps stay, shapes are each frame's own.
    Frames of a webcam that come while one is being worked on are left out.

    Raises:
        UserError: as :func:`predict_video`.
    """
    options = options or VideoOptions()
    clip = open_source(source, fps=options.fps)
    camera = camera_of(clip, options)
    tracker, calm = Tracker(detector_of(options), options.every), dict[int, Calmed]()
    for number, shot in enumerate(_newest(clip) if clip.kind == "webcam" else clip):
        if options.seconds is not None and shot.time_s >= options.seconds:
            return
        seen = tracker(shot.rgb, shot.time_s, number)
        people = list(predictor.people(shot.rgb, [one.detection for one in seen], camera))
        for place, (one, person) in enumerate(zip(seen, people, strict=True)):
            follow = calm.setdefault(one.id, Calmed(options.smooth_s))
            people[place] = _followed(predictor, person, shot.time_s, follow, camera, clip)
        scene = Scene(
            people=tuple(people),
            width_px=clip.width_px,
            height_px=clip.height_px,
            camera=camera,
            body_digest=predictor.body.digest,
            model=predictor.model,
            terms=predictor.terms,
            name=clip.name,
            versions=versions(),
            notes=crowd_note(tracker.unread),
            picture=shot.rgb,
            body=predictor.body,
        )
        yield LiveFrame(number=number, time_s=shot.time_s, scene=scene, ids=tuple(one.id for one in seen))


def _newest(clip: Source) -> Iterator[Shot]:
    """Read a webcam in a thread, and hand out its newest frame whenever one is asked for."""
    fresh, slot, end = threading.Condition(), list[Shot](), list[BaseException | None]()

    def read() -> None:
        fault: BaseException | None = None
        try:
            for shot in clip:
                with fresh:
                    if end:
                        return
                    slot[:] = [shot]
                    fresh.notify()
        except UserError as error:
            fault = error
        with fresh:
            end.append(fault)
            fresh.notify()

    threading.Thread(target=read, daemon=True).start()
    try:
        while True:
            with fresh:
                fresh.wait_for(lambda: slot or end)
                if not slot:
                    if end[0] is not None:
                        raise end[0]
                    return
                shot = slot.pop()
            yield shot
    finally:
        with fresh:
            end.append(None)


def _followed(
    predictor: "Predictor", person: Person, time_s: float, follow: Calmed, camera: Camera, clip: Source
) -> Person:
    """Return a person of a stream with the pose that follows theirs calmly."""
    rotations, place_m = follow(time_s, person.rotations, person.translation_m)
    turned, placed = (torch.from_numpy(np.asarray(values, np.float32)) for values in (rotations, place_m))
    betas = torch.from_numpy(np.asarray(person.betas, np.float32))
    with torch.inference_mode():
        calm = hypothesis_of(
            predictor.body,
            predictor.body(turned, betas),
            rotations=turned,
            betas=betas,
            weak=weak_camera(placed, person.upright_crop, camera.focal_px, clip.width_px, clip.height_px),
            translation_m=placed,
            camera=camera,
        )
    return replace(person, hypotheses=(replace(calm, weight=person.best.weight),))
