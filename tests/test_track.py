"""Who is who: people on paper, read by a landmark network that sees their colours; and pairs of least cost."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from street import COLOURS, CROSSING, Path, detector, landmarks_at, picture, places, read

from monobody.predict import track
from monobody.predict.assign import pairs_of_least_cost
from monobody.predict.looks import Looks, looks_of
from monobody.predict.track import Sighting, Tracker


@pytest.fixture(autouse=True)
def _paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(track, "read_region", read)


def walked(paths: Sequence[Path], frames: int, every: int = 6) -> list[dict[int, int]]:
    """Follow people; return for each frame the id under which each person went."""
    tracker, rows = Tracker(detector, every), []
    for frame in range(frames):
        seen = tracker(picture(paths, frame), frame / 25, frame)
        here = places(paths, frame)

        def whom(one: Sighting, here: dict[int, tuple[float, float]] = here) -> int:
            return min(here, key=lambda person: abs(here[person][0] - one.region.centre_px[0]))

        rows.append({whom(one): one.id for one in seen})
    return rows


def test_people_who_cross_keep_their_ids() -> None:
    rows = walked(CROSSING, 60)
    for person in (0, 1):
        assert {row[person] for row in rows if person in row} == {person}
    assert sum(len(row) for row in rows) > 100
    assert all(len(rows[frame]) == 2 for frame in (0, 10, 59))


def test_who_leaves_and_comes_back_elsewhere_is_known_again() -> None:
    def leaves(frame: int) -> tuple[float, float] | None:
        if frame < 20:
            return 500 + 6 * frame, 200.0
        return None if frame < 100 else (60 + 3.0 * (frame - 100), 210.0)

    rows = walked([lambda frame: (300.0, 200.0), leaves], 130)
    assert {row[1] for row in rows if 1 in row} == {1}
    assert 1 in rows[0]
    assert 1 not in rows[60]
    assert 1 in rows[129]


def test_a_stranger_is_not_taken_for_who_left() -> None:
    rows = walked(
        [
            lambda frame: (300.0, 200.0),
            lambda frame: (520.0, 200.0) if frame < 20 else None,
            lambda frame: (80.0, 200.0) if frame >= 90 else None,
        ],
        110,
    )
    assert {row[2] for row in rows if 2 in row} == {2}


def test_who_comes_later_is_found_at_the_next_look() -> None:
    rows = walked([lambda frame: (100.0, 200.0), lambda frame: (400.0, 200.0) if frame > 7 else None], 20)
    assert next(frame for frame, row in enumerate(rows) if 1 in row) == 12


def test_a_tracker_that_remembers_goes_on_alike() -> None:
    """What follows depends on what was remembered, and on nothing else."""

    def go(tracker: Tracker, frames: range, out: list[tuple[list[Sighting], int, bool]]) -> None:
        for frame in frames:
            out.append((tracker(picture(CROSSING, frame), frame / 25, frame), frame, tracker.searched == frame))

    whole: list[tuple[list[Sighting], int, bool]] = []
    go(Tracker(detector, 6), range(60), whole)
    second = Tracker(detector, 6)
    for seen, frame, searched in whole[:27]:
        second.remember(seen, frame / 25, frame, searched=searched)
    rest: list[tuple[list[Sighting], int, bool]] = []
    go(second, range(27, 60), rest)
    for (first, _, a), (again, _, b) in zip(whole[27:], rest, strict=True):
        assert a == b
        assert [one.id for one in first] == [one.id for one in again]
        assert [one.region for one in first] == [one.region for one in again]


def test_pairs_cost_least() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        rows, columns = generator.integers(1, 7, 2)
        cost = generator.normal(size=(rows, columns))
        best = cost[linear_sum_assignment(cost)].sum()
        pairs = pairs_of_least_cost(cost)
        assert len(pairs) == min(rows, columns)
        assert sum(cost[pair] for pair in pairs) == pytest.approx(best)
        cost[generator.random(cost.shape) < 0.4] = np.inf
        assert all(np.isfinite(cost[pair]) for pair in pairs_of_least_cost(cost))
    assert pairs_of_least_cost(np.full((2, 2), np.inf)) == []
    assert pairs_of_least_cost(np.zeros((0, 3))) == []


def test_as_many_pairs_as_can_be() -> None:
    """The cheap pair would leave the others alone."""
    assert pairs_of_least_cost(np.array([[0.0, 9.0], [1.0, np.inf]])) == [(0, 1), (1, 0)]


def test_looks_tell_people_apart() -> None:
    shots = {}
    for person in range(2):
        rgb = np.full((360, 640, 3), 128, np.uint8)
        rgb[130:270, 280:330] = COLOURS[person]
        shots[person] = looks_of(rgb, landmarks_at(305, 200), np.full(33, 0.9))
    assert shots[0].distance(shots[0]) == pytest.approx(0)
    apart = shots[0].distance(shots[1])
    assert apart is not None
    assert apart > 0.3
    blind = Looks(np.zeros((6, 3)), np.zeros(6))
    assert shots[0].distance(blind) is None
    assert shots[0].joined(blind, 0.5).distance(shots[0]) == pytest.approx(0)
    assert blind.joined(shots[1], 0.1).distance(shots[1]) == pytest.approx(0)
