"""Human3.6M with masks and synchronised views, made small in its published folders."""

import pickle
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import tiny_people
from PIL import Image
from test_h36m import CAMERAS, FRAMES, SIZE, all_joints, assert_labels_fit, joints_17, world_of, write_metadata

from monobody.body.skeleton import SKELETONS
from monobody.data.datasets import h36m, h36m_moments
from monobody.data.datasets.h36m_metadata import read_metadata
from monobody.data.faults import Fault, read_sample
from monobody.data.lens import Lens, seen_at
from monobody.data.mix import Mix, Part
from monobody.data.moments import drawn_frames
from monobody.data.prepare import prepare
from monobody.data.prepared import Prepared
from monobody.data.sample import NO_AUGMENT, Sample
from monobody.errors import UserError


@lru_cache(maxsize=64)
def picture_and_mask(frame: int, lens: Lens) -> tuple[np.ndarray, np.ndarray]:
    """The discs of a person, and the same larger as their mask, as the lens bends both."""
    seen = seen_at(joints_17(frame), lens)
    image = tiny_people.painted("h36m17", seen, SIZE)
    return image, (tiny_people.painted("h36m17", seen, SIZE, radius_px=9) != 128).any(-1)


def write_recording(root: Path, subject: int, action: int, cameras: tuple[int, ...] = (1, 2, 3, 4)) -> None:
    """Write `data/hm36` in the form of matlab_meta.txt, and `data/sam_masks/hm36`."""
    for number in cameras:
        lens = read_metadata(root / "metadata.xml").lens(CAMERAS[number - 1])
        name = f"s_{subject:02d}_act_{action:02d}_subact_01_ca_{number:02d}"
        images, annotations = root / "hm36" / "images" / name, root / "hm36" / "annot" / name
        masks = root / "sam_masks" / "hm36" / name
        for folder in (images, annotations, masks):
            folder.mkdir(parents=True)
        for frame in range(FRAMES):
            image, mask = picture_and_mask(frame, lens)
            Image.fromarray(image).save(images / f"{name}_{frame + 1:06d}.jpg", quality=95)
            Image.fromarray(mask).save(masks / f"{name}_{frame + 1:06d}.png")
        world, rotation, shift = world_of(all_joints())
        rows = [("frames", FRAMES), ("size", SIZE), ("R", rotation.T), ("T", -rotation.T @ shift)]
        rows += [("f", lens.focal_px), ("c", lens.principal_px), ("k", lens.radial), ("p", lens.tangential)]
        rows += [("joints", np.array(h36m.JOINTS_17) + 1), *((str(n), world[n]) for n in range(FRAMES))]
        text = "".join(" ".join([word, *(f"{x:.8f}" for x in np.ravel(numbers))]) + "\n" for word, numbers in rows)
        (annotations / "matlab_meta.txt").write_text(text)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_metadata(root)
    for subject, action, cameras in (
        (1, 2, (1, 2, 3, 4)),
        (5, 4, (1, 2, 3, 4)),
        (5, 3, (1, 3, 4)),
        (9, 4, (1, 2, 3, 4)),
    ):
        write_recording(root, subject, action, cameras)
    return root


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h36m_moments, "PER_RECORDING", {"train_selected": 5, "valid": 3})
    monkeypatch.setattr(h36m, "PER_RECORDING", h36m_moments.PER_RECORDING)


@pytest.mark.usefixtures("few")
def test_views_of_one_moment_stand_together(root: Path) -> None:
    people = h36m.samples(root / "hm36", "train_selected")
    # Action 4 is Eating, which is not selected; a recording without the second camera has no moments.
    names = [people.name(number) for number in range(len(people))]
    assert len(names) == 5 * 4
    assert people.left_out["recordings without all four cameras"] == 1
    for moment in range(5):
        views = names[4 * moment : 4 * moment + 4]
        assert [name.split(".")[1].split("/")[0] for name in views] == list(CAMERAS)
        assert len({name.split("/")[-1] for name in views}) == 1
    assert people.together == 4
    frames = [int(name[-6:]) for name in names[::4]]
    assert frames == sorted(frames)
    assert {name.split("/")[0] for name in map(h36m.samples(root / "hm36", "valid").name, range(12))} == {"S9"}


@pytest.mark.usefixtures("few")
def test_labels_and_masks_lie_where_the_rectified_picture_shows_the_person(root: Path) -> None:
    """Left must be left: the discs under the left joints are red, in every view."""
    people = h36m.samples(root / "hm36", "train_selected")
    for number in (0, 1, 6, 19):
        sample = people[number]
        assert_labels_fit(sample, int(people.name(number)[-6:]) - 1)
        assert_mask_fits(sample)
    assert_mask_fits(pickle.loads(pickle.dumps(people))[7])


def assert_mask_fits(sample: Sample) -> None:
    """The mask, bent straight as the picture is, holds every disc and little beyond."""
    assert sample.mask is not None
    assert set(np.unique(sample.mask)) == {0, 255}
    painted = (np.abs(sample.image.astype(int) - 128) > 60).any(-1)
    assert (sample.mask[painted] == 255).all()
    assert painted.sum() < (sample.mask > 0).sum() < 5 * painted.sum()
    # An unrectified mask would be off by pixels at the outer joints.
    seen = tiny_people.painted("lsp14", sample.keypoints_px[:14], SIZE, radius_px=9)
    assert ((seen != 128).any(-1) != (sample.mask > 0)).sum() < 0.12 * (sample.mask > 0).sum()
    assert len(SKELETONS["lsp14"].joints) == 14


@pytest.mark.usefixtures("few")
def test_masks_are_kept_in_shards_with_the_moments_order(root: Path, tmp_path: Path) -> None:
    manifest = prepare("h36m", root / "hm36", tmp_path, split="valid", partial=True)
    assert (manifest["count"], manifest["expected"]) == (12, 9600)
    shards, people = Prepared(tmp_path), h36m.samples(root / "hm36", "valid")
    assert [shards.name(number) for number in range(12)] == [people.name(number) for number in range(12)]
    assert shards.together == 4
    mask = shards[5].mask
    assert mask is not None
    assert mask.any()
    mix = Mix([Part(samples=shards, share=1, augment=NO_AUGMENT)], size=32, seed=0)
    order = [mix.order[row][1] for row in range(12)]
    assert sorted(order) == list(range(12))
    assert all(order[start : start + 4] == list(range(order[start], order[start] + 4)) for start in (0, 4, 8))


@pytest.mark.usefixtures("few")
def test_a_mask_of_another_size_is_a_fault_and_a_missing_one_is_none(root: Path) -> None:
    name = "s_09_act_04_subact_01_ca_03"
    people = h36m.samples(root / "hm36", "valid")
    frame = int(people.name(2)[-6:])
    path = root / "sam_masks" / "hm36" / name / f"{name}_{frame:06d}.png"
    whole = path.read_bytes()
    Image.fromarray(np.zeros((30, 40), bool)).save(path)
    fault = read_sample(people, 2)
    path.unlink()
    assert isinstance(fault, Fault)
    assert "40 x 30 pixels" in fault.reason
    assert people[2].mask is None
    path.write_bytes(whole)


def test_frames_are_drawn_from_the_name_alone() -> None:
    """The draw is written down here: whoever changes it changes everybody's split."""
    assert drawn_frames("S1/Directions/act_02_subact_01", range(1000), 5) == drawn_frames(
        "S1/Directions/act_02_subact_01", list(range(1000))[::-1], 5
    )
    assert drawn_frames("S1/Directions/act_02_subact_01", range(1000), 5) != drawn_frames("S1/other", range(1000), 5)
    assert drawn_frames("a", range(3), 5) == [0, 1, 2]
    assert drawn_frames("frozen", range(1000), 4) == [445, 468, 603, 993]


def test_where_no_recording_is_whole_it_is_said(root: Path, tmp_path: Path) -> None:
    write_metadata(tmp_path)
    write_recording(tmp_path, 11, 2, (1, 2))
    with pytest.raises(UserError, match="no moment that all cameras saw"):
        h36m.samples(tmp_path / "hm36", "valid")
