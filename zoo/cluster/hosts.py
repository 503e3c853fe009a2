"""Starts one process on each machine of a cluster. If one of them fails or is lost, all are ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

from zoo.cluster.connection import Frame
from zoo.cluster.host import Host
from zoo.cluster.worker import as_failure, last_line
from zoo.errors import ClusterError

SAME_PACKAGES = "All machines need the same packages: python -m pip install 'keras-edge-zoo[ray]'"

#: Seconds in which a process must start on every machine.
_START_S = 300.0
#: Seconds for which Ray may list a machine that was lost shortly before the command.
_FORGOTTEN_S = 60.0
#: Seconds in which the other processes must end by themselves after the first has failed or was lost. If a host of a
#: training is lost, they notice it within 15 s, and their backend may wait for ten more.
_END_S = 15.0


def is_job(job: dict[str, Any]) -> bool:
    """Whether a job is one process on each machine."""
    return "work" in job


def frames(job: dict[str, Any], stopped: threading.Event) -> Iterator[Frame]:
    """Runs ``job["work"]`` on all machines with cores, and uses all of their cores and GPUs.

    The first machine is the one that calls this function, or another one if that has no cores.

    Args:
        job: ``work`` (pickled), ``version`` (of zoo), ``folder`` (working directory of the command), and ``marker`` (a
            file that the first machine must see).
        stopped: If it is set, the processes are interrupted.

    Yields:
        ``("hosts", names)`` when the processes start, ``("report", report)`` of the first process, ``("failed",
        failure)`` or ``("result", value)``, and at last ``("done",)``.

    Raises:
        ClusterError: The cluster has no cores, or a machine is busy with other work.
    """
    import ray

    deadline = time.monotonic() + _FORGOTTEN_S
    while True:
        machines = _machines()
        names = [machine["NodeManagerHostname"] for machine in machines]
        actors = [_actor(machine, job["folder"]) for machine in machines]
        try:
            try:
                places = _prepared(actors, names, job, stopped)
            except ClusterError:
                if stopped.is_set() or time.monotonic() >= deadline:
                    raise
                time.sleep(1)
                continue  # nothing has started, and a machine that was lost will not be listed any more
            if isinstance(places, str):
                yield ("failed", places)
                return
            yield ("hosts", names)
            ray.get([actor.start.remote(job["work"], place) for actor, place in zip(actors, places, strict=True)])
            yield from _watched(actors, names, stopped)
            return
        except ray.exceptions.RayError as error:
            raise ClusterError(f"A machine of the cluster was lost: {last_line(error)}") from error
        finally:
            for actor in actors:
                ray.kill(actor)


def _machines() -> list[dict[str, Any]]:
    """The machines that have cores, the first one first."""
    import ray

    here = ray.get_runtime_context().get_node_id()
    found = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    if not found:
        raise ClusterError("The Ray cluster has no cores.", "Start a machine: ray start --address=HOST:6379.")
    return sorted(found, key=lambda node: (node["NodeID"] != here, node["NodeManagerAddress"], node["NodeID"]))


def _actor(machine: dict[str, Any], folder: str) -> Any:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return (
        ray.remote(Host)
        .options(
            num_cpus=int(machine["Resources"]["CPU"]),
            num_gpus=int(machine["Resources"].get("GPU", 0)),  # Ray hides GPUs that are not requested
            scheduling_strategy=NodeAffinitySchedulingStrategy(machine["NodeID"], soft=False),
        )
        .remote(folder)
    )


def _prepared(
    actors: list[Any], names: list[str], job: dict[str, Any], stopped: threading.Event
) -> list[str | None] | str:
    """The place of each process among the hosts, or a failure.

    Raises:
        ClusterError: On a machine, no process can be started.
    """
    import ray

    asked = [
        actor.prepare.remote(job["version"], None if index else job["marker"]) for index, actor in enumerate(actors)
    ]
    deadline = time.monotonic() + _START_S
    ready: list[Any] = []
    while len(ready) < len(asked) and time.monotonic() < deadline and not stopped.is_set():
        ready, _ = ray.wait(asked, num_returns=len(asked), timeout=1)
    if len(ready) < len(asked):
        missing = [name for name, each in zip(names, asked, strict=True) if each not in ready]
        raise ClusterError(
            f"No process could be started within {_START_S:g} s on {len(missing)} machine(s) of the cluster:"
            f" {', '.join(missing)}.",
            "A training needs all cores of every machine. Wait until other work has ended; `ray status` shows it.",
        )
    found = []
    for name, each in zip(names, asked, strict=True):
        try:
            found.append(ray.get(each))
        except ray.exceptions.RayError as error:
            raise ClusterError(
                f"No process could be started on {name}, a machine of the cluster: {last_line(error)}",
                SAME_PACKAGES,
            ) from error
    for failure, _, _ in found:
        if failure:
            return str(failure)
    _, address, port = found[0]
    count = len(actors)
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return [f"{number}/{count}@{where}" if count > 1 else None for number in range(1, count + 1)]


def _watched(actors: list[Any], names: list[str], stopped: threading.Event) -> Iterator[Frame]:
    import ray

    waiting = {actor.next.remote(): index for index, actor in enumerate(actors)}
    failures: dict[int, str] = {}
    deadline: float | None = None
    while waiting and (deadline is None or time.monotonic() < deadline):
        if stopped.is_set() and deadline is None:
            deadline = time.monotonic() + _END_S
            for actor in actors:
                actor.stop.remote()
        ready, _ = ray.wait(list(waiting), timeout=0.5)
        for each in ready:
            index = waiting.pop(each)
            try:
                found = ray.get(each)
            except ray.exceptions.RayError as error:
                lost = f"Host {index + 1} of {len(actors)} ({names[index]}) was lost: {last_line(error)}"
                failures.setdefault(index, as_failure(ClusterError(lost, "To continue, give --resume RUN.")))
                continue
            finished = False
            for name, value in found:
                if name in ("failed", "ended") and not finished:
                    failures.setdefault(index, value)
                finished |= name == "result"
                if index == 0 and name in ("report", "result"):
                    yield (name, value)
            if finished and index == 0:
                yield ("done",)
                return
            if not finished and index not in failures:  # other hosts may end before host 1, which evaluates the model
                waiting[actors[index].next.remote()] = index
        if 0 in failures:
            break
        if failures and deadline is None:
            deadline = time.monotonic() + _END_S
    yield ("failed", failures.get(0) or next(iter(failures.values()), ""))
