"""How long a model takes for one person whose place in the picture is given, as HMR's table 4 has it.

One person at a time, from the given crop to the body before the camera; whoever finds people is not counted, so that
networks that start from the detector's landmarks have only what comes behind these.
"""

import platform
import statistics
import time
from pathlib import Path

import torch

from monobody.evaluate.answers import seen_of
from monobody.evaluate.protocol import EvaluationSet
from monobody.predict.predictor import Predictor

PEOPLE, WARM_UP = 20, 3


def seconds_a_person(predictor: Predictor, people: EvaluationSet) -> float:
    """Return the median over the first people of a set; the first few calls are not counted."""
    seen = [seen_of(predictor, people, number) for number in range(min(PEOPLE, len(people.names)))]
    for _ in range(WARM_UP):
        predictor.people_in(seen[:1])
    times = []
    for each in seen:
        began = time.perf_counter()
        predictor.people_in([each])
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def machine(device: torch.device) -> str:
    """Return what a time was taken on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_processor()}, {torch.get_num_threads()} threads"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
