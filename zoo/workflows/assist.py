"""What the other hosts of a training do: they train with host 1, which alone writes the run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.hosts import Group
from zoo.registry import architectures
from zoo.reporter import Reporter
from zoo.run_folder import Run
from zoo.training.plan import Plan, refuse_other_data
from zoo.workflows.hosts import connect, meeting, receive_run, refuse_other_photos
from zoo.workflows.planning import TrainRequest
from zoo.workflows.teaching import Teaching, prepare_teaching, resumed_teaching
from zoo.workflows.train import Trained, answerable, only_training, planned, train

if TYPE_CHECKING:
    from zoo.data import ImageData
    from zoo.training.hosts import Hosts


def train_or_assist(request: TrainRequest, reporter: Reporter) -> Trained | None:
    """Trains like ``train``, or on a cluster. On other hosts than host 1, it assists host 1 and returns ``None``."""
    if request.on is not None:
        from zoo.workflows.train_cluster import train_on_cluster

        return train_on_cluster(request, reporter)
    if request.host is None or request.host.first:
        return train(request, reporter)
    assist(request, reporter)
    return None


def assist(request: TrainRequest, reporter: Reporter) -> None:
    """Trains together with host 1, on a host with another number. Nothing is written except to the image cache.

    A copy of the files of the run that the training needs is in a temporary folder, which is removed.

    Args:
        request: The request, which is the same as on host 1 except for ``host``.
        reporter: Receives a few messages and warnings.

    Raises:
        UsageError, DataError, TrainingError: In the same cases as ``train``, or if the hosts differ.
        ClusterError: Host 1 cannot be reached, or a host is lost.
    """
    place = request.host
    assert place is not None
    with only_training():
        plan = None if request.resume else planned(request, reporter).plan
        with meeting(place, plan, reporter) as group, _temporary_folder() as folder:
            reporter.stage(f"Host {place.number} of {place.count}: all hosts have joined")
            group.before_exit(lambda: shutil.rmtree(folder, ignore_errors=True))
            _assist(request, plan, group, folder, reporter)


def _assist(request: TrainRequest, plan: Plan | None, group: Group, folder: Path, reporter: Reporter) -> None:
    place = group.place
    if plan is None:
        run = receive_run(group, folder)
        if run is None:
            reporter.note("The training of the run is finished; there is nothing to do for this host.")
            group.disconnect()
            return
        hosts = connect(group, request.devices, run.architecture, run.recipe, Reporter())
        data, teaching = _data_of_run(run)
        refuse_other_photos(hosts, data, teaching)
    else:
        hosts = connect(group, request.devices, plan.architecture.name, plan.recipe, Reporter())
        data, teaching = _data_of_plan(plan)
        refuse_other_photos(hosts, data, teaching)
        run = receive_run(group, folder)
        assert run is not None  # a new run has no model yet
    reporter.stage(f"Host {place.number} of {place.count}: training together with host 1")
    _train(run, data, teaching, request, hosts)
    reporter.stage(
        f"Host {place.number} of {place.count}: the training is finished. Host 1 evaluates the model and writes the run"
    )


def _data_of_plan(plan: Plan) -> tuple[ImageData, Teaching | None]:
    from zoo.data import load_data
    from zoo.training.check import check_recipe

    check_recipe(plan.recipe, plan.image.input_shape)
    data = load_data(plan.source, plan.image, split_seed=plan.split_seed, validation=plan.recipe.validates)
    return data, prepare_teaching(plan.teachers, plan.unlabelled, data, Reporter())


def _data_of_run(run: Run) -> tuple[ImageData, Teaching | None]:
    from zoo.data import load_data

    info = run.info
    data = load_data(info.data.source, run.image_spec, split_seed=info.split_seed, validation=run.recipe.validates)
    refuse_other_data(run, data)
    return data, resumed_teaching(run, data, Reporter())


def _train(run: Run, data: ImageData, teaching: Teaching | None, request: TrainRequest, hosts: Hosts) -> None:
    from zoo.training.trainer import train as fit

    lesson = teaching.lesson(run, Reporter()) if teaching else None
    with hosts.group.explaining():
        fit(
            run,
            architectures().get(run.architecture),
            teaching.images if teaching else data,
            Reporter(),
            callbacks=[answerable(callback) for callback in request.callbacks],
            lesson=lesson,
            hosts=hosts,
        )


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="zoo-host-") as folder:
        yield Path(folder)
