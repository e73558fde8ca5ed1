"""Photos and clips that visitors sent: each in a folder of its own, one after the other, and removed again."""

import contextlib
import os
import secrets
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from monobody.errors import UserError
from monobody.web.kinds import Kind
from monobody.web.limits import Limits
from monobody.web.worker import FAILED, Made, News

State = Literal["waiting", "running", "done", "failed"]
_SWEEP_S = 30.0
FREE_MB = 500.0
"""So much of the disk is left to everybody else."""


class Does(Protocol):
    """What does a job: a worker."""

    def run(self, kind: Kind, source: Path, folder: Path, news: News, stopped: Callable[[], bool]) -> Made: ...

    def stop(self) -> None: ...


@dataclass(slots=True)
class Job:
    """One photo or clip."""

    id: str
    """Nobody guesses it: who knows it may see the result."""
    kind: Kind
    folder: Path
    source: Path
    state: State = "waiting"
    progress: float = 0.0
    message: str = ""
    people: int = 0
    files: tuple[str, ...] = ()
    created_s: float = field(default_factory=time.time)
    ended_s: float | None = None
    removed: bool = False


class Full(Exception):
    """There is no room now, but there will be."""


class Jobs:
    """All jobs of a server. Its folder belongs to it alone, and goes when it is closed."""

    def __init__(self, folder: Path, limits: Limits, worker: Does) -> None:
        self.folder, self.limits, self._worker = folder, limits, worker
        self._jobs: dict[str, Job] = {}
        self._queue: deque[Job] = deque()
        self._coming_mb: dict[Path, float] = {}
        """How large the uploads will be that are on their way, by their folders."""
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def make_room(self, expected_mb: float | None = None) -> None:
        """Remove what is too old, then the oldest results until there is room for another upload of that size.

        Raises:
            Full: the queue is full, or the disk.
        """
        needed_mb = self.limits.upload_mb if expected_mb is None else expected_mb
        with self._changed:
            self._remove_old()
            ended = sorted((job for job in self._jobs.values() if job.ended_s), key=lambda job: job.created_s)
            if len(self._queue) >= self.limits.waiting:
                raise Full(f"{len(self._queue)} jobs are waiting already: try again in some minutes.")
            for job in [*ended, None]:
                # What uploads on their way have yet to bring is taken already.
                coming_mb = sum(max(0.0, mb - _size_mb(folder)) for folder, mb in self._coming_mb.items()) + needed_mb
                free_mb = shutil.disk_usage(self.folder).free / 1e6 - FREE_MB
                if _size_mb(self.folder) + coming_mb <= self.limits.disk_mb and free_mb >= coming_mb:
                    return
                if job is not None:
                    self._forget(job)
            raise Full("The server's disk is full: try again in some minutes.")

    def new_folder(self, expected_mb: float | None = None) -> Path:
        """Make a folder for an upload of that size, and keep room for it; its name will be the job's id.

        Whoever asks for one hands it to :meth:`add` or :meth:`drop`.

        Raises:
            Full: the queue is full, or the disk.
        """
        with self._changed:
            self.make_room(expected_mb)
            folder = self.folder / secrets.token_hex(16)
            folder.mkdir(mode=0o700)
            self._coming_mb[folder] = self.limits.upload_mb if expected_mb is None else expected_mb
        return folder

    def drop(self, folder: Path) -> None:
        """Remove the folder of an upload that came to nothing."""
        with self._changed:
            self._coming_mb.pop(folder, None)
        shutil.rmtree(folder, ignore_errors=True)

    def add(self, kind: Kind, folder: Path, source: Path) -> Job:
        """Put a file into the queue.

        Raises:
            Full: too many are waiting.
        """
        job = Job(id=folder.name, kind=kind, folder=folder, source=source)
        with self._changed:
            if len(self._queue) >= self.limits.waiting:
                raise Full(f"{len(self._queue)} jobs are waiting already: try again in some minutes.")
            self._coming_mb.pop(folder, None)
            self._jobs[job.id] = job
            self._queue.append(job)
            self._changed.notify()
        return job

    def get(self, name: str) -> Job | None:
        """Return the job of an id, if there is one."""
        return self._jobs.get(name)

    def place(self, job: Job) -> int:
        """Return how many jobs come before this one."""
        with self._changed:
            before = self._queue.index(job) if job in self._queue else 0
            return before + any(one.state == "running" for one in self._jobs.values() if one is not job) * (
                job.state == "waiting"
            )

    def remove(self, job: Job) -> None:
        """Stop a job and remove all of it."""
        with self._changed:
            self._forget(job)

    def close(self) -> None:
        """Stop everything and remove the folder."""
        with self._changed:
            self._closed = True
            for job in list(self._jobs.values()):
                self._forget(job)
            self._changed.notify()
        self._thread.join(timeout=10)
        self._worker.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _remove_old(self) -> None:
        oldest_s = time.time() - 60 * self.limits.keep_minutes
        for job in list(self._jobs.values()):
            if job.ended_s is not None and job.ended_s < oldest_s:
                self._forget(job)

    def _forget(self, job: Job) -> None:
        job.removed = True
        self._jobs.pop(job.id, None)
        if job in self._queue:
            self._queue.remove(job)
        if job.state != "running":  # A running one is removed when it has stopped.
            shutil.rmtree(job.folder, ignore_errors=True)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed, timeout=_SWEEP_S)
                if self._closed:
                    return
                self._remove_old()
                if not self._queue:
                    continue
                job = self._queue.popleft()
                job.state = "running"
            self._do(job)

    def _do(self, job: Job) -> None:
        def news(progress: float, message: str) -> None:
            job.progress, job.message = progress, message

        state: State = "failed"
        try:
            made = self._worker.run(job.kind, job.source, job.folder, news, lambda: job.removed)
            job.people, job.files, job.message, state = made.people, made.files, "", "done"
        except UserError as error:
            job.message = str(error)
        except Exception:  # Whatever happens to one job, the next is done.
            job.message = FAILED
        with self._changed:
            job.progress, job.ended_s, job.state = 1.0, time.time(), state
            job.source.unlink(missing_ok=True)
            if job.removed:
                shutil.rmtree(job.folder, ignore_errors=True)


def _size_mb(folder: Path) -> float:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(root, name)).st_size
    return total / 1e6
