"""The notebooks of the documentation run in a kernel, and show the results that their text describes."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "docs" / "notebooks").glob("*.ipynb"))

#: Matches the beginning of log lines of TensorFlow and its libraries.
LOG_LINES = re.compile(
    r"^(?:[IWE]\d{4} |\d{4}-\d\d-\d\d |WARNING: All log|INFO: |INFO:tensorflow|WARNING:tensorflow)", re.M
)


class Watched(NotebookClient):
    """Records every text of the progress bar, because the outputs contain only the last one."""

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        if msg["msg_type"] in ("display_data", "update_display_data"):
            self.bars = [*getattr(self, "bars", ()), msg["content"]["data"].get("text/html", "")]
        return super().process_message(msg, cell, cell_index)


class Executed:
    """The outputs of a notebook's cells, and of additional cells."""

    def __init__(self, name: str, folder: Path, more: tuple[str, ...] = (), install: Path | None = None) -> None:
        (path,) = (path for path in NOTEBOOKS if path.name == name)
        notebook = nbformat.read(path, as_version=4)
        notebook.cells += [nbformat.v4.new_code_cell(source) for source in more]
        if install is not None:  # not to the environment that runs the tests
            for cell in notebook.cells:
                cell.source = cell.source.replace("%pip install", f"%pip install --no-deps --target {install}")
        self._client = Watched(
            notebook,
            timeout=300,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
            allow_errors=True,
        )
        with mock.patch.dict(os.environ):
            os.environ.pop("PYTEST_CURRENT_TEST", None)  # else the kernel does not show what is written to descriptor 2
            self._client.execute()
        self.cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        self.bars: list[str] = getattr(self._client, "bars", [])
        self.own = len(self.cells) - len(more)

    def cell(self, words: str) -> Any:
        """The cell whose source is equal to a text or contains it."""
        exact = [cell for cell in self.cells if cell.source == words]
        (found,) = exact or [cell for cell in self.cells if words in cell.source]
        return found

    def text(self, words: str) -> str:
        """All text output of a cell."""
        return "".join(map(shown, self.cell(words).outputs))

    def result(self, words: str) -> Any:
        """The result of the last line of a cell, by MIME type."""
        (found,) = (output.data for output in self.cell(words).outputs if output.output_type == "execute_result")
        return found


def shown(output: Any) -> str:
    if output.output_type == "stream":
        return str(output.text)
    if output.output_type == "error":
        return "\n".join(output.traceback)
    return str(output.data.get("text/plain", ""))


@pytest.fixture
def kernel_folder(tmp_path: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, without the user's settings of Jupyter."""
    for name in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")])))
    folder = tmp_path / "notebook"
    folder.mkdir()
    return folder


def refuse_noise(executed: Executed) -> None:
    """Fails if a cell of the notebook raised an error, wrote to stderr, or shows a line of a log.

    If a notebook itself imports Keras, messages of TensorFlow are allowed.
    """
    for cell in executed.cells[: executed.own]:
        for output in cell.outputs:
            assert output.output_type != "error", shown(output)
            if "\nimport keras\n" in cell.source:
                continue
            assert output.get("name") != "stderr", shown(output)
            assert not LOG_LINES.search(shown(output)), shown(output)


def test_outputs_are_stripped() -> None:
    assert len(NOTEBOOKS) == 3
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert set(notebook.metadata) == {"kernelspec", "language_info"}, path.name
        for cell in notebook.cells:
            assert not cell.metadata, path.name
            assert cell.cell_type == "markdown" or (cell.outputs, cell.execution_count) == ([], None), path.name


@pytest.mark.long
def test_first_classifier(kernel_folder: Path) -> None:
    done = Executed(
        "first-classifier.ipynb",
        kernel_folder,
        (
            "zoo.train('simple_cnn', data='fotos')",
            "print(zoo.compare('plants'))",
            "zoo.compare('plants')",
        ),
    )
    refuse_noise(done)
    told = done.text('name="plants"')
    assert "160 images in 2 classes" in told
    assert re.search(r"^epoch 15/15  loss .* acc ", told, re.MULTILINE)
    assert "<b>plants</b>" in done.result('name="plants"')["text/html"]
    assert any("epoch 2/15" in bar and "<progress" in bar for bar in done.bars)
    (bar,) = (output.data for output in done.cell('name="plants"').outputs if output.output_type == "display_data")
    assert bar == {"text/html": "", "text/plain": ""}, "the bar is gone"

    assert re.fullmatch(r"Accuracy \d.* on \d+ test images \(95 % interval .*\)", done.text("run.metrics"))
    assert len(eval(done.text('run.history["val_accuracy"]'))) == 15
    assert "p:leaf" in done.text("run.predictions[:3]")
    assert "label='leaf'" in done.text("answer = run.predict")
    assert re.fullmatch(r"Accuracy (9\d|100)\.\d %.*", done.text("run.evaluate(")), "quiet: the result alone"
    assert done.text("zoo.runs()").startswith("[('plants', ")

    last = done.text("zoo.train('simple_cnn', data='fotos')").splitlines()[-2:]
    assert "No data at 'fotos'" in "".join(last)
    assert done.text("print(zoo.compare(").strip() == done.text("zoo.compare('plants')").strip()


@pytest.mark.long
def test_your_own_architecture(kernel_folder: Path, site: Path) -> None:
    done = Executed("your-own-architecture.ipynb", kernel_folder, install=site)
    refuse_noise(done)
    assert "zoo train leaf_net" in done.text("!zoo plugin new")
    assert "error" not in done.text("%pip install").lower()
    checks = done.text("run_checks(").splitlines()
    assert len(checks) == 5
    assert all(line.startswith("passed") for line in checks)
    assert "leaf_net" in done.result('name="leaf"')["text/html"]
    parameters, accuracy = eval(done.text("run.model.count_params()"))
    assert parameters < 30_000
    assert accuracy > 0.5


@pytest.mark.long
def test_keras_to_device(kernel_folder: Path) -> None:
    done = Executed("keras-to-device.ipynb", kernel_folder)
    refuse_noise(done)
    assert float(done.result("model.fit(")["text/plain"]) > 0.9
    assert "verified>" in done.text('"tflite", "int8"')
    assert "passed=True" in done.text("file.verification")
    assert done.text('"onnx", data=') == "(1.0, True)"
    sizes = dict(eval(done.text("st_size")))
    assert sizes["plants.tflite"] < sizes["plants.onnx"]
    assert "'run.py'" in done.text("file.bundle.iterdir()")
    assert "leaf" in done.text("!{runner} photos/leaf/001.png")
    assert "passed" in done.text("!{runner} --selftest").lower()
    assert done.text("predict.py {file.bundle}").split("\n")[-2].strip() == "leaf TensorFlow loaded: False"
