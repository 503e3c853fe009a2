"""``zoo search`` in 8 bits, for TFLite and for a timed device, from Python, and in two processes at the same time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from tests.conftest import Result, install, run_command, zoo_environment
from tests.workflows.test_search import PLUGIN, draw_photos
from zoo.searching.journal import Journal

OTHER = PLUGIN.replace('"tiny_net"', '"other_net"').replace("(8, 16)", "(16, 32)")
ARCHITECTURES = ("--arch", "tiny_net", "--arch", "other_net")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, cache_folder: Path) -> Path:
    """Photos and two architectures. Each test has its own --name."""
    made = tmp_path_factory.mktemp("forms")
    draw_photos(made / "photos", each=20)
    (made / "site").mkdir()
    install(made / "site", "zoo-tiny", PLUGIN)
    install(made / "site", "zoo-other", OTHER)
    return made


def run_search(folder: Path, *options: str | Path) -> dict[str, Any]:
    command = ("search", "--data", "photos", "--json", *options)
    done = run_command(*command, cwd=folder, environment=zoo_environment(folder / "site"), check=True)
    return {**json.loads(done.out), "told": done.err}


def verified(folder: Path, found: dict[str, Any]) -> Path:
    """The exported file of a search, after its report was checked."""
    file = folder / found["file"]
    assert json.loads((file.parent / "verify.json").read_text())["passed"] is True
    assert found["cost"]["size_bytes"] == file.stat().st_size
    return file


@pytest.mark.long
def test_in_8_bits(folder: Path) -> None:
    found = run_search(folder, "--name", "eight", "--precision", "int8", "--arch", "tiny_net")
    file = verified(folder, found)
    assert found["form"].endswith(" int8")
    assert (file.parent / "calibration.csv").is_file()
    winner = found["candidates"][0]
    size = found["cost"]["size_bytes"]
    assert abs(winner["cost"]["size_bytes"] - size) < 0.2 * size  # known before the training
    assert winner["cost"]["float_ms"] == 2 * winner["cost"]["latency_ms"]


@pytest.fixture(scope="module")
def for_tflite(folder: Path) -> dict[str, Any]:
    return run_search(folder, "--name", "lite", "--format", "tflite", "--arch", "tiny_net")


def test_for_tflite(folder: Path, for_tflite: dict[str, Any]) -> None:
    assert verified(folder, for_tflite).suffix == ".tflite"
    assert for_tflite["form"] == "tflite float32"
    assert for_tflite["tried"] == 3


@pytest.mark.long
def test_for_a_device_that_was_timed_by_a_bundle(folder: Path, for_tflite: dict[str, Any]) -> None:
    bundle = (folder / for_tflite["file"]).parent
    timing = ("--bench", "--json", "--threads", "1", "--seconds", "0.2")
    timed = subprocess.run([sys.executable, bundle / "run.py", *timing], capture_output=True, check=True)
    (folder / "board.json").write_bytes(timed.stdout)
    (result,) = json.loads(timed.stdout)["results"]
    found = run_search(folder, "--name", "board", "--format", "tflite", "--device", "board.json", *ARCHITECTURES)
    verified(folder, found)
    assert found["device"] == json.loads(timed.stdout)["device"]["name"]
    costs = {each["candidate"]["architecture"]: each["cost"] for each in found["candidates"]}
    assert (costs["tiny_net"]["source"], costs["other_net"]["source"]) == ("device", "estimated")
    assert costs["tiny_net"]["latency_ms"] == result["threads"][0]["model"]["p50_ms"]
    ratio = costs["tiny_net"]["latency_ms"] / costs["tiny_net"]["float_ms"]
    assert costs["other_net"]["latency_ms"] == pytest.approx(costs["other_net"]["float_ms"] * ratio)
    assert any("latency is estimated" in note for note in found["notes"])
    assert "(estimated)" in (folder / found["page"]).read_text()


@pytest.mark.long
def test_two_processes_find_the_same(folder: Path, tmp_path: Path) -> None:
    command = ["search", "--data", "photos", "--json", "--name", "two", "--format", "onnx", *ARCHITECTURES]
    outputs = [(tmp_path / f"{number}.out", tmp_path / f"{number}.err") for number in range(2)]
    environment = zoo_environment(folder / "site")
    both = [warm.start(command, folder, environment, *output) for output in outputs]
    results = []
    for process, (out, err) in zip(both, outputs, strict=True):
        process.join(600)
        results.append(Result(process.exitcode or 0, out.read_text(), err.read_text()))
        assert process.exitcode == 0, err.read_text()
    first, second = (json.loads(result.out) for result in results)
    for key in ("winner", "run", "file", "cost", "test_accuracy", "candidates"):
        assert first[key] == second[key]
    assert verified(folder, first).is_file()
    assert first["tried"] == 6
    assert sorted(path.name for path in (folder / "runs").glob("two*")) == ["two", "two.search"]
    search = folder / "runs" / "two.search"
    trials = Journal(search, ["other_net", "tiny_net"]).read().trials
    assert set(Counter(trial.user_attrs["key"] for trial in trials).values()) == {1}  # nothing was tried twice
    assert len({trial.user_attrs["worker"] for trial in trials}) == 2
    assert list((search / "deaths").iterdir()) == []


SCRIPT = """
import zoo

found = zoo.search(
    "photos", time="15m", max_size_mb=5, format="onnx", architectures=["tiny_net"], name="script", quiet=True
)
print(found.run.path, found.file, found.page, found.run.metrics.accuracy, len(found.ranked), sep="\\n")
print(found.run.predict("photos/sky/0.jpg").label, found.ranked[0][0].candidate.key, sep="\\n")
"""


@pytest.mark.long
def test_from_python(folder: Path) -> None:
    environment = zoo_environment(folder / "site")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    run, file, page, accuracy, tried, label, winner = done.stdout.splitlines()
    assert Path(run) == Path("runs", "script")
    assert (folder / page).is_file()
    # The same search as a command gives the same result.
    limits = ("--time", "15m", "--max-size-mb", "5", "--format", "onnx")
    found = run_search(folder, "--name", "script", *limits, "--arch", "tiny_net")
    assert (found["run"], found["file"], found["winner"]) == (run, file, winner)
    assert (found["test_accuracy"], found["tried"]) == (float(accuracy), int(tried))
    assert label == "sky"
    verified(folder, found)
