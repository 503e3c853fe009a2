"""Spreads work over a cluster, and yields the result of each item exactly once."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import IO, Any

import zoo
from zoo.cluster.address import check_cluster
from zoo.cluster.worker import Make, as_error
from zoo.errors import ClusterError
from zoo.reporter import Reporter

#: Maximum number of seconds that Ray may take to end after an interruption.
_PATIENCE_S = 15.0


def spread(make: Make, items: Iterable[tuple[int, bytes]], on: str, reporter: Reporter) -> Iterator[tuple[int, bytes]]:
    """Yields the number and the result of each item, in the order in which they are finished.

    If a worker or a machine is lost, its items are worked on again by others. Only the first result of an item is
    yielded.

    Args:
        make: Called once for each worker, with its number of cores. Returns the function that maps an item to its
            result. It is pickled, so it must be a function of a module, or a ``functools.partial`` of one.
        items: Number and content of each item.
        on: ``ray``, or ``ray://HOST:PORT``.
        reporter: Receives the number of workers.

    Raises:
        UsageError: ``on`` is invalid, or Ray is not installed.
        ClusterError: There is no cluster, the connection was lost, or its workers end repeatedly.
        ZooError: The error of a worker.
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
            yield from _results(process, make, items, log, reporter)
        finally:
            _end(process)


def _results(
    process: subprocess.Popen[bytes], make: Make, items: Iterable[tuple[int, bytes]], log: IO[bytes], reporter: Reporter
) -> Iterator[tuple[int, bytes]]:
    assert process.stdin
    assert process.stdout
    try:
        pickle.dump({"make": pickle.dumps(make), "version": zoo.__version__}, process.stdin)
        for item in items:
            pickle.dump(item, process.stdin)
        pickle.dump(None, process.stdin)
        process.stdin.close()
        while True:
            frame: tuple[Any, ...] = pickle.load(process.stdout)
            if frame[0] == "result":
                yield frame[1], frame[2]
            elif frame[0] == "workers":
                reporter.stage(f"{frame[1]} worker(s) with {frame[2]} core(s) each")
            elif frame[0] == "again":
                reporter.note(f"A worker or a machine was lost. Items of work to try again: {frame[1]}.")
            elif frame[0] == "failed":
                raise as_error(frame[1])
            else:
                return
    except (EOFError, BrokenPipeError, pickle.UnpicklingError):
        code = process.wait()
        raise ClusterError(
            f"The connection to the Ray cluster was lost (its process ended with {_named(code)}).", _tail(log)
        ) from None


def _named(code: int) -> str:
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"exit code {code}"


def _tail(log: IO[bytes]) -> str:
    log.seek(max(0, log.seek(0, os.SEEK_END) - 2000))
    lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    return "\n  ".join(["Run the command again to continue. The last lines that Ray printed:", *lines[-4:]])


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
