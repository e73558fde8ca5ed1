"""Ray Train: two workers of a local cluster train one network, by the script that the docs show."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from monobody.train.log import read_table

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "train_on_ray.py"


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="pip install 'monobody[ray]'")
def test_two_workers_of_ray_train_one_network(tmp_path):
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
        "RAY_raylet_start_wait_time_s": "400",
    }
    command = [sys.executable, str(SCRIPT), "tiny", "--out", str(tmp_path / "run"), "--workers", "2"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=1500)
    assert result.returncode == 0, result.stderr
    assert read_table(tmp_path / "run" / "train.csv")["step"] == [1, 2, 3, 4]
    assert (tmp_path / "run" / "weights.safetensors").is_file()
