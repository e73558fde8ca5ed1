"""What was seen in each frame of a clip, kept in memory and, where a folder is given, on disk: what is resumed from.

A part is written every :data:`PART` frames, whole or not at all, so a run that is killed loses no more than those.
Parts are plain arrays (.npz, nothing pickled); a key says of which clip, model and choices they are.
"""

import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from monobody.data.crop import Crop
from monobody.files import atomic_write
from monobody.predict.detection import Detection
from monobody.predict.looks import Looks
from monobody.predict.track import Sighting

PART = 60
"""Frames in a part."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Answer:
    """What the model makes of one person in one frame: h possible bodies before the camera."""

    rotations: Float[np.ndarray, "h 24 3 3"]
    betas: Float[np.ndarray, "h 10"]
    translation_m: Float[np.ndarray, "h 3"]
    weight: Float[np.ndarray, " h"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Moment:
    """One frame: when, who, and how they stood."""

    time_s: float
    sightings: tuple[Sighting, ...]
    answers: tuple[Answer, ...]
    """One for each sighting."""
    searched: bool
    """Whether the detector looked over the whole picture."""
    unread: int = 0
    """How many places looked like somebody and were not read, being too many."""


class Journal:
    """The moments of a clip, in order.

    Args:
        folder: where parts are kept; None keeps nothing.
        key: what the moments depend on. Parts of another key are begun anew.
    """

    def __init__(self, folder: Path | None = None, key: dict[str, object] | None = None) -> None:
        self.folder = folder
        self.moments: list[Moment] = []
        self._written = 0
        if folder is None:
            return
        stored = folder / "key.json"
        wanted = json.dumps(key, sort_keys=True)
        if not (stored.is_file() and stored.read_text(encoding="utf-8") == wanted):
            discard(folder)
            with atomic_write(stored) as temporary:
                temporary.write_text(wanted, encoding="utf-8")
        while (part := self._part(self._written)).is_file():
            try:
                read = list(_read(part))
            # Not ours, or the disk's fault: done again.
            except (OSError, EOFError, ValueError, KeyError, IndexError, zipfile.BadZipFile):
                break
            self.moments += read
            self._written = len(self.moments)

    def append(self, moment: Moment) -> None:
        """Note a moment; now and then, write."""
        self.moments.append(moment)
        if len(self.moments) - self._written >= PART:
            self.flush()

    def flush(self) -> None:
        """Write what has not been written.

        Raises:
            UserError: it cannot be written.
        """
        if self.folder is None or len(self.moments) == self._written:
            return
        with atomic_write(self._part(self._written), suffix=".npz") as temporary:
            _write(temporary, self.moments[self._written :])
        self._written = len(self.moments)

    def _part(self, first: int) -> Path:
        assert self.folder is not None
        return self.folder / f"part_{first:07d}.npz"


def discard(folder: Path) -> None:
    """Remove a journal from disk; other files in its folder stay."""
    if not folder.is_dir():
        return
    for path in [*folder.glob("part_*.npz"), folder / "key.json"]:
        path.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def _write(path: Path, moments: Sequence[Moment]) -> None:
    rows = [
        (frame, sighting, answer)
        for frame, moment in enumerate(moments)
        for sighting, answer in zip(moment.sightings, moment.answers, strict=True)
    ]
    people = [one.detection for _, one, _ in rows]
    most = max((len(answer.weight) for _, _, answer in rows), default=1)

    def stacked(values: Sequence[object], *shape: int) -> np.ndarray:
        """Return values exactly as they are: the next frames are read by them."""
        return np.asarray(values, np.float64).reshape(len(rows), *shape)

    def padded(name: str, *shape: int) -> np.ndarray:
        full = np.zeros((len(rows), most, *shape), np.float32)
        for row, (_, _, answer) in enumerate(rows):
            full[row, : len(answer.weight)] = getattr(answer, name)
        return full

    np.savez(
        path,
        allow_pickle=False,
        time_s=np.array([moment.time_s for moment in moments], np.float64),
        searched=np.array([moment.searched for moment in moments], bool),
        unread=np.array([moment.unread for moment in moments], np.int64),
        frame=np.array([frame for frame, _, _ in rows], np.int64),
        id=np.array([one.id for _, one, _ in rows], np.int64),
        answers=np.array([len(answer.weight) for _, _, answer in rows], np.int64),
        box_px=stacked([each.box_px for each in people], 4),
        score=stacked([each.score for each in people]),
        crop=stacked([_numbers(each.crop) for each in people], 4),
        region=stacked([_numbers(one.region) for _, one, _ in rows], 4),
        landmarks_px=stacked([each.landmarks_px for each in people], 33, 2),
        landmarks_score=stacked([each.landmarks_score for each in people], 33),
        world_m=stacked([each.world_m for each in people], 33, 3),
        colour=stacked([one.looks.colour for _, one, _ in rows], 6, 3),
        colour_seen=stacked([one.looks.seen for _, one, _ in rows], 6),
        rotations=padded("rotations", 24, 3, 3),
        betas=padded("betas", 10),
        translation_m=padded("translation_m", 3),
        weight=padded("weight"),
    )


def _read(path: Path) -> Iterator[Moment]:
    with np.load(path, allow_pickle=False) as file:
        stored = {name: file[name] for name in file.files}
    for frame, time_s in enumerate(stored["time_s"]):
        rows = np.flatnonzero(stored["frame"] == frame).tolist()
        yield Moment(
            time_s=float(time_s),
            searched=bool(stored["searched"][frame]),
            unread=int(stored["unread"][frame]),
            sightings=tuple(
                Sighting(
                    id=int(stored["id"][row]),
                    detection=Detection(
                        box_px=stored["box_px"][row],
                        score=float(stored["score"][row]),
                        crop=_crop(stored["crop"][row]),
                        landmarks_px=stored["landmarks_px"][row],
                        landmarks_score=stored["landmarks_score"][row],
                        world_m=stored["world_m"][row],
                    ),
                    region=_crop(stored["region"][row]),
                    looks=Looks(stored["colour"][row], stored["colour_seen"][row]),
                )
                for row in rows
            ),
            answers=tuple(
                Answer(
                    **{
                        name: stored[name][row, : stored["answers"][row]]
                        for name in ("rotations", "betas", "translation_m", "weight")
                    }
                )
                for row in rows
            ),
        )


def _numbers(crop: Crop) -> tuple[float, ...]:
    return (*crop.centre_px, crop.size_px, crop.angle_rad)


def _crop(numbers: np.ndarray) -> Crop:
    x, y, size, angle = (float(value) for value in numbers)
    return Crop((x, y), size, angle)
