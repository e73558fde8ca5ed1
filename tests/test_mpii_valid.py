"""MPII's validation list with masks, made small: whose mask it is, and joints counted from 1."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_people
from PIL import Image

from monobody.body.skeleton import SKELETONS
from monobody.data.datasets import mpii
from monobody.data.prepare import prepare
from monobody.data.prepared import Prepared
from monobody.errors import UserError

SIZE = (200, 160)
# MPII's order has no names of its own here but those of the skeleton.
NAMES = SKELETONS["mpii16"].joints


def joints_of(x: float) -> np.ndarray:
    """A small standing person about x, in pixels (the first pixel's centre is 0.5)."""
    points = {**tiny_people.POINTS, "thorax": np.array([0, 0.46, 0.0])}
    places = np.array([points.get(name, points["neck"]) for name in NAMES])
    return np.array([x, 80.0]) + places[:, :2] * (60, -60)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "mpii"
    for folder in (root / "images", root / "annot", tmp_path / "sam_masks" / "mpii_val"):
        folder.mkdir(parents=True)
    people = []
    for number, places in enumerate(([50], [60, 140], [100])):
        joints = [joints_of(x) for x in places]
        image = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)
        for one in joints:
            painted = tiny_people.painted("mpii16", one, SIZE)
            image = np.where(painted == 128, image, painted)
        Image.fromarray(image).save(root / "images" / f"{number:09d}.jpg", quality=95)
        mask = np.zeros(SIZE[::-1], bool)
        low, high = np.floor(joints[-1].min(0)).astype(int) - 4, np.ceil(joints[-1].max(0)).astype(int) + 4
        mask[low[1] : high[1], low[0] : high[0]] = True
        if number < 2:
            Image.fromarray(np.uint8(255) * mask).save(tmp_path / "sam_masks" / "mpii_val" / f"{number:09d}.jpg")
        for one in joints:
            seen = [1] * 16
            seen[9] = int(number != 2)
            listed = np.where(np.array(seen)[:, None] > 0, one + 0.5, -1).tolist()
            people.append({"image": f"{number:09d}.jpg", "joints": listed, "joints_vis": seen, "center": [1, 1]})
    (root / "annot" / "mpii_valid.json").write_text(json.dumps(people))
    return root


def test_joints_lie_on_the_picture_and_masks_on_their_person(root: Path) -> None:
    people = mpii.samples(root, "valid")
    assert people.names == ["000000000_0", "000000001_1", "000000001_2", "000000002_3"]
    for sample in people:
        for joint, name in enumerate(SKELETONS["lsp14"].joints):
            if sample.visible[joint] and name not in ("neck", "head_top"):
                found = tiny_people.centroid(sample.image, sample.keypoints_px[joint], name, reach_px=7)
                assert np.linalg.norm(found - sample.keypoints_px[joint]) < 1.5, name
        left, right = (SKELETONS["lsp14"].index(f"{side}_shoulder") for side in ("left", "right"))
        assert sample.keypoints_px[left, 0] > sample.keypoints_px[right, 0]
    # Of two people in one picture the one on the right was cut out; the last picture has no mask.
    assert [sample.mask is not None for sample in people] == [True, False, True, False]
    mask = people[2].mask
    assert mask is not None
    assert mask[:, 100:].any()
    assert not mask[:, :100].any()
    assert people[3].visible[SKELETONS["cocoplus19"].index("head_top")] == 0


def test_it_is_prepared_with_its_masks_and_kept_from_training(root: Path, tmp_path: Path) -> None:
    assert mpii.check(root, "valid") == []
    assert any("mpii_human_pose" in line for line in mpii.check(root))
    manifest = prepare("mpii", root, tmp_path / "out", split="valid")
    assert manifest["count"] == 4
    assert [sample.mask is not None for sample in Prepared(tmp_path / "out")] == [True, False, True, False]
    (root / "annot" / "mpii_valid.json").write_text("[{}]")
    with pytest.raises(UserError, match="holds no list of MPII's people"):
        mpii.samples(root, "valid")
    (root / "annot" / "mpii_valid.json").unlink()
    with pytest.raises(UserError, match=r"holds no annot/mpii_valid\.json"):
        mpii.samples(root, "valid")
