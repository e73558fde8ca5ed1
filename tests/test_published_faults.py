"""Faults that published data code for X as Supervision has: each of these would have shown them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monobody.data.crop import Crop, extract
from monobody.data.curated_poses import CuratedPoses
from monobody.data.datasets import masked_folder
from monobody.data.mask import as_mask
from monobody.data.moments import drawn_frames
from monobody.data.sample import NO_AUGMENT, Sample, training_row
from monobody.data.synthetic import PLAIN, SyntheticPeople


def person_at(x: int, size: tuple[int, int] = (160, 120)) -> tuple[np.ndarray, np.ndarray]:
    """A picture, and the mask of somebody whose left border is at x."""
    inside = np.zeros(size[::-1], bool)
    inside[20:100, max(x, 0) : x + 24] = True
    inside[20:40, max(x, 0) : x + 12] = False  # Not their own mirror image.
    image = np.full((*inside.shape, 3), 30, np.uint8)
    image[inside] = 220
    return image, inside


def sample_of(root: Path, x: int) -> Sample:
    image, inside = person_at(x)
    for folder, pixels in (("images", image), ("masks", np.uint8(255) * inside)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / folder / "a.png")
    return masked_folder.samples(root)[0]


@pytest.mark.parametrize("mirror", [0.0, 1.0])
@pytest.mark.parametrize("scale", [1.0, 1.4])
def test_the_mask_goes_where_the_picture_goes(mirror: float, scale: float, tmp_path: Path) -> None:
    """Flip and scale augmentation move picture and mask alike."""
    sample = sample_of(tmp_path, 60)
    augment = replace(NO_AUGMENT, mirror_share=mirror, even_zoom=(scale, scale), shift=0.05, turn_rad=0.2)
    row = training_row(sample, np.random.default_rng(3), 64, augment, masks=True)
    assert "mask" in row
    bright = row["images"][0] > 125
    assert ((row["mask"] > 127) != bright).mean() < 0.01
    assert bright.any()


def test_crops_at_the_border_keep_their_scale(tmp_path: Path) -> None:
    """Somebody cut off by the picture's edge is shown as large as elsewhere, padded, never stretched."""
    inner = sample_of(tmp_path / "inner", 60)
    image = np.zeros((120, 160, 3), np.uint8)
    image[:, [10, 50]] = 255
    between = []
    for x in (15.0, 30.0, 60.0):  # The first two reach far beyond the left edge.
        stripes = extract(image, Crop((x, 60.0), inner.crop.size_px), 208)[104, :, 0].astype(float)
        halfway = int(104 + 2 * (30 - x))
        first = np.flatnonzero(stripes[:halfway] > 100).mean()
        between.append(halfway + np.flatnonzero(stripes[halfway:] > 100).mean() - first)
    np.testing.assert_allclose(between, 2 * 40, atol=1)
    edge = sample_of(tmp_path / "edge", -6)
    assert edge.crop.size_px == pytest.approx(inner.crop.size_px)
    assert edge.crop.corners_px()[0, 0] < 0


def test_the_area_of_a_mask_does_not_depend_on_its_channels() -> None:
    _, inside = person_at(60)
    areas = {
        (as_mask(np.uint8(255) * stored, height=120, width=160) > 0).sum()
        for stored in (inside, np.repeat(inside[..., None], 3, 2), np.repeat(inside[..., None], 4, 2))
    }
    assert areas == {inside.sum()}


def test_every_synthetic_person_has_a_mask_and_parts() -> None:
    people = SyntheticPeople(6, CuratedPoses(), setting=replace(PLAIN, size=48, oversampling=1, occluders=0))
    for number in range(6):
        sample = people[number]
        assert sample.mask is not None
        assert sample.parts is not None
        assert (sample.mask > 127).sum() > 30
        assert (sample.parts > 0).sum() > 30


@pytest.mark.slow
def test_nothing_draws_from_the_generator_that_all_share() -> None:
    """Seeds make data reproducible in any thread and order."""

    def shared() -> list[int]:
        return np.random.get_state(legacy=False)["state"]["key"].tolist()  # noqa: NPY002

    before = shared()
    people = SyntheticPeople(6, CuratedPoses(), setting=replace(PLAIN, size=48, oversampling=1))
    third = people[3].image
    drawn_frames("a", range(100), 5)
    assert shared() == before
    np.random.seed(2)  # noqa: NPY002
    again = SyntheticPeople(6, CuratedPoses(), setting=replace(PLAIN, size=48, oversampling=1))
    again[1]
    np.testing.assert_array_equal(again[3].image, third)
