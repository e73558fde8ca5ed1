"""Videos by frame number: in order, back and forth, in other processes, and broken ones."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from monobody.data.video_frames import VideoFrames
from monobody.errors import UserError

FRAMES, SIZE = 40, 64


def write(path: Path, *, gop: int = 12, b_frames: int = 2, frames: int = FRAMES) -> Path:
    """A video whose n-th frame is of the brightness 5 n, of frames that depend on others before and after them."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=50)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = SIZE, SIZE, "yuv420p", 4_000_000
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = gop, b_frames
        for number in range(frames):
            picture = np.full((SIZE, SIZE, 3), 5 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def number_of(picture: np.ndarray) -> int:
    assert picture.shape == (SIZE, SIZE, 3)
    assert picture.dtype == np.uint8
    return round(picture.mean() / 5)


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_frames_come_by_their_number(tmp_path: Path, suffix: str) -> None:
    video = VideoFrames(write(tmp_path / f"video{suffix}"))
    for number in (0, 1, 5, 5, 39, 7, 0, 38):
        assert number_of(video[number]) == number
    assert number_of(pickle.loads(pickle.dumps(video))[11]) == 11


def test_what_is_not_there_is_said_and_not_looked_for_twice(tmp_path: Path) -> None:
    video = VideoFrames(write(tmp_path / "short.mp4", frames=9))
    for _ in range(2):
        with pytest.raises(UserError, match="ends after 9 frames"):
            video[9]
    (tmp_path / "short.mp4").unlink()
    with pytest.raises(UserError, match="ends after 9 frames"):
        video[20]
    with pytest.raises(UserError, match="is missing"):
        video[2]


def test_other_files(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(UserError, match="damaged or no video"):
        VideoFrames(tmp_path / "text.mp4")[0]
    with pytest.raises(UserError, match="is missing"):
        VideoFrames(tmp_path / "none.mp4")[0]
