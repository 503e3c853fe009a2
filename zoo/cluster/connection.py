"""The connection to the process that talks to Ray (``driver.py``)."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from zoo.cluster.address import check_cluster
from zoo.cluster.worker import as_error
from zoo.errors import ClusterError
from zoo.reporter import Reporter

#: A message of the driver: its name and its values.
Frame = tuple[Any, ...]

#: Maximum number of seconds that Ray may take to end after an interruption.
_PATIENCE_S = 15.0


@contextmanager
def connected(
    on: str, job: dict[str, Any], items: Iterable[tuple[int, bytes]], reporter: Reporter
) -> Iterator[Connection]:
    """Starts the driver with a job, and ends it after the block.

    Args:
        on: ``ray``, or ``ray://HOST:PORT``.
        job: What the workers do.
        items: Number and content of each item of work.
        reporter: Receives a message.

    Raises:
        UsageError: ``on`` is invalid, or Ray is not installed.
        ClusterError: No server listens at the address.
    """
    address = check_cluster(on)
    reporter.stage("Connecting to Ray")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "zoo.cluster.driver", address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            start_new_session=True,  # Ctrl-C must not reach the driver, which `_end` ends
        )
        try:
            yield Connection(process, log, job, items)
        finally:
            _end(process)


class Connection:
    """The driver and its messages.

    Args:
        process: The driver.
        log: What Ray prints.
        job: What the workers do.
        items: Number and content of each item of work.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], log: IO[bytes], job: dict[str, Any], items: Iterable[tuple[int, bytes]]
    ) -> None:
        assert process.stdin
        assert process.stdout
        self._process, self._log = process, log
        self._input, self._output = process.stdin, process.stdout
        with suppress(BrokenPipeError):  # `frames` finds the reason
            for value in (job, *items, None):
                pickle.dump(value, self._input)
            self._input.flush()

    def frames(self, how_to_continue: str = "Run the command again to continue.") -> Iterator[Frame]:
        """Yields the messages of the driver, until all work is done.

        Args:
            how_to_continue: A sentence for the error if the connection is lost.

        Raises:
            ClusterError: The cluster could not be reached, or the connection was lost.
            ZooError: The error of a worker.
        """
        while True:
            try:
                frame: Frame = pickle.load(self._output)
            except (EOFError, OSError, pickle.UnpicklingError):
                code = self._process.wait()
                raise ClusterError(
                    f"The connection to the Ray cluster was lost (its process ended with {named(code)}).",
                    f"{how_to_continue} The last lines that Ray printed:{tail(self._log)}",
                ) from None
            if frame[0] == "done":
                return
            if frame[0] == "failed":
                raise as_error(frame[1])
            yield frame

    def stop(self) -> None:
        """Tells the driver to end the work. ``frames`` ends within twice ``_PATIENCE_S``."""
        with suppress(OSError):
            self._input.close()
        ending = threading.Timer(2 * _PATIENCE_S, self._process.kill)
        ending.daemon = True
        ending.start()


def named(code: int) -> str:
    """The exit code of a process, or the name of the signal that killed it."""
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"exit code {code}"


def tail(log: IO[bytes]) -> str:
    """The last four lines of a log, each after a line break and two spaces."""
    log.seek(max(0, log.seek(0, os.SEEK_END) - 2000))
    lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    return "".join(f"\n  {line}" for line in lines[-4:])


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with suppress(OSError):
                pipe.close()
    process.wait()
