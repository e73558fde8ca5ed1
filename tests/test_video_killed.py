"""kill -9 in the middle of a video: the same command goes on, and comes to the same bits as a run that was let be."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from monobody.data.clip_scenes import Cast, group
from monobody.render.film import film


@pytest.mark.slow
def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    clip = group(Cast.of(people=1), people=1, seconds=2.8, width_px=320)
    with film(tmp_path / "clip.mp4", clip.width_px, clip.height_px, 25) as writing:
        for time_s, rgb in zip(clip.times_s, clip.pictures(oversampling=1), strict=True):
            writing.add(rgb, float(time_s))

    def command(out: Path) -> list[str]:
        words = ["predict", str(tmp_path / "clip.mp4"), "-o", str(out), "--save", "npz", "--model", "mean-pose"]
        return [sys.executable, "-m", "monobody.cli", *words]

    killed, whole = tmp_path / "killed", tmp_path / "whole"
    part = killed / ".clip.monobody" / "part_0000000.npz"
    running = subprocess.Popen(command(killed), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while not part.exists() and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert part.exists()
    assert not (killed / "clip.npz").exists()
    for out in (killed, whole):
        said = subprocess.run(command(out), capture_output=True, text=True, check=True)
        assert "1 person in 70 frames" in said.stdout
    assert sorted(item.name for item in killed.iterdir()) == ["clip.npz"]
    with np.load(killed / "clip.npz") as first, np.load(whole / "clip.npz") as second:
        assert set(first.files) == set(second.files)
        for name in first.files:
            assert np.array_equal(first[name], second[name]), name
