"""People on paper: coloured boxes in a picture, and a detector and a landmark network that see nothing else."""

from collections.abc import Callable, Sequence

import numpy as np

from monobody.body.skeleton import SKELETONS
from monobody.data.crop import Crop
from monobody.predict.detection import Detection
from monobody.predict.landmarks import Reading

NAMES = SKELETONS["blazepose33"].joints
TALL_PX = 120.0
COLOURS = ((220, 40, 40), (40, 200, 60), (50, 60, 220))
Path = Callable[[int], tuple[float, float] | None]
_HEIGHTS = {"shoulder": -0.3, "elbow": -0.15, "wrist": 0, "hip": 0, "knee": 0.25, "ankle": 0.48, "heel": 0.5}
_HANDS = ("pinky", "index", "thumb")


def landmarks_at(x: float, y: float) -> np.ndarray:
    """A stick figure whose hips' middle is at (x, y)."""
    places = np.zeros((33, 2))
    for number, name in enumerate(NAMES):
        side = -1 if name.startswith("right") else 1
        part = name.partition("_")[2] or name
        up = _HEIGHTS.get(part, 0.5 if "foot" in name else -0.02 if any(hand in name for hand in _HANDS) else -0.42)
        places[number] = (x + side * (0.06 if part != "hip" else 0.05) * TALL_PX, y + up * TALL_PX)
    return places


def reading_at(x: float, y: float, presence: float = 0.9) -> Reading:
    return Reading(
        crop=Crop((x, y), 1.4 * TALL_PX),
        landmarks_px=landmarks_at(x, y),
        scores=np.full(33, 0.9),
        auxiliary_px=np.array([[x, y], [x, y - 0.56 * TALL_PX]]),
        world_m=np.concatenate([landmarks_at(0, 0), np.zeros((33, 1))], axis=1) / 70,
        presence=presence,
        mask=np.ones((16, 16)),
    )


def seen_in(rgb: np.ndarray) -> list[tuple[float, float]]:
    """Where people are in a picture: the middles of its colours."""
    found, coarse = [], rgb[::4, ::4].astype(np.int16)
    for colour in COLOURS:
        rows, columns = np.nonzero(np.abs(coarse - np.array(colour, np.int16)).max(axis=2) < 40)
        if len(rows) > 90:
            found.append((4 * float(columns.mean()) + 1.5, 4 * float(rows.mean()) - 0.5))
    return found


def read(rgb: np.ndarray, crop: Crop) -> Reading:
    """What a landmark network would read in a region: whoever is nearest to its middle."""
    near = [(np.hypot(x - crop.centre_px[0], y - crop.centre_px[1]), (x, y)) for x, y in seen_in(rgb)]
    if not near or min(near)[0] > 0.4 * crop.size_px:
        return reading_at(*crop.centre_px, presence=0.0)
    return reading_at(*min(near)[1])


def detector(rgb: np.ndarray, box: object = None, *, name: str | None = None) -> list[Detection]:
    """Everybody in a picture."""
    readings = [reading_at(*at) for at in seen_in(rgb)]
    return [
        Detection(
            box_px=np.concatenate([each.landmarks_px.min(axis=0), each.landmarks_px.max(axis=0)]),
            score=0.9,
            crop=each.crop,
            landmarks_px=each.landmarks_px,
            landmarks_score=each.scores,
            world_m=each.world_m,
        )
        for each in readings
    ]


def places(paths: Sequence[Path], frame: int) -> dict[int, tuple[float, float]]:
    """Where those are who can be seen; the first of two within 30 pixels hides the other."""
    shown: dict[int, tuple[float, float]] = {}
    for person, path in enumerate(paths):
        at = path(frame)
        if at is not None and all(abs(at[0] - other[0]) > 30 for other in shown.values()):
            shown[person] = at
    return shown


def picture(paths: Sequence[Path], frame: int) -> np.ndarray:
    """A picture of a street, 640 x 360."""
    rgb = np.full((360, 640, 3), 128, np.uint8)
    for person, (x, y) in places(paths, frame).items():
        rgb[int(max(y - 60, 0)) : int(y + 65), int(max(x - 16, 0)) : int(max(x + 16, 0))] = COLOURS[person]
    return rgb


def line(start: float, end: float, frames: int, y: float = 200.0) -> Path:
    return lambda frame: (start + (end - start) * frame / frames, y)


CROSSING = (line(100, 540, 60), line(540, 100, 60, 205))
"""Two people who walk past each other within 60 frames."""
