"""Films: what is written is what players want, sound and times are kept, and nothing is left half-written."""

from pathlib import Path

import av
import numpy as np
import pytest
from clips import truth_of, write_clip
from PIL import Image

from monobody.data.clip_scenes import Cast, group
from monobody.errors import UserError
from monobody.export.films import contact_sheet, overlay_film, side_film, turntable_film
from monobody.render import film as films
from monobody.render.film import film


def written(path: Path, count: int = 20, width: int = 65, height: int = 49, **options: object) -> Path:
    with film(path, width, height, 25, **options) as writing:  # pyright: ignore[reportArgumentType]
        for number in range(count):
            writing.add(np.full((height, width, 3), (8 * number, 100, 20), np.uint8), number / 25 + 0.01 * (number % 2))
    return path


def test_players_get_what_they_want(tmp_path: Path) -> None:
    with av.open(str(written(tmp_path / "film.mp4"))) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (64, 48)
        assert not container.streams.audio
        frames = list(container.decode(stream))
    assert np.allclose([float(f.pts * f.time_base) for f in frames[:4]], [0, 0.05, 0.08, 0.13], atol=1e-3)
    assert np.abs(frames[12].to_ndarray(format="rgb24")[20, 20].astype(int) - [96, 100, 20]).max() < 6
    data = (tmp_path / "film.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # Browsers play it while it loads.


@pytest.mark.parametrize(("name", "codec", "kept"), [("a.mp4", "aac", "aac"), ("a.mkv", "flac", "aac")])
def test_sound_is_kept(tmp_path: Path, name: str, codec: str, kept: str) -> None:
    source = write_clip(tmp_path / name, frames=25, sound=codec)
    path = written(tmp_path / "film.mp4", 25, sound_of=source)
    with av.open(str(path)) as container:
        assert container.streams.audio[0].codec_context.name == kept
        sound = np.concatenate([frame.to_ndarray().mean(axis=0) for frame in container.decode(audio=0)])
    assert len(sound) / 44100 == pytest.approx(1.0, abs=0.06)
    assert np.argmax(np.abs(np.fft.rfft(sound))) * 44100 / len(sound) == pytest.approx(440, abs=5)


def test_sound_ends_with_the_film(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "long.mp4", frames=100, sound="aac")
    with av.open(str(written(tmp_path / "film.mp4", 10, sound_of=source))) as container:
        assert container.duration is not None
        assert container.duration / 1e6 < 1.2


def test_a_film_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError), film(tmp_path / "film.mp4", 64, 48, 25) as writing:  # noqa: PT011, PT012
        writing.add(np.zeros((48, 64, 3), np.uint8), 0.0)
        writing.add(np.zeros((48, 64), np.uint8), 0.04)
    assert list(tmp_path.iterdir()) == []


def test_without_an_encoder_there_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(films, "ENCODERS", ("h264_of_nobody",))
    with pytest.raises(UserError, match=r"H\.264"):
        written(tmp_path / "film.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_motion_is_drawn_four_ways(tmp_path: Path) -> None:
    clip = group(Cast.of(seed=0, people=2), people=2, seconds=0.16, width_px=160)
    motion = truth_of(clip)
    path = write_clip(
        tmp_path / "clip.mp4", frames=4, width=160, height=90, pictures=[np.full((90, 160, 3), 40, np.uint8)] * 4
    )
    calls: list[tuple[int, int | None]] = []
    overlay_film(motion, path, tmp_path / "overlay.mp4", progress=lambda done, total: calls.append((done, total)))
    side_film(motion, tmp_path / "side.mp4")
    turntable_film(motion, tmp_path / "turn.mp4")
    contact_sheet(motion, path, tmp_path / "sheet.png", cells=3)
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    shown = {}
    for name in ("overlay", "side", "turn"):
        with av.open(str(tmp_path / f"{name}.mp4")) as container:
            shown[name] = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert len(shown[name]) == 4
    # Where the people stand in the picture, they are drawn; elsewhere the clip is as it was.
    hips = clip.joints_cam_m(0)[0, 0]
    x, y = (hips[:2] / hips[2] * clip.focal_px + [80, 45]).astype(int)
    assert np.ptp(shown["overlay"][0][y, x].astype(int)) > 30
    assert np.abs(shown["overlay"][0][2, 2].astype(int) - 40).max() < 6
    assert shown["side"][0].shape == shown["turn"][0].shape == (720, 1280, 3)
    assert Image.open(tmp_path / "sheet.png").width > 3 * 160


def test_another_clip_is_refused(tmp_path: Path) -> None:
    motion = truth_of(group(Cast.of(people=1), people=1, seconds=0.08, width_px=160))
    with pytest.raises(UserError, match="not the clip"):
        overlay_film(motion, write_clip(tmp_path / "other.mp4"), tmp_path / "overlay.mp4")
    assert not (tmp_path / "overlay.mp4").exists()
