"""Trains one model on all machines of a cluster, with one process on each of them.

The processes are those of ``zoo train --host``. Ray starts them, and passes on the progress of host 1.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from zoo.atomic import make_folder
from zoo.cluster.address import check_cluster
from zoo.cluster.together import together
from zoo.errors import UsageError
from zoo.hosts.place import Place
from zoo.reporter import Reporter
from zoo.run_folder import open_run
from zoo.workflows.assist import assist
from zoo.workflows.hosts import refuse_idle_recipe
from zoo.workflows.planning import TrainRequest
from zoo.workflows.train import Trained, planned, run_folder, train


def train_on_cluster(request: TrainRequest, reporter: Reporter) -> Trained:
    """Trains with one process on each machine of a Ray cluster.

    Args:
        request: What to train. Its paths must be valid on all machines, in the folder of the command.
        reporter: Receives the progress of host 1.

    Raises:
        UsageError: The request names something that cannot be used on a cluster.
        ClusterError: The cluster cannot be reached, or a machine is lost.
        ZooError: In the same cases as ``train``.
    """
    assert request.on is not None
    if request.host is not None:
        raise UsageError(
            f"--on {request.on} cannot be combined with --host: Ray starts the processes of all hosts.",
            "Leave one of them out.",
        )
    if request.callbacks:
        raise UsageError(
            "callbacks cannot be combined with on, because they cannot be sent to other machines.",
            "Offer them as a plugin with the hook zoo_callbacks, or use host instead of on.",
        )
    if request.resume is None:
        refuse_idle_recipe(f"--on {request.on}", planned(request, Reporter()).plan.recipe)
        shared = request.runs
        check_cluster(request.on)  # before a folder is made
        make_folder(shared)
    else:
        shared = open_run(run_folder(request.resume, request.runs)).path
    path, report, already = together(partial(train_here, request), shared, request.on, reporter)
    return Trained(open_run(path), report, already)


def train_here(request: TrainRequest, place: str | None, reporter: Reporter) -> tuple[Path, Path, bool] | None:
    """Trains as one of the hosts. On host 1, returns the paths of the run and of its report, and whether it was
    finished before."""
    request = replace(request, host=None if place is None else Place.parse(place))
    if request.host is not None and not request.host.first:
        assist(request, reporter)
        return None
    trained = train(request, reporter)
    return trained.run.path, trained.report, trained.already
