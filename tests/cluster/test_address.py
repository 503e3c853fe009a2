"""``--on`` without a cluster, and what workers refuse. No test of this file starts Ray."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import zoo as library
from tests.conftest import Zoo, draw_photo
from zoo.cluster import address
from zoo.cluster.worker import Worker, as_error, as_failure
from zoo.data.reading import DECODER
from zoo.errors import ClusterError, DataError, PluginCodeError, PluginError, UsageError, ZooError
from zoo.predicting.unfinished import Goal
from zoo.reporter import Reporter
from zoo.workflows import search_cluster
from zoo.workflows.predict import PredictRequest
from zoo.workflows.predict_cluster import open_predictor
from zoo.workflows.search import SearchRequest

NO_JOURNAL: Any = None


@pytest.fixture
def silent_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_an_address_where_nobody_listens_is_told_at_once(
    zoo: Zoo, tmp_path: Path, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_photo(tmp_path / "photo.png", hue=9, seed=9)
    on = f"ray://127.0.0.1:{silent_port}"
    done = zoo("predict", "mobilenetv2", "photo.png", "--out", "found.csv", "--on", on)
    assert done.code == 7
    assert f"No Ray cluster answers at {on}: " in done.err
    assert "ray start --head" in done.err
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{silent_port}")
    with pytest.raises(ClusterError, match=f"answers at 127.0.0.1:{silent_port}"):
        library.predict("mobilenetv2", "photo.png", out="found.csv", on="ray")
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def test_a_name_that_no_machine_can_have_is_told() -> None:
    with pytest.raises(ClusterError, match=r"No Ray cluster answers at ray://node\.\.net:10001: "):
        address.check_cluster("ray://node..net:10001")


def test_workers_search_the_data_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of a dataset stays a name, although the working folder of the command has a folder of that name."""
    seen = []
    monkeypatch.setattr(search_cluster, "spread", lambda make, *_: seen.append(make.args[0].data) or ())
    monkeypatch.chdir(tmp_path)
    for name in ("digits", "photos"):
        (tmp_path / name).mkdir()
        search_cluster.try_on_cluster(SearchRequest(data=name, on="ray"), 1, NO_JOURNAL, Reporter())
    assert seen == ["digits", str(tmp_path / "photos")]


def test_the_claims_of_workers_that_end_with_their_command_are_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, given_back = [], []

    def spread(make: partial[Any], *_: object) -> Iterator[tuple[int, bytes]]:
        started.append(make.args[1])
        yield 0, b"the first candidate"
        raise KeyboardInterrupt

    monkeypatch.setattr(search_cluster, "spread", spread)
    journal: Any = SimpleNamespace(give_back_all=given_back.append)
    with pytest.raises(KeyboardInterrupt):
        search_cluster.try_on_cluster(SearchRequest(data=str(tmp_path), on="ray"), 1, journal, Reporter())
    assert given_back == started


def test_ray_client_can_be_the_address_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "find_spec", lambda name: name)
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
        for known, used in ((f"ray://{place}", f"ray://{place}"), (place, "ray"), ("", "ray")):
            monkeypatch.setenv("RAY_ADDRESS", known)
            assert address.check_cluster("ray") == used
            assert address.check_cluster(f"ray://{place}") == f"ray://{place}"


@pytest.mark.parametrize(
    "on", ["dask", "ray:", "ray://", "ray://host", "ray://host:port", "ray://a/b:1", "127.0.0.1:6379"]
)
def test_what_is_no_address_is_refused(on: str) -> None:
    with pytest.raises(UsageError, match="--on must be ray or ray://HOST:PORT"):
        address.check_cluster(on)


def test_without_ray_the_line_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(address, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="'ray' is not installed") as error:
        address.check_cluster("ray")
    assert error.value.hint == "python -m pip install 'keras-edge-zoo[ray]'"


def test_options_that_do_not_go_together(zoo: Zoo) -> None:
    done = zoo("predict", "mobilenetv2", "photo.png", "--on", "ray")
    assert (done.code, "--on requires --out" in done.err) == (2, True)
    done = zoo("predict", "mobilenetv2", "-", "--out", "found.csv", "--on", "ray")
    assert (done.code, "cannot read standard input" in done.err) == (2, True)


def test_a_machine_with_another_model_or_version_is_refused(digits_exports: Path) -> None:
    bundle = digits_exports / "simple_cnn-onnx-float32"
    goal = Goal(
        model="0" * 64,
        labels=(),
        photos=(),
        lists="",
        folder="/",
        shard="1/1",
        top=1,
        min_confidence="",
        preprocessing="",
    )
    with pytest.raises(ClusterError, match="has another content on that machine: SHA-256"):
        open_predictor(PredictRequest(model=str(bundle)), goal, {}, 1)
    with pytest.raises(UsageError, match="no such file or folder"):
        open_predictor(PredictRequest(model="/not/mounted/bundle"), goal, {}, 1)
    (model,) = bundle.glob("*.onnx")
    same = replace(goal, model=hashlib.sha256(model.read_bytes()).hexdigest())
    with pytest.raises(ClusterError, match=r"another onnxruntime than the machine of the command: .*, expected 0\.9"):
        open_predictor(PredictRequest(model=str(bundle)), same, {"decoder": DECODER, "onnxruntime": "0.9"}, 1)
    with pytest.raises(ClusterError, match=r"A worker has zoo 0\.1\.0, and this machine has zoo 9\.9"):
        Worker(b"", "9.9", 1)._made()


@pytest.mark.parametrize("kind", [UsageError, DataError, ClusterError])
def test_an_error_of_a_worker_arrives_with_its_type_and_its_machine(kind: type[ZooError]) -> None:
    error = as_error(as_failure(kind("What failed.", "What works.")))
    assert (type(error), error.message) == (kind, "What failed.")
    assert error.hint == f"On {socket.gethostname()}. What works."


def test_an_error_that_needs_more_than_a_message_arrives_too() -> None:
    error = as_error(as_failure(PluginCodeError("A plugin failed.", None, RuntimeError("why"))))
    assert (type(error), error.message) == (PluginError, "A plugin failed.")
