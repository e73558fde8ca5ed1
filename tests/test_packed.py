"""Packed samples, and a few steps of training from a pack with what a bare machine has."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monobody.data.crop import Crop
from monobody.data.packed import PackedSamples, pack_samples, surroundings
from monobody.data.sample import NO_AUGMENT, Sample, training_row
from monobody.errors import UserError

ABSENT = ("tyro", "openvino", "webdataset", "tensorboard", "scipy", "cv2", "torchvision")
"""What the training of a pack may not ask for."""


def photo(seed: int, *, size: float = 200.0) -> Sample:
    rng = np.random.default_rng(seed)
    smooth = np.kron(rng.integers(0, 256, (10, 15, 3)), np.ones((30, 30, 1))).astype(np.uint8)
    visible = np.zeros(19, np.float32)
    visible[:14] = 1
    return Sample(
        image=smooth,
        crop=Crop((230.0, 140.0), size, 0.4),
        keypoints_px=rng.uniform(50, 250, (19, 2)).astype(np.float32),
        visible=visible,
    )


def test_packed_samples_come_back(tmp_path):
    samples = [photo(seed) for seed in range(6)]
    assert pack_samples(samples, tmp_path / "p.npz", region_px=128, quality=90, megabytes=1) == 6
    packed = PackedSamples(tmp_path / "p.npz")
    assert len(packed) == 6
    for sample, again in zip(samples, packed, strict=True):
        before, after = (training_row(each, np.random.default_rng(0), 64, NO_AUGMENT) for each in (sample, again))
        # Shrinking rounds the picture to whole pixels.
        np.testing.assert_allclose(after["keypoints_2d"], before["keypoints_2d"], atol=0.02)
        np.testing.assert_array_equal(after["visible"], before["visible"])
        np.testing.assert_allclose(after["view"], before["view"], atol=1e-3)
        assert after["has_body"] == 0
        inner = np.abs(after["images"].astype(int) - before["images"].astype(int))[:, 8:-8, 8:-8]
        assert np.median(inner) < 12


def test_bodies_survive_packing(tmp_path):
    rng = np.random.default_rng(0)
    sample = replace(
        photo(0),
        joints_cam_m=rng.normal(size=(14, 3)).astype(np.float32),
        rotations=np.linalg.qr(rng.normal(size=(24, 3, 3)))[0].astype(np.float32),
        betas=rng.normal(size=10).astype(np.float32),
    )
    pack_samples([sample], tmp_path / "p.npz", region_px=128, quality=90, megabytes=1)
    again = PackedSamples(tmp_path / "p.npz")[0]
    np.testing.assert_allclose(again.joints_cam_m, sample.joints_cam_m)
    np.testing.assert_allclose(again.rotations, sample.rotations, atol=1e-3)


def test_packing_stops_where_the_room_ends(tmp_path):
    samples = [photo(seed) for seed in range(40)]
    count = pack_samples(samples, tmp_path / "p.npz", region_px=128, quality=60, megabytes=0.05)
    assert 2 < count < 40
    assert (tmp_path / "p.npz").stat().st_size < 0.06e6


def test_surroundings_never_enlarge():
    small = surroundings(photo(0, size=60.0), region_px=128)
    assert small.crop.size_px == 60.0
    assert surroundings(photo(0, size=256.0), region_px=128).crop.size_px == 128.0


def test_other_files_are_refused(tmp_path):
    (tmp_path / "p.npz").write_bytes(b"no")
    with pytest.raises(UserError, match="pack-device"):
        PackedSamples(tmp_path / "p.npz")


@pytest.mark.slow
def test_a_pack_trains_in_pieces_with_a_bare_python(tmp_path):
    """As on a bare machine: optional packages are missing, the run is called twice, and leaves weights and tables."""
    pack, out = tmp_path / "pack", tmp_path / "out"
    pack.mkdir()
    for split in ("train", "validation"):
        pack_samples(
            [photo(seed) for seed in range(9)], pack / f"photos_{split}.npz", region_px=128, quality=60, megabytes=1
        )
    sources = str(Path(__file__).parents[1] / "src")
    for steps, expected in (("2", "step 2,"), ("4", "step 4,")):
        options = f"--pack {pack} --out {out} --recipe tiny-device --device cpu --steps {steps}"
        program = (
            f"import sys; sys.path.insert(0, {sources!r})\n"
            f"for name in {ABSENT!r}: sys.modules[name] = None\n"
            "from monobody.train.device import main\n"
            f"sys.exit(main({options.split()!r}))"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout
    assert (out / "weights.safetensors").stat().st_size < 16e6
    assert (out / "train.csv").read_text().count("\n") == 5


def test_a_missing_pack_is_explained(tmp_path, capsys):
    from monobody.train.device import main

    assert main(["--pack", str(tmp_path / "nothing")]) == 2
    assert "make pack-device" in capsys.readouterr().err
