"""Films that every browser plays: H.264 in MP4, 4:2:0, even sides, each frame at its own time, sound kept."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from monobody.errors import UserError
from monobody.files import atomic_write

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

ENCODERS = ("libx264", "libopenh264", "h264_videotoolbox", "h264_mf")
"""H.264 encoders that PyAV's builds have, the best first."""
OPTIONS = {"libx264": {"crf": "20", "preset": "veryfast"}}
COPIED = frozenset(["aac", "mp3", "ac3", "eac3", "alac", "opus"])
"""Sound that MP4 holds as it is; other sound becomes AAC."""
_TICKS = 90_000
_BT709 = 1
_AHEAD_S = 0.5


class Film:
    """An MP4 that is being written; :func:`film` opens one."""

    def __init__(
        self, path: Path, width_px: int, height_px: int, rate: float, sound: "InputContainer | None", shift_s: float
    ) -> None:
        import av

        self._container: OutputContainer = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        # 4:2:0 halves both sides; a last odd row or column is left out.
        self.width_px, self.height_px = max(2, width_px // 2 * 2), max(2, height_px // 2 * 2)
        encoder = h264_encoder()
        exact = Fraction(rate).limit_denominator(1001)
        self._stream: Any = self._container.add_stream(encoder, rate=exact, options=OPTIONS.get(encoder, {}))
        self._stream.width, self._stream.height, self._stream.pix_fmt = self.width_px, self.height_px, "yuv420p"
        context = self._stream.codec_context
        context.time_base = Fraction(1, _TICKS)
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = 1
        self._sound = None if sound is None else _Sound(self._container, sound, shift_s)
        self._last = -1

    def add(self, rgb: UInt8[np.ndarray, "h w 3"], time_s: float) -> None:
        """Add a frame; times ascend.

        Raises:
            UserError: the disk is full, or the like.
        """
        import av

        if self._sound is not None:
            self._sound.until(time_s + _AHEAD_S)
        cut = np.ascontiguousarray(rgb[: self.height_px, : self.width_px])
        if cut.shape[:2] != (self.height_px, self.width_px):  # Of a single row or column.
            cut = np.resize(cut, (self.height_px, self.width_px, 3))
        frame = av.VideoFrame.from_ndarray(cut, format="rgb24").reformat(
            format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
        )
        self._last = max(self._last + 1, round(time_s * _TICKS))
        frame.pts, frame.time_base = self._last, Fraction(1, _TICKS)
        self._container.mux(self._stream.encode(frame))

    def close(self, *, whole: bool) -> None:
        """Finish the file; where something failed, only let go of it."""
        try:
            if whole:
                self._container.mux(self._stream.encode())
                if self._sound is not None:
                    self._sound.until(math.inf if self._last < 0 else self._last / _TICKS + _AHEAD_S)
                    self._sound.finish()
        finally:
            self._container.close()


@contextmanager
def film(
    path: str | Path,
    width_px: int,
    height_px: int,
    rate: float,
    *,
    sound_of: str | Path | None = None,
    shift_s: float = 0.0,
) -> Iterator[Film]:
    """Open a film for writing; it appears whole or not at all.

    Args:
        path: where to, .mp4.
        width_px: of the frames that will be added; and
        height_px: their height.
        rate: frames in a second, on average.
        sound_of: a video whose sound is kept.
        shift_s: the time of that video's first frame.

    Raises:
        UserError: nothing here writes H.264, or the file cannot be written.
    """
    import av
    from av.error import FFmpegError

    h264_encoder()
    sound = None
    try:
        if sound_of is not None:
            sound = av.open(str(sound_of))
            if not sound.streams.audio:
                sound.close()
                sound = None
        with atomic_write(path, suffix=".mp4") as temporary:
            writing = Film(temporary, width_px, height_px, rate, sound, shift_s)
            whole = False
            try:
                yield writing
                whole = True
            finally:
                writing.close(whole=whole)
    except FFmpegError as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"Cannot write {path}: {reason}. Choose another output folder or free space.") from error
    finally:
        if sound is not None:
            sound.close()


def h264_encoder() -> str:
    """Return the name of the best H.264 encoder here.

    Raises:
        UserError: there is none.
    """
    from av.codec import Codec, codecs_available

    for name in ENCODERS:
        if name in codecs_available:
            try:
                Codec(name, "w")
            except ValueError:  # Known by name, but only for decoding.
                continue
            return name
    raise UserError(
        "This build of PyAV writes no H.264, so there can be no films: install the wheel from PyPI "
        "(pip install --force-reinstall --only-binary av av)."
    )


class _Sound:
    """Brings the sound of a clip into a film, packet by packet: as it is where MP4 can hold it, else as AAC."""

    def __init__(self, container: "OutputContainer", source: "InputContainer", shift_s: float) -> None:
        import av

        given: Any = source.streams.audio[0]
        self._container, self._shift_s = container, shift_s
        self._copied = given.codec_context.name.split("_")[0] in COPIED
        self._resampler: Any = None
        if self._copied:
            self._stream: Any = container.add_stream_from_template(given)
        else:
            self._stream = container.add_stream("aac", rate=given.codec_context.sample_rate or 48_000)
            self._resampler = av.AudioResampler(format="fltp", layout="stereo", rate=self._stream.rate)
        self._packets = source.demux(given)
        self._waiting: Any = None

    def until(self, time_s: float) -> None:
        """Bring over what is heard until then."""
        from av.error import FFmpegError

        while True:
            packet = self._waiting or next(self._packets, None)
            self._waiting = None
            if packet is None:
                return
            if packet.pts is None or packet.dts is None:
                continue
            heard_s = float(packet.pts * packet.time_base) - self._shift_s
            if heard_s > time_s:
                self._waiting = packet
                return
            if heard_s < 0:
                continue
            shift = round(self._shift_s / packet.time_base)
            if self._copied:
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = self._stream
                self._container.mux(packet)
                continue
            try:
                frames = packet.decode()
            except FFmpegError:  # A crackle in the sound is no reason to lose the film.
                continue
            for frame in frames:
                frame.pts = None if frame.pts is None else frame.pts - shift
                for piece in self._resampler.resample(frame):
                    self._container.mux(self._stream.encode(piece))

    def finish(self) -> None:
        """Write what is still in the encoder."""
        if self._resampler is not None:
            for piece in self._resampler.resample(None):
                self._container.mux(self._stream.encode(piece))
            self._container.mux(self._stream.encode(None))
