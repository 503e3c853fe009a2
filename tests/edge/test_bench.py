"""``python run.py --bench``: real processes of a real bundle, with the shortest possible measurements."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.edge.conftest import RunBundle
from zoo.edge.bench import BENCH_VERSION, as_text, thread_counts
from zoo.edge.machine import core_count, describe_machine

RUNTIMES = {"onnx": "onnxruntime", "tflite": "ai-edge-litert"}


def test_it_tells_what_the_page_says(bundle: Path, run_bundle: RunBundle) -> None:
    done = run_bundle(bundle, "--bench", "--json", "--seconds", "0.05", "--threads", "1", "--device", "a board")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["kind"], found["version"]) == ("zoo bench", BENCH_VERSION)
    assert found["device"] == describe_machine("a board")
    (result,) = found["results"]
    spec = json.loads((bundle / "spec.json").read_text())
    model = bundle / spec["model"]
    assert result["model"]["bytes"] == model.stat().st_size
    assert result["model"]["sha256"] == spec["files"][spec["model"]]["sha256"]
    assert result["model"]["accuracy"] == spec["verification"]["accuracy"] > 0.5
    name = RUNTIMES[spec["format"]]
    assert result["runtime"]["name"] == name
    assert result["runtime"]["version"] == version(name)
    assert result["pictures"] == "photo"
    start = result["cold_start_s"]
    assert 0.05 < start["min"] <= start["median"] <= start["max"]
    assert 0 < result["load_ms"] < 1000 * start["max"]
    assert 20e6 < result["peak_memory_bytes"] < 200e6  # the memory of this process, which started it, is larger
    (speed,) = result["threads"]
    assert speed["threads"] == 1
    for what in ("model", "photo"):
        assert 0 < speed[what]["p50_ms"] <= speed[what]["p95_ms"]
        assert speed[what]["runs"] >= 2
    assert speed["photo"]["pictures"] == 3
    # A TFLite file has a batch size of 1.
    sizes = [1] if spec["format"] == "tflite" else [1, 2, 4, 8, 16, 32]
    assert [batch["size"] for batch in speed["batches"]] == sizes
    assert speed["best_batch"] in speed["batches"]
    fastest = max(batch["images_per_s"] for batch in speed["batches"])
    assert speed["best_batch"]["images_per_s"] >= 0.9 * fastest
    assert speed["copies"]["copies"] == 1
    assert speed["copies"]["images"] >= 1
    assert result["sustained"] is None


def test_a_sustained_run_tells_its_first_part_and_its_last(onnx_bundle: Path, run_bundle: RunBundle) -> None:
    options = ("--bench", "--seconds", "0.02", "--threads", "2", "--sustained", "0.4")
    done = run_bundle(onnx_bundle, *options, "--json")
    assert done.code == 0, done.err
    assert "Running 2 copies of simple_cnn.onnx for 0.4 s" in done.err
    (result,) = json.loads(done.out)["results"]
    run = result["sustained"]
    assert (run["copies"], len(run["windows"])) == (2, 10)
    assert run["seconds"] >= 0.4
    for window in run["windows"]:
        assert window["images_per_s"] == pytest.approx(window["images"] / window["seconds"])
    assert run["images_per_s"] == pytest.approx(sum(window["images"] for window in run["windows"]) / run["seconds"])
    facts = as_text(result)
    assert re.search(r"sustained +\d+ s with 2 copies: [\d.]+ photos/s in the first tenth, [\d.]+ in the last", facts)
    assert re.search(r"clock +(not known here|\d+ MHz in the first tenth, \d+ in the last)", facts)
    assert run["joules_per_image"] is not None or re.search(r"energy +not known here", facts)


def test_people_get_a_table_and_drawn_pictures_are_called_so(onnx_bundle: Path, run_bundle: RunBundle) -> None:
    path = onnx_bundle / "golden" / "golden.json"
    values = json.loads(path.read_text())
    values["images"] = [image for image in values["images"] if image["origin"] == "drawn"]
    path.write_text(json.dumps(values))
    from tests.edge.conftest import reseal

    reseal(onnx_bundle)
    done = run_bundle(onnx_bundle, "--bench", "--seconds", "0.02", "--threads", "2")
    assert done.code == 0, done.err
    assert "Timing simple_cnn.onnx on 2 threads" in done.err
    assert "from drawn picture to prediction" in done.out
    lines = done.out.splitlines()
    assert lines[-2].split()[0] == "threads"
    assert lines[-1].split()[0] == "2"


def test_an_altered_bundle_is_not_timed(onnx_bundle: Path, run_bundle: RunBundle) -> None:
    model = onnx_bundle / "simple_cnn.onnx"
    model.write_bytes(model.read_bytes()[:-1])
    done = run_bundle(onnx_bundle, "--bench")
    assert (done.code, done.out) == (6, "")
    assert "simple_cnn.onnx is truncated" in done.err


def test_a_runtime_that_is_not_there_is_said_with_the_command(onnx_bundle: Path, run_bundle: RunBundle) -> None:
    # The timed processes import this module first, as if the package were not installed.
    (onnx_bundle / "onnxruntime.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'onnxruntime'\", name='onnxruntime')"
    )
    done = run_bundle(onnx_bundle, "--bench")
    assert (done.code, done.out) == (2, "")
    assert "'onnxruntime' is not installed" in done.err
    assert "pip install" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--bench", "photo.jpg"],
        ["--bench", "--selftest"],
        ["--bench", "--seconds", "0"],
        ["--seconds", "1", "photo.jpg"],
        ["--device", "board", "photo.jpg"],
        ["--sustained", "1", "photo.jpg"],
        ["--bench", "--sustained", "0"],
        ["--bench", "--min-confidence", "0.5"],
    ],
)
def test_a_wrong_call_ends_with_2(onnx_bundle: Path, run_bundle: RunBundle, arguments: list[str]) -> None:
    done = run_bundle(onnx_bundle, *arguments)
    assert done.code == 2
    assert "usage: run.py" in done.err


def test_threads_go_up_to_all_cores() -> None:
    assert [thread_counts(cores) for cores in (1, 2, 3, 4, 6, 8)] == [
        [1],
        [1, 2],
        [1, 2, 3],
        [1, 2, 4],
        [1, 2, 4, 6],
        [1, 2, 4, 8],
    ]
    assert thread_counts(core_count())[-1] == core_count()


def test_the_memory_of_who_started_a_process_is_not_counted() -> None:
    ballast = b"x" * 300_000_000
    code = "from zoo.edge.machine import peak_memory_bytes; print(peak_memory_bytes())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 1e6 < int(done.stdout) < len(ballast) / 2


def test_starting_loads_nothing_of_the_benchmark(onnx_bundle: Path) -> None:
    picture = onnx_bundle / "golden" / "drawn.png"
    command = [sys.executable, "-X", "importtime", str(onnx_bundle / "run.py"), str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "runner.edge.classify" in loaded
    wanted_later = ("bench", "bench_worker", "machine", "confidence", "selftest", "watch", "camera")
    assert not loaded & {f"runner.edge.{name}" for name in wanted_later}
    assert not loaded & {"subprocess", "importlib.metadata", "tempfile", "hashlib"}
