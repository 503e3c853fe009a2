"""The process that talks to Ray: ``python -m zoo.cluster.driver ADDRESS``.

Ray prints to standard output, replaces signal handlers, and ends the process if its cluster disappears. Therefore it
runs in a process of its own. This process reads pickles from standard input: the job, pairs of number and item, and
``None``. It writes pickles to standard output: the frames that ``frames`` yields, or those of ``hosts.frames`` if the
job is one process on each machine. When standard input is closed, such processes are interrupted. With another job,
this process ends.
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from zoo.cluster import hosts
from zoo.cluster.host import end_with_input
from zoo.cluster.worker import Worker, as_failure, last_line
from zoo.errors import ClusterError

#: Maximum number of cores of a worker. Each worker loads the model once.
_MOST_CORES = 8

#: A resource that only the first machine of a cluster has.
_HEAD = {"node:__internal_head__": 0.001}

Frame = tuple[Any, ...]


def main() -> None:
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what Ray prints must not mix with the results
    job = pickle.load(sys.stdin.buffer)
    items = dict(iter(lambda: pickle.load(sys.stdin.buffer), None))
    if not hosts.is_job(job):
        threading.Thread(target=end_with_input, daemon=True).start()  # also if it waits for a busy cluster
    try:
        for frame in _connected(sys.argv[1], job, items):
            pickle.dump(frame, out)
            out.flush()
    except ClusterError as error:
        pickle.dump(("failed", as_failure(error)), out)
    out.flush()


def _connected(address: str, job: dict[str, Any], items: dict[int, bytes]) -> Iterator[Frame]:
    import ray

    client = "://" in address
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        ray.init(address) if client else ray.init(include_dashboard=False, **options)
    except Exception as error:  # Ray raises errors of many types if it cannot connect
        raise ClusterError(
            f"Could not connect to Ray: {last_line(error)}",
            "`ray status` on a machine of the cluster shows whether it runs.",
        ) from error
    if not client:
        here = Remote(job, items)
        if hosts.is_job(job):
            _when_input_ends(here.stop)
        yield from iter(here.next, None)
        return
    # Ray Data does not work through Ray Client: only an actor next to the client's server can read its results.
    threads = 2 if hosts.is_job(job) else 1  # `stop` is called while `next` waits
    actor = ray.remote(num_cpus=0, resources=_HEAD, max_concurrency=threads)(Remote).remote(job, items)
    if threads > 1:
        _when_input_ends(lambda: actor.stop.remote())
    try:
        while (frame := ray.get(actor.next.remote())) is not None:
            yield frame
    except (ConnectionError, ray.exceptions.RayError) as error:
        raise ClusterError(f"The connection to the Ray cluster was lost: {last_line(error)}") from error


def _when_input_ends(act: Callable[[], object]) -> None:
    """Calls a function when the process of the command closes the connection, or ends."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        act()

    threading.Thread(target=wait, daemon=True).start()


class Remote:
    """Yields the frames one by one. With Ray Client, it is an actor on the cluster."""

    def __init__(self, job: dict[str, Any], items: dict[int, bytes]) -> None:
        self._stopped = threading.Event()
        self._frames = hosts.frames(job, self._stopped) if hosts.is_job(job) else frames(job, items)

    def next(self) -> Frame | None:
        """The next frame, or ``None`` at the end."""
        try:
            return next(self._frames, None)
        except ClusterError as error:
            return ("failed", as_failure(error))

    def stop(self) -> None:
        """Ends the processes on all machines, and then the frames. Other work is not stopped."""
        self._stopped.set()


def frames(job: dict[str, Any], items: dict[int, bytes]) -> Iterator[Frame]:
    """Works on all items with Ray Data.

    Yields:
        ``("workers", workers, cores)``, ``("result", number, result)``, ``("again", items)`` after a loss,
        ``("failed", failure)``, and at last ``("done",)``.

    Raises:
        ClusterError: The cluster has no cores, or its workers end repeatedly.
    """
    idle, first = 0, True
    while items:
        workers, threads = _capacity()
        left = len(items)
        yield ("workers", min(workers, left), threads) if first else ("again", left)
        first = False
        cause: Exception = RuntimeError("its workers ended")
        # An item is lost if it waits for a worker that another item kills. After a pass without results, items do not
        # wait for each other, and the last ones come first. If this does not help either, or one item is left, the next
        # pass finds out why, and is the last one.
        careful, strict = idle > 0, idle > 1 or (idle > 0 and left == 1)
        ordered = dict(reversed(items.items())) if careful else items
        try:
            for number, result, failure in _pass(
                job, ordered, min(workers, left), threads, careful=careful, strict=strict
            ):
                if failure:
                    yield ("failed", failure)
                    return
                if items.pop(number, None) is not None:
                    yield ("result", number, result)
        except Exception as error:  # such as a worker or a machine that ended, or memory that ran out
            cause = error
        idle = 0 if len(items) < left else idle + 1
        if idle and strict:
            raise ClusterError(
                f"The cluster did not finish the last {left} item(s) of work: {last_line(cause)}",
                f"{hosts.SAME_PACKAGES}\n  If workers run out of memory, give the machines more, or fewer cores:"
                " ray start --num-cpus=N.",
            ) from cause
    yield ("done",)


def _capacity() -> tuple[int, int]:
    """Number of workers, and of cores of each worker. A worker fits on the smallest machine, so that all are used."""
    import ray

    cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    cores = [count for count in cores if count]
    if not cores:
        raise ClusterError("The Ray cluster has no cores.", "Start a machine: ray start --address=HOST:6379.")
    each = min(_MOST_CORES, *cores)
    return sum(count // each for count in cores), each


def _pass(
    job: dict[str, Any], items: dict[int, bytes], workers: int, threads: int, *, careful: bool, strict: bool
) -> Iterator[tuple[int, bytes, str]]:
    """Works on all items once. Items whose worker ends are left out. If ``strict``, they raise the worker's error.

    If ``careful``, an item is sent to a worker only when the worker has finished the item before.
    """
    import pyarrow
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.max_errored_blocks = 0 if strict else -1
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    blocks = [pyarrow.table({"number": [number], "item": [item]}) for number, item in items.items()]
    found = ray.data.from_blocks(blocks).map_batches(
        Worker,
        fn_constructor_kwargs={**job, "threads": threads},
        batch_size=1,
        batch_format="pyarrow",
        # One item for each worker at a time, and one more on its way.
        compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1 if careful else 2),
        num_cpus=threads,
        max_restarts=-1,
        max_task_retries=0,
    )
    for batch in found.iter_batches(batch_size=1, prefetch_batches=0, batch_format="pyarrow"):
        yield tuple(batch[name][0].as_py() for name in ("number", "result", "failure"))


if __name__ == "__main__":
    main()
