"""Shared fixtures: where development data lies, and a quiet, deterministic torch."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def monobody_data() -> Path:
    """The folder of development data; tests that need it are skipped where it is absent."""
    candidates = [os.environ.get("MONOBODY_DATA"), Path(__file__).resolve().parents[2] / "shared" / "data"]
    for candidate in candidates:
        if candidate and Path(candidate).is_dir():
            return Path(candidate)
    pytest.skip("no development data: set MONOBODY_DATA")
