"""Samples packed small, for a machine that can be sent only a few megabytes.

One npz file: the people's surroundings as JPEG at the size a network will see them, one after another, and the labels
of `data/shards.py` beside them. A tar would spend as much again on its headers. All of it is read into memory.
"""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from monobody.data.sample import Sample, cut, resized
from monobody.data.shards import encode_jpeg, sample_from, stack_labels
from monobody.errors import UserError
from monobody.files import atomic_write


class PackedSamples(Sequence[Sample]):
    """The samples of one packed file.

    Raises:
        UserError: the file is not one of `pack_samples`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        try:
            with np.load(path, allow_pickle=False) as file:
                self.labels = {name: file[name] for name in file.files if name not in ("jpeg", "ends")}
                self.jpeg, self.ends = file["jpeg"], file["ends"]
            uneven = [name for name, array in self.labels.items() if len(array) != len(self.ends)]
            if uneven or not {"crop", "keypoints_px", "visible"} <= set(self.labels) or self.ends[-1] != self.jpeg.size:
                raise ValueError("its arrays do not belong together")
        except Exception as error:  # Archives of damaged bytes raise nearly anything.
            raise UserError(f"{path} holds no packed samples: {error}. Make it with `make pack-device`.") from error

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> Sample:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        start = int(self.ends[index - 1]) if index else 0
        try:
            picture = Image.open(io.BytesIO(self.jpeg[start : int(self.ends[index])].tobytes())).convert("RGB")
        except Exception as error:  # Damaged bytes make decoders raise nearly anything.
            raise UserError(f"{self.path}: picture {index} is damaged ({error}). Pack the samples again.") from error
        return sample_from(np.asarray(picture), self.labels, index)


def pack_samples(samples: Iterable[Sample], path: str | Path, *, region_px: int, quality: int, megabytes: float) -> int:
    """Write as many of the samples as fit, and return how many.

    Args:
        samples: in the order in which they should be taken.
        path: the npz file.
        region_px: regions of interest larger than this are shrunk to it.
        quality: of the JPEGs.
        megabytes: room for the pictures; labels take about 200 bytes each beside them.

    Raises:
        UserError: not a single sample fits, or the file cannot be written.
    """
    pictures, kept, room = [], [], megabytes * 1e6
    for sample in samples:
        small = surroundings(sample, region_px=region_px)
        picture = encode_jpeg(small.image, quality)
        room -= len(picture)
        if room < 0:
            break
        pictures.append(np.frombuffer(picture, np.uint8))
        kept.append(small)
    labels = {
        name: values.astype(np.float16) if name in ("rotations", "betas", "visible") else values
        for name, values in stack_labels(kept, everything=False).items()
    }
    if not kept:
        raise UserError(f"{path} would hold no sample: give it more megabytes, or a data set that is not empty.")
    with atomic_write(path, suffix=".npz") as temporary:
        np.savez_compressed(
            temporary,
            allow_pickle=False,
            jpeg=np.concatenate(pictures),
            ends=np.cumsum([len(picture) for picture in pictures]),
            **labels,
        )
    return len(kept)


def surroundings(sample: Sample, *, region_px: int, reach: float = 0.65) -> Sample:
    """Cut a sample's picture to a square about its region, and shrink it so that the region is `region_px` at most.

    `reach` is half the square's side in sizes of the region: room to turn it and to move it a little.
    """
    (x, y), half = sample.crop.centre_px, reach * sample.crop.size_px
    height, width = sample.image.shape[:2]
    x0, y0 = max(int(x - half), 0), max(int(y - half), 0)
    x1, y1 = min(int(np.ceil(x + half)), width), min(int(np.ceil(y + half)), height)
    if x1 - x0 < 8 or y1 - y0 < 8:
        x0, y0, x1, y1 = 0, 0, width, height
    return resized(cut(sample, x0, y0, x1, y1), min(region_px / sample.crop.size_px, 1.0))
