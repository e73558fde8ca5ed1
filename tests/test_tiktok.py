"""TikTok in its own layout: which frames are kept, that nobody is in two splits, and where masks lie."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monobody.data.datasets import tiktok
from monobody.data.prepare import prepare
from monobody.data.prepared import Prepared
from monobody.errors import UserError

SIZE = (54, 96)


def write_video(root: Path, video: str, frames: int) -> None:
    """Somebody walks to the right by a pixel a frame."""
    folder = root / "TikTok_dataset" / video
    for kind in ("images", "masks", "densepose"):
        (folder / kind).mkdir(parents=True)
    for frame in range(1, frames + 1):
        inside = np.zeros(SIZE[::-1], bool)
        inside[30:80, frame % 30 : frame % 30 + 12] = True
        Image.fromarray(np.where(inside[..., None], 200, 30).repeat(3, 2).astype(np.uint8)).save(
            folder / "images" / f"{frame:04d}.png"
        )
        Image.fromarray(np.uint8(255) * inside[..., None].repeat(3, 2)).save(folder / "masks" / f"{frame:04d}.png")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiktok")
    for video, frames in (("00001", 45), ("00002", 30), ("00326", 43)):
        write_video(root, video, frames)
    (root / "TikTok_dataset" / "00001" / "masks" / "0025.png").unlink()
    return root


def test_ends_are_dropped_and_videos_kept_together(root: Path) -> None:
    train, validation = tiktok.samples(root, "train"), tiktok.samples(root / "TikTok_dataset", "validation")
    assert train.names == [f"00001/{frame:04d}" for frame in (21, 22, 23, 24)]  # 25 has no mask; 00002 is too short.
    assert validation.names == [f"00326/{frame:04d}" for frame in (21, 22, 23)]
    assert len(tiktok.samples(root, "all")) == 7
    assert train.left_out == {"the first or last 20 frames of a video": 70, "a photo without a mask": 1}


def test_masks_are_the_dancers_and_shards_keep_them(root: Path, tmp_path: Path) -> None:
    for number, person in enumerate(tiktok.samples(root)):
        assert person.mask is not None
        np.testing.assert_array_equal(person.mask > 0, person.image[..., 0] > 100)
        assert person.crop.centre_px == (21 + number + 6, 55)
    assert prepare("tiktok", root, tmp_path / "out", split="validation")["count"] == 3
    shard = Prepared(tmp_path / "out")[0]
    assert shard.mask is not None
    assert (shard.mask > 0).sum() == 50 * 12


def test_what_is_missing_is_said(root: Path, tmp_path: Path) -> None:
    assert tiktok.check(root) == tiktok.check(root, "validation") == []
    assert "holds no folders 00001" in tiktok.check(tmp_path)[0]
    (tmp_path / "00002" / "images").mkdir(parents=True)
    assert any("lack images/ or masks/ (00002)" in line for line in tiktok.check(tmp_path))
    assert any("No video is of the split validation" in line for line in tiktok.check(tmp_path, "validation"))
    with pytest.raises(UserError, match="no frames of TikTok's split train"):
        tiktok.samples(tmp_path)
