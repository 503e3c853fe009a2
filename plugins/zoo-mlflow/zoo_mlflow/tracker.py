"""Logs a run folder to MLflow: the data that is missing there is added, and nothing is logged twice."""

import os
from itertools import accumulate

from mlflow import MlflowClient
from mlflow.entities import Metric, Param


def track(run):
    """Logs all data of a run that is missing in MLflow, and returns the ID of the MLflow run.

    The MLflow run is found by its tag ``zoo.run`` or created. Its tag ``zoo.epochs`` counts the logged epochs.
    """
    client, order_us = MlflowClient(), run.info.order or (run.path / "run.json").stat().st_mtime_ns // 1000
    began_ms, tag = order_us // 1000, f"{run.architecture}-{order_us}"
    experiment = os.environ.get("MLFLOW_EXPERIMENT_ID") or _experiment(client)
    found = client.search_runs([experiment], f"tags.`zoo.run` = '{tag}'")
    there = found[0] if found else client.create_run(experiment, began_ms, {"zoo.run": tag}, run.name)
    done = int(there.data.tags.get("zoo.epochs", 0))
    # The same time stamps every time, so that a server that has already stored a metric does not store it twice.
    ends_ms = [began_ms + int(1000 * seconds) for seconds in accumulate(run.history.get("seconds", []))]
    epochs = range(done, len(ends_ms))
    columns = {name: values for name, values in run.history.items() if name != "epoch"}
    new = [(name, values[epoch], ends_ms[epoch], epoch + 1) for name, values in columns.items() for epoch in epochs]
    if run.finished:
        low, high = run.metrics.accuracy_interval
        measured = {"accuracy": run.metrics.accuracy, "accuracy_low": low, "accuracy_high": high, **run.metrics.scalars}
        measured_ms = ends_ms[-1] if ends_ms else began_ms  # a chosen head has no epochs
        new += [(f"test_{name}", value, measured_ms, 0) for name, value in measured.items() if value is not None]
    params = [Param(name, str(value)) for name, value in run.settings.items() if name not in there.data.params]
    metrics = [Metric(*each) for each in new if each[1] == each[1]]  # no NaN
    client.log_batch(there.info.run_id, metrics, params)
    client.set_tag(there.info.run_id, "zoo.epochs", len(ends_ms))
    if run.finished:
        for path in run.results:
            place = path.relative_to(run.path).parent
            client.log_artifact(there.info.run_id, str(path), place.as_posix() if place.name else None)
        client.set_terminated(there.info.run_id, end_time=began_ms + int(1000 * run.info.timings["total_s"]))
    return there.info.run_id


def _experiment(client):
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "zoo"
    found = client.get_experiment_by_name(name)
    return found.experiment_id if found else client.create_experiment(name)
