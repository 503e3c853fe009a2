"""Handles a slow or unavailable MLflow server: training waits for it only once, and no data is lost."""

import os

import click
from mlflow import get_tracking_uri, is_tracking_uri_set
from zoo import PluginError
from zoo.run_folder import open_run

from zoo_mlflow.tracker import track

#: MLflow tries for minutes to reach a server that is down, and the training would wait. It also prints to standard
#: output, where JSON may be expected. Values that the user has set have precedence.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}

#: Runs for which a failure was already reported.
told = set()


def tried(folder, *, fatal=False):
    """Logs a run folder and returns the ID of its MLflow run.

    A failure is reported once per run, and ``None`` is returned, so that the training continues. With ``fatal``, the
    failure is raised as an error instead.
    """
    added = SETTINGS.keys() - os.environ.keys()
    os.environ.update({name: SETTINGS[name] for name in added})
    try:
        return track(open_run(folder))
    except Exception as error:
        cause = error
        while cause.__cause__ or cause.__context__:
            cause = cause.__cause__ or cause.__context__
        message = f"Could not log {folder} to MLflow at {get_tracking_uri()}: {cause}"
        if fatal:
            raise PluginError(message, "Set MLFLOW_TRACKING_URI to a running server.") from error
        if folder not in told:
            later = f"The training continues. When it is finished, log it with: zoo mlflow {folder}"
            click.echo(f"zoo-mlflow: {message}\n  {later}", err=True)
        told.add(folder)
    finally:
        for name in added:
            del os.environ[name]


def live(folder):
    """A function that logs the epochs so far. It stops after a failure. The end of the run adds the rest."""
    alive = tried(folder)
    if alive and not is_tracking_uri_set():
        where = f"MLflow's default, {get_tracking_uri()}, because MLFLOW_TRACKING_URI is not set"
        click.echo(f"zoo-mlflow: {folder} is logged to {where}.", err=True)

    def log_epoch(epoch, logs):
        nonlocal alive
        alive = alive and tried(folder)

    return log_epoch
