"""Progress on the terminal: one bar that stays at the bottom; plain lines where nobody watches."""

import sys
from types import TracebackType
from typing import Any


class Progress:
    """Counts steps, each with a line of news. The lines go to stdout; the bar is drawn on a terminal only.

    Args:
        total: how many steps there are; a single one gets no bar.
    """

    def __init__(self, total: int) -> None:
        self._bar: Any = None
        if total > 1 and sys.stdout.isatty():
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            self._bar = RichProgress(
                TextColumn("pictures"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), transient=True
            )
            self._task = self._bar.add_task("pictures", total=total)

    def __enter__(self) -> "Progress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, news: str) -> None:
        """Say what happened and advance by one."""
        if self._bar is None:
            print(news, flush=True)
            return
        self._bar.console.print(news, markup=False, highlight=False)
        self._bar.advance(self._task)

    def skip(self, steps: int) -> None:
        """Advance by steps that were done before."""
        if self._bar is not None:
            self._bar.advance(self._task, steps)
