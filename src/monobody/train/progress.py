"""How a run shows itself: a live bar in a terminal, a line now and then in a file."""

import sys
import time
from collections.abc import Mapping
from types import TracebackType

from monobody.train.checkpoint import RunState
from monobody.train.plan import Plan

SECONDS_BETWEEN_LINES = 30.0


class Progress:
    """Shows how far a run is, its losses and its speed; does nothing unless `shown`."""

    def __init__(self, plan: Plan, start: RunState, *, shown: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        self.plan = plan
        self.shown = shown
        self.last = start
        self.last_line = 0.0
        self.live = shown and sys.stderr.isatty()
        columns = (TextColumn("step {task.fields[step]}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        self.bar = Bar(*columns, TextColumn("{task.description}"), console=Console(stderr=True), disable=not self.live)
        self.row = self.bar.add_task("", total=1.0, step=start.step)

    def __enter__(self) -> "Progress":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def show(self, state: RunState, losses: Mapping[str, float]) -> None:
        """Show the mean losses since the last call."""
        if not self.shown:
            return
        steps_per_second = (state.step - self.last.step) / max(state.seconds - self.last.seconds, 1e-9)
        self.last = state
        text = "  ".join(f"{name} {value:.4g}" for name, value in losses.items()) + f"  {steps_per_second:.2f} steps/s"
        self.bar.update(self.row, completed=self.plan.progress(state), description=text, step=state.step)
        now = time.monotonic()
        if not self.live and now - self.last_line > SECONDS_BETWEEN_LINES:
            self.last_line = now
            self._line(f"step {state.step}  {state.seconds / 60:.1f} min  {text}")

    def tell(self, state: RunState, numbers: Mapping[str, float]) -> None:
        """Print a validation, to stay."""
        if self.shown:
            text = "  ".join(f"{name} {value:.4g}" for name, value in numbers.items())
            self._line(f"step {state.step}  {state.seconds / 60:.1f} min  validation: {text}")

    def _line(self, text: str) -> None:
        if self.live:
            self.bar.console.print(text)
        else:
            print(text, file=sys.stderr, flush=True)
