"""Pictures of one to six people whose boxes are known: real people cut out of photos, before empty backgrounds.

People are of Clothing Co-Parsing (photos with person masks) or, for a share of them, rendered in any posture; the
backgrounds are photos without people. Every picture follows from its number alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

MIN_VISIBLE = 0.65
"""Share of each person's pixels that nobody in front may cover."""
MIN_SHARE_INSIDE = 0.85
"""Share of each person's height and width that lies inside of the picture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupPicture:
    """A composed picture and the tight boxes of the visible parts of its people."""

    rgb: UInt8[np.ndarray, "h w 3"]
    boxes_px: Float[np.ndarray, "n 4"]


class GroupPictures:
    """The composed pictures, by number.

    Args:
        data: folder with `clothing_coparsing/` and `textures/backgrounds_cc_by/`.
        seed: names the series.
        synthetic: share of the people that are rendered instead of cut out.
    """

    def __init__(self, data: Path, *, seed: int = 0, synthetic: float = 0.0) -> None:
        self.data, self.seed, self.synthetic = data, seed, synthetic
        self.photos = sorted((data / "clothing_coparsing" / "images").glob("*.jpg"))
        self.backgrounds = sorted((data / "textures" / "backgrounds_cc_by").glob("*.jpg"))

    @cached_property
    def rendered(self):
        """The stream of synthetic people."""
        from monobody.data.synthetic import SyntheticPeople

        return SyntheticPeople(seed=self.seed, textures=self.data / "textures")

    def __getitem__(self, number: int) -> GroupPicture:
        """Compose picture ``number``, of 1 + number % 6 people."""
        rng = np.random.default_rng([self.seed, number])
        count = 1 + number % 6
        canvas = self._background(rng)
        height, width = canvas.shape[:2]
        # From far (small, drawn first) to near.
        shares = np.sort(rng.uniform(0.3 if count > 2 else 0.45, 0.6 if count > 2 else 0.95, count))
        masks: list[Bool[np.ndarray, "h w"]] = []
        for index, share in enumerate(shares):
            for _ in range(60):
                person, alpha = self._person(rng, number * 10 + index, int(share * height))
                top = int(rng.uniform(-0.05, 1.05) * max(height - alpha.shape[0], 0))
                left = int(rng.uniform(-0.1 * alpha.shape[1], width - 0.9 * alpha.shape[1]))
                placed, mask = _paste(canvas, person, alpha, left, top)
                behind = [m & ~mask for m in masks]
                crowded = any(m.sum() < MIN_VISIBLE * whole.sum() for m, whole in zip(behind, masks, strict=True))
                if mask.sum() > 0.8 * (alpha > 127).sum() and not crowded:
                    canvas, masks = placed, [*behind, mask]
                    break
        return GroupPicture(rgb=canvas, boxes_px=np.array([tight_box(m) for m in masks]))

    def first(self, count: int) -> Iterator[GroupPicture]:
        """Yield the first pictures of the series."""
        return (self[number] for number in range(count))

    def _background(self, rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
        image = _opened(self.backgrounds[rng.integers(len(self.backgrounds))])
        scale = rng.uniform(500, 1100) / max(image.size)
        return np.array(image.resize([max(round(side * scale), 1) for side in image.size], Image.Resampling.BICUBIC))

    def _person(
        self, rng: np.random.Generator, number: int, height: int
    ) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
        """Return the pixels and the mask of a person, cut tight, ``height`` pixels in the larger direction."""
        if rng.random() < self.synthetic:
            sample = self.rendered[number + int(rng.integers(1000)) * 1000]
            assert sample.mask is not None
            rgb, mask = sample.image, sample.mask
        else:
            photo = self.photos[rng.integers(len(self.photos))]
            rgb = np.array(_opened(photo))
            with Image.open(photo.parents[1] / "masks" / f"{photo.stem}.png") as image:
                mask = np.array(image.convert("L"))
        left, top, right, bottom = tight_box(mask > 127).astype(int)
        pixels, alpha = Image.fromarray(rgb[top:bottom, left:right]), Image.fromarray(mask[top:bottom, left:right])
        scale = height / max(right - left, bottom - top)
        size = (max(round((right - left) * scale), 2), max(round((bottom - top) * scale), 2))
        if rng.random() < 0.5:
            pixels, alpha = (i.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for i in (pixels, alpha))
        return np.array(pixels.resize(size)), np.array(alpha.convert("L").resize(size))


def tight_box(mask: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, "4"]:
    """Return the box x0, y0, x1, y1 of a mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _paste(
    canvas: UInt8[np.ndarray, "h w 3"],
    person: UInt8[np.ndarray, "a b 3"],
    alpha: UInt8[np.ndarray, "a b"],
    left: int,
    top: int,
) -> tuple[UInt8[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
    """Return the canvas with the person in front, and where the person is."""
    height, width = canvas.shape[:2]
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + alpha.shape[1], width), min(top + alpha.shape[0], height)
    cut = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    weight = alpha[cut][..., None] / 255
    placed = canvas.copy()
    placed[y0:y1, x0:x1] = np.rint(weight * person[cut] + (1 - weight) * canvas[y0:y1, x0:x1])
    mask = np.zeros((height, width), bool)
    mask[y0:y1, x0:x1] = alpha[cut] > 127
    return placed, mask
