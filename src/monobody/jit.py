"""Compile loops with numba and keep the machine code between runs, wherever the package is installed.

numba stores compiled code beside the source, or in the user's cache folder where the source is read-only. Where
neither can be written (a container without a home, say) it raises while the module is imported; such machines then
compile once per process instead.
"""

from collections.abc import Callable
from typing import Any

from numba import njit

# Infinities mark empty pixels and NaN marks broken vertices: of LLVM's fast-math licences, only those are taken that
# leave both alone ("nnan" and "ninf" are not among them) and that may merge a product and a sum into one instruction.
SAFE_FASTMATH = {"contract", "arcp", "nsz"}


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator like ``numba.njit(cache=True, **options)`` that also works without a writable cache.

    Errors of the caller (division by zero) follow numpy's rule, which lets LLVM vectorise.
    """
    options = {"error_model": "numpy", **options}

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:
            return njit(**options)(function)

    return decorate
