"""Spreads work over a cluster, and yields the result of each item exactly once."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator

import zoo
from zoo.cluster.connection import connected
from zoo.cluster.worker import Make
from zoo.reporter import Reporter


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
    job = {"make": pickle.dumps(make), "version": zoo.__version__}
    with connected(on, job, items, reporter) as connection:
        for frame in connection.frames():
            if frame[0] == "result":
                yield frame[1], frame[2]
            elif frame[0] == "workers":
                reporter.stage(f"{frame[1]} worker(s) with {frame[2]} core(s) each")
            elif frame[0] == "again":
                reporter.note(f"A worker or a machine was lost. Items of work to try again: {frame[1]}.")
