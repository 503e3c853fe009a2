"""The command that a new user runs first, and its possible interruptions."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import (
    FakePlugin,
    PhotoFolder,
    RunZoo,
    install_tiny_net,
    run_command,
    zoo_command,
    zoo_environment,
)
from zoo.augmentation import NAMED
from zoo.reporter import Reporter
from zoo.run_folder import open_run
from zoo.workflows.planning import TrainRequest
from zoo.workflows.train import planned

#: A small training with everything that has a state: augmentation, mixup, averaged weights, a schedule, dropout.
SETTINGS = ["--size", "16", "--head-epochs", "0", "--unfreeze", "1", "--epochs", "6", "--batch-size", "64"]
SETTINGS += ["--mixup-alpha", "0.2", "--ema-momentum", "0.9", "--precision", "float32"]
#: An epoch of the smallest network.
QUICK = ["tiny_net", "--size", "16", "--head-epochs", "0", "--epochs", "1", "--precision", "float32"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, cache_folder: Path) -> Path:
    """A run of SETTINGS on the digits without an interruption."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    install_tiny_net(folder)
    run_command("train", "tiny_net", *SETTINGS, cwd=folder, environment=zoo_environment(folder), check=True)
    (run,) = (folder / "runs").iterdir()
    return run


def history(run: Path) -> list[list[str]]:
    """All columns except the seconds."""
    with (run / "history.csv").open() as file:
        return [row[:-1] for row in csv.reader(file)]


def test_a_finished_run_holds_everything(digits_run: Path) -> None:
    run = open_run(digits_run)
    assert run.finished
    names = {path.name for path in digits_run.iterdir()}
    expected = {"run.json", "split.csv", "skipped.csv", "history.csv", "model.keras", "predictions.csv", "metrics.json"}
    assert expected | {"plots", "report.html"} <= names
    assert not [name for name in names if name.startswith(".")]
    assert run.metrics.accuracy > 0.5  # six epochs; guessing gives 0.1
    assert run.metrics.n == sum(run.info.data.counts["test"].values())
    assert run.info.parameters > 0
    assert 1 <= run.info.best_epoch <= 6
    assert len(run.history["val_loss"]) == 6
    assert {row["split"] for row in run.split()} == {"train", "val", "test"}


def test_the_saved_model_opens_without_zoo_and_predicts_as_recorded(digits_run: Path, tmp_path: Path) -> None:
    run = open_run(digits_run)
    tests = [row for row in run.split() if row["split"] == "test"][:8]
    paths = [str(Path(run.info.data.root) / row["path"]) for row in tests]
    code = (
        "import sys, json, cv2, numpy as np\n"
        "class NoZoo:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0].startswith('zoo'): raise ImportError('zoo is not here')\n"
        "sys.meta_path.insert(0, NoZoo())\n"
        "import keras\n"
        "model = keras.models.load_model(sys.argv[1])\n"
        "images = [cv2.resize(cv2.imread(p, cv2.IMREAD_COLOR_RGB), (32, 32), interpolation=cv2.INTER_LINEAR_EXACT)"
        " for p in sys.argv[2:]]\n"
        "assert model.input.name == 'image' and model.dtype_policy.name == 'float32'\n"
        "print(json.dumps(model.predict(np.array(images, np.float32), verbose=0).tolist()))"
    )
    command = [zoo_command()[0], "-c", code, str(run.model_path), *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    answers = np.array(json.loads(done.stdout.strip().splitlines()[-1]))
    with (digits_run / "predictions.csv").open() as file:
        recorded = {row["file"]: row for row in csv.DictReader(file)}
    expected = np.array([[float(recorded[row["path"]][f"p:{label}"]) for label in run.labels] for row in tests])
    assert np.abs(answers - expected).max() < 1e-5


def test_the_same_seed_is_the_same_run(uninterrupted: Path, tiny_net: None, run_zoo: RunZoo, tmp_path: Path) -> None:
    done = run_zoo("train", "--repeat", uninterrupted)
    assert done.code == 0, done.err
    (again,) = (tmp_path / "runs").iterdir()
    assert history(again) == history(uninterrupted)
    assert (again / "predictions.csv").read_bytes() == (uninterrupted / "predictions.csv").read_bytes()


def test_a_repeated_run_is_given_by_its_folder_its_file_or_its_name(digits_run: Path) -> None:
    for given in (digits_run, digits_run / "run.json", Path(digits_run.name)):
        repeated = planned(TrainRequest(repeat=given, runs=digits_run.parent), Reporter()).repeated
        assert repeated is not None
        assert repeated.path == digits_run


def test_a_repeated_run_keeps_the_precision_that_was_measured(
    photo_folder: PhotoFolder, tiny_net: None, run_zoo: RunZoo, tmp_path: Path
) -> None:
    small = ["--data", photo_folder({"a": 12, "b": 12}), "--batch-size", "8"]
    first = run_zoo("train", *QUICK, *small, "--precision", "auto", "--runs", "first")
    assert first.code == 0, first.err
    (path,) = (tmp_path / "first").iterdir()
    env = {"ZOO_CACHE_DIR": str(tmp_path / "empty-cache")}
    assert run_zoo("train", "--repeat", path, "--runs", "again", env=env).code == 0
    (again,) = (tmp_path / "again").iterdir()
    assert open_run(again).info.precision == open_run(path).info.precision
    assert not (tmp_path / "empty-cache" / "precision.json").exists()  # nothing was measured
    assert run_zoo("train", "--repeat", path, "--batch-size", "4", "--runs", "other", env=env).code == 0
    assert (tmp_path / "empty-cache" / "precision.json").exists()  # the measurement is valid for its batches


#: Sends a signal to its own process at the beginning of an epoch. STOP contains both.
STOPPER = """
import os
from zoo import hookimpl

@hookimpl
def zoo_callbacks():
    import keras

    class Stopper(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            number, last = map(int, os.environ.get("STOP", "0 -1").split())
            if epoch == last:
                os.kill(os.getpid(), number)

    return [Stopper()]
"""


def test_a_run_interrupted_in_three_ways_resumes_to_the_same_weights(
    uninterrupted: Path, tiny_net: None, run_zoo: RunZoo, fake_plugin: FakePlugin, tmp_path: Path
) -> None:
    fake_plugin("zoo-stopper", STOPPER)
    command: list[str | Path] = ["train", "tiny_net", *SETTINGS]
    for number, epoch, code in ((signal.SIGKILL, 2, -9), (signal.SIGTERM, 3, 143), (signal.SIGINT, 4, 130)):
        stopped = run_zoo(*command, env={"STOP": f"{int(number)} {epoch}"})
        assert stopped.code == code, stopped.err
        assert f"epoch {epoch}/6" in stopped.err
        (run,) = (tmp_path / "runs").iterdir()
        assert not (run / "metrics.json").exists()
        if number != signal.SIGKILL:
            assert f"zoo train --resume {run.relative_to(tmp_path)}" in stopped.err
            assert "Traceback" not in stopped.err
        command = ["train", "--resume", run.relative_to(tmp_path)]
    done = run_zoo("train", "--resume", run)
    assert done.code == 0, done.err
    assert "epoch 6/6" in done.err
    assert "epoch 1/6" not in done.err
    assert history(run) == history(uninterrupted)
    assert (run / "predictions.csv").read_bytes() == (uninterrupted / "predictions.csv").read_bytes()
    assert run_zoo("train", "--resume", run).out.strip().endswith("there is nothing to resume.")


@pytest.fixture
def interrupted(photo_folder: PhotoFolder, tiny_net: None, run_zoo: RunZoo, tmp_path: Path) -> Path:
    """An unfinished run on photos, as left by a crash after the training."""
    photos = photo_folder({"a": 12, "b": 12})
    done = run_zoo("train", *QUICK, "--data", photos)
    assert done.code == 0, done.err
    (run,) = (tmp_path / "runs").iterdir()
    (run / "metrics.json").unlink()
    return run


def test_a_resumed_run_says_when_another_version_is_installed(interrupted: Path, run_zoo: RunZoo) -> None:
    info = json.loads((interrupted / "run.json").read_text())
    (interrupted / "run.json").write_text(json.dumps(info | {"distribution": "keras-edge-zoo 0.0.1"}))
    done = run_zoo("train", "--resume", interrupted.name)
    assert done.code == 0, done.err
    assert f"This run was started with keras-edge-zoo 0.0.1. Now {info['distribution']} is installed" in done.err


def test_a_resumed_run_refuses_other_settings_and_other_data(
    interrupted: Path, run_zoo: RunZoo, tmp_path: Path
) -> None:
    other = run_zoo("train", "--resume", interrupted, "--epochs", "7", "--learning-rate", "0.1")
    assert other.code == 2
    assert "epochs: 1 in the run, 7 requested" in other.err
    assert "learning_rate: 0.001 in the run, 0.1 requested" in other.err
    photos = tmp_path / "photos"
    shutil.copy(photos / "a" / "photo_000.jpg", photos / "b" / "new.jpg")
    (photos / "a" / "photo_003.jpg").unlink()
    changed = run_zoo("train", "--resume", interrupted)
    assert changed.code == 4
    assert "1 added ('b/new.jpg')" in changed.err
    assert "1 removed ('a/photo_003.jpg')" in changed.err


def test_a_damaged_checkpoint_is_a_message(interrupted: Path, run_zoo: RunZoo) -> None:
    checkpoint = interrupted / "checkpoints" / "last.npz"
    data = bytearray(checkpoint.read_bytes())
    data[data.index(b"model/0.npy") + 400] ^= 0xFF  # changes a weight; the checksum of the archive detects it
    checkpoint.write_bytes(data)
    done = run_zoo("train", "--resume", interrupted)
    assert done.code == 4
    assert "checkpoint is damaged" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train"], 2, "No architecture is given."),
        (["train", "simple_cn"], 2, "Did you mean 'simple_cnn'?"),
        (["train", "simple_cnn", "--data", "nowhere"], 2, "No data at 'nowhere'"),
        (["train", "simple_cnn", "--epochs", "none"], 2, "Recipe field 'epochs' needs a value"),
        (["train", "simple_cnn", "--recipe", "artcle"], 2, "Did you mean 'article'?"),
        (["train", "simple_cnn", "--recipe", "gone.yaml"], 2, "Could not read the recipe 'gone.yaml'"),
        (["train", "simple_cnn", "--size", "big"], 2, "--size must be pixels"),
        (["train", "simple_cnn", "--size", "4"], 2, "at least 8x8 px"),
        (["train", "--resume", "nowhere"], 2, "No run at 'nowhere'"),
        (["train", "--resume", "a", "--repeat", "b"], 2, "Give one of them"),
        (["train", "simple_cnn", "--runs", "/proc/none"], 4, "Could not write"),
        (["evaluate", "simple_cnn"], 2, "There is no finished run of simple_cnn"),
        (["compare", "nothing"], 2, "No run at 'nothing'"),
        (["trian"], 2, "Did you mean 'train'?"),
    ],
)
def test_bad_input_is_a_message(arguments: list[str], code: int, message: str, run_zoo: RunZoo, tmp_path: Path) -> None:
    done = run_zoo(*arguments)
    assert done.code == code, done.err
    assert message in done.err
    assert "Traceback" not in done.err
    runs = tmp_path / "runs"
    assert not runs.exists() or not [path for path in runs.iterdir() if (path / "metrics.json").exists()]


def test_a_recipe_from_a_file(run_zoo: RunZoo, tmp_path: Path) -> None:
    (tmp_path / "quick.yaml").write_text("base: article\nepochs: 1\nlearning_rate: 0.002\n")
    done = run_zoo("train", "simple_cnn", "--size", "16", "--recipe", "quick.yaml", "--batch-size", "128")
    assert done.code == 0, done.err
    (path,) = (tmp_path / "runs").iterdir()
    recipe = open_run(path).recipe
    assert (recipe.epochs, recipe.learning_rate, recipe.batch_size) == (1, 0.002, 128)
    assert recipe.ranges == replace(NAMED["article"], flip="none")  # of digits, whatever the recipe
    (tmp_path / "wrong.yaml").write_text("epoch: 1\n")
    wrong = run_zoo("train", "simple_cnn", "--recipe", "wrong.yaml")
    assert wrong.code == 2
    assert "Did you mean 'epochs'?" in wrong.err


def test_a_loss_that_is_no_number_is_a_message_and_leaves_nothing(run_zoo: RunZoo, tmp_path: Path) -> None:
    wild = ["--optimizer", "sgd", "--learning-rate", "90", "--warmup-epochs", "0", "--clip-norm", "0"]
    done = run_zoo("train", "simple_cnn", "--size", "16", "--epochs", "2", *wild)
    assert done.code == 4, done.err
    assert "not finite" in done.err
    assert "Lower the learning rate" in done.err
    assert "Continue" not in done.err
    assert list((tmp_path / "runs").iterdir()) == []


def test_early_stopping_ends_before_the_last_epoch(
    photo_folder: PhotoFolder, tiny_net: None, run_zoo: RunZoo, tmp_path: Path
) -> None:
    arguments = [
        *QUICK,
        "--data",
        photo_folder({"a": 12, "b": 12}),
        "--epochs",
        "40",
        "--learning-rate",
        "1e-9",
        "--early-stopping-epochs",
        "2",
    ]
    done = run_zoo("train", *arguments, "--augmentation", "none", "--optimizer", "sgd")
    assert done.code == 0, done.err
    (path,) = (tmp_path / "runs").iterdir()
    assert len(open_run(path).history["epoch"]) < 40
    assert 'id="augmentation"' not in (path / "report.html").read_text()  # would repeat the same picture


def test_evaluating_again_gives_the_same_figures(digits_run: Path, run_zoo: RunZoo, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(digits_run, copy)
    before = json.loads((copy / "metrics.json").read_text())
    done = run_zoo("evaluate", copy, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["accuracy"] == before["accuracy"]
    assert json.loads(done.out)["log_loss"] == pytest.approx(before["log_loss"], rel=1e-5)
    was, now = ((run / "report.html").read_text() for run in (digits_run, copy))
    sections = re.findall(r"<section[^>]* id=\"?(\w+)", was)
    assert "augmentation" in sections
    assert re.findall(r"<section[^>]* id=\"?(\w+)", now) == sections


def test_evaluating_on_other_images_leaves_the_runs_own_figures(
    digits_run: Path, run_zoo: RunZoo, tmp_path: Path, photo_folder: PhotoFolder
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(digits_run, copy)
    before = (copy / "metrics.json").read_bytes()
    done = run_zoo("evaluate", copy, "--data", photo_folder({"3": 4, "7": 2}))
    assert done.code == 0, done.err
    assert "on 6 test images" in done.out
    assert (copy / "metrics.json").read_bytes() == before
    (folder,) = (copy / "evaluations").iterdir()
    assert json.loads((folder / "metrics.json").read_text())["n"] == 6
    unknown = run_zoo("evaluate", copy, "--data", photo_folder({"3": 2, "cat": 2}, name="others"))
    assert unknown.code == 4
    assert "'cat'" in unknown.err


def test_measuring_on_training_images_is_said(digits_run: Path, run_zoo: RunZoo, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(digits_run, copy)
    done = run_zoo("evaluate", copy, "--data", "digits")
    assert done.code == 0, done.err
    assert "1421 of 1797 images were used to train or choose this model" in done.err


def test_compare_says_what_is_noise(digits_run: Path, uninterrupted: Path, run_zoo: RunZoo) -> None:
    done = run_zoo("compare", digits_run, uninterrupted)
    assert done.code == 0, done.err
    assert re.search(r"is (not )?significant \(p [=<]", done.out)


def test_a_plugins_callback_is_called_and_resumed_and_a_broken_one_passed_over(
    tiny_net: None, run_zoo: RunZoo, fake_plugin: FakePlugin, tmp_path: Path
) -> None:
    fake_plugin(
        "zoo-tracker",
        "from zoo import hookimpl\n"
        "@hookimpl\n"
        "def zoo_callbacks(recipe, run_dir):\n"
        "    import keras\n"
        "    class Tracker(keras.callbacks.Callback):\n"
        "        def on_epoch_end(self, epoch, logs=None):\n"
        "            with open(run_dir / 'tracked.txt', 'a') as file:\n"
        "                file.write(f'{epoch} {sorted(logs)} {recipe.epochs}\\n')\n"
        "    return [Tracker()]\n",
    )
    fake_plugin(
        "zoo-broken",
        "from zoo import hookimpl\n@hookimpl\ndef zoo_callbacks(recipe): raise ValueError('no server')\n",
    )
    done = run_zoo("train", *QUICK, "--epochs", "2")
    assert done.code == 0, done.err
    assert "zoo: plugin 'zoo-broken' is not used in this run: zoo_callbacks: ValueError: no server" in done.err.replace(
        ":zoo_broken", ""
    )
    (run,) = (tmp_path / "runs").iterdir()
    lines = (run / "tracked.txt").read_text().splitlines()
    assert [line[0] for line in lines] == ["0", "1"]
    assert "val_accuracy" in lines[0]


def test_a_callback_that_begins_anew_with_training_goes_on_where_it_was(
    tiny_net: None, run_zoo: RunZoo, fake_plugin: FakePlugin, tmp_path: Path
) -> None:
    fake_plugin(
        "zoo-counter",
        "import os, signal\n"
        "from zoo import hookimpl\n"
        "@hookimpl\n"
        "def zoo_callbacks(recipe, run_dir):\n"
        "    import keras\n"
        "    class Counter(keras.callbacks.Callback):\n"
        "        def on_train_begin(self, logs=None):\n"
        "            self.epochs = 0\n"
        "        def on_epoch_begin(self, epoch, logs=None):\n"
        "            if epoch == 3 and 'KILL' in os.environ:\n"
        "                os.kill(os.getpid(), signal.SIGKILL)\n"
        "        def on_epoch_end(self, epoch, logs=None):\n"
        "            self.epochs += 1\n"
        "            (run_dir / 'counted.txt').write_text(str(self.epochs))\n"
        "        def get_state(self): return self.epochs\n"
        "        def set_state(self, state): self.epochs = state\n"
        "    return [Counter()]\n",
    )
    killed = run_zoo("train", *QUICK, "--epochs", "5", env={"KILL": "1"})
    assert killed.code == -signal.SIGKILL
    (run,) = (tmp_path / "runs").iterdir()
    assert (run / "checkpoints" / "last.npz").is_file()
    done = run_zoo("train", "--resume", run)
    assert done.code == 0, done.err
    assert (run / "counted.txt").read_text() == "5"


def test_tensorboard_logs_are_written_and_the_cache_is_shown_and_cleared(
    tiny_net: None, run_zoo: RunZoo, tmp_path: Path
) -> None:
    env = {"ZOO_CACHE_DIR": str(tmp_path / "cache")}
    done = run_zoo("train", *QUICK, "--tensorboard", env=env)
    assert done.code == 0, done.err
    assert list((tmp_path / "runs").rglob("tensorboard/**/events.out.tfevents*"))
    shown = run_zoo("cache", env=env)
    assert "1797 images" in shown.out
    assert run_zoo("cache", "--clear", env=env).code == 0
    assert " 0 images" in run_zoo("cache", env=env).out


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_a_message(run_zoo: RunZoo, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    done = run_zoo("train", "simple_cnn", "--runs", locked / "runs")
    assert done.code == 4
    assert "Permission denied" in done.err
