"""Shared fixtures: where development data lies, one thread a process, and the same random numbers in any order."""

import os
from pathlib import Path

# Before anything reads them: two processes of pytest-xdist, and what tests start, have a core each.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import hypothesis
import pytest
import torch

torch.set_num_threads(1)
# A slow machine is no mistake, and a failure must come back when it is looked at.
hypothesis.settings.register_profile("monobody", deadline=None, derandomize=True)
hypothesis.settings.load_profile("monobody")


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    """What a test draws from torch's own generator does not depend on the tests before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def monobody_data() -> Path:
    """The folder of development data; tests that need it are skipped where it is absent."""
    candidates = [os.environ.get("MONOBODY_DATA"), Path(__file__).resolve().parents[2] / "shared" / "data"]
    for candidate in candidates:
        if candidate and Path(candidate).is_dir():
            return Path(candidate)
    pytest.skip("no development data: set MONOBODY_DATA")
