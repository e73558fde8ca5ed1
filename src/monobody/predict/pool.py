"""Worker processes that may die: each is given one unit of work at a time, and replaced when it is killed.

A unit whose worker died is given to another. The part of it at which workers die twice is left out from then on, so
that one picture that fells its decoder does not end a run over a hundred thousand. A worker whose parent is gone ends
at once, whatever it is doing.
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol, TypeVar, cast

from monobody.errors import UserError

Unit = TypeVar("Unit", contravariant=True)
FATAL = 2
"""So many deaths at one part of a unit and it is left out."""
DEATHS_IN_A_ROW = 20
"""So many more without a finished unit in between and it is not the units' fault."""


class Work(Protocol[Unit]):
    """What a worker does: a unit, without some of its parts, telling which part it begins."""

    def __call__(self, unit: Unit, left_out: frozenset[int], begin: Callable[[int], None], /) -> Any: ...


@dataclass(slots=True)
class _Job:
    unit: Any
    deaths: dict[int, int] = field(default_factory=dict)

    def left_out(self) -> frozenset[int]:
        return frozenset(part for part, times in self.deaths.items() if times >= FATAL)


@dataclass(slots=True)
class _Worker:
    process: Any
    pipe: Connection
    job: _Job | None = None
    part: int | None = None


def run_units(start: Callable[[], Work[Unit]], units: Sequence[Unit], *, workers: int) -> Generator[Any]:
    """Yield what the work makes of each unit, as it is finished, in no order.

    Args:
        start: called once in every worker, new processes that share nothing; gives the work. It is pickled.
        units: pickled too. What a worker leaves half-written when it is killed is the caller's to remove.
        workers: how many processes.

    Raises:
        UserError: one that the work raised, or workers die whatever they do.
    """
    todo = deque(_Job(unit) for unit in units)
    # Not forked: torch and OpenVINO have threads, and what these hold would stay locked in a fork for ever.
    context = multiprocessing.get_context("spawn")
    team = [_hire(context, start) for _ in range(min(workers, len(todo)))]
    deaths = 0
    try:
        while team:
            for pipe in wait([worker.pipe for worker in team]):
                worker = next(each for each in team if each.pipe is pipe)
                try:
                    kind, news = worker.pipe.recv()
                except (EOFError, OSError):
                    deaths += 1
                    if deaths >= FATAL * workers + DEATHS_IN_A_ROW:
                        raise UserError(
                            f"Worker processes were ended from outside {deaths} times in a row, most likely for want "
                            "of memory: run the same command again with fewer --workers; what was finished is kept."
                        ) from None
                    team.remove(worker)
                    _dismiss(worker)
                    if worker.job is not None:
                        part = worker.part or 0
                        worker.job.deaths[part] = worker.job.deaths.get(part, 0) + 1
                        todo.appendleft(worker.job)
                    if todo:
                        team.append(_hire(context, start))
                    continue
                if kind == "begin":
                    worker.part = news
                    continue
                if kind == "user error":
                    raise UserError(news)
                if kind == "failure":
                    raise RuntimeError(f"A worker failed:\n{news}")
                if kind == "done":
                    deaths = 0
                    worker.job = None
                    yield news
                if todo:
                    worker.job, worker.part = todo.popleft(), None
                    _send(worker, (worker.job.unit, worker.job.left_out()))
                else:
                    team.remove(worker)
                    _dismiss(worker)
            while todo and len(team) < min(workers, len(todo)):  # After a death when the others had left already.
                team.append(_hire(context, start))
    finally:
        for worker in team:
            worker.process.kill()
        for worker in team:
            _dismiss(worker)


def _hire(context: Any, start: Callable[[], Work[Any]]) -> _Worker:
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(start, there), daemon=True)
    process.start()
    there.close()  # Else the pipe would stay open when the worker dies.
    return _Worker(process, here)


def _send(worker: _Worker, message: Any) -> None:
    with suppress(OSError):  # It has just died; its closed pipe tells the rest.
        worker.pipe.send(message)


def _dismiss(worker: _Worker) -> None:
    worker.pipe.close()
    worker.process.join()


def _serve(start: Callable[[], Work[Any]], pipe: Connection) -> None:
    """Work until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(OSError, EOFError):  # The parent closes the pipe when there is nothing more to do.
        try:
            work = start()
            pipe.send(("ready", None))
            while True:
                unit, left_out = pipe.recv()
                pipe.send(("done", work(unit, left_out, lambda part: pipe.send(("begin", part)))))
        except UserError as error:
            pipe.send(("user error", str(error)))
        except (OSError, EOFError):
            raise
        except Exception:
            pipe.send(("failure", traceback.format_exc()))


def _end_with_parent() -> None:
    parent = cast(Any, multiprocessing.parent_process())
    wait([parent.sentinel])
    os._exit(1)
