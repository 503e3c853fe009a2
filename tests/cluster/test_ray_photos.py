"""``zoo data check`` and ``zoo evaluate`` on two Ray nodes of this machine, one of which is killed in the middle."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.audit.conftest import read_image, write_image
from tests.cluster.conftest import Notes
from tests.conftest import PhotoFolder
from zoo.data.named import find_source
from zoo.workflows.check import CheckRequest, check
from zoo.workflows.evaluate import EvaluateRequest, evaluate

pytest.importorskip("ray", reason="Ray is not installed: pip install 'keras-edge-zoo[ray]'")

pytestmark = pytest.mark.long


class Killing(Notes):
    """Kills a node of the cluster during a stage, when the results of the first item of work have arrived."""

    def __init__(self, stage: str, kill: Callable[[], None]) -> None:
        super().__init__()
        self._stage = stage
        self._kill = kill
        self.counts: dict[str, list[int]] = {}

    def counter(self, text: str) -> Callable[[int, int], None]:
        def count(done: int, total: int) -> None:
            if text == self._stage and not self.counts.get(text):
                self._kill()
            self.counts.setdefault(text, []).append(done)

        return count


@pytest.fixture
def kill(cluster: Any, node: Any) -> Callable[[], None]:
    return lambda: cluster.remove_node(node, allow_graceful=False)


def lost(reporter: Notes) -> int:
    assert "2 worker(s) with 1 core(s) each" in reporter.told
    return sum(text.startswith("A worker or a machine was lost.") for text in reporter.told)


@pytest.mark.parametrize("stage", ["reading", "looking"])
def test_a_check_finds_the_same_although_a_node_is_killed(
    stage: str, kill: Callable[[], None], photo_folder: PhotoFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photo_folder({"train/a": 60, "train/b": 60, "test/a": 25, "test/b": 25})
    original = read_image(root / "train" / "a" / "photo_002.jpg")
    write_image(root / "test" / "a" / "copy.jpg", original[3:-3, 4:, ::1])
    shutil.copy(root / "train" / "b" / "photo_007.jpg", root / "train" / "a" / "also.jpg")
    shutil.move(root / "train" / "b" / "photo_001.jpg", root / "train" / "b" / "named.png")
    (root / "train" / "b" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (root / "train" / "b" / "link.jpg").symlink_to("nowhere.jpg")

    monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "here"))
    expected = check(CheckRequest(data=str(root), html=tmp_path / "here.html"), Notes())
    assert {"leak", "contradiction", "unreadable", "misnamed"} <= expected.by_kind.keys()

    monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "there"))
    reporter = Killing(stage, kill)
    found = check(CheckRequest(data=str(root), html=tmp_path / "there.html", on="ray"), reporter)
    assert lost(reporter) >= 1
    assert reporter.counts[stage] == sorted(set(reporter.counts[stage]))
    assert found.as_dict() == expected.as_dict()
    assert (tmp_path / "there.html").read_bytes() == (tmp_path / "here.html").read_bytes()


def test_an_evaluation_writes_the_same_although_a_node_is_killed(
    kill: Callable[[], None], digits_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / digits_run.name
    shutil.copytree(digits_run, run)
    written = ("metrics.json", "predictions.csv", "report.html")
    request = EvaluateRequest(model=str(run), runs=run.parent)
    here = evaluate(request, Notes())
    expected = {name: (run / name).read_bytes() for name in written}
    for name in written:
        (run / name).write_bytes(expected[name][:100] if name != "metrics.json" else expected[name])

    reporter = Killing("predicting", kill)
    found = evaluate(replace(request, on="ray"), reporter)
    assert lost(reporter) >= 1
    assert reporter.counts["predicting"] == sorted(set(reporter.counts["predicting"]))
    assert found.metrics == here.metrics
    assert {name: (run / name).read_bytes() for name in written} == expected


def test_an_evaluation_reads_other_photos_on_the_cluster(
    node: Any, digits_run: Path, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "digits"
    shutil.copytree(find_source("digits")[1], folder)
    (folder / "7" / "broken.png").write_bytes(b"\x89PNG")
    run = tmp_path / "runs" / digits_run.name
    shutil.copytree(digits_run, run)
    request = EvaluateRequest(model=str(run), data=str(folder), runs=run.parent)
    here = evaluate(request, Notes())
    expected = (here.folder / "predictions.csv").read_bytes()
    shutil.rmtree(here.folder)
    monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "there"))
    found = evaluate(replace(request, on="ray"), Notes())
    assert found == here
    assert (found.folder / "predictions.csv").read_bytes() == expected
