"""Results for tests: hand-made numbers of people who need no network, and people who can be drawn."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from monobody.data.crop import Crop
from monobody.data.sample import Sample
from monobody.evaluate.predictions import Predictions
from monobody.evaluate.protocol import Column, Protocol, Result, Row


def column() -> Column:
    return Column(key="mpjpe_mm", heading="MPJPE mm", better="lower")


def published() -> tuple[Row, ...]:
    return (
        Row(method="Theirs, 2018", numbers={"mpjpe_mm": 87.97, "pck_percent": None}, source="their paper, table 2"),
        Row(
            method="Others, 2019", numbers={"pck_percent": 77.1}, hypotheses=5, choice="best whole pose",
            source="their paper, table 3",
        ),
    )  # fmt: skip


def protocol(**changes: Any) -> Protocol:
    """A protocol of two numbers."""

    def never(*_: Any) -> Any:
        raise AssertionError("nothing is opened or measured here")

    stated: dict[str, Any] = {
        "name": "toy",
        "title": "Toy people",
        "people": "S9 and S11, every fifth frame",
        "joints": "14 joints by the H36M-17 regressor",
        "root": "mid-hips",
        "alignment": "root",
        "boxes": "the data set's",
        "columns": (column(), Column(key="pck_percent", heading="PCK %", better="higher", digits=2)),
        "headline": "mpjpe_mm",
        "expected": 6980,
        "open": never,
        "measure": never,
        "published": published(),
        "notes": ("Other variants are called the same.",),
    }
    return Protocol(**(stated | changes))


def result(errors: Sequence[float], **changes: Any) -> Result:
    """A result of so many people; the first two walk, the breakdown is of those alone."""
    count = len(errors)
    values = np.array(errors, np.float64)
    row = {"mpjpe_mm": float(np.nanmean(values)) if np.isfinite(values).any() else math.nan, "pck_percent": 50.0}
    wrist = np.array([30.0, 60.0, 90.0, math.nan, *[math.nan] * count])[:count]
    stated: dict[str, Any] = {
        "protocol": protocol(),
        "rows": (Row(method="ours", numbers=row, ours=True, source="hmr, Apache-2.0"),),
        "count": count,
        "left_out": {"no face is seen": 3},
        "names": tuple(f"person {index}" for index in range(count)),
        "errors": {"mpjpe_mm": values},
        "joint_errors": {"wrist": wrist, "nobody's": np.full(count, math.nan)},
        "groups": {"activity": tuple("Walking" if index < 2 else "Sitting" for index in range(count))},
        "breakdown": {"activity": {"Walking": {"mpjpe_mm": 100.0, "count": 2}}},
        "facts": {"device": "cpu", "weights": None},
    }
    return Result(**(stated | changes))


def people(count: int, *, seed: int = 0) -> tuple[list[Sample], Predictions]:
    """Grey pictures with joints at random, and predicted joints near them: enough to be drawn."""
    rng = np.random.default_rng(seed)
    samples, found = [], []
    for _ in range(count):
        joints = rng.normal((0, 0, 4), 0.35, (14, 3))
        keypoints = np.zeros((19, 2))
        keypoints[:14] = joints[:, :2] / joints[:, 2:] * 300 + 48
        samples.append(
            Sample(
                image=rng.integers(90, 130, (96, 96, 3), dtype=np.uint8),
                crop=Crop((48.0, 48.0), 90.0, 0.4),
                keypoints_px=keypoints,
                visible=np.r_[np.ones(14), np.zeros(5)],
                joints_cam_m=joints,
            )
        )
        found.append(joints + rng.normal(0, 0.05, joints.shape))
    metres = np.array(found)[:, None].astype(np.float32)
    return samples, Predictions(
        model="toy",
        terms="none",
        names=tuple(f"person {index}" for index in range(count)),
        joint_set="lsp14",
        joints_cam_m=metres,
        joints_px=metres[..., :2] / metres[..., 2:] * 300 + 48,
    )
