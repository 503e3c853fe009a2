"""Ray on two nodes of this machine: each item is done once, even if workers, a node or the cluster are killed.

A worker of Ray is a process that takes two seconds to start, so there is one cluster and few tests.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import Notes
from tests.cluster.works import trials, upper_case
from tests.conftest import Zoo, draw_photo
from tests.searching.shares import CANDIDATES, own_rule
from zoo.errors import ClusterError, UsageError, ZooError
from zoo.reporter import Reporter
from zoo.searching.candidate import ranked
from zoo.searching.folder import read_outcomes

pytest.importorskip("ray", reason="Ray is not installed: pip install 'keras-edge-zoo[ray]'")

pytestmark = pytest.mark.long


def run(items: list[bytes], reporter: Reporter, found: dict[int, bytes]) -> None:
    from zoo.cluster.spread import spread

    for number, result in spread(upper_case, enumerate(items), "ray", reporter):
        assert number not in found
        found[number] = result


@pytest.mark.parametrize(
    ("item", "kind", "said"),
    [(b"refuse", UsageError, "Refused"), (b"fail", ClusterError, "A worker failed: RuntimeError: a fault")],
)
def test_the_error_of_a_worker_ends_the_work(
    cluster: Any, monkeypatch: pytest.MonkeyPatch, item: bytes, kind: type[ZooError], said: str
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    with pytest.raises(kind, match=said) as failed:
        run([item], Reporter(), {})
    assert f"On {socket.gethostname()}. " in str(failed.value)


def test_an_item_that_kills_its_workers_is_given_up_after_all_others(node: Any) -> None:
    found: dict[int, bytes] = {}
    notes = Notes()
    with pytest.raises(ClusterError, match=r"did not finish the last 1 item\(s\) of work") as died:
        run([b"a", b"b", b"die", b"c", b"d"], notes, found)
    assert found == {0: b"A", 1: b"B", 3: b"C", 4: b"D"}
    assert "run out of memory" in str(died.value)
    assert notes.told[1] == "2 worker(s) with 1 core(s) each"
    assert notes.told[-1] == "A worker or a machine was lost. Items of work to try again: 1."


def test_a_killed_worker_costs_no_trial_of_a_search(node: Any, tmp_path: Path) -> None:
    from zoo.cluster.spread import spread

    waited_at = own_rule("large").key

    def kill() -> None:
        deadline = time.monotonic() + 60
        while not (tmp_path / "waiting").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        (worker,) = (pid for key, pid in judged() if key == waited_at)
        os.kill(int(worker), signal.SIGKILL)

    def judged() -> list[list[str]]:
        return [line.split() for line in (tmp_path / "judged.txt").read_text().splitlines()]

    killer = threading.Thread(target=kill)
    killer.start()
    items = ((number, b"") for number in range(2 * CANDIDATES))
    told = [text for _, text in spread(partial(trials, tmp_path, waited_at), items, "ray", Reporter())]
    killer.join()
    assert sum(text != b"" for text in told) == CANDIDATES
    counts = Counter(key for key, _ in judged())
    assert counts.pop(waited_at) == 2  # its worker was killed during this candidate
    assert len(counts) == CANDIDATES - 1
    assert set(counts.values()) == {1}
    best, _ = ranked(read_outcomes(tmp_path))[0]
    assert (best.candidate.architecture, best.candidate.image.height_px) == ("large", 144)


def when_parts_are_finished(unfinished: Path, act: Any) -> threading.Thread:
    def watch() -> None:
        deadline = time.monotonic() + 60
        while len(list(unfinished.glob("*.jsonl"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.005)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_killed_node_costs_no_photo_and_a_killed_cluster_can_be_continued(
    cluster: Any, node: Any, digits_exports: Path, zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = digits_exports / "simple_cnn-onnx-float32"
    draw_photo(tmp_path / "large.jpg", hue=60, seed=6, size=(1600, 1200))
    (tmp_path / "photos").mkdir()
    for number in range(300):
        (tmp_path / "photos" / f"{number}.jpg").hardlink_to(tmp_path / "large.jpg")
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    command = ("predict", bundle, "photos", "--out")
    assert zoo(*command, "here.jsonl").code == 0

    killed = when_parts_are_finished(
        tmp_path / "found.jsonl.unfinished", lambda: cluster.remove_node(node, allow_graceful=False)
    )
    done = zoo(*command, "found.jsonl", "--on", "ray")
    killed.join()
    assert done.code == 0, done.err
    assert "A worker or a machine was lost." in done.err
    assert rows(tmp_path / "found.jsonl") == rows(tmp_path / "here.jsonl")

    # Ray waits a minute for the first node to come back.
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "2")
    unfinished = tmp_path / "again.jsonl.unfinished"
    head = cluster.head_node
    killed = when_parts_are_finished(
        unfinished, lambda: head.kill_all_processes(check_alive=False, allow_graceful=False)
    )
    done = zoo(*command, "again.jsonl", "--on", "ray")
    killed.join()
    assert done.code == 7, done.err
    assert "The connection to the Ray cluster was lost" in done.err
    finished = sorted(path.name for path in unfinished.glob("*.jsonl"))
    assert 3 <= len(finished) < 19
    before = {name: (unfinished / name).stat().st_mtime_ns for name in finished}
    monkeypatch.delenv("RAY_ADDRESS")
    assert all((unfinished / name).stat().st_mtime_ns == before[name] for name in finished)
    done = zoo(*command, "again.jsonl")  # on this machine, with the parts that the cluster had finished
    assert (done.code, "Continuing: " in done.err) == (0, True)
    assert rows(tmp_path / "again.jsonl") == rows(tmp_path / "here.jsonl")
