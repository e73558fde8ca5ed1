"""Frames of a video by their number, counted as they are decoded.

Data sets number the frames of their videos in decoding order, so frames are counted, never sought by time: a video
whose time stamps are off by half a frame would shift all labels by one. Asking for frames in rising order therefore
decodes the video once; going back starts over.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from monobody.errors import UserError

if TYPE_CHECKING:
    from av import VideoFrame


class VideoFrames:
    """A video's pictures: ``frames[n]`` is the n-th, RGB, n from 0. May be sent to other processes."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._frames: Iterator[VideoFrame] | None = None
        self._next = 0
        self._end: tuple[int, str] | None = None
        """The first frame that is not there, once that is known, and what to say of it."""

    def __getitem__(self, number: int) -> UInt8[np.ndarray, "h w 3"]:
        """Return one frame.

        Raises:
            UserError: the video is missing, damaged or too short.
        """
        if self._end is not None and number >= self._end[0]:
            raise UserError(self._end[1])
        if self._frames is None or number < self._next:
            self._frames, self._next = self._decoded(), 0
        try:
            for frame in self._frames:
                self._next += 1
                if self._next > number:
                    return frame.to_ndarray(format="rgb24")
            raise UserError(f"{self.path} ends after {self._next} frames, before frame {number}: unpack it again.")
        except UserError as error:
            self._frames, self._end = None, (self._next, str(error))
            raise

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_frames": None, "_next": 0, "_end": self._end}

    def _decoded(self) -> Iterator["VideoFrame"]:
        import av
        from av.error import FFmpegError

        if not self.path.is_file():
            raise UserError(f"{self.path} is missing: unpack the data set's videos there.")
        try:
            with av.open(str(self.path)) as container:
                yield from container.decode(video=0)
        except (FFmpegError, IndexError) as error:
            raise UserError(f"{self.path} is damaged or no video ({error}): unpack it again.") from error
