"""Where in a file we are: the checks that all layouts share, and messages that name the place."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from monobody.data.keypoint_files.joint_orders import BY_COUNT, COUNTS, Order, in_our_set
from monobody.data.keypoint_files.known_people import KnownPerson
from monobody.errors import UserError

LARGEST = 1e9
"""No coordinate or score is as large; infinities and NaN are not smaller either."""
HALF_PX = 0.5
"""Programs that count from the middle of the first pixel call it 0; here it is 0.5."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One place in a file, such as a person."""

    path: Path
    where: str

    def refuse(self, why: str) -> UserError:
        """Return the error to raise."""
        return UserError(f"{self.path}, {self.where}: {why}. docs/fitting.md shows the layouts that are read.")

    def numbers(self, values: Any) -> list[float]:
        """Return a list of finite numbers."""
        good = isinstance(values, list) and all(
            isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < LARGEST for v in values
        )
        if not good:
            raise self.refuse(f"{json.dumps(values, default=str)[:60]} should be finite numbers")
        return [float(v) for v in values]

    def score(self, value: Any) -> float:
        """Return one finite number."""
        return self.numbers([value])[0]

    def box(self, values: Any, *, width_and_height: bool = False) -> tuple[float, ...]:
        """Return x0, y0, x1, y1, from that or from x, y, width, height."""
        numbers = self.numbers(values)
        if len(numbers) != 4:
            raise self.refuse("a box is four numbers")
        x0, y0, x1, y1 = numbers
        if width_and_height:
            x1, y1 = x0 + x1, y0 + y1
        if x1 <= x0 or y1 <= y0:
            raise self.refuse("its box is empty: x1 must exceed x0 and y1 must exceed y0")
        return x0, y0, x1, y1

    def triplets(self, flat: Any) -> list[list[float]]:
        """Return x, y, confidence of each joint from one flat list."""
        numbers = self.numbers(flat)
        if len(numbers) % 3:
            raise self.refuse("its keypoints must be x, y, confidence, one joint after the other")
        return [numbers[i : i + 3] for i in range(0, len(numbers), 3)]

    def order(self, count: int) -> Order:
        """Return what so many unnamed keypoints are."""
        if count not in BY_COUNT:
            raise self.refuse(f"it has {count} keypoints a person, where {COUNTS} can be read")
        return BY_COUNT[count]

    def person(
        self,
        rows: Sequence[Sequence[float]],
        order: Order,
        *,
        score: float = 1.0,
        from_zero: bool = False,
        relative: bool = False,
    ) -> KnownPerson:
        """Return a person by keypoints in an order; ``from_zero``: the middle of the first pixel is 0 in them."""
        if len(rows) != len(order):
            raise self.refuse(f"it has {len(rows)} keypoints and should have {len(order)}")
        if any(len(row) not in (2, 3) for row in rows):
            raise self.refuse("each keypoint must be [x, y] or [x, y, confidence]")
        table = np.array([(*row, 1.0)[:3] for row in rows], np.float64)
        table[:, :2] += HALF_PX if from_zero else 0.0
        table[:, 2] = table[:, 2].clip(0, 1)
        table, set_name = in_our_set(table, order)
        return KnownPerson(keypoints=table, set_name=set_name, score=score, relative=relative)
