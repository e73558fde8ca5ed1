"""A run over many pictures as a process of its own, with a model that takes a moment: for tests that kill it.

    python many_process.py PICTURES OUT PACK WORKERS SECONDS

Every picture that is done is also noted in OUT.log, with the process that did it. With ENGINE=ray it runs on Ray. A
picture called "killer" kills its worker.
"""

import json
import os
import resource
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from monobody.errors import UserError
from monobody.predict import many
from monobody.predict.gather import collect_tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class ToySettings(many.Settings):
    """Settings whose workers load no model."""

    seconds: float = 0.0

    def start(self):
        return ToyWorker(self)

    def run(self):
        return {"model": "toy", "kinds": list(self.kinds), "packed": self.packed}


class ToyWorker(many.Worker):
    """Predicts who is called what."""

    def __init__(self, settings: ToySettings):
        self._settings = settings

    def _predict(self, task):
        time.sleep(self._settings.seconds)
        if "killer" in task.name:
            os.kill(os.getpid(), signal.SIGKILL)
        if "failing" in task.name:
            raise ValueError("strange")
        with Path(f"{self._settings.out}.log").open("a") as log:
            log.write(f"{task.name} {os.getpid()}\n")
        people = [] if "nobody" in task.name else [1]
        content = json.dumps({"name": task.name, "padding": "x" * 2000})
        return SimpleNamespace(people=people, save=lambda path: save(content, path))


def save(content, path):
    """Write a result as the real ones are written."""
    from monobody.files import atomic_write

    with atomic_write(path) as temporary:
        temporary.write_text(content)


def main():
    pictures, out, pack, workers, seconds = sys.argv[1:6]
    if len(sys.argv) > 6:  # No file of this process and its workers may become larger.
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[6]),) * 2)
    Path(out).mkdir(exist_ok=True)
    tasks, _ = collect_tasks([pictures], Path(out), packed=pack != "0")
    settings = ToySettings(out=out, kinds=("json", "npz"), packed=pack != "0", seconds=float(seconds))
    engine = many.on_this_machine
    if os.environ.get("ENGINE") == "ray":
        from monobody.predict.on_ray import on_ray

        engine = on_ray
    try:
        tally = many.run_many(tasks, settings, workers=int(workers), pack=int(pack), engine=engine)
    except UserError as error:
        sys.exit(f"monobody: {error}")
    print(tally.done, tally.before, tally.empty, tally.failed, flush=True)


if __name__ == "__main__":
    main()
