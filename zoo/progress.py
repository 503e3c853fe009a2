"""Progress of long operations: a progress bar on a terminal, plain lines in a log."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from zoo.reporter import Reporter, drawing
from zoo.terminal import readable

#: Seconds between two lines of a counted stage in a log.
_LOG_EVERY_S = 15.0

#: Seconds after which the pace of a counted stage is known well enough to show the remaining time.
_PACE_AFTER_S = 2.0

#: Style of warnings on a terminal.
_WARNING = "bold red"

#: Minimum seconds between two updates of the bar in a notebook, because each is a message to the browser.
_REDRAW_EVERY_S = 0.1


def make_reporter() -> Reporter:
    """Creates a live reporter on a terminal or in a notebook, and a plain one otherwise.

    Its output goes to stderr or below the cell of the notebook, because stdout is for results.
    """
    if _in_notebook():
        return NotebookReporter()
    return TerminalReporter() if sys.stderr.isatty() else LogReporter()


def _in_notebook() -> bool:
    if "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class QuietReporter(Reporter):
    """Shows only warnings."""

    def warning(self, text: str) -> None:
        _say(f"WARNING: {readable(text)}")


class LogReporter(QuietReporter):
    """Plain lines."""

    def stage(self, text: str) -> None:
        _say(text)

    def note(self, text: str) -> None:
        _say(f"Note: {text}")

    def counter(self, text: str) -> Callable[[int, int], None]:
        last = time.monotonic()
        pace = _Pace()

        def count(done: int, total: int) -> None:
            nonlocal last
            left = pace.left(done, total)
            if time.monotonic() - last >= _LOG_EVERY_S:
                last = time.monotonic()
                _say(f"{text}: {done} of {total}{left}")

        return count

    def training(self, epochs: int, steps: int, images: int, first_epoch: int, head: bool = False) -> None:
        self._clock = _Clock(epochs, images, first_epoch)

    def epoch(self, epoch: int, row: Mapping[str, float], best: bool) -> None:
        _say(self._clock.line(epoch, row, best))


class LiveReporter(Reporter):
    """A progress bar for the current epoch, with one permanent line per epoch above it. Subclasses define the output.

    The epochs of a head are shown in one line that is updated. At the end, the best epoch remains.
    """

    def __init__(self) -> None:
        self._open = False
        self._head = False
        self._best = ""
        self._steps = 0

    def say(self, text: str, style: str = "") -> None:
        """Writes a permanent line. ``style`` is empty, ``yellow`` or ``bold red``."""
        raise NotImplementedError

    def draw(self, done: int, total: int, text: str) -> None:
        """Draws the bar, and creates it if there is none."""
        raise NotImplementedError

    def erase(self) -> None:
        """Removes the bar."""
        raise NotImplementedError

    def stage(self, text: str) -> None:
        self._close()
        self.say(readable(text, keep="\n"))

    def note(self, text: str) -> None:
        self.say(f"Note: {readable(text)}", "yellow")

    def warning(self, text: str) -> None:
        self.say(f"WARNING: {readable(text)}", _WARNING)

    def counter(self, text: str) -> Callable[[int, int], None]:
        pace = _Pace()

        def count(done: int, total: int) -> None:
            self._draw(done, total, f"{readable(text)} {done}/{total}{pace.left(done, total)}")
            if done >= total:
                self._close()

        return count

    def training(self, epochs: int, steps: int, images: int, first_epoch: int, head: bool = False) -> None:
        self._close()
        self._clock = _Clock(epochs, images, first_epoch)
        self._head = head
        self._epochs = epochs
        self._steps = steps
        self._epoch = first_epoch
        self._draw(0, steps, "")

    def batch(self, step: int, logs: Mapping[str, float]) -> None:
        if self._open and not self._head:
            self._draw(step, self._steps, self._clock.running(self._epoch, step, self._steps, logs))

    def epoch(self, epoch: int, row: Mapping[str, float], best: bool) -> None:
        line = self._clock.line(epoch, row, best)
        self._epoch = epoch
        if not self._head:
            self.say(line)
            return
        if best or not self._best:
            self._best = line
        self._draw(epoch, self._epochs, line)

    def trained(self) -> None:
        self._close()

    def _draw(self, done: int, total: int, text: str) -> None:
        self._open = True
        drawing.add(self)
        self.draw(done, total, text)

    def _close(self) -> None:
        if self._open:
            self._open = False
            drawing.discard(self)
            self.erase()
        if self._best:
            self.say(f"head: {self._epoch} epochs; the best: {self._best}")
            self._best = ""


class TerminalReporter(LiveReporter):
    """Reports on a terminal."""

    def __init__(self) -> None:
        super().__init__()
        self._console = Console(file=sys.__stderr__, highlight=False)
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def say(self, text: str, style: str = "") -> None:
        self._console.print(text, style=style or None, markup=False)

    def draw(self, done: int, total: int, text: str) -> None:
        if self._bar is None:
            one_line = Column(no_wrap=True, overflow="ellipsis")
            words = TextColumn("{task.fields[text]}", markup=False, table_column=one_line)
            columns = (BarColumn(bar_width=min(24, self._console.width // 5)), words)
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task("", total=total, text=text)
            self._bar.start()
        self._bar.update(self._task, completed=done, total=total, text=text)

    def erase(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class NotebookReporter(LiveReporter):
    """Reports below the cell of a notebook. It needs only the kernel, no widgets.

    There is one bar at the top of the output of a cell, with the lines below it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._shown: Any = None
        self._last = 0.0

    def say(self, text: str, style: str = "") -> None:
        print(text, file=sys.stderr if style == _WARNING else sys.stdout, flush=True)

    def draw(self, done: int, total: int, text: str) -> None:
        if time.monotonic() - self._last >= _REDRAW_EVERY_S:
            self._last = time.monotonic()
            bar = Markup('<progress value="{}" max="{}"></progress> <code>{}</code>')
            self._show(bar.format(done, max(total, 1), text), text)

    def erase(self) -> None:
        if self._shown is not None:
            self._show("", "")
            self._last = 0.0

    def _show(self, page: str, text: str) -> None:
        bundle = {"text/html": page, "text/plain": text}
        if self._shown is None:
            self._shown = sys.modules["IPython"].display.display(bundle, raw=True, display_id=True)
        else:
            self._shown.update(bundle, raw=True)


class _Pace:
    """Remaining time of a counted stage, from the steps after the first one: an earlier command may have done some, and
    the first step may need preparation."""

    def __init__(self) -> None:
        self._first = self._last = 0
        self._start = math.inf

    def left(self, done: int, total: int) -> str:
        """Such as ``, 1:05 left``. Empty in the first seconds, in the last one, and while the total is not known."""
        if done < self._last or self._start == math.inf:  # the first call, or the same counter for another pass
            self._first, self._start = done, time.monotonic()
        self._last = done
        elapsed = time.monotonic() - self._start
        if elapsed < _PACE_AFTER_S or done == self._first:
            return ""
        left_s = elapsed / (done - self._first) * (total - done)
        return f", {_duration(left_s)} left" if left_s >= 1 else ""


class _Clock:
    """Speed and remaining time, from the epochs of this session only."""

    def __init__(self, epochs: int, images: int, first_epoch: int) -> None:
        self._epochs = epochs
        self._images = images
        self._first = first_epoch
        self._start = time.perf_counter()

    def line(self, epoch: int, row: Mapping[str, float], best: bool) -> str:
        text = (
            f"epoch {epoch:>{len(str(self._epochs))}}/{self._epochs}  loss {row['loss']:.4f}  acc {row['accuracy']:.3f}"
        )
        if row["val_loss"] == row["val_loss"]:
            text += f"  val_loss {row['val_loss']:.4f}  val_acc {row['val_accuracy']:.3f}{' *' if best else '  '}"
        speed = self._images / max(row["seconds"], 1e-9)
        return f"{text}  {speed:.0f} img/s  {_duration(self._left(epoch))} left"

    def running(self, epoch: int, step: int, steps: int, logs: Mapping[str, float]) -> str:
        done = epoch + step / steps
        elapsed = time.perf_counter() - self._start
        speed = (done - self._first) * self._images / max(elapsed, 1e-9)
        numbers = f"loss {logs.get('loss', 0):.4f}  acc {logs.get('accuracy', 0):.3f}"
        return f"epoch {epoch + 1}/{self._epochs}  {numbers}  {speed:.0f} img/s  {_duration(self._left(done))} left"

    def _left(self, done: float) -> float:
        elapsed = time.perf_counter() - self._start
        return elapsed / max(done - self._first, 1e-9) * (self._epochs - done)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}" if hours else f"{minutes}:{rest:02d}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
