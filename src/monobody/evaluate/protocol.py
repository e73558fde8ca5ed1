"""What a number means: whose pictures, which joints, how aligned, and the table that comes of it.

A protocol states everything that a reader has to know before two numbers may be compared. Measuring a model by it gives
a :class:`Result`: one or more rows of our own, every person's errors for the figures, and the rows that others have
published beside them.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from monobody.data.sample import Sample
from monobody.evaluate.predictions import Predictions

Choice = Literal["only", "confident", "best whole pose", "best per joint"]
"""Which of a model's hypotheses counts; the two best ones are chosen by an oracle that knows the truth."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One kind of number in a table."""

    key: str
    """Name in JSON, such as `mpjpe_mm`."""
    heading: str
    """Name for readers, unit included, such as "MPJPE mm"."""
    better: Literal["lower", "higher"]
    digits: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One method's numbers."""

    method: str
    numbers: Mapping[str, float | None]
    """By the columns' keys; None or missing where it was not measured, or not published."""
    hypotheses: int = 1
    choice: Choice = "only"
    ours: bool = False
    source: str = ""
    """Published rows: paper and table. Ours: model, its terms, and whatever else decided the number."""

    @property
    def oracle(self) -> bool:
        """Whether the truth chose among the hypotheses."""
        return self.choice in ("best whole pose", "best per joint")


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationSet:
    """The people of a protocol, in order, and what is known of them."""

    samples: Sequence[Sample]
    """Pictures and regions; read when asked for."""
    names: tuple[str, ...]
    truth: Mapping[str, np.ndarray]
    """Whatever the protocol's measure compares with, first axis people, such as `joints_cam_m` (n, k, 3)."""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Labels by which numbers are also broken down, one for each person: `{"activity": (...), "sequence": (...)}`."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Why people of the set are not among these, and how many."""
    lacking: tuple[str, ...] = ()
    """What is missing of the data set here, in sentences; it is measured all the same only where that is asked for."""
    boxes_px: Float[np.ndarray, "n 4"] | None = None
    """Where each person is looked for, by those models that look; about the sample's visible joints where None."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a protocol measured."""

    protocol: "Protocol"
    rows: tuple[Row, ...]
    """Our rows; the first is the one that the figures show."""
    count: int
    """People measured; never fewer than the test set has."""
    partial: str = ""
    """Why these are not the people whom the protocol wants, a sentence that every output shows; "" where they are."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    errors: Mapping[str, Float[np.ndarray, " n"]] = field(default_factory=dict)
    """Every person's value of the columns that persons have, in the order of `names`; NaN where there is none."""
    joint_errors: Mapping[str, Float[np.ndarray, " n"]] = field(default_factory=dict)
    """Every person's error of each joint, by the joint's name, in `joint_unit`."""
    joint_unit: str = "mm"
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    breakdown: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    """`{"activity": {"Walking": {"mpjpe_mm": ..., "count": ...}}}`, pooled within each group."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else decided the numbers: device, seconds, thresholds, versions."""
    options: tuple[str, ...] = ()
    """Words of the command line behind the protocol's name that give this result again."""

    @property
    def command(self) -> str:
        """The command that gives this result again."""
        return shlex.join(["monobody", "evaluate", self.protocol.name, *self.options])


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """What is measured on whom, stated to the last detail; `evaluate/protocols.py` has them all by name."""

    name: str
    """As the command line has it."""
    title: str
    variant: str = ""
    """Which of several protocols of that name; "" where there is but one."""
    people: str
    """Which subjects, clips, cameras and frames."""
    joints: str
    """The joint set, and how a prediction's joints come from its body (which regressor)."""
    joint_set: str = "lsp14"
    """Which of `body.skeleton.SKELETONS` a model is asked for."""
    root: str
    """Which point is laid upon which, or "none"."""
    alignment: str
    """What is aligned before each number is taken."""
    boxes: str
    """Where a model is told to look: whose boxes or keypoints."""
    columns: tuple[Column, ...]
    headline: str
    """Key of the column by which people are sorted in figures."""
    expected: int | None
    """People, as published; None where nobody has stated a number."""
    open: Callable[[Path | None], EvaluationSet]
    """Opens the data set at its root; None for what is shipped."""
    measure: Callable[["Protocol", EvaluationSet, Predictions], Result]
    published: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()
    """Traps: which other variants exist under the same name, and how their numbers differ."""

    def statement(self) -> dict[str, str]:
        """Return the details in the order in which they are printed."""
        return ({"variant": self.variant} if self.variant else {}) | {
            "people": self.people,
            "joints": self.joints,
            "root": self.root,
            "alignment": self.alignment,
            "boxes": self.boxes,
            "expected": "not stated" if self.expected is None else f"{self.expected:,}",
        }
