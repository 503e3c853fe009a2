"""Progress of long work: a live bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from zoo.reporter import Reporter
from zoo.terminal import readable

#: In a log, one line a counted stage is due after so many seconds.
_LOG_EVERY_S = 15.0


def make_reporter() -> Reporter:
    """The live one where a person watches, the plain one else. Both write to stderr; stdout is for results."""
    return TerminalReporter() if sys.stderr.isatty() else LogReporter()


class LogReporter(Reporter):
    """Plain lines."""

    def __init__(self) -> None:
        self._epochs = 0

    def stage(self, text: str) -> None:
        _say(text)

    def note(self, text: str) -> None:
        _say(f"Note: {text}")

    def counter(self, text: str) -> Callable[[int, int], None]:
        last = time.monotonic()

        def count(done: int, total: int) -> None:
            nonlocal last
            if time.monotonic() - last >= _LOG_EVERY_S:
                last = time.monotonic()
                _say(f"{text}: {done} of {total}")

        return count

    def training(self, epochs: int, steps: int, images: int, first_epoch: int) -> None:
        self._clock = _Clock(epochs, images, first_epoch)

    def epoch(self, epoch: int, row: Mapping[str, float], best: bool) -> None:
        _say(self._clock.line(epoch, row, best))


class TerminalReporter(Reporter):
    """A bar that shows where the epoch is, and one line an epoch above it that stays."""

    def __init__(self) -> None:
        self._console = Console(file=sys.__stderr__, highlight=False)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._steps = 0

    def stage(self, text: str) -> None:
        self._close()
        self._console.print(readable(text, keep="\n"), markup=False)

    def note(self, text: str) -> None:
        self._console.print(f"Note: {readable(text)}", style="yellow", markup=False)

    def counter(self, text: str) -> Callable[[int, int], None]:
        def count(done: int, total: int) -> None:
            if self._bar is None:
                self._open(total)
            assert self._bar is not None
            self._bar.update(self._task, completed=done, total=total, text=f"{readable(text)} {done}/{total}")
            if done >= total:
                self._close()

        return count

    def training(self, epochs: int, steps: int, images: int, first_epoch: int) -> None:
        self._clock = _Clock(epochs, images, first_epoch)
        self._steps = steps
        self._epoch = first_epoch
        self._open(steps)

    def batch(self, step: int, logs: Mapping[str, float]) -> None:
        if self._bar is not None:
            text = self._clock.running(self._epoch, step, self._steps, logs)
            self._bar.update(self._task, completed=step, text=text)

    def epoch(self, epoch: int, row: Mapping[str, float], best: bool) -> None:
        self._console.print(self._clock.line(epoch, row, best), markup=False)
        self._epoch = epoch
        if self._bar is not None:
            self._bar.update(self._task, completed=0)

    def trained(self) -> None:
        self._close()

    def _open(self, total: int) -> None:
        self._close()
        columns = (BarColumn(bar_width=24), TextColumn("{task.fields[text]}", markup=False))
        self._bar = Progress(*columns, console=self._console, transient=True)
        self._task = self._bar.add_task("", total=total, text="")
        self._bar.start()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class _Clock:
    """Speed and time left, from the epochs of this session alone."""

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
