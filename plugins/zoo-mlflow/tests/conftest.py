"""A real MLflow server with SQLite, and zoo with this plugin."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import pytest

PLUGIN = Path(__file__).resolve().parents[1]

#: The client, and the packages that a server needs. ``pip install mlflow`` installs them too.
NEEDED = ("mlflow", "aiohttp", "alembic", "flask", "flask_cors", "sqlalchemy")


@pytest.fixture(scope="session", autouse=True)
def _needed():
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        pytest.skip(
            f"needs an MLflow server, but some packages are missing: {', '.join(missing)}; see [dependency-groups]"
        )


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The process of the server. Its address is ``uri``."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", "sqlite:///runs.db", "--artifacts-destination", "./artifacts"]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [*command, *stores], cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    process.uri = f"http://127.0.0.1:{port}"
    try:
        wait_for(process, folder / "log.txt")
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(process, log):
    end = time.monotonic() + 180
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{process.uri}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"the server did not start: {log.read_text()[-3000:]}")


@pytest.fixture(scope="session")
def nowhere():
    """An address at which nothing listens."""
    return f"http://127.0.0.1:{free_port()}"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """A folder with the plugin as pip would install it."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(PLUGIN / "zoo_mlflow", folder / "zoo_mlflow", ignore=shutil.ignore_patterns("__pycache__"))
    info = folder / "zoo_mlflow-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo-mlflow\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[zoo]\nmlflow = zoo_mlflow\n")
    return folder


@pytest.fixture(scope="module", autouse=True)
def _plugin_in_use(site, tmp_path_factory):
    """Makes zoo find the plugin in the tests of these files, but not in other tests in this process."""
    from zoo.registry import plugin_manager

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.setenv("ZOO_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
            patch.delenv(name, raising=False)
        plugin_manager.cache_clear()
        yield
    plugin_manager.cache_clear()


@pytest.fixture(scope="module")
def pictures():
    """48 images of two classes, bright and dark."""
    import numpy as np

    labels = np.arange(48) % 2
    noise = np.random.default_rng(0).integers(0, 100, (48, 16, 16, 3))
    return (noise + 150 * labels[:, None, None, None]).astype("uint8"), labels


@pytest.fixture(scope="module")
def train(pictures):
    """``train(runs, name, **settings)``: ``zoo.train`` with a small network on few pictures."""
    import zoo

    def train(runs, name, **settings):
        given = {"size": 16, "precision": "float32", "augmentation": "none", **settings}
        return zoo.train(
            "simple_cnn", data=pictures, class_names=["dark", "bright"], name=name, runs=runs, quiet=True, **given
        )

    return train
