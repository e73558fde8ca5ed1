"""Fits held to thresholds: which become labels, which are dropped, and why; files keep both, to be looked at.

What a fit is measured by is known without truth: how far its joints are from the evidence, how people pose, and how
far the body is from the one that the same evidence gives from another network's start.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from monobody.data.crop import Crop
from monobody.data.sample import Sample
from monobody.errors import UserError
from monobody.files import atomic_write


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """n fitted people as arrays, with everything they are judged by."""

    names: np.ndarray
    """What the data set calls each."""
    index: np.ndarray
    """Their places in it."""
    rotations: np.ndarray
    """n, 24, 3, 3: in the picture's camera frame."""
    betas: np.ndarray
    translation_m: np.ndarray
    joints_cam_m: np.ndarray
    """n, 14, 3: LSP's joints before the assumed camera."""
    reprojection: np.ndarray
    """Mean distance of keypoints from the body's over the person's size."""
    worst: np.ndarray
    """The largest of a clicked joint, over the person's size."""
    prior_nats: np.ndarray
    beyond_limits: np.ndarray
    """Share of joints bent beyond their limits."""
    overlap_m: np.ndarray
    apart_mm: np.ndarray
    """Mean distance of LSP's joints from those of the fit from the other start, middle of the hips aligned."""
    exchanged: np.ndarray
    """Whether the clicks have left and right exchanged, as the detector sees it."""
    same_person: np.ndarray
    """Whether the detector looked at the person who was clicked."""
    marked: np.ndarray
    """How many joints were clicked."""

    @staticmethod
    def load(path: str | Path) -> "Judged":
        """Read fits that were kept.

        Raises:
            UserError: the file is none of ours.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                return Judged(**{field.name: file[field.name] for field in fields(Judged)})
        except Exception as error:  # Archives of damaged bytes raise nearly anything.
            raise UserError(f"{path} holds no fits: {error}. Delete it, and run again: it is made anew.") from error

    def save(self, path: str | Path) -> None:
        """Write all arrays as one npz file."""
        with atomic_write(path, suffix=".npz") as temporary:
            np.savez_compressed(temporary, allow_pickle=False, **{f.name: getattr(self, f.name) for f in fields(self)})

    @staticmethod
    def together(parts: Sequence["Judged"]) -> "Judged":
        """Return several as one, in the order of the data set."""
        columns = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Judged)}
        order = np.argsort(columns["index"], kind="stable")
        return Judged(**{name: values[order] for name, values in columns.items()})

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """What a fit must keep to be a label. The numbers: `docs/fitting.md`, pseudo-labels."""

    fewest_marked: int = 10
    reprojection: float = 0.03
    worst: float = 0.1
    prior_nats: float = 60.0
    beyond_limits: float = 0.0
    overlap_m: float = 0.06
    apart_mm: float = 80.0

    def reasons(self, fits: Judged) -> dict[str, np.ndarray]:
        """Return, for every reason to drop a fit, to which of them it applies; several may to one."""
        return {
            "left and right exchanged by those who clicked": fits.exchanged.astype(bool),
            "the detector looks at somebody else": ~fits.same_person.astype(bool),
            f"fewer than {self.fewest_marked} joints marked": fits.marked < self.fewest_marked,
            f"joints off by more than {100 * self.reprojection:g} % of the person's size on average": ~(
                fits.reprojection <= self.reprojection
            ),
            f"a joint off by more than {100 * self.worst:g} %": ~(fits.worst <= self.worst),
            f"a pose of less than {self.prior_nats:g} nats": ~(fits.prior_nats >= self.prior_nats),
            f"more than {100 * self.beyond_limits:g} % of the joints beyond their limits": ~(
                fits.beyond_limits <= self.beyond_limits
            ),
            f"a body more than {100 * self.overlap_m:g} cm in itself": ~(fits.overlap_m <= self.overlap_m),
            f"fits from two starts more than {self.apart_mm:g} mm apart": ~(fits.apart_mm <= self.apart_mm),
        }

    def kept(self, fits: Judged) -> np.ndarray:
        """Return which fits nothing speaks against."""
        return ~np.any(list(self.reasons(fits).values()), axis=0)

    def first_reasons(self, fits: Judged) -> list[str]:
        """Return for each fit the first reason to drop it, in the order of `reasons`; empty for those kept."""
        names, applies = zip(*self.reasons(fits).items(), strict=True)
        table = np.stack(applies)
        return [names[int(row.argmax())] if row.any() else "" for row in table.T]

    def counts(self, fits: Judged) -> dict[str, int]:
        """Return how many are dropped for each first reason."""
        found = Counter(reason for reason in self.first_reasons(fits) if reason)
        return {name: found[name] for name in self.reasons(fits)}


class Named(Protocol):
    """A data set whose samples have names."""

    def __getitem__(self, index: int, /) -> Sample: ...
    def name(self, index: int) -> str:
        """Return what the data set calls a sample."""
        ...


class Labelled(Sequence[Sample]):
    """The samples whose fits are kept, with the bodies of the fits as labels.

    2D joints stay as they were clicked. The shape is no label: a fit to 2D joints knows no more about it than that
    people are of middle size. Nor is the focal length, which was assumed.

    Args:
        samples: what was fitted.
        fits: their fits.
        thresholds: which are kept.
        crops: the detector's regions by name; samples without one keep their own.
    """

    def __init__(self, samples: Named, fits: Judged, thresholds: Thresholds, crops: Mapping[str, Crop]) -> None:
        self.samples = samples
        self.fits = fits
        self.crops = crops
        self.rows: list[int] = np.flatnonzero(thresholds.kept(fits)).tolist()
        self.left_out = thresholds.counts(fits)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> Sample:  # pyright: ignore[reportIncompatibleMethodOverride]
        row = self.rows[number]
        sample = self.samples[int(self.fits.index[row])]
        return replace(
            sample,
            crop=self.crops.get(self.name(number), sample.crop),
            joints_cam_m=self.fits.joints_cam_m[row],
            rotations=self.fits.rotations[row],
            betas=None,
        )

    def name(self, number: int) -> str:
        """Return what the data set calls a sample."""
        return str(self.fits.names[self.rows[number]])
