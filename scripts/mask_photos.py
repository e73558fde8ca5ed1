"""Give photos of people masks by the detector's own segmentation, as a set that X as Supervision trains on.

    python scripts/mask_photos.py --data DATA -o DATA/prepared/lsp_extended_masks --count 1000

The photos are LSP Extended's training ones, taken as if nobody had labelled them: their joints are not looked at.
BlazePose's landmark network, which the detector runs anyway, says of every pixel of a region whether it is the
person's. A photo is kept where it believes in a person whose mask is neither tiny nor everything. The masks are a
guess; the network that made them has learnt from labelled poses, and what is trained on them is so by proxy.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from make_teacher_labels import PRESENT, read_photo, unlabelled

from monobody.data.crop import Crop, extract
from monobody.data.prepared_writer import Origin, write_prepared
from monobody.data.sample import Sample
from monobody.image import read_image
from monobody.predict.blaze_networks import blaze_networks

SMALLEST, LARGEST = 0.03, 0.9
"""Shares of the region that a mask may fill."""


class Masked(Sequence[Sample]):
    """The photos that were kept, with their masks."""

    def __init__(self, kept: Sequence[tuple[Path, Crop]]) -> None:
        self.kept = kept

    def __len__(self) -> int:
        return len(self.kept)

    def name(self, index: int) -> str:
        return self.kept[index][0].stem

    def __getitem__(self, index: int) -> Sample:  # pyright: ignore[reportIncompatibleMethodOverride]
        file, crop = self.kept[index]
        rgb = read_image(file).rgb
        nobody = np.zeros(19, np.float32)
        mask = laid_back(region_mask(rgb, crop), crop, rgb.shape[:2])
        return Sample(
            image=rgb, crop=crop, keypoints_px=np.zeros((19, 2), np.float32), visible=nobody, mask=mask
        )  # fmt: skip


def region_mask(rgb: UInt8[np.ndarray, "h w 3"], crop: Crop) -> Float[np.ndarray, "256 256"]:
    """Return how probable each pixel of a region is the person's."""
    _, _, logits, _, _ = blaze_networks().landmarks(extract(rgb, crop, 256))
    return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))


def laid_back(mask: Float[np.ndarray, "256 256"], crop: Crop, shape: tuple[int, int]) -> UInt8[np.ndarray, "h w"]:
    """Return a region's mask in the picture's pixels, 255 where it is the person's."""
    height, width = shape
    rows, columns = np.mgrid[:height, :width] + 0.5
    places = (crop.to_crop(np.stack([columns.ravel(), rows.ravel()], axis=1)) + 1) * 128
    cells = np.floor(places).astype(int)
    inside = ((cells >= 0) & (cells < 256)).all(1)
    found = np.zeros(height * width, np.uint8)
    found[inside] = 255 * (mask[cells[inside, 1], cells[inside, 0]] > 0.5)
    return found.reshape(shape)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the new set; its name is the set's")
    parser.add_argument("--count", type=int, default=1000, help="photos to look at, drawn at random")
    options = parser.parse_args()
    torch.set_num_threads(1)
    kept = []
    for number, file in enumerate(unlabelled(options.data, 0, options.count)):
        rgb = read_image(file).rgb
        best = read_photo(rgb)
        share = float((region_mask(rgb, best.crop) > 0.5).mean())
        if best.presence >= PRESENT and SMALLEST < share < LARGEST:
            kept.append((file, best.crop))
        if number % 100 == 99:
            print(f"{number + 1} photos, {len(kept)} kept", file=sys.stderr, flush=True)
    origin = Origin(
        name=options.output.name,
        licence="LSP Extended: none stated, a citation is asked for: research use. Masks: BlazePose's, no truth.",
        source="scripts/mask_photos.py",
    )
    manifest = write_prepared(origin, Masked(kept), options.output)
    print(f"{options.output}: {manifest['count']} people")


if __name__ == "__main__":
    main()
