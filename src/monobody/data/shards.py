"""Data sets of samples in files: pictures as JPEG beside one table of labels, in a folder or a tar.

    labels.npz       one array per field, one row per sample (see FIELDS; a field that no sample has is left out)
    000000.jpg ...   the pictures
    000000.mask.png  000000.parts.png   the planes, where samples have them and they were asked for

A tar is the same files in one, labels last; any tar tool opens it. Reading is random access either way: a tar's
pictures are read from their offsets, so that a data loader's workers may share it. A set that was cut short, or lacks
pictures or labels, is refused when it is opened; a damaged picture when it is read.
"""

import io
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from monobody.data.chained import Chained
from monobody.data.crop import Crop
from monobody.data.known import SyntheticSample
from monobody.data.sample import Sample
from monobody.errors import UserError
from monobody.files import atomic_write
from monobody.image import MAX_PIXELS

LABELS = "labels.npz"
FIELDS = ("keypoints_px", "visible", "joints_cam_m", "rotations", "betas", "focal_px", "principal_px", "frame_px")
_KNOWN_EXTRAS = ("theta", "translation_m")
_SPACE = "shape_space"


class SampleFiles(Chained):
    """The samples of one or several written data sets, read when asked for."""

    def __init__(self, *paths: str | Path) -> None:
        """Open folders and tars written by :func:`write_samples`.

        Raises:
            UserError: a path is not such a data set.
        """
        self._sources = [_Source(Path(path)) for path in paths]
        super().__init__(len(source.labels["crop"]) for source in self._sources)

    def sample(self, part: int, place: int) -> Sample:
        """Return a data set's sample."""
        return self._sources[part].sample(place)


def write_samples(samples: Iterable[Sample], out: str | Path, *, quality: int = 88, planes: bool = True) -> int:
    """Write samples as a folder, or as one tar where ``out`` ends in .tar; return how many.

    Samples that know more (synthetic ones) are written with all they know when ``planes`` is set, else only what
    training needs.

    Raises:
        UserError: the folder already has a data set, or nothing can be written there.
    """
    out = Path(out)
    if out.suffix == ".tar":
        with atomic_write(out) as temporary, tarfile.open(temporary, "w") as tar:

            def add(name: str, content: bytes) -> None:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))

            return _write(samples, add, quality, planes)
    if (out / LABELS).exists():
        raise UserError(f"{out} already holds a data set: choose another folder, or remove it first.")

    def save(name: str, content: bytes) -> None:
        with atomic_write(out / name) as temporary:
            temporary.write_bytes(content)

    return _write(samples, save, quality, planes)


def encode_jpeg(image: np.ndarray, quality: int) -> bytes:
    """Return a picture as the bytes of a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def stack_labels(samples: Sequence[Sample] | Iterator[Sample], *, everything: bool) -> dict[str, np.ndarray]:
    """Return the labels of samples as one array a field; missing ones are NaN rows."""
    return _stack([_labels(sample, everything) for sample in samples])


def sample_from(image: np.ndarray, labels: dict[str, np.ndarray], row: int, **planes: np.ndarray | None) -> Sample:
    """Put a sample together from its picture and its row of the labels."""

    def field(name: str) -> Any:
        value = labels[name][row] if name in labels else None
        return None if value is None or np.isnan(value).any() else value

    x, y, size, angle = (float(value) for value in labels["crop"][row])
    # What lies under a joint that is not visible means nothing, and may be NaN.
    known: dict[str, Any] = {name: labels[name][row] for name in ("keypoints_px", "visible")}
    known |= {name: field(name) for name in FIELDS if name not in known}
    for name in ("focal_px", "principal_px", "frame_px"):
        if known[name] is not None:
            numbers = tuple(float(value) for value in np.atleast_1d(known[name]))
            known[name] = numbers[0] if name == "focal_px" else numbers
    if _SPACE in labels:
        known[_SPACE] = str(labels[_SPACE][row])
    known |= {"image": image, "crop": Crop((x, y), size, angle), **planes}
    if "theta" not in labels:
        return Sample(**known)
    sets = [name.removeprefix("px.") for name in labels if name.startswith("px.")]
    return SyntheticSample(
        **known,
        theta=field("theta"),
        translation_m=field("translation_m"),
        keypoints={name: (labels[f"px.{name}"][row], labels[f"cam_m.{name}"][row]) for name in sets},
    )


def _write(samples: Iterable[Sample], add: Any, quality: int, planes: bool) -> int:
    rows = []
    for number, sample in enumerate(samples):
        add(f"{number:06d}.jpg", encode_jpeg(sample.image, quality))
        for name, plane in (("mask", sample.mask), ("parts", sample.parts)):
            if planes and plane is not None:
                buffer = io.BytesIO()
                Image.fromarray(plane).save(buffer, "PNG")
                add(f"{number:06d}.{name}.png", buffer.getvalue())
        rows.append(_labels(sample, planes))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **_stack(rows))
    add(LABELS, buffer.getvalue())
    return len(rows)


def _labels(sample: Sample, everything: bool) -> dict[str, np.ndarray]:
    crop = sample.crop
    row = {"crop": np.array([*crop.centre_px, crop.size_px, crop.angle_rad])}
    row |= {name: np.asarray(value) for name in FIELDS if (value := getattr(sample, name)) is not None}
    if sample.shape_space != "monobody":
        row[_SPACE] = np.asarray(sample.shape_space)
    if everything and isinstance(sample, SyntheticSample):
        row |= {name: np.asarray(getattr(sample, name)) for name in _KNOWN_EXTRAS}
        for name, (points_px, joints_m) in sample.keypoints.items():
            row |= {f"px.{name}": points_px, f"cam_m.{name}": joints_m}
    return row


def _stack(rows: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    shapes = {name: value.shape for row in rows for name, value in row.items() if name != _SPACE}
    stacked = {
        name: np.stack([np.asarray(row.get(name, np.full(shape, np.nan)), np.float32) for row in rows])
        for name, shape in shapes.items()
    }
    if any(_SPACE in row for row in rows):
        stacked[_SPACE] = np.array([str(row.get(_SPACE, "monobody")) for row in rows])
    return stacked


class _Source:
    """One folder or tar, its labels in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places: dict[str, tuple[int, int]] | None = None
        try:
            if path.suffix == ".tar":
                with tarfile.open(path) as tar:
                    self._places = {entry.name: (entry.offset_data, entry.size) for entry in tar}
            with np.load(io.BytesIO(self._bytes(LABELS)), allow_pickle=False) as file:
                self.labels = {name: file[name] for name in file.files}
            self._check_labels()
        except Exception as error:  # Archives of damaged bytes raise nearly anything.
            raise UserError(
                f"{path} is not a data set of samples, or is damaged or cut short: it needs pictures and {LABELS} "
                f"({error}). Write it again, or take it out of the folder."
            ) from error
        there = set(self._places or (entry.name for entry in path.iterdir()))
        lacking = [row for row in range(len(self.labels["crop"])) if f"{row:06d}.jpg" not in there]
        if lacking:
            raise UserError(
                f"{path} lacks {len(lacking)} of its {len(self.labels['crop'])} pictures, {lacking[0]:06d}.jpg first: "
                "copy it again, or write the data set again."
            )

    def sample(self, row: int) -> Sample:
        planes = {name: self._picture(f"{row:06d}.{name}.png", "L") for name in ("mask", "parts")}
        image = self._picture(f"{row:06d}.jpg", "RGB")
        if image is None:
            raise UserError(f"{self.path} lacks the picture {row:06d}.jpg: write the data set again.")
        return sample_from(image, self.labels, row, **planes)

    def _check_labels(self) -> None:
        """Raise KeyError or ValueError where the labels are not those of one set."""
        shapes = {name: array.shape for name, array in self.labels.items()}
        rows = shapes["crop"][0]
        for name, shape in {"crop": (rows, 4), "keypoints_px": (rows, 19, 2), "visible": (rows, 19)}.items():
            if shapes[name] != shape:
                raise ValueError(f"{name} of the shape {shapes[name]}")
        uneven = [name for name, shape in shapes.items() if shape[:1] != (rows,)]
        if uneven:
            raise ValueError(f"{uneven[0]} of another length")

    def _bytes(self, name: str) -> bytes:
        if self._places is None:
            return (self.path / name).read_bytes()
        offset, size = self._places[name]
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def _picture(self, name: str, mode: str) -> np.ndarray | None:
        known = (self.path / name).exists() if self._places is None else name in self._places
        if not known:
            return None
        try:
            picture = Image.open(io.BytesIO(self._bytes(name)))
            if picture.width * picture.height > MAX_PIXELS:
                raise ValueError(f"{picture.width} x {picture.height} pixels")
            return np.asarray(picture.convert(mode))
        except Exception as error:  # Damaged bytes make decoders raise nearly anything.
            raise UserError(f"{self.path}: {name} is damaged ({error}). Write the data set again.") from error
