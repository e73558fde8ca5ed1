"""What the server's own process does with photos and clips, good and bad, and what becomes of it when one kills it."""

import base64
import re
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import misbehaving
import numpy as np
import pytest
import served
from motions import waving_motion
from PIL import Image

from monobody.errors import UserError
from monobody.predict.frames import open_source
from monobody.render.film import film
from monobody.web.kinds import kind_of
from monobody.web.limits import Limits
from monobody.web.viewer import write_viewer
from monobody.web.worker import FAILED, Worker, make


def photo(path: Path, first: int = 0, width: int = 64, height: int = 48) -> Path:
    pixels = np.full((height, width, 3), 90, np.uint8)
    pixels[0, 0] = first
    Image.fromarray(pixels).save(path, "PNG")
    return path


def clip(path: Path, seconds: float = 1.0, side: int = 64) -> Path:
    with film(path, side, side, 10.0) as writing:
        for number in range(round(10 * seconds)):
            writing.add(np.full((side, side, 3), 10 * number % 255, np.uint8), number / 10)
    return path


def cut(path: Path) -> None:
    clip(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def half(path: Path) -> None:
    Image.effect_noise((300, 300), 50).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def claims(path: Path) -> None:
    """The header of a PNG of 30,000 x 30,000 pixels."""
    data = bytearray(photo(path).read_bytes())
    data[16:24] = (30000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)


BAD: list[tuple[str, Callable[[Path], object], str]] = [
    ("half a photo", half, "damaged"),
    ("nine hundred megapixels", claims, "too many pixels"),
    ("too small", lambda path: photo(path, width=3, height=3), "3 x 3"),
    ("more pixels than are taken", lambda path: photo(path, width=400, height=300), "400 x 300"),
    ("only a signature", lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"), "not a picture"),
    ("a third of a clip", cut, "video"),
    ("long clip", lambda path: clip(path, seconds=4.0), "4 seconds"),
    ("large clip", lambda path: clip(path, side=400), "400 x 400"),
    ("only a container", lambda path: path.write_bytes(b"\0\0\0\x18ftypisom" + bytes(500)), "video"),
]


@pytest.mark.parametrize(("what", "spoil", "word"), BAD, ids=[row[0] for row in BAD])
def test_bad_files_are_refused_in_a_sentence(
    what: str, spoil: Callable[[Path], object], word: str, tmp_path: Path
) -> None:
    source = tmp_path / ("clip.mp4" if "cl" in what or "container" in what else "photo.img")
    spoil(source)
    kind = kind_of(source.read_bytes()[:512])
    assert kind is not None
    with pytest.raises(UserError, match=word) as refused:
        make(served.RandomPeople(), kind, source, tmp_path, Limits(megapixels=0.1, clip_s=3.0), lambda *_: None)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == [source]


def test_a_clip_s_page_plays_its_film(tmp_path: Path) -> None:
    """The film in the page has the clip's frames at their times, and no more of them than the motion."""
    path = clip(tmp_path / "clip.mp4", seconds=1.2)
    motion = waving_motion(people=1, frames=9, fps=10.0)
    write_viewer(replace(motion, width_px=64, height_px=64), tmp_path / "page.html", clip=path, save=())
    inside = re.search(r'src="data:video/mp4;base64,([^"]+)"', (tmp_path / "page.html").read_text())
    assert inside is not None
    (tmp_path / "inside.mp4").write_bytes(base64.b64decode(inside[1]))
    times = [shot.time_s for shot in open_source(tmp_path / "inside.mp4")]
    np.testing.assert_allclose(times, np.arange(9) / 10, atol=1e-3)


@pytest.mark.slow
def test_a_process_that_dies_or_hangs_is_replaced(tmp_path: Path) -> None:
    worker = Worker(misbehaving.load, Limits(job_s=1.5))
    worker.start()

    def said(first: int, stopped: Callable[[], bool] = lambda: False) -> str:
        with pytest.raises(UserError) as error:
            worker.run("photo", photo(tmp_path / "photo.img", first), tmp_path, lambda *_: None, stopped)
        return str(error.value)

    assert said(0) == "All is well."
    assert said(3) == FAILED  # And its words stay inside.
    assert said(1) == FAILED
    assert "1.5 seconds" in said(2)
    assert said(2, lambda: True) == "Stopped."
    worker.stop()
    with pytest.raises(UserError, match="no such model"):
        Worker(misbehaving.fail, Limits()).start()
