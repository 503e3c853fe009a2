"""``zoo search --on ray`` on two Ray nodes of this machine, one of which is killed or has a full disk."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import NODE
from tests.conftest import RunZoo, install
from tests.workflows.test_search import PLUGIN, draw_photos
from zoo.errors import DataError
from zoo.searching.folder import read_outcomes
from zoo.searching.journal import Journal

pytest.importorskip("ray", reason="Ray is not installed: pip install 'keras-edge-zoo[ray]'")

pytestmark = pytest.mark.long

#: Where WAIT_AT is set, a process that is about to write the outcome of a candidate creates that file and waits.
WAITER = """
import os, time
from pathlib import Path

write_bytes = Path.write_bytes

def write(self, data):
    if "WAIT_AT" in os.environ and self.name.startswith(".result."):
        Path(os.environ["WAIT_AT"]).touch()
        time.sleep(600)
    return write_bytes(self, data)

Path.write_bytes = write
"""
COMMAND = ("search", "--data", "photos", "--format", "onnx", "--time", "20m", "--arch", "tiny_net", "--json")


@pytest.fixture(scope="module", autouse=True)
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Plugins on the path of the command and of all nodes."""
    site = tmp_path_factory.mktemp("site")
    install(site, "zoo-tiny", PLUGIN)
    install(site, "zoo-waiter", WAITER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")])))
        yield


@pytest.fixture
def expected(run_zoo: RunZoo, tmp_path: Path) -> dict[str, Any]:
    """What the search without Ray finds."""
    draw_photos(tmp_path / "photos")
    done = run_zoo(*COMMAND, "--runs", "here")
    assert done.code == 0, done.err
    return result(done.out)


def result(out: str) -> dict[str, Any]:
    """The winner, and the Brier score of each candidate."""
    found = json.loads(out)
    scores = {each["key"]: each["judged"]["brier_score"] for each in found["candidates"]}
    return {"winner": found["winner"], "scores": scores}


def add_node(cluster: Any, **environment: str) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return cluster.add_node(**NODE)


def test_a_killed_node_costs_no_trial_and_the_winner_is_the_same(
    cluster: Any, expected: dict[str, Any], run_zoo: RunZoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    waiting = tmp_path / "waiting"
    node = add_node(cluster, WAIT_AT=str(waiting))

    def kill() -> None:
        deadline = time.monotonic() + 240
        while not waiting.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        cluster.remove_node(node, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    done = run_zoo(*COMMAND, "--on", "ray")
    killer.join()
    assert done.code == 0, done.err
    assert waiting.exists()
    assert "A worker or a machine was lost." in done.err
    assert result(done.out) == expected
    folder = tmp_path / "runs" / "best-photos.search"
    trials = Journal(folder, ["tiny_net"])._study.trials
    finished = Counter(trial.user_attrs["key"] for trial in trials if trial.state.name == "COMPLETE")
    assert finished == dict.fromkeys(expected["scores"], 1)
    assert len(trials) == len(finished) + 1  # one was lost with its node


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with less space than the cache leaves free."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if (
        sys.platform != "linux"
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder]).returncode
    ):
        pytest.skip("needs Linux and the right to mount a disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_on_one_node_ends_the_search_and_no_candidate_fails(
    cluster: Any,
    expected: dict[str, Any],
    full_disk: Path,
    run_zoo: RunZoo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    node = add_node(cluster, ZOO_CACHE_DIR=str(full_disk))
    try:
        done = run_zoo(*COMMAND, "--on", "ray")
    finally:
        cluster.remove_node(node)
    assert done.code == DataError.exit_code, done.err
    assert f"GB in {full_disk}; 0.00 GB are free." in done.err
    assert f"On {socket.gethostname()}. Free some space" in done.err
    assert not [outcome.error for outcome in read_outcomes(tmp_path / "runs" / "best-photos.search") if outcome.error]
    done = run_zoo(*COMMAND, "--on", "ray")
    assert done.code == 0, done.err
    assert result(done.out) == expected
