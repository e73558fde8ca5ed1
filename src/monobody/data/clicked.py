"""Photos with clicked 2D joints: what the readers of LSP, MPII, COCO and plain folders all come down to."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from monobody.data.chained import Chained
from monobody.data.crop import Crop
from monobody.data.region import region_from_joints
from monobody.data.sample import Sample
from monobody.errors import UserError

NO_PICTURE = "no picture on disk"
FEWEST_JOINTS = 2
"""Of LSP's 14: a region of interest needs two to be placed."""


class ClickedPhotos(Chained):
    """People in photos, one sample each; a photo is read when it is asked for.

    Whoever has fewer than two of LSP's joints, or no picture on disk, is left out and counted in ``left_out``.

    Args:
        folder: what the file names are relative to.
        files: each person's picture.
        keypoints_px: joints of cocoplus19.
        visible: 1 where a joint is known.
        names: what the data set calls each person; the files' names where left out.
        left_out: what the reader has not taken already, by reason.
        mask: gives the mask of person i in a picture of some height and width, 255 where they are.
        crops: the regions of interest; those of the joints where left out (and no joint is needed where given).
        sizes_px: width and height of each person's picture as its annotators saw it; 0 where unknown. A picture stored
            on its side is turned if its EXIF says so; one of any other size is refused when it is read.
    """

    def __init__(
        self,
        folder: Path,
        files: Sequence[str],
        keypoints_px: Float[np.ndarray, "n 19 2"],
        visible: Float[np.ndarray, "n 19"],
        *,
        names: Sequence[str] | None = None,
        left_out: dict[str, int] | None = None,
        mask: Callable[[int, int, int], UInt8[np.ndarray, "h w"] | None] | None = None,
        crops: Sequence[Crop] | None = None,
        sizes_px: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        self.folder = folder
        self.left_out = Counter(left_out or {})
        there = _files_there(folder, files)
        labelled = visible[:, :14].sum(1) >= FEWEST_JOINTS if crops is None else np.ones(len(files), bool)
        self.chosen: list[int] = np.flatnonzero(there & labelled).tolist()
        """Which of the rows given are samples."""
        self.left_out += Counter({NO_PICTURE: int((~there).sum())})
        self.left_out += Counter({"fewer than two joints marked": int((there & ~labelled).sum())})
        self.files = [files[i] for i in self.chosen]
        self.names = [Path(files[i]).stem if names is None else names[i] for i in self.chosen]
        self.visible = np.asarray(visible, np.float32)[self.chosen]
        # Places of unknown joints mean nothing: zeros in all sets.
        self.keypoints_px = np.where(self.visible[..., None] > 0, keypoints_px[self.chosen], 0).astype(np.float32)
        self.unlabelled = crops is not None
        """Whether people without joints are meant to be among them."""
        self._mask = mask
        self._sizes = None if sizes_px is None else [sizes_px[i] for i in self.chosen]
        self._crops = None if crops is None else [crops[i] for i in self.chosen]
        super().__init__([len(self.files)])

    def name(self, index: int) -> str:
        """Return what the data set calls a sample."""
        return self.names[index]

    def sample(self, part: int, place: int) -> Sample:
        """Return a person; all are in one part."""
        rgb = self._picture(place)
        keypoints, visible = self.keypoints_px[place], self.visible[place]
        crop = region_from_joints(keypoints[:14], visible[:14] > 0) if self._crops is None else self._crops[place]
        mask = None if self._mask is None else self._mask(self.chosen[place], *rgb.shape[:2])
        return Sample(image=rgb, crop=crop, keypoints_px=keypoints, visible=visible, mask=mask)

    def _picture(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
        """Return a person's picture as stored, or as its annotators saw it where that is known to differ."""
        from PIL import Image, ImageOps

        path = self.folder / self.files[index]
        with Image.open(path) as image:
            wanted = None if self._sizes is None or 0 in self._sizes[index] else self._sizes[index]
            if wanted is not None and image.size != wanted:
                found = image.size
                image = ImageOps.exif_transpose(image)
                if image.size != wanted:
                    raise UserError(f"{path} has {found} pixels where its annotations say {wanted}: it is another one.")
            return np.asarray(image.convert("RGB"))


def _files_there(folder: Path, files: Sequence[str]) -> np.ndarray:
    """Return which files exist; folders are listed once, which is a thousand times faster than asking for each file."""
    listed = {
        parent: {entry.name for entry in (folder / parent).iterdir()} if (folder / parent).is_dir() else set()
        for parent in {Path(file).parent for file in files}
    }
    return np.array([Path(file).name in listed[Path(file).parent] for file in files], bool)
