"""Training runs that are logged to a real MLflow server, and read back through its client."""

import os
import signal
import subprocess
import sys

import pytest
import zoo
from click.testing import CliRunner


@pytest.fixture
def tracking(server, monkeypatch, tmp_path):
    """Sets the variables that a user would set, in an empty folder, and returns the client."""
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    return MlflowClient(server.uri)


@pytest.fixture(scope="module")
def balls(server, train, tmp_path_factory):
    """A finished run that was tracked while it trained."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", server.uri)
        return train(tmp_path_factory.mktemp("work") / "runs", "balls", epochs=3)


def run_zoo(*arguments):
    """Exit code, standard output and the error that ends the command."""
    from zoo.cli.main import cli

    done = CliRunner().invoke(cli, [str(argument) for argument in arguments], standalone_mode=False)
    return getattr(done.exception, "exit_code", done.exit_code), done.stdout, str(done.exception)


def found(client, name, experiment="zoo"):
    """The one MLflow run of that name."""
    ids = [client.get_experiment_by_name(experiment).experiment_id]
    (run,) = client.search_runs(ids, f"attributes.run_name = '{name}'")
    return run


def steps(client, run, metric="loss"):
    return [each.step for each in client.get_metric_history(run.info.run_id, metric)]


def artifacts(client, run, folder=None):
    files = set()
    for each in client.list_artifacts(run.info.run_id, folder):
        files |= artifacts(client, run, each.path) if each.is_dir else {each.path}
    return files


def test_a_training_is_in_mlflow_with_all_that_made_it_and_came_of_it(tracking, balls):
    run = found(tracking, "balls")
    assert run.info.status == "FINISHED"
    assert run.info.end_time - run.info.start_time == pytest.approx(1000 * balls.info.timings["total_s"], abs=2)
    expected = {
        "architecture": "simple_cnn",
        "recipe.epochs": "3",
        "recipe.learning_rate": str(balls.recipe.learning_rate),
        "seed": "0",
        "image.height_px": "16",
        "image.resize": "squash",
        "data.source": balls.info.data.source,
        "data.digest": balls.info.data.digest,
        "versions.keras": balls.info.versions["keras"],
    }
    assert expected.items() <= run.data.params.items()
    for metric in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"):
        logged = tracking.get_metric_history(run.info.run_id, metric)
        assert [each.step for each in logged] == [1, 2, 3]
        assert [each.value for each in logged] == pytest.approx(balls.history[metric])
    assert run.data.metrics["test_accuracy"] == balls.metrics.accuracy
    assert run.data.metrics["test_macro_f1"] == balls.metrics.macro_f1
    results = {"report.html", "run.json", "zoo.yaml", "metrics.json", "history.csv", "predictions.csv"}
    assert artifacts(tracking, run) == results


def test_exports_made_later_are_added_and_a_second_time_nothing_is_doubled(tracking, balls, tmp_path):
    before = found(tracking, "balls")
    file = balls.export("onnx", quiet=True)
    for _ in range(2):
        code, out, _ = run_zoo("mlflow", balls.path)
        assert code == 0
        assert out == f"Logged {balls.path} to {os.environ['MLFLOW_TRACKING_URI']} as run {before.info.run_id}.\n"
        run = found(tracking, "balls")
        assert (run.data.metrics, run.data.params) == (before.data.metrics, before.data.params | run.data.params)
        assert (run.info.start_time, run.info.end_time) == (before.info.start_time, before.info.end_time)
        assert all(len(steps(tracking, run, name)) in (1, 3) for name in run.data.metrics)
        there = artifacts(tracking, run)
        assert {f"exports/{file.bundle.name}/{name}" for name in ("README.md", "verify.html", file.path.name)} <= there
        assert not [name for name in there if name.rpartition("/")[2].startswith(".")]
    copy = tracking.download_artifacts(run.info.run_id, f"exports/{file.bundle.name}/{file.path.name}", str(tmp_path))
    with open(copy, "rb") as downloaded:
        assert downloaded.read() == file.path.read_bytes()


def test_a_run_that_was_trained_without_the_plugin_is_logged_whole(tracking, balls, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "before")
    assert run_zoo("mlflow", "balls", "--runs", balls.path.parent)[0] == 0
    live, later = found(tracking, "balls"), found(tracking, "balls", "before")
    assert (later.data.metrics, later.info.start_time) == (live.data.metrics, live.info.start_time)
    assert steps(tracking, later) == [1, 2, 3]


def test_a_run_without_epochs_is_logged_whole(tracking, pictures, tmp_path):
    given = {"data": pictures, "class_names": ["dark", "bright"], "size": 32, "quiet": True}
    run = zoo.train("mobilenetv2", name="chosen", runs=tmp_path / "runs", **given)
    assert run.history == {}
    logged = found(tracking, "chosen")
    assert logged.info.status == "FINISHED"
    assert logged.data.metrics["test_accuracy"] == run.metrics.accuracy
    assert "cross_validation.csv" in artifacts(tracking, logged)


def test_a_resumed_run_goes_on_in_the_same_mlflow_run_without_double_steps(tracking, train, tmp_path):
    import keras

    class Stop(keras.callbacks.Callback):
        """Interrupts the program after an epoch that is not yet in a checkpoint."""

        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, "stopped", epochs=4, callbacks=[Stop()])
    begun = found(tracking, "stopped")
    assert begun.info.status == "RUNNING"
    assert steps(tracking, begun) in ([1], [1, 2])  # the epochs in history.csv when the third epoch began
    run = zoo.train(resume=tmp_path / "stopped", quiet=True)
    resumed = found(tracking, "stopped")
    assert resumed.info.run_id == begun.info.run_id
    assert resumed.info.status == "FINISHED"
    for metric in ("loss", "val_accuracy", "learning_rate"):
        logged = tracking.get_metric_history(resumed.info.run_id, metric)
        assert [each.step for each in logged] == [1, 2, 3, 4]
        assert [each.value for each in logged] == pytest.approx(run.history[metric])


def test_a_server_that_is_down_is_said_once_and_costs_no_training(tracking, server, nowhere, train, monkeypatch, capfd):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", nowhere)
    environment = dict(os.environ)
    run = train("runs", "alone", epochs=1)
    told = [line for line in capfd.readouterr().err.splitlines() if "mlflow" in line]
    assert told == [
        f"zoo-mlflow: Could not log runs/alone to MLflow at {nowhere}: [Errno 111] Connection refused",
        "  The training continues. When it is finished, log it with: zoo mlflow runs/alone",
    ]
    code, out, error = run_zoo("mlflow", "alone")
    assert (code, out) == (3, "")
    assert "Connection refused" in error
    assert os.environ == environment
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    assert run_zoo("mlflow", "alone")[0] == 0
    assert found(tracking, "alone").data.metrics["test_accuracy"] == run.metrics.accuracy


def test_a_server_that_stops_responding_loses_no_epoch(tracking, server, train, monkeypatch, capfd):
    import keras

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")

    def stall(epoch, logs):
        os.killpg(server.pid, {0: signal.SIGSTOP, 2: signal.SIGCONT}.get(epoch, 0))

    try:
        train("runs", "stalled", epochs=4, callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=stall)])
    finally:
        os.killpg(server.pid, signal.SIGCONT)
    assert capfd.readouterr().err.count("zoo mlflow runs/stalled") == 1
    run = found(tracking, "stalled")
    assert run.info.status == "FINISHED"
    assert steps(tracking, run) == [1, 2, 3, 4]


# MLflow 3.17 with SQLAlchemy 2.1.
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")
def test_without_a_tracking_uri_the_files_in_this_folder_are_said(balls, tmp_path, monkeypatch, capfd):
    from zoo_mlflow.patience import live

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    live(balls.path)
    where = f"MLflow's default, sqlite:///{tmp_path / 'mlflow.db'}, because MLFLOW_TRACKING_URI is not set."
    assert f"zoo-mlflow: {balls.path} is logged to {where}" in capfd.readouterr().err
    assert (tmp_path / "mlflow.db").is_file()


def test_what_is_not_a_run_is_refused(tracking):
    code, _, error = run_zoo("mlflow", "mobilenetv2")
    assert code == 2
    assert "'mobilenetv2' is not a training run." in error


def test_the_plugin_imports_no_mlflow(site):
    code = "import sys, zoo_mlflow; print(*[name for name in sys.modules if name.startswith(('mlflow', 'keras'))])"
    done = subprocess.run([sys.executable, "-c", code], cwd=site, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
