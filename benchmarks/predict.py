"""How long prediction takes, and how much memory: ``python benchmarks/predict.py``.

Warm: the median over several calls in one process, the people already found, for one person and for four at once:
cutting out, network, turning back, joints in every set. Beside it the network alone, the detector, and the overlay.
``hmr-resnet50`` has random weights here, which take as long as trained ones. Cold: whole processes, up to the files.

On a busy machine wall time says little; the processor's time over all threads is printed beside it.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from monobody.body.model import Body
from monobody.image import read_image
from monobody.models.hmr import build_model
from monobody.predict.detect import find_detector
from monobody.predict.estimate import PixelEstimator
from monobody.predict.predictor import Predictor, choose_camera

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "astronaut.jpg"
CALLS = 5
WATCH = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
wall, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
print(wall, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def main() -> None:
    """Print everything."""
    print(f"{os.cpu_count()} cores, torch {torch.__version__} with {torch.get_num_threads()} threads\n")
    print(f"{'warm, ms':44s}{'wall':>8s}{'processor':>11s}")
    warm()
    print(f"\n{'cold, s':44s}{'wall':>8s}{'processor':>11s}{'memory, MB':>12s}")
    monobody = [sys.executable, "-m", "monobody.cli"]
    cold("monobody --help", [*monobody, "--help"])
    with tempfile.TemporaryDirectory() as folder:
        predict = [*monobody, "predict", str(SAMPLE), "-o", folder, "--overwrite"]
        for times in ("first", "again"):
            cold(f"monobody predict PHOTO, {times}", predict)
        cold("monobody predict PHOTO --detector whole", [*predict, "--detector", "whole"])


def warm() -> None:
    """Time the parts of a prediction in this process."""
    body, picture = Body.load(), read_image(SAMPLE)
    height, width = picture.rgb.shape[:2]
    camera = choose_camera(width, height)
    found = find_detector("whole")(picture.rgb)
    for name in ("hmr-small", "hmr-resnet50"):
        network = build_model(name)
        predictor = Predictor(PixelEstimator(network, torch.device("cpu")), body, model=name, terms="-")
        for count in (1, 4):
            label = f"{name}, {count} {'person' if count == 1 else 'people'}"
            people = found * count
            timed(label, lambda p=predictor, f=people: p.people(picture.rgb, f, camera))
            images = torch.rand(count, 3, network.input_size, network.input_size)
            timed("  of it the network", lambda n=network, i=images: forward(n, i))
    scene = predictor(picture.rgb, detector="whole")
    timed("finding people in 512 x 512", lambda: find_detector("blazepose")(picture.rgb))
    timed("overlay, 1 person", scene.overlay)
    with tempfile.TemporaryDirectory() as folder:
        timed("GLB, 1 person", lambda: scene.save(Path(folder) / "scene.glb"))


def forward(network: torch.nn.Module, images: torch.Tensor) -> None:
    """Run a network as prediction does."""
    with torch.inference_mode():
        network(images)


def timed(label: str, call: Callable[[], object]) -> None:
    """Print the medians of wall and processor time of a call, after a first one that compiles."""
    call()
    walls, processors = [], []
    for _ in range(CALLS):
        wall, processor = time.perf_counter(), time.process_time()
        call()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    print(f"{label:44s}{1e3 * statistics.median(walls):8.1f}{1e3 * statistics.median(processors):11.1f}")


def cold(label: str, command: list[str]) -> None:
    """Print wall time, processor time and peak memory of a process."""
    # A process starts with its parent's peak, so a small one stands between, and tells what its only child took.
    result = subprocess.run([sys.executable, "-c", WATCH, *command], capture_output=True, text=True, check=True)
    wall, processor, memory = (float(number) for number in result.stdout.split())
    print(f"{label:44s}{wall:8.2f}{processor:11.2f}{memory / (1e6 if sys.platform == 'darwin' else 1e3):12.0f}")


if __name__ == "__main__":
    main()
