"""Tries the candidates of a search on the machines of a cluster.

An item of work is one trial: the worker claims the next candidate in the journal of the search, as every process of a
search does. If a worker is lost, its lock is released and its candidate is tried again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from zoo.cluster.spread import spread
from zoo.image_spec import RESIZE_RULES
from zoo.reporter import Reporter
from zoo.searching.candidate import STEPS
from zoo.searching.engine import Engine, describe
from zoo.workflows.search import SearchRequest, open_trials


def try_on_cluster(request: SearchRequest, architectures: int, reporter: Reporter) -> None:
    """Tries candidates until none is left, or there is no time for another.

    Args:
        request: The search. Its folder and its data must have the same path on all machines.
        architectures: Number of architectures.
        reporter: Receives the outcomes.

    Raises:
        ClusterError: The cluster cannot be reached, or its connection is lost.
    """
    assert request.on is not None
    data, device = Path(request.data), request.device
    everywhere = replace(
        request,
        data=str(data.absolute()) if data.exists() else request.data,
        runs=request.runs.absolute(),
        device=None if device is None else device.absolute(),
        name=request.run_name,
        on=None,
    )
    most = architectures * len(STEPS) * len(RESIZE_RULES)
    trials = ((number, b"") for number in range(most))
    for _, outcome in spread(partial(open_worker, everywhere), trials, request.on, reporter):
        # An empty outcome does not end the loop, which would interrupt the other workers: one worker may have no time
        # for another candidate while others are still trying theirs.
        if outcome:
            reporter.stage(outcome.decode())


def open_worker(request: SearchRequest, threads: int) -> Callable[[bytes], bytes]:
    """Opens the search on a machine of the cluster. Returns the function that tries one candidate."""
    return trials_of(open_trials(request))


def trials_of(engine: Engine) -> Callable[[bytes], bytes]:
    """The function that tries one candidate. It returns a line on the outcome, or nothing without another candidate."""

    def try_one(item: bytes) -> bytes:
        outcome = engine.step()
        if outcome is None:
            return b""
        told = outcome.error if outcome.judged is None else describe(outcome.judged)
        return f"{outcome.candidate}: {told}".encode()

    return try_one
