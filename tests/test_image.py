"""Reading photos: every mode, orientation and kind of damage."""

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monobody import image as image_module
from monobody.errors import UserError
from monobody.image import focal_from_exif, picture_from_array, read_image

GRADIENT = np.stack([*np.meshgrid(np.linspace(0, 255, 40), np.linspace(0, 255, 30)), np.full((30, 40), 80.0)], -1)
RGB = GRADIENT.astype(np.uint8)


def saved(tmp_path: Path, picture: Image.Image, name: str, **options) -> Path:
    path = tmp_path / name
    picture.save(path, **options)
    return path


def test_plain_photo(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(RGB), "a.png")
    picture = read_image(path)
    np.testing.assert_array_equal(picture.rgb, RGB)
    assert picture.path == path
    assert picture.exif_focal_px is None
    assert picture.notes == ()


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("L", "a.png"),
        ("1", "a.png"),
        ("P", "a.png"),
        ("CMYK", "a.jpg"),
        ("CMYK", "a.tif"),
        ("YCbCr", "a.jpg"),
        ("L", "a.jpg"),
    ],
)
def test_modes_become_rgb(tmp_path: Path, mode: str, name: str) -> None:
    picture = read_image(saved(tmp_path, Image.fromarray(RGB).convert(mode), name))
    assert picture.rgb.shape == (30, 40, 3)
    assert picture.rgb.dtype == np.uint8
    reference = np.asarray(Image.fromarray(RGB).convert(mode).convert("RGB"))
    assert np.abs(picture.rgb.astype(int) - reference).mean() < 12
    assert picture.rgb.flags.c_contiguous
    assert picture.rgb.flags.writeable


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_laid_over_white(tmp_path: Path, mode: str) -> None:
    pixels = np.zeros((20, 20, 4), np.uint8)
    pixels[:10, :, 3] = 255
    picture = Image.fromarray(pixels).convert(mode)
    rgb = read_image(saved(tmp_path, picture, "a.png")).rgb
    assert (rgb[:10] == 0).all()
    assert (rgb[10:] == 255).all()


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_are_scaled(tmp_path: Path, name: str) -> None:
    deep = np.linspace(0, 65535, 30 * 40).reshape(30, 40).astype(np.uint16)
    rgb = read_image(saved(tmp_path, Image.fromarray(deep), name)).rgb
    np.testing.assert_allclose(rgb[..., 1], deep / 257, atol=1)


def test_floats_are_scaled(tmp_path: Path) -> None:
    rgb = read_image(saved(tmp_path, Image.fromarray(np.full((20, 20), 0.5, np.float32)), "a.tif")).rgb
    assert (rgb == 128).all()


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_the_first_frame_of_an_animation_is_taken(tmp_path: Path, name: str) -> None:
    frames = [Image.fromarray(np.full((20, 20, 3), value, np.uint8)) for value in (250, 10, 90)]
    picture = read_image(saved(tmp_path, frames[0], name, save_all=True, append_images=frames[1:]))
    assert abs(int(picture.rgb.mean()) - 250) < 4
    assert "first of its 3 frames" in picture.notes[0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_picture_upright(tmp_path: Path, orientation: int) -> None:
    tags = Image.Exif()
    tags[0x0112] = orientation
    upright = Image.fromarray(RGB)
    # The stored pixels are the upright ones under the inverse of what the tag asks for.
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(undo[orientation]))
    path = saved(tmp_path, stored, "a.png", exif=tags)
    np.testing.assert_array_equal(read_image(path).rgb, RGB)


def test_focal_length_from_a_file(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags.get_ifd(0x8769)[0xA405] = 28
    picture = read_image(saved(tmp_path, Image.fromarray(RGB), "a.jpg", exif=tags))
    assert picture.exif_focal_px == pytest.approx(28 / np.hypot(36, 24) * 50)


def test_focal_length_from_tags() -> None:
    sensor = {0x920A: 50.0, 0xA20E: 6000 / 3.6, 0xA210: 3, 0xA002: 6000}  # 50 mm on 36 mm of 6,000 pixels
    assert focal_from_exif(sensor, 6000, 4000) == pytest.approx(6000 * 50 / 36)
    assert focal_from_exif(sensor, 600, 400) == pytest.approx(600 * 50 / 36)
    inches = {**sensor, 0xA20E: 6000 / 36 * 25.4, 0xA210: 2}
    assert focal_from_exif(inches, 600, 400) == pytest.approx(600 * 50 / 36)
    assert focal_from_exif({0x920A: 50.0}, 600, 400) is None
    for nonsense in (0, -3, "x", float("nan"), 1e9, (1, 2)):
        assert focal_from_exif({0xA405: nonsense}, 600, 400) is None


def test_damaged_exif_is_ignored(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(RGB), "a.jpg", exif=b"Exif\0\0" + bytes(range(200)))
    assert read_image(path).rgb.shape == (30, 40, 3)


def test_what_cannot_be_read_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture at all")
    (tmp_path / "empty.jpg").touch()
    whole = saved(
        tmp_path, Image.fromarray(np.random.default_rng(0).integers(0, 256, (99, 99, 3), dtype=np.uint8)), "a.jpg"
    )
    (tmp_path / "cut.jpg").write_bytes(whole.read_bytes()[:2000])
    png = saved(tmp_path, Image.fromarray(RGB), "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(png[: len(png) // 2])
    (tmp_path / "flipped.png").write_bytes(png[:60] + bytes(64) + png[124:])
    saved(tmp_path, Image.new("RGB", (1, 1)), "one.png")
    cases = {
        "text.jpg": "not a picture",
        "empty.jpg": "0 bytes",
        "cut.jpg": "damaged or cut short",
        "cut.png": "damaged or cut short",
        "flipped.png": "damaged or cut short",
        "missing.jpg": "does not exist",
        ".": "is a folder",
        "one.png": "1 x 1 pixels",
    }
    for name, words in cases.items():
        with pytest.raises(UserError, match=words) as caught:
            read_image(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("side", [11_000, 30_000])
def test_huge_pictures_are_refused_before_decoding(tmp_path: Path, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    path = tmp_path / "huge.png"
    path.write_bytes(png + struct.pack(">I", 9) + b"IDATxxxxxxxxx")
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("decoded"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserError, match="million"):
            read_image(path)


def test_pixels_in_memory() -> None:
    np.testing.assert_array_equal(picture_from_array(RGB).rgb, RGB)
    assert picture_from_array(RGB[..., 0]).rgb.shape == (30, 40, 3)
    clear = np.concatenate([RGB, np.zeros((30, 40, 1), np.uint8)], -1)
    assert (picture_from_array(clear).rgb == 255).all()
    for wrong in (RGB.astype(np.float32), RGB.transpose(2, 0, 1), RGB[None], RGB[:3], "text"):
        with pytest.raises(UserError):
            picture_from_array(wrong)


def test_the_limit_leaves_room_for_the_largest_cameras() -> None:
    assert image_module.MAX_PIXELS > 11_648 * 8_736
