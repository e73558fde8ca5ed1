"""The default detector: BlazePose over a whole picture, or inside boxes that are already known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from monobody.data.crop import checked_box
from monobody.predict.blaze_in_box import person_in_box
from monobody.predict.blaze_search import crowd_note, look_over
from monobody.predict.detection import Detection, inside_picture
from monobody.predict.landmarks import Reading
from monobody.predict.outline import outline_box


@dataclass(slots=True)
class BlazeDetector:
    """Finds people with the two BlazePose networks.

    Called with a picture it returns everybody it finds, best first, possibly nobody. Called with boxes it returns one
    person for each, falling back to quarter turns of the whole box where nothing is found.
    """

    notes: tuple[str, ...] = ()
    """What a reader should know of the last picture: whether it has more people than are looked for."""

    def __call__(
        self,
        rgb: UInt8[np.ndarray, "h w 3"],
        box: Sequence[Sequence[float]] | Sequence[float] | None = None,
        *,
        name: str | None = None,
    ) -> list[Detection]:
        """Return the people of the picture, or one for each given box (x0, y0, x1, y1 in pixels).

        Raises:
            UserError: a box is empty, not finite, or outside of the picture.
        """
        self.notes = ()
        if box is None:
            readings, unread = look_over(rgb)
            self.notes = crowd_note(unread)
            return [detection_of(reading, rgb) for reading in readings]
        height, width = rgb.shape[:2]
        rows = np.atleast_2d(np.asarray(box, np.float64)).tolist() if len(box) else []
        boxes = [np.array(checked_box(row, width, height)) for row in rows]
        return [detection_of(person_in_box(rgb, one), rgb, one) for one in boxes]


def detection_of(
    reading: Reading, rgb: UInt8[np.ndarray, "h w 3"], box_px: Float[np.ndarray, "4"] | None = None
) -> Detection:
    """Return a reading as a detection, in the box that is given, else in that of the person's outline."""
    return Detection(
        box_px=inside_picture(outline_box(reading), rgb) if box_px is None else box_px,
        score=reading.presence,
        crop=reading.crop,
        landmarks_px=reading.landmarks_px,
        landmarks_score=reading.scores,
        world_m=reading.world_m,
    )
