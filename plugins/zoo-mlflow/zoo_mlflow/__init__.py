"""The hooks that log training runs of zoo to MLflow. MLflow is imported only when a run is logged."""

from pathlib import Path

import click
import zoo


@zoo.hookimpl
def zoo_callbacks(run_dir):
    import keras

    from zoo_mlflow.patience import live

    # Not at the end of the epoch, because an epoch is only added to history.csv after all callbacks.
    return [keras.callbacks.LambdaCallback(on_epoch_begin=live(run_dir))]


@zoo.hookimpl
def zoo_run_finished(run):
    from zoo_mlflow.patience import tried

    tried(run.path)


@zoo.hookimpl
def zoo_commands():
    return [command]


@click.command("mlflow")
@click.argument("name", metavar="RUN")
@click.option("--runs", type=click.Path(path_type=Path), default="runs", show_default=True, help="Folder of runs.")
def command(name, runs):
    """Log a finished run to MLflow, with the files that were exported from it since then.

    RUN is the folder or the name of a run. Data that MLflow already has does not change, and nothing is logged twice.
    MLFLOW_TRACKING_URI names the server and MLFLOW_EXPERIMENT_NAME the experiment (default: zoo).
    """
    from zoo_mlflow.patience import get_tracking_uri, tried

    run = zoo.load(name, runs=runs)
    if not isinstance(run, zoo.Run):
        raise zoo.UsageError(f"'{name}' is not a training run.", "`zoo runs` lists the finished ones.")
    click.echo(f"Logged {run.path} to {get_tracking_uri()} as run {tried(run.path, fatal=True)}.")
