"""Data sets of samples are read back as they were written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monobody.data.known import SyntheticSample
from monobody.data.sample import Sample
from monobody.data.shards import SampleFiles, write_samples
from monobody.data.synthesize import contact_sheet, synthesize
from monobody.errors import UserError

FIELDS = ("keypoints_px", "visible", "joints_cam_m", "rotations", "betas")


@pytest.fixture(scope="module")
def people() -> list[SyntheticSample]:
    from monobody.data.synthetic import PLAIN, SyntheticPeople

    stream = SyntheticPeople(1, setting=replace(PLAIN, size=64))
    return [stream[index] for index in range(5)]


@pytest.mark.parametrize("name", ["set.tar", "folder"])
def test_everything_known_comes_back(tmp_path: Path, people: list[SyntheticSample], name: str) -> None:
    assert write_samples(people, tmp_path / name, quality=95) == len(people)
    files = SampleFiles(tmp_path / name)
    assert len(files) == len(people)
    for before, after in zip(people, files, strict=True):
        assert isinstance(after, SyntheticSample)
        assert np.abs(after.image.astype(int) - before.image).mean() < 6  # JPEG.
        np.testing.assert_array_equal(after.mask, before.mask)
        np.testing.assert_array_equal(after.parts, before.parts)
        for field in (*FIELDS, "theta", "translation_m"):
            np.testing.assert_allclose(getattr(after, field), getattr(before, field), atol=1e-5, err_msg=field)
        assert set(after.keypoints) == set(before.keypoints)
        for joints in before.keypoints:
            for got, expected in zip(after.keypoints[joints], before.keypoints[joints], strict=True):
                np.testing.assert_allclose(got, expected, atol=1e-4)
        np.testing.assert_allclose(after.crop.corners_px(), before.crop.corners_px(), atol=1e-3)
        assert after.focal_px == pytest.approx(before.focal_px)


def test_missing_labels_stay_missing(tmp_path: Path, people: list[SyntheticSample]) -> None:
    known = people[0]
    bare = Sample(image=known.image, crop=known.crop, keypoints_px=known.keypoints_px, visible=known.visible)
    write_samples([bare, people[1]], tmp_path / "mixed.tar", planes=False)
    first, second = SampleFiles(tmp_path / "mixed.tar")
    assert first.rotations is None
    assert first.betas is None
    assert first.joints_cam_m is None
    assert first.mask is None
    assert second.rotations is not None


def test_cameras_and_shape_spaces_come_back(tmp_path: Path, people: list[SyntheticSample]) -> None:
    seen = people[0]
    whose = replace(
        Sample(image=seen.image, crop=seen.crop, keypoints_px=seen.keypoints_px, visible=seen.visible),
        rotations=seen.rotations,
        shape_space="smpl",
        focal_px=321.0,
        principal_px=(3.0, -4.0),
        frame_px=(-10.0, -20.0, 400.0, 300.0),
    )
    write_samples([*people[:1], whose], tmp_path / "set.tar", planes=False)
    first, second = SampleFiles(tmp_path / "set.tar")
    assert type(first) is Sample
    assert first.focal_px == pytest.approx(seen.focal_px)
    assert first.principal_px == pytest.approx(seen.principal_px)
    assert (first.shape_space, first.frame_px) == ("monobody", None)
    for name in ("shape_space", "focal_px", "principal_px", "frame_px", "betas"):
        assert getattr(second, name) == getattr(whose, name)


def test_several_sets_are_one_sequence(tmp_path: Path, people: list[SyntheticSample]) -> None:
    write_samples(people[:2], tmp_path / "a.tar")
    write_samples(people[2:], tmp_path / "b")
    files = SampleFiles(tmp_path / "a.tar", tmp_path / "b")
    assert len(files) == 5
    np.testing.assert_allclose(files[2].betas, people[2].betas, atol=1e-6)
    np.testing.assert_allclose(files[-1].betas, people[4].betas, atol=1e-6)
    assert len(files[1:4]) == 3
    with pytest.raises(IndexError):
        files[5]


def test_errors_name_the_remedy(tmp_path: Path, people: list[SyntheticSample]) -> None:
    write_samples(people[:1], tmp_path / "set")
    with pytest.raises(UserError, match="already holds"):
        write_samples(people[:1], tmp_path / "set")
    (tmp_path / "no.tar").write_bytes(b"nothing")
    for wrong in ("no.tar", "absent", "."):
        with pytest.raises(UserError, match="not a data set"):
            SampleFiles(tmp_path / wrong)


@pytest.mark.slow
def test_synthesize_writes_a_sheet_and_a_data_set(tmp_path: Path) -> None:
    synthesize(tmp_path / "sheet.png", count=10, size_px=32)
    assert Image.open(tmp_path / "sheet.png").size == (8 * 32, 2 * 32)
    synthesize(tmp_path / "set.tar", count=2, size_px=32)
    assert len(SampleFiles(tmp_path / "set.tar")) == 2
    with pytest.raises(UserError, match=r"\.png"):
        synthesize(tmp_path / "people.jpg")
    with pytest.raises(UserError, match="at least one"):
        synthesize(tmp_path / "sheet.png", count=0)


def test_contact_sheet_fills_rows() -> None:
    sheet = contact_sheet([np.full((4, 4, 3), value, np.uint8) for value in (10, 20, 30)], columns=2)
    assert sheet.shape == (8, 8, 3)
    assert (sheet[4:, 4:] == 255).all()
    assert (sheet[4:, :4] == 30).all()
