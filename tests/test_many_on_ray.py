"""Very many pictures on a local Ray cluster of two workers, one of which is killed on the way."""

import os
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

from monobody.predict.manifest import MANIFEST, read_records

PROCESS = Path(__file__).with_name("many_process.py")


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="pip install 'monobody[ray]'")
@pytest.mark.parametrize("pack", [0, 5])
def test_a_killed_worker_loses_nothing_and_doubles_nothing(tmp_path: Path, pack: int) -> None:
    names = [f"p{i:03d}" for i in range(160)]
    (tmp_path / "in").mkdir()
    for name in names:
        (tmp_path / "in" / f"{name}.jpg").write_bytes(b"never read by the toy")
    out, log = tmp_path / "out", tmp_path / "out.log"
    environment = {
        **os.environ,
        "ENGINE": "ray",
        "PYTHONPATH": os.pathsep.join([str(PROCESS.parent), os.environ.get("PYTHONPATH", "")]),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
        "RAY_raylet_start_wait_time_s": "400",
    }
    command = [sys.executable, str(PROCESS), str(tmp_path / "in"), str(out), str(pack), "2", "0.2"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 600
    while not log.exists() or log.read_text().count("\n") < 10:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    victim = int(log.read_text().splitlines()[-1].split()[1])
    os.kill(victim, signal.SIGKILL)
    done = log.read_text().count("\n")
    assert done < len(names)
    output, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors
    assert output.strip().endswith("160 0 0 0"), output
    found = Counter(path.stem for path in out.glob("*.json"))
    for path in out.glob("*.tar"):
        with tarfile.open(path) as tar:
            found.update(name.removesuffix(".json") for name in tar.getnames() if name.endswith(".json"))
    assert found == Counter(names)
    assert Counter(r["name"] for r in read_records(out / MANIFEST) if "name" in r) == Counter(names)
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]
    workers = {line.split()[1] for line in log.read_text().splitlines()}
    assert len(workers) >= 2
    assert str(victim) in workers
