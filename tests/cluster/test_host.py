"""The process that a machine of a cluster starts for a training, and what it refuses. No test starts Ray."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cluster.conftest import Notes
from tests.cluster.works import report_place
from tests.conftest import PhotoFolder, Zoo
from zoo import __version__
from zoo.cluster import driver
from zoo.cluster.connection import Frame
from zoo.cluster.host import Host
from zoo.cluster.hosts import _prepared, _watched
from zoo.cluster.reports import Forwarded, Shown
from zoo.cluster.worker import as_error
from zoo.errors import ClusterError, DataError
from zoo.hosts.meeting import _listen
from zoo.hosts.place import Place
from zoo.reporter import Reporter

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Host]:
    monkeypatch.syspath_prepend(REPOSITORY)
    started = Host(str(tmp_path))
    yield started
    if started._process:
        started._process.kill()
    if started._reserved:
        started._reserved.close()


def all_frames(host: Host) -> list[Frame]:
    found: list[Frame] = []
    deadline = time.monotonic() + 60
    while not found or found[-1][0] != "ended":
        assert time.monotonic() < deadline
        found += host.next()
    return found


def test_a_process_reports_its_progress_and_its_result(host: Host, tmp_path: Path) -> None:
    host.start(pickle.dumps(report_place), "1/2@node:5000")
    found = all_frames(host)
    assert found[0] == ("report", ("stage", "this is 1/2@node:5000"))
    assert ("report", ("count", "counting", 3, 3)) in found
    assert found[-2] == ("result", ("1/2@node:5000", str(tmp_path), "jax"))
    assert "ended with exit code 0" in as_error(found[-1][1]).message


def test_a_result_that_arrives_with_the_end_of_its_process_is_the_last_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [("report", ("stage", "Evaluating")), ("result", "the run"), ("ended", "an error")]
    ray = SimpleNamespace(wait=lambda waiting, timeout: (waiting, []), get=lambda asked: frames)
    monkeypatch.setitem(sys.modules, "ray", ray)
    first = SimpleNamespace(next=SimpleNamespace(remote=lambda: "asked"))
    assert list(_watched([first], ["node"], threading.Event())) == [*frames[:2], ("done",)]


def test_the_error_of_a_process_keeps_its_type(host: Host) -> None:
    host.start(pickle.dumps(report_place), "9/9@node:5000")
    name, failure = all_frames(host)[-2]
    error = as_error(failure)
    assert (name, type(error), error.message) == ("failed", DataError, "The disk is empty.")


@pytest.mark.parametrize("end", ["stop", "close"])
def test_a_process_ends_with_its_actor(host: Host, end: str) -> None:
    host.start(pickle.dumps(report_place), "8/9@node:5000")
    assert host._process
    assert host._process.stdin
    while not host.next():
        pass
    if end == "stop":
        host.stop()
    else:
        host._process.stdin.close()  # as if the actor was killed
    assert host._process.wait(8) == 128 + signal.SIGTERM
    assert "ended with exit code 143" in as_error(all_frames(host)[-1][1]).message


def test_a_machine_without_the_folders_of_the_command_is_refused(host: Host, tmp_path: Path) -> None:
    def refused(host: Host, version: str, marker: str | None) -> ClusterError:
        error = as_error(host.prepare(version, marker)[0])
        assert isinstance(error, ClusterError)
        return error

    assert "A worker has zoo" in refused(host, "0.0.1", None).message
    assert f"another folder {tmp_path} than" in refused(host, __version__, str(tmp_path / "marker")).message
    missing = Host(str(tmp_path / "missing"))
    assert (
        f"The working directory of the command, {tmp_path / 'missing'}, does"
        in refused(missing, __version__, None).message
    )


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux, a server can start on a reserved port")
def test_the_port_of_host_1_is_kept_until_its_process_listens(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    util = SimpleNamespace(get_node_ip_address=lambda: "10.0.0.7")
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(util=util))
    failure, address, port = host.prepare(__version__, None)
    assert (failure, address) == ("", "10.0.0.7")
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("", port))
    _listen(Place(1, 2, address, port)).close()


def test_a_machine_on_which_no_process_can_start_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class RayError(Exception):
        pass

    def get(asked: str) -> tuple[str, str, int]:
        if asked == "node-7":
            raise RayError("The actor died.\nModuleNotFoundError: No module named 'zoo'")
        return "", "10.0.0.1", 5000

    ray = SimpleNamespace(
        exceptions=SimpleNamespace(RayError=RayError), wait=lambda asked, num_returns, timeout: (asked, []), get=get
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    names = ["node-1", "node-7"]
    actors = [SimpleNamespace(prepare=SimpleNamespace(remote=lambda *_, name=name: name)) for name in names]
    with pytest.raises(ClusterError, match=r"No process could be started on node-7, .* No module named 'zoo'"):
        _prepared(actors, names, {"version": __version__, "marker": ""}, threading.Event())


def test_if_no_worker_can_start_the_packages_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_worker(*_: object, **__: object) -> Iterator[None]:
        raise RuntimeError("The actor died.\nModuleNotFoundError: No module named 'zoo'")

    monkeypatch.setattr(driver, "_capacity", lambda: (1, 1))
    monkeypatch.setattr(driver, "_pass", no_worker)
    with pytest.raises(ClusterError, match=r"did not finish .* No module named 'zoo'") as error:
        list(driver.frames({}, {0: b""}))
    assert "pip install 'keras-edge-zoo[ray]'" in str(error.value.hint)


def test_the_process_that_talks_to_ray_ends_with_a_killed_command(tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("import time\n\ndef init(**options):\n    time.sleep(60)  # the cluster is busy\n")
    paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "zoo.cluster.driver", "ray"],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    )
    try:
        assert process.stdin
        for value in ({"make": b"", "version": __version__}, None):
            pickle.dump(value, process.stdin)
        process.stdin.close()
        assert process.wait(20) == -signal.SIGTERM
    finally:
        process.kill()
        process.wait()


def test_progress_arrives_at_the_reporter_of_the_command() -> None:
    class Seen(Notes):
        def __init__(self) -> None:
            super().__init__()
            self.calls: list[tuple[Any, ...]] = []

        def counter(self, text: str) -> Any:
            return lambda done, total: self.calls.append((text, done, total))

        def training(self, *values: Any) -> None:
            self.calls.append(values)

        def batch(self, *values: Any) -> None:
            self.calls.append(values)

        def epoch(self, *values: Any) -> None:
            self.calls.append(values)

        def trained(self) -> None:
            self.calls.append(("trained",))

    seen = Seen()
    shown = Shown(seen)
    far: Reporter = Forwarded(lambda report: shown(pickle.loads(pickle.dumps(report))))
    far.stage("a stage")
    far.note("a note")
    far.warning("a warning")
    count = far.counter("decoding")
    for done in range(1, 10001):
        count(done, 10000)
    assert len(seen.calls) < 100
    assert seen.calls[-1] == ("decoding", 10000, 10000)
    seen.calls.clear()
    time.sleep(0.2)
    far.training(3, 5, 60, 0)
    far.batch(1, {"loss": 0.5})
    far.epoch(1, {"loss": 0.5}, True)
    far.trained()
    assert seen.calls == [(3, 5, 60, 0, False), (1, {"loss": 0.5}), (1, {"loss": 0.5}, True), ("trained",)]
    assert seen.told == ["a stage", "a note"]


def test_options_of_a_training_that_do_not_go_together(zoo: Zoo, photo_folder: PhotoFolder, tmp_path: Path) -> None:
    import zoo as library

    photos = photo_folder({"a": 3, "b": 3})
    done = zoo("train", "simple_cnn", "--data", photos, "--on", "ray", "--host", "1/2@node:5000")
    assert (done.code, "--on ray cannot be combined with --host" in done.err) == (2, True)
    done = zoo("train", "mobilenetv2", "--data", photos, "--on", "ray")
    assert (done.code, "--on ray has no effect: the recipe chooses a head" in done.err) == (2, True)
    assert "Leave --on out, or set --epochs" in done.err
    done = zoo("train", "simple_cnn", "--data", photos, "--on", "dask")
    assert (done.code, "--on must be ray or ray://HOST:PORT" in done.err) == (2, True)
    with pytest.raises(library.UsageError, match="callbacks cannot be combined with on"):
        library.train("simple_cnn", data=photos, on="ray", callbacks=[object()])
    assert not list(tmp_path.glob("runs/*"))
