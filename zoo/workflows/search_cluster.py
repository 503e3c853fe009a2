"""Tries the candidates of a search on the machines of a cluster.

An item of work is one trial: the worker claims the next candidate in the journal of the search, as every process of a
search does. If a worker is lost, its lock is released and its candidate is tried again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from zoo.cluster.spread import spread
from zoo.data.named import find_source
from zoo.errors import ZooError
from zoo.image_spec import RESIZE_RULES
from zoo.reporter import Reporter
from zoo.searching.candidate import STEPS
from zoo.searching.engine import Engine, describe
from zoo.searching.journal import Journal
from zoo.workflows.search import SearchRequest, open_trials


def try_on_cluster(request: SearchRequest, architectures: int, journal: Journal, reporter: Reporter) -> None:
    """Tries candidates until none is left, or there is no time for another.

    Args:
        request: The search. Its folder and its data must have the same path on all machines.
        architectures: Number of architectures.
        journal: The journal of the search.
        reporter: Receives the outcomes.

    Raises:
        ClusterError: The cluster cannot be reached, or its connection is lost.
    """
    assert request.on is not None
    device = request.device
    everywhere = replace(
        request,
        data=find_source(request.data)[0],
        runs=request.runs.absolute(),
        device=None if device is None else device.absolute(),
        name=request.run_name,
        on=None,
    )
    most = architectures * len(STEPS) * len(RESIZE_RULES)
    trials = ((number, b"") for number in range(most))
    command = secrets.token_hex(6)
    try:
        for _, outcome in spread(partial(open_worker, everywhere, command), trials, request.on, reporter):
            # An empty outcome does not end the loop, which would interrupt the other workers: one worker may have no
            # time for another candidate while others are still trying theirs.
            if outcome:
                reporter.stage(outcome.decode())
    except BaseException:
        with suppress(ZooError, OSError):  # the workers were ended, so it is not the fault of their candidates
            journal.give_back_all(command)
        raise


def open_worker(request: SearchRequest, command: str, threads: int) -> Callable[[bytes], bytes]:
    """Opens the search on a machine of the cluster. Returns the function that tries one candidate."""
    return trials_of(open_trials(request, command))


def trials_of(engine: Engine) -> Callable[[bytes], bytes]:
    """The function that tries one candidate. It returns a line on the outcome, or nothing without another candidate."""

    def try_one(item: bytes) -> bytes:
        outcome = engine.step()
        if outcome is None:
            return b""
        told = outcome.error if outcome.judged is None else describe(outcome.judged)
        return f"{outcome.candidate}: {told}".encode()

    return try_one
