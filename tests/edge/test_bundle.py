"""The content of the bundle and the archive that ``zoo export`` writes."""

from __future__ import annotations

import ast
import json
import shutil
import sys
import tomllib
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import REPOSITORY, FakePlugin, RunZoo
from tests.edge.conftest import FORMATS, RunBundle
from zoo.edge.bundle import read_bundle
from zoo.errors import PluginError
from zoo.exporting.bundle import made_by_us
from zoo.exporting.place import packed_by_us
from zoo.exporting.runner import requirements, runner_files
from zoo.images import load_image
from zoo.registry import exporters
from zoo.run_folder import open_run


def test_it_holds_what_the_page_says(bundle: Path) -> None:
    values = json.loads((bundle / "spec.json").read_text())
    found = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert found == {*values["files"], "spec.json"}
    wanted = {
        "labels.txt",
        "verify.json",
        "verify.html",
        "README.md",
        "requirements.txt",
        "run.py",
        "LICENSE",
        "NOTICE",
    }
    assert wanted | {values["model"], "golden/golden.json", "runner/runtime.py", "runner/edge/main.py"} <= found
    assert (bundle / "labels.txt").read_text().split() == values["labels"] == [str(n) for n in range(10)]
    assert values["input"]["name"] == "image"
    assert values["output"]["shape"][-1] == 10
    assert values["verification"]["status"] == "verified"
    assert read_bundle(bundle).altered() == []


def test_golden_vectors_are_what_the_files_say(bundle: Path, digits_run: Path) -> None:
    golden = json.loads((bundle / "golden" / "golden.json").read_text())
    files = [item["file"] for item in golden["images"]]
    assert files == ["photo-1.png", "photo-2.png", "photo-3.png", "drawn.png", "drawn.jpg"]
    assert len({item["label"] for item in golden["images"]}) == 4  # three classes, and null for the drawn images
    pixels, answers, keras = (np.load(bundle / "golden" / golden["arrays"][name]) for name in golden["arrays"])
    image = read_bundle(bundle).image
    for file, expected in zip(files, pixels, strict=True):
        assert np.array_equal(load_image(bundle / "golden" / file, image), expected)
    assert answers.dtype == keras.dtype == np.float32
    assert np.abs(answers - keras).max() < 1e-5
    tests = [row["sha256"] for row in open_run(digits_run).split() if row["split"] == "test"]
    photos = [values["sha256"] for name, values in read_bundle(bundle).values["files"].items() if "photo-" in name]
    assert len(photos) == 3
    assert set(photos) <= set(tests)  # the original bytes


def test_the_archive_is_the_folder_and_runs(digits_exports: Path, run_bundle: RunBundle, tmp_path: Path) -> None:
    for name in (f"simple_cnn-{name}-float32" for name in FORMATS):
        with zipfile.ZipFile(digits_exports / f"{name}.zip") as archive:
            archive.extractall(tmp_path)
        packed, folder = tmp_path / name, digits_exports / name
        files = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert {path.relative_to(packed): path.read_bytes() for path in packed.rglob("*") if path.is_file()} == files
        assert run_bundle(packed, "--selftest").code == 0


def test_a_second_export_gives_the_same_bytes_and_tells_no_path(
    digits_exports: Path, digits_run: Path, run_zoo: RunZoo, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(digits_exports, out)  # an older export, which is replaced
    before = {name: _packed(out / f"simple_cnn-{name}-float32.zip") for name in FORMATS}
    (out / "simple_cnn-onnx-float32" / "runner" / "__pycache__").mkdir()
    (out / "simple_cnn-onnx-float32" / "runner" / "__pycache__" / "errors.pyc").write_bytes(b"as Python leaves it")
    done = run_zoo("export", digits_run, "--out", out)
    assert done.code == 0, done.err
    for name in FORMATS:
        now = _packed(out / f"simple_cnn-{name}-float32.zip")
        changed = {file for file in before[name].keys() | now.keys() if before[name].get(file) != now.get(file)}
        measured = {f"simple_cnn-{name}-float32/{file}" for file in MEASURED}
        if f"simple_cnn-{name}-float32/golden/keras.npy" in changed:
            # Keras itself predicts other bits than at the first export, such as on another processor.
            assert changed <= {"", f"simple_cnn-{name}-float32/simple_cnn.{name}", *measured}
            pytest.skip(f"Keras predicts other bits in another process on this machine: {sorted(changed)}")
        assert not changed
    assert not list(out.glob(".*"))
    for name in FORMATS:
        with zipfile.ZipFile(out / f"simple_cnn-{name}-float32.zip") as archive:
            for file in archive.namelist():
                assert str(digits_run.parents[1]).encode() not in archive.read(file), file


#: Files with figures that depend on every bit of the predictions, besides the metadata of the exported file.
MEASURED = ("golden/keras.npy", "golden/probabilities.npy", "verify.json", "verify.html", "README.md", "spec.json")


def _packed(path: Path) -> dict[str, str]:
    """SHA-256 of an archive and of every file in it."""
    with zipfile.ZipFile(path) as archive:
        files = {name: sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
    return files | {"": sha256(path.read_bytes()).hexdigest()}


BARE = """
from dataclasses import replace

import zoo
import zoo_onnx


@zoo.hookimpl
def zoo_exporters():
    return [replace(zoo_onnx.zoo_exporters()[0], name="bare", suffix=".bare", runtime_module="", requires=())]
"""


def test_no_photo_travels_where_none_may_and_no_runner_where_there_is_none(
    digits_exports: Path,
    digits_run: Path,
    fake_plugin: FakePlugin,
    run_zoo: RunZoo,
    run_bundle: RunBundle,
    tmp_path: Path,
) -> None:
    assert "golden/photo-1.png" in (digits_exports / "simple_cnn-onnx-float32" / "README.md").read_text()
    fake_plugin("zoo-bare", BARE)
    formats = ("--format", "tflite", "--format", "bare")
    done = run_zoo("export", digits_run, "--out", tmp_path / "out", *formats, "--no-photos")
    assert done.code == 0, done.err
    for name in ("tflite", "bare"):
        bundle = tmp_path / "out" / f"simple_cnn-{name}-float32"
        pictures = sorted(path.name for path in (bundle / "golden").iterdir() if path.suffix in (".png", ".jpg"))
        assert pictures == ["drawn.jpg", "drawn.png"]
        assert "This bundle contains no photos" in (bundle / "README.md").read_text()
        assert "data:image" not in (bundle / "verify.html").read_text()
        assert read_bundle(bundle).altered() == []
        has_runner = name == "tflite"
        assert (bundle / "run.py").exists() == (bundle / "runner").exists() == has_runner
        assert (bundle / "requirements.txt").exists() == (bundle / "Dockerfile").exists() == has_runner
        assert ("has no runner" in (bundle / "README.md").read_text()) != has_runner
    assert run_bundle(tmp_path / "out" / "simple_cnn-tflite-float32", "--selftest").code == 0


def test_what_no_export_made_is_known(onnx_bundle: Path, digits_exports: Path, tmp_path: Path) -> None:
    (onnx_bundle / "runner" / "__pycache__").mkdir()
    (onnx_bundle / "runner" / "__pycache__" / "errors.pyc").write_bytes(b"as Python leaves it")
    present = {path.name for path in onnx_bundle.iterdir()}
    assert present - made_by_us(onnx_bundle) == set()
    (onnx_bundle / "golden" / "mine.png").write_bytes(b"mine")
    (onnx_bundle / "diary.txt").write_bytes(b"mine")
    (onnx_bundle / "simplified.onnx").write_bytes(b"mine")
    present = {path.name for path in onnx_bundle.iterdir()}
    assert present - made_by_us(onnx_bundle) == {"golden", "diary.txt", "simplified.onnx"}
    name = "simple_cnn-onnx-float32"
    assert packed_by_us(digits_exports / f"{name}.zip", name)
    assert not packed_by_us(digits_exports / f"{name}.zip", "another")
    (tmp_path / "text.zip").write_text("text")
    assert not packed_by_us(tmp_path / "text.zip", name)


@pytest.mark.parametrize("name", FORMATS)
def test_the_runner_needs_numpy_opencv_and_one_runtime(name: str) -> None:
    files = runner_files(exporters().get(name))
    assert {"run.py", "runner/runtime.py", "runner/images/formats/jpeg.py", "runner/edge/selftest.py"} <= set(files)
    allowed = {
        *sys.stdlib_module_names,
        "runner",
        "numpy",
        "cv2",
        {"onnx": "onnxruntime", "tflite": "ai_edge_litert"}[name],
    }
    assert {"Dockerfile", ".dockerignore", "image-classifier.service"} < set(files)
    for path, source in files.items():
        if not path.endswith(".py"):
            continue
        # The package is imported only for a HEIC photo, and the error names it if it is missing.
        optional = {"pi_heif"} if path == "runner/images/formats/heif.py" else set()
        for node in ast.walk(ast.parse(source, path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, path
                names = [node.module or ""]
                module = names[0].replace(".", "/")
                if names[0].startswith("runner"):
                    assert f"{module}.py" in files or f"{module}/__init__.py" in files, f"{path}: {names[0]}"
            assert {found.split(".")[0] for found in names} <= allowed | optional, f"{path}: {names}"


def test_requirements_are_those_of_the_project() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    for name in FORMATS:
        wanted = requirements(exporters().get(name))
        assert len(wanted) == 3
        assert set(wanted) <= set(project["dependencies"])


@pytest.mark.parametrize(
    ("source", "said"),
    [("import zoo\n", "imports 'zoo'"), ("from zoo_needy.more import x\n", "imports 'zoo_needy"), (None, "")],
)
def test_a_runtime_that_cannot_go_onto_a_device_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str | None, said: str
) -> None:
    (tmp_path / "zoo_needy").mkdir()
    (tmp_path / "zoo_needy" / "__init__.py").write_text("")
    if source is not None:
        (tmp_path / "zoo_needy" / "runtime.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "zoo_needy", raising=False)
    exporter = replace(exporters().get("onnx"), runtime_module="zoo_needy.runtime")
    with pytest.raises(PluginError, match="zoo_needy") as caught:
        runner_files(exporter)
    assert said in str(caught.value)
