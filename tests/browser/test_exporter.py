"""``zoo export --format web``: the content of the bundle, and the errors if something is missing."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import zoo_onnx
import zoo_web
from zoo_web.onnxruntime_web import VARIABLE, install_command, runtime_files

from tests.browser.conftest import PRECISIONS
from tests.conftest import FakePlugin, RunZoo
from zoo import App, ExportError, PluginError
from zoo.edge.bundle import read_bundle
from zoo.exporting.runner import runner_files
from zoo.parity import exporter_of

(WEB,) = zoo_web.zoo_exporters()
(ONNX,) = zoo_onnx.zoo_exporters()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_bundle_is_a_page_with_all_it_needs(web_exports: Path, precision: str) -> None:
    folder = web_exports / f"simple_cnn-web-{precision}"
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    runtime = {"ort.wasm.bundle.min.js", "ort-wasm-simd-threaded.wasm", "LICENSE.txt"}
    assert {f"onnxruntime-web/{name}" for name in runtime} <= names
    ours = {"index.html", "sw.js", "page/app.js", "page/worker.js", "page/resize.js", "page/style.css", "page/icon.svg"}
    more = {"simple_cnn.onnx", "labels.txt", "spec.json", "golden/golden.json", "verify.json", "README.md", "LICENSE"}
    assert ours | more <= names
    assert not names & {"run.py", "requirements.txt", "package.json"}
    assert "MIT License" in (folder / "onnxruntime-web" / "LICENSE.txt").read_text()
    bundle = read_bundle(folder)
    assert (bundle.altered(), bundle.requires, bundle.values["format"]) == ([], (), "web")
    card = (folder / "README.md").read_text()
    assert "python3 -m http.server" in card
    assert "ONNX Runtime Web by Microsoft, MIT" in card
    assert "run.py" not in card
    # The bundle also contains the note for other programs that run the ONNX file.
    said = [json.loads((folder / "verify.json").read_text())["contract"]["notes"], card]
    assert ["session.x64quantprecision" in str(text) for text in said] == [precision == "int8"] * 2


def test_the_command_ends_with_how_to_open_it(web_exports: Path) -> None:
    said = (web_exports / "said.txt").read_text()
    served = "OUT/simple_cnn-web-float32"
    assert f"In a browser: python -m http.server --bind 127.0.0.1 --directory {served}" in said
    assert "run.py" not in said
    assert said.count("verified") == len(PRECISIONS)


def test_python_also_predicts_from_a_web_bundle(web_exports: Path, run_zoo: RunZoo) -> None:
    folder = web_exports / "simple_cnn-web-int8"
    golden = json.loads((folder / "golden" / "golden.json").read_text())
    done = run_zoo("predict", folder, folder / "golden" / golden["images"][0]["file"], "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["label"] == golden["images"][0]["answer"]


def test_made_again_it_is_the_same_and_its_file_is_that_of_the_onnx_exporter(
    web_exports: Path, digits_run: Path, onnxruntime_web: Path, run_zoo: RunZoo, tmp_path: Path
) -> None:
    environment = {VARIABLE: str(onnxruntime_web)}
    done = run_zoo("export", digits_run, "--format", "onnx", "--format", "web", "--out", "again", env=environment)
    assert done.code == 0, done.err
    assert [line.split(":")[0] for line in done.out.splitlines()[-2:]] == ["On a device", "In a browser"]
    name = "simple_cnn-web-float32"
    again = tmp_path / "again" / f"{name}.zip"
    assert again.read_bytes() == (web_exports / f"{name}.zip").read_bytes()
    with zipfile.ZipFile(again) as archive:
        assert f"{name}/index.html" in archive.namelist()
        assert {entry.date_time[:3] for entry in archive.infolist()} == {(1980, 1, 1)}
    ours = web_exports / name / "simple_cnn.onnx"
    assert (tmp_path / "again" / "simple_cnn-onnx-float32" / "simple_cnn.onnx").read_bytes() == ours.read_bytes()
    assert exporter_of(ours).name == "onnx"
    said = WEB.read_metadata(ours)
    assert said is not None
    assert said.verified


# If onnxruntime-web is missing


def test_without_onnxruntime_web_the_command_says_so_before_it_begins(
    digits_run: Path, run_zoo: RunZoo, tmp_path: Path
) -> None:
    done = run_zoo("export", digits_run, "--format", "web", "--out", "out", env={VARIABLE: str(tmp_path / "not here")})
    assert done.code == 5
    assert f"onnxruntime-web, which runs the model in a browser, is not in {tmp_path}/not here" in done.err
    pinned = json.loads((Path(zoo_web.__file__).parent / "package.json").read_text())["dependencies"]["onnxruntime-web"]
    command = f"npm install --ignore-scripts --prefix '{tmp_path}/not here' onnxruntime-web@{pinned}"
    assert command in done.err
    assert "Exporting" not in done.err
    assert not (tmp_path / "out").exists()


def test_the_default_place_is_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path))
    assert f"--prefix {tmp_path / 'onnxruntime-web'} " in install_command()


def test_another_release_is_refused(onnxruntime_web: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dist = tmp_path / "node_modules" / "onnxruntime-web" / "dist"
    dist.mkdir(parents=True)
    for path in (onnxruntime_web / "node_modules" / "onnxruntime-web" / "dist").glob("ort*wasm*"):
        if path.suffix in (".mjs", ".wasm") and path.stat().st_size < 16e6:
            shutil.copy(path, dist)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert len(runtime_files()) == 3
    with (dist / "ort.wasm.bundle.min.mjs").open("ab") as file:
        file.write(b"\n")
    with pytest.raises(ExportError, match=r"is not from onnxruntime-web \d"):
        runtime_files()
    (dist / "ort.wasm.bundle.min.mjs").unlink()
    with pytest.raises(ExportError, match="No such file"):
        runtime_files()


# The mechanism


def test_an_app_takes_the_place_of_the_runner() -> None:
    assert runner_files(WEB) == {}
    with pytest.raises(PluginError, match="a runtime module and an app"):
        replace(ONNX, app=App(files=dict, start="", manual=""))


TAKEN = """
from dataclasses import replace

import zoo
import zoo_onnx


@zoo.hookimpl
def zoo_exporters():
    app = zoo.App(files=lambda: {"labels.txt": b"mine"}, start="open {folder}", manual="Open it.")
    (onnx,) = zoo_onnx.zoo_exporters()
    return [replace(onnx, name="taken", runtime_module="", requires=(), app=app, variant_of="onnx")]
"""


def test_an_app_overwrites_nothing_of_the_bundle(
    digits_run: Path, fake_plugin: FakePlugin, run_zoo: RunZoo, tmp_path: Path
) -> None:
    fake_plugin("zoo-taken", TAKEN)
    done = run_zoo("export", digits_run, "--format", "taken", "--no-verify", "--out", "out")
    assert done.code == 3
    assert "The app of exporter 'taken' has a file 'labels.txt'" in done.err
    assert not list((tmp_path / "out").iterdir())
