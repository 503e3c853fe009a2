"""``zoo bench`` on real bundles, and its comparison of several devices."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import cv2
import pytest

from tests import warm
from tests.conftest import RunZoo, run_command, zoo_environment

QUICK = ("--seconds", "0.02", "--threads", "1")


@pytest.fixture(scope="module")
def measured(digits_exports: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of ``zoo bench`` for a bundle, an archive and a single file."""
    folder = tmp_path_factory.mktemp("measured")
    out = folder / "here.json"
    given = [
        digits_exports / "simple_cnn-onnx-float32",
        digits_exports / "simple_cnn-tflite-float32.zip",
        digits_exports / "simple_cnn-tflite-float32" / "simple_cnn.tflite",
    ]
    command = ("bench", *given, *QUICK, "--out", out, "--device", "here")
    done = run_command(*command, cwd=folder, environment=zoo_environment(folder), check=True)
    assert done.out.endswith(f"written to {out}\n")
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def test_bundles_archives_and_files_are_timed(measured: dict[str, Any], digits_exports: Path) -> None:
    onnx, packed, lone = measured["results"]
    assert measured["device"]["name"] == "here"
    assert [result["runtime"]["name"] for result in (onnx, packed, lone)] == ["onnxruntime", *["ai-edge-litert"] * 2]
    assert [result["pictures"] for result in (onnx, packed, lone)] == ["photo", "photo", "drawn"]
    assert packed["model"] == lone["model"]
    assert onnx["model"]["bytes"] == (digits_exports / "simple_cnn-onnx-float32" / "simple_cnn.onnx").stat().st_size
    assert onnx["model"]["accuracy"] > 0.5
    assert packed["model"]["accuracy_images"] == onnx["model"]["accuracy_images"] > 100
    for result in (onnx, packed, lone):
        assert [speed["threads"] for speed in result["threads"]] == [1]
        assert 0 < result["threads"][0]["model"]["p50_ms"] < 1000 * result["cold_start_s"]["median"]


def test_code_in_a_bundle_is_not_run(digits_exports: Path, run_zoo: RunZoo, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(digits_exports / "simple_cnn-onnx-float32", tmp_path / "bundle"))
    mark = tmp_path / "was-run"
    (bundle / "run.py").write_text(f"open({str(mark)!r}, 'w')")
    from tests.edge.conftest import reseal

    reseal(bundle)
    (tmp_path / "tmp").mkdir()
    done = run_zoo("bench", bundle, *QUICK, "--json", env={"TMPDIR": str(tmp_path / "tmp")})
    assert done.code == 0, done.err
    assert json.loads(done.out)["results"][0]["threads"]
    assert not mark.exists()
    assert not list((tmp_path / "tmp").glob("zoo-*"))  # ONNX Runtime itself leaves a file there


def test_what_cannot_be_timed_is_told(digits_exports: Path, run_zoo: RunZoo, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(digits_exports / "simple_cnn-onnx-float32", tmp_path / "bundle"))
    model = bundle / "simple_cnn.onnx"
    content = model.read_bytes()
    model.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    done = run_zoo("bench", bundle, "--out", "times.json")
    assert (done.code, "simple_cnn.onnx has been changed" in done.err) == (6, True)
    assert not (tmp_path / "times.json").exists()
    done = run_zoo("bench", "gone")
    assert (done.code, "'gone' does not exist" in done.err) == (2, True)
    done = run_zoo("bench", tmp_path)
    assert (done.code, f"The folder '{tmp_path}' is not a bundle." in done.err) == (2, True)
    for option in ("--threads", "--sustained"):
        done = run_zoo("bench", "--merge", "times.json", option, "1")
        assert (done.code, f"{option} cannot be combined with --merge" in done.err) == (2, True)
    done = run_zoo("bench", bundle, "--out", tmp_path)
    assert (done.code, "--out must be a file" in done.err) == (2, True)
    import onnx

    stranger = onnx.load(str(digits_exports / "simple_cnn-onnx-float32" / "simple_cnn.onnx"))
    del stranger.metadata_props[:]
    onnx.save(stranger, str(tmp_path / "stranger.onnx"))
    done = run_zoo("bench", "stranger.onnx")
    assert (done.code, "no zoo metadata" in done.err) == (2, True)


def of_device(measured: dict[str, Any], name: str, *figures: tuple[float, float, int]) -> dict[str, Any]:
    """Changes a measurement as if it came from another device: accuracy, latency in ms and size of each file."""
    found: dict[str, Any] = json.loads(json.dumps(measured))
    found["device"] |= {"name": name, "cpu": f"CPU of {name}"}
    first = found["results"][0]
    found["results"] = []
    for number, (accuracy, latency_ms, size) in enumerate(figures):
        result = json.loads(json.dumps(first))
        result["model"] |= {
            "accuracy": accuracy,
            "accuracy_images": 100,
            "accuracy_data_digest": "same",
            "bytes": size,
            "sha256": f"{number:064d}",
            "precision": ("float32", "float16", "int8", "int4")[number],
        }
        result["threads"][0]["model"]["p50_ms"] = latency_ms
        found["results"].append(result)
    return found


def test_devices_come_into_one_table_and_one_picture(measured: dict[str, Any], run_zoo: RunZoo, tmp_path: Path) -> None:
    fast = of_device(measured, "desk <b>", (0.95, 5.0, 9_000_000), (0.95, 5.5, 9_000_000), (0.93, 3.0, 3_000_000))
    slow = of_device(measured, "board", (0.95, 50.0, 9_000_000), (0.95, 40.0, 5_000_000))
    del slow["results"][0]["threads"][0]["copies"]  # measured by an older zoo
    window = {"seconds": 60, "images": 700, "images_per_s": 12.5, "temperature_c": None, "frequency_mhz": 2400.0}
    last = {**window, "images_per_s": 11.25, "temperature_c": 81.0, "frequency_mhz": 1800.0}
    sustained = {"copies": 4, "seconds": 600.0, "images_per_s": 12.0, "windows": [window, last]}
    fast["results"][2]["sustained"] = sustained | {"joules_per_image": 0.213, "energy_source": "power sensor ina219"}
    for name, values in (("fast", fast), ("slow", slow)):
        (tmp_path / f"{name}.json").write_text(json.dumps(values))
    done = run_zoo("bench", "--merge", "fast.json", "slow.json", "--out", "devices", env={warm.DRAWN: "1"})
    assert (done.code, done.err) == (0, "")
    folder = tmp_path / "devices"
    assert sorted(path.name for path in folder.iterdir()) == [f"devices.{x}" for x in ("csv", "html", "json", "png")]
    rows = json.loads((folder / "devices.json").read_text())["rows"]
    front = {(row["device"], row["precision"]): row["on_front"] for row in rows}
    assert front == {
        ("desk <b>", "float32"): True,
        ("desk <b>", "float16"): False,  # as accurate and as large, but slower
        ("desk <b>", "int8"): True,
        ("board", "float32"): False,
        ("board", "float16"): True,
    }
    with (folder / "devices.csv").open(newline="") as file:
        cells = list(csv.DictReader(file))
    assert [(row["device"], float(row["fastest_ms"])) for row in cells] == [
        (row["device"], row["fastest_ms"]) for row in rows
    ]
    assert cells[0]["on_front"] in ("true", "false")
    copies = measured["results"][0]["threads"][0]["copies"]
    assert [row["copies_images_per_s"] for row in rows].count(None) == 1
    for row in (next(row for row in found if row["precision"] == "int8") for found in (rows, cells)):
        assert float(row["copies_images_per_s"]) == copies["images_per_s"]
        names = ("sustained_s", "sustained_first_images_per_s", "sustained_last_images_per_s", "temperature_c")
        assert [float(row[name]) for name in names] == [600.0, 12.5, 11.25, 81.0]
        assert (float(row["frequency_mhz"]), float(row["joules_per_image"])) == (1800.0, 0.213)
        assert row["energy_source"] == "power sensor ina219"
    assert re.search(r"sustained img/s +°C +MHz +J/photo\n", done.out)
    assert re.search(r" 11\.2 +81 +1800 +0\.213\n", done.out)
    assert len(done.out.split("\n\n")[0].splitlines()) == 1 + len(rows)
    picture = cv2.imread(str(folder / "devices.png"))
    assert picture is not None
    assert picture.shape[1] > 1000
    page = (folder / "devices.html").read_text()
    assert "desk &lt;b&gt;" in page
    for shown in ("energy: power sensor ina219", ">11.2<", ">1800<", ">0.213<"):
        assert shown in page, shown
    assert "desk <b>" not in page
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", page)
    assert "<script" not in page


def test_what_was_measured_twice_is_shown_once(measured: dict[str, Any], run_zoo: RunZoo, tmp_path: Path) -> None:
    old = of_device(measured, "board", (0.95, 50.0, 9_000_000)) | {"measured": "2026-01-01T00:00:00+00:00"}
    new = of_device(measured, "board", (0.95, 40.0, 9_000_000)) | {"measured": "2026-02-01T00:00:00+00:00"}
    other = of_device(measured, "board", (0.95, 30.0, 9_000_000))
    other["device"]["cpu"] = "another"
    for name, values in (("old", old), ("new", new), ("other", other)):
        (tmp_path / f"{name}.json").write_text(json.dumps(values))
    done = run_zoo("bench", "--merge", "new.json", "old.json", "--json")
    assert done.code == 0
    assert [row["fastest_ms"] for row in json.loads(done.out)["rows"]] == [40.0]
    assert "was timed twice on board" in done.err
    assert "The later times are shown" in done.err
    done = run_zoo("bench", "--merge", "new.json", "new.json", "--json")
    assert (len(json.loads(done.out)["rows"]), done.err) == (1, "")
    done = run_zoo("bench", "--merge", "new.json", "other.json", "--json")
    devices = [row["device"] for row in json.loads(done.out)["rows"]]
    assert devices == ["board (CPU of board)", "board (another)"]
    assert "Several machines are called board" in done.err


def test_files_without_an_accuracy_have_no_picture(measured: dict[str, Any], run_zoo: RunZoo, tmp_path: Path) -> None:
    unverified = json.loads(json.dumps(measured))
    for result in unverified["results"]:
        result["model"] |= {"accuracy": None, "accuracy_images": None, "accuracy_data_digest": None}
    (tmp_path / "here.json").write_text(json.dumps(unverified))
    done = run_zoo("bench", "--merge", "here.json", "--out", "devices")
    assert done.code == 0
    assert "have no accuracy" in done.err
    assert not (tmp_path / "devices" / "devices.png").exists()
    assert "have no accuracy" in (tmp_path / "devices" / "devices.html").read_text()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not JSON", "is not JSON"),
        ("[]", "not a benchmark"),
        ('{"kind": "zoo bench --merge", "version": 1}', "not a benchmark"),
        ('{"kind": "zoo bench", "version": 2}', "is version 2 of a benchmark; this zoo reads 1"),
        ('{"kind": "zoo bench", "version": 1, "results": [{}]}', "is a damaged benchmark"),
        (None, "Could not read"),
    ],
)
def test_what_is_no_benchmark_is_told(run_zoo: RunZoo, tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "file.json").write_text(content)
    done = run_zoo("bench", "--merge", "file.json", "--out", "devices")
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "'file.json'" in done.err
    assert not (tmp_path / "devices").exists()
