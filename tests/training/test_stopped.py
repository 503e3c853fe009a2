"""Runs that are interrupted without a checkpoint to continue from: at their beginning, and after the evaluation."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.conftest import FakePlugin, PhotoFolder, RunZoo
from zoo.locks import locked
from zoo.run_folder import open_run

QUICK = [
    "tiny_net",
    "--head-epochs",
    "0",
    "--size",
    "16",
    "--epochs",
    "1",
    "--batch-size",
    "8",
    "--precision",
    "float32",
]


@pytest.fixture
def photos(photo_folder: PhotoFolder, tiny_net: None) -> Path:
    return photo_folder({"a": 12, "b": 12})


@pytest.fixture
def trouble(fake_plugin: FakePlugin) -> None:
    """With ``TROUBLE="FILE STATEMENT"`` in the environment, zoo runs STATEMENT before it writes FILE."""
    fake_plugin(
        "zoo-trouble",
        "import errno, os, signal\n"
        "from pathlib import Path\n"
        "name, _, statement = os.environ.get('TROUBLE', '').partition(' ')\n"
        "write_bytes = Path.write_bytes\n"
        "def trouble(path):\n"
        "    if name and Path(path).name.startswith('.' + name):\n"
        "        exec(statement)\n"
        "def write(self, data):\n"
        "    trouble(self)\n"
        "    return write_bytes(self, data)\n"
        "Path.write_bytes = write\n"
        "import numpy\n"
        "savez = numpy.savez\n"
        "def save(path, **arrays):\n"
        "    trouble(path)\n"
        "    savez(path, **arrays)\n"
        "numpy.savez = save\n",
    )


FULL = "raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))"
KILL = "os.kill(os.getpid(), signal.SIGKILL)"
CTRL_C = "raise KeyboardInterrupt"


@pytest.mark.parametrize("file", ["skipped", "split", "last"])
def test_a_disk_that_is_full_at_the_beginning_leaves_nothing(
    file: str, photos: Path, trouble: None, run_zoo: RunZoo, tmp_path: Path
) -> None:
    done = run_zoo("train", *QUICK, "--data", photos, env={"TROUBLE": f"{file} {FULL}"})
    assert done.code == 4
    assert f"{file}.{'npz' if file == 'last' else 'csv'}: No space left on device" in done.err
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_run_without_its_images_says_how_to_start_it_again(
    photos: Path, trouble: None, run_zoo: RunZoo, tmp_path: Path
) -> None:
    killed = run_zoo("train", *QUICK, "--data", photos, env={"TROUBLE": f"split {KILL}"})
    assert killed.code == -signal.SIGKILL
    (run,) = (tmp_path / "runs").iterdir()
    done = run_zoo("train", "--resume", run)
    assert done.code == 4
    assert "it has no split.csv" in done.err
    assert f"zoo train --repeat {run}" in done.err
    assert "Traceback" not in done.err


def test_a_run_that_was_interrupted_at_its_report_gets_it(
    photos: Path, trouble: None, run_zoo: RunZoo, tmp_path: Path
) -> None:
    interrupted = run_zoo("train", *QUICK, "--data", photos, env={"TROUBLE": f"report {CTRL_C}"})
    assert interrupted.code == 130
    (path,) = (tmp_path / "runs").iterdir()
    assert f"To continue: zoo train --resume runs/{path.name}" in interrupted.err
    assert open_run(path).finished
    assert not (path / "report.html").exists()
    info = json.loads((path / "run.json").read_text())
    del info["timings"]["total_s"]  # as if interrupted shortly before this was written
    (path / "run.json").write_text(json.dumps(info))
    model = (path / "model.keras").read_bytes()
    done = run_zoo("train", "--resume", path)
    assert done.code == 0, done.err
    assert "epoch" not in done.err
    assert "Accuracy" in done.out
    assert 'id="augmentation"' in (path / "report.html").read_text()
    assert open_run(path).info.timings["total_s"] > 0
    assert (path / "model.keras").read_bytes() == model
    assert "nothing to resume" in run_zoo("train", "--resume", path).out


FAILING = """
import sys
from zoo import Architecture, ImageSpec, Recipe, hookimpl

def build(input_shape, num_classes):
    import keras
    {build}
    image = keras.Input(input_shape, name="image")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    return keras.Model(image, keras.layers.Dense(num_classes, activation="softmax", name="probabilities")(x))

@hookimpl
def zoo_architectures():
    recipes = {{"default": Recipe(epochs=1, batch_size=8, precision="float32")}}
    image = ImageSpec(height_px=16, width_px=16)
    return [Architecture(name="frail_net", summary="x", build=build, image=image, recipes=recipes)]

@hookimpl
def zoo_callbacks(recipe, run_dir):
    import keras

    class Watcher(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            {callback}

    return [Watcher()]
"""


@pytest.mark.parametrize(
    ("where", "statement", "what", "cause"),
    [
        ("build", "raise KeyError('no such layer')", "building 'frail_net'", "KeyError: 'no such layer'"),
        ("build", "sys.exit(7)", "building 'frail_net'", "SystemExit: 7"),
        ("callback", "raise ZeroDivisionError('by zero')", "in Watcher.on_epoch_end", "ZeroDivisionError: by zero"),
        ("callback", "sys.exit('bye')", "in Watcher.on_epoch_end", "SystemExit: bye"),
    ],
)
def test_a_plugin_that_fails_in_training_is_named(
    where: str,
    statement: str,
    what: str,
    cause: str,
    photos: Path,
    fake_plugin: FakePlugin,
    run_zoo: RunZoo,
    tmp_path: Path,
) -> None:
    code = FAILING.format(**{"build": "pass", "callback": "pass", where: statement})
    fake_plugin("zoo-frail", code)
    done = run_zoo("train", "frail_net", "--data", photos)
    assert done.code == 3, done.err
    assert f"Error: The plugin 'zoo-frail' failed {what}: {cause}" in done.err
    assert "zoo_frail.py" in done.err  # the traceback
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_run_is_trained_by_one_process_at_a_time(
    photos: Path, trouble: None, run_zoo: RunZoo, tmp_path: Path
) -> None:
    interrupted = run_zoo("train", *QUICK, "--data", photos, env={"TROUBLE": f"report {CTRL_C}"})
    (path,) = (tmp_path / "runs").iterdir()
    assert not (path / ".lock").exists()
    with locked(path / ".lock"):
        refused = run_zoo("train", "--resume", path)
    assert refused.code == 2
    assert f"Another command is training {path}" in refused.err
    assert interrupted.code == 130


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs a bound on the size of files")
def test_a_disk_that_fills_up_later_says_how_to_go_on(
    photos: Path, trouble: None, run_zoo: RunZoo, tmp_path: Path
) -> None:
    """The system limits the size of files. The limit is set after the first epoch, when history.csv is written. The
    output of the command, which is a file too, is smaller."""
    statement = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000))"
    done = run_zoo("train", *QUICK, "--data", photos, env={"TROUBLE": f"history {statement}"})
    assert done.code == 4, done.err
    assert "model.keras: File too large" in done.err
    (path,) = (tmp_path / "runs").iterdir()
    assert f"Interrupted after 1 epoch(s). To continue: zoo train --resume runs/{path.name}" in done.err
    assert run_zoo("train", "--resume", path).code == 0
