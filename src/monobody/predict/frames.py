"""Where frames come from: a video of any container, a folder of pictures, or a webcam; upright RGB with time stamps.

Frames are decoded one at a time and forgotten, so memory does not grow with a clip's length. Times are those of the
file, seconds from its first frame on, so that films of variable rate keep theirs.
"""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from monobody.errors import UserError
from monobody.image import MIN_SIDE_PX, read_image

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

VIDEO_SUFFIXES = frozenset(
    [
        ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv",
        ".3gp", ".ogv", ".y4m", ".mxf", ".vob", ".asf", ".f4v",
    ]
)  # fmt: skip
"""Files that are taken for videos. Animated GIF and WebP count as pictures, of which the first frame is read."""
FRAME_SUFFIXES = frozenset([".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"])
LARGEST_SIDE_PX = 3840
"""Larger frames are read smaller: nobody is found better in 8K."""
MOST_PIXELS = 140_000_000
"""Frames that claim to be larger are refused."""
WEBCAM_FORMATS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}"), "win32": ("dshow", "video={}")}
_PQ, _HLG = 16, 18
_WHITE_NITS, _HLG_NITS = 203.0, 1000.0


@dataclass(frozen=True, slots=True)
class Shot:
    """One frame."""

    number: int
    time_s: float
    rgb: UInt8[np.ndarray, "h w 3"]


@dataclass(kw_only=True, slots=True)
class Source:
    """A clip that can be read from its start as often as wanted; a webcam once."""

    path: str
    name: str
    width_px: int
    height_px: int
    count: int | None
    """How many frames there are, as far as the file tells; None for a webcam."""
    rate: float
    """Frames in a second, on average."""
    kind: str
    """"video", "folder" or "webcam"."""
    pictures: tuple[Path, ...] = ()
    start_s: float = 0.0
    """The file's own time of the first frame; known once that has been read."""
    notes: set[str] = field(default_factory=set)
    """What a user should know of how it was read; complete once it has been read through."""

    def __iter__(self) -> Iterator[Shot]:
        """Decode the frames in order.

        Raises:
            UserError: nothing can be decoded, a picture cannot be read or has another size, the webcam stopped.
        """
        return self._from_pictures() if self.kind == "folder" else self._from_container()

    def _from_pictures(self) -> Iterator[Shot]:
        for number, path in enumerate(self.pictures):
            rgb = read_image(path).rgb
            if rgb.shape[:2] != (self.height_px, self.width_px):
                raise UserError(
                    f"{path} has {rgb.shape[1]} x {rgb.shape[0]} pixels, the first frame {self.width_px} x "
                    f"{self.height_px}: a clip has frames of one size."
                )
            yield Shot(number, number / self.rate, rgb)

    def _from_container(self) -> Iterator[Shot]:
        from av.error import FFmpegError

        number, skipped, last_s, first_s = 0, 0, -math.inf, None
        with opened(self.path, self.kind) as container:
            stream = _picture_stream(container, self.path)
            stream.thread_type = "AUTO" if self.kind == "video" else "SLICE"
            packets = container.demux(stream)
            while True:
                try:
                    frames = next(packets).decode()
                except (StopIteration, EOFError):
                    break
                except FFmpegError:
                    # A damaged packet is left out; a file that goes on like that is given up.
                    skipped += 1
                    if skipped > 100 + number:
                        break
                    continue
                for frame in frames:
                    stamp = None if frame.pts is None or frame.time_base is None else float(frame.pts * frame.time_base)
                    if first_s is None:
                        first_s, self.start_s = stamp, stamp or 0.0
                    time_s = number / self.rate if stamp is None or first_s is None else stamp - first_s
                    if time_s <= last_s:  # Some writers repeat or mix up their time stamps.
                        time_s = last_s + 1 / self.rate
                        self.notes.add("some frames had no times of their own, so the frame rate gave them one")
                    last_s = time_s
                    yield Shot(number, time_s, self._upright(frame))
                    number += 1
        if not number:
            raise UserError(f"{self.path} has no frame that can be decoded: it is damaged or cut short; save it again.")
        if skipped:
            self.notes.add(f"{skipped} damaged {'piece' if skipped == 1 else 'pieces'} of the video left out")

    def _upright(self, frame: "VideoFrame") -> UInt8[np.ndarray, "h w 3"]:
        """Convert a frame to RGB of the clip's size, turned as the file says."""
        turn = quarter_turns(frame)
        width, height = (self.height_px, self.width_px) if turn % 2 else (self.width_px, self.height_px)
        if (frame.width, frame.height) != (width, height):
            self.notes.add(f"frames read as {self.width_px} x {self.height_px}")
        rgb = frame.reformat(width=width, height=height, format="rgb24").to_ndarray().astype(np.uint8, copy=False)
        if int(getattr(frame, "color_trc", 0) or 0) in (_PQ, _HLG):
            self.notes.add("high dynamic range brought down to the usual")
            rgb = standard_range(int(frame.color_trc))[np.asarray(rgb)]
        return np.ascontiguousarray(np.rot90(rgb, turn)) if turn else rgb


def open_source(source: str | int | Path, *, fps: float | None = None) -> Source:
    """Return a clip: a video file, a folder of frames (with ``fps``), or the webcam of a number.

    Raises:
        UserError: nothing is there, or it is no video.
    """
    if fps is not None and not (math.isfinite(fps) and 0 < fps <= 1000):
        raise UserError(f"{fps:g} frames in a second are impossible: give a number above 0 and at most 1000.")
    if isinstance(source, int) or (str(source).isdigit() and not Path(source).exists()):
        return _webcam(int(str(source)))
    path = Path(source)
    if path.is_dir():
        return _folder(path, fps)
    if not path.exists():
        raise UserError(f"There is no file {path}: check the path.")
    if not path.is_file():
        raise UserError(f"{path} is no regular file: save the video as a file first.")
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty: copy or save it again.")
    with opened(str(path), "video") as container:
        stream = _picture_stream(container, str(path))
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        rate = rate if 0.01 < rate <= 1000 else 25.0
        frame = _first_frame(container, stream, path)
        seconds = container.duration / 1e6 if container.duration else None
        count = stream.frames or (round(seconds * rate) if seconds else None)
        width, height = _reading_size(frame, path)
    return Source(
        path=str(path), name=path.stem, width_px=width, height_px=height, count=count, rate=rate, kind="video"
    )  # fmt: skip


def is_video(source: object) -> bool:
    """Tell whether a path names a video by its extension."""
    return isinstance(source, str | Path) and Path(source).suffix.lower() in VIDEO_SUFFIXES


def opened(path: str, kind: str) -> "InputContainer":
    """Open a container.

    Raises:
        UserError: it is no video, or there is no such webcam.
    """
    import av
    from av.error import FFmpegError

    try:
        if kind == "webcam":
            return av.open(path, format=WEBCAM_FORMATS[sys.platform][0])
        return av.open(path)
    except (FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        if kind == "webcam":
            raise UserError(f"The webcam {path} cannot be opened ({reason}): is it connected and free?") from error
        raise UserError(f"{path} is damaged or no video ({reason}): save it again, as MP4 if in doubt.") from error


def quarter_turns(frame: "VideoFrame") -> int:
    """Return by how many quarter turns counter-clockwise a decoded frame must be turned to stand upright."""
    return round(float(getattr(frame, "rotation", 0) or 0) / 90) % 4


def standard_range(transfer: int) -> UInt8[np.ndarray, "256"]:
    """Return the curve that takes 8-bit values of a high dynamic range (PQ or HLG) to those of sRGB.

    Diffuse white (203 nits, ITU-R BT.2408) is kept a little below white; what is brighter rolls off.
    """
    value = np.arange(256) / 255
    if transfer == _PQ:  # SMPTE ST 2084
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        root = value ** (1 / m2)
        nits = 10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    else:  # ARIB STD-B67, its display gamma for 1000 nits
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        nits = _HLG_NITS * np.where(value <= 0.5, value**2 / 3, (np.exp((value - c) / a) + b) / 12) ** 1.2
    linear = nits / _WHITE_NITS
    mapped = linear * (1 + linear / 16) / (1 + linear / 4)
    srgb = np.where(mapped < 0.0031308, 12.92 * mapped, 1.055 * np.maximum(mapped, 1e-9) ** (1 / 2.4) - 0.055)
    return np.clip(255 * srgb + 0.5, 0, 255).astype(np.uint8)


def _picture_stream(container: "InputContainer", path: str) -> "VideoStream":
    """Return the moving pictures of a container; the cover of a song is none."""
    from av.stream import Disposition

    covers = 0
    for stream in container.streams.video:
        if stream.disposition & Disposition.attached_pic:
            covers += 1
            continue
        if stream.codec_context is None:
            raise UserError(f"{path} is packed in a way that nothing here can decode: convert it to H.264 (MP4).")
        return stream
    if container.streams.audio or covers:
        raise UserError(f"{path} has sound but no pictures: give a video.")
    raise UserError(f"{path} has no pictures in it: give a video.")


def _first_frame(container: "InputContainer", stream: "VideoStream", path: Path) -> "VideoFrame":
    from av.error import DecoderNotFoundError, FFmpegError

    tried = 0
    packets: Any = container.demux(stream)
    while tried < 500:
        tried += 1
        try:
            frames = next(packets).decode()
        except (StopIteration, EOFError):
            break
        except DecoderNotFoundError as error:
            raise UserError(f"There is no decoder for {path} here: convert it to H.264 (MP4).") from error
        except (FFmpegError, OSError):
            continue
        if frames:
            return frames[0]
    raise UserError(f"{path} has no frame that can be decoded: it is damaged or cut short; save it again.")


def _reading_size(frame: "VideoFrame", path: Path) -> tuple[int, int]:
    """Return the upright width and height at which frames are read: those of the file, unless they are huge."""
    width, height = frame.width, frame.height
    if width * height > MOST_PIXELS:
        raise UserError(f"{path} has frames of {width} x {height} pixels: make them smaller first.")
    if min(width, height) < MIN_SIDE_PX:
        raise UserError(
            f"{path} has {width} x {height} pixels, too few to show a person: {MIN_SIDE_PX} a side at least."
        )
    shrink = max(1.0, max(width, height) / LARGEST_SIDE_PX)
    width, height = (max(MIN_SIDE_PX, round(side / shrink)) for side in (width, height))
    return (height, width) if quarter_turns(frame) % 2 else (width, height)


def _folder(path: Path, fps: float | None) -> Source:
    pictures = sorted((item for item in path.iterdir() if item.suffix.lower() in FRAME_SUFFIXES), key=_natural)
    if not pictures:
        raise UserError(f"The folder {path} holds no frames: give one with .jpg or .png in it.")
    if fps is None:
        raise UserError(f"How many frames a second are in {path}? Give --fps.")
    height, width = read_image(pictures[0]).rgb.shape[:2]
    return Source(
        path=str(path), name=path.resolve().name, width_px=width, height_px=height, count=len(pictures), rate=fps,
        kind="folder", pictures=tuple(pictures),
    )  # fmt: skip


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort frame_10 after frame_9: digits count as the number that they are."""
    text = path.name.lower()
    borders = [0, *(i for i in range(1, len(text)) if text[i].isdigit() != text[i - 1].isdigit()), len(text)]
    pieces = [text[a:b] for a, b in pairwise(borders)]
    return [(int(piece), "") if piece.isdigit() and piece.isascii() else (-1, piece) for piece in pieces]


def _webcam(number: int) -> Source:
    if sys.platform not in WEBCAM_FORMATS:
        raise UserError(f"Webcams are not known on {sys.platform}: record a video and give its file.")
    path = WEBCAM_FORMATS[sys.platform][1].format(number)
    if sys.platform == "linux" and not Path(path).exists():
        raise UserError(f"There is no webcam {number} ({path}): connect one, or give a file.")
    with opened(path, "webcam") as container:
        stream = _picture_stream(container, path)
        rate = float(stream.average_rate or 30)
        width, height = stream.codec_context.width, stream.codec_context.height
    return Source(
        path=path, name=f"webcam_{number}", width_px=width, height_px=height, count=None, rate=rate, kind="webcam"
    )  # fmt: skip
