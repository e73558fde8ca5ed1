"""Pictures per second of a run over many, and memory: ``python benchmarks/many_pictures.py [--pictures 60]``.

Whole runs of `monobody predict` over one tar, results packed into tars, with one and two workers, with both small
models. The time to start, a few seconds a worker, is left out: it is from the first to the last line of the manifest
that the rate is counted. Memory is the largest resident set of any process, after a third of the pictures and at the
end: it does not grow. A last line lists 100,000 pictures of tars without doing them: time and memory of that alone.

On a busy machine rates say little; the processor's time for each picture is printed beside them.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from PIL import Image

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "astronaut.jpg"
LISTING = """
import resource, sys, time
from pathlib import Path
from monobody.predict.gather import collect_tasks
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
tasks, _ = collect_tasks([sys.argv[1]], Path(sys.argv[2]))
print(len(tasks), time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--models", default="lift,hmr-small")
    count = parser.parse_args().pictures
    print(f"{os.cpu_count()} cores, {count} pictures of 512 x 512 with a person each")
    print(f"{'model':12s}{'workers':>8s}{'pictures/s':>12s}{'CPU s each':>12s}{'MB at 1/3':>11s}{'MB at end':>11s}")
    with tempfile.TemporaryDirectory() as folder:
        path = write_tar(Path(folder) / "in.tar", [turned(i) for i in range(count)])
        for model in parser.parse_args().models.split(","):
            for workers in (1, 2):
                out = Path(folder) / f"{model}-{workers}"
                rate, cpu, early, late = run(path, out, model, workers, count)
                print(f"{model:12s}{workers:8d}{rate:12.2f}{cpu:12.2f}{early:11.0f}{late:11.0f}", flush=True)
        for number in range(10):
            write_tar(Path(folder) / f"many/{number:03d}.tar", [b"x" * 1000] * 10_000)
        command = [sys.executable, "-c", LISTING, str(Path(folder) / "many"), folder]
        number, seconds, kilobytes = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        print(f"listing {int(number):,} pictures in 10 tars: {float(seconds):.1f} s, {float(kilobytes) / 1e3:.0f} MB")


def turned(number: int) -> bytes:
    """Return the sample, turned a little, so that no two pictures are one."""
    buffer = io.BytesIO()
    Image.open(SAMPLE).convert("RGB").rotate(number % 20 - 10).save(buffer, "jpeg", quality=90)
    return buffer.getvalue()


def write_tar(path: Path, pictures: list[bytes]) -> Path:
    """Write pictures as WebDataset has them."""
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for number, content in enumerate(pictures):
            entry = tarfile.TarInfo(f"{number:08d}.jpg")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


def run(path: Path, out: Path, model: str, workers: int, count: int) -> tuple[float, float, float, float]:
    """Return pictures a second, processor seconds for each, and the largest resident set early and late, MB."""
    command = [sys.executable, "-m", "monobody.cli", "predict", str(path), "-o", str(out), "--save", "json"]
    command += ["--model", model, "--workers", str(workers), "--pack", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    lines: list[tuple[int, float, float, float]] = []
    seconds: dict[str, float] = {}
    while process.poll() is None:
        done = finished(out / "manifest.jsonl")
        if done and (not lines or lines[-1][0] != done):
            memory = used(process.pid, seconds)
            lines.append((done, time.perf_counter(), sum(seconds.values()), memory))
        time.sleep(0.05)
    (first, start, cpu_start, _), (last, end, cpu_end, _) = lines[0], lines[-1]
    early = max(memory for done, _, _, memory in lines if done <= count / 3)
    late = max(memory for done, _, _, memory in lines if done > 2 * count / 3)
    return (last - first) / (end - start), (cpu_end - cpu_start) / (last - first), early, late


def finished(manifest: Path) -> int:
    """Return how many pictures a manifest names."""
    if not manifest.exists():
        return 0
    return sum('"picture"' in line for line in manifest.read_text().splitlines() if json.loads(line))


def used(parent: int, seconds: dict[str, float]) -> float:
    """Note the processor seconds of a process and its children by their ids; return their largest resident set, MB.

    Of a worker that has left, what was noted last still counts.
    """
    # Each thread lists the children that it started itself.
    children = [pid for listed in Path(f"/proc/{parent}/task").glob("*/children") for pid in listed.read_text().split()]
    largest = 0.0
    for pid in (str(parent), *children):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        seconds[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        resident = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")]
        largest = max(largest, (resident or [0])[0] / 1e3)
    return largest


if __name__ == "__main__":
    main()
