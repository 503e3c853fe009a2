"""A run folder and the MLflow run that shows it: what MLflow lacks is added, and nothing is logged twice."""

import json
import os
import time
from contextlib import contextmanager
from csv import DictReader

import click
from mlflow import MlflowClient, get_tracking_uri, is_tracking_uri_set
from mlflow.entities import Metric, Param
from zoo import PluginError

#: MLflow tries for minutes to reach a server that is down, and training would wait; it also prints on standard output,
#: where JSON may be expected. Values that the user set win.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}

#: Fields of ``run.json`` that become parameters.
PARAMETERS = "architecture weights options recipe image seed split_seed data backend precision versions best_epoch"

#: Files that become artifacts: the results, and every file of the bundles that were exported.
ARTIFACTS = ("report.html", "run.json", "zoo.yaml", "metrics.json", "history.csv", "predictions.csv", "exports/*/**/*")

#: Runs of which it was said that they could not be logged.
told = set()


class Tracked:
    """The MLflow run of a run folder: found by its tag ``zoo.run``, or begun."""

    def __init__(self, folder):
        self.folder, self.client = folder, MlflowClient()
        info = json.loads((folder / "run.json").read_text("utf-8"))
        order_us = info.get("order") or (folder / "run.json").stat().st_mtime_ns // 1000
        self.end_ms = order_us // 1000 + int(1000 * info["timings"].get("total_s", 0))
        tag = {"zoo.run": f"{info['architecture']}-{info.get('order') or folder.name}".replace("'", "")}
        experiment = os.environ.get("MLFLOW_EXPERIMENT_ID") or self._experiment()
        found = self.client.search_runs([experiment], f"tags.`zoo.run` = '{tag['zoo.run']}'")
        run = found[0] if found else self.client.create_run(experiment, order_us // 1000, tag, folder.name)
        self.id = run.info.run_id
        history = [each for name in run.data.metrics for each in self.client.get_metric_history(self.id, name)]
        self.logged = {(metric.key, metric.step) for metric in history}
        info["data"] = {name: info["data"][name] for name in ("source", "digest")}
        named = _flat({name: info.get(name) for name in PARAMETERS.split()})
        new = [Param(name, str(value)) for name, value in named if name not in run.data.params]
        self.client.log_batch(self.id, params=new)

    def log(self, rows):
        """Logs numbers by name, each row with its ``epoch`` as the step."""
        now_ms = int(time.time() * 1000)
        steps = [(name, float(value), now_ms, int(row["epoch"])) for row in rows for name, value in row.items()]
        new = [each for each in steps if (each[0], each[3]) not in self.logged and each[0] != "epoch"]
        self.client.log_batch(self.id, [Metric(*each) for each in new if each[1] == each[1]])  # no NaN
        self.logged |= {(name, step) for name, _, _, step in new}

    def finish(self):
        """Logs all that a finished run holds now, and returns the identity of the MLflow run."""
        rows = list(DictReader((self.folder / "history.csv").read_text("utf-8").splitlines()))
        figures = json.loads((self.folder / "metrics.json").read_text("utf-8"))
        figures["accuracy_interval"] = dict(zip(("low", "high"), figures["accuracy_interval"], strict=True))
        numbers = {name: value for name, value in _flat(figures, "test_") if type(value) in (int, float)}
        self.log([*rows, {"epoch": 0, **numbers}])
        for path in (path for pattern in ARTIFACTS for path in self.folder.glob(pattern) if path.is_file()):
            place = path.relative_to(self.folder).parent
            if not any(part.startswith((".", "__")) for part in (*place.parts, path.name)):
                self.client.log_artifact(self.id, str(path), place.as_posix() if place.name else None)
        self.client.set_terminated(self.id, end_time=self.end_ms)
        return self.id

    def _experiment(self):
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "zoo"
        found = self.client.get_experiment_by_name(name)
        return found.experiment_id if found else self.client.create_experiment(name)


def live(folder):
    """A function that logs every epoch; from the first failure on none, and ``Tracked.finish`` adds what is missing."""
    tracked = []
    with sparing(folder):
        tracked.append(Tracked(folder))
        if not is_tracking_uri_set():
            where = f"MLflow's default, {get_tracking_uri()}, because MLFLOW_TRACKING_URI is not set"
            click.echo(f"zoo-mlflow: {folder} is logged to {where}.", err=True)

    def log_epoch(epoch, logs):
        if tracked:
            with sparing(folder):
                run = tracked.pop()
                run.log([{"epoch": epoch + 1, **logs}])
                tracked.append(run)

    return log_epoch


@contextmanager
def sparing(folder, *, fatal=False):
    """What fails in the block is said once for a run, and the training goes on; ``fatal`` raises it."""
    added = SETTINGS.keys() - os.environ.keys()
    os.environ.update({name: SETTINGS[name] for name in added})
    try:
        yield
    except Exception as error:
        cause = error
        while cause.__cause__ or cause.__context__:
            cause = cause.__cause__ or cause.__context__
        message = f"Could not log {folder} to MLflow at {get_tracking_uri()}: {cause}"
        if fatal:
            raise PluginError(message, "Set MLFLOW_TRACKING_URI to a server that runs.") from error
        if folder not in told:
            later = f"The training goes on. When it is finished, log it: zoo mlflow {folder}"
            click.echo(f"zoo-mlflow: {message}\n  {later}", err=True)
        told.add(folder)
    finally:
        for name in added:
            del os.environ[name]


def _flat(values, prefix=""):
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None:
            yield f"{prefix}{name}", value
