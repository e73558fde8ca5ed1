"""Ctrl-C and a cluster's SIGTERM end a run after the step it is in, with a checkpoint to go on from."""

import os
import signal
import threading
from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Takes note of the signals that ask a program to end, for as long as the block runs.

    A second Ctrl-C does not wait for the end of the step. Where a launcher passes signals on, and so repeats them,
    it waits all the same. In other threads than the main one, which get no signals, nothing is noted.
    """

    def __init__(self) -> None:
        self.made = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.made and number == signal.SIGINT and "TORCHELASTIC_RUN_ID" not in os.environ:
            raise KeyboardInterrupt
        self.made = True
