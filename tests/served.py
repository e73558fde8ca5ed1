"""A model for tests of the server: random bodies with several answers instead of a network's."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scenes import posed_scene

from monobody.camera import Camera
from monobody.image import Picture, read_image
from monobody.motion import Motion
from monobody.scene import Scene


class RandomPeople:
    """Sees the same two people in every picture, each in three ways; in a clip, people who wave."""

    def __call__(self, picture: Picture | Path) -> Scene:
        if not isinstance(picture, Picture):
            picture = read_image(picture)
        height, width = picture.rgb.shape[:2]
        first, second, third = (posed_scene(people=2, seed=3 + n, spread_rad=0.1 + 0.1 * n) for n in range(3))
        people = tuple(
            replace(
                a,
                hypotheses=tuple(
                    replace(one.hypotheses[0], weight=weight) for one, weight in ((a, 0.6), (b, 0.3), (c, 0.1))
                ),
            )
            for a, b, c in zip(first.people, second.people, third.people, strict=True)
        )
        camera = Camera(focal_px=800.0, principal_px=(width / 2, height / 2), source="default")
        return replace(
            first, people=people, width_px=width, height_px=height, picture=picture.rgb, camera=camera, body=first.body
        )

    def video(self, source: Path, *, progress: Any, seconds: float) -> Motion:
        from motions import waving_motion

        from monobody.predict.frames import open_source

        clip = open_source(source)
        times_s = [shot.time_s for shot in clip if shot.time_s < seconds]
        progress(len(times_s), clip.count)
        moving = waving_motion(people=1, frames=len(times_s), several=2)
        return replace(moving, times_s=np.array(times_s), width_px=clip.width_px, height_px=clip.height_px)


def random_people() -> RandomPeople:
    """What the server's process loads."""
    return RandomPeople()
