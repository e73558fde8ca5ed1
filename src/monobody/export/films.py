"""A motion to look at: laid over its clip, from the side, on a turntable as MP4; moments of it on one contact sheet.

All are drawn by the software rasteriser, frame after frame, so that neither a graphics card nor memory limits them.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from monobody.body.assets import BodyData
from monobody.data.skinning import SkinnedBody, skin
from monobody.errors import UserError
from monobody.files import atomic_write
from monobody.motion import LEVEL_CAMERA, Motion, Track
from monobody.predict.frames import Shot, Source, open_source
from monobody.render.film import film
from monobody.render.overlay import COLOURS, draw_overlay
from monobody.render.side import SideView, draw_side, side_view

Progress = Callable[[int, int | None], None]
VIEW_HEIGHT_PX = 720
ASPECT = 16 / 9
TURN_S = 8.0
"""The turntable goes round once in this time."""
SHEET_COLUMNS, SHEET_CELL_PX = 4, 480
_LOOKED_AT = 48
"""Frames that are looked at to find a view which holds the whole motion."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Standing:
    """Who stands how at one moment."""

    ids: tuple[int, ...]
    meshes_m: list[Float[np.ndarray, "v 3"]]
    """Before the camera."""

    @property
    def colours(self) -> UInt8[np.ndarray, "n 3"]:
        """A person keeps their colour from frame to frame."""
        return COLOURS[[person % len(COLOURS) for person in self.ids]]


class Meshes:
    """The meshes of a motion's people, made when they are asked for."""

    def __init__(self, motion: Motion) -> None:
        data: BodyData = motion.with_body().data
        self.tracks: Sequence[Track] = motion.tracks
        self.body = SkinnedBody.from_data(data)
        self.faces = data.faces
        self._places = [{int(frame): place for place, frame in enumerate(track.frames)} for track in motion.tracks]

    def at(self, frame: int) -> Standing:
        """Return who is there in a frame of the motion."""
        here = [
            (track, places[frame]) for track, places in zip(self.tracks, self._places, strict=True) if frame in places
        ]
        return Standing(ids=tuple(track.id for track, _ in here), meshes_m=[self._mesh(*one) for one in here])

    def _mesh(self, track: Track, place: int) -> Float[np.ndarray, "v 3"]:
        rotations = np.asarray(track.rotations[place : place + 1], np.float32)
        betas = np.asarray(track.betas, np.float32)[None]
        rest = self.body.shaped(rotations, betas)[0]
        vertices = np.empty_like(rest)
        transforms = self.body.transforms(rotations, betas)[0].astype(np.float32)
        skin(rest, self.body.weight_joint, self.body.weight, transforms, vertices)
        return vertices + np.asarray(track.translation_m[place], np.float32)


def overlay_film(
    motion: Motion, clip: str | Path | Source, path: str | Path, *, progress: Progress | None = None
) -> Path:
    """Draw the bodies over the clip they were seen in, its sound kept.

    Raises:
        UserError: the clip is not the motion's, or the film cannot be written.
    """
    source = _own_clip(motion, clip)
    assert motion.camera is not None
    figures, count = Meshes(motion), len(motion.times_s)
    frames = iter(_frames(motion, source))
    first = next(frames)
    sound = source.path if source.kind == "video" else None
    with film(
        path, source.width_px, source.height_px, _rate(motion), sound_of=sound, shift_s=source.start_s
    ) as writing:  # fmt: skip
        shot: Shot | None = first
        while shot is not None:
            who = figures.at(shot.number)
            drawn = draw_overlay(shot.rgb, who.meshes_m, figures.faces, motion.camera, colours=_colours(who))
            writing.add(drawn, float(motion.times_s[shot.number]))
            if progress is not None:
                progress(shot.number + 1, count)
            shot = next(frames, None)
    return Path(path)


def side_film(motion: Motion, path: str | Path, *, progress: Progress | None = None) -> Path:
    """Draw the bodies from the side, from one place for the whole clip.

    Raises:
        UserError: the film cannot be written.
    """
    return _view_film(motion, path, lambda time_s: 0.0, progress)


def turntable_film(motion: Motion, path: str | Path, *, progress: Progress | None = None) -> Path:
    """Draw the bodies while the camera goes round them.

    Raises:
        UserError: the film cannot be written.
    """
    return _view_film(motion, path, lambda time_s: 2 * math.pi * time_s / TURN_S, progress)


def contact_sheet(motion: Motion, clip: str | Path | Source, path: str | Path, *, cells: int = 12) -> Path:
    """Draw the bodies over some frames, evenly spread over the clip, on one picture (.png or .jpg).

    Raises:
        UserError: the clip is not the motion's, or the picture cannot be written.
    """
    from PIL import Image, ImageDraw

    source = _own_clip(motion, clip)
    assert motion.camera is not None
    count = len(motion.times_s)
    chosen = np.unique(np.linspace(0, count - 1, min(cells, count)).round().astype(int)).tolist()
    figures, pictures = Meshes(motion), []
    for shot in _frames(motion, source):
        if shot.number in chosen:
            who = figures.at(shot.number)
            drawn = draw_overlay(shot.rgb, who.meshes_m, figures.faces, motion.camera, colours=_colours(who))
            pictures.append((motion.times_s[shot.number], Image.fromarray(drawn)))
        if shot.number >= chosen[-1]:
            break
    scale = min(1.0, SHEET_CELL_PX / source.width_px)
    size = (max(1, round(source.width_px * scale)), max(1, round(source.height_px * scale)))
    columns = min(SHEET_COLUMNS, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    gap, line = 6, 16
    sheet = Image.new(
        "RGB", (columns * (size[0] + gap) + gap, rows * (size[1] + line + gap) + gap), (250, 250, 250)
    )  # fmt: skip
    draw = ImageDraw.Draw(sheet)
    for number, (time_s, picture) in enumerate(pictures):
        x = gap + number % columns * (size[0] + gap)
        y = gap + number // columns * (size[1] + line + gap)
        sheet.paste(picture.resize(size, Image.Resampling.LANCZOS), (x, y))
        draw.text((x + 1, y + size[1] + 2), f"{time_s:.2f} s", fill=(60, 60, 60))
    path = Path(path)
    with atomic_write(path, suffix=path.suffix or ".png") as temporary:
        sheet.save(temporary, quality=90)
    return path


def _view_film(
    motion: Motion, path: str | Path, angle_rad: Callable[[float], float], progress: Progress | None
) -> Path:
    """Draw people from a place that looks level at the middle of all that they do."""
    figures, count = Meshes(motion), len(motion.times_s)
    level = _levelled(motion)
    view, middle = _view_of(motion, figures, level, turning=angle_rad(1.0) != 0)
    blank = np.empty((view.height_px, view.width_px, 3), np.uint8)
    with film(path, view.width_px, view.height_px, _rate(motion)) as writing:
        for frame in range(count):
            time_s = float(motion.times_s[frame] - motion.times_s[0])
            who = figures.at(frame)
            meshes = [_turned(mesh @ level.T, middle, angle_rad(time_s)) for mesh in who.meshes_m]
            camera = view.view
            drawn = draw_side(blank, meshes, figures.faces, camera, colours=_colours(who), side=view)
            writing.add(drawn, time_s)
            if progress is not None:
                progress(frame + 1, count)
    return Path(path)


def _view_of(
    motion: Motion, figures: Meshes, level: Float[np.ndarray, "3 3"], *, turning: bool
) -> tuple[SideView, Float[np.ndarray, "3"]]:
    """Return a view that holds everybody at all times, and the middle about which a turntable turns."""
    some = np.unique(np.linspace(0, len(motion.times_s) - 1, _LOOKED_AT).round().astype(int)).tolist()
    points = [mesh[::40] @ level.T for frame in some for mesh in figures.at(frame).meshes_m]
    if not points:
        return side_view([], VIEW_HEIGHT_PX, ASPECT), np.zeros(3)
    everything = np.concatenate(points)
    middle = (everything.min(axis=0) + everything.max(axis=0)) / 2
    if turning:
        points = [_turned(everything, middle, angle) for angle in np.linspace(0, 2 * math.pi, 13)]
    return side_view(points, VIEW_HEIGHT_PX, ASPECT), middle


def _turned(
    points_m: Float[np.ndarray, "v 3"], middle: Float[np.ndarray, "3"], angle_rad: float
) -> Float[np.ndarray, "v 3"]:
    """Turn points about the vertical through the middle."""
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    return (points_m - middle) @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T + middle


def _levelled(motion: Motion) -> Float[np.ndarray, "3 3"]:
    """Return what turns the camera's axes to those of a level camera."""
    return LEVEL_CAMERA[:3, :3].T @ motion.T_world_camera[:3, :3]


def _frames(motion: Motion, source: Source) -> Iterator[Shot]:
    """Return the frames of the clip that the motion has."""
    for shot in source:
        if shot.number >= len(motion.times_s):
            return
        yield shot


def _own_clip(motion: Motion, clip: str | Path | Source) -> Source:
    source = clip if isinstance(clip, Source) else open_source(clip, fps=None if Path(clip).is_file() else motion.fps)
    if motion.camera is None or (source.width_px, source.height_px) != (motion.width_px, motion.height_px):
        raise UserError(
            f"{source.path} is not the clip of this motion: it has {source.width_px} x {source.height_px} pixels, the "
            f"motion's {motion.width_px} x {motion.height_px}."
        )
    return source


def _rate(motion: Motion) -> float:
    """Return the average rate; a single frame is shown for a moment."""
    count = len(motion.times_s)
    return (count - 1) / float(motion.times_s[-1] - motion.times_s[0]) if count > 1 else 25.0


def _colours(who: Standing) -> UInt8[np.ndarray, "n 3"]:
    return who.colours if who.ids else COLOURS
