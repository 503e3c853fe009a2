"""A head trained on cached features equals that of ordinary training with the frozen backbone in the loop."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from tests import tiny_net as tiny_plugin
from tests.conftest import FakePlugin, PhotoFolder, RunZoo, interrupt, zoo_environment
from zoo.run_folder import open_run

SMALL = ["--precision", "float32"]
EPOCHS = ["--head-epochs", "1", "--epochs", "1"]
PLAIN = ["--augmentation", "none", "--head-views", "1", "--optimizer", "adam", "--schedule", "constant"]


@pytest.fixture
def photos(photo_folder: PhotoFolder) -> Path:
    return photo_folder({"a": 24, "b": 24, "c": 24})


def only_run(tmp_path: Path) -> Path:
    (run,) = (tmp_path / "runs").iterdir()
    return run


def weights(run: Path) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    import keras

    model = keras.models.load_model(run / "model.keras", compile=False)
    return {variable.path: keras.ops.convert_to_numpy(variable) for variable in model.weights}


def test_cached_features_train_the_same_head(photos: Path, tiny_net: None, run_zoo: RunZoo, tmp_path: Path) -> None:
    common = ["train", "tiny_net", "--data", photos, *SMALL, *PLAIN, "--early-stopping-epochs", "0"]
    phases = {
        "cached": ["--head-epochs", "3", "--head-learning-rate", "0.01", "--epochs", "0"],
        "in_the_loop": ["--head-epochs", "0", "--epochs", "3", "--learning-rate", "0.01", "--unfreeze", "0"],
    }
    runs = {}
    for name, arguments in phases.items():
        done = run_zoo(*common, *arguments, "--runs", name)
        assert done.code == 0, done.err
        (runs[name],) = (tmp_path / name).iterdir()
    cached, loop = weights(runs["cached"]), weights(runs["in_the_loop"])
    assert cached.keys() == loop.keys()
    head = [name for name in cached if name.startswith("probabilities")]
    assert len(head) == 2
    for name in cached:
        assert np.abs(cached[name] - loop[name]).max() < (2e-4 if name in head else 1e-12), name
    losses = [open_run(run).history["loss"] for run in runs.values()]
    assert np.allclose(*losses, rtol=1e-3)
    assert open_run(runs["cached"]).history["loss"][-1] < open_run(runs["cached"]).history["loss"][0]


def test_the_backbone_computes_features_once(photos: Path, tiny_net: None, run_zoo: RunZoo, tmp_path: Path) -> None:
    arguments = [
        "train",
        "tiny_net",
        "--data",
        photos,
        *SMALL,
        "--augmentation",
        "strong",
        "--head-views",
        "3",
        "--head-epochs",
        "2",
        "--epochs",
        "0",
    ]
    env = {"ZOO_CACHE_DIR": str(tmp_path / "cache")}
    assert run_zoo(*arguments, "--runs", "first", env=env).code == 0
    before = sorted(path.name for path in (tmp_path / "cache" / "images").iterdir())
    second = run_zoo(*arguments, "--runs", "second", "--seed", "1", env=env)
    assert second.code == 0, second.err
    assert sorted(path.name for path in (tmp_path / "cache" / "images").iterdir()) == before


def test_an_interrupted_fine_tuning_resumes_to_the_same_weights(
    photos: Path, tiny_net: None, run_zoo: RunZoo, tmp_path: Path, site: Path
) -> None:
    arguments = [
        "train",
        "tiny_net",
        "--data",
        photos,
        *SMALL,
        "--head-epochs",
        "3",
        "--epochs",
        "3",
        "--augmentation",
        "strong",
        "--head-views",
        "2",
    ]
    assert run_zoo(*arguments, "--runs", "whole").code == 0
    command = [*arguments, "--runs", "killed"]
    interrupt(signal.SIGKILL, "epoch 4/6", *command, cwd=tmp_path, environment=zoo_environment(site))
    (killed,) = (tmp_path / "killed").iterdir()
    (whole,) = (tmp_path / "whole").iterdir()
    done = run_zoo("train", "--resume", killed)
    assert done.code == 0, done.err
    assert (killed / "predictions.csv").read_bytes() == (whole / "predictions.csv").read_bytes()
    histories = [open_run(run).history for run in (killed, whole)]
    assert {**histories[0], "seconds": []} == {**histories[1], "seconds": []}


def test_photos_beyond_the_bound_of_the_cache_train_the_same(
    photos: Path, tiny_net: None, run_zoo: RunZoo, tmp_path: Path
) -> None:
    """Trains a head on features and then all layers with augmentation: the pixels do not depend on their source."""
    arguments = [
        "train",
        "tiny_net",
        "--data",
        photos,
        "--head-epochs",
        "1",
        "--epochs",
        "1",
        "--augmentation",
        "strong",
    ]
    found = {}
    for name, bound in (("whole", "1"), ("beyond", str(20 * 32 * 32 * 3 / 1e9))):
        env = {"ZOO_CACHE_DIR": str(tmp_path / f"{name}-cache"), "ZOO_CACHE_GB": bound}
        done = run_zoo(*arguments, "--runs", name, env=env)
        assert done.code == 0, done.err
        assert ("have no room in the cache" in done.err) == (name == "beyond")
        (found[name],) = (tmp_path / name).iterdir()
    one, other = found.values()
    assert (one / "predictions.csv").read_bytes() == (other / "predictions.csv").read_bytes()
    assert (one / "split.csv").read_bytes() == (other / "split.csv").read_bytes()


def test_a_resume_in_the_head_phase_computes_no_feature_again_and_its_time_counts(
    photos: Path, tiny_net: None, run_zoo: RunZoo, fake_plugin: FakePlugin, tmp_path: Path
) -> None:
    fake_plugin(
        "zoo-killer",
        "import os, signal\n"
        "from zoo import hookimpl\n"
        "@hookimpl\n"
        "def zoo_callbacks():\n"
        "    import keras\n"
        "    class Killer(keras.callbacks.Callback):\n"
        "        def on_epoch_begin(self, epoch, logs=None):\n"
        "            if epoch == 1 and 'KILL' in os.environ:\n"
        "                os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return [Killer()]\n",
    )
    cache = tmp_path / "cache"
    arguments = ["train", "tiny_net", "--data", photos, *SMALL, "--head-epochs", "2", "--epochs", "0"]
    killed = run_zoo(*arguments, env={"ZOO_CACHE_DIR": str(cache), "KILL": "1"})
    assert killed.code == -signal.SIGKILL, killed.err
    segments = sorted(path.name for path in (cache / "images").iterdir())
    run = only_run(tmp_path)
    info = json.loads((run / "run.json").read_text())
    assert info["timings"]["features_s"] > 0
    info["timings"]["features_s"] += 1000  # as if there had been many images
    (run / "run.json").write_text(json.dumps(info))
    done = run_zoo("train", "--resume", run, env={"ZOO_CACHE_DIR": str(cache)})
    assert done.code == 0, done.err
    assert sorted(path.name for path in (cache / "images").iterdir()) == segments
    timings = open_run(run).info.timings
    assert timings["features_s"] >= info["timings"]["features_s"] > 1000
    epochs_s = sum(open_run(run).history["seconds"])
    assert timings["train_s"] == pytest.approx(timings["features_s"] + epochs_s, abs=0.02)
    assert timings["total_s"] > timings["train_s"]


def test_the_result_is_one_plain_model_and_frozen_layers_did_not_move(
    photos: Path, tiny_net: None, run_zoo: RunZoo, tmp_path: Path
) -> None:
    arguments = ["--head-epochs", "0", "--epochs", "1", "--unfreeze", "0.5", "--learning-rate", "0.001"]
    done = run_zoo("train", "tiny_net", "--data", photos, *SMALL, *arguments)
    assert done.code == 0, done.err
    trained = weights(only_run(tmp_path))
    import keras

    start = tiny_plugin.build((32, 32, 3), 3)
    tiny_plugin.load(start, False)
    before = {variable.path: keras.ops.convert_to_numpy(variable) for variable in start.weights}
    assert np.array_equal(trained["conv_1/kernel"], before["conv_1/kernel"])
    assert not np.array_equal(trained["conv_2/kernel"], before["conv_2/kernel"])
    statistics = [name for name in trained if name.endswith(("moving_mean", "moving_variance"))]
    assert len(statistics) == 4
    assert all(np.array_equal(trained[name], before[name]) for name in statistics)


def test_weights_that_cannot_be_are_refused(photos: Path, run_zoo: RunZoo, tmp_path: Path) -> None:
    train = ["train", "mobilenetv2", "--data", photos]
    cases = [
        ([*train, "--weights", "imagnet"], 2, "Did you mean 'imagenet'?"),
        ([*train, "--weights", "gone.npz"], 2, "weight file 'gone.npz' does not exist"),
        ([*train, "--option", "width=0.5"], 2, "The ImageNet weights are for width 1.0"),
        ([*train, "--option", "widht=0.5"], 2, "widht"),
        ([*train, "--option", "width"], 2, "NAME=VALUE"),
        ([*train, "--size", "16"], 2, "32"),
        (["train", "simple_cnn", "--head-epochs", "2"], 2, "declares no backbone"),
        (["train", "simple_cnn", "--weights", "imagenet"], 2, "Unknown weights of simple_cnn"),
    ]
    for arguments, code, message in cases:
        done = run_zoo(*arguments)
        assert done.code == code, (arguments, done.err)
        assert message in done.err, (arguments, done.err)
        assert "Traceback" not in done.err
        assert not list((tmp_path / "runs").glob("*"))  # no incomplete files are left


def test_a_users_own_weights_are_taken(photos: Path, tiny_net: None, run_zoo: RunZoo, tmp_path: Path) -> None:
    quick = [*SMALL, "--head-epochs", "1", "--epochs", "0"]
    assert run_zoo("train", "tiny_net", "--data", photos, *quick).code == 0
    model = only_run(tmp_path) / "model.keras"
    done = run_zoo("train", "tiny_net", "--data", photos, *quick, "--weights", model, "--runs", "again")
    assert done.code == 0, done.err
    (again,) = (tmp_path / "again").iterdir()
    assert json.loads((again / "run.json").read_text())["weights"] == str(model)
    # The head of a run on the same classes is loaded too, so the training starts where that run ended.
    assert open_run(again).history["loss"][0] < open_run(only_run(tmp_path)).history["loss"][0]


def test_a_pretrained_model_is_measured_untrained(run_zoo: RunZoo, shared_data: Path, tmp_path: Path) -> None:
    photos = tmp_path / "wnids"
    for folder in sorted((shared_data / "nips17_sample").iterdir())[:12]:
        shutil.copytree(folder, photos / folder.name)
    done = run_zoo("evaluate", "mobilenetv2", "--data", photos, "--json")
    assert done.code == 0, done.err
    metrics = json.loads(done.out)
    assert metrics["classes"] == 1000
    assert metrics["accuracy"] > 0.75
    nothing = run_zoo("evaluate", "mobilenetv2")
    assert nothing.code == 2
    assert "--data" in nothing.err
