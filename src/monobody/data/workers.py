"""The same task for many numbers, over several processes: told how far they are, ended when one of them fails.

Workers are plain processes with a pipe each. A worker that is killed closes its pipe, a parent that is killed changes
its children's parent: nobody waits for the dead.
"""

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, cast

from monobody.errors import UserError

Report = Callable[[Any], None]
"""Takes news of a task; what a worker reports is handed to the parent's `report`."""


def run_tasks(
    task: Callable[[int, Report], None], numbers: Sequence[int], *, workers: int, report: Report = lambda news: None
) -> None:
    """Call `task(number, report)` for every number, in `workers` processes (in this one where one is enough).

    `report` runs in this process for whatever the tasks report; where it raises, everything is ended.

    Raises:
        UserError: one that a task raised, or a worker was killed.
    """
    workers = min(workers, len(numbers))
    if workers <= 1:
        for number in numbers:
            task(number, report)
        return
    # Forked workers share what was read already; Windows and macOS cannot fork safely and send it over.
    context = cast(Any, multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn"))
    processes, pipes = [], []
    try:
        for worker in range(workers):
            here, there = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(task, numbers[worker::workers], there, os.getpid()))
            process.start()
            there.close()  # Else the pipe would stay open when the worker dies.
            processes.append(process)
            pipes.append(here)
        _listen(pipes, report)
        for process in processes:
            process.join()
            if process.exitcode:
                raise UserError(
                    "A worker process was ended from outside, most likely for want of memory: run the same command "
                    "again with fewer --workers; what was finished is kept."
                )
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def _listen(pipes: list[Connection], report: Report) -> None:
    """Hand on what workers report until all have closed their pipes."""
    pipes = list(pipes)
    while pipes:
        for pipe in wait(pipes):
            try:
                kind, news = cast(Connection, pipe).recv()
            except (EOFError, OSError):
                pipes.remove(cast(Connection, pipe))
                continue
            if kind == "user error":
                raise UserError(news)
            if kind == "failure":
                raise RuntimeError(f"A worker failed:\n{news}")
            report(news)


def _work(task: Callable[[int, Report], None], numbers: Sequence[int], pipe: Connection, parent: int) -> None:
    """Do a worker's share."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer,
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # which ends its workers so: no temporary file stays.

    def report(news: Any) -> None:
        if os.getppid() != parent:
            sys.exit("The parent process is gone.")
        pipe.send(("news", news))

    try:
        for number in numbers:
            task(number, report)
    except UserError as error:
        pipe.send(("user error", str(error)))
    except Exception:
        pipe.send(("failure", traceback.format_exc()))
    finally:
        pipe.close()
