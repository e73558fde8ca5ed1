"""The order of training rows: exact shares, every sample once a pass, any row at any time."""

from collections import Counter

import pytest

from monobody.data.order import PERIOD, Order
from monobody.errors import UserError


def test_every_sample_comes_once_in_a_pass():
    order = Order([2, 1], [100, 7], seed=3)
    visits = [order[row] for row in range(PERIOD + 500)]
    for source, length in ((0, 100), (1, 7)):
        seen = [sample for which, sample in visits if which == source]
        for start in range(0, len(seen) - length, length):
            assert sorted(seen[start : start + length]) == list(range(length))
        assert seen[:length] != seen[length : 2 * length], "passes differ"


def test_endless_sources_count_on():
    order = Order([0.3, 0.7], [None, None], seed=0)
    for source in (0, 1):
        seen = [sample for which, sample in map(order.__getitem__, range(PERIOD * 2 + 1000)) if which == source]
        assert seen == list(range(len(seen)))


def test_short_runs_hold_their_shares():
    shares = [0.35, 0.4, 0.1, 0.15]
    order = Order(shares, [None] * 4, seed=0)
    for start in (0, PERIOD - 50, 10**9):
        counts = Counter(order[row][0] for row in range(start, start + 100))
        for source, share in enumerate(shares):
            assert abs(counts[source] - 100 * share) <= 3


@pytest.mark.slow
def test_rows_do_not_depend_on_what_was_asked_before():
    order = Order([1, 2], [1000, 77], seed=5)
    forward = [order[row] for row in range(5000)]
    backward = [Order([1, 2], [1000, 77], seed=5)[row] for row in range(4999, 4000, -1)]
    assert backward == forward[:4000:-1]
    assert forward != [Order([1, 2], [1000, 77], seed=6)[row] for row in range(5000)]


def test_tiny_shares_are_still_visited():
    order = Order([1, 1e-9], [None, None], seed=0)
    assert sum(order[row][0] for row in range(PERIOD)) == 1


def test_an_empty_source_is_refused():
    with pytest.raises(UserError, match="empty"):
        Order([1, 1], [4, 0], seed=0)
    with pytest.raises(UserError, match="empty"):
        Order([], [], seed=0)


def test_views_of_a_moment_stay_together():
    order = Order([1, 1], [40, 9], seed=2, together=[4, 1])
    seen = [sample for which, sample in map(order.__getitem__, range(400)) if which == 0]
    for start in range(0, 160, 4):
        assert seen[start : start + 4] == list(range(seen[start], seen[start] + 4))
        assert seen[start] % 4 == 0
    for start in range(0, 160, 40):
        assert sorted(seen[start : start + 40]) == list(range(40))
    assert seen[:40] != list(range(40))
    assert [order[row] for row in range(400) if order[row][0]] == [
        each for each in map(Order([1, 1], [40, 9], seed=2).__getitem__, range(400)) if each[0]
    ]
    with pytest.raises(UserError, match="does not consist of groups of 4"):
        Order([1], [41], seed=0, together=[4])
