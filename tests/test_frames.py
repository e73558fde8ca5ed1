"""Frames of videos, folders and webcams: containers, times, turns, brightness; refusals in one sentence."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from clips import coloured, turn_flag, write_clip, write_sound
from PIL import Image

from monobody.errors import UserError
from monobody.predict.frames import Source, is_video, open_source, standard_range


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mkv", "libx265", "yuv420p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.mov", "mjpeg", "yuvj420p"),
    ],
)
def test_containers_and_codecs(tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    path = write_clip(tmp_path / name, codec=codec, pix_fmt=pix_fmt, frames=5)
    shots = list(open_source(path))
    assert [shot.number for shot in shots] == list(range(5))
    assert np.allclose([shot.time_s for shot in shots], np.arange(5) / 25, atol=2e-3)
    red = shots[2].rgb[4, 4].astype(int)
    assert red[0] > 200
    assert red[1:].max() < 60
    assert abs(int(shots[4].rgb[-4, -4, 1]) - 16) < 12


def test_variable_rates_keep_their_times(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.2, 0.21, 0.5, 1.3]
    path = write_clip(tmp_path / "vfr.mkv", frames=6, times_s=times)
    assert np.allclose([shot.time_s for shot in open_source(path)], times, atol=2e-3)


@pytest.mark.parametrize(("turns", "corner"), [(1, (0, -1)), (2, (-1, -1)), (3, (-1, 0))])
def test_rotation_flags_turn_the_frames(tmp_path: Path, turns: int, corner: tuple[int, int]) -> None:
    """Shown turned clockwise, the red corner of the top left comes to the top right, and so on."""
    path = write_clip(tmp_path / "turned.mp4", frames=3)
    turn_flag(path, turns)
    clip = open_source(path)
    assert (clip.width_px, clip.height_px) == ((48, 64) if turns % 2 else (64, 48))
    rgb = next(iter(clip)).rgb
    assert rgb.shape == (clip.height_px, clip.width_px, 3)
    row, column = (4 if side == 0 else -5 for side in corner)
    assert rgb[row, column, 0] > 200
    assert rgb[row, column, 1] < 60


def test_odd_sizes_are_read(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "odd.mkv", width=65, height=49, pix_fmt="yuv444p", frames=2)
    assert next(iter(open_source(path))).rgb.shape == (49, 65, 3)


def test_high_dynamic_range_is_brought_down(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "hdr.mkv", codec="libx265", pix_fmt="yuv420p10le", frames=2, color_trc=16)
    clip = open_source(path)
    list(clip)
    assert any("dynamic range" in note for note in clip.notes)


@pytest.mark.parametrize("transfer", [16, 18])
def test_curves_of_high_dynamic_range_rise(transfer: int) -> None:
    curve = standard_range(transfer).astype(int)
    assert curve[0] == 0
    assert curve[-1] >= 250
    assert (np.diff(curve) >= 0).all()
    # Diffuse white (58 % of PQ's and 75 % of HLG's signal for 203 nits) is bright, and not yet clipped.
    assert 200 < curve[round(255 * {16: 0.58, 18: 0.75}[transfer])] < 245


def test_folders_are_read_in_natural_order(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        Image.fromarray(coloured(number, 64, 48)).save(tmp_path / f"frame_{number}.png")
    shots = list(open_source(tmp_path, fps=10))
    assert [int(shot.rgb[-1, -1, 0]) for shot in shots] == [4, 8, 40]
    assert [shot.time_s for shot in shots] == [0.0, 0.1, 0.2]


def test_frames_of_a_folder_have_one_size(tmp_path: Path) -> None:
    Image.fromarray(coloured(0, 64, 48)).save(tmp_path / "1.png")
    Image.fromarray(coloured(0, 48, 64)).save(tmp_path / "2.png")
    with pytest.raises(UserError, match="one size"):
        list(open_source(tmp_path, fps=10))


def test_huge_frames_are_read_smaller(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "8k.mp4", width=7680, height=64, frames=1)
    clip = open_source(path)
    assert (clip.width_px, clip.height_px) == (3840, 32)
    assert next(iter(clip)).rgb.shape == (32, 3840, 3)
    assert any("3840" in note for note in clip.notes)


def test_a_cut_off_clip_gives_what_is_there(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "cut.mkv", frames=50, codec="mpeg4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    shots = list(open_source(path))
    assert 10 < len(shots) < 50


def test_damaged_pieces_are_left_out(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "noise.ts", frames=50)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = os.urandom(400)
    path.write_bytes(data)
    shots = list(open_source(path))
    assert len(shots) > 10
    assert (np.diff([shot.time_s for shot in shots]) > 0).all()


def test_one_frame_is_a_clip(tmp_path: Path) -> None:
    assert len(list(open_source(write_clip(tmp_path / "one.mp4", frames=1)))) == 1


def test_a_clip_can_be_read_twice(tmp_path: Path) -> None:
    clip = open_source(write_clip(tmp_path / "twice.mp4"))
    first, second = list(clip), list(clip)
    assert len(first) == len(second) == 12
    assert all((a.rgb == b.rgb).all() for a, b in zip(first, second, strict=True))


def song_with_cover(path: Path) -> None:
    """A song whose cover is, for FFmpeg, a video stream of one picture."""
    import av

    write_sound(path.with_suffix(".mka"), "libmp3lame")
    Image.fromarray(coloured(0, 64, 64)).save(path.with_suffix(".jpg"))
    with av.open(str(path.with_suffix(".mka"))) as song, av.open(str(path), "w") as out:
        sound = out.add_stream_from_template(song.streams.audio[0])
        cover = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        out.mux(cover.encode(av.VideoFrame.from_ndarray(coloured(0, 64, 64), format="rgb24")))
        out.mux(cover.encode())
        for packet in song.demux(song.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = sound
                out.mux(packet)


REFUSED: list[tuple[str, Callable[[Path], object], str]] = [
    ("empty.mp4", lambda path: path.write_bytes(b""), "is empty"),
    ("text.mp4", lambda path: path.write_text("This is no video. " * 99), "damaged or no video"),
    ("zeros.mp4", lambda path: path.write_bytes(bytes(100_000)), "damaged or no video"),
    ("head.mp4", lambda path: path.write_bytes(write_clip(path).read_bytes()[:500]), "damaged"),
    ("song.m4v", lambda path: write_sound(path.with_suffix(".m4a")).rename(path), "sound but no pictures"),
    ("cover.mp4", song_with_cover, "sound but no pictures"),
    ("missing.mp4", lambda path: None, "no file"),
    ("endless.mp4", lambda path: os.mkfifo(path), "no regular file"),
    ("device.mp4", lambda path: path.symlink_to("/dev/zero"), "no regular file"),
    ("tiny.mkv", lambda path: write_clip(path, width=8, height=8, frames=2), "too few"),
    ("folder.mp4", lambda path: path.mkdir(), "no frames"),
]


@pytest.mark.parametrize(("name", "make", "word"), REFUSED, ids=[name for name, _, _ in REFUSED])
def test_what_cannot_be_read_is_one_sentence(
    tmp_path: Path, name: str, make: Callable[[Path], object], word: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(UserError, match=word) as caught:
        list(open_source(tmp_path / name))
    assert "\n" not in str(caught.value)
    assert name.split(".")[0] in str(caught.value)


def test_a_codec_that_is_not_there(tmp_path: Path) -> None:
    """A container may name a codec that nobody has: here, by its tag in an AVI."""
    path = write_clip(tmp_path / "strange.avi", codec="mpeg4", frames=3)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"FMP4", b"ZZZ9").replace(b"fmp4", b"zzz9"))
    with pytest.raises(UserError, match=r"decod|convert"):
        list(open_source(path))


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), 1e9])
def test_impossible_rates_are_refused(tmp_path: Path, fps: float) -> None:
    with pytest.raises(UserError, match="frames in a second"):
        open_source(tmp_path, fps=fps)


def test_a_webcam_that_is_not_there() -> None:
    with pytest.raises(UserError, match="webcam 93"):
        open_source(93)


def test_videos_are_known_by_their_names() -> None:
    assert is_video("a/DANCE.MP4")
    assert is_video(Path("b.mkv"))
    assert not is_video("c.jpg")
    assert not is_video(0)


def test_time_stamps_that_go_back_are_mended(tmp_path: Path) -> None:
    """Two clips glued together start their time anew."""
    one = write_clip(tmp_path / "one.ts", frames=10).read_bytes()
    (tmp_path / "glued.ts").write_bytes(one + one)
    clip: Source = open_source(tmp_path / "glued.ts")
    times = [shot.time_s for shot in clip]
    assert len(times) > 12
    assert (np.diff(times) > 0).all()
