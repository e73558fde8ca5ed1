"""The process that predicts for the server: it holds the model, and may be killed without hurting the server."""

import contextlib
import errno
import io
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import Any

from monobody.errors import UserError
from monobody.web.kinds import Kind
from monobody.web.limits import Limits

Loader = Callable[[], Any]
"""Makes the predictor, in the worker's own process."""
News = Callable[[float, str], None]
"""Told how much is done, 0 to 1, and what is being done."""

STARTING_S = 300.0
FAILED = "This file made the model fail: try another picture."
FULL = "The server's disk is full: try again in some minutes."


@dataclass(frozen=True, slots=True)
class Made:
    """What a job gave."""

    people: int
    files: tuple[str, ...]
    """Names of the files in the job's folder, for visitors."""


def loader_of(model: str | None, device: str, *, lift: bool = False) -> Loader:
    """Return what loads the model of that name; ``lift`` makes bodies of the skeletons of those that give skeletons.

    Raises:
        UserError: there is no such model.
    """
    from monobody.hub import DEFAULT_MODEL, find_weights

    if model != "mean-pose":  # Which has no weights.
        find_weights(model or DEFAULT_MODEL)
    return partial(_load, model, device, lift)


def _load(model: str | None, device: str, lift: bool) -> Any:
    import numpy as np
    from PIL import Image

    import monobody.web.viewer  # noqa: F401
    from monobody.predict.predictor import load
    from monobody.web.shipped import example

    predictor = load(model, device=device, lift=lift)
    # Some things are made ready only when the first picture comes: better now than when a visitor waits.
    with Image.open(io.BytesIO(example("one"))) as picture:
        predictor(np.asarray(picture))
    return predictor


class Worker:
    """Runs one job at a time in a process of its own; a job that takes too long is killed with it.

    Args:
        loader: makes the predictor; it is sent to the process.
        limits: of each job.
    """

    def __init__(self, loader: Loader, limits: Limits) -> None:
        self.loader, self.limits = loader, limits
        self._process: Any = None
        self._pipe: Any = None

    def start(self) -> None:
        """Start the process and wait until it has its model.

        Raises:
            UserError: the model cannot be loaded.
        """
        self.stop()
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, self.loader, self.limits), daemon=True)
        self._process.start()
        theirs.close()
        word, *rest = self._next(monotonic() + STARTING_S)
        if word != "ready":
            raise UserError(rest[0] if word == "error" else "The model's process stopped while it started.")

    def run(self, kind: Kind, source: Path, folder: Path, news: News, stopped: Callable[[], bool]) -> Made:
        """Do one job.

        Args:
            kind: what the file is.
            source: the file.
            folder: where results go.
            news: told of progress.
            stopped: asked now and then whether the job is wanted no more.

        Raises:
            UserError: it cannot be done, took too long, or was stopped.
        """
        if self._process is None or not self._process.is_alive():
            self.start()
        self._pipe.send((kind, source, folder))
        end = monotonic() + self.limits.job_s
        while True:
            word, *rest = self._next(end, stopped)
            if word == "news":
                news(*rest)
            elif word == "made":
                return rest[0]
            elif word == "error":
                raise UserError(rest[0])
            else:
                self.stop()
                raise UserError(
                    {
                        "late": f"This took longer than {self.limits.job_s:g} seconds and was stopped: give less.",
                        "stopped": "Stopped.",
                    }.get(word, FAILED)
                )

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._pipe is not None:
            self._pipe.close()
        self._process, self._pipe = None, None

    def _next(self, end: float, stopped: Callable[[], bool] = lambda: False) -> tuple[Any, ...]:
        while True:
            if stopped():
                return ("stopped",)
            if monotonic() > end:
                return ("late",)
            try:
                if self._pipe.poll(0.2):
                    return self._pipe.recv()
            except (EOFError, OSError):
                return ("dead",)


def _work(pipe: Connection, loader: Loader, limits: Limits) -> None:
    """Load the model, then do what comes through the pipe until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's business.
    _confine(limits)
    with contextlib.suppress(EOFError, BrokenPipeError):  # The server has gone.
        try:
            predictor = loader()
        except UserError as error:
            pipe.send(("error", str(error)))
            return
        pipe.send(("ready",))
        while True:
            kind, source, folder = pipe.recv()
            try:
                made = make(predictor, kind, source, folder, limits, lambda *news: pipe.send(("news", *news)))
                pipe.send(("made", made))
            except UserError as error:
                # Sentences name the file, whose name here is ours and says nothing to visitors.
                pipe.send(("error", str(error).replace(str(source), f"The {kind}")))
            except (BrokenPipeError, KeyboardInterrupt):
                raise
            except BaseException as error:
                full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
                pipe.send(("error", FULL if full else FAILED))


def _confine(limits: Limits) -> None:
    """Write no core dumps, and no file larger than all results together may be."""
    try:
        import resource
    except ImportError:  # Windows.
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most = int(limits.disk_mb * 1e6)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def make(predictor: Any, kind: Kind, source: Path, folder: Path, limits: Limits, news: News) -> Made:
    """Predict a photo or clip and write its page and files.

    Raises:
        UserError: it cannot be read, is too large or too long, or nobody is in it.
    """
    news(0.0, f"looking for people in the {kind}")
    if kind == "photo":
        from monobody.image import read_image

        _check_pixels(source, limits)
        result = replace(predictor(read_image(source)), name="photo")
        people, bodies, shown = len(result.people), result.has_bodies, {"picture": result.picture}
    else:
        result = replace(_clip(predictor, source, limits, news), name="clip")
        people, bodies, shown = len(result.tracks), True, {"clip": source}
    if not people:
        raise UserError(f"Nobody was found in the {kind}: try one in which people are larger or clearer.")
    from monobody.web.viewer import SKELETON_FILES, files_of, jpeg, write_viewer

    news(0.9, "writing files")
    names = []
    if kind == "photo":
        (folder / "overlay.jpg").write_bytes(jpeg(result.overlay()))
        names.append("overlay.jpg")
    else:
        from monobody.export.films import overlay_film

        overlay_film(result, source, folder / "overlay.mp4")
        names.append("overlay.mp4")
    write_viewer(result, folder / "viewer.html", save=("glb",), **shown)
    names.append("viewer.html")
    kinds = ("glb", "fbx", "bvh", "json", "npz") if bodies else SKELETON_FILES
    for name, content in files_of(result, kinds).items():
        (folder / name).write_bytes(content)
        names.append(name)
    return Made(people, tuple(names))


def _check_pixels(source: Path, limits: Limits) -> None:
    """Refuse large photos before they are decoded; what cannot be read is refused by who reads it."""
    from PIL import Image

    size = (0, 0)
    with contextlib.suppress(Exception), Image.open(source) as image:
        size = image.size
    _refuse_large("photo", *size, limits)


def _refuse_large(kind: Kind, width: int, height: int, limits: Limits) -> None:
    if width * height > limits.megapixels * 1e6:
        raise UserError(
            f"The {kind} has {width} x {height} pixels; at most {limits.megapixels:g} million are taken here: make it "
            "smaller."
        )


def _clip(predictor: Any, source: Path, limits: Limits, news: News) -> Any:
    from monobody.predict.frames import open_source

    clip = open_source(source)
    _refuse_large("clip", clip.width_px, clip.height_px, limits)
    if clip.count is not None and clip.count / clip.rate > limits.clip_s + 0.5:
        raise UserError(
            f"The clip is {clip.count / clip.rate:.0f} seconds long; at most {limits.clip_s:g} are taken here: cut it."
        )

    def progress(done: int, total: int | None) -> None:
        if total:
            news(0.9 * min(1.0, done / total), f"frame {done} of {total}")
        else:
            news(0.0, f"frame {done}")

    # A file may say less than it holds.
    return predictor.video(source, progress=progress, seconds=limits.clip_s + 0.5)
