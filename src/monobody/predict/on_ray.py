"""Very many pictures on the machines of a Ray cluster: Ray Data hands units to workers, and replaces those that die.

The output folder has to be seen by all machines under one path. Results are made as in `predict/many.py`; the machine
that started the run names tars and writes the manifest.
"""

import json
import pickle
import traceback
from collections.abc import Generator, Sequence
from typing import Any

from monobody.errors import UserError
from monobody.predict.gather import Task
from monobody.predict.manifest import Record
from monobody.predict.many import Settings

TRIES = 3
"""So often a unit whose worker died is given to another; then its pictures count as failed."""
PICTURES_IN_BLOCK = 16
"""So many pictures, where each is a unit, are handed out at once: Ray takes milliseconds for each."""


class RayWorker:
    """A worker as Ray Data wants it: made once in a process, called with batches."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._work: Any = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Do the units of a batch; mistakes are part of the answer, since Ray is to take deaths alone for errors."""
        news: list[Any] = []
        try:
            self._work = self._work or self._settings.start()
            for unit in batch["unit"]:
                news.append(self._work(pickle.loads(unit)))
        except UserError as error:
            news.append({"user error": str(error)})
        except Exception:
            news.append({"failure": traceback.format_exc()})
        return {"news": [json.dumps(each) for each in news]}


def on_ray(
    settings: Settings, units: Sequence[Sequence[Task]], workers: int
) -> Generator[tuple[str | None, list[Record]]]:
    """Do the units on a Ray cluster: the one of $RAY_ADDRESS, or one that is started here.

    Raises:
        UserError: Ray is not installed, no cluster answers, or a worker found a mistake.
    """
    try:
        import ray  # pyright: ignore[reportMissingImports]
        import ray.data  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(f"--engine ray needs {error.name}: pip install 'monobody[ray]'.") from error
    if not units:
        return
    started = not ray.is_initialized()
    try:
        if started:
            ray.init(log_to_driver=False, logging_level="ERROR")
    except Exception as error:  # Ray raises nearly anything, also bare exceptions.
        reason = " ".join(str(error).split())
        raise UserError(f"No Ray cluster can be reached or started ({reason}): see docs/scale.md.") from error
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.max_errored_blocks = -1  # What is lost with a worker is noted below, and the rest goes on.
        blocks = max(workers, len(units) // max(1, PICTURES_IN_BLOCK // max(1, len(units[0]))))
        rows = ray.data.from_items(
            [{"unit": pickle.dumps(unit)} for unit in units], override_num_blocks=min(len(units), blocks)
        )
        answers = rows.map_batches(
            RayWorker,  # pyright: ignore[reportArgumentType]
            fn_constructor_args=(settings,),
            batch_size=None,
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_gpus=1 if settings.device.startswith("cuda") else 0,
            max_restarts=-1,
            max_task_retries=TRIES,
        )
        missing = {task.picture: task for unit in units for task in unit}
        for answer in answers.iter_rows():
            news = json.loads(answer["news"])
            if "user error" in news:
                raise UserError(news["user error"])
            if "failure" in news:
                raise RuntimeError(f"A worker failed:\n{news['failure']}")
            tar, records = news
            for record in records:
                missing.pop(record["picture"], None)
            yield tar, records
        if missing:
            reason = f"its workers died {TRIES} times and more, perhaps over another picture: run again."
            yield None, [{"picture": task.picture, "name": task.name, "failed": reason} for task in missing.values()]
    finally:
        if started:
            ray.shutdown()
