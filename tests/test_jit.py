"""Compiled loops: they work without a cache, and keep infinities and NaN."""

import numpy as np

from monobody.jit import SAFE_FASTMATH, compiled


def test_code_without_a_place_to_cache_is_compiled_all_the_same() -> None:
    # numba raises for functions whose file it cannot find, as it does where neither source nor home can be written.
    names = {"compiled": compiled}
    exec("@compiled()\ndef double(x):\n    return 2 * x\n", names)
    assert names["double"](21) == 42


@compiled(fastmath=SAFE_FASTMATH)
def _nearest(values, start):
    best = start
    for value in values:
        if value < best:
            best = value
    return best, best == np.inf, best != best


def test_fast_arithmetic_keeps_infinities_and_nan() -> None:
    nothing = np.array([np.nan, np.inf, np.nan], np.float32)
    assert _nearest(nothing, np.float32(np.inf)) == (np.inf, True, False)
    assert _nearest(np.array([np.nan, 3], np.float32), np.float32(np.inf)) == (3, False, False)
    assert _nearest(nothing, np.float32(np.nan))[2]


def test_division_by_zero_follows_numpy() -> None:
    @compiled()
    def divide(a, b):
        return a / b

    assert divide(1.0, 0.0) == np.inf
