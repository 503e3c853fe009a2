"""``import zoo``: the commands as functions, on a real run and its exported files."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zoo
from tests.conftest import RunZoo
from zoo.data.named import find_source
from zoo.workflows import train as train_module

PLAIN = {"size": 16, "epochs": 1, "precision": "float32", "quiet": True}


@pytest.fixture
def own_run(digits_run: Path, tmp_path: Path) -> zoo.Run:
    """A copy of the run, which tests may change."""
    run = zoo.load(shutil.copytree(digits_run, tmp_path / "runs" / "digits"))
    assert isinstance(run, zoo.Run)
    return run


@pytest.fixture
def run(digits_run: Path) -> zoo.Run:
    found = zoo.load(digits_run)
    assert isinstance(found, zoo.Run)
    return found


@pytest.fixture
def photos(run: zoo.Run) -> list[Path]:
    """The first test images of the run."""
    root = find_source(run.info.data.source)[1]
    return [root / row["path"] for row in run.split() if row["split"] == "test"][:6]


def recorded(run: zoo.Run) -> list[dict[str, str]]:
    with (run.path / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_tells_what_came_out(run: zoo.Run) -> None:
    rows = recorded(run)
    assert run.metrics.n == len(rows)
    assert run.metrics.accuracy == sum(row["true"] == row["predicted"] for row in rows) / len(rows)
    assert len(run.history["val_loss"]) == 6
    assert run.report.is_file()
    assert run.model.count_params() == run.info.parameters
    told = [dict(row) for row in as_rows(run.predictions)]
    assert [row["file"] for row in told] == [row["file"] for row in rows]
    wrong = as_rows(run.mistakes())
    assert len(wrong) == sum(row["true"] != row["predicted"] for row in rows)
    assert [row["confidence"] for row in wrong] == sorted((row["confidence"] for row in wrong), reverse=True)
    card = run._repr_html_()
    assert "simple_cnn" in card
    assert len(card) < 2000


def as_rows(table: Any) -> list[dict[str, Any]]:
    return table if isinstance(table, list) else table.to_dict("records")


def test_displays_in_a_notebook_show_no_markup_of_others(run: zoo.Run) -> None:
    from dataclasses import replace

    run.info = replace(run.info, data=replace(run.info.data, source="/x/<script>alert(1)</script>"))
    assert "<script>" not in run._repr_html_()


def test_all_kinds_of_models_predict_alike(run: zoo.Run, digits_exports: Path, photos: list[Path]) -> None:
    expected = [row["predicted"] for row in recorded(run)][: len(photos)]
    bundle = digits_exports / "simple_cnn-onnx-float32"
    (file,) = bundle.glob("*.onnx")
    models = [run, *map(zoo.load, (file, bundle, bundle.with_name(f"{bundle.name}.zip"), run.model_path))]
    for model in models:
        assert model.labels == run.labels
        answers = model.predict(photos, top=3)
        assert [answer.label for answer in answers] == expected
        assert all(len(answer.top) == 3 for answer in answers)
        assert model.predict(photos[0]) == model.predict([photos[0]])[0]
    exported = models[1]
    assert isinstance(exported, zoo.ExportedFile)
    assert exported.verification.passed
    assert exported.verification.agreement == 1.0
    assert exported.precision == "float32"
    assert exported.bundle == bundle
    assert isinstance(models[4], zoo.Run), "the model of a run is the run"


def test_arrays_and_images_of_pillow_are_predicted_as_their_file(run: zoo.Run, photos: list[Path]) -> None:
    import cv2
    from PIL import Image

    from_files = run.predict(photos)
    pixels = [cv2.cvtColor(cv2.imread(str(photo)), cv2.COLOR_BGR2RGB) for photo in photos]
    for given in (pixels, np.stack(pixels), [Image.open(photo) for photo in photos], [p.read_bytes() for p in photos]):
        assert [answer.top for answer in run.predict(given)] == [answer.top for answer in from_files]
    assert run.predict(pixels[0]).label == from_files[0].label
    assert run.predict(Image.open(photos[0])).label == from_files[0].label


def test_pictures_that_cannot_be_used_are_named(run: zoo.Run, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(zoo.DataError, match=r"broken\.jpg.*cannot be used"):
        run.predict(tmp_path / "broken.jpg")
    with pytest.raises(zoo.ZooError, match="Expected pictures"):
        run.predict(None)
    with pytest.raises(zoo.DataError, match="No pictures"):
        run.predict([])
    with pytest.raises(zoo.UsageError, match="from 0 to 1"):
        run.predict(tmp_path / "broken.jpg", min_confidence=7)


def test_evaluate_export_verify_compare(own_run: zoo.Run, tmp_path: Path) -> None:
    before = own_run.metrics
    assert own_run.evaluate(quiet=True) == before
    file = own_run.export("tflite", quiet=True)
    assert file.verification.passed
    assert file.path == own_run.path / "exports" / "simple_cnn-tflite-float32" / "simple_cnn.tflite"
    found = zoo.verify(file, own_run, report=tmp_path / "page.html", quiet=True)
    assert found.passed
    assert (tmp_path / "page.html").is_file()
    assert [run.path for run in zoo.runs(own_run.path.parent)] == [own_run.path]
    assert zoo.runs(own_run.path.parent, data="photos") == []
    assert [run.path for run in zoo.runs(own_run.path.parent, data="digits")] == [own_run.path]
    assert zoo.compare(own_run).runs[0].accuracy == before.accuracy
    with pytest.raises(zoo.UsageError, match="argument 'min_agrement'"):
        own_run.export("tflite", min_agrement=0.5)
    with pytest.raises(zoo.UsageError, match="from 0 to 1"):
        own_run.export("tflite", min_agreement=98)


def test_what_is_no_model_is_refused_as_it_is_opened(tmp_path: Path) -> None:
    with pytest.raises(zoo.UsageError, match="is not a model"):
        zoo.load(tmp_path / "nothing")
    (tmp_path / "x.onnx").write_bytes(b"no model")
    with pytest.raises(zoo.ZooError):
        zoo.load(tmp_path / "x.onnx")


def test_python_trains_what_the_command_trains(
    run_zoo: RunZoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run_zoo("train", "simple_cnn", "--size", "16", "--epochs", "1", "--precision", "float32", "--name", "balls")
    assert done.code == 0, done.err
    (tmp_path / "python").mkdir()
    monkeypatch.chdir(tmp_path / "python")
    mine = zoo.train("simple_cnn", name="balls", **PLAIN)
    theirs = tmp_path / "runs" / "balls"
    assert files(mine.path) == files(theirs)
    for name in ("predictions.csv", "metrics.json", "split.csv", "skipped.csv", "zoo.yaml"):
        assert (mine.path / name).read_bytes() == (theirs / name).read_bytes(), name
    other = zoo.load(theirs)
    assert isinstance(other, zoo.Run)
    for ours, its in zip(mine.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, its)
    infos = [json.loads((path / "run.json").read_text()) for path in (mine.path, theirs)]
    for info in infos:
        for name in ("timings", "order", "created_at"):
            del info[name]
    assert infos[0] == infos[1]


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_arrays_are_trained_on_measured_on_and_verified_on(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    dark = random.integers(0, 90, (30, 20, 24, 3), np.uint8)
    bright = random.integers(160, 256, (30, 20, 24, 3), np.uint8)
    images, labels = np.concatenate([dark, bright]), ["dark"] * 30 + ["bright"] * 30
    run = zoo.train("simple_cnn", data=(images, labels), runs=tmp_path, **PLAIN | {"epochs": 8})
    assert run.labels == ("bright", "dark")
    source = Path(run.info.data.source)
    assert len(list(source.parent.rglob("*.png"))) == 60
    assert run.evaluate((images[:20], labels[:20]), quiet=True).n == 20
    assert run.export("onnx", quiet=True, verify=True).verification.n > 0


def test_two_trainings_in_one_process_are_refused(tmp_path: Path) -> None:
    raised: list[BaseException] = []

    def other() -> None:
        try:
            zoo.train("simple_cnn", runs=tmp_path, **PLAIN)
        except BaseException as error:
            raised.append(error)

    with train_module._training:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert isinstance(raised[0], zoo.UsageError)
    assert "already training another model" in str(raised[0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "a/b"}, "must be the name of a folder"),
        ({"name": "taken"}, "'taken' already exists"),
        ({"name": "mobilenetv2"}, "because an architecture has that name"),
        ({"epoks": 3}, "Did you mean 'epochs'"),
        ({"epochs": "many"}, "must be a whole number"),
        ({"size": "big"}, "size must be pixels"),
        ({"size": (0, 3)}, "from 1 to 4096"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"data": object()}, "Received"),
        ({"data": "no/such/folder"}, "No data at"),
        ({"callbacks": ["print"]}, r"keras\.callbacks\.Callback"),
    ],
)
def test_arguments_that_cannot_be_used_are_explained(arguments: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(zoo.ZooError, match=said):
        zoo.train("simple_cnn", **{"runs": tmp_path, **PLAIN, **arguments})
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_one_architecture_of_a_search_needs_no_list() -> None:
    with pytest.raises(zoo.UsageError, match="--arch simple_cnn: the architecture has no pretrained weights"):
        zoo.search("photos", architectures="simple_cnn", quiet=True)


def test_a_callback_that_raises_is_named(tmp_path: Path) -> None:
    import keras

    class Picky(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            raise KeyError("val_f1")

    with pytest.raises(zoo.TrainingError, match=r"The callback Picky\.on_epoch_end failed: KeyError: 'val_f1'"):
        zoo.train("simple_cnn", runs=tmp_path, callbacks=[Picky()], **PLAIN)


def test_the_process_is_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import logging
    import os
    import random

    import cv2

    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    logging.getLogger("tensorflow").setLevel(logging.INFO)
    cv2.setNumThreads(2)
    random.seed(5)
    np.random.seed(5)
    zoo.train("simple_cnn", runs=tmp_path, **PLAIN)
    after = (random.random(), float(np.random.random()))
    assert "TF_CPP_MIN_LOG_LEVEL" not in os.environ
    assert logging.getLogger("tensorflow").level == logging.INFO
    assert cv2.getNumThreads() == 2
    random.seed(5)
    np.random.seed(5)
    assert after == (random.random(), float(np.random.random()))


def test_predicting_keeps_tensorflow_quiet(run: zoo.Run, photos: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    import logging
    from dataclasses import replace

    log = logging.getLogger("tensorflow")
    opened, levels = run._answering(None), []

    def ask(pictures: Any, top: int) -> Any:
        levels.append(log.level)
        return opened.ask(pictures, top)

    monkeypatch.setitem(run._opened, None, replace(opened, ask=ask))
    log.setLevel(logging.INFO)
    assert run.predict(photos[0]).label in run.labels
    assert (levels, log.level) == ([logging.ERROR], logging.INFO)


def test_names_and_rules_are_taken_as_objects(run: zoo.Run, digits_exports: Path, tmp_path: Path) -> None:
    alone = Path(shutil.copy(run.model_path, tmp_path / "alone.keras"))
    opened = zoo.load(alone, labels=list(run.labels))
    assert opened.labels == run.labels
    with pytest.raises(zoo.UsageError, match="contains its own class names"):
        zoo.load(next(digits_exports.glob("*-onnx-*/*.onnx")), labels=list(run.labels), spec=run.image_spec)
    with pytest.raises(zoo.UsageError, match="names '0' twice"):
        zoo.load(alone, labels=["0"] * 10)
    with pytest.raises(zoo.UsageError, match="labels must be the names"):
        zoo.load(alone, labels=[0, 1])  # type: ignore[list-item]
    with pytest.raises(zoo.UsageError, match=r'model\.save\("model\.keras"\)'):
        zoo.export(run.model, "onnx")


def test_what_is_printed_is_what_the_command_prints(run: zoo.Run) -> None:
    assert str(run.metrics).startswith("Accuracy ")
    found = zoo.compare(run)
    assert str(found) == found.render()


def test_importing_zoo_is_light_and_shows_its_verbs() -> None:
    code = (
        "import sys, time; start = time.perf_counter(); import zoo; took = time.perf_counter() - start\n"
        "heavy = {'keras', 'tensorflow', 'cv2', 'sklearn', 'numpy', 'matplotlib', 'rich', 'click', 'yaml'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "verbs = {'train', 'load', 'runs', 'evaluate', 'compare', 'export', 'verify', 'predict', 'check'}\n"
        "assert verbs <= set(dir(zoo))\n"
        "assert all(callable(getattr(zoo, verb)) for verb in verbs)\n"
        "import zoo.run_folder, zoo.exporting, zoo.evaluation\n"
        "assert all(callable(getattr(zoo, verb)) for verb in verbs)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_arrays_are_checked_like_files(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (12, 64, 64, 3), np.uint8)
    images[7] = images[1]
    found = zoo.check((images, ["a"] * 6 + ["b"] * 6), quiet=True)
    assert found.by_kind["contradiction"]
