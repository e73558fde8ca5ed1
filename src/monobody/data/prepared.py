"""Prepared data sets: shards of pictures and labels, and a manifest that says what they are and what is missing.

    manifest.json          name, split, licence, counts (written, found, expected), what was skipped and why, the shards
    index.npy              where in the shards each sample lies: random access without opening every tar
    NAME-000000.tar ...    KEY.jpg, KEY.json and, where there is one, KEY.mask.png for each sample

The tars are WebDataset's: any tar tool and any loader reads them. A picture is cut to the surroundings of its person
and shrunk to what training looks at; labels, camera and the whole picture's frame are moved along (`data/sample.py`).
"""

import io
import json
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from monobody.data.chained import Chained
from monobody.data.crop import Crop
from monobody.data.sample import Sample
from monobody.errors import UserError

FORMAT = "monobody prepared 1"
MANIFEST, INDEX = "manifest.json", "index.npy"
MEMBERS = ("json", "jpg", "mask.png")
_ARRAYS = ("keypoints_px", "visible", "joints_cam_m", "rotations", "betas")
_CAMERA = ("focal_px", "principal_px", "frame_px", "shape_space")


class Prepared(Chained):
    """The samples of a prepared data set, each read from its shard when it is asked for.

    Nothing is kept open between reads: worker processes may share it, however they were started.

    Args:
        folder: holds manifest.json, index.npy and the shards.

    Raises:
        UserError: the folder is no prepared set, or a shard is missing or cut short.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        try:
            self.shards = [self.folder / Path(shard["file"]).name for shard in self.manifest["shards"]]
            sizes = [int(shard["bytes"]) for shard in self.manifest["shards"]]
            remedy = _remedy(self.manifest)
            self.places = np.load(self.folder / INDEX, mmap_mode="r", allow_pickle=False)
            if self.places.shape != (self.manifest["count"], 1 + 2 * len(MEMBERS)) or not _within(self.places, sizes):
                raise ValueError("its numbers do not fit the shards")
        except Exception as error:  # Files of damaged bytes are nearly anything.
            raise UserError(
                f"{MANIFEST} or {INDEX} in {self.folder} is missing or damaged ({type(error).__name__}: {error}). "
                "Run `monobody prepare` again as it was run for this folder: whole shards are kept."
            ) from error
        wrong = [
            path.name
            for path, size in zip(self.shards, sizes, strict=True)
            if not path.is_file() or path.stat().st_size != size
        ]
        if wrong:
            raise UserError(f"{self.folder} lacks, or has cut short: {', '.join(wrong)}. {remedy}")
        self.together = int(self.manifest.get("together", 1))
        """How many neighbouring samples are views of one moment (`data/moments.py`)."""
        super().__init__([len(self.places)])

    def sample(self, part: int, place: int) -> Sample:
        """Return a sample; the index says which shard it lies in, so that all are in one part."""
        shard, contents = self._contents(place)
        try:
            return sample_of(contents)
        except Exception as error:  # Damaged bytes make decoders raise nearly anything.
            raise UserError(f"{shard} is damaged at sample {place} ({error}). {_remedy(self.manifest)}") from error

    def name(self, index: int) -> str:
        """Return what the original data set calls a sample."""
        return str(json.loads(self._contents(index)[1]["json"])["name"])

    def damaged(self) -> list[str]:
        """Read all shards through and return the names of those that are not what was written."""
        from monobody.files import sha256_of

        pairs = zip(self.shards, self.manifest["shards"], strict=True)
        return [path.name for path, shard in pairs if sha256_of(path) != shard["sha256"]]

    def _contents(self, index: int) -> tuple[Path, dict[str, bytes]]:
        """Return a sample's shard, and its members' bytes."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        number, *spans = (int(value) for value in self.places[index])
        contents = {}
        try:
            with self.shards[number].open("rb") as file:
                for member, offset, size in zip(MEMBERS, spans[::2], spans[1::2], strict=True):
                    if size:
                        file.seek(offset)
                        contents[member] = file.read(size)
        except OSError as error:
            raise UserError(f"{self.shards[number]} cannot be read: {error}. {_remedy(self.manifest)}") from error
        return self.shards[number], contents


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """Return the manifest of a prepared set.

    Raises:
        UserError: there is none, or one of another kind.
    """
    path = Path(folder) / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        known = manifest["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder} holds no prepared data set: {MANIFEST} is missing or damaged. Write one with "
            "`monobody prepare NAME --root DIR --out DIR`; a run that was stopped goes on where it was."
        ) from error
    if not known:
        raise UserError(f"{path} is of the format '{manifest['format']}', not '{FORMAT}': prepare the set again.")
    return manifest


def members_of(sample: Sample, name: str, quality: int) -> dict[str, bytes]:
    """Return a sample as the files of a shard, by their suffixes."""
    labels: dict[str, Any] = {
        "name": name,
        "crop": _plain([*sample.crop.centre_px, sample.crop.size_px, sample.crop.angle_rad]),
    }
    # JSON has no NaN, which some write where a joint is unknown.
    known = replace(sample, keypoints_px=np.where(sample.visible[:, None] > 0, sample.keypoints_px, 0))
    for field in (*_ARRAYS, *_CAMERA):
        value = getattr(known, field)
        if value is not None:
            labels[field] = value if isinstance(value, str) else _plain(value)
    members = {"jpg": _encoded(sample.image, "JPEG", quality=quality)}
    if sample.mask is not None:
        members["mask.png"] = _encoded(sample.mask, "PNG")
    members["json"] = json.dumps(labels, allow_nan=False, separators=(",", ":")).encode()
    return members


def sample_of(members: dict[str, bytes]) -> Sample:
    """Return the sample that :func:`members_of` took apart."""
    labels = json.loads(members["json"])
    x, y, size, angle = labels["crop"]
    known: dict[str, Any] = {name: np.asarray(labels[name], np.float32) for name in _ARRAYS if name in labels}
    known |= {name: labels[name] for name in _CAMERA if name in labels}
    known |= {name: tuple(known[name]) for name in ("principal_px", "frame_px") if name in known}
    image = np.asarray(Image.open(io.BytesIO(members["jpg"])).convert("RGB"))
    mask = np.asarray(Image.open(io.BytesIO(members["mask.png"]))) if "mask.png" in members else None
    return Sample(image=image, crop=Crop((x, y), size, angle), mask=mask, **known)


def index_of(shards: Iterable[Path]) -> np.ndarray:
    """Return, for every sample, its shard's number and each member's offset and size (0 where it has none)."""
    rows: list[list[int]] = []
    for number, path in enumerate(shards):
        last = None
        with tarfile.open(path) as tar:
            for entry in tar:
                key, _, member = entry.name.partition(".")
                if key != last:
                    rows.append([number] + [0] * (2 * len(MEMBERS)))
                    last = key
                place = 1 + 2 * MEMBERS.index(member)
                rows[-1][place : place + 2] = entry.offset_data, entry.size
    return np.array(rows, np.int64).reshape(-1, 1 + 2 * len(MEMBERS))


def _within(places: np.ndarray, sizes: Sequence[int]) -> bool:
    """Tell whether an index points into its shards, sample after sample."""
    shards, starts, ends = places[:, 0], places[:, 1::2], places[:, 1::2] + places[:, 2::2]
    if not len(places) or shards.min() < 0 or shards.max() >= len(sizes) or (places < 0).any():
        return not len(places)
    first = np.where(places[:, 2::2] > 0, starts, np.iinfo(np.int64).max).min(1)
    follows = (np.diff(shards) > 0) | ((np.diff(shards) == 0) & (first[1:] > ends[:-1].max(1)))
    return bool((ends <= np.asarray(sizes)[shards][:, None]).all() and follows.all())


def _remedy(manifest: dict[str, Any]) -> str:
    return (
        f"Run `monobody prepare {manifest['name']}` again as it was run (--split {manifest['split']}, the same --out): "
        "whole shards are kept, the others are written again. Or copy the file again from where it is whole."
    )


def _plain(values: Any) -> Any:
    """Turn numbers into lists of floats as short as single precision allows."""
    array = np.asarray(values, np.float64)
    flat = np.array([float(f"{value:.8g}") for value in array.ravel()])
    return flat.reshape(array.shape).tolist()


def _encoded(image: np.ndarray, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, form, **options)
    return buffer.getvalue()
