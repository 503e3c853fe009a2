"""Costs of candidates: limits, the Pareto front, and other devices."""

from __future__ import annotations

import errno
import os
import shlex
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest

from zoo import Architecture, ExportError, ImageSpec, PluginError, UsageError, Weights
from zoo.atomic import unwritable
from zoo.data.cache import ImageCache
from zoo.errors import DataError, TrainingError
from zoo.registry import architectures, exporters
from zoo.report.search import more_accurate
from zoo.reporter import Reporter
from zoo.searching import cost, costs
from zoo.searching.candidate import Candidate, Cost, Judged, Limits, Outcome, failure_of, front, ranked, sized
from zoo.searching.clock import read_time
from zoo.searching.cost import Form, _prepared
from zoo.searching.device import read_device
from zoo.searching.engine import fine_tuning_s, pace_of
from zoo.searching.judge import _choose
from zoo.workflows.search import SearchRequest

SQUARE = ImageSpec(height_px=224, width_px=224)


def outcome(name: str, accuracy: float, latency_ms: float, size_mb: float, brier_score: float) -> Outcome:
    judged = Judged(
        accuracy=accuracy,
        accuracy_interval=(accuracy, accuracy),
        brier_score=brier_score,
        n=100,
        folds=5,
        repeats=1,
        seconds=1.0,
    )
    cost = Cost(latency_ms=latency_ms, size_bytes=round(size_mb * 1e6))
    return Outcome(candidate=Candidate(architecture=name, image=SQUARE), cost=cost, judged=judged)


def test_the_winner_is_beaten_by_none_in_everything() -> None:
    slow_and_sure = outcome("sure", 0.90, 9.0, 5.0, 0.10)
    better = outcome("better", 0.91, 4.0, 5.0, 0.12)
    cheap = outcome("cheap", 0.80, 1.0, 1.0, 0.30)
    failed = Outcome(candidate=Candidate(architecture="broken", image=SQUARE), cost=better.cost, error="broken")
    found = ranked([cheap, failed, slow_and_sure, better])
    assert [pair[0].candidate.architecture for pair in found] == ["better", "sure", "cheap"]
    assert front(found) == {better.candidate.key, cheap.candidate.key}


def test_only_a_more_accurate_candidate_with_a_worse_brier_score_is_named() -> None:
    winner = outcome("winner", 0.90, 1.0, 5.0, 0.10)
    slow = outcome("slow", 0.92, 9.0, 5.0, 0.05)  # not on the front
    fast = outcome("fast", 0.92, 4.0, 5.0, 0.12)
    judged = ranked([winner, slow, fast])
    assert judged[0][0] == winner
    assert more_accurate(judged, front(judged)) == fast.candidate
    assert more_accurate(judged[:1], front(judged[:1])) is None


def test_limits_say_what_is_exceeded_and_by_how_much() -> None:
    limits = Limits(max_latency_ms=5.0, max_size_mb=4.0)
    assert limits.excess(Cost(latency_ms=5.0, size_bytes=4_000_000)) == 1
    cost = Cost(latency_ms=6.0, size_bytes=8_000_000)
    assert limits.excess(cost) == 2
    assert limits.exceeded(cost) == "6.00 ms of at most 5 ms and 8.00 MB of at most 4 MB"
    assert str(limits) == "5 ms and 4 MB"
    assert Limits().excess(cost) == 0


@pytest.mark.parametrize(("own", "sides"), [(224, [160, 192, 224, 256, 288]), (240, [168, 208, 240, 272, 312])])
def test_sizes_are_steps_of_the_architectures_own(own: int, sides: list[int]) -> None:
    architecture = Architecture(name="any", summary="", build=print, image=ImageSpec(height_px=own, width_px=own))
    assert [sized(architecture, step).width_px for step in range(-2, 3)] == sides


def benchmark(*files: tuple[str, int, str, float]) -> dict[str, Any]:
    """The part of the JSON of ``zoo bench`` that a search reads: architecture, side, precision, milliseconds."""
    results = [
        {
            "model": {
                "architecture": architecture,
                "format": "tflite",
                "precision": precision,
                "image": ImageSpec(height_px=side, width_px=side).as_dict(),
            },
            "threads": [
                {"threads": 4, "model": {"p50_ms": latency_ms / 2}},
                {"threads": 1, "model": {"p50_ms": latency_ms}},
            ],
        }
        for architecture, side, precision, latency_ms in files
    ]
    return {"device": {"name": "board"}, "results": results}


def here(name: str, image: ImageSpec) -> Cost | None:
    """Latencies on this machine: 10 ms for ``a`` at 224 px and 20 ms for ``b``. ``gone`` is not installed."""
    times = {"a": 10.0, "b": 20.0}
    if name not in times:
        return None
    return Cost(latency_ms=times[name] * (image.width_px / 224) ** 2, size_bytes=1000)


def test_a_device_is_measured_or_estimated_and_never_both() -> None:
    values = benchmark(("a", 224, "int8", 30.0), ("b", 224, "int8", 80.0), ("a", 224, "float32", 999.0))
    device = read_device(values, "tflite", "int8", here)
    assert device.name == "board"
    known = device.cost("a", SQUARE, Cost(latency_ms=11.0, size_bytes=7))
    assert known == Cost(latency_ms=30.0, size_bytes=7, source="device", float_ms=11.0)
    larger = device.cost("a", ImageSpec(height_px=448, width_px=448), Cost(latency_ms=40.0, size_bytes=7))
    assert larger == Cost(latency_ms=120.0, size_bytes=7, source="estimated", float_ms=40.0)
    other = device.cost("c", SQUARE, Cost(latency_ms=5.0, size_bytes=7))
    assert other.source == "estimated"
    assert other.latency_ms == pytest.approx(5.0 * (3 * 4) ** 0.5)
    assert "or else by 3.46, the geometric mean over the 2 files" in device.note()
    assert "estimated" in device.note()


def test_a_device_without_such_a_file_says_what_it_has() -> None:
    with pytest.raises(UsageError, match="board contains no tflite int8 file; it contains tflite float32"):
        read_device(benchmark(("a", 224, "float32", 9.0)), "tflite", "int8", here)


def test_a_device_that_timed_nothing_that_is_installed_is_refused() -> None:
    with pytest.raises(UsageError, match="times gone, which cannot be built on this machine"):
        read_device(benchmark(("gone", 224, "int8", 9.0)), "tflite", "int8", here)


def test_only_latencies_on_one_thread_are_used() -> None:
    values = benchmark(("a", 224, "int8", 30.0), ("b", 224, "int8", 80.0))
    del values["results"][0]["threads"][1]
    assert [file.architecture for file in read_device(values, "tflite", "int8", here).files] == ["b"]
    del values["results"][1]["threads"][1]
    with pytest.raises(UsageError, match="The benchmark of board times no tflite int8 file on one thread") as error:
        read_device(values, "tflite", "int8", here)
    assert "--threads 1" in str(error.value)


def test_times_are_estimated_from_float32_on_this_machine() -> None:
    measured = Cost(latency_ms=9.7, size_bytes=1)
    # Decision 21: 39 ms for each image and epoch on two cores.
    assert fine_tuning_s(measured, 500, 8, 1.0) == pytest.approx(500 * 8 * 0.039, rel=0.05)
    slow = read_device(benchmark(("a", 224, "int8", 300.0)), "tflite", "int8", here).cost("a", SQUARE, measured)
    assert slow.latency_ms == 300.0
    assert fine_tuning_s(slow, 500, 8, 1.0) == fine_tuning_s(measured, 500, 8, 1.0)
    tried = outcome("a", 0.9, 9.7, 1.0, 0.1)
    assert pace_of([replace(tried, cost=slow)], 500) == pace_of([replace(tried, cost=measured)], 500)


def test_an_int8_file_is_expected_to_take_as_long_to_train_as_a_float32_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "time_file", lambda path: 2.5)
    monkeypatch.setattr(cost, "_prepared", lambda *about: None)
    exporter: Any = SimpleNamespace(
        name="any", suffix=".any", convert=lambda model, file, precision: file.touch(),
        write_metadata=print, files=lambda file: (file,),
    )  # fmt: skip
    for precision, float_ms in (("float32", 2.5), ("int8", 5.0)):
        form = Form(exporter=exporter, precision=precision, labels=("a", "b"))
        found = cost._measure(architectures().get("mobilenetv2"), SQUARE, form, lambda cost: False, nullcontext)
        assert found.float_here_ms == float_ms


def test_the_command_to_continue_has_the_same_limits_and_time() -> None:
    asked = SearchRequest(data="photos", time_s=1.5e6, max_latency_ms=1000 / 30, max_size_mb=5.0)
    words = shlex.split(asked.command())
    given = dict(zip(words[2::2], words[3::2], strict=True))
    assert read_time(given["--time"]) == asked.time_s
    assert float(given["--max-latency-ms"]) == asked.max_latency_ms
    assert given["--max-size-mb"] == "5"
    assert str(asked.limits) == "33.333333333333336 ms and 5 MB"


class OddError(Exception):
    """As ``tf.errors.OpError``, it is no ``RuntimeError``."""


def full_disk() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("error", [OddError("no memory"), PluginError("gone"), MemoryError("no memory")])
def test_any_exception_of_an_export_leaves_out_only_its_candidate(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    form = Form(exporter=exporters().get("onnx"), precision="float32", labels=("a", "b"))
    monkeypatch.setattr(costs, "measure_cost", raising(error))
    found = costs.Costs(form, tmp_path, None, notes.append, Reporter())
    assert found(Candidate(architecture="mobilenetv2", image=SQUARE)) is None
    assert "left out, because it cannot be exported: " in notes[-1]
    assert str(error) in notes[-1]


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (full_disk(), TrainingError, "could not read or write a file"),
        (FileNotFoundError(errno.ENOENT, "no temporary folder"), TrainingError, "no temporary folder"),
        (unwritable(Path("costs"), PermissionError(13, "denied")), TrainingError, "Could not write costs: denied"),
        (ExportError("Could not copy a to b: denied."), ExportError, "Could not copy a to b: denied"),
        (UsageError("'onnx' is not installed."), UsageError, "'onnx' is not installed"),
    ],
)
def test_an_error_that_does_not_concern_one_candidate_ends_the_search(
    error: Exception, kind: type[Exception], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = Form(exporter=exporters().get("onnx"), precision="float32", labels=("a", "b"))
    monkeypatch.setattr(costs, "measure_cost", raising(error))
    found = costs.Costs(form, tmp_path, None, print, Reporter())
    with pytest.raises(kind, match=said):
        found(Candidate(architecture="mobilenetv2", image=SQUARE))


def test_a_cache_on_a_full_disk_ends_the_search(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ImageCache()
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=0))
    with pytest.raises(DataError, match="are free") as full:
        cache.make_room(1000, keep=set())
    with pytest.raises(DataError, match="are free"):
        failure_of(full.value)


@pytest.mark.parametrize("place", ["build", "weights"])
@pytest.mark.parametrize("what", ["cost", "figures"])
def test_a_size_or_weights_that_cannot_be_used_concern_one_architecture(place: str, what: str) -> None:
    import keras

    def build(shape: tuple[int, int, int], classes: int) -> keras.Model:
        if place == "build":
            raise UsageError("It cannot be used.")
        image = keras.Input(shape)
        end = keras.layers.GlobalAveragePooling2D(name="end")(image)
        return keras.Model(image, keras.layers.Dense(classes, activation="softmax")(end))

    def load(model: object, with_head: bool) -> None:
        raise UsageError("It cannot be used.")

    weights = Weights(name="any", summary="", labels=tuple, load=load)
    architecture = Architecture(name="any", summary="", build=build, backbone="end", weights=(weights,))
    form = Form(exporter=exporters().get("onnx"), precision="int8", labels=("a", "b"))
    data = SimpleNamespace(spec=SQUARE, labels=("a", "b"))
    ways = {
        "cost": lambda: _prepared(architecture, SQUARE, form),
        "figures": lambda: _choose(architecture, data, Reporter()),  # type: ignore[arg-type]
    }
    with pytest.raises(PluginError, match="cannot be used") as error:
        ways[what]()
    assert failure_of(error.value) == "It cannot be used."


def raising(error: Exception) -> Callable[..., None]:
    def fail(*about: object) -> None:
        if isinstance(error, TrainingError | ExportError):
            raise error from OSError()
        raise error

    return fail


@pytest.mark.parametrize(("text", "seconds"), [("10m", 600), ("90s", 90), ("1h30m", 5400), ("0.5h", 1800)])
def test_times(text: str, seconds: float) -> None:
    assert read_time(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "ten minutes", "10m5", "-5m", "1d"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="--time must be a duration such as 10m"):
        read_time(text)


class Timed:
    """A file whose export is replaced, and which takes a given time at every measurement."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *times: float) -> None:
        self.times = list(times)
        monkeypatch.setattr(cost, "_prepared", lambda *about: None)
        monkeypatch.setattr(cost, "time_file", lambda path: self.times.pop(0))
        self.form = Form(exporter=self, precision="float32", labels=("a", "b"))  # type: ignore[arg-type]

    name, suffix = "any", ".any"

    def write_metadata(self, file: Path, metadata: object) -> None:
        pass

    def convert(self, model: object, file: Path, precision: str) -> None:
        if not self.times:
            raise RuntimeError("broken")
        file.touch()

    def files(self, file: Path) -> tuple[Path, ...]:
        return (file,)


def test_a_latency_slightly_above_the_limit_is_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Timed(monkeypatch, 7.0, 6.0, 6.5)
    found = costs.Costs(file.form, tmp_path, None, print, Reporter(), max_latency_ms=5.0)
    candidate = Candidate(architecture="mobilenetv2", image=SQUARE)
    stored = tmp_path / "costs" / "mobilenetv2-224x224.json"
    for _ in range(2):
        assert found(candidate) == Cost(latency_ms=6.0, size_bytes=0, float_ms=6.0)  # the lowest of three in a row
    os.utime(stored, (0, 0))  # some candidates later
    file.times = [4.9]
    for costs_of_a_command in (found, costs.Costs(file.form, tmp_path, None, print, Reporter(), max_latency_ms=5.0)):
        assert costs_of_a_command(candidate) == Cost(latency_ms=4.9, size_bytes=0, float_ms=4.9, measured=2)


def test_a_latency_is_measured_at_no_more_than_two_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Timed(monkeypatch, *[6.0] * 3)
    found = costs.Costs(file.form, tmp_path, None, print, Reporter(), max_latency_ms=5.0)
    candidate = Candidate(architecture="mobilenetv2", image=SQUARE)
    stored = tmp_path / "costs" / "mobilenetv2-224x224.json"
    for times in ([], [5.5] * 3, [1.0], [1.0]):
        file.times += times
        known = found(candidate)
        os.utime(stored, (0, 0))
    assert known == Cost(latency_ms=5.5, size_bytes=0, float_ms=5.5, measured=2)
    assert file.times == [1.0, 1.0]
    found.measure_doubtful_again([candidate])
    assert not stored.exists()


def test_a_measurement_that_fails_the_second_time_keeps_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Timed(monkeypatch, *[6.0] * 3)
    found = costs.Costs(file.form, tmp_path, None, print, Reporter(), max_latency_ms=5.0)
    candidate = Candidate(architecture="mobilenetv2", image=SQUARE)
    for _ in range(2):
        known = found(candidate)
        assert known is not None
        assert known.latency_ms == 6.0
        os.utime(tmp_path / "costs" / "mobilenetv2-224x224.json", (0, 0))


@pytest.mark.parametrize("latency_ms", [4.0, 8.0])
def test_a_latency_that_leaves_no_doubt_is_measured_once(
    latency_ms: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Timed(monkeypatch, latency_ms)
    found = costs.Costs(file.form, tmp_path, None, print, Reporter(), max_latency_ms=5.0)
    for _ in range(2):
        known = found(Candidate(architecture="mobilenetv2", image=SQUARE))
        assert known == Cost(latency_ms=latency_ms, size_bytes=0, float_ms=latency_ms)
        os.utime(tmp_path / "costs" / "mobilenetv2-224x224.json", (0, 0))


def test_files_that_were_timed_on_a_device_are_always_measured_three_times_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Timed(monkeypatch, 6.0, 4.0, 5.0)
    values = benchmark(("mobilenetv2", 224, "float32", 40.0))
    values["results"][0]["model"]["format"] = "any"
    found = costs.Costs(file.form, tmp_path, values, print, Reporter(), max_latency_ms=39.0)
    assert found.device is not None
    assert found.device.ratios == (10.0,)
    known = found(Candidate(architecture="mobilenetv2", image=SQUARE))
    assert known == Cost(latency_ms=40.0, size_bytes=0, float_ms=4.0, source="device")


def test_processes_export_at_the_same_time_and_measure_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together, at_work, seen = Barrier(2), [], []

    def measure(name: str, image: ImageSpec, form: Form, file: Path, doubtful: Any, alone: Any) -> Cost:
        together.wait(10)
        with alone():
            at_work.append(name)
            time.sleep(0.05)
            seen.append(len(at_work))
            at_work.pop()
        return Cost(latency_ms=1.0, size_bytes=1)

    monkeypatch.setattr(costs, "measure_cost", measure)
    form = Form(exporter=exporters().get("onnx"), precision="float32", labels=("a", "b"))
    images = [ImageSpec(height_px=side, width_px=side) for side in (224, 256)]
    processes = [costs.Costs(form, tmp_path, None, print, Reporter()) for _ in images]
    with ThreadPoolExecutor() as threads:
        candidates = [Candidate(architecture="mobilenetv2", image=image) for image in images]
        assert all(threads.map(lambda found, candidate: found(candidate), processes, candidates))
    assert seen == [1, 1]


def test_a_busy_machine_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    form = Form(exporter=exporters().get("onnx"), precision="float32", labels=("a", "b"))
    measured = Cost(latency_ms=1.0, size_bytes=1)
    monkeypatch.setattr(costs, "measure_cost", lambda *about: measured)
    monkeypatch.setattr("os.getloadavg", lambda: (500.0, 0.0, 0.0))
    found = costs.Costs(form, tmp_path, None, notes.append, Reporter())
    for side in (224, 256):
        image = ImageSpec(height_px=side, width_px=side)
        assert found(Candidate(architecture="mobilenetv2", image=image)) == measured
    assert len(notes) == 1
    assert "busy (a load of 500.0" in notes[0]
