"""Photos of people with masks and nothing else, and samples that get their masks from elsewhere.

Masks come from files, or from any segmenter that the user has: a function from a picture to a mask.

    MaskedPhotos(photos, masks)            files beside files
    MaskedPhotos(photos, segmenter)        a mask is made when its photo is read
    WithMasks(samples, segmenter)          people who are known otherwise (LSP, Human3.6M, ...) get masks
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from monobody.data.chained import Chained
from monobody.data.crop import Crop
from monobody.data.mask import Segmenter, as_mask, box_of, fault_of_mask, one_person, read_mask
from monobody.data.region import region_from_mask_box
from monobody.data.sample import Sample
from monobody.errors import UserError
from monobody.image import read_image


class MaskedPhotos(Chained):
    """The largest person of each photo, with nothing known but where they are; read when asked for.

    Photos come upright. A mask that is empty, covers everything or has another size than its photo raises a
    `UserError` when the sample is read, which training and `monobody prepare` count (`data/faults.py`).

    Args:
        photos: the pictures' files.
        masks: their masks' files, one each; or a segmenter (to be shared with worker processes it must be a function
            of a module, or an object that can be pickled).
        names: what the set calls them; the files' stems where left out.
        crop: places the region of interest on the box of a mask.
        left_out: what was not taken, by reason.
        whole: keep all of a mask, not the largest person of it.
    """

    def __init__(
        self,
        photos: Sequence[Path],
        masks: Sequence[Path] | Segmenter,
        *,
        names: Sequence[str] | None = None,
        crop: Callable[[Float[np.ndarray, "4"]], Crop] = region_from_mask_box,
        left_out: dict[str, int] | None = None,
        whole: bool = False,
    ) -> None:
        self.photos, self.masks = list(photos), masks if callable(masks) else list(masks)
        self.names = [path.stem for path in self.photos] if names is None else list(names)
        self.crop, self.whole = crop, whole
        self.left_out = Counter(left_out or {})
        super().__init__([len(self.photos)])

    def name(self, index: int) -> str:
        """Return what the set calls a photo."""
        return self.names[index]

    def sample(self, part: int, place: int) -> Sample:
        """Return a photo's person; all are in one part."""
        rgb = read_image(self.photos[place]).rgb
        return masked_sample(rgb, self.mask(place, rgb), name=self.names[place], crop=self.crop)

    def mask(self, index: int, rgb: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
        """Return a photo's mask."""
        height, width = rgb.shape[:2]
        if callable(self.masks):
            mask = as_mask(self.masks(rgb), height=height, width=width, name=f"The mask made of {self.names[index]}")
        else:
            mask = read_mask(self.masks[index], self.photos[index], height=height, width=width)
        return mask if self.whole else one_person(mask)


class WithMasks(Sequence[Sample]):
    """Samples whose masks are made by a segmenter, but for those that have one.

    What is found is kept as it is: with an empty mask a person still has the joints they had.

    Args:
        samples: people, with joints or without.
        segmenter: gives the mask of a picture.
    """

    def __init__(self, samples: Sequence[Sample], segmenter: Segmenter) -> None:
        self.samples, self.segmenter = samples, segmenter

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:  # pyright: ignore[reportIncompatibleMethodOverride]
        sample = self.samples[index]
        if sample.mask is not None:
            return sample
        height, width = sample.image.shape[:2]
        mask = as_mask(self.segmenter(sample.image), height=height, width=width, name=f"The mask made of {index}")
        return replace(sample, mask=mask)

    def name(self, index: int) -> str:
        """Return what the set calls a sample."""
        named = getattr(self.samples, "name", None)
        return f"{index:08d}" if named is None else str(named(index))


def masked_sample(
    image: UInt8[np.ndarray, "h w 3"],
    mask: UInt8[np.ndarray, "h w"],
    *,
    name: str = "A photo",
    crop: Callable[[Float[np.ndarray, "4"]], Crop] = region_from_mask_box,
) -> Sample:
    """Return the sample of a picture of which the person's mask is known and nothing else.

    Raises:
        UserError: the mask cannot be anybody's.
    """
    fault = fault_of_mask(mask)
    if fault is not None:
        raise UserError(f"{name}: {fault}.")
    return Sample(
        image=image,
        crop=crop(box_of(mask)),
        keypoints_px=np.zeros((19, 2), np.float32),
        visible=np.zeros(19, np.float32),
        mask=mask,
    )
