"""Photos with masks: every usual layout and kind of mask gives the same people; what is no silhouette is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from monobody.data.datasets import masked_folder
from monobody.data.faults import Fault, fault_of, read_sample
from monobody.data.mask import as_mask, box_of, one_person
from monobody.data.masked import MaskedPhotos, WithMasks
from monobody.data.prepare import prepare
from monobody.data.prepared import Prepared
from monobody.errors import UserError

HEIGHT, WIDTH = 120, 90


def silhouette(shift: int = 0) -> np.ndarray:
    """A head on a trunk, off the middle, so that turns and mirrors show."""
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[20:30, 32 + shift : 40 + shift] = True
    inside[30:100, 25 + shift : 45 + shift] = True
    return inside


def photo_of(inside: np.ndarray) -> np.ndarray:
    image = np.full((*inside.shape, 3), 40, np.uint8)
    image[inside] = (230, 180, 90)
    return image


def save(path: Path, pixels: np.ndarray, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def write(root: Path, photo: str, mask: str, count: int = 3) -> None:
    for number in range(count):
        inside = silhouette(3 * number)
        save(root / photo.format(number), photo_of(inside), quality=95)
        save(root / mask.format(number), np.uint8(255) * inside)


@pytest.mark.parametrize(
    ("photo", "mask"),
    [
        ("images/{:04d}.jpg", "masks/{:04d}.png"),
        ("photos/{:04d}.JPG", "silhouettes/{:04d}_mask.png"),
        ("imgs/a/{:04d}.png", "segmentation/a/{:04d}.jpg.png"),
        ("images/{:04d}.jpg", "masks/{:04d}.jpg"),
        ("video_1/frames/{:04d}.jpg", "video_1/mask/{:04d}.png"),
        ("{:04d}.jpg", "{:04d}_mask.png"),
    ],
)
def test_the_usual_layouts_are_found(photo: str, mask: str, tmp_path: Path) -> None:
    if mask.endswith(".jpg.png"):
        photo = photo.replace(".png", ".jpg")
    write(tmp_path, photo, mask)
    people = masked_folder.samples(tmp_path)
    assert len(people) == 3
    assert not people.left_out
    for number, person in enumerate(people):
        assert person.mask is not None
        np.testing.assert_array_equal(person.mask > 0, silhouette(3 * number))
        assert set(np.unique(person.mask)) == {0, 255}
        assert fault_of(person) is None
        assert not person.visible.any()


def test_the_region_is_about_the_person_and_holds_them(tmp_path: Path) -> None:
    write(tmp_path, "images/{}.jpg", "masks/{}.png", 1)
    person = masked_folder.samples(tmp_path)[0]
    assert person.crop.centre_px == (35, 60)
    assert person.crop.size_px == pytest.approx(1.3 * 80)
    assert person.crop.angle_rad == 0


@pytest.mark.parametrize(
    "stored",
    [
        lambda inside: Image.fromarray(inside),
        lambda inside: Image.fromarray(inside.astype(np.uint8)),
        lambda inside: Image.fromarray(np.uint8(255) * inside),
        lambda inside: Image.fromarray(np.uint8(3) * inside),
        lambda inside: Image.fromarray(np.uint16(65535) * inside),
        lambda inside: Image.fromarray(np.float32(0.9) * inside),
        lambda inside: Image.fromarray(np.stack([255 * inside, 0 * inside, 0 * inside], -1).astype(np.uint8)),
        lambda inside: Image.fromarray(
            np.concatenate([np.repeat(255 * inside[..., None], 3, 2), np.full((*inside.shape, 1), 255)], -1).astype(
                np.uint8
            )
        ),
        lambda inside: Image.fromarray(np.uint8(255) * inside).quantize(4),
    ],
)
def test_every_kind_of_mask_means_the_same(stored: Callable[[np.ndarray], Image.Image], tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", photo_of(silhouette()))
    (tmp_path / "masks").mkdir()
    stored(silhouette()).save(tmp_path / "masks" / ("a.tiff" if stored(silhouette()).mode == "F" else "a.png"))
    mask = masked_folder.samples(tmp_path)[0].mask
    assert mask is not None
    np.testing.assert_array_equal(mask > 0, silhouette())


def test_the_noise_of_jpeg_is_not_part_of_anybody(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.jpg", photo_of(silhouette()))
    save(tmp_path / "masks" / "a.jpg", np.uint8(255) * silhouette(), quality=30)
    mask = masked_folder.samples(tmp_path)[0].mask
    assert mask is not None
    assert ((mask > 0) != silhouette()).mean() < 0.01


@pytest.mark.parametrize("turned_mask", [False, True])
def test_photos_of_phones_and_their_masks_come_upright(turned_mask: bool, tmp_path: Path) -> None:
    """Stored on its side (EXIF 6: turn clockwise by a quarter), with a mask of the upright photo or the stored one."""
    inside = silhouette()
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path / "images" / "a.jpg", np.rot90(photo_of(inside)).copy(), exif=exif, quality=95)
    save(tmp_path / "masks" / "a.png", np.uint8(255) * (np.rot90(inside).copy() if turned_mask else inside))
    person = masked_folder.samples(tmp_path)[0]
    assert person.image.shape[:2] == (HEIGHT, WIDTH)
    assert person.mask is not None
    np.testing.assert_array_equal(person.mask > 0, inside)
    assert person.image[inside].mean() > 100 > person.image[~inside].mean()


def test_the_largest_person_is_taken_whole() -> None:
    mask = np.zeros((400, 300), bool)
    mask[40:200, 50:120] = True
    mask[202:380, 60:110] = True  # Below a thin belt.
    mask[100:260, 200:260] = True  # Somebody else, smaller.
    kept = one_person(np.uint8(255) * mask) > 0
    assert kept[:, :150].sum() == mask[:, :150].sum()
    assert not kept[:, 150:].any()
    np.testing.assert_array_equal(box_of(np.uint8(255) * kept), [50, 40, 120, 380])


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (np.zeros((HEIGHT, WIDTH), np.uint8), "its mask is empty"),
        (np.full((HEIGHT, WIDTH), 255, np.uint8), "covers 100 %"),
        (np.uint8(255) * silhouette()[:60, :45], "has 45 x 60 pixels where its picture has 90 x 120"),
    ],
)
def test_what_is_no_silhouette_is_a_fault_and_refused_where_common(
    mask: np.ndarray, sentence: str, tmp_path: Path
) -> None:
    root = tmp_path / "photos"
    write(root, "images/{}.jpg", "masks/{}.png", 9)
    for bad in (3, 4):
        save(root / "masks" / f"{bad}.png", mask)
    people = masked_folder.samples(root)
    fault = read_sample(people, 3)
    assert isinstance(fault, Fault)
    assert sentence in fault.reason
    with pytest.raises(UserError, match="2 of 9 samples of masked_folder cannot be used"):
        prepare("masked_folder", root, tmp_path / "out")


def test_a_mask_of_another_size_is_a_fault_of_any_sample(tmp_path: Path) -> None:
    write(tmp_path, "images/{}.jpg", "masks/{}.png", 1)
    person = masked_folder.samples(tmp_path)[0]
    assert person.mask is not None
    assert "its mask has the shape" in str(fault_of(replace(person, mask=person.mask[:-1])))
    assert fault_of(replace(person, mask=0 * person.mask)) == "its mask is empty"
    assert "nothing else is known" in str(fault_of(replace(person, mask=None)))


def test_photos_without_masks_are_counted_and_refused_where_many(tmp_path: Path) -> None:
    write(tmp_path, "images/{}.jpg", "masks/{}.png", 4)
    save(tmp_path / "images" / "bare.jpg", photo_of(silhouette()))
    assert masked_folder.samples(tmp_path).left_out == {masked_folder.NO_MASK: 1}
    assert masked_folder.check(tmp_path) == ["1 of 5 photos have no mask (bare ...)."]
    with pytest.raises(UserError, match=r"holds no photos with masks"):
        masked_folder.samples(tmp_path / "masks")


def test_prepared_photos_keep_their_masks(tmp_path: Path) -> None:
    root, out = tmp_path / "photos", tmp_path / "out"
    write(root, "images/{}.jpg", "masks/{}.png")
    (root / "validation.txt").write_text("1\n")
    assert prepare("masked_folder", root, out)["count"] == 2
    assert masked_folder.samples(root, "validation").names == ["1"]
    for shard, original in zip(Prepared(out), masked_folder.samples(root), strict=True):
        assert shard.mask is not None
        assert original.mask is not None
        middle = shard.crop.to_picture(original.crop.to_crop(np.array([[35.5, 60.5]])))
        assert fault_of(shard) is None
        assert (shard.mask > 0).sum() == (original.mask > 0).sum()
        assert shard.mask[int(middle[0, 1]), int(middle[0, 0])] == 255


def yellow(image: np.ndarray) -> np.ndarray:
    """A segmenter of these photos: the probability that a pixel is the person's."""
    return image[..., 0].astype(np.float32) / 255


def test_a_segmenter_stands_in_for_masks(tmp_path: Path) -> None:
    write(tmp_path, "images/{}.png", "masks/{}.png")
    made = masked_folder.samples(tmp_path, masks=yellow)
    for person, known in zip(made, masked_folder.samples(tmp_path), strict=True):
        np.testing.assert_array_equal(person.mask, known.mask)
    (tmp_path / "masks").rename(tmp_path / "made_by_it")
    assert len(masked_folder.samples(tmp_path, masks=tmp_path / "made_by_it")) == 3
    wrong = MaskedPhotos(made.photos, lambda image: np.ones((4, 4)))
    assert "4 x 4 pixels where its picture has 90 x 120" in str(read_sample(wrong, 0))


def test_people_who_are_known_otherwise_get_masks(tmp_path: Path) -> None:
    write(tmp_path, "images/{}.png", "masks/{}.png")
    people = [replace(person, mask=None) for person in masked_folder.samples(tmp_path)]
    masked = WithMasks(people, yellow)
    mask = masked[1].mask
    assert mask is not None
    np.testing.assert_array_equal(mask > 0, silhouette(3))
    assert masked[1].crop == people[1].crop


def test_planes_of_other_shapes_are_read_or_refused() -> None:
    inside = silhouette()
    for plane in (inside[None], inside[..., None], inside[None].astype(np.float32)):
        np.testing.assert_array_equal(as_mask(plane, height=HEIGHT, width=WIDTH) > 0, inside)
    with pytest.raises(UserError, match="one plane of numbers"):
        as_mask(np.zeros((2, HEIGHT, WIDTH, 3)), height=HEIGHT, width=WIDTH)
