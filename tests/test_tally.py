"""Exact sums: the same bits for any order, batches and processes; repeated samples once, missing ones named."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tally_process import SAMPLES, Poses, measured, write
from torch.utils.data import DataLoader

from monobody.errors import UserError
from monobody.metrics import Tally, exact_sum

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e200, max_value=1e200)


@given(st.lists(NUMBERS, max_size=30))
def test_sums_are_those_of_fractions(terms: list[float]) -> None:
    assert float(exact_sum(np.array(terms))) == float(sum(map(Fraction, terms), Fraction(0)))


@given(st.lists(NUMBERS, min_size=1, max_size=20), st.randoms(), st.integers(1, 6))
def test_order_and_sharing_change_no_bit(terms: list[float], random, parts: int) -> None:
    whole = Tally(len(terms))
    whole.add(range(len(terms)), error=np.array(terms))
    order = list(range(len(terms)))
    random.shuffle(order)
    shared = Tally(len(terms))
    for part in range(parts):
        index = order[part::parts]
        # Some samples twice, as samplers give them to have equally many everywhere.
        index = index + index[: random.randrange(2)]
        shared.add(index, error=np.array([terms[number] for number in index]))
    for name in ("sum", "mean"):
        one, two = (getattr(tally.total().whole(), name)("error") for tally in (whole, shared))
        assert one.tobytes() == two.tobytes()


def test_a_plain_sum_would_show_the_order() -> None:
    """Without this the test above would prove nothing."""
    terms = np.array([1e16, 1.0, -1e16, 1.0])
    assert sum(terms.tolist()) != sum(sorted(terms.tolist()))
    assert exact_sum(terms) == exact_sum(np.sort(terms)) == 2


def test_arrays_of_any_shape_and_whole_numbers() -> None:
    values = np.random.default_rng(0).normal(size=(7, 2, 3)) * 1e10
    np.testing.assert_allclose(exact_sum(values), values.sum(0))
    counts = np.random.default_rng(0).integers(0, 2**40, (7, 3, 3))
    tally = Tally(7)
    tally.add(torch.arange(7), counts=torch.from_numpy(counts), right=counts[:, 0, 0] > 2**39)
    total = tally.total()
    np.testing.assert_array_equal(total.sum("counts"), counts.sum(0))
    assert total.sum("counts").dtype == np.int64
    assert total.sum("right") == (counts[:, 0, 0] > 2**39).sum()
    np.testing.assert_allclose(total.mean("counts"), counts.mean(0))
    # float32 is widened before it is added up.
    assert exact_sum(np.full(3, 0.1, np.float32)) == 3 * float(np.float32(0.1))


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_not_finite_shows(broken: float) -> None:
    tally = Tally(3)
    tally.add([0, 1, 2], error=np.array([1.0, broken, 2.0]))
    np.testing.assert_equal(tally.total().mean("error"), broken)
    assert np.isnan(exact_sum(np.array([np.inf, -np.inf])))


def test_a_repeated_sample_counts_once_in_any_order() -> None:
    """It may differ in its last bits, having been in another batch; which is kept does not hang on who came first."""
    slightly = np.nextafter(5.0, 6.0)
    sums = set()
    for first, second in ((5.0, slightly), (slightly, 5.0)):
        tally = Tally(2)
        tally.add([0, 1], error=np.array([first, 1.0]))
        tally.add([0], error=np.array([second]))
        total = tally.total()
        assert total.index.tolist() == [0, 1]
        sums.add(float(total.sum("error")))
    assert sums == {6.0}


@pytest.mark.parametrize("second", [7.0, np.nan])
def test_a_sample_measured_twice_differently_is_refused(second: float) -> None:
    tally = Tally(2)
    tally.add([0, 1], error=np.array([5.0, 1.0]))
    tally.add([0], error=np.array([second]))
    with pytest.raises(UserError, match="Sample 0 was measured twice, and error is not the same"):
        tally.total()


def test_missing_samples_are_named() -> None:
    tally = Tally(12)
    tally.add([5, 3, 4], error=np.array([5.0, 3.0, 4.0]))
    total = tally.total()
    assert total.values["error"].tolist() == [3, 4, 5]
    assert total.mean("error") == 4
    with pytest.raises(UserError, match=r"Only 3 of 12 samples were measured; missing: 0, 1, 2, 6, 7, \.\.\."):
        total.whole()
    with pytest.raises(UserError, match="Only 0 of 1"):
        Tally(1).total().whole()


def test_an_empty_set_has_no_mean() -> None:
    tally = Tally(0)
    tally.add([], error=np.zeros(0))
    assert tally.total().whole().sum("error") == 0
    assert np.isnan(tally.total().mean("error"))


@pytest.mark.parametrize(
    ("index", "values", "said"),
    [
        ([3], {"error": np.zeros(1)}, "There is no sample 3: the set has samples 0 to 2"),
        ([-1], {"error": np.zeros(1)}, "There is no sample -1"),
        ([0, 1], {"error": np.zeros(3)}, r"error has the shape \(3,\), but 2 samples were named"),
        ([0], {"error": np.float64(1)}, r"error has the shape \(\), but 1 samples"),
        ([0], {"others": np.zeros(1)}, "the same values: error, not others"),
    ],
)
def test_what_is_refused(index: list[int], values: dict, said: str) -> None:
    tally = Tally(3)
    tally.add([2], error=np.zeros(1))
    with pytest.raises(UserError, match=said):
        tally.add(index, **values)


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> Path:
    """What two processes found that met by gloo."""
    folder = tmp_path_factory.mktemp("tally")
    program = Path(__file__).parent / "tally_process.py"
    command = [sys.executable, str(program)]
    running = [
        subprocess.Popen([*command, str(rank), "2", str(folder), "shared,idle,other"], env=ENVIRONMENT)
        for rank in (0, 1)
    ]
    assert [process.wait(timeout=300) for process in running] == [0, 0]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("case", ["shared", "idle"])
def test_two_processes_find_the_bits_of_one(together: Path, tmp_path: Path, case: str) -> None:
    """Each with half of the samples and one twice, in other batches; or all with one of them, the other idle."""
    write(measured(DataLoader(Poses(), batch_size=SAMPLES)).total(), tmp_path / "alone.npz")
    alone = np.load(tmp_path / "alone.npz")
    assert {"sum_pa_mm", "mean_joints_mm", "sum_counts"} <= set(alone)
    for rank in (0, 1):
        theirs = np.load(together / f"{case}_{rank}.npz")
        assert set(theirs) == set(alone)
        for name in alone:
            assert theirs[name].tobytes() == alone[name].tobytes(), name


@pytest.mark.slow
def test_processes_that_measure_different_things_are_refused(together: Path) -> None:
    for rank in (0, 1):
        assert "different things" in (together / f"other_{rank}.txt").read_text(encoding="utf-8")
